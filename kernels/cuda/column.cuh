// Sums along the columns of a row-major matrix, and other work that gives each thread one column.
//
// A matrix [outer, rows, columns] is cut into tasks: a tile of blockDim.x neighbouring columns, and a chunk of rows. In
// a task, thread (x, y) has column x of the tile and every blockDim.y-th row of the chunk from the y-th on, so that a
// warp reads neighbouring addresses. What the chunks give is put together by a second launch, in a fixed order.
#pragma once

#include "common.cuh"

namespace dc {

constexpr int column_block = 256;

struct ColumnTask {
    int64_t column;     // may be beyond the last one
    int64_t clamped;    // the column, or the last one: what is safe to read
    int64_t first_row;  // of this thread, counted over all of the outer axis
    int64_t last_row;   // one past the last of this chunk
    int64_t chunk;      // counted over all of the outer axis
    bool inside;

    // The place of this task's result in an array [outer, chunks, columns].
    __device__ __forceinline__ int64_t place(int64_t columns) const { return chunk * columns + column; }
    // Whether this thread writes what the block has reduced.
    __device__ __forceinline__ bool writes() const { return inside && threadIdx.y == 0; }
};

// Calls body(task) for every task of this block; all of its threads together.
template <class Body>
__device__ __forceinline__ void for_each_column_task(int64_t outer, int64_t rows, int64_t columns, int64_t chunk_rows,
                                                     Body body) {
    const int64_t tiles = ceil_div(columns, int64_t(blockDim.x)), chunks = ceil_div(rows, chunk_rows);
    for (int64_t i = blockIdx.x; i < outer * chunks * tiles; i += gridDim.x) {
        ColumnTask task;
        task.chunk = i / tiles;
        task.column = (i - task.chunk * tiles) * blockDim.x + threadIdx.x;
        task.inside = task.column < columns;
        task.clamped = task.inside ? task.column : columns - 1;
        const int64_t matrix = task.chunk / chunks, first = (task.chunk - matrix * chunks) * chunk_rows;
        task.first_row = matrix * rows + first + threadIdx.y;
        task.last_row = matrix * rows + (first + chunk_rows < rows ? first + chunk_rows : rows);
        body(task);
    }
}

// Combines the values of the threads of one column; the thread with y = 0 gets the result. All threads of the block
// must call it, and blockDim.y must be a power of two.
template <class Value, class Combine>
__device__ __forceinline__ Value reduce_strips(Value value, Combine combine) {
    DC_SHARED(Value, partial, [column_block]);
    const int place = threadIdx.y * blockDim.x + threadIdx.x;
    // The threads may still be reading what an earlier call left here.
    __syncthreads();
    partial[place] = value;
    for (int half = blockDim.y / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.y < half) partial[place] = combine(partial[place], partial[place + half * blockDim.x]);
    }
    return partial[place];
}

// Two sums at once.
template <class Value>
struct Sums {
    Value first, second;
};

struct AddSums {
    template <class Value>
    __device__ __forceinline__ Sums<Value> operator()(Sums<Value> a, Sums<Value> b) const {
        return {a.first + b.first, a.second + b.second};
    }
};

}  // namespace dc
