// Kernels whose results NumPy can say.
#include "common.cuh"

extern "C" __global__ void saxpy(const float* __restrict__ x, float* __restrict__ y, float a, int64_t n) {
    for (int64_t i = dc::grid_start(); i < n; i += dc::grid_stride()) y[i] += a * x[i];
}

extern "C" __global__ void __launch_bounds__(128) sum_of_blocks(const int* x, int* y, int n) {
    int sum = 0;
    for (int i = blockIdx.x * 128 + threadIdx.x; i < n; i += gridDim.x * 128) sum += x[i];
    sum = dc::block_sum<128>(sum);
    if (threadIdx.x == 0) y[blockIdx.x] = sum;
}

extern "C" __global__ void __launch_bounds__(1024) extremes_of_block(const float* x, float* y) {
    float value = x[threadIdx.x];
    float largest = dc::block_reduce<1024>(value, dc::Max(), value);
    float smallest = dc::block_reduce<1024>(value, dc::Min(), value);
    if (threadIdx.x == 1023) y[0] = largest, y[1] = smallest;
}

constexpr int tile_size = 32;

extern "C" __global__ void transpose(const double* x, double* y, int rows, int columns) {
    DC_SHARED(double, tile, [tile_size][tile_size + 1]);
    int column = blockIdx.x * tile_size + threadIdx.x, row = blockIdx.y * tile_size + threadIdx.y;
    for (int i = 0; i < tile_size; i += blockDim.y)
        if (row + i < rows && column < columns) tile[threadIdx.y + i][threadIdx.x] = x[(row + i) * columns + column];
    __syncthreads();
    column = blockIdx.y * tile_size + threadIdx.x, row = blockIdx.x * tile_size + threadIdx.y;
    for (int i = 0; i < tile_size; i += blockDim.y)
        if (row + i < columns && column < rows) y[(row + i) * rows + column] = tile[threadIdx.x][threadIdx.y + i];
}

extern "C" __global__ void matmul(const float* a, const float* b, float* c, int m, int n, int k) {
    constexpr int size = 16;
    DC_DYNAMIC_SHARED(float, tiles);
    float *left = tiles, *right = tiles + size * size;
    int tx = threadIdx.x, ty = threadIdx.y, row = blockIdx.y * size + ty, column = blockIdx.x * size + tx;
    float sum = 0;
    for (int start = 0; start < k; start += size) {
        left[ty * size + tx] = row < m && start + tx < k ? a[row * k + start + tx] : 0;
        right[ty * size + tx] = start + ty < k && column < n ? b[(start + ty) * n + column] : 0;
        __syncthreads();
        for (int i = 0; i < size; ++i) sum += left[ty * size + i] * right[i * size + tx];
        __syncthreads();
    }
    if (row < m && column < n) c[row * n + column] = sum;
}

extern "C" __global__ void warp_scan(const int* x, int* y) {
    int value = x[threadIdx.x];
    for (int distance = 1; distance < 32; distance *= 2) {
        int other = __shfl_up_sync(dc::full_warp, value, distance);
        if (threadIdx.x % 32 >= distance) value += other;
    }
    y[threadIdx.x] = value;
}

extern "C" __global__ void histogram(const unsigned char* x, unsigned* y, int n) {
    __shared__ unsigned counts[256];
    for (int i = threadIdx.x; i < 256; i += blockDim.x) counts[i] = 0;
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) atomicAdd(&counts[x[i]], 1);
    __syncthreads();
    for (int i = threadIdx.x; i < 256; i += blockDim.x) atomicAdd(&y[i], counts[i]);
}

extern "C" __global__ void lock(int* mutex, int* y) {
    if (threadIdx.x % 32 == 0) {
        while (atomicCAS(mutex, 0, 1) != 0) __nanosleep(20);
        __threadfence();
        y[0] += 1;
        __threadfence();
        atomicExch(mutex, 0);
    }
}

extern "C" __global__ void vectors(const float4* x, float2* y, const uchar4* b, int4* z) {
    int i = threadIdx.x;
    float4 v = x[i];
    __shared__ float4 kept[32];
    kept[i] = make_float4(v.w, v.z, v.y, v.x);
    __syncthreads();
    float4 w = kept[31 - i];
    y[i] = make_float2(w.x + v.x, w.y * v.y);
    uchar4 c = b[i];
    z[i] = int4{c.x, c.y, c.z, c.w};
}

extern "C" __global__ void where_am_i(unsigned* y) {
    unsigned rank = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    y[block * blockDim.x * blockDim.y * blockDim.z + rank] = rank * 1000 + block;
}

template <class Value>
__device__ Value through_a_template(Value value) {
    __shared__ Value kept[64];
    kept[threadIdx.x] = value;
    __syncthreads();
    return kept[63 - threadIdx.x];
}

// Two instantiations have arrays of their own, one of which is also under another name for the same dynamic memory.
extern "C" __global__ void templates(float* y, int* z) {
    extern __shared__ int scratch[];
    y[threadIdx.x] = through_a_template(float(threadIdx.x));
    z[threadIdx.x] = through_a_template(int(threadIdx.x) * 2);
    scratch[threadIdx.x] = threadIdx.x;
    __syncthreads();
    z[threadIdx.x] += scratch[63 - threadIdx.x];
}

extern "C" __global__ void shows_poison(float* y, unsigned* z, int n) {
    __shared__ float kept[32];
    if (int(threadIdx.x) < n) kept[threadIdx.x] = 1;
    y[threadIdx.x] = kept[threadIdx.x];
    z[threadIdx.x] = __float_as_uint(kept[threadIdx.x]);
}

extern "C" __global__ void order_of_threads(int* next, int* y) {
    y[atomicAdd(next, 1)] = blockIdx.x * 64 + threadIdx.x;
}
