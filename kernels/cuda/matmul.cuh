// The sizes of a batch of matrix products, which all kernels for them take.
#pragma once

#include "common.cuh"

// All products of a batch, [m, k] times [k, n]. The batch has two axes, the inner one `inner` long; an operand that is
// broadcast along an axis has the stride 0 there. Strides count elements.
struct MatmulSizes {
    int m, n, k, inner;
    long long a_row, a_column, a_outer, a_inner;
    long long b_row, b_column, b_outer, b_inner;

    __device__ __forceinline__ int64_t a_offset(int product) const {
        return product / inner * a_outer + product % inner * a_inner;
    }
    __device__ __forceinline__ int64_t b_offset(int product) const {
        return product / inner * b_outer + product % inner * b_inner;
    }
    __device__ __forceinline__ int64_t y_offset(int product) const { return product * (int64_t(m) * n); }
};
