// Depthwise convolution: every channel has its own filters (K / C of them) and is summed with no other. Nothing is
// shared between channels, so that memory is the limit: neighbouring threads take neighbouring channels, and each
// thread computes a strip of neighbouring pixels from one reading of its filter.
//
// Macros: T; R, the type of dw, if it is another one; ACTIVATION (position in deepcore.backend.contract.ACTIVATIONS);
// WIDTH: neighbouring channels that may be moved at once, 1 or 16 bytes' worth, 1 if a channel has several filters;
// TAPS (for wgrad): taps in a run.
#include "conv.cuh"

#ifndef R
#define R T
#endif

constexpr int strip = 4;

// One of the pixels of an image, and the thread's channels. blockIdx.y counts images.
struct Work {
    int row, first_column, channel;
    bool idle;

    __device__ __forceinline__ Work(int rows, int columns, int channels) {
        const int vectors = channels / WIDTH, strips = dc::ceil_div(columns, strip);
        const int64_t i = dc::grid_start();
        idle = i >= int64_t(rows) * strips * vectors;
        channel = int(i % vectors) * WIDTH;
        first_column = int(i / vectors % strips) * strip;
        row = int(i / vectors / strips);
    }
};

// y = activation(conv(x, w) + bias); bias [K] or null.
// registers: 56
extern "C" __global__ void __launch_bounds__(256, 3)
    depthwise_fprop(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ bias, T* __restrict__ y,
                    dc::ConvSizes sizes) {
    const dc::Axis& rows = sizes.rows;
    const dc::Axis& columns = sizes.columns;
    const Work work(rows.outputs, columns.outputs, sizes.filters);
    if (work.idle) return;
    const int filter = work.channel;
    const T* from = x + sizes.by_multiplier.quotient(filter);
    for (int image = blockIdx.y; image < sizes.batch; image += gridDim.y) {
        Wide sums[strip][WIDTH] = {};
        for (int r = 0; r < rows.taps; ++r) {
            const int row = work.row * rows.stride + r * rows.dilation - rows.before;
            if (!dc::inside(row, rows.size)) continue;
            const T* line = from + (int64_t(image) * rows.size + row) * columns.size * sizes.channels;
            for (int s = 0; s < columns.taps; ++s) {
                Wide weight[WIDTH];
                dc::load<WIDTH>(weight, w + int64_t(r * columns.taps + s) * sizes.filters + filter);
#pragma unroll
                for (int i = 0; i < strip; ++i) {
                    const int q = work.first_column + i;
                    const int column = q * columns.stride + s * columns.dilation - columns.before;
                    if (!dc::inside(column, columns.size)) continue;
                    Wide value[WIDTH];
                    dc::load<WIDTH>(value, line + int64_t(column) * sizes.channels);
#pragma unroll
                    for (int j = 0; j < WIDTH; ++j) sums[i][j] += value[j] * weight[j];
                }
            }
        }
        T* out = y + ((int64_t(image) * rows.outputs + work.row) * columns.outputs) * sizes.filters + filter;
#pragma unroll
        for (int i = 0; i < strip; ++i) {
            const int q = work.first_column + i;
            if (q >= columns.outputs) break;
#pragma unroll
            for (int j = 0; j < WIDTH; ++j)
                sums[i][j] = activate(bias ? sums[i][j] + Wide(bias[filter + j]) : sums[i][j], ACTIVATION);
            dc::store<WIDTH>(out + int64_t(q) * sizes.filters, sums[i]);
        }
    }
}

// The output that tap r of pixel i reaches, or -1.
__device__ __forceinline__ int reached(const dc::Axis& axis, int i, int r) {
    const int distance = i + axis.before - r * axis.dilation;
    if (distance < 0) return -1;
    const int output = axis.by_stride.quotient(distance);
    return axis.by_stride.remainder(distance, output) == 0 && output < axis.outputs ? output : -1;
}

// The gradient at x: every pixel gathers from the outputs that it reached.
// registers: 56
extern "C" __global__ void __launch_bounds__(256, 3)
    depthwise_dgrad(const T* __restrict__ dy, const T* __restrict__ w, T* __restrict__ dx, dc::ConvSizes sizes) {
    const dc::Axis& rows = sizes.rows;
    const dc::Axis& columns = sizes.columns;
    const Work work(rows.size, columns.size, sizes.channels);
    if (work.idle) return;
    const int multiplier = sizes.by_multiplier.divisor;
    for (int image = blockIdx.y; image < sizes.batch; image += gridDim.y) {
        Wide sums[strip][WIDTH] = {};
        for (int r = 0; r < rows.taps; ++r) {
            const int p = reached(rows, work.row, r);
            if (p < 0) continue;
            const T* line = dy + (int64_t(image) * rows.outputs + p) * columns.outputs * sizes.filters;
            for (int s = 0; s < columns.taps; ++s) {
                for (int m = 0; m < multiplier; ++m) {
                    const int filter = work.channel * multiplier + m;
                    Wide weight[WIDTH];
                    dc::load<WIDTH>(weight, w + int64_t(r * columns.taps + s) * sizes.filters + filter);
#pragma unroll
                    for (int i = 0; i < strip; ++i) {
                        const int q = reached(columns, work.first_column + i, s);
                        if (q < 0) continue;
                        Wide value[WIDTH];
                        dc::load<WIDTH>(value, line + int64_t(q) * sizes.filters + filter);
#pragma unroll
                        for (int j = 0; j < WIDTH; ++j) sums[i][j] += value[j] * weight[j];
                    }
                }
            }
        }
        T* out = dx + (int64_t(image) * rows.size + work.row) * columns.size * sizes.channels + work.channel;
#pragma unroll
        for (int i = 0; i < strip; ++i)
            if (work.first_column + i < columns.size)
                dc::store<WIDTH>(out + int64_t(work.first_column + i) * sizes.channels, sums[i]);
    }
}

// The gradient at w, [parts, R, S, K], to be summed by sum_parts. A block takes 32 filters, a run of TAPS taps of one
// row of the filter (blockIdx.z), and a part of the output pixels (blockIdx.y); its eight warps take every eighth
// pixel.
// registers: 56
extern "C" __global__ void __launch_bounds__(256, 3)
    depthwise_wgrad(const T* __restrict__ x, const T* __restrict__ dy, R* __restrict__ dw, dc::ConvSizes sizes) {
    constexpr int warps = 8;
    DC_SHARED(Wide, partial, [warps][TAPS][dc::warp_size]);
    const dc::Axis& rows = sizes.rows;
    const dc::Axis& columns = sizes.columns;
    const int runs = dc::ceil_div(columns.taps, TAPS);
    const int r = blockIdx.z / runs, first_tap = blockIdx.z % runs * TAPS;
    const int filter = blockIdx.x * dc::warp_size + dc::lane();
    const int pixels = sizes.output_pixels();
    const int each = dc::ceil_div(pixels, int(gridDim.y));
    const int64_t begin = int64_t(blockIdx.y) * each, end = begin + each < pixels ? begin + each : pixels;
    Wide sums[TAPS] = {};
    if (filter < sizes.filters) {
        const T* from = x + sizes.by_multiplier.quotient(filter);
        for (int64_t pixel = begin + dc::warp(); pixel < end; pixel += warps) {
            const int image = sizes.by_outputs.quotient(pixel), within = sizes.by_outputs.remainder(pixel, image);
            const int p = sizes.by_output_columns.quotient(within), q = sizes.by_output_columns.remainder(within, p);
            const int row = p * rows.stride + r * rows.dilation - rows.before;
            if (!dc::inside(row, rows.size)) continue;
            const Wide gradient = Wide(dy[pixel * sizes.filters + filter]);
            const T* line = from + (int64_t(image) * rows.size + row) * columns.size * sizes.channels;
#pragma unroll
            for (int i = 0; i < TAPS; ++i) {
                const int column = q * columns.stride + (first_tap + i) * columns.dilation - columns.before;
                if (dc::inside(column, columns.size))
                    sums[i] += gradient * Wide(line[int64_t(column) * sizes.channels]);
            }
        }
    }
#pragma unroll
    for (int i = 0; i < TAPS; ++i) partial[dc::warp()][i][dc::lane()] = sums[i];
    __syncthreads();
    for (int i = dc::warp(); i < TAPS; i += warps) {
        if (filter >= sizes.filters || first_tap + i >= columns.taps) continue;
        Wide sum = 0;
#pragma unroll
        for (int other = 0; other < warps; ++other) sum += partial[other][i][dc::lane()];
        const int64_t tap = (int64_t(blockIdx.y) * rows.taps + r) * columns.taps + first_tap + i;
        dw[tap * sizes.filters + filter] = R(sum);
    }
}
