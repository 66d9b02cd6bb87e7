// Random numbers and dropout. Built with -DT=float or -DT=double.
//
// A block of four words makes 16 bytes of numbers, which one thread writes at once.
#include "philox.cuh"
#include "vector.cuh"

constexpr int per_block = dc::pack<T>;  // numbers from four words: a float takes one, a double two

// A whole number below 2^24 or 2^53, as many bits as T holds.
__device__ __forceinline__ float top_bits(const dc::Words& words, int k, float) { return float(words.word[k] >> 8); }
__device__ __forceinline__ double top_bits(const dc::Words& words, int k, double) {
    return double(words.word[2 * k] >> 5) * 67108864.0 + double(words.word[2 * k + 1] >> 6);
}
__device__ __forceinline__ float unit(float) { return 5.9604644775390625e-8f; }         // 2^-24
__device__ __forceinline__ double unit(double) { return 1.1102230246251565404e-16; }  // 2^-53

// A number in (0, 1], with the whole of a word for a float.
__device__ __forceinline__ float above_zero(const dc::Words& words, int k, float) {
    return (float(words.word[k]) + 0.5f) * 2.3283064365386962891e-10f;  // 2^-32
}
__device__ __forceinline__ double above_zero(const dc::Words& words, int k, double) {
    return (top_bits(words, k, 0.0) + 0.5) * unit(0.0);
}

__device__ __forceinline__ void sine_and_cosine_of_pi(float x, float* sine, float* cosine) {
    sincospif(x, sine, cosine);
}
__device__ __forceinline__ void sine_and_cosine_of_pi(double x, double* sine, double* cosine) {
    sincospi(x, sine, cosine);
}

// bits[i] = word i % 4 of the block with counter offset + i / 4.
// registers: 24
extern "C" __global__ void __launch_bounds__(256)
random_bits(unsigned* __restrict__ bits, unsigned key_0, unsigned key_1, unsigned long long offset, long long size) {
    dc::for_each_pack<unsigned>(dc::grid_start(), dc::grid_stride(), size, true, [&](const dc::Pack& at) {
        const dc::Words words = dc::philox(offset + at.first / 4, key_0, key_1);
        __align__(16) unsigned values[4] = {words.word[0], words.word[1], words.word[2], words.word[3]};
        dc::store(bits, at, values);
    });
}

// Uniform in [0, 1), every bit pattern the same as on the CPU.
// registers: 24
extern "C" __global__ void __launch_bounds__(256)
random_uniform(T* __restrict__ y, unsigned key_0, unsigned key_1, unsigned long long offset, long long size) {
    dc::for_each_pack<T>(dc::grid_start(), dc::grid_stride(), size, true, [&](const dc::Pack& at) {
        const dc::Words words = dc::philox(offset + at.first / per_block, key_0, key_1);
        __align__(16) T values[per_block];
#pragma unroll
        for (int k = 0; k < per_block; ++k) values[k] = top_bits(words, k, T(0)) * unit(T(0));
        dc::store(y, at, values);
    });
}

// Standard normal (Box and Muller 1958): the elements 2j and 2j + 1 are the cosine and the sine of one pair.
// registers: 32
extern "C" __global__ void __launch_bounds__(256)
random_normal(T* __restrict__ y, unsigned key_0, unsigned key_1, unsigned long long offset, long long size) {
    dc::for_each_pack<T>(dc::grid_start(), dc::grid_stride(), size, true, [&](const dc::Pack& at) {
        const dc::Words words = dc::philox(offset + at.first / per_block, key_0, key_1);
        __align__(16) T values[per_block];
#pragma unroll
        for (int k = 0; k < per_block; k += 2) {
            // sincospi needs no reduction by a rounded pi, which would cost accuracy and local memory.
            const T radius = sqrt(T(-2) * log(above_zero(words, k, T(0))));
            T sine, cosine;
            sine_and_cosine_of_pi(T(2) * above_zero(words, k + 1, T(0)), &sine, &cosine);
            values[k] = radius * cosine;
            values[k + 1] = radius * sine;
        }
        dc::store(y, at, values);
    });
}

// y[i] = x[i] * scale where word i of the stream is at least `threshold`, else 0.
// registers: 32
extern "C" __global__ void __launch_bounds__(256)
dropout(const T* __restrict__ x, T* __restrict__ y, unsigned threshold, T scale, unsigned key_0, unsigned key_1,
        unsigned long long offset, long long size) {
    constexpr int packs = 4 / per_block;  // 16 bytes each, for the elements of one block of words
    const bool aligned = dc::is_aligned(x) && dc::is_aligned(y);
    for (int64_t block = dc::grid_start(); 4 * block < size; block += dc::grid_stride()) {
        const dc::Words words = dc::philox(offset + block, key_0, key_1);
#pragma unroll
        for (int p = 0; p < packs; ++p) {
            const int64_t first = 4 * block + p * per_block;
            if (first >= size) break;
            const int count = size - first < per_block ? int(size - first) : per_block;
            const dc::Pack at = {first, count, aligned && count == per_block};
            __align__(16) T values[per_block];
            dc::load(x, at, values);
#pragma unroll
            for (int k = 0; k < per_block; ++k)
                values[k] = words.word[p * per_block + k] >= threshold ? values[k] * scale : T(0);
            dc::store(y, at, values);
        }
    }
}
