// Asynchronous copies and tensor cores: values, and planted bugs (`planted` chooses one of several).
#include "ptx.cuh"

// Two stages of copies. planted 1: one wait too few; 2: no barrier after the wait; 3: a stage is filled again while
// others may still read it; 4: the last group is never waited for.
extern "C" __global__ void pipeline(const float* x, float* y, int tiles, int planted) {
    DC_SHARED(float, stage, [2][256]);
    int t = threadIdx.x;
    dc::copy_async_16(&stage[0][4 * t], &x[4 * t]);  // FINDING 2: race, 3: race
    dc::commit_copies();
    float sum = 0;
    for (int tile = 0; tile < tiles; ++tile) {
        const float* from = &x[(tile + 1) % tiles * 256 + 4 * t];
        float* to = &stage[(tile + 1) % 2][4 * t];
        if (tile + 1 < tiles || planted == 4)
            dc::copy_async_16(to, from);  // FINDING 1: race, 2: race, 3: race, 4: missing-wait
        dc::commit_copies();
        if (planted == 1)
            dc::wait_copies<2>();
        else
            dc::wait_copies<1>();
        if (planted != 2) __syncthreads();
        for (int i = 0; i < 4; ++i) sum += stage[tile % 2][4 * (63 - t) + i];  // FINDING 1: race, 2: race
        if (planted != 3) __syncthreads();
    }
    y[t] = sum;
}

// One box to shared memory, and out as it lies there. planted 1: nobody waits; 2: expects too many bytes.
extern "C" __global__ void tile_2d(const __grid_constant__ dc::TensorMap map, float* y, int column, int row, int bytes,
                                   int planted) {
    DC_DYNAMIC_SHARED(float, tile);
    DC_SHARED(uint64_t, barrier, [1]);
    if (threadIdx.x == 0) {
        dc::init_mbarrier(barrier, 1);
        dc::fence_mbarrier_init();
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        dc::arrive_and_expect(barrier, bytes + (planted == 2 ? 16 : 0));
        dc::load_tile(tile, &map, barrier, column, row);
    }
    if (planted != 1) dc::wait_mbarrier(barrier, 0);                           // FINDING 2: deadlock
    for (int i = threadIdx.x; i < bytes / 4; i += blockDim.x) y[i] = tile[i];  // FINDING 1: uninitialized
}

// 64 by 64 by 64 in bfloat16 from row-major a [m, k] and b [n, k], put to shared memory by the threads in the 128-byte
// swizzle. planted 1: no fence.proxy.async; 2: no wgmma.fence; 3: no wait; 4: no barrier.
extern "C" __global__ void __launch_bounds__(128)
    warpgroup_product(const __nv_bfloat16* a, const __nv_bfloat16* b, float* d, int planted) {
    DC_DYNAMIC_SHARED(__nv_bfloat16, tiles);
    __nv_bfloat16 *left = tiles, *right = tiles + 64 * 64;
    for (int i = threadIdx.x; i < 64 * 64; i += 128) {
        int row = i / 64, column = i % 64, place = row * 64 + ((column / 8 ^ row % 8) * 8 + column % 8);
        left[place] = a[i];
        right[place] = b[i];
    }
    if (planted != 1) dc::fence_async_proxy();
    if (planted != 4) __syncthreads();
    float sum[32];
    if (planted != 2) dc::fence_wgmma();
    for (int k = 0; k < 64; k += 16) {
        uint64_t l = dc::matrix_descriptor(left + k, 16, 1024, dc::Swizzle::bytes128);
        uint64_t r = dc::matrix_descriptor(right + k, 16, 1024, dc::Swizzle::bytes128);
        dc::wgmma_bf16(sum, l, r, k > 0);  // FINDING 1: missing-fence, 2: missing-fence, 3: missing-wait, 4: race
    }
    dc::commit_wgmma();
    if (planted != 3) dc::wait_wgmma<0>();
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    for (int i = 0; i < 32; ++i)
        d[(16 * warp + lane / 4 + i / 2 % 2 * 8) * 64 + i / 4 * 8 + 2 * (lane % 4) + i % 2] = sum[i];
}

// Producer and consumer: warp 4 copies tiles, the first 128 threads multiply by tf32. planted 1: the consumer frees a
// stage before its wgmma is done; 2: the producer does not wait for a free stage.
extern "C" __global__ void __launch_bounds__(160)
    specialised_product(const __grid_constant__ dc::TensorMap a, const __grid_constant__ dc::TensorMap b, float* d,
                        int steps, int planted) {
    constexpr int stages = 2;
    DC_DYNAMIC_SHARED(float, tiles);
    DC_SHARED(uint64_t, full, [stages]);
    DC_SHARED(uint64_t, empty, [stages]);
    if (threadIdx.x == 0) {
        for (int s = 0; s < stages; ++s) dc::init_mbarrier(&full[s], 1), dc::init_mbarrier(&empty[s], 128);
        dc::fence_mbarrier_init();
    }
    __syncthreads();
    if (threadIdx.x >= 128) {
        if (threadIdx.x == 128)
            for (int step = 0; step < steps; ++step) {
                int s = step % stages;
                if (step >= stages && planted != 2) dc::wait_mbarrier(&empty[s], (step / stages - 1) & 1);
                dc::arrive_and_expect(&full[s], 2 * 64 * 32 * 4);
                dc::load_tile(tiles + s * 4096, &a, &full[s], 32 * step, 0);         // FINDING 1: race, 2: race
                dc::load_tile(tiles + s * 4096 + 2048, &b, &full[s], 32 * step, 0);  // FINDING 1: race, 2: race
            }
        return;
    }
    float sum[32];
    for (int step = 0; step < steps; ++step) {
        int s = step % stages;
        dc::wait_mbarrier(&full[s], step / stages & 1);
        dc::fence_wgmma();
        for (int k = 0; k < 32; k += 8)
            dc::wgmma_tf32(sum, dc::matrix_descriptor(tiles + s * 4096 + k, 16, 1024, dc::Swizzle::bytes128),
                           dc::matrix_descriptor(tiles + s * 4096 + 2048 + k, 16, 1024, dc::Swizzle::bytes128),
                           step + k > 0);  // FINDING 1: race, 2: race
        dc::commit_wgmma();
        if (planted == 1) dc::arrive_mbarrier(&empty[s]);
        dc::wait_wgmma<0>();
        if (planted != 1) dc::arrive_mbarrier(&empty[s]);
    }
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    for (int i = 0; i < 32; ++i)
        d[(16 * warp + lane / 4 + i / 2 % 2 * 8) * 64 + i / 4 * 8 + 2 * (lane % 4) + i % 2] = sum[i];
}
