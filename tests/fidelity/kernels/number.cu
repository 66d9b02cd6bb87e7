// Conversions, rounding and arithmetic of one thread.
#include "ptx.cuh"

extern "C" __global__ void to_half(const float* x, const double* wide, __half* y, __half* from_wide, int n) {
    for (int i = threadIdx.x; i < n; i += blockDim.x) y[i] = __float2half(x[i]), from_wide[i] = __double2half(wide[i]);
}

extern "C" __global__ void from_half(const __half* x, float* y, int n) {
    for (int i = threadIdx.x; i < n; i += blockDim.x) y[i] = __half2float(x[i]);
}

extern "C" __global__ void to_bfloat16(const float* x, __nv_bfloat16* y, float* back, int n) {
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        y[i] = __float2bfloat16(x[i]);
        back[i] = __bfloat162float(y[i]);
    }
}

extern "C" __global__ void half_arithmetic(const __half2* x, __half2* y, __half2* fused) {
    int i = threadIdx.x;
    __half2 v = x[i];
    y[i] = __hadd2(__hmul2(v, v), __float2half2_rn(0.25f));
    fused[i] = __hfma2(v, v, __float2half2_rn(0.25f));
}

#if __CUDA_ARCH__ >= 800
extern "C" __global__ void round_to_tf32(const float* x, uint32_t* y) { y[threadIdx.x] = dc::to_tf32(x[threadIdx.x]); }
#endif

extern "C" __global__ void bits(const float* x, const unsigned* u, float* y, unsigned* z) {
    int i = threadIdx.x;
    y[i] = __fadd_rn(__fmul_rn(x[i], x[i]), -1.0f);
    y[32 + i] = fmaf(x[i], x[i], -1.0f);
    z[i] = __popc(u[i]) + 100 * __clz(int(u[i])) + 10000 * __ffs(int(u[i]));
    z[32 + i] = __brev(u[i]);
    z[64 + i] = __umulhi(u[i], 0x9e3779b9u);
    z[96 + i] = unsigned(__float2int_rn(x[i]));
}

// The functions that kernels use, and two fast ones: as accurate as the CUDA C++ Programming Guide says.
extern "C" __global__ void functions(const float* x, float* y, int n) {
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        float v = x[i], positive = fabsf(v) + 0.01f, sine, cosine;
        sincospif(v, &sine, &cosine);
        const float values[] = {expf(v),  expm1f(v),       logf(positive),   log1pf(positive),
                                tanhf(v), sqrtf(positive), rsqrtf(positive), powf(positive, 0.75f),
                                sine,     cosine,          __expf(v),        __fdividef(v, positive)};
        for (int k = 0; k < 12; ++k) y[k * n + i] = values[k];
    }
}
