// wgmma: each shape, type, major order and place of A. The operands come as the bytes that shared memory must hold; how
// they are arranged, and the descriptors that say so, are made in tests/fidelity/wgmma.py.
//
// Built with -DTYPE=bf16, f16 or tf32, with -DCOLUMNS=64, 128 or 256, and -DHAS_TRANSPOSES unless the type is tf32.
#include "ptx.cuh"

#if __CUDA_ARCH__ >= 900
#define JOIN_WORDS(a, b) a##b
#define JOIN(a, b) JOIN_WORDS(a, b)
#define WGMMA dc::JOIN(wgmma_, TYPE)

__device__ void put(unsigned char* to, const unsigned char* from, int bytes) {
    for (int i = threadIdx.x; i < bytes; i += 128) to[i] = from[i];
}

// Register i of a thread holds this element of the [64, COLUMNS] result.
__device__ int element(int i) {
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    return (16 * warp + lane / 4 + i / 2 % 2 * 8) * COLUMNS + i / 4 * 8 + 2 * (lane % 4) + i % 2;
}

// The sum over `steps` slices; the first does not add to what the registers hold.
template <class Multiply>
__device__ void accumulate(float* d, int steps, Multiply multiply) {
    float sum[COLUMNS / 2];
    for (int i = 0; i < COLUMNS / 2; ++i) sum[i] = 1e30f;
    dc::fence_async_proxy();
    __syncthreads();
    dc::fence_wgmma();
    for (int step = 0; step < steps; ++step) multiply(sum, step);
    dc::commit_wgmma();
    dc::wait_wgmma<0>();
    for (int i = 0; i < COLUMNS / 2; ++i) d[element(i)] = sum[i];
}

// *_leading and *_stride are those of the descriptors; *_step is the bytes from one slice of k to the next.
extern "C" __global__ void __launch_bounds__(128)
    from_shared(const unsigned char* a, const unsigned char* b, float* d, int steps, int swizzle, int transposes,
                int a_bytes, int a_leading, int a_stride, int a_step, int b_bytes, int b_leading, int b_stride,
                int b_step) {
    DC_DYNAMIC_SHARED(unsigned char, memory);
    put(memory, a, a_bytes);
    put(memory + a_bytes, b, b_bytes);
    auto left = [&](int step) {
        return dc::matrix_descriptor(memory + step * a_step, a_leading, a_stride, dc::Swizzle(swizzle));
    };
    auto right = [&](int step) {
        return dc::matrix_descriptor(memory + a_bytes + step * b_step, b_leading, b_stride, dc::Swizzle(swizzle));
    };
#ifdef HAS_TRANSPOSES
    if (transposes == 0)
        accumulate(d, steps, [&](auto& sum, int i) { WGMMA<false, false>(sum, left(i), right(i), i > 0); });
    if (transposes == 1)
        accumulate(d, steps, [&](auto& sum, int i) { WGMMA<true, false>(sum, left(i), right(i), i > 0); });
    if (transposes == 2)
        accumulate(d, steps, [&](auto& sum, int i) { WGMMA<false, true>(sum, left(i), right(i), i > 0); });
    if (transposes == 3)
        accumulate(d, steps, [&](auto& sum, int i) { WGMMA<true, true>(sum, left(i), right(i), i > 0); });
#else
    accumulate(d, steps, [&](auto& sum, int i) { WGMMA(sum, left(i), right(i), i > 0); });
#endif
}

// a [64, 16] in rows goes to registers, for one slice of k; not for tf32.
extern "C" __global__ void __launch_bounds__(128)
    from_registers(const unsigned char* a, const unsigned char* b, float* d, int swizzle, int transposes, int b_bytes,
                   int b_leading, int b_stride) {
#ifdef HAS_TRANSPOSES
    DC_DYNAMIC_SHARED(unsigned char, memory);
    put(memory, b, b_bytes);
    uint32_t own[4];
    int row = threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4, in_group = threadIdx.x % 4;
    for (int i = 0; i < 4; ++i) memcpy(&own[i], &a[(row + i % 2 * 8) * 32 + 4 * in_group + i / 2 * 16], 4);
    auto right = [&] { return dc::matrix_descriptor(memory, b_leading, b_stride, dc::Swizzle(swizzle)); };
    if (transposes == 0) accumulate(d, 1, [&](auto& sum, int) { WGMMA<false>(sum, own, right(), false); });
    if (transposes == 2) accumulate(d, 1, [&](auto& sum, int) { WGMMA<true>(sum, own, right(), false); });
#endif
}
#endif
