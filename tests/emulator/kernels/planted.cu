// Kernels with a switch: right if `planted` is 0, otherwise with one bug. `FINDING kind` marks the line where it must
// be found. Every kernel runs with 64 threads a block unless the test says otherwise.
#include "common.cuh"

extern "C" __global__ void missing_barrier(const float* x, float* y, int planted) {
    DC_SHARED(float, tile, [64]);
    int i = threadIdx.x;
    tile[i] = x[i];
    if (!planted) __syncthreads();
    y[i] = tile[63 - i];  // FINDING race
}

extern "C" __global__ void missing_second_barrier(const float* x, float* y, int planted) {
    DC_SHARED(float, tile, [64]);
    int i = threadIdx.x;
    for (int step = 0; step < 2; ++step) {
        tile[i] = x[i] + step;
        __syncthreads();
        y[i] = tile[(i + 1) % 64];  // FINDING race
        if (!planted) __syncthreads();
    }
}

extern "C" __global__ void missing_warp_barrier(const float* x, float* y, int planted) {
    DC_SHARED(float, tile, [64]);
    int i = threadIdx.x;
    tile[i] = x[i];
    if (!planted) __syncwarp();
    y[i] = tile[i ^ 1];  // FINDING race
}

// A shuffle makes lanes meet but orders no memory.
extern "C" __global__ void shuffle_for_a_barrier(const float* x, float* y, int planted) {
    DC_SHARED(float, tile, [64]);
    int i = threadIdx.x;
    tile[i] = x[i];
    float other = __shfl_xor_sync(0xffffffffu, x[i], 1);
    if (!planted) __syncwarp();
    y[i] = tile[i ^ 1] + other;  // FINDING race
}

extern "C" __global__ void two_writers(float* y, int planted) {
    DC_SHARED(int, last, [64]);
    int i = threadIdx.x;
    last[planted ? 0 : i] = i;  // FINDING race
    __syncthreads();
    y[i] = last[0];
}

// Bytes next to each other are not the same byte: only the planted version shares one.
extern "C" __global__ void bytes_of_a_word(float* y, int planted) {
    DC_SHARED(unsigned char, bytes, [64]);
    int i = threadIdx.x;
    bytes[planted && i == 3 ? 2 : i] = i;  // FINDING race
    __syncthreads();
    y[i] = bytes[i % 2];
}

extern "C" __global__ void plain_and_atomic(float* y, int planted) {
    DC_SHARED(int, sum, [1]);
    int i = threadIdx.x;
    if (i == 0) sum[0] = 0;
    __syncthreads();
    atomicAdd(&sum[0], 1);
    if (!planted) __syncthreads();
    y[i] = sum[0];  // FINDING race
}

extern "C" __global__ void race_in_global_memory(float* y, int planted) {
    int i = threadIdx.x;
    y[i] = i;
    if (!planted) __syncthreads();
    float other = y[i ^ 1];  // FINDING race
    __syncthreads();
    y[i] = other;
}

extern "C" __global__ void blocks_share_an_element(float* y, int planted) {
    int i = blockIdx.x * 64 + threadIdx.x;
    y[planted && i == 64 ? 0 : i] = i;  // FINDING block-race
}

extern "C" __global__ void block_reads_its_neighbour(const float* x, float* y, int planted) {
    int i = blockIdx.x * 64 + threadIdx.x;
    const float* from = planted ? y : x;
    float right = from[(i + 64) % 128];  // FINDING block-race
    y[i] = right;                        // FINDING block-race
}

// The threadFenceReduction pattern: right only with the fence.
extern "C" __global__ void last_block_sums(float* partial, int* done, float* y, int planted) {
    DC_SHARED(int, is_last, [1]);
    if (threadIdx.x == 0) {
        partial[blockIdx.x] = blockIdx.x + 1.0f;
        if (!planted) __threadfence();
        is_last[0] = atomicAdd(done, 1) == 1;
    }
    __syncthreads();
    if (is_last[0] && threadIdx.x == 0) y[0] = partial[0] + partial[1];  // FINDING block-race
}

extern "C" __global__ void writes_behind_the_end(float* y, int n, int planted) {
    int i = threadIdx.x;
    if (i < n + planted) y[i] = i;  // FINDING out-of-bounds
}

extern "C" __global__ void reads_before_the_start(const float* x, float* y, int planted) {
    int i = threadIdx.x;
    y[i] = x[i > 0 || planted ? i - 1 : 0];  // FINDING out-of-bounds
}

extern "C" __global__ void overruns_a_shared_array(float* y, int planted) {
    DC_SHARED(float, tile, [64]);
    DC_SHARED(float, other, [64]);
    int i = threadIdx.x;
    other[i] = 0;
    tile[i + planted] = i;  // FINDING out-of-bounds
    __syncthreads();
    y[i] = tile[i] + other[i];
}

extern "C" __global__ void overruns_dynamic_memory(float* y, int planted) {
    DC_DYNAMIC_SHARED(float, tile);
    int i = threadIdx.x;
    tile[i + planted] = i;  // FINDING out-of-bounds
    __syncthreads();
    y[i] = tile[i];
}

extern "C" __global__ void null_pointer(const float* x, float* y, int planted) {
    int i = threadIdx.x;
    y[i] = x != nullptr || planted ? x[i] : 0.0f;  // FINDING out-of-bounds
}

extern "C" __global__ void misaligned_vector(const float* x, float* y, int planted) {
    int i = threadIdx.x;
    if (i < 8) {
        float4 v = *reinterpret_cast<const float4*>(x + 4 * i + planted);  // FINDING misaligned
        y[i] = v.x + v.w;
    }
}

extern "C" __global__ void misaligned_shared_vector(float* y, int planted) {
    DC_SHARED(float, tile, [128]);
    int i = threadIdx.x;
    tile[i] = i, tile[64 + i] = i;
    __syncthreads();
    float2 v = *reinterpret_cast<const float2*>(&tile[2 * (i % 32) + planted]);  // FINDING misaligned
    y[i] = v.x + v.y;
}

extern "C" __global__ void uninitialized_shared(float* y, int planted) {
    DC_SHARED(float, tile, [64]);
    int i = threadIdx.x;
    if (!planted || i != 5) tile[i] = i;
    __syncthreads();
    y[i] = tile[i];  // FINDING uninitialized
}

// Written, but only after everyone has read: not a race, since a barrier orders the two.
extern "C" __global__ void written_too_late(float* y, int planted) {
    DC_SHARED(float, tile, [64]);
    int i = threadIdx.x;
    if (!planted) tile[i] = i;
    __syncthreads();
    float early = tile[63 - i];  // FINDING uninitialized
    __syncthreads();
    tile[i] = early;
    y[i] = tile[i];
}

extern "C" __global__ void reads_its_output(float* y, int planted) {
    int i = threadIdx.x;
    if (!planted) y[i] = 0;
    y[i] += i;  // FINDING uninitialized
}

extern "C" __global__ void forgets_an_element(float* y, int planted) {
    int i = threadIdx.x;
    if (!planted || i != 7) y[i] = i;  // FINDING unwritten
}

extern "C" __global__ void divergent_shuffle(const float* x, float* y, int planted) {
    int i = threadIdx.x;
    float v = x[i];
    if (!planted || i % 32 < 16) v += __shfl_down_sync(0xffffffffu, v, 8);  // FINDING divergent-collective
    __syncthreads();
    y[i] = v;
}

extern "C" __global__ void different_collectives(const float* x, float* y, int planted) {
    int i = threadIdx.x;
    float v = x[i];
    if (!planted || i % 32 < 16)
        v = __shfl_xor_sync(0xffffffffu, v, 1);  // FINDING divergent-collective
    else
        v = __ballot_sync(0xffffffffu, v > 0);  // FINDING divergent-collective
    y[i] = v;
}

extern "C" __global__ void lane_not_in_its_mask(const float* x, float* y, int planted) {
    int i = threadIdx.x;
    y[i] = __shfl_sync(planted ? 0xfffffffeu : 0xffffffffu, x[i], 1);  // FINDING divergent-collective
}

extern "C" __global__ void reads_a_lane_outside_of_the_mask(const float* x, float* y, int planted) {
    int i = threadIdx.x;
    float v = x[i];
    if (i % 32 < 16) v = __shfl_sync(0x0000ffffu, v, planted && i == 4 ? 20 : 2);  // FINDING inactive-lane
    y[i] = v;
}

extern "C" __global__ void reads_an_exited_lane(const float* x, float* y, int n, int planted) {
    int i = threadIdx.x;
    if (planted && i >= n) return;
    y[i] = __shfl_down_sync(0xffffffffu, x[i], 1);  // FINDING inactive-lane
}

// A barrier that half of the block skips for another one.
extern "C" __global__ void barrier_in_one_branch(float* y, int planted) {
    int i = threadIdx.x;
    if (planted && i < 32) {
        __syncwarp(0xffffffffu);
        if (i < 16) __syncwarp(0xffffffffu);  // FINDING divergent-collective
    }
    __syncthreads();
    y[i] = i;
}

extern "C" __global__ void exits_before_a_barrier(float* y, int planted) {
    int i = threadIdx.x;
    y[i] = i;
    if (planted && i >= 60) return;
    __syncthreads();  // FINDING divergent-barrier
}

extern "C" __global__ void two_different_barriers(float* y, int planted) {
    int i = threadIdx.x;
    if (planted && i < 32) {
        y[i] = 1;
        __syncthreads();  // FINDING barrier-mismatch
    } else {
        y[i] = 2;
        __syncthreads();  // FINDING barrier-mismatch
    }
}

extern "C" __global__ void two_kinds_of_barrier(float* y, int planted) {
    int i = threadIdx.x;
    if (planted && i < 32)
        y[i] = __syncthreads_count(1);  // FINDING barrier-mismatch
    else
        y[i] = __syncthreads_or(1);  // FINDING barrier-mismatch
}

// Thread 0 waits for a flag that only a thread behind the barrier would set.
extern "C" __global__ void waits_forever(int* flag, float* y, int planted) {
    int i = threadIdx.x;
    if (i == 63 && !planted) atomicExch(flag, 1);
    if (i == 0)
        while (atomicCAS(flag, 1, 1) != 1) {  // FINDING deadlock
        }
    __syncthreads();
    y[i] = i;
}

extern "C" __global__ void asserts(const float* x, float* y, int planted) {
    int i = threadIdx.x;
    if (planted && x[i] == 9.0f) __trap();  // FINDING trap
    y[i] = x[i];
}
