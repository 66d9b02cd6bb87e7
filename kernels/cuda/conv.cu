// 2-D convolution in its three directions as implicit matrix products; see conv.cuh for the operands.
//
// Images are [batch, rows, columns, channels], filters [rows, columns, channels of a group, filters].
//
// Macros: T; R, the type of dw, if it is another one; ACTIVATION (position in deepcore.backend.contract.ACTIVATIONS);
// the tile; WIDTH_A, WIDTH_B, WIDTH_Y: elements of the left and right operand and of the result that may be moved at
// once, 1 or 16 bytes' worth.
#include "conv.cuh"

#ifndef R
#define R T
#endif

using Shape = dc::Tile<TILE_M, TILE_N, TILE_K, THREAD_M, THREAD_N>;

// y = activation(conv(x, w) + bias); bias [K] or null.
// registers: 192, 200 for 16 bits
extern "C" __global__ void __launch_bounds__(TILE_M / THREAD_M * TILE_N / THREAD_N, MIN_BLOCKS)
    conv2d_fprop(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ bias, T* __restrict__ y,
                 dc::ConvSizes sizes) {
    const int pixels = sizes.output_pixels(), length = sizes.taps() * sizes.group_channels();
    const dc::Place place = dc::Place::of<Shape>(pixels, sizes.group_filters());
    const int channel = place.product * sizes.group_channels(), filter = place.product * sizes.group_filters();
    const dc::Walk walk = {-sizes.rows.before,    sizes.rows.stride,    sizes.rows.dilation,
                           -sizes.columns.before, sizes.columns.stride, sizes.columns.dilation};
    const dc::Patches<WIDTH_A> patches{
        x + channel,      sizes.rows.size,         sizes.columns.size,      sizes.channels,       pixels, length, walk,
        sizes.by_outputs, sizes.by_output_columns, sizes.by_group_channels, sizes.by_columns_taps};
    const dc::Matrix<WIDTH_B, false> filters{w + filter, sizes.filters, sizes.group_filters(), length};
    Wide sums[Shape::thread_m][Shape::thread_n];
    dc::multiply<Shape>(sums, patches, filters, place, dc::Part{0, length});
    dc::finish<Shape, WIDTH_Y, ACTIVATION>(sums, dc::Rows<T>{y + filter, sizes.filters, pixels}, sizes.group_filters(),
                                           bias ? bias + filter : nullptr, place);
}

// The gradient at x. Pixels of x that leave the same remainders by the strides are reached by the same taps, so that
// each such phase is a convolution of dy with stride 1, and nobody multiplies by the zeros between.
// registers: 192
extern "C" __global__ void __launch_bounds__(TILE_M / THREAD_M * TILE_N / THREAD_N, MIN_BLOCKS)
    conv2d_dgrad(const T* __restrict__ dy, const T* __restrict__ w, T* __restrict__ dx, dc::ConvSizes sizes) {
    const int pixels = sizes.batch * sizes.by_phase.divisor;
    const dc::Place place = dc::Place::of<Shape>(pixels, sizes.group_channels());
    const int group = place.product % sizes.groups, phase = place.product / sizes.groups;
    const int channel = group * sizes.group_channels(), filter = group * sizes.group_filters();
    const dc::Phase down(sizes.rows, phase / sizes.columns.stride);
    const dc::Phase across(sizes.columns, phase % sizes.columns.stride);
    const int length = down.taps * across.taps * sizes.group_filters();
    const dc::Walk walk = {down.output, 1, -down.output_step, across.output, 1, -across.output_step};
    const dc::Patches<WIDTH_A> patches{
        dy + filter, sizes.rows.outputs, sizes.columns.outputs,  sizes.filters,          pixels,        length,
        walk,        sizes.by_phase,     sizes.by_phase_columns, sizes.by_group_filters, across.by_taps};
    const dc::TurnedFilters<WIDTH_B> filters{w + filter,
                                             sizes.group_channels(),
                                             sizes.filters,
                                             length,
                                             sizes.columns.taps,
                                             down.first_tap,
                                             sizes.rows.tap_step,
                                             across.first_tap,
                                             sizes.columns.tap_step,
                                             sizes.by_group_filters,
                                             across.by_taps};
    Wide sums[Shape::thread_m][Shape::thread_n];
    dc::multiply<Shape>(sums, patches, filters, place, dc::Part{0, length});
    const dc::PhasePixels out{dx + channel, sizes, down.remainder, across.remainder, pixels};
    dc::finish<Shape, WIDTH_Y, 0>(sums, out, sizes.group_channels(), nullptr, place);
}

// The gradient at w. A grid of several blocks in y adds up as many parts of the pixels: dw then is [parts, ...], to be
// summed by sum_parts.
// registers: 176 (128 x 128 x 8 tiles, element by element)
extern "C" __global__ void __launch_bounds__(TILE_M / THREAD_M * TILE_N / THREAD_N, MIN_BLOCKS)
    conv2d_wgrad(const T* __restrict__ x, const T* __restrict__ dy, R* __restrict__ dw, dc::ConvSizes sizes) {
    const int pixels = sizes.output_pixels(), outer = sizes.taps() * sizes.group_channels();
    const dc::Place place = dc::Place::of<Shape>(outer, sizes.group_filters());
    const int channel = place.product * sizes.group_channels(), filter = place.product * sizes.group_filters();
    const dc::TurnedPatches<WIDTH_A> patches{x + channel, sizes, outer, pixels};
    const dc::Matrix<WIDTH_B, false> gradients{dy + filter, sizes.filters, sizes.group_filters(), pixels};
    Wide sums[Shape::thread_m][Shape::thread_n];
    dc::multiply<Shape>(sums, patches, gradients, place, dc::Part::of<Shape>(pixels));
    R* part = dw + int64_t(blockIdx.y) * outer * sizes.filters + filter;
    dc::finish<Shape, WIDTH_Y, 0>(sums, dc::Rows<R>{part, sizes.filters, outer}, sizes.group_filters(), nullptr, place);
}
