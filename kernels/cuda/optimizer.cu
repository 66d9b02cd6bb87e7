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
// the chunks of tensor t. On its way into the rule the parameter loses the share `decay` of itself, and the gradient is
// multiplied by `factor` and by what is at the address `scale`, if any, and clipped to the magnitude `limit`.
struct Tensors {
    uint64_t address[most_lists][most_tensors];
    int64_t size[most_tensors];
    double decay[most_tensors];
    double factor, limit;
    uint64_t scale;
    int first_block[most_tensors + 1];
    int count;
};

// The chunk of this block: which tensor it is of, where it begins, and how many elements it has.
struct Chunk {
    int tensor, size;
    int64_t begin;

    __device__ __forceinline__ explicit Chunk(const Tensors& tensors) : tensor(0) {
        for (int last = tensors.count - 1; tensor < last;) {
            const int middle = (tensor + last + 1) / 2;
            if (int(blockIdx.x) < tensors.first_block[middle])
                last = middle - 1;
            else
                tensor = middle;
        }
        begin = int64_t(int(blockIdx.x) - tensors.first_block[tensor]) * chunk;
        const int64_t left = tensors.size[tensor] - begin;
        size = left < chunk ? int(left) : chunk;
    }
};

// `value`, of no larger magnitude than `limit`; NaN stays NaN, for no comparison is true of it.
__device__ __forceinline__ T clipped(T value, T limit) {
    return value > limit ? limit : value < -limit ? -limit : value;
}

// Calls formula(values), with values[list] an element of each list, for all elements of this block's chunk; then writes
// the values back to all lists but the gradients.
template <int lists, class Formula>
__device__ __forceinline__ void update(const Tensors& tensors, Formula formula) {
    constexpr int width = dc::pack<T>, gradients = 1;
    const Chunk at(tensors);
    const T decay = T(tensors.decay[at.tensor]), limit = T(tensors.limit);
    T scale = T(tensors.factor);
    if (tensors.scale) scale *= *reinterpret_cast<const T*>(tensors.scale);
    T* list[lists];
    bool aligned = true;
#pragma unroll
    for (int l = 0; l < lists; ++l) {
        list[l] = reinterpret_cast<T*>(tensors.address[l][at.tensor]) + at.begin;
        aligned = aligned && dc::is_aligned(list[l]);
    }
    dc::for_each_pack<T>(threadIdx.x, blockDim.x, at.size, aligned, [&](const dc::Pack& place) {
        __align__(16) T values[lists][width];
#pragma unroll
        for (int l = 0; l < lists; ++l) dc::load(list[l], place, values[l]);
#pragma unroll
        for (int k = 0; k < width; ++k) {
            T element[lists];
#pragma unroll
            for (int l = 0; l < lists; ++l) element[l] = values[l][k];
            if (decay != 0) element[0] -= decay * element[0];
            element[gradients] = clipped(scale * element[gradients], limit);
            formula(element);
#pragma unroll
            for (int l = 0; l < lists; ++l) values[l][k] = element[l];
        }
#pragma unroll
        for (int l = 0; l < lists; ++l)
            if (l != gradients) dc::store(list[l], place, values[l]);
    });
}

// The sum of the squares of this block's chunk, one for each block. Lists: what is squared.
// registers: 24
extern "C" __global__ void __launch_bounds__(256)
    square_sum(const __grid_constant__ Tensors tensors, T* __restrict__ sums) {
    constexpr int width = dc::pack<T>;
    const Chunk at(tensors);
    const T* list = reinterpret_cast<const T*>(tensors.address[0][at.tensor]) + at.begin;
    T sum = 0;
    dc::for_each_pack<T>(threadIdx.x, blockDim.x, at.size, dc::is_aligned(list), [&](const dc::Pack& place) {
        __align__(16) T values[width];
        dc::load(list, place, values);
#pragma unroll
        for (int k = 0; k < width; ++k) sum += values[k] * values[k];
    });
    sum = dc::block_sum<256>(sum);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// Lists: parameters, gradients.
// registers: 32
extern "C" __global__ void __launch_bounds__(256) sgd(const __grid_constant__ Tensors tensors, T learning_rate) {
    update<2>(tensors, [&](T(&v)[2]) { v[0] -= learning_rate * v[1]; });
}

// Lists: parameters, gradients, velocities.
// registers: 32
extern "C" __global__ void __launch_bounds__(256)
    momentum(const __grid_constant__ Tensors tensors, T learning_rate, T factor, int nesterov) {
    update<3>(tensors, [&](T(&v)[3]) {
        const T step = learning_rate * v[1];
        v[2] = factor * v[2] - step;
        v[0] += nesterov ? factor * v[2] - step : v[2];
    });
}

// Lists: parameters, gradients, accumulators.
// registers: 40
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
// registers: 40
extern "C" __global__ void __launch_bounds__(256)
    rmsprop(const __grid_constant__ Tensors tensors, T learning_rate, T rho, T one_less_rho, T factor, T epsilon) {
    update<3>(tensors, [&](T(&v)[3]) {
        rmsprop_step(v[0], v[1], v[2], nullptr, nullptr, learning_rate, rho, one_less_rho, factor, epsilon);
    });
}

// Lists: parameters, gradients, mean squares, mean gradients.
// registers: 48
extern "C" __global__ void __launch_bounds__(256)
    rmsprop_centered(const __grid_constant__ Tensors tensors, T learning_rate, T rho, T one_less_rho, T factor,
                     T epsilon) {
    update<4>(tensors, [&](T(&v)[4]) {
        rmsprop_step(v[0], v[1], v[2], &v[3], nullptr, learning_rate, rho, one_less_rho, factor, epsilon);
    });
}

// Lists: parameters, gradients, mean squares, momenta.
// registers: 48
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

// Lists: parameters, gradients, mean squares, mean squares of the changes.
// registers: 48
extern "C" __global__ void __launch_bounds__(256)
    adadelta(const __grid_constant__ Tensors tensors, T learning_rate, T rho, T one_less_rho, T epsilon) {
    update<4>(tensors, [&](T(&v)[4]) {
        v[2] = rho * v[2] + one_less_rho * v[1] * v[1];
        const T step = sqrt(v[3] + epsilon) * v[1] / sqrt(v[2] + epsilon);
        v[3] = rho * v[3] + one_less_rho * step * step;
        v[0] -= learning_rate * step;
    });
}

// The moving means of a gradient and of its square.
__device__ __forceinline__ void moments(T gradient, T& first, T& second, T one_less_beta_1, T one_less_beta_2) {
    first += one_less_beta_1 * (gradient - first);
    second += one_less_beta_2 * (gradient * gradient - second);
}

// Lists: parameters, gradients, first moments, second moments. alpha: the learning rate, corrected for the bias.
// registers: 48
extern "C" __global__ void __launch_bounds__(256)
    adam(const __grid_constant__ Tensors tensors, T alpha, T one_less_beta_1, T one_less_beta_2, T epsilon) {
    update<4>(tensors, [&](T(&v)[4]) {
        moments(v[1], v[2], v[3], one_less_beta_1, one_less_beta_2);
        v[0] -= alpha * v[2] / (sqrt(v[3]) + epsilon);
    });
}

// Lists: parameters, gradients, first moments, second moments, the largest second moments so far.
// registers: 48
extern "C" __global__ void __launch_bounds__(256)
    adam_amsgrad(const __grid_constant__ Tensors tensors, T alpha, T one_less_beta_1, T one_less_beta_2, T epsilon) {
    update<5>(tensors, [&](T(&v)[5]) {
        moments(v[1], v[2], v[3], one_less_beta_1, one_less_beta_2);
        v[4] = dc::Max()(v[4], v[3]);
        v[0] -= alpha * v[2] / (sqrt(v[4]) + epsilon);
    });
}

// Lists: parameters, gradients, first moments, norms. alpha: the learning rate, corrected for the bias.
// registers: 40
extern "C" __global__ void __launch_bounds__(256)
    adamax(const __grid_constant__ Tensors tensors, T alpha, T one_less_beta_1, T beta_2, T epsilon) {
    update<4>(tensors, [&](T(&v)[4]) {
        v[2] += one_less_beta_1 * (v[1] - v[2]);
        v[3] = dc::Max()(beta_2 * v[3], v[1] < 0 ? -v[1] : v[1]);
        v[0] -= alpha * v[2] / (v[3] + epsilon);
    });
}

// Lists: parameters, gradients, first moments, second moments. ahead, now: the learning rates of moment and gradient.
// registers: 48
extern "C" __global__ void __launch_bounds__(256) nadam(const __grid_constant__ Tensors tensors, T ahead, T now,
                                                        T one_less_beta_1, T one_less_beta_2, T correction, T epsilon) {
    update<4>(tensors, [&](T(&v)[4]) {
        moments(v[1], v[2], v[3], one_less_beta_1, one_less_beta_2);
        v[0] -= (ahead * v[2] + now * v[1]) / (sqrt(correction * v[3]) + epsilon);
    });
}

// Lists: parameters, gradients, first moments.
// registers: 32
extern "C" __global__ void __launch_bounds__(256) lion(const __grid_constant__ Tensors tensors, T learning_rate,
                                                       T beta_1, T one_less_beta_1, T beta_2, T one_less_beta_2) {
    update<3>(tensors, [&](T(&v)[3]) {
        const T direction = beta_1 * v[2] + one_less_beta_1 * v[1];
        // Neither above nor below zero: zero or NaN, and the sign of either is itself.
        v[0] -= learning_rate * (direction > 0 ? T(1) : direction < 0 ? T(-1) : direction);
        v[2] = beta_2 * v[2] + one_less_beta_2 * v[1];
    });
}

// Lists: parameters, gradients, sums of squares, linear terms.
// registers: 48
extern "C" __global__ void __launch_bounds__(256) ftrl(const __grid_constant__ Tensors tensors, T learning_rate,
                                                       T power, T l1, T twice_l2, T twice_shrinkage, T beta) {
    update<4>(tensors, [&](T(&v)[4]) {
        const T before = pow(v[2], power);
        v[2] += v[1] * v[1];
        const T after = pow(v[2], power);
        v[3] += v[1] + twice_shrinkage * v[0] - (after - before) / learning_rate * v[0];
        v[0] = (clipped(v[3], l1) - v[3]) / (after / learning_rate + (twice_l2 + beta / learning_rate));
    });
}

// Lists: parameters, values.
// registers: 32
extern "C" __global__ void __launch_bounds__(256) blend(const __grid_constant__ Tensors tensors, T keep, T share) {
    update<2>(tensors, [&](T(&v)[2]) { v[0] = keep * v[0] + share * v[1]; });
}
