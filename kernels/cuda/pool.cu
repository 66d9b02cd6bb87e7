// 2-D pooling, maximum and mean, and their gradients. Images are [batch, rows, columns, channels].
//
// Neighbouring threads take neighbouring channels, WIDTH of them at once. Gradients are gathered: a pixel looks for the
// windows that it is in, so that nobody adds to the same place and every run gives the same.
//
// Macros: T; PLACE, the type of a position in a window (uint8_t or int); WIDTH: 1, or the elements in 16 bytes.
#include "divisor.cuh"
#include "vector.cuh"

using Wide = dc::accumulator<T>;

// As deepcore.backend.cuda.pool.SIZES. Window p covers rows p * stride - before up to + window.
struct Axis {
    int size, outputs, window, stride, before;
    dc::Divisor by_stride;

    __device__ __forceinline__ int first_row(int output) const { return output * stride - before; }
    // The taps of a window that are inside the image: from first_tap to before end_tap.
    __device__ __forceinline__ int first_tap(int output) const { return max(0, -first_row(output)); }
    __device__ __forceinline__ int end_tap(int output) const { return min(window, size - first_row(output)); }
    // The windows that a row is in: from first_output to last_output.
    __device__ __forceinline__ int first_output(int row) const {
        const int beyond = row + before - window;
        return beyond < 0 ? 0 : by_stride.quotient(beyond) + 1;
    }
    __device__ __forceinline__ int last_output(int row) const {
        return min(outputs - 1, by_stride.quotient(row + before));
    }
};

struct PoolSizes {
    Axis rows, columns;
    int batch, channels;
    dc::Divisor by_vectors, by_columns, by_outputs;  // channels / WIDTH; columns of x; columns of y
};

// What a thread computes: WIDTH channels of a pixel of a [rows, columns] image. blockIdx.y counts images.
struct Work {
    int row, column, channel;
    bool idle;

    __device__ __forceinline__ Work(const PoolSizes& sizes, int rows, const dc::Divisor& by_columns) {
        const int i = int(dc::grid_start());
        const int pixel = sizes.by_vectors.quotient(i);
        channel = sizes.by_vectors.remainder(i, pixel) * WIDTH;
        row = by_columns.quotient(pixel);
        column = by_columns.remainder(pixel, row);
        idle = row >= rows;
    }
};

// Index of the first channel of pixel (row, column).
__device__ __forceinline__ int64_t at(const PoolSizes& sizes, int image, int rows, int columns, int row, int column) {
    return ((int64_t(image) * rows + row) * columns + column) * sizes.channels;
}
__device__ __forceinline__ int64_t at_input(const PoolSizes& sizes, int image, int row, int column) {
    return at(sizes, image, sizes.rows.size, sizes.columns.size, row, column);
}
__device__ __forceinline__ int64_t at_output(const PoolSizes& sizes, int image, int row, int column) {
    return at(sizes, image, sizes.rows.outputs, sizes.columns.outputs, row, column);
}

// Whether a value takes the place of the largest so far: it is larger, or the first NaN.
__device__ __forceinline__ bool beats(Wide value, Wide best) { return !(value <= best) && best == best; }

// The maximum of each window and its first position in it, row * window width + column. Padding is never chosen.
// registers: 64
extern "C" __global__ void __launch_bounds__(256, 4)
    max_pool_fprop(const T* __restrict__ x, T* __restrict__ y, PLACE* __restrict__ argmax, PoolSizes sizes) {
    const Work work(sizes, sizes.rows.outputs, sizes.by_outputs);
    if (work.idle) return;
    const int first_row = sizes.rows.first_row(work.row), first_column = sizes.columns.first_row(work.column);
    const int first_i = sizes.rows.first_tap(work.row), end_i = sizes.rows.end_tap(work.row);
    const int first_j = sizes.columns.first_tap(work.column), end_j = sizes.columns.end_tap(work.column);
    for (int image = blockIdx.y; image < sizes.batch; image += gridDim.y) {
        Wide best[WIDTH];
        PLACE place[WIDTH];
        const T* corner = x + at_input(sizes, image, first_row + first_i, first_column + first_j) + work.channel;
        dc::load<WIDTH>(best, corner);
        dc::fill<WIDTH>(place, PLACE(first_i * sizes.columns.window + first_j));
        for (int i = first_i; i < end_i; ++i) {
            const T* from = x + at_input(sizes, image, first_row + i, first_column + first_j) + work.channel;
            for (int j = first_j; j < end_j; ++j, from += sizes.channels) {
                Wide value[WIDTH];
                dc::load<WIDTH>(value, from);
#pragma unroll
                for (int l = 0; l < WIDTH; ++l) {
                    const bool better = beats(value[l], best[l]);
                    best[l] = better ? value[l] : best[l];
                    place[l] = better ? PLACE(i * sizes.columns.window + j) : place[l];
                }
            }
        }
        const int64_t out = at_output(sizes, image, work.row, work.column) + work.channel;
        dc::store<WIDTH>(y + out, best);
        dc::store<WIDTH>(argmax + out, place);
    }
}

// dx sums the gradients of the windows whose maximum the pixel was.
// registers: 64
extern "C" __global__ void __launch_bounds__(256, 4)
    max_pool_dgrad(const T* __restrict__ dy, const PLACE* __restrict__ argmax, T* __restrict__ dx, PoolSizes sizes) {
    const Work work(sizes, sizes.rows.size, sizes.by_columns);
    if (work.idle) return;
    const int first_p = sizes.rows.first_output(work.row), last_p = sizes.rows.last_output(work.row);
    const int first_q = sizes.columns.first_output(work.column), last_q = sizes.columns.last_output(work.column);
    for (int image = blockIdx.y; image < sizes.batch; image += gridDim.y) {
        Wide sum[WIDTH] = {};
        for (int p = first_p; p <= last_p; ++p) {
            const int row_tap = work.row - sizes.rows.first_row(p);
            for (int q = first_q; q <= last_q; ++q) {
                const int tap = row_tap * sizes.columns.window + work.column - sizes.columns.first_row(q);
                const int64_t from = at_output(sizes, image, p, q) + work.channel;
                PLACE place[WIDTH];
                Wide gradient[WIDTH];
                dc::load<WIDTH>(place, argmax + from);
                dc::load<WIDTH>(gradient, dy + from);
#pragma unroll
                for (int l = 0; l < WIDTH; ++l) sum[l] += place[l] == tap ? gradient[l] : Wide(0);
            }
        }
        dc::store<WIDTH>(dx + at_input(sizes, image, work.row, work.column) + work.channel, sum);
    }
}

// y picks from x what argmax names.
// registers: 40, 56 for 16 bits
extern "C" __global__ void __launch_bounds__(256, 4)
    max_pool_gather(const T* __restrict__ x, const PLACE* __restrict__ argmax, T* __restrict__ y, PoolSizes sizes) {
    const Work work(sizes, sizes.rows.outputs, sizes.by_outputs);
    if (work.idle) return;
    const int first_row = sizes.rows.first_row(work.row), first_column = sizes.columns.first_row(work.column);
    for (int image = blockIdx.y; image < sizes.batch; image += gridDim.y) {
        const int64_t out = at_output(sizes, image, work.row, work.column) + work.channel;
        PLACE place[WIDTH];
        Wide value[WIDTH];
        dc::load<WIDTH>(place, argmax + out);
#pragma unroll
        for (int l = 0; l < WIDTH; ++l) {
            const int i = int(place[l]) / sizes.columns.window, j = int(place[l]) % sizes.columns.window;
            value[l] = Wide(x[at_input(sizes, image, first_row + i, first_column + j) + work.channel + l]);
        }
        dc::store<WIDTH>(y + out, value);
    }
}

// The mean of each window over what it has inside the image.
// registers: 64
extern "C" __global__ void __launch_bounds__(256, 4)
    avg_pool_fprop(const T* __restrict__ x, T* __restrict__ y, PoolSizes sizes) {
    const Work work(sizes, sizes.rows.outputs, sizes.by_outputs);
    if (work.idle) return;
    const int first_row = sizes.rows.first_row(work.row), first_column = sizes.columns.first_row(work.column);
    const int first_i = sizes.rows.first_tap(work.row), end_i = sizes.rows.end_tap(work.row);
    const int first_j = sizes.columns.first_tap(work.column), end_j = sizes.columns.end_tap(work.column);
    const Wide count = Wide((end_i - first_i) * (end_j - first_j));
    for (int image = blockIdx.y; image < sizes.batch; image += gridDim.y) {
        Wide sum[WIDTH] = {};
        for (int i = first_i; i < end_i; ++i) {
            const T* from = x + at_input(sizes, image, first_row + i, first_column + first_j) + work.channel;
            for (int j = first_j; j < end_j; ++j, from += sizes.channels) {
                Wide value[WIDTH];
                dc::load<WIDTH>(value, from);
#pragma unroll
                for (int l = 0; l < WIDTH; ++l) sum[l] += value[l];
            }
        }
#pragma unroll
        for (int l = 0; l < WIDTH; ++l) sum[l] /= count;
        dc::store<WIDTH>(y + at_output(sizes, image, work.row, work.column) + work.channel, sum);
    }
}

// dx sums the shares of the windows that the pixel is in.
// registers: 56
extern "C" __global__ void __launch_bounds__(256, 4)
    avg_pool_dgrad(const T* __restrict__ dy, T* __restrict__ dx, PoolSizes sizes) {
    const Work work(sizes, sizes.rows.size, sizes.by_columns);
    if (work.idle) return;
    const int first_p = sizes.rows.first_output(work.row), last_p = sizes.rows.last_output(work.row);
    const int first_q = sizes.columns.first_output(work.column), last_q = sizes.columns.last_output(work.column);
    for (int image = blockIdx.y; image < sizes.batch; image += gridDim.y) {
        Wide sum[WIDTH] = {};
        for (int p = first_p; p <= last_p; ++p) {
            const int height = sizes.rows.end_tap(p) - sizes.rows.first_tap(p);
            for (int q = first_q; q <= last_q; ++q) {
                const Wide share = Wide(1) / Wide(height * (sizes.columns.end_tap(q) - sizes.columns.first_tap(q)));
                Wide gradient[WIDTH];
                dc::load<WIDTH>(gradient, dy + at_output(sizes, image, p, q) + work.channel);
#pragma unroll
                for (int l = 0; l < WIDTH; ++l) sum[l] += gradient[l] * share;
            }
        }
        dc::store<WIDTH>(dx + at_input(sizes, image, work.row, work.column) + work.channel, sum);
    }
}

// Global pooling: one window, the whole image of `pixels` pixels. A block takes 32 * WIDTH channels of one image; its
// eight warps take every eighth pixel, and then the first warp combines what they found, in their order.
constexpr int warps = 8;

// blockIdx.x counts groups of channels, image after image.
struct GlobalWork {
    int image, channel;

    __device__ __forceinline__ explicit GlobalWork(int channels) {
        const int groups = dc::ceil_div(channels, dc::warp_size * WIDTH);
        image = blockIdx.x / groups;
        channel = (blockIdx.x % groups * dc::warp_size + dc::lane()) * WIDTH;
    }
};

// registers: 64
extern "C" __global__ void __launch_bounds__(256, 4)
    avg_pool_global(const T* __restrict__ x, T* __restrict__ y, int pixels, int channels) {
    DC_SHARED(Wide, found, [warps][WIDTH][dc::warp_size]);
    const GlobalWork work(channels);
    const bool idle = work.channel >= channels;
    Wide sum[WIDTH] = {};
    for (int pixel = dc::warp(); pixel < pixels && !idle; pixel += warps) {
        Wide value[WIDTH];
        dc::load<WIDTH>(value, x + (int64_t(work.image) * pixels + pixel) * channels + work.channel);
#pragma unroll
        for (int l = 0; l < WIDTH; ++l) sum[l] += value[l];
    }
#pragma unroll
    for (int l = 0; l < WIDTH; ++l) found[dc::warp()][l][dc::lane()] = sum[l];
    __syncthreads();
    if (dc::warp() > 0 || idle) return;
#pragma unroll
    for (int l = 0; l < WIDTH; ++l) {
        for (int other = 1; other < warps; ++other) sum[l] += found[other][l][dc::lane()];
        sum[l] /= Wide(pixels);
    }
    dc::store<WIDTH>(y + int64_t(work.image) * channels + work.channel, sum);
}

// registers: 40, 48 for 16 bits
extern "C" __global__ void __launch_bounds__(256, 4)
    max_pool_global(const T* __restrict__ x, T* __restrict__ y, PLACE* __restrict__ argmax, int pixels, int channels) {
    DC_SHARED(Wide, found, [warps][WIDTH][dc::warp_size]);
    DC_SHARED(int, places, [warps][WIDTH][dc::warp_size]);
    const GlobalWork work(channels);
    const bool idle = work.channel >= channels;
    // Every warp begins with the first pixel, so that one which has none of its own cannot win.
    Wide best[WIDTH] = {};
    int place[WIDTH] = {};
    if (!idle) dc::load<WIDTH>(best, x + int64_t(work.image) * pixels * channels + work.channel);
    for (int pixel = dc::warp(); pixel < pixels && !idle; pixel += warps) {
        Wide value[WIDTH];
        dc::load<WIDTH>(value, x + (int64_t(work.image) * pixels + pixel) * channels + work.channel);
#pragma unroll
        for (int l = 0; l < WIDTH; ++l) {
            const bool better = beats(value[l], best[l]);
            best[l] = better ? value[l] : best[l];
            place[l] = better ? pixel : place[l];
        }
    }
#pragma unroll
    for (int l = 0; l < WIDTH; ++l) {
        found[dc::warp()][l][dc::lane()] = best[l];
        places[dc::warp()][l][dc::lane()] = place[l];
    }
    __syncthreads();
    if (dc::warp() > 0 || idle) return;
    PLACE first[WIDTH];
#pragma unroll
    for (int l = 0; l < WIDTH; ++l) {
        for (int other = 1; other < warps; ++other) {
            const Wide value = found[other][l][dc::lane()];
            const int where = places[other][l][dc::lane()];
            // The warps' pixels are interleaved: among equals, and among NaNs, the earlier pixel is the first.
            const bool equal = value == best[l] || (value != value && best[l] != best[l]);
            const bool better = equal ? where < place[l] : beats(value, best[l]);
            best[l] = better ? value : best[l];
            place[l] = better ? where : place[l];
        }
        first[l] = PLACE(place[l]);
    }
    dc::store<WIDTH>(y + int64_t(work.image) * channels + work.channel, best);
    dc::store<WIDTH>(argmax + int64_t(work.image) * channels + work.channel, first);
}
