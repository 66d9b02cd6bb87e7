// Activations of one element, and their derivatives, for every kernel that ends with one; T is what elements are stored
// as.
//
// An activation is told by its position in deepcore.backend.contract.ACTIVATIONS. The branch on it is the same for
// every thread, so that it costs one comparison a warp.
#pragma once

#include "common.cuh"

using Wide = dc::accumulator<T>;

enum Activation { LINEAR, RELU, RELU6, LEAKY_RELU, ELU, SELU, SIGMOID, HARD_SIGMOID, TANH, EXPONENTIAL, SOFTPLUS };

__device__ __forceinline__ Wide activate(Wide z, int activation) {
    const Wide zero = Wide(0), one = Wide(1);
    const Wide selu_alpha = Wide(1.6732632423543772), selu_scale = Wide(1.0507009873554805);
    switch (activation) {
        case RELU: return z < zero ? zero : z;
        case RELU6: return z < zero ? zero : z > Wide(6) ? Wide(6) : z;
        case LEAKY_RELU: return z < zero ? z * Wide(0.2) : z;
        case ELU: return z > zero ? z : expm1(z);
        case SELU: return selu_scale * (z > zero ? z : selu_alpha * expm1(z));
        case SIGMOID: return one / (one + exp(-z));
        case HARD_SIGMOID: {
            const Wide shifted = z + Wide(3);
            return (shifted < zero ? zero : shifted > Wide(6) ? Wide(6) : shifted) / Wide(6);
        }
        case TANH: return tanh(z);
        case EXPONENTIAL: return exp(z);
        case SOFTPLUS: return (z > zero ? z : zero) + log1p(exp(z > zero ? -z : z));
        default: return z;
    }
}

// The derivative at the activation's input, from its output y. The comparisons ask where y is known to be in a flat
// part, so that NaN in y never cuts a gradient off.
__device__ __forceinline__ Wide slope(Wide y, int activation) {
    const Wide zero = Wide(0), one = Wide(1);
    const Wide selu_alpha = Wide(1.6732632423543772), selu_scale = Wide(1.0507009873554805);
    switch (activation) {
        case RELU: return y <= zero ? zero : one;
        case RELU6: return y <= zero || y >= Wide(6) ? zero : one;
        case LEAKY_RELU: return y <= zero ? Wide(0.2) : one;
        case ELU: return y > zero ? one : y + one;
        case SELU: return y > zero ? selu_scale : y + selu_scale * selu_alpha;
        case SIGMOID: return y * (one - y);
        case HARD_SIGMOID: return y <= zero || y >= one ? zero : one / Wide(6);
        case TANH: return one - y * y;
        case EXPONENTIAL: return y;
        case SOFTPLUS: return -expm1(-y);
        default: return one;
    }
}
