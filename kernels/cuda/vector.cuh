// Loads and stores of several neighbouring elements as one access of up to 16 bytes: fewer instructions for the same
// bytes.
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

// The same for types without such a vector type.
template <class Element, int width, class Whole>
struct Pieces {
    static __device__ __forceinline__ void load(Element* to, const Element* from) {
        __align__(16) Element piece[width];
        *reinterpret_cast<Whole*>(piece) = *reinterpret_cast<const Whole*>(from);
#pragma unroll
        for (int i = 0; i < width; ++i) to[i] = piece[i];
    }
    static __device__ __forceinline__ void store(Element* to, const Element* from) {
        __align__(16) Element piece[width];
#pragma unroll
        for (int i = 0; i < width; ++i) piece[i] = from[i];
        *reinterpret_cast<Whole*>(to) = *reinterpret_cast<const Whole*>(piece);
    }
};

// Two accesses of 16 bytes.
template <class Element, int width>
struct Twice {
    static __device__ __forceinline__ void load(Element* to, const Element* from) {
        Vector<Element, width / 2>::load(to, from);
        Vector<Element, width / 2>::load(to + width / 2, from + width / 2);
    }
    static __device__ __forceinline__ void store(Element* to, const Element* from) {
        Vector<Element, width / 2>::store(to, from);
        Vector<Element, width / 2>::store(to + width / 2, from + width / 2);
    }
};

template <>
struct Vector<double, 2> : Vector2<double, double2> {};
template <>
struct Vector<float, 4> : Vector4<float, float4> {};
template <>
struct Vector<int, 2> : Vector2<int, int2> {};
template <>
struct Vector<int, 4> : Vector4<int, int4> {};
template <>
struct Vector<unsigned char, 2> : Vector2<unsigned char, uchar2> {};
template <>
struct Vector<unsigned char, 4> : Vector4<unsigned char, uchar4> {};
template <>
struct Vector<unsigned, 4> : Vector4<unsigned, uint4> {};
template <>
struct Vector<unsigned char, 8> : Pieces<unsigned char, 8, uint2> {};
template <>
struct Vector<unsigned char, 16> : Pieces<unsigned char, 16, uint4> {};
template <>
struct Vector<long long, 2> : Pieces<long long, 2, uint4> {};
template <>
struct Vector<__half, 4> : Pieces<__half, 4, uint2> {};
template <>
struct Vector<__half, 8> : Pieces<__half, 8, uint4> {};
template <>
struct Vector<__nv_bfloat16, 4> : Pieces<__nv_bfloat16, 4, uint2> {};
template <>
struct Vector<__nv_bfloat16, 8> : Pieces<__nv_bfloat16, 8, uint4> {};
template <>
struct Vector<int, 8> : Twice<int, 8> {};
template <>
struct Vector<float, 8> : Twice<float, 8> {};
template <>
struct Vector<double, 4> : Twice<double, 4> {};
template <>
struct Vector<double, 8> : Twice<double, 8> {};

// `to` are registers: indices into it must be known at compile time. `from` is aligned to the whole access. Values are
// converted to the type of `to`, rounding to nearest, ties to even.
template <int width, class To, class From>
__device__ __forceinline__ void load(To* to, const From* from) {
    From values[width];
    Vector<From, width>::load(values, from);
#pragma unroll
    for (int i = 0; i < width; ++i) to[i] = static_cast<To>(values[i]);
}

template <int width, class To, class From>
__device__ __forceinline__ void store(To* to, const From* from) {
    To values[width];
#pragma unroll
    for (int i = 0; i < width; ++i) values[i] = static_cast<To>(from[i]);
    Vector<To, width>::store(to, values);
}

// Reads x[pack.first] and what follows; zeros where there is no element.
template <class Stored, class Value>
__device__ __forceinline__ void load(const Stored* x, const Pack& at, Value (&to)[pack<Stored>]) {
    if (at.whole) {
        load<pack<Stored>>(to, x + at.first);
    } else {
#pragma unroll
        for (int k = 0; k < pack<Stored>; ++k) to[k] = k < at.count ? static_cast<Value>(x[at.first + k]) : Value(0);
    }
}

template <class Stored, class Value>
__device__ __forceinline__ void store(Stored* y, const Pack& at, const Value (&from)[pack<Stored>]) {
    if (at.whole) {
        store<pack<Stored>>(y + at.first, from);
    } else {
#pragma unroll
        for (int k = 0; k < pack<Stored>; ++k)
            if (k < at.count) y[at.first + k] = static_cast<Stored>(from[k]);
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

template <int width, class Element>
__device__ __forceinline__ void fill(Element* to, Element value) {
#pragma unroll
    for (int i = 0; i < width; ++i) to[i] = value;
}

}  // namespace dc
