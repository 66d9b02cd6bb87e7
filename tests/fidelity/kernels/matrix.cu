// Matrices in registers (ldmatrix, mma.sync) and the asynchronous copies of threads (cp.async).
#include "ptx.cuh"

// Element (i, lane) of y is register i of a lane: four of x4, four of x4.trans, two of x2, two of x2.trans, and one
// each of x1 and x1.trans.
extern "C" __global__ void load_matrices(const __half* x, uint32_t* y) {
    DC_SHARED(__half, tile, [32][8]);
    int lane = threadIdx.x;
    for (int i = 0; i < 8; ++i) tile[lane][i] = x[8 * lane + i];
    __syncwarp();
    uint32_t four[4], two[2], one[1];
    int n = 0;
    auto put = [&](uint32_t value) { y[32 * n++ + lane] = value; };
    dc::load_matrix_x4(four, tile[lane]);
    for (uint32_t value : four) put(value);
    dc::load_matrix_x4_transposed(four, tile[lane]);
    for (uint32_t value : four) put(value);
    dc::load_matrix_x2(two, tile[lane % 16]);
    for (uint32_t value : two) put(value);
    dc::load_matrix_x2_transposed(two, tile[lane % 16]);
    for (uint32_t value : two) put(value);
    dc::load_matrix_x1(one, tile[lane % 8]);
    put(one[0]);
    dc::load_matrix_x1_transposed(one, tile[lane % 8]);
    put(one[0]);
}

// One 16 by 8 product by fragments that are gathered as the PTX ISA draws them.
template <class Value, int k, class Multiply>
__device__ void one_product(const Value* a, const Value* b, const float* c, float* d, Multiply multiply) {
    constexpr int per_register = 4 / sizeof(Value);
    int group = threadIdx.x / 4, in_group = threadIdx.x % 4;
    constexpr int columns = 4 * per_register, pairs = k / columns;
    uint32_t af[2 * pairs], bf[pairs];
    for (int i = 0; i < 2 * pairs; ++i)
        memcpy(&af[i], &a[(group + i % 2 * 8) * k + in_group * per_register + i / 2 * columns], 4);
    for (int i = 0; i < pairs; ++i) {
        Value pair[per_register];
        for (int j = 0; j < per_register; ++j) pair[j] = b[(in_group * per_register + j + i * columns) * 8 + group];
        memcpy(&bf[i], pair, 4);
    }
    float df[4];
    for (int i = 0; i < 4; ++i) df[i] = c[(group + i / 2 * 8) * 8 + 2 * in_group + i % 2];
    multiply(df, af, bf);
    for (int i = 0; i < 4; ++i) d[(group + i / 2 * 8) * 8 + 2 * in_group + i % 2] = df[i];
}

extern "C" __global__ void multiply_f16_k8(const __half* a, const __half* b, const float* c, float* d) {
    one_product<__half, 8>(a, b, c, d, [](auto& d, auto& a, auto& b) { dc::mma_f16_k8(d, a, b); });
}

#if __CUDA_ARCH__ >= 800
extern "C" __global__ void multiply_f16(const __half* a, const __half* b, const float* c, float* d) {
    one_product<__half, 16>(a, b, c, d, [](auto& d, auto& a, auto& b) { dc::mma_f16(d, a, b); });
}
extern "C" __global__ void multiply_bf16(const __nv_bfloat16* a, const __nv_bfloat16* b, const float* c, float* d) {
    one_product<__nv_bfloat16, 16>(a, b, c, d, [](auto& d, auto& a, auto& b) { dc::mma_bf16(d, a, b); });
}
extern "C" __global__ void multiply_tf32(const float* a, const float* b, const float* c, float* d) {
    one_product<float, 8>(a, b, c, d, [](auto& d, auto& a, auto& b) { dc::mma_tf32(d, a, b); });
}

// Of n elements; what lies beyond them is filled with zeros.
extern "C" __global__ void copy_with_zeros(const float* x, float* y, float* z, int n) {
    DC_SHARED(float, kept, [32][4]);
    DC_SHARED(float, single, [32]);
    int t = threadIdx.x;
    dc::copy_async_16(kept[t], &x[4 * t < n ? 4 * t : 0], 4 * t < n);
    dc::commit_copies();
    dc::copy_async_4(&single[t], &x[t < n ? t : 0], t < n);
    dc::commit_copies();
    dc::wait_copies<1>();
    for (int i = 0; i < 4; ++i) y[4 * t + i] = kept[t][i];
    dc::wait_copies<0>();
    z[t] = single[t];
}
#endif
