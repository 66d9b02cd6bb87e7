// The tile that all products on CUDA cores share: matmul, and convolution as an implicit matrix product.
//
// A block computes a tile of the product; it walks along the inner axis `depth` elements at a time. Two buffers in
// shared memory take turns: while one is multiplied, the next slices travel from global memory through registers into
// the other, so that one barrier a step is enough. Each thread keeps thread_m * thread_n sums in registers.
//
// Slices and sums are as wide as what is computed in: an operand of 16 bits is converted once, on its way into shared
// memory, and the loop over it is that of float32.
//
// An operand is a source: it says where in memory its element (outer, k) is, which is all that tells a matrix from the
// pixels that a convolution gathers.
#pragma once

#include "activation.cuh"
#include "vector.cuh"

namespace dc {

constexpr int chunk = 16 / sizeof(Wide);   // elements of the widest access to shared memory
constexpr int sector = 32 / sizeof(Wide);  // elements of a row fetched together: what global memory delivers, or half

// How the threads of a block share a tile. A warp is 4 by 8 threads. Each thread owns chunks that lie as far apart as
// the warp is wide, so that the 8 lanes of a row read 128 neighbouring bytes of shared memory at a time.
template <int tile_m, int tile_n, int tile_depth, int thread_rows, int thread_columns>
struct Tile {
    static constexpr int m = tile_m, n = tile_n, depth = tile_depth;
    static constexpr int thread_m = thread_rows, thread_n = thread_columns;
    static constexpr int lanes_m = 4, lanes_n = 8;
    static constexpr int warps_m = m / (lanes_m * thread_m), warps_n = n / (lanes_n * thread_n);
    static constexpr int threads = warps_m * warps_n * warp_size;
    static_assert(m == warps_m * lanes_m * thread_m && n == warps_n * lanes_n * thread_n, "whole warps");
    static_assert(thread_m % chunk == 0 && thread_n % chunk == 0 && depth % sector == 0, "whole accesses");

    // First row (column) of the thread's chunk `i`, in the tile.
    static __device__ __forceinline__ int row(int i) {
        return (warp() / warps_n * thread_m + i * chunk) * lanes_m + lane() / lanes_n * chunk;
    }
    static __device__ __forceinline__ int column(int i) {
        return (warp() % warps_n * thread_n + i * chunk) * lanes_n + lane() % lanes_n * chunk;
    }
};

// Which tile a block computes: blockIdx.x counts tiles of one product, product after product.
struct Place {
    int m, n;     // first row and column
    int product;  // of a batch, or of the groups of a convolution

    // Blocks that run at the same time should read the same operands, which then stay in the L2 cache: tiles are
    // counted down a band of eight rows before the next column begins.
    template <class Shape>
    static __device__ __forceinline__ Place of(int rows, int columns) {
        constexpr int band = 8;
        const int down = ceil_div(rows, Shape::m), across = ceil_div(columns, Shape::n);
        const int product = blockIdx.x / (down * across), tile = blockIdx.x % (down * across);
        const int first = tile / (band * across) * band;
        const int height = down - first < band ? down - first : band;
        const int within = tile - first * across;
        return {(first + within % height) * Shape::m, within / height * Shape::n, product};
    }
};

// The part of the inner axis that a block adds up: blockIdx.y counts the parts, of whole steps except for the last.
struct Part {
    int begin, end;

    template <class Shape>
    static __device__ __forceinline__ Part of(int length) {
        const int steps = ceil_div(ceil_div(length, Shape::depth), int(gridDim.y));
        const int64_t begin = int64_t(blockIdx.y) * steps * Shape::depth;
        const int64_t end = begin + int64_t(steps) * Shape::depth;
        return {int(begin < length ? begin : length), int(end < length ? end : length)};
    }
};

// A stored matrix as a source, of rows `stride` elements apart. `along_k`: a row holds the elements of one outer index.
template <int elements, bool rows_are_outer>
struct Matrix {
    static constexpr int width = elements;
    static constexpr bool along_k = rows_are_outer;
    using Spot = const T*;

    const T* data;
    int64_t stride;
    int outer, length;

    __device__ __forceinline__ Spot locate(int i) const {
        return i < outer ? data + (along_k ? i * stride : int64_t(i)) : nullptr;
    }
    __device__ __forceinline__ void fetch(T* to, Spot spot, int k) const {
        if (spot && k < length)
            load<width>(to, spot + (along_k ? int64_t(k) : k * stride));
        else
            fill<width>(to, T(0));
    }
};

// Brings the slices of one operand from its source into shared memory, [depth][extent + padding].
//
// Neighbouring threads read neighbouring memory. Where that runs along k, each access covers one sector of a row, and
// the elements are turned round on their way: the padding makes the 32 lanes of such a store meet 32 different banks.
template <class Source, int extent, int depth, int threads>
struct Loader {
    static constexpr int padding = 4;
    static constexpr int width = Source::width;
    static constexpr int accesses = extent * depth / width;
    static constexpr int each = ceil_div(accesses, threads);
    using Slice = Wide[depth][extent + padding];

    typename Source::Spot spots[each];
    T values[each][width];

    static __device__ __forceinline__ int index(int i) { return threadIdx.x + i * threads; }
    static __device__ __forceinline__ bool idle(int i) { return accesses % threads != 0 && index(i) >= accesses; }
    static __device__ __forceinline__ int outer(int i) {
        return Source::along_k ? index(i) / (sector / width) % extent : index(i) % (extent / width) * width;
    }
    static __device__ __forceinline__ int inner(int i) {
        if (!Source::along_k) return index(i) / (extent / width);
        return index(i) % (sector / width) * width + index(i) / (sector / width * extent) * sector;
    }

    __device__ __forceinline__ Loader(const Source& source, int first) {
#pragma unroll
        for (int i = 0; i < each; ++i) spots[i] = source.locate(first + outer(i));
    }

    __device__ __forceinline__ void fetch(const Source& source, int k) {
#pragma unroll
        for (int i = 0; i < each; ++i)
            if (!idle(i)) source.fetch(values[i], spots[i], k + inner(i));
    }

    __device__ __forceinline__ void put(Slice& slice) const {
#pragma unroll
        for (int i = 0; i < each; ++i) {
            if (idle(i)) continue;
            if (Source::along_k) {
#pragma unroll
                for (int j = 0; j < width; ++j) slice[inner(i) + j][outer(i)] = Wide(values[i][j]);
            } else {
                store<width>(&slice[inner(i)][outer(i)], values[i]);
            }
        }
    }
};

// sums += a[first_m..., k] * b[k, first_n...] for k from begin to end; all threads of the block call it, once.
template <class Shape, class Left, class Right>
__device__ __forceinline__ void multiply(Wide (&sums)[Shape::thread_m][Shape::thread_n], const Left& left,
                                         const Right& right, const Place& place, const Part& part) {
    using LeftLoader = Loader<Left, Shape::m, Shape::depth, Shape::threads>;
    using RightLoader = Loader<Right, Shape::n, Shape::depth, Shape::threads>;
    DC_SHARED(Wide, left_slices, [2][Shape::depth][Shape::m + LeftLoader::padding]);
    DC_SHARED(Wide, right_slices, [2][Shape::depth][Shape::n + RightLoader::padding]);

#pragma unroll
    for (int i = 0; i < Shape::thread_m; ++i) fill<Shape::thread_n>(sums[i], Wide(0));
    if (part.begin >= part.end) return;

    LeftLoader from_left(left, place.m);
    RightLoader from_right(right, place.n);
    from_left.fetch(left, part.begin);
    from_right.fetch(right, part.begin);
    from_left.put(left_slices[0]);
    from_right.put(right_slices[0]);
    __syncthreads();

    int current = 0;
    for (int k = part.begin;; k += Shape::depth) {
        const bool more = part.end - k > Shape::depth;
        if (more) {
            from_left.fetch(left, k + Shape::depth);
            from_right.fetch(right, k + Shape::depth);
        }
#pragma unroll
        for (int step = 0; step < Shape::depth; ++step) {
            Wide a[Shape::thread_m], b[Shape::thread_n];
#pragma unroll
            for (int i = 0; i < Shape::thread_m / chunk; ++i)
                load<chunk>(a + i * chunk, &left_slices[current][step][Shape::row(i)]);
#pragma unroll
            for (int i = 0; i < Shape::thread_n / chunk; ++i)
                load<chunk>(b + i * chunk, &right_slices[current][step][Shape::column(i)]);
#pragma unroll
            for (int i = 0; i < Shape::thread_m; ++i)
#pragma unroll
                for (int j = 0; j < Shape::thread_n; ++j) sums[i][j] += a[i] * b[j];
        }
        if (!more) break;
        // Nobody reads the other buffer any more: the last who did passed the barrier of the step before.
        current ^= 1;
        from_left.put(left_slices[current]);
        from_right.put(right_slices[current]);
        __syncthreads();
    }
}

// Rows of a matrix as the place for a result; others put the rows elsewhere.
template <class Element>
struct Rows {
    Element* data;
    int64_t stride;
    int rows;

    // Where row i is; null for a row outside of the result.
    __device__ __forceinline__ Element* row(int i) const { return i < rows ? data + i * stride : nullptr; }
};

// Writes activation(sums + bias); `width` neighbouring elements of a row at a time.
template <class Shape, int width, int activation, class Output>
__device__ __forceinline__ void finish(Wide (&sums)[Shape::thread_m][Shape::thread_n], const Output& output,
                                       int columns, const T* __restrict__ bias, const Place& place) {
#pragma unroll
    for (int i = 0; i < Shape::thread_m; ++i) {
        auto* row = output.row(place.m + Shape::row(i / chunk) + i % chunk);
        if (!row) continue;
#pragma unroll
        for (int j = 0; j < Shape::thread_n; j += width) {
            const int column = place.n + Shape::column(j / chunk) + j % chunk;
            if (column >= columns) continue;
            Wide value[width];
#pragma unroll
            for (int l = 0; l < width; ++l)
                value[l] = activate(bias ? sums[i][j + l] + Wide(bias[column + l]) : sums[i][j + l], activation);
            store<width>(row + column, value);
        }
    }
}

}  // namespace dc
