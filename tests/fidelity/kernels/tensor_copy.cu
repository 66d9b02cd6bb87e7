// mbarriers, and tensor copies (TMA) of boxes and of the pixels under a filter, as they land in shared memory.
#include "ptx.cuh"

// Rounds of a barrier of two arrivals a thread: each thread hands its number to another.
extern "C" __global__ void phases(const int* x, int* y, int rounds) {
    DC_SHARED(int, kept, [2][64]);
    DC_SHARED(uint64_t, barrier, [1]);
    int t = threadIdx.x, value = x[t];
    if (t == 0) {
        dc::init_mbarrier(barrier, 128);
        dc::fence_mbarrier_init();
    }
    __syncthreads();
    for (int round = 0; round < rounds; ++round) {
        dc::arrive_mbarrier(barrier);
        kept[round % 2][t] = value;
        dc::arrive_mbarrier(barrier);
        if (t % 2)
            dc::wait_mbarrier(barrier, round % 2);
        else
            while (!dc::test_mbarrier(barrier, round % 2)) {
            }
        value = kept[round % 2][(t + 7) % 64] + round;
    }
    y[t] = value;
}

// Begins a copy of `bytes` bytes by thread 0, waits for it, and writes out what lies in shared memory.
template <class Copy>
__device__ void land(uint32_t* y, int bytes, Copy copy) {
    DC_DYNAMIC_SHARED(uint32_t, tile);
    DC_SHARED(uint64_t, barrier, [1]);
    if (threadIdx.x == 0) {
        dc::init_mbarrier(barrier, 1);
        dc::fence_mbarrier_init();
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        dc::arrive_and_expect(barrier, bytes);
        copy(tile, &barrier[0]);
    }
    dc::wait_mbarrier(barrier, 0);
    for (int i = threadIdx.x; i < bytes / 4; i += blockDim.x) y[i] = tile[i];
}

extern "C" __global__ void tile_2d(const __grid_constant__ dc::TensorMap map, uint32_t* y, int c0, int c1, int bytes) {
    land(y, bytes, [&](uint32_t* to, uint64_t* barrier) { dc::load_tile(to, &map, barrier, c0, c1); });
}

extern "C" __global__ void tile_3d(const __grid_constant__ dc::TensorMap map, uint32_t* y, int c0, int c1, int c2,
                                   int bytes) {
    land(y, bytes, [&](uint32_t* to, uint64_t* barrier) { dc::load_tile(to, &map, barrier, c0, c1, c2); });
}

extern "C" __global__ void tile_4d(const __grid_constant__ dc::TensorMap map, uint32_t* y, int c0, int c1, int c2,
                                   int c3, int bytes) {
    land(y, bytes, [&](uint32_t* to, uint64_t* barrier) { dc::load_tile(to, &map, barrier, c0, c1, c2, c3); });
}

extern "C" __global__ void im2col(const __grid_constant__ dc::TensorMap map, uint32_t* y, int channel, int w, int h,
                                  int n, int offset_w, int offset_h, int bytes) {
    land(y, bytes, [&](uint32_t* to, uint64_t* barrier) {
        dc::load_im2col(to, &map, barrier, channel, w, h, n, offset_w, offset_h);
    });
}
