// Sums, maxima and minima over one axis. Built with -DT=<type of the elements>, -DR=<type of the result, whose
// accumulator is what is summed in> and -DOP=Sum, Max or Min (of common.cuh); the kernel for rows also with
// -DROW_THREADS.
//
// Both kernels cut what they reduce into chunks and write one result a chunk; where there are several, a second launch
// reduces these. That is what keeps a float32 sum accurate (no thread adds more than some hundred elements one after
// the other) and fills the GPU where there are few results. Nothing depends on the order in which blocks run.
#include "column.cuh"
#include "row.cuh"
#include "vector.cuh"

// What is accumulated.
using Total = dc::accumulator<R>;

// Where a reduction begins: at zero, or, for a maximum or minimum, at any element of what is reduced.
__device__ __forceinline__ Total start(dc::Sum, Total) { return static_cast<Total>(0); }
template <class Reduce>
__device__ __forceinline__ Total start(Reduce, Total element) {
    return element;
}

// y[row, chunk] = reduction of x[row, the columns of the chunk] / divisor; x [rows, columns], y [rows, chunks].
// Where chunks > 1, rows * chunks must be below 2^32.
// registers: 40
extern "C" __global__ void __launch_bounds__(256)
    reduce_rows(const T* __restrict__ x, R* __restrict__ y, long long rows, long long columns, long long chunk_columns,
                unsigned int chunks, Total divisor) {
    constexpr int width = dc::pack<T>;
    const dc::OP reduce;
    const bool aligned = columns % width == 0 && chunk_columns % width == 0 && dc::is_aligned(x);
    dc::for_each_row(rows * chunks, chunk_columns, [&](int64_t task, int64_t count) {
        // A row that is cut is one of few, so that 32 bits hold its task; a division of 64 bits is a call that spills.
        const int64_t row = chunks == 1 ? task : int64_t(unsigned(task) / chunks);
        const int64_t first = (task - row * chunks) * chunk_columns;
        const T* elements = x + row * columns + first;
        const bool idle = count == 0;
        if (first + count > columns) count = columns - first;
        const Total begin = start(reduce, static_cast<Total>(elements[0]));
        Total totals[width];
#pragma unroll
        for (int k = 0; k < width; ++k) totals[k] = begin;
        const int lane = dc::RowGroup::lane(), threads = dc::RowGroup::threads;
        if (aligned) {
            dc::for_each_pack<T>(lane, threads, count, true, [&](const dc::Pack& at) {
                Total values[width];
                dc::load(elements, at, values);
#pragma unroll
                for (int k = 0; k < width; ++k) totals[k] = reduce(totals[k], values[k]);
            });
        } else {
            for (int64_t i = lane; i < count; i += threads)
                totals[0] = reduce(totals[0], static_cast<Total>(elements[i]));
        }
        Total total = totals[0];
#pragma unroll
        for (int k = 1; k < width; ++k) total = reduce(total, totals[k]);
        total = dc::RowGroup::reduce(total, reduce, begin);
        if (!idle && lane == 0) y[task] = static_cast<R>(total / divisor);
    });
}

// y[outer, chunk, column] = reduction of x[outer, the rows of the chunk, column] / divisor;
// x [outer, rows, columns], y [outer, chunks, columns].
// registers: 40
extern "C" __global__ void __launch_bounds__(256, 4)
    reduce_columns(const T* __restrict__ x, R* __restrict__ y, long long outer, long long rows, long long columns,
                   long long chunk_rows, Total divisor) {
    const dc::OP reduce;
    dc::for_each_column_task(outer, rows, columns, chunk_rows, [&](const dc::ColumnTask& task) {
        // A thread without a row of its own (first_row >= last_row) must begin at a row that there is.
        const int64_t any_row = task.last_row - 1;
        Total total = start(reduce, static_cast<Total>(x[any_row * columns + task.clamped]));
#pragma unroll 4
        for (int64_t row = task.first_row; row < task.last_row; row += blockDim.y)
            total = reduce(total, static_cast<Total>(x[row * columns + task.clamped]));
        total = dc::reduce_strips(total, reduce);
        if (task.writes()) y[task.place(columns)] = static_cast<R>(total / divisor);
    });
}
