// The second stage of sums that several blocks began: adds the parts in their order, so that every run gives the same.
// Built with -DT=<type of the sums>; the parts are as wide as what is computed in.
#include "activation.cuh"

using Wide = dc::accumulator<T>;

// y = activation(sum of parts + bias); parts [count, size], y [size / columns, columns], bias [columns] or null.
// registers: 32
extern "C" __global__ void __launch_bounds__(256)
    sum_parts(const Wide* __restrict__ parts, const T* __restrict__ bias, T* __restrict__ y, int count, int columns,
              int activation, long long size) {
    for (int64_t i = dc::grid_start(); i < size; i += dc::grid_stride()) {
        Wide sum = parts[i];
        for (int part = 1; part < count; ++part) sum += parts[part * size + i];
        y[i] = T(activate(bias ? sum + Wide(bias[i % columns]) : sum, activation));
    }
}
