// Activations of one element of type T, and their derivatives, for every kernel that ends with one.
//
// An activation is told by its position in deepcore.backend.contract.ACTIVATIONS. The branch on it is the same for
// every thread, so that it costs one comparison a warp.
#pragma once

#include "common.cuh"

enum Activation { LINEAR, RELU, RELU6, LEAKY_RELU, ELU, SELU, SIGMOID, HARD_SIGMOID, TANH, EXPONENTIAL, SOFTPLUS };

__device__ __forceinline__ T activate(T z, int activation) {
    const T zero = T(0), one = T(1);
    const T selu_alpha = T(1.6732632423543772), selu_scale = T(1.0507009873554805);
    switch (activation) {
        case RELU: return z < zero ? zero : z;
        case RELU6: return z < zero ? zero : z > T(6) ? T(6) : z;
        case LEAKY_RELU: return z < zero ? z * T(0.2) : z;
        case ELU: return z > zero ? z : expm1(z);
        case SELU: return selu_scale * (z > zero ? z : selu_alpha * expm1(z));
        case SIGMOID: return one / (one + exp(-z));
        case HARD_SIGMOID: {
            const T shifted = z + T(3);
            return (shifted < zero ? zero : shifted > T(6) ? T(6) : shifted) / T(6);
        }
        case TANH: return tanh(z);
        case EXPONENTIAL: return exp(z);
        case SOFTPLUS: return (z > zero ? z : zero) + log1p(exp(z > zero ? -z : z));
        default: return z;
    }
}

// The derivative at the activation's input, from its output y. The comparisons ask where y is known to be in a flat part,
// so that NaN in y never cuts a gradient off.
__device__ __forceinline__ T slope(T y, int activation) {
    const T zero = T(0), one = T(1);
    const T selu_alpha = T(1.6732632423543772), selu_scale = T(1.0507009873554805);
    switch (activation) {
        case RELU: return y <= zero ? zero : one;
        case RELU6: return y <= zero || y >= T(6) ? zero : one;
        case LEAKY_RELU: return y <= zero ? T(0.2) : one;
        case ELU: return y > zero ? one : y + one;
        case SELU: return y > zero ? selu_scale : y + selu_scale * selu_alpha;
        case SIGMOID: return y * (one - y);
        case HARD_SIGMOID: return y <= zero || y >= one ? zero : one / T(6);
        case TANH: return one - y * y;
        case EXPONENTIAL: return y;
        case SOFTPLUS: return -expm1(-y);
        default: return one;
    }
}
