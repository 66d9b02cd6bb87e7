// Random numbers and dropout. Built with -DT=<type of the numbers>.
//
// Four words, the block of one counter, make four numbers, or two of float64. A thread makes the numbers of 16 bytes,
// or of one block.
#include "philox.cuh"
#include "vector.cuh"

using Wide = dc::accumulator<T>;

constexpr int width = dc::pack<T>;
constexpr int per_block = sizeof(T) == 8 ? 2 : 4;  // numbers from four words
constexpr int blocks = width / per_block;          // of a thread, at a time

// The words of the numbers `first` to first + width - 1.
struct PackWords {
    uint32_t word[4 * blocks];

    __device__ __forceinline__ PackWords(uint64_t offset, int64_t first, uint32_t key_0, uint32_t key_1) {
#pragma unroll
        for (int b = 0; b < blocks; ++b) {
            const dc::Words words = dc::philox(offset + first / per_block + b, key_0, key_1);
#pragma unroll
            for (int k = 0; k < 4; ++k) word[4 * b + k] = words.word[k];
        }
    }
};

// As many bits of a word, or of two, as a T holds, divided by 2 to their number: in [0, 1) without rounding.
template <int bits>
__device__ __forceinline__ float top_bits(const PackWords& words, int k) {
    return float(words.word[k] >> (32 - bits)) / float(1u << bits);
}
__device__ __forceinline__ float unit(const PackWords& words, int k, float) { return top_bits<24>(words, k); }
__device__ __forceinline__ float unit(const PackWords& words, int k, __half) { return top_bits<11>(words, k); }
__device__ __forceinline__ float unit(const PackWords& words, int k, __nv_bfloat16) { return top_bits<8>(words, k); }
__device__ __forceinline__ double bits_53(const PackWords& words, int k) {
    return double(words.word[2 * k] >> 5) * 67108864.0 + double(words.word[2 * k + 1] >> 6);
}
constexpr double unit_53 = 1.1102230246251565404e-16;  // 2^-53
__device__ __forceinline__ double unit(const PackWords& words, int k, double) { return bits_53(words, k) * unit_53; }

// A number in (0, 1], with the whole of a word for a float.
__device__ __forceinline__ float above_zero(const PackWords& words, int k, float) {
    return (float(words.word[k]) + 0.5f) * 2.3283064365386962891e-10f;  // 2^-32
}
__device__ __forceinline__ double above_zero(const PackWords& words, int k, double) {
    return (bits_53(words, k) + 0.5) * unit_53;
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
    random_bits(unsigned* __restrict__ bits, unsigned key_0, unsigned key_1, unsigned long long offset,
                long long size) {
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
        const PackWords words(offset, at.first, key_0, key_1);
        Wide values[width];
#pragma unroll
        for (int k = 0; k < width; ++k) values[k] = unit(words, k, T());
        dc::store(y, at, values);
    });
}

// Standard normal (Box and Muller 1958): the elements 2j and 2j + 1 are the cosine and the sine of one pair.
// registers: 32
extern "C" __global__ void __launch_bounds__(256)
    random_normal(T* __restrict__ y, unsigned key_0, unsigned key_1, unsigned long long offset, long long size) {
    dc::for_each_pack<T>(dc::grid_start(), dc::grid_stride(), size, true, [&](const dc::Pack& at) {
        const PackWords words(offset, at.first, key_0, key_1);
        Wide values[width];
#pragma unroll
        for (int k = 0; k < width; k += 2) {
            // sincospi needs no reduction by a rounded pi, which would cost accuracy and local memory.
            const Wide radius = sqrt(Wide(-2) * log(above_zero(words, k, Wide(0))));
            Wide sine, cosine;
            sine_and_cosine_of_pi(Wide(2) * above_zero(words, k + 1, Wide(0)), &sine, &cosine);
            values[k] = radius * cosine;
            values[k + 1] = radius * sine;
        }
        dc::store(y, at, values);
    });
}

// y[i] = x[i] * scale where word i of the stream is at least `threshold`, else 0.
// registers: 32
extern "C" __global__ void __launch_bounds__(256)
    dropout(const T* __restrict__ x, T* __restrict__ y, unsigned threshold, Wide scale, unsigned key_0, unsigned key_1,
            unsigned long long offset, long long size) {
    constexpr int group = width < 4 ? 4 : width;  // elements of a thread: a word each, whatever their type
    const bool aligned = dc::is_aligned(x) && dc::is_aligned(y);
    for (int64_t begin = group * dc::grid_start(); begin < size; begin += group * dc::grid_stride()) {
        uint32_t word[group];
#pragma unroll
        for (int block = 0; block < group / 4; ++block) {
            const dc::Words words = dc::philox(offset + begin / 4 + block, key_0, key_1);
#pragma unroll
            for (int k = 0; k < 4; ++k) word[4 * block + k] = words.word[k];
        }
#pragma unroll
        for (int p = 0; p < group / width; ++p) {
            const int64_t first = begin + p * width;
            if (first >= size) break;
            const int count = size - first < width ? int(size - first) : width;
            const dc::Pack at = {first, count, aligned && count == width};
            Wide values[width];
            dc::load(x, at, values);
#pragma unroll
            for (int k = 0; k < width; ++k) values[k] = word[p * width + k] >= threshold ? values[k] * scale : Wide(0);
            dc::store(y, at, values);
        }
    }
}
