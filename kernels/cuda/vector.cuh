// Loads and stores of 16 bytes, the widest of a thread: fewer instructions for the same bytes.
#pragma once

#include "common.cuh"

namespace dc {

// Elements in 16 bytes.
template <class Value>
constexpr int pack = 16 / sizeof(Value);

template <class Value>
__device__ __forceinline__ void load(const Value* from, Value (&to)[pack<Value>]) {
    *reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(from);
}

template <class Value>
__device__ __forceinline__ void store(Value* to, const Value (&from)[pack<Value>]) {
    *reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(from);
}

template <class Value>
__device__ __forceinline__ void load(const Value* from, Value (&to)[1]) {
    to[0] = *from;
}

template <class Value>
__device__ __forceinline__ void store(Value* to, const Value (&from)[1]) {
    *to = from[0];
}

// Whether a pack may be read or written at the address: a slice of a larger array may begin anywhere.
__device__ __forceinline__ bool is_aligned(const void* address) {
    return reinterpret_cast<uint64_t>(address) % 16 == 0;
}

template <int value>
struct Count {
    static constexpr int of = value;
};

// Calls body(i, Count<n>()) so that the elements i to i + n - 1 together are 0 to size - 1, once each, over the whole
// grid: n is pack<Value> wherever `wide` and the size allow it, else 1.
template <class Value, class Body>
__device__ __forceinline__ void for_each_pack(int64_t size, bool wide, Body body) {
    constexpr int width = pack<Value>;
    const int64_t packed = wide ? size / width * width : 0;
    for (int64_t i = grid_start() * width; i < packed; i += grid_stride() * width) body(i, Count<width>());
    for (int64_t i = packed + grid_start(); i < size; i += grid_stride()) body(i, Count<1>());
}

// i % divisor; 64-bit division takes several times as long, and arrays that need it are rare.
__device__ __forceinline__ int modulo(int64_t i, int divisor) {
    return i >> 32 ? int(i % divisor) : int(unsigned(i) % unsigned(divisor));
}

}  // namespace dc
