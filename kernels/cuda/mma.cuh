// Matrix products on tensor cores: slices of both operands in shared memory, and the warps that multiply them.
//
// A slice is 64 bytes of the inner axis. Shared memory holds it as global memory does, in rows along whichever axis is
// stored contiguously, so that it arrives by copies of 16 bytes, called chunks; ldmatrix turns it round where needed.
// One step of the tensor cores takes 32 bytes of the inner axis, whatever the format: 16 elements of 16 bits, or 8
// of 32.
//
// Fragments: a warp takes 16 outer elements and one step at a time from either operand, as four registers in the order
// in which mma.sync takes A. Registers 0 and 2 then are B for the first 8 columns, 1 and 3 for the next 8.
#pragma once

#include "gemm.cuh"
#include "ptx.cuh"

namespace dc {

enum Format { FLOAT16, BFLOAT16, TFLOAT32, TFLOAT32_3 };

// What shared memory holds.
template <int format>
struct Factor {
    using Type = float;
};
template <>
struct Factor<FLOAT16> {
    using Type = __half;
};
template <>
struct Factor<BFLOAT16> {
    using Type = __nv_bfloat16;
};

template <class First, class Second>
constexpr bool is_same = false;
template <class First>
constexpr bool is_same<First, First> = true;

constexpr int chunk_bytes = 16, slice_bytes = 64, step_chunks = 2;
constexpr int steps_of_slice = slice_bytes / (step_chunks * chunk_bytes);

// A slice of one operand: `extent` outer elements. `along_k`: its rows run along the inner axis.
template <class Element, int extent, bool rows_along_k>
struct Slice {
    static constexpr bool along_k = rows_along_k;
    static constexpr int width = chunk_bytes / sizeof(Element), depth = slice_bytes / sizeof(Element);
    static constexpr int rows = along_k ? extent : depth;
    static constexpr int row_chunks = (along_k ? depth : extent) / width;
    static constexpr int chunks = rows * row_chunks;
    // ldmatrix moves 16-bit elements. It can read rows of 32-bit ones as pairs, but not turn them round.
    static constexpr bool by_matrix = along_k || sizeof(Element) == 2;

    // Where a chunk lies. Chunks change places within 128 bytes, all banks of shared memory, so that what a warp reads
    // at a time meets every bank once: with ldmatrix one chunk each of 8 rows, without it two chunks each of 4 rows.
    static __device__ __forceinline__ int place(int row, int chunk) {
        const int line = row_chunks < 8 ? row * row_chunks / 8 : row;
        return (row * row_chunks + chunk) ^ (by_matrix ? line % 8 : row % 4 * 2);
    }

    // The fragment of 16 outer elements from `outer` on, a multiple of 16.
    static __device__ __forceinline__ void load(uint32_t (&to)[4], const uint4* slice, int outer, int step) {
        if constexpr (along_k) {
            load_matrix_x4(to, slice + place(outer + lane() % 16, step * step_chunks + lane() / 16));
        } else if constexpr (by_matrix) {
            const int k = step * 16 + lane() / 16 * 8 + lane() % 8;
            load_matrix_x4_transposed(to, slice + place(k, outer / 8 + lane() / 8 % 2));
        } else {
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const int k = step * 8 + i / 2 * 4 + lane() % 4, column = outer + i % 2 * 8 + lane() / 4;
                to[i] = reinterpret_cast<const uint32_t*>(slice + place(k, column / width))[column % width];
            }
        }
    }
};

// Brings slices of a stored matrix to shared memory; elements outside of the matrix are zeros. `access`: elements that
// may be read at once, 16 bytes' worth or one.
template <class Slice, class Element, class Stored, int access, int threads>
struct Courier {
    static constexpr int each = Slice::chunks / threads;
    static_assert(Slice::chunks % threads == 0, "every thread brings as many chunks");

    const Stored* data;
    int64_t stride;     // from row to row, in elements
    int rows, columns;  // of the matrix
    int outer;          // where the tile begins

    __device__ __forceinline__ Courier(const Stored* data, int64_t stride, int length, int k_length, int outer)
        : data(data),
          stride(stride),
          rows(Slice::along_k ? length : k_length),
          columns(Slice::along_k ? k_length : length),
          outer(outer) {}

    static __device__ __forceinline__ int index(int i) { return threadIdx.x + i * threads; }
    static __device__ __forceinline__ int place(int i) {
        return Slice::place(index(i) / Slice::row_chunks, index(i) % Slice::row_chunks);
    }
    __device__ __forceinline__ int row(int i, int k) const {
        return index(i) / Slice::row_chunks + (Slice::along_k ? outer : k);
    }
    __device__ __forceinline__ int column(int i, int k) const {
        return index(i) % Slice::row_chunks * Slice::width + (Slice::along_k ? k : outer);
    }

    // Begins to copy the slice from k on; needs whole accesses, and nothing to convert.
    __device__ __forceinline__ void copy(uint4* slice, int k) const {
#pragma unroll
        for (int i = 0; i < each; ++i) {
            const bool inside = row(i, k) < rows && column(i, k) < columns;
            copy_async_16(slice + place(i), inside ? data + row(i, k) * stride + column(i, k) : data, inside);
        }
    }

    // The same in two steps through registers.
    __device__ __forceinline__ void fetch(uint4 (&held)[each], int k) const {
#pragma unroll
        for (int i = 0; i < each; ++i) {
            const Stored* from = data + row(i, k) * stride + column(i, k);
            alignas(chunk_bytes) Stored values[Slice::width];
#pragma unroll
            for (int j = 0; j < Slice::width; j += access) {
                const bool inside = row(i, k) < rows && column(i, k) + j < columns;
                if constexpr (access == 1)
                    values[j] = inside ? from[j] : Stored(0.0f);
                else
                    *reinterpret_cast<uint4*>(values + j) =
                        inside ? *reinterpret_cast<const uint4*>(from + j) : uint4{0, 0, 0, 0};
            }
            if constexpr (is_same<Element, Stored>) {
                held[i] = *reinterpret_cast<const uint4*>(values);
            } else {
                alignas(chunk_bytes) Element converted[Slice::width];
#pragma unroll
                for (int j = 0; j < Slice::width; ++j) converted[j] = Element(values[j]);
                held[i] = *reinterpret_cast<const uint4*>(converted);
            }
        }
    }

    static __device__ __forceinline__ void put(uint4* slice, const uint4 (&held)[each]) {
#pragma unroll
        for (int i = 0; i < each; ++i) slice[place(i)] = held[i];
    }
};

// d += a b for one step. `wide`: with the instructions of sm_80.
template <int format, bool wide>
__device__ __forceinline__ void multiply_step(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    if constexpr (format == FLOAT16 && !wide) {
        mma_f16_k8(d, {a[0], a[1]}, {b0});
        mma_f16_k8(d, {a[2], a[3]}, {b1});
    } else if constexpr (format == FLOAT16) {
        mma_f16(d, a, {b0, b1});
    } else if constexpr (format == BFLOAT16) {
        mma_bf16(d, a, {b0, b1});
    } else {
        mma_tf32(d, a, {b0, b1});
    }
}

__device__ __forceinline__ bool is_finite(uint32_t bits) { return (bits & 0x7f800000u) != 0x7f800000u; }

// value = big + small, to about 22 bits, both of them TF32. A finite value that would round to infinity is cut off
// instead; the residual of infinity and NaN is zero, as they are whole already.
__device__ __forceinline__ void split(uint32_t value, uint32_t& big, uint32_t& small) {
    big = to_tf32(__uint_as_float(value));
    if (is_finite(value)) {
        if (!is_finite(big)) big = value & 0xffffe000u;
        small = to_tf32(__uint_as_float(value) - __uint_as_float(big));
    } else {
        small = 0;
    }
}

// The part of a tile that one warp computes: [m, 32] in fragments of 16 by 8.
template <int format, bool wide, class LeftSlice, class RightSlice, int m>
struct WarpTile {
    static constexpr int down = m / 16, across = 4;
    using Sums = float[down][across][4];

    // sums += the product of two slices, from `row` of the left one and `column` of the right one.
    static __device__ __forceinline__ void multiply(Sums& sums, const uint4* left, const uint4* right, int row,
                                                    int column) {
#pragma unroll
        for (int step = 0; step < steps_of_slice; ++step) {
            uint32_t a[down][4], b[across / 2][4];
#pragma unroll
            for (int i = 0; i < down; ++i) LeftSlice::load(a[i], left, row + i * 16, step);
#pragma unroll
            for (int j = 0; j < across / 2; ++j) RightSlice::load(b[j], right, column + j * 16, step);
            if constexpr (format == TFLOAT32_3) {
                multiply_compensated(sums, a, b);
            } else {
                if constexpr (format == TFLOAT32) round(a), round(b);
                multiply_all(sums, a, b);
            }
        }
    }

private:
    template <int count>
    static __device__ __forceinline__ void round(uint32_t (&fragments)[count][4]) {
#pragma unroll
        for (int i = 0; i < count; ++i)
#pragma unroll
            for (int j = 0; j < 4; ++j) fragments[i][j] = to_tf32(__uint_as_float(fragments[i][j]));
    }

    template <int count>
    static __device__ __forceinline__ void split_all(uint32_t (&values)[count][4], uint32_t (&small)[count][4]) {
#pragma unroll
        for (int i = 0; i < count; ++i)
#pragma unroll
            for (int j = 0; j < 4; ++j) split(values[i][j], values[i][j], small[i][j]);
    }

    template <int count>
    static __device__ __forceinline__ void keep_finite(uint32_t (&values)[count][4]) {
#pragma unroll
        for (int i = 0; i < count; ++i)
#pragma unroll
            for (int j = 0; j < 4; ++j) values[i][j] = is_finite(values[i][j]) ? values[i][j] : 0;
    }

    static __device__ __forceinline__ void multiply_all(Sums& sums, const uint32_t (&a)[down][4],
                                                        const uint32_t (&b)[across / 2][4]) {
#pragma unroll
        for (int i = 0; i < down; ++i)
#pragma unroll
            for (int j = 0; j < across; ++j)
                multiply_step<format, wide>(sums[i][j], a[i], b[j / 2][j % 2], b[j / 2][2 + j % 2]);
    }

    // Three products for the digits that one leaves out; the fourth, of both residuals, is below float32's last digit.
    // Infinity has met its factor in the first product: in the others it would meet residuals that are zero, and make
    // NaN of what is infinite.
    static __device__ __forceinline__ void multiply_compensated(Sums& sums, uint32_t (&a)[down][4],
                                                                uint32_t (&b)[across / 2][4]) {
        uint32_t small_a[down][4], small_b[across / 2][4];
        split_all(a, small_a), split_all(b, small_b);
        multiply_all(sums, a, b);
        keep_finite(a), keep_finite(b);
        multiply_all(sums, small_a, b);
        multiply_all(sums, a, small_b);
    }
};

// Four lanes turn a 4 by 4 matrix of words round, of which each has a row.
__device__ __forceinline__ void turn(uint32_t (&words)[4]) {
#pragma unroll
    for (int bit = 1; bit < 4; bit *= 2) {
        const bool upper = lane() & bit;
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            if (i & bit) continue;
            const uint32_t got = __shfl_xor_sync(full_warp, upper ? words[i] : words[i + bit], bit);
            words[i] = upper ? got : words[i];
            words[i + bit] = upper ? words[i + bit] : got;
        }
    }
}

}  // namespace dc
