// Matrix products on CUDA cores: y = activation(a b + bias), a ladder from the definition to a fast kernel.
//
// Every kernel computes the same for the same arguments; each rung removes what limited the one before:
//     matmul_naive     every multiplication fetches both of its factors from global memory
//     matmul_tiled     a block shares what it fetches; now shared memory is the limit, with two reads a multiplication
//     matmul_register  a thread computes 4 x 4 elements and reads 8 numbers for 16 multiplications
//     matmul_simt      wide accesses, 8 x 8 elements a thread, and fetching overlaps with computing
//
// Macros: T; R, the type of y, if it is another one; ACTIVATION (position in deepcore.backend.contract.ACTIVATIONS);
// for matmul_simt TRANSPOSE_A, TRANSPOSE_B, the tile, and WIDTH_A, WIDTH_B, WIDTH_Y: elements that may be moved at
// once, 1 or 16 bytes' worth.
#include "gemm.cuh"
#include "matmul.cuh"

#ifndef R
#define R T
#endif
#ifndef ACTIVATION
#define ACTIVATION 0
#endif
#ifndef TILE_M
#define TILE_M 32
#define TILE_N 32
#define TILE_K 8
#define THREAD_M 4
#define THREAD_N 4
#define TRANSPOSE_A 0
#define TRANSPOSE_B 0
#define WIDTH_A 1
#define WIDTH_B 1
#define WIDTH_Y 1
#endif
#ifndef MIN_BLOCKS
#define MIN_BLOCKS 1
#endif

// One thread an element. Neighbouring threads take neighbouring columns: their reads of b and writes of y coalesce, and
// their reads of a are one broadcast.
// registers: 32
extern "C" __global__ void __launch_bounds__(256)
    matmul_naive(const T* __restrict__ a, const T* __restrict__ b, const T* __restrict__ bias, T* __restrict__ y,
                 MatmulSizes sizes, long long elements) {
    for (int64_t i = dc::grid_start(); i < elements; i += dc::grid_stride()) {
        const int column = i % sizes.n, row = i / sizes.n % sizes.m, product = i / sizes.n / sizes.m;
        const T* left = a + sizes.a_offset(product) + row * sizes.a_row;
        const T* right = b + sizes.b_offset(product) + column * sizes.b_column;
        Wide sum = 0;
        for (int k = 0; k < sizes.k; ++k) sum += Wide(left[k * sizes.a_column]) * Wide(right[k * sizes.b_row]);
        y[i] = T(activate(bias ? sum + Wide(bias[column]) : sum, ACTIVATION));
    }
}

// A block of 16 x 16 threads computes as many elements, from slices of both operands that it shares: each number is
// fetched once a block, not once a thread.
// registers: 32
extern "C" __global__ void __launch_bounds__(256)
    matmul_tiled(const T* __restrict__ a, const T* __restrict__ b, const T* __restrict__ bias, T* __restrict__ y,
                 MatmulSizes sizes) {
    constexpr int side = 16;
    // One more column than needed, so that a column of a slice lies in different banks of shared memory.
    DC_SHARED(Wide, left, [side][side + 1]);
    DC_SHARED(Wide, right, [side][side + 1]);
    const int across = threadIdx.x % side, down = threadIdx.x / side;
    const int tiles_n = dc::ceil_div(sizes.n, side), tiles = tiles_n * dc::ceil_div(sizes.m, side);
    const int product = blockIdx.x / tiles, tile = blockIdx.x % tiles;
    const int row = tile / tiles_n * side + down, column = tile % tiles_n * side + across;
    a += sizes.a_offset(product), b += sizes.b_offset(product), y += sizes.y_offset(product);
    Wide sum = 0;
    for (int k = 0; k < sizes.k; k += side) {
        const bool left_inside = row < sizes.m && k + across < sizes.k;
        const bool right_inside = column < sizes.n && k + down < sizes.k;
        left[down][across] = left_inside ? Wide(a[row * sizes.a_row + (k + across) * sizes.a_column]) : Wide(0);
        right[down][across] = right_inside ? Wide(b[(k + down) * sizes.b_row + column * sizes.b_column]) : Wide(0);
        __syncthreads();
#pragma unroll
        for (int step = 0; step < side; ++step) sum += left[down][step] * right[step][across];
        // Nobody may overwrite a slice that another still reads.
        __syncthreads();
    }
    if (row < sizes.m && column < sizes.n)
        y[int64_t(row) * sizes.n + column] = T(activate(bias ? sum + Wide(bias[column]) : sum, ACTIVATION));
}

// A block of 16 x 16 threads computes 64 x 64 elements, 4 x 4 a thread, 16 apart, so that the threads of a warp read
// neighbouring numbers.
// registers: 80
extern "C" __global__ void __launch_bounds__(256, 3)
    matmul_register(const T* __restrict__ a, const T* __restrict__ b, const T* __restrict__ bias, T* __restrict__ y,
                    MatmulSizes sizes) {
    constexpr int side = 64, depth = 16, lanes = 16, each = side / lanes;
    DC_SHARED(Wide, left, [depth][side + 1]);
    DC_SHARED(Wide, right, [depth][side + 1]);
    const int across = threadIdx.x % lanes, down = threadIdx.x / lanes;
    const int tiles_n = dc::ceil_div(sizes.n, side), tiles = tiles_n * dc::ceil_div(sizes.m, side);
    const int product = blockIdx.x / tiles, tile = blockIdx.x % tiles;
    const int first_row = tile / tiles_n * side, first_column = tile % tiles_n * side;
    a += sizes.a_offset(product), b += sizes.b_offset(product), y += sizes.y_offset(product);
    Wide sums[each][each] = {};
    for (int k = 0; k < sizes.k; k += depth) {
#pragma unroll
        for (int i = 0; i < each; ++i) {
            const int row = first_row + i * lanes + down, k_left = k + across;
            const bool left_inside = row < sizes.m && k_left < sizes.k;
            left[across][i * lanes + down] =
                left_inside ? Wide(a[row * sizes.a_row + k_left * sizes.a_column]) : Wide(0);
            const int column = first_column + i * lanes + across, k_right = k + down;
            const bool right_inside = column < sizes.n && k_right < sizes.k;
            right[down][i * lanes + across] =
                right_inside ? Wide(b[k_right * sizes.b_row + column * sizes.b_column]) : Wide(0);
        }
        __syncthreads();
#pragma unroll
        for (int step = 0; step < depth; ++step) {
            Wide from_left[each], from_right[each];
#pragma unroll
            for (int i = 0; i < each; ++i) {
                from_left[i] = left[step][i * lanes + down];
                from_right[i] = right[step][i * lanes + across];
            }
#pragma unroll
            for (int i = 0; i < each; ++i)
#pragma unroll
                for (int j = 0; j < each; ++j) sums[i][j] += from_left[i] * from_right[j];
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < each; ++i) {
        const int row = first_row + i * lanes + down;
#pragma unroll
        for (int j = 0; j < each; ++j) {
            const int column = first_column + j * lanes + across;
            if (row < sizes.m && column < sizes.n)
                y[int64_t(row) * sizes.n + column] =
                    T(activate(bias ? sums[i][j] + Wide(bias[column]) : sums[i][j], ACTIVATION));
        }
    }
}

using Shape = dc::Tile<TILE_M, TILE_N, TILE_K, THREAD_M, THREAD_N>;

// The tile of gemm.cuh. A grid of several blocks in y adds up as many parts of the inner axis: y then is
// [parts, products, m, n], to be summed by sum_parts.
// registers: 168
extern "C" __global__ void __launch_bounds__(TILE_M / THREAD_M * TILE_N / THREAD_N, MIN_BLOCKS)
    matmul_simt(const T* __restrict__ a, const T* __restrict__ b, const T* __restrict__ bias, R* __restrict__ y,
                MatmulSizes sizes, int products) {
    const dc::Place place = dc::Place::of<Shape>(sizes.m, sizes.n);
    const dc::Part part = dc::Part::of<Shape>(sizes.k);
    const dc::Matrix<WIDTH_A, !TRANSPOSE_A> left{a + sizes.a_offset(place.product),
                                                 TRANSPOSE_A ? sizes.a_column : sizes.a_row, sizes.m, sizes.k};
    const dc::Matrix<WIDTH_B, TRANSPOSE_B> right{b + sizes.b_offset(place.product),
                                                 TRANSPOSE_B ? sizes.b_column : sizes.b_row, sizes.n, sizes.k};
    Wide sums[Shape::thread_m][Shape::thread_n];
    dc::multiply<Shape>(sums, left, right, place, part);
    y += sizes.y_offset(place.product) + sizes.y_offset(products) * blockIdx.y;
    dc::finish<Shape, WIDTH_Y, ACTIVATION>(sums, dc::Rows<R>{y, sizes.n, sizes.m}, sizes.n, bias, place);
}
