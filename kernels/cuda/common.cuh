// What every kernel file begins with: types, shared memory, reductions of a warp and of a block, loops over a grid.
//
// No standard header is used: NVRTC has none. Template parameters have whole words for names, because kernels are built
// with macros such as -DT=float.
#pragma once

#ifndef DEEPCORE_EMULATOR
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#ifdef __CUDACC_RTC__
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef short int16_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;
#else
#include <cstdint>
#endif
#endif

#ifdef DEEPCORE_EMULATOR
// The emulator puts bytes after each array that no kernel may touch, so that running over its end shows.
#define DC_SHARED(type, name, ...)                                             \
    __shared__ __align__(16) emulator::Fenced<type __VA_ARGS__> name##_fenced; \
    auto& name = name##_fenced.array
#else
// An array in shared memory: DC_SHARED(float, tile, [32][33]);
#define DC_SHARED(type, name, ...) __shared__ __align__(16) type name __VA_ARGS__
#endif

// The shared memory whose size the launch gives, seen as an array: DC_DYNAMIC_SHARED(float, tile); It is aligned to
// 1024 bytes, as swizzled tiles ask for. A kernel has one such memory, whatever name or type it is given.
#define DC_DYNAMIC_SHARED(type, name)                                    \
    extern __shared__ __align__(1024) unsigned char dc_dynamic_shared[]; \
    type* name = reinterpret_cast<type*>(dc_dynamic_shared)

namespace dc {

constexpr unsigned full_warp = 0xffffffffu;
constexpr int warp_size = 32;

template <class Count, class Size>
__host__ __device__ constexpr auto ceil_div(Count a, Size b) {
    return (a + b - 1) / b;
}

__device__ __forceinline__ int lane() { return threadIdx.x % warp_size; }
__device__ __forceinline__ int warp() { return threadIdx.x / warp_size; }

// The type in which elements of a type are computed: values of 16 bits are only stored as such, and bytes are no
// operand of a shuffle.
template <class Value>
struct Accumulator {
    typedef Value Type;
};
template <>
struct Accumulator<__half> {
    typedef float Type;
};
template <>
struct Accumulator<__nv_bfloat16> {
    typedef float Type;
};
template <>
struct Accumulator<unsigned char> {
    typedef int Type;
};

template <class Value>
using accumulator = typename Accumulator<Value>::Type;

// First index and stride of a loop over all elements, whatever the grid is:
//     for (int64_t i = dc::grid_start(); i < n; i += dc::grid_stride()) …
__device__ __forceinline__ int64_t grid_start() { return int64_t(blockIdx.x) * blockDim.x + threadIdx.x; }
__device__ __forceinline__ int64_t grid_stride() { return int64_t(gridDim.x) * blockDim.x; }

struct Sum {
    template <class Value>
    __device__ __forceinline__ Value operator()(Value a, Value b) const {
        return a + b;
    }
};

// NaN wins, as in NumPy, so that a broken value is not lost.
struct Max {
    template <class Value>
    __device__ __forceinline__ Value operator()(Value a, Value b) const {
        return a > b || a != a ? a : b;
    }
};

struct Min {
    template <class Value>
    __device__ __forceinline__ Value operator()(Value a, Value b) const {
        return a < b || a != a ? a : b;
    }
};

// Reduces over the warp; every lane gets the result. All 32 lanes must call it.
template <class Value, class Reduce>
__device__ __forceinline__ Value warp_reduce(Value value, Reduce reduce) {
#pragma unroll
    for (int distance = warp_size / 2; distance > 0; distance /= 2)
        value = reduce(value, __shfl_xor_sync(full_warp, value, distance));
    return value;
}

template <class Value>
__device__ __forceinline__ Value warp_sum(Value value) {
    return warp_reduce(value, Sum());
}

template <class Value>
__device__ __forceinline__ Value warp_max(Value value) {
    return warp_reduce(value, Max());
}

// Reduces over a one-dimensional block of `threads` threads, a multiple of 32; every thread gets the result, which is
// the same for every run: the order of the additions is fixed. `neutral` changes nothing, such as 0 for Sum.
template <int threads, class Value, class Reduce>
__device__ __forceinline__ Value block_reduce(Value value, Reduce reduce, Value neutral) {
    static_assert(threads % warp_size == 0 && threads <= 1024, "whole warps, at most 1024 threads");
    constexpr int warps = threads / warp_size;
    value = warp_reduce(value, reduce);
    if (warps == 1) return value;
    DC_SHARED(Value, partial, [warps]);
    // Whoever called this before may still be reading.
    __syncthreads();
    if (lane() == 0) partial[warp()] = value;
    __syncthreads();
    value = lane() < warps ? partial[lane()] : neutral;
    return warp_reduce(value, reduce);
}

template <int threads, class Value>
__device__ __forceinline__ Value block_sum(Value value) {
    return block_reduce<threads>(value, Sum(), Value(0));
}

}  // namespace dc
