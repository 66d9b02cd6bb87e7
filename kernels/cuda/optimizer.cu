// Optimizer steps, in place, on many parameters in one launch; the formulas are Keras 3's.
// Built with -DT=float or -DT=double.
//
// Addresses and sizes come in the launch's own arguments, which are constant memory: no table is copied to the device
// before a step, and none has to outlive it.
#include "vector.cuh"

constexpr int most_lists = 5;     // parameters, gradients and up to three states
constexpr int most_tensors = 64;  // all arguments of a launch together must fit 4096 bytes
constexpr int chunk = 4096;       // elements of a block

// What a launch works on: `address[list][tensor]`. The blocks from first_block[t] on, up to first_block[t + 1], have
// the chunks of tensor t.
struct Tensors {
    uint64_t address[most_lists][most_tensors];
    int64_t size[most_tensors];
    int first_block[most_tensors + 1];
    int count;
};

// Calls formula(values), with values[list] an element of each list, for all elements of this block's chunk; then writes
// the values back to all lists but the gradients.
template <int lists, class Formula>
__device__ __forceinline__ void update(const Tensors& tensors, Formula formula) {
    constexpr int width = dc::pack<T>, gradients = 1;
    int tensor = 0;
    for (int last = tensors.count - 1; tensor < last;) {
        const int middle = (tensor + last + 1) / 2;
        if (int(blockIdx.x) < tensors.first_block[middle])
            last = middle - 1;
        else
            tensor = middle;
    }
    const int64_t begin = int64_t(int(blockIdx.x) - tensors.first_block[tensor]) * chunk;
    const int64_t left = tensors.size[tensor] - begin;
    T* list[lists];
    bool aligned = true;
#pragma unroll
    for (int l = 0; l < lists; ++l) {
        list[l] = reinterpret_cast<T*>(tensors.address[l][tensor]) + begin;
        aligned = aligned && dc::is_aligned(list[l]);
    }
    dc::for_each_pack<T>(threadIdx.x, blockDim.x, left < chunk ? left : chunk, aligned, [&](const dc::Pack& at) {
        __align__(16) T values[lists][width];
#pragma unroll
        for (int l = 0; l < lists; ++l) dc::load(list[l], at, values[l]);
#pragma unroll
        for (int k = 0; k < width; ++k) {
            T element[lists];
#pragma unroll
            for (int l = 0; l < lists; ++l) element[l] = values[l][k];
            formula(element);
#pragma unroll
            for (int l = 0; l < lists; ++l) values[l][k] = element[l];
        }
#pragma unroll
        for (int l = 0; l < lists; ++l)
            if (l != gradients) dc::store(list[l], at, values[l]);
    });
}

// Lists: parameters, gradients.
// registers: 32
extern "C" __global__ void __launch_bounds__(256) sgd(const __grid_constant__ Tensors tensors, T learning_rate) {
    update<2>(tensors, [&](T(&v)[2]) { v[0] -= learning_rate * v[1]; });
}

// Lists: parameters, gradients, velocities.
// registers: 40
extern "C" __global__ void __launch_bounds__(256)
    momentum(const __grid_constant__ Tensors tensors, T learning_rate, T factor, int nesterov) {
    update<3>(tensors, [&](T(&v)[3]) {
        const T step = learning_rate * v[1];
        v[2] = factor * v[2] - step;
        v[0] += nesterov ? factor * v[2] - step : v[2];
    });
}

// Lists: parameters, gradients, accumulators.
// registers: 32
extern "C" __global__ void __launch_bounds__(256)
    adagrad(const __grid_constant__ Tensors tensors, T learning_rate, T epsilon) {
    update<3>(tensors, [&](T(&v)[3]) {
        v[2] += v[1] * v[1];
        v[0] -= learning_rate * v[1] / sqrt(v[2] + epsilon);
    });
}

// One step of RMSprop: `average` is null unless centered, `velocity` unless there is momentum.
__device__ __forceinline__ void rmsprop_step(T& parameter, T gradient, T& square, T* average, T* velocity,
                                             T learning_rate, T rho, T one_less_rho, T factor, T epsilon) {
    square = rho * square + one_less_rho * gradient * gradient;
    T denominator = square + epsilon;
    if (average) {
        *average = rho * *average + one_less_rho * gradient;
        denominator -= *average * *average;
    }
    T step = learning_rate * gradient / sqrt(denominator);
    if (velocity) step = *velocity = factor * *velocity + step;
    parameter -= step;
}

// Lists: parameters, gradients, mean squares.
// registers: 32
extern "C" __global__ void __launch_bounds__(256)
    rmsprop(const __grid_constant__ Tensors tensors, T learning_rate, T rho, T one_less_rho, T factor, T epsilon) {
    update<3>(tensors, [&](T(&v)[3]) {
        rmsprop_step(v[0], v[1], v[2], nullptr, nullptr, learning_rate, rho, one_less_rho, factor, epsilon);
    });
}

// Lists: parameters, gradients, mean squares, mean gradients.
// registers: 40
extern "C" __global__ void __launch_bounds__(256)
    rmsprop_centered(const __grid_constant__ Tensors tensors, T learning_rate, T rho, T one_less_rho, T factor,
                     T epsilon) {
    update<4>(tensors, [&](T(&v)[4]) {
        rmsprop_step(v[0], v[1], v[2], &v[3], nullptr, learning_rate, rho, one_less_rho, factor, epsilon);
    });
}

// Lists: parameters, gradients, mean squares, momenta.
// registers: 40
extern "C" __global__ void __launch_bounds__(256)
    rmsprop_momentum(const __grid_constant__ Tensors tensors, T learning_rate, T rho, T one_less_rho, T factor,
                     T epsilon) {
    update<4>(tensors, [&](T(&v)[4]) {
        rmsprop_step(v[0], v[1], v[2], nullptr, &v[3], learning_rate, rho, one_less_rho, factor, epsilon);
    });
}

// Lists: parameters, gradients, mean squares, mean gradients, momenta.
// registers: 48
extern "C" __global__ void __launch_bounds__(256)
    rmsprop_centered_momentum(const __grid_constant__ Tensors tensors, T learning_rate, T rho, T one_less_rho, T factor,
                              T epsilon) {
    update<5>(tensors, [&](T(&v)[5]) {
        rmsprop_step(v[0], v[1], v[2], &v[3], &v[4], learning_rate, rho, one_less_rho, factor, epsilon);
    });
}

// Lists: parameters, gradients, first moments, second moments. alpha: the learning rate, corrected for the bias.
// registers: 40
extern "C" __global__ void __launch_bounds__(256)
    adam(const __grid_constant__ Tensors tensors, T alpha, T one_less_beta_1, T one_less_beta_2, T epsilon) {
    update<4>(tensors, [&](T(&v)[4]) {
        v[2] += one_less_beta_1 * (v[1] - v[2]);
        v[3] += one_less_beta_2 * (v[1] * v[1] - v[3]);
        v[0] -= alpha * v[2] / (sqrt(v[3]) + epsilon);
    });
}
