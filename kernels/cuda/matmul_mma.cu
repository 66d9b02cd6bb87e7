// Matrix products on tensor cores by mma.sync: y = activation(a b + bias), summed in float32.
//
// Macros: STORED, the type of all arrays; FORMAT, in which the factors are multiplied (dc::Format); ACTIVATION;
// TRANSPOSE_A, TRANSPOSE_B; the tile of a block and how its warps share it; WIDTH_A, WIDTH_B, WIDTH_Y: elements that
// may be moved at once, 1 or 16 bytes' worth; CAPABILITY: 75 for what every tensor core has, 80 for what it has since
// then; MIN_BLOCKS, of a multiprocessor. T, the type of sums, is float.
#ifndef STORED
#define STORED float
#define FORMAT 2
#define ACTIVATION 0
#define TILE_M 64
#define TILE_N 64
#define WARPS_M 2
#define WARPS_N 2
#define TRANSPOSE_A 0
#define TRANSPOSE_B 0
#define WIDTH_A 4
#define WIDTH_B 4
#define WIDTH_Y 4
#define CAPABILITY 80
#define MIN_BLOCKS 1
#endif

#include "matmul.cuh"
#include "mma.cuh"

namespace {

struct Shape {
    static constexpr int m = TILE_M, n = TILE_N;
    static constexpr int warps_m = WARPS_M, warps_n = WARPS_N, threads = warps_m * warps_n * dc::warp_size;
    static constexpr int warp_m = m / warps_m, warp_n = n / warps_n;
};

using Element = dc::Factor<FORMAT>::Type;
using LeftSlice = dc::Slice<Element, Shape::m, !TRANSPOSE_A>;
using RightSlice = dc::Slice<Element, Shape::n, TRANSPOSE_B>;
using LeftCourier = dc::Courier<LeftSlice, Element, STORED, WIDTH_A, Shape::threads>;
using RightCourier = dc::Courier<RightSlice, Element, STORED, WIDTH_B, Shape::threads>;
using WarpTile = dc::WarpTile<FORMAT, CAPABILITY >= 80, LeftSlice, RightSlice, Shape::warp_m>;
static_assert(Shape::warp_n == 32, "the columns of a warp");

constexpr int depth = LeftSlice::depth, stage_chunks = LeftSlice::chunks + RightSlice::chunks;
constexpr bool asynchronous = CAPABILITY >= 80 && WIDTH_A > 1 && WIDTH_B > 1 && dc::is_same<Element, STORED>;
constexpr int stages = asynchronous ? 3 : 2;

// Adds one slice. Tensor cores cut off what does not fit a sum. To be as accurate as float32, sums begin anew with each
// slice, and are added to the others outside, where additions round.
__device__ __forceinline__ void multiply_slice(WarpTile::Sums& sums, const uint4* stage) {
    const int row = dc::warp() / Shape::warps_n * Shape::warp_m, column = dc::warp() % Shape::warps_n * Shape::warp_n;
    if constexpr (FORMAT == dc::TFLOAT32_3) {
        WarpTile::Sums part = {};
        WarpTile::multiply(part, stage, stage + LeftSlice::chunks, row, column);
#pragma unroll
        for (int i = 0; i < WarpTile::down; ++i)
#pragma unroll
            for (int j = 0; j < WarpTile::across; ++j)
#pragma unroll
                for (int l = 0; l < 4; ++l) sums[i][j][l] += part[i][j][l];
    } else {
        WarpTile::multiply(sums, stage, stage + LeftSlice::chunks, row, column);
    }
}

// While one stage is multiplied, the copies of two more are under way.
__device__ __forceinline__ void multiply_copied(WarpTile::Sums& sums, uint4* shared, const LeftCourier& left,
                                                const RightCourier& right, int steps) {
    const auto copy = [&](int step) {
        uint4* stage = shared + step % stages * stage_chunks;
        left.copy(stage, step * depth);
        right.copy(stage + LeftSlice::chunks, step * depth);
    };
#pragma unroll
    for (int step = 0; step < stages - 1; ++step) {
        if (step < steps) copy(step);
        dc::commit_copies();
    }
    for (int step = 0; step < steps; ++step) {
        // This thread's copies have landed, and after the barrier everybody's. Everybody has also left the stage
        // before, which the next copies overwrite.
        dc::wait_copies<stages - 2>();
        __syncthreads();
        if (step + stages - 1 < steps) copy(step + stages - 1);
        // Also where there is nothing left to copy: what is waited for is counted in groups.
        dc::commit_copies();
        multiply_slice(sums, shared + step % stages * stage_chunks);
    }
}

// The same for GPUs without asynchronous copies, for matrices whose rows are not aligned, and for elements that are
// converted: while one stage is multiplied, the next is on its way to registers.
__device__ __forceinline__ void multiply_fetched(WarpTile::Sums& sums, uint4* shared, const LeftCourier& left,
                                                 const RightCourier& right, int steps) {
    if (steps == 0) return;
    uint4 from_left[LeftCourier::each], from_right[RightCourier::each];
    left.fetch(from_left, 0), right.fetch(from_right, 0);
    left.put(shared, from_left), right.put(shared + LeftSlice::chunks, from_right);
    __syncthreads();
    for (int step = 0;; ++step) {
        const bool more = step + 1 < steps;
        if (more) left.fetch(from_left, (step + 1) * depth), right.fetch(from_right, (step + 1) * depth);
        multiply_slice(sums, shared + step % stages * stage_chunks);
        if (!more) break;
        // Nobody reads the other stage any more: the last who did passed the barrier of the step before.
        uint4* next = shared + (step + 1) % stages * stage_chunks;
        left.put(next, from_left), right.put(next + LeftSlice::chunks, from_right);
        __syncthreads();
    }
}

// Two neighbouring elements of y as one word of 16-bit elements.
__device__ __forceinline__ uint32_t packed(float first, float second) {
    alignas(4) STORED pair[2] = {STORED(first), STORED(second)};
    return *reinterpret_cast<const uint32_t*>(pair);
}

// Writes activation(sums + bias). A lane has two neighbouring columns of every fragment: of 32-bit elements four lanes
// fill a sector. Of 16-bit ones they fill half a sector, unless they swap until each has a whole fragment's row.
__device__ __forceinline__ void finish(WarpTile::Sums& sums, STORED* y, int m, int n, const STORED* bias,
                                       const dc::Place& place) {
    const int first_row = place.m + dc::warp() / Shape::warps_n * Shape::warp_m + dc::lane() / 4;
    const int first_column = place.n + dc::warp() % Shape::warps_n * Shape::warp_n;
#pragma unroll
    for (int j = 0; j < WarpTile::across; ++j) {
        const int column = first_column + j * 8 + dc::lane() % 4 * 2;
        const float bias_0 = bias && column < n ? float(bias[column]) : 0.0f;
        const float bias_1 = bias && column + 1 < n ? float(bias[column + 1]) : 0.0f;
#pragma unroll
        for (int i = 0; i < WarpTile::down; ++i)
#pragma unroll
            for (int l = 0; l < 4; ++l) sums[i][j][l] = activate(sums[i][j][l] + (l % 2 ? bias_1 : bias_0), ACTIVATION);
    }
#pragma unroll
    for (int i = 0; i < WarpTile::down * 2; ++i) {
        const int row = first_row + i * 8;
        STORED* to = y + int64_t(row) * n;
        if constexpr (WIDTH_Y == 8) {
            uint32_t words[4];
#pragma unroll
            for (int j = 0; j < 4; ++j) words[j] = packed(sums[i / 2][j][i % 2 * 2], sums[i / 2][j][i % 2 * 2 + 1]);
            dc::turn(words);
            const int column = first_column + dc::lane() % 4 * 8;
            if (row < m && column < n)
                *reinterpret_cast<uint4*>(to + column) = uint4{words[0], words[1], words[2], words[3]};
        } else {
#pragma unroll
            for (int j = 0; j < WarpTile::across; ++j) {
                const int column = first_column + j * 8 + dc::lane() % 4 * 2;
                const float first = sums[i / 2][j][i % 2 * 2], second = sums[i / 2][j][i % 2 * 2 + 1];
                if constexpr (WIDTH_Y == 4) {
                    if (row < m && column < n) *reinterpret_cast<float2*>(to + column) = float2{first, second};
                } else {
                    if (row < m && column < n) to[column] = STORED(first);
                    if (row < m && column + 1 < n) to[column + 1] = STORED(second);
                }
            }
        }
    }
}

}  // namespace

// A block of TILE_M by TILE_N elements; blockIdx.x counts tiles, product after product.
// registers: 184
extern "C" __global__ void __launch_bounds__(WARPS_M* WARPS_N * 32, MIN_BLOCKS)
    matmul_mma(const STORED* __restrict__ a, const STORED* __restrict__ b, const STORED* __restrict__ bias,
               STORED* __restrict__ y, MatmulSizes sizes) {
    DC_DYNAMIC_SHARED(uint4, shared);
    const dc::Place place = dc::Place::of<Shape>(sizes.m, sizes.n);
    const LeftCourier left(a + sizes.a_offset(place.product), TRANSPOSE_A ? sizes.a_column : sizes.a_row, sizes.m,
                           sizes.k, place.m);
    const RightCourier right(b + sizes.b_offset(place.product), TRANSPOSE_B ? sizes.b_column : sizes.b_row, sizes.n,
                             sizes.k, place.n);
    WarpTile::Sums sums = {};
    const int steps = dc::ceil_div(sizes.k, depth);
    if constexpr (asynchronous)
        multiply_copied(sums, shared, left, right, steps);
    else
        multiply_fetched(sums, shared, left, right, steps);
    finish(sums, y + sizes.y_offset(place.product), sizes.m, sizes.n, bias, place);
}
