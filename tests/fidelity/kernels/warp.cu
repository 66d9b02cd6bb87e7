// What the threads of a warp, of a block and of a grid tell each other.
#include "ptx.cuh"

#if __CUDA_ARCH__ >= 800
// One warp; each lane's results lie 32 apart.
extern "C" __global__ void warp_functions(const int* x, int* y) {
    unsigned lane = threadIdx.x, all = 0xffffffffu;
    int v = x[lane];
    int n = 0;
    auto put = [&](int value) { y[32 * n++ + lane] = value; };
    put(__shfl_sync(all, v, 5));
    put(__shfl_sync(all, v, 3, 8));
    put(__shfl_up_sync(all, v, 2, 16));
    put(__shfl_down_sync(all, v, 3, 8));
    put(__shfl_xor_sync(all, v, 9));
    put(__ballot_sync(all, v & 1));
    put(__any_sync(all, v == x[7]));
    put(__all_sync(all, v == x[7]));
    put(__match_any_sync(all, v % 3));
    put(__reduce_add_sync(all, v));
    put(__reduce_max_sync(all, v));
    put(int(__reduce_min_sync(all, unsigned(v))));
    put(__reduce_xor_sync(all, unsigned(v)));
    int same;
    put(__match_all_sync(all, v, &same));
    put(lane < 10 ? __ballot_sync(0x3ffu, 1) : __ballot_sync(~0x3ffu, lane & 1));
    put(int(__shfl_down_sync(all, double(v) + 0.5, 1)));
}
#endif

extern "C" __global__ void block_votes(const int* x, int* y) {
    int odd = x[threadIdx.x] & 1;
    int count = __syncthreads_count(odd), any = __syncthreads_or(odd), every = __syncthreads_and(odd);
    y[threadIdx.x] = count * 4 + (any != 0) * 2 + (every != 0);
}

extern "C" __global__ void atomics(int* y, float* f, unsigned long long* wide) {
    int t = threadIdx.x;
    atomicAdd(&y[0], t);
    atomicSub(&y[1], 1);
    atomicMax(&y[2], t * 7 % 64);
    atomicMin(&y[3], -t);
    atomicAnd(&y[4], ~(1 << t % 8));
    atomicOr(&y[5], 1 << t % 31);
    atomicXor(&y[6], t);
    atomicExch(&y[7], 5);
    atomicInc(reinterpret_cast<unsigned*>(&y[8]), 9);
    atomicAdd(&f[0], 0.5f);
    atomicAdd(&wide[0], 1ull << 40);
    // A float maximum by compare and swap, and a lock.
    int* bits = reinterpret_cast<int*>(&f[1]);
    int old = atomicCAS(bits, 0, 0), assumed;
    do {
        assumed = old;
        old = atomicCAS(bits, assumed, __float_as_int(fmaxf(__int_as_float(assumed), t)));
    } while (old != assumed);
}

// Two halves of a block, each with a barrier of its own, and different numbers of rounds.
extern "C" __global__ void named_barriers(const int* x, int* y) {
    DC_SHARED(int, kept, [128]);
    int t = threadIdx.x, half = t / 64, first = 64 * half;
    int value = x[t];
    for (int round = 0; round < 2 + half; ++round) {
        kept[t] = value;
        dc::sync_threads(1 + half, 64);
        value = kept[first + (t + 33) % 64] + 1;
        dc::sync_threads(1 + half, 64);
    }
    y[t] = value;
}
