// Kernels whose memory traffic can be said on paper. `COST space operation cost ideal` is what one warp must count.
#include "common.cuh"

extern "C" __global__ void coalesced(const float* x, float* y) {
    int i = threadIdx.x;
    float v = x[i];  // COST global load 4 4
    y[i] = v;        // COST global store 4 4
}

extern "C" __global__ void strided(const float* x, float* y) {
    int i = threadIdx.x;
    float v = x[8 * i];  // COST global load 32 4
    y[i] = v;            // COST global store 4 4
}

extern "C" __global__ void shifted(const float* x, float* y) {
    int i = threadIdx.x;
    float v = x[i + 1];  // COST global load 5 4
    y[i] = v;            // COST global store 4 4
}

extern "C" __global__ void wide(const float4* x, float4* y) {
    int i = threadIdx.x;
    float4 v = x[i];  // COST global load 16 16
    y[i] = v;         // COST global store 16 16
}

extern "C" __global__ void same_word(const float* x, float* y) {
    int i = threadIdx.x;
    float v = x[5];  // COST global load 1 1
    y[i] = v;        // COST global store 4 4
}

extern "C" __global__ void halves(const __half* x, __half* y) {
    int i = threadIdx.x;
    __half v = x[i];  // COST global load 2 2
    y[2 * i] = v;     // COST global store 4 2
}

extern "C" __global__ void column_of_a_tile(float* y) {
    DC_SHARED(float, tile, [32][32]);
    int i = threadIdx.x;
    tile[i][0] = i;  // COST shared store 32 1
    __syncwarp();
    float v = tile[0][0];  // COST shared load 1 1
    y[i] = v;              // COST global store 4 4
}

extern "C" __global__ void column_of_a_padded_tile(float* y) {
    DC_SHARED(float, tile, [32][33]);
    int i = threadIdx.x;
    tile[i][0] = i;  // COST shared store 1 1
    __syncwarp();
    float v = tile[0][0];  // COST shared load 1 1
    y[i] = v;              // COST global store 4 4
}

extern "C" __global__ void every_second_word(float* y) {
    DC_SHARED(float, tile, [64]);
    int i = threadIdx.x;
    tile[2 * i] = i;  // COST shared store 2 1
    __syncwarp();
    float v = tile[2 * (i ^ 1)];  // COST shared load 2 1
    y[i] = v;                     // COST global store 4 4
}

extern "C" __global__ void vectors_in_shared(float* y) {
    DC_SHARED(float4, tile, [32]);
    int i = threadIdx.x;
    tile[i] = make_float4(1, 2, 3, 4);  // COST shared store 4 4
    __syncwarp();
    float v = tile[i ^ 1].y;  // COST shared load 4 1
    y[i] = v;                 // COST global store 4 4
}

extern "C" __global__ void atomics_on_one_word(int* y) {
    DC_SHARED(int, sum, [1]);
    int i = threadIdx.x;
    if (i == 0) sum[0] = 0;  // COST shared store 1 1
    __syncwarp();
    atomicAdd(&sum[0], 1);  // COST shared atomic 32 1
    __syncwarp();
    if (i == 0) y[0] = sum[0];  // COST both
}

extern "C" __global__ void only_some_lanes(const float* x, float* y, int n) {
    int i = threadIdx.x;
    if (i < n) y[i] = x[16 * i];  // COST both
}

// Lanes that go round a loop different numbers of times: each turn is one request.
extern "C" __global__ void loop_of_rows(const float* x, float* y, int n) {
    float sum = 0;
    for (int i = threadIdx.x; i < n; i += 32) sum += x[i];  // COST both
    y[threadIdx.x] = sum;                                   // COST global store 4 4
}
