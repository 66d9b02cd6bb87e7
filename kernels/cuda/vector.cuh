// Loads and stores of several neighbouring elements as one access of up to 16 bytes: fewer instructions for the same bytes.
#pragma once

#include "common.cuh"

namespace dc {

// Elements in 16 bytes.
template <class Value>
constexpr int pack = 16 / sizeof(Value);

// Whether 16 bytes may be read or written at the address: a slice of a larger array may begin anywhere.
__device__ __forceinline__ bool is_aligned(const void* address) {
    return reinterpret_cast<uint64_t>(address) % 16 == 0;
}

// The elements that a thread handles together: `count` of them, and whether they may be moved as 16 bytes.
struct Pack {
    int64_t first;
    int count;
    bool whole;
};

// Reads x[pack.first] and what follows; zeros where there is no element.
template <class Value>
__device__ __forceinline__ void load(const Value* x, const Pack& at, Value (&to)[pack<Value>]) {
    if (at.whole) {
        *reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(x + at.first);
    } else {
#pragma unroll
        for (int k = 0; k < pack<Value>; ++k) to[k] = k < at.count ? x[at.first + k] : Value(0);
    }
}

template <class Value>
__device__ __forceinline__ void store(Value* y, const Pack& at, const Value (&from)[pack<Value>]) {
    if (at.whole) {
        *reinterpret_cast<uint4*>(y + at.first) = *reinterpret_cast<const uint4*>(from);
    } else {
#pragma unroll
        for (int k = 0; k < pack<Value>; ++k)
            if (k < at.count) y[at.first + k] = from[k];
    }
}

// Calls body(pack) for packs of elements 0 to size - 1, from the thread's first one on; `stride` is how many threads
// share the work. `aligned`: whether all arrays are.
template <class Value, class Body>
__device__ __forceinline__ void for_each_pack(int64_t thread, int64_t stride, int64_t size, bool aligned, Body body) {
    constexpr int width = pack<Value>;
    for (int64_t first = thread * width; first < size; first += stride * width) {
        const int count = size - first < width ? int(size - first) : width;
        body(Pack{first, count, aligned && count == width});
    }
}

// i % divisor; 64-bit division takes several times as long, and arrays that need it are rare.
__device__ __forceinline__ int modulo(int64_t i, int divisor) {
    return i >> 32 ? int(i % divisor) : int(unsigned(i) % unsigned(divisor));
}

template <class Element, int width>
struct Vector;

template <class Element>
struct Vector<Element, 1> {
    static __device__ __forceinline__ void load(Element* to, const Element* from) { to[0] = from[0]; }
    static __device__ __forceinline__ void store(Element* to, const Element* from) { to[0] = from[0]; }
};

// The built-in vector types are what makes the compiler move all lanes by one instruction.
template <class Element, class Whole>
struct Vector2 {
    static __device__ __forceinline__ void load(Element* to, const Element* from) {
        const Whole whole = *reinterpret_cast<const Whole*>(from);
        to[0] = whole.x, to[1] = whole.y;
    }
    static __device__ __forceinline__ void store(Element* to, const Element* from) {
        Whole whole;
        whole.x = from[0], whole.y = from[1];
        *reinterpret_cast<Whole*>(to) = whole;
    }
};

template <class Element, class Whole>
struct Vector4 {
    static __device__ __forceinline__ void load(Element* to, const Element* from) {
        const Whole whole = *reinterpret_cast<const Whole*>(from);
        to[0] = whole.x, to[1] = whole.y, to[2] = whole.z, to[3] = whole.w;
    }
    static __device__ __forceinline__ void store(Element* to, const Element* from) {
        Whole whole;
        whole.x = from[0], whole.y = from[1], whole.z = from[2], whole.w = from[3];
        *reinterpret_cast<Whole*>(to) = whole;
    }
};

template <> struct Vector<double, 2> : Vector2<double, double2> {};
template <> struct Vector<float, 4> : Vector4<float, float4> {};
template <> struct Vector<int, 2> : Vector2<int, int2> {};
template <> struct Vector<int, 4> : Vector4<int, int4> {};
template <> struct Vector<unsigned char, 2> : Vector2<unsigned char, uchar2> {};
template <> struct Vector<unsigned char, 4> : Vector4<unsigned char, uchar4> {};

// `to` are registers: indices into it must be known at compile time. `from` is aligned to the whole access.
template <int width, class Element>
__device__ __forceinline__ void load(Element* to, const Element* from) {
    Vector<Element, width>::load(to, from);
}

template <int width, class Element>
__device__ __forceinline__ void store(Element* to, const Element* from) {
    Vector<Element, width>::store(to, from);
}

template <int width, class Element>
__device__ __forceinline__ void fill(Element* to, Element value) {
#pragma unroll
    for (int i = 0; i < width; ++i) to[i] = value;
}

}  // namespace dc
