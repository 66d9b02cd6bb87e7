// Bias and activation, and their gradient from the result. Built with -DT=<type of the elements>.
#include "activation.cuh"
#include "column.cuh"
#include "vector.cuh"

using Wide = dc::accumulator<T>;

// y = activation(x + bias), x and y [rows, columns], bias [columns] or null; y may be x.
// registers: 40
extern "C" __global__ void __launch_bounds__(256)
    bias_activation(const T* x, const T* __restrict__ bias, T* y, int columns, int activation, long long size) {
    constexpr int width = dc::pack<T>;
    const bool aligned = dc::is_aligned(x) && dc::is_aligned(y);
    dc::for_each_pack<T>(dc::grid_start(), dc::grid_stride(), size, aligned, [&](const dc::Pack& at) {
        Wide values[width];
        dc::load(x, at, values);
        int column = bias ? dc::modulo(at.first, columns) : 0;
#pragma unroll
        for (int k = 0; k < width; ++k) {
            if (bias) {
                values[k] += Wide(bias[column]);
                if (++column == columns) column = 0;
            }
            values[k] = activate(values[k], activation);
        }
        dc::store(y, at, values);
    });
}

// dz = dy * activation'(z), from y = activation(z).
// registers: 32
extern "C" __global__ void __launch_bounds__(256) activation_dgrad(const T* __restrict__ dy, const T* __restrict__ y,
                                                                   T* __restrict__ dz, int activation, long long size) {
    constexpr int width = dc::pack<T>;
    const bool aligned = dc::is_aligned(dy) && dc::is_aligned(y) && dc::is_aligned(dz);
    dc::for_each_pack<T>(dc::grid_start(), dc::grid_stride(), size, aligned, [&](const dc::Pack& at) {
        Wide gradients[width], values[width];
        dc::load(dy, at, gradients);
        dc::load(y, at, values);
#pragma unroll
        for (int k = 0; k < width; ++k) gradients[k] *= slope(values[k], activation);
        dc::store(dz, at, gradients);
    });
}

// The same, and the sums of dz over the rows of each chunk, dbias [chunks, columns], without reading dz again.
// registers: 32
extern "C" __global__ void __launch_bounds__(256)
    bias_activation_dgrad(const T* __restrict__ dy, const T* __restrict__ y, T* __restrict__ dz,
                          Wide* __restrict__ dbias, int activation, long long rows, long long columns,
                          long long chunk_rows) {
    dc::for_each_column_task(1, rows, columns, chunk_rows, [&](const dc::ColumnTask& task) {
        Wide total = Wide(0);
        if (task.inside) {
#pragma unroll 2
            for (int64_t row = task.first_row; row < task.last_row; row += blockDim.y) {
                const int64_t i = row * columns + task.column;
                const Wide value = Wide(dy[i]) * slope(Wide(y[i]), activation);
                dz[i] = T(value);
                total += value;
            }
        }
        total = dc::reduce_strips(total, dc::Sum());
        if (task.writes()) dbias[task.place(columns)] = total;
    });
}
