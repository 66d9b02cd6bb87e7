// Convolution of images with up to four channels (the first layer of a network), forward.
//
// An implicit matrix product would fetch each pixel once a tap, element by element, since so few channels make no wide
// access. Here a block brings its patch of the image into shared memory once, and every tap reads it there.
//
// Macros: T; CHANNELS; ACTIVATION (position in deepcore.backend.contract.ACTIVATIONS); WIDTH_Y: neighbouring filters
// that may be stored at once, 1 or 16 bytes' worth; MIN_BLOCKS: blocks whose registers should fit a multiprocessor.
#include "conv.cuh"

// A block of 128 threads computes 32 filters of 8 x 16 pixels; a thread 8 filters of 4 pixels two rows apart.
constexpr int tile_rows = 8, tile_columns = 16, tile_filters = 32;
constexpr int thread_pixels = 4, thread_filters = 8;
constexpr int threads = tile_rows * tile_columns / thread_pixels * (tile_filters / thread_filters);

// y = activation(conv(x, w) + bias); bias [K] or null. blockIdx.x counts tiles of an image, filters innermost.
// Dynamic shared memory: the filters of `rows_at_once` rows of taps, then the patch, both as wide as what is computed
// in.
// registers: 128
extern "C" __global__ void __launch_bounds__(128, MIN_BLOCKS)
    conv2d_direct(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ bias, T* __restrict__ y,
                  dc::ConvSizes sizes, int rows_at_once) {
    const dc::Axis& rows = sizes.rows;
    const dc::Axis& columns = sizes.columns;
    const int row_taps = columns.taps * CHANNELS;
    const int patch_rows = (tile_rows - 1) * rows.stride + (rows.taps - 1) * rows.dilation + 1;
    const int patch_columns = (tile_columns - 1) * columns.stride + (columns.taps - 1) * columns.dilation + 1;
    const int patch_width = patch_columns * CHANNELS;
    DC_DYNAMIC_SHARED(Wide, filters);
    Wide* patch = filters + rows_at_once * row_taps * tile_filters;

    const int filter_tiles = dc::ceil_div(sizes.filters, tile_filters);
    const int across = dc::ceil_div(columns.outputs, tile_columns);
    const int tile = blockIdx.x / filter_tiles;
    const int first_filter = blockIdx.x % filter_tiles * tile_filters;
    const int first_p = tile / across * tile_rows, first_q = tile % across * tile_columns;
    const int first_row = first_p * rows.stride - rows.before;
    const int first_element = (first_q * columns.stride - columns.before) * CHANNELS;
    const int filter = threadIdx.x % (tile_filters / thread_filters) * thread_filters;
    const int pixel = threadIdx.x / (tile_filters / thread_filters);

    for (int image = blockIdx.y; image < sizes.batch; image += gridDim.y) {
        // The patch of the image before may still be read.
        __syncthreads();
        const int width = columns.size * CHANNELS;
        for (int i = dc::warp(); i < patch_rows; i += threads / dc::warp_size) {
            const int row = first_row + i;
            const T* line = x + (int64_t(image) * rows.size + row) * width;
            for (int j = dc::lane(); j < patch_width; j += dc::warp_size) {
                const bool within = dc::inside(row, rows.size) && dc::inside(first_element + j, width);
                patch[i * patch_width + j] = within ? Wide(line[first_element + j]) : Wide(0);
            }
        }
        Wide sums[thread_pixels][thread_filters] = {};
        for (int first_tap = 0; first_tap < rows.taps; first_tap += rows_at_once) {
            const int taps = rows.taps - first_tap < rows_at_once ? rows.taps - first_tap : rows_at_once;
            if (first_tap > 0) __syncthreads();
            for (int i = threadIdx.x; i < taps * row_taps * tile_filters; i += threads) {
                const int k = first_filter + i % tile_filters;
                const int64_t tap = first_tap * row_taps + i / tile_filters;
                filters[i] = k < sizes.filters ? Wide(w[tap * sizes.filters + k]) : Wide(0);
            }
            __syncthreads();
            for (int r = 0; r < taps; ++r) {
                const Wide* from[thread_pixels];
#pragma unroll
                for (int i = 0; i < thread_pixels; ++i) {
                    const int place = pixel + i * (threads / (tile_filters / thread_filters));
                    const int row = place / tile_columns * rows.stride + (first_tap + r) * rows.dilation;
                    from[i] = patch + row * patch_width + place % tile_columns * columns.stride * CHANNELS;
                }
#pragma unroll 1
                for (int s = 0; s < columns.taps; ++s) {
#pragma unroll
                    for (int c = 0; c < CHANNELS; ++c) {
                        const Wide* weights = filters + ((r * columns.taps + s) * CHANNELS + c) * tile_filters + filter;
                        Wide weight[thread_filters];
#pragma unroll
                        for (int j = 0; j < thread_filters; j += dc::chunk)
                            dc::load<dc::chunk>(weight + j, weights + j);
#pragma unroll
                        for (int i = 0; i < thread_pixels; ++i) {
                            const Wide value = from[i][s * columns.dilation * CHANNELS + c];
#pragma unroll
                            for (int j = 0; j < thread_filters; ++j) sums[i][j] += value * weight[j];
                        }
                    }
                }
            }
        }
#pragma unroll
        for (int i = 0; i < thread_pixels; ++i) {
            const int place = pixel + i * (threads / (tile_filters / thread_filters));
            const int p = first_p + place / tile_columns, q = first_q + place % tile_columns;
            if (p >= rows.outputs || q >= columns.outputs) continue;
            T* out = y + ((int64_t(image) * rows.outputs + p) * columns.outputs + q) * sizes.filters;
#pragma unroll
            for (int j = 0; j < thread_filters; j += WIDTH_Y) {
                const int k = first_filter + filter + j;
                if (k >= sizes.filters) continue;
                Wide value[WIDTH_Y];
#pragma unroll
                for (int l = 0; l < WIDTH_Y; ++l)
                    value[l] = activate(bias ? sums[i][j + l] + Wide(bias[k + l]) : sums[i][j + l], ACTIVATION);
                dc::store<WIDTH_Y>(out + k, value);
            }
        }
    }
}
