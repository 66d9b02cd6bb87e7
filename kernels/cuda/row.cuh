// Rows of a matrix, each given to a group of ROW_THREADS threads: a part of a warp, a warp, or a whole block of 256.
//
// Built with -DROW_THREADS=8, 32 or 256, so that the threads fit the length of the rows.
#pragma once

#include "common.cuh"

#ifndef ROW_THREADS
#define ROW_THREADS 32
#endif

namespace dc {

constexpr int row_block = 256;

struct RowGroup {
    static constexpr int threads = ROW_THREADS;
    static constexpr int rows_a_block = row_block / threads;

    __device__ __forceinline__ static int lane() { return threadIdx.x % threads; }
    __device__ __forceinline__ static int group() { return threadIdx.x / threads; }

    // Reduces over the group; every thread gets the result, in a fixed order of additions. All threads of the block
    // must call it. `neutral` changes nothing that it is combined with.
    template <class Value, class Reduce>
    __device__ __forceinline__ static Value reduce(Value value, Reduce reduce, Value neutral) {
        if constexpr (threads > warp_size) {
            return block_reduce<threads>(value, reduce, neutral);
        } else {
#pragma unroll
            for (int distance = threads / 2; distance > 0; distance /= 2)
                value = reduce(value, __shfl_xor_sync(full_warp, value, distance));
            return value;
        }
    }

    template <class Value>
    __device__ __forceinline__ static Value sum(Value value) {
        return reduce(value, Sum(), Value(0));
    }

    template <class Value>
    __device__ __forceinline__ static Value max(Value value) {
        return reduce(value, Max(), value);
    }
};

// Calls body(row, columns) for every row that falls to this group. All groups of a block make the same number of calls,
// because reductions meet in them: a group for which no row is left is given the last one, and 0 columns of it.
template <class Body>
__device__ __forceinline__ void for_each_row(int64_t rows, int64_t columns, Body body) {
    constexpr int rows_a_block = RowGroup::rows_a_block;
    for (int64_t first = int64_t(blockIdx.x) * rows_a_block; first < rows; first += int64_t(gridDim.x) * rows_a_block) {
        const int64_t row = first + RowGroup::group();
        if (row < rows)
            body(row, columns);
        else
            body(rows - 1, int64_t(0));
    }
}

}  // namespace dc
