// What a convolution reads: sizes, and where an output pixel and a tap of the filter meet in memory.
//
// The three directions are matrix products over operands that are gathered, never stored (implicit GEMM):
//     fprop   y  [pixels, K]   = patches of x  [pixels, taps C]  times  w [taps C, K]
//     dgrad   dx [pixels, C]   = patches of dy [pixels, taps K]  times  w turned round [taps K, C]
//     wgrad   dw [taps C, K]   = patches of x, turned round [taps C, pixels]  times  dy [pixels, K]
#pragma once

#include "divisor.cuh"
#include "gemm.cuh"

namespace dc {

// One of the two axes of an image. Output p and tap r of the filter meet at row p * stride + r * dilation - before.
struct Axis {
    int size, outputs, taps, stride, before, dilation;
    // For dgrad: of the rows that leave the same remainder by the stride, a phase, there are at most phase_size, and
    // every tap_step-th tap reaches them. Phases have one of two counts of taps.
    int phase_size, tap_step;
    Divisor by_phase_taps[2];
    Divisor by_stride;
};

// As deepcore.backend.cuda.conv.SIZES. A product decomposes indices by the divisors of its direction.
struct ConvSizes {
    Axis rows, columns;
    int batch, channels, filters, groups;         // C and K, in all groups
    Divisor by_outputs, by_output_columns;        // pixels of y in an image, and in a row
    Divisor by_phase, by_phase_columns;           // pixels of x in a phase of an image, and in a row of it
    Divisor by_group_channels, by_group_filters;  // C and K of a group
    Divisor by_columns_taps, by_multiplier;       // taps in a row of the filter; K / C

    __device__ __forceinline__ int group_channels() const { return by_group_channels.divisor; }
    __device__ __forceinline__ int group_filters() const { return by_group_filters.divisor; }
    __device__ __forceinline__ int taps() const { return rows.taps * columns.taps; }
    __device__ __forceinline__ int output_pixels() const { return batch * by_outputs.divisor; }
};

__device__ __forceinline__ bool inside(int i, int size) { return unsigned(i) < unsigned(size); }

// Rows of an image that one phase of dgrad makes, remainder + i * stride, and the taps that reach them.
struct Phase {
    int remainder, first_tap, taps;
    int output;  // row i and tap first_tap + t * tap_step meet at output row  output + i - t * output_step
    int output_step;
    Divisor by_taps;

    __device__ __forceinline__ Phase(const Axis& axis, int remainder) : remainder(remainder), taps(0), output(0) {
        for (first_tap = 0; first_tap < axis.tap_step && first_tap < axis.taps; ++first_tap) {
            const int distance = remainder + axis.before - first_tap * axis.dilation;
            if (distance % axis.stride) continue;
            taps = (axis.taps - first_tap + axis.tap_step - 1) / axis.tap_step;
            output = distance / axis.stride;
            break;
        }
        output_step = axis.tap_step * axis.dilation / axis.stride;
        by_taps = axis.by_phase_taps[taps == axis.by_phase_taps[0].divisor ? 0 : 1];
    }
};

// Where pixels of a product are in an image: the one of coordinates (i, j) meets tap (r, s) at row
// first_row + i * row_step + r * row_tap, and likewise in columns.
struct Walk {
    int first_row, row_step, row_tap;
    int first_column, column_step, column_tap;
};

// Patches as the left operand of fprop and dgrad: outer index = pixel, k = (tap, channel), the channel innermost.
template <int elements>
struct Patches {
    static constexpr int width = elements;
    static constexpr bool along_k = true;
    struct Spot {
        const T* image;  // null outside of the product
        int row, column;
    };

    const T* data;  // of the first channel of the group
    int rows, columns, channels;
    int pixels, length;  // of the product
    Walk walk;
    Divisor by_image, by_row;              // pixels of the product in an image, and in a row
    Divisor by_channels, by_columns_taps;  // of a group

    __device__ __forceinline__ Spot locate(int pixel) const {
        if (pixel >= pixels) return {nullptr, 0, 0};
        const int image = by_image.quotient(pixel), within = by_image.remainder(pixel, image);
        const int i = by_row.quotient(within), j = by_row.remainder(within, i);
        return {data + image * (int64_t(rows) * columns * channels), walk.first_row + i * walk.row_step,
                walk.first_column + j * walk.column_step};
    }
    __device__ __forceinline__ void fetch(T* to, const Spot& spot, int k) const {
        const int tap = by_channels.quotient(k), channel = by_channels.remainder(k, tap);
        const int r = by_columns_taps.quotient(tap), s = by_columns_taps.remainder(tap, r);
        const int row = spot.row + r * walk.row_tap, column = spot.column + s * walk.column_tap;
        if (spot.image && k < length && inside(row, rows) && inside(column, columns))
            load<width>(to, spot.image + (int64_t(row) * columns + column) * channels + channel);
        else
            fill<width>(to, T(0));
    }
};

// The filters that reach a phase, turned round: outer index = input channel, k = (tap, filter), the filter innermost.
template <int elements>
struct TurnedFilters {
    static constexpr int width = elements;
    static constexpr bool along_k = true;
    using Spot = const T*;

    const T* w;             // of the first filter of the group
    int channels, filters;  // channels of a group, filters of all groups
    int length, columns_taps;
    int first_row_tap, row_tap_step, first_column_tap, column_tap_step;
    Divisor by_filters, by_columns_taps;

    __device__ __forceinline__ Spot locate(int channel) const {
        return channel < channels ? w + int64_t(channel) * filters : nullptr;
    }
    __device__ __forceinline__ void fetch(T* to, Spot spot, int k) const {
        const int tap = by_filters.quotient(k), filter = by_filters.remainder(k, tap);
        const int i = by_columns_taps.quotient(tap), j = by_columns_taps.remainder(tap, i);
        const int r = first_row_tap + i * row_tap_step, s = first_column_tap + j * column_tap_step;
        if (spot && k < length)
            load<width>(to, spot + int64_t(r * columns_taps + s) * channels * filters + filter);
        else
            fill<width>(to, T(0));
    }
};

// Patches as the left operand of wgrad: outer index = (tap, channel), k = pixel of y.
template <int elements>
struct TurnedPatches {
    static constexpr int width = elements;
    static constexpr bool along_k = false;
    struct Spot {
        const T* channel;  // null outside of the product
        int row, column;
    };

    const T* x;  // of the first channel of the group
    const ConvSizes& sizes;
    int outer, length;

    __device__ __forceinline__ Spot locate(int i) const {
        if (i >= outer) return {nullptr, 0, 0};
        const int tap = sizes.by_group_channels.quotient(i), channel = sizes.by_group_channels.remainder(i, tap);
        const int r = sizes.by_columns_taps.quotient(tap), s = sizes.by_columns_taps.remainder(tap, r);
        return {x + channel, r * sizes.rows.dilation - sizes.rows.before,
                s * sizes.columns.dilation - sizes.columns.before};
    }
    __device__ __forceinline__ void fetch(T* to, const Spot& spot, int pixel) const {
        const int image = sizes.by_outputs.quotient(pixel), within = sizes.by_outputs.remainder(pixel, image);
        const int p = sizes.by_output_columns.quotient(within), q = sizes.by_output_columns.remainder(within, p);
        const int row = spot.row + p * sizes.rows.stride, column = spot.column + q * sizes.columns.stride;
        if (spot.channel && pixel < length && inside(row, sizes.rows.size) && inside(column, sizes.columns.size)) {
            const int64_t line = int64_t(image) * sizes.rows.size + row;
            load<width>(to, spot.channel + (line * sizes.columns.size + column) * sizes.channels);
        } else {
            fill<width>(to, T(0));
        }
    }
};

// Where dgrad puts the pixels of a phase.
struct PhasePixels {
    T* dx;  // of the first channel of the group
    const ConvSizes& sizes;
    int first_row, first_column, pixels;

    __device__ __forceinline__ T* row(int pixel) const {
        const int image = sizes.by_phase.quotient(pixel), within = sizes.by_phase.remainder(pixel, image);
        const int i = sizes.by_phase_columns.quotient(within), j = sizes.by_phase_columns.remainder(within, i);
        const int row = first_row + i * sizes.rows.stride, column = first_column + j * sizes.columns.stride;
        if (pixel >= pixels || row >= sizes.rows.size || column >= sizes.columns.size) return nullptr;
        return dx + ((int64_t(image) * sizes.rows.size + row) * sizes.columns.size + column) * sizes.channels;
    }
};

}  // namespace dc
