// Conversion between floating types. Built with -DT=<type of x> and -DR=<type of y>.
#include "vector.cuh"

// y = x, rounded to nearest, ties to even. Each thread moves 16 bytes of the narrower type at a time.
// registers: 32
extern "C" __global__ void __launch_bounds__(256) cast(const T* __restrict__ x, R* __restrict__ y, long long size) {
    using Wide = dc::accumulator<T>;
    constexpr int width = sizeof(T) < sizeof(R) ? dc::pack<T> : dc::pack<R>;
    const bool aligned = dc::is_aligned(x) && dc::is_aligned(y);
    for (int64_t first = dc::grid_start() * width; first < size; first += dc::grid_stride() * width) {
        if (aligned && size - first >= width) {
            Wide values[width];
            dc::load<width>(values, x + first);
            dc::store<width>(y + first, values);
        } else {
            for (int64_t i = first; i < first + width && i < size; ++i) y[i] = R(Wide(x[i]));
        }
    }
}
