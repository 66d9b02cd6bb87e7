// Loads and stores of several neighbouring elements as one access of up to 16 bytes.
#pragma once

#include "common.cuh"

namespace dc {

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
