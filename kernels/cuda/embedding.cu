// Rows of a table by number, and the sum of gradients back into the table. Built with -DT=<type of the table> and
// -DINDEX=<type of the numbers>.
#include "common.cuh"

using Wide = dc::accumulator<T>;

#ifndef INDEX
#define INDEX int
#endif

// y[i] = table[ids[i]], or NaN where there is no such row; table [vocabulary, columns], ids [count],
// y [count, columns]. Thread (x, y) of a block copies every blockDim.x-th column of a row.
// registers: 24
extern "C" __global__ void __launch_bounds__(256)
    gather(const T* __restrict__ table, const INDEX* __restrict__ ids, T* __restrict__ y, long long count,
           long long vocabulary, long long columns) {
    const int64_t stride = int64_t(gridDim.x) * blockDim.y;
    for (int64_t i = int64_t(blockIdx.x) * blockDim.y + threadIdx.y; i < count; i += stride) {
        const int64_t row = int64_t(ids[i]);
        const bool exists = row >= 0 && row < vocabulary;
        for (int64_t column = threadIdx.x; column < columns; column += blockDim.x)
            y[i * columns + column] = exists ? table[row * columns + column] : T(Wide(0) / Wide(0));
    }
}

constexpr int scatter_threads = 256;
constexpr int scatter_rows = scatter_threads / dc::warp_size;  // rows of the table that a block makes
constexpr int scatter_items = 4;                               // columns of a lane
constexpr int staged = 2048;                                   // ids in shared memory at a time

// table[v] = sum of dy[i] over the i with ids[i] = v, in the order of i; dy [count, columns],
// table [vocabulary, columns].
//
// A warp makes one row of the table, 128 columns of it: it looks through all ids for its own, so that nothing needs to
// be sorted, no two threads add to one element, and rows without an id become zero in the same launch. The block reads
// the ids once for its eight rows. blockIdx.x counts eights of rows, blockIdx.y 128s of columns.
// registers: 32
extern "C" __global__ void __launch_bounds__(scatter_threads)
    scatter(const T* __restrict__ dy, const INDEX* __restrict__ ids, T* __restrict__ table, long long count,
            long long vocabulary, long long columns) {
    DC_SHARED(INDEX, stage, [staged]);
    constexpr int tile = dc::warp_size * scatter_items;
    const int64_t groups = dc::ceil_div(vocabulary, (long long)scatter_rows);
    for (int64_t group = blockIdx.x; group < groups; group += gridDim.x)
        for (int64_t first = int64_t(blockIdx.y) * tile; first < columns; first += int64_t(gridDim.y) * tile) {
            const int64_t row = group * scatter_rows + dc::warp();
            Wide sums[scatter_items] = {};
            for (int64_t begin = 0; begin < count; begin += staged) {
                const int size = begin + staged < count ? staged : int(count - begin);
                __syncthreads();
                for (int i = threadIdx.x; i < size; i += scatter_threads) stage[i] = ids[begin + i];
                __syncthreads();
                for (int base = 0; base < size; base += dc::warp_size) {
                    const int mine = base + dc::lane();
                    unsigned found = __ballot_sync(dc::full_warp, mine < size && int64_t(stage[mine]) == row);
                    for (; found; found &= found - 1) {
                        const T* gradient = dy + (begin + base + __ffs(found) - 1) * columns;
#pragma unroll
                        for (int k = 0; k < scatter_items; ++k) {
                            const int64_t column = first + k * dc::warp_size + dc::lane();
                            if (column < columns) sums[k] += Wide(gradient[column]);
                        }
                    }
                }
            }
            if (row < vocabulary) {
#pragma unroll
                for (int k = 0; k < scatter_items; ++k) {
                    const int64_t column = first + k * dc::warp_size + dc::lane();
                    if (column < columns) table[row * columns + column] = T(sums[k]);
                }
            }
        }
}
