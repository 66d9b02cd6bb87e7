// Bias and activation, and their gradient from the result. Built with -DT=float or -DT=double.
#include "activation.cuh"

// y = activation(x + bias), x and y [rows, columns], bias [columns] or null; y may be x.
extern "C" __global__ void __launch_bounds__(256)
bias_activation(const T* x, const T* __restrict__ bias, T* y, int columns, int activation, long long size) {
    for (int64_t i = dc::grid_start(); i < size; i += dc::grid_stride())
        y[i] = activate(bias ? x[i] + bias[i % columns] : x[i], activation);
}

// dz = dy * activation'(z), from y = activation(z).
extern "C" __global__ void __launch_bounds__(256)
activation_dgrad(const T* __restrict__ dy, const T* __restrict__ y, T* __restrict__ dz, int activation,
                 long long size) {
    for (int64_t i = dc::grid_start(); i < size; i += dc::grid_stride()) dz[i] = dy[i] * slope(y[i], activation);
}
