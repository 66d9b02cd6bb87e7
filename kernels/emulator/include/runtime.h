// What kernels see of the runtime in ../source: where they are, barriers, collectives, and how to report a fault.
#pragma once

#include <cfloat>
#include <climits>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <type_traits>
#include <utility>

// Functions whose loads and stores are the emulator's own, not the kernel's.
#define EMULATOR_UNCHECKED __attribute__((noinline, no_sanitize("thread")))
// Wrappers of runtime calls: inlined, so that the call's return address is a place in the kernel.
#define EMULATOR_INLINE inline __attribute__((always_inline))

struct uint3 {
    unsigned x, y, z;
};

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

namespace emulator {

// Constant for kernels, which may keep it in registers: within one fiber none of it ever changes.
struct Builtins {
    uint3 thread_index, block_index;
    dim3 block_size, grid_size;
    unsigned rank, lane, warp;
};

#ifdef EMULATOR_RUNTIME
extern Builtins builtin;
#else
extern const Builtins builtin;
#endif

// Operands of one collective: element i belongs to lane i and is valid where bit i of `lanes` is set.
struct Operands {
    const void* const* in;
    void* const* out;
    unsigned lanes;
};
using Combine = void (*)(const Operands&);

// Every non-exited lane of `mask` waits here; the last one to arrive computes for all.
void collective(unsigned mask, const void* in, void* out, Combine combine, const char* name);
void sync_warp(unsigned mask);
unsigned active_mask();
// Within `combine`: lane `reader` asks for the value of a lane that takes no part.
void report_inactive_lane(unsigned reader, unsigned source);

enum class Reduction { none, count, any, all };
int sync_threads(Reduction reduction, int predicate, const char* name);
void sync_named(unsigned barrier, unsigned threads);

void thread_fence();
void atomic_access(const void* address, unsigned size);
// Lets others run: called by loops that wait for another thread.
void yield(const char* name);
// Says that such a loop came to its end.
void progress();
[[noreturn]] void trap(const char* message);

using Thunk = void (*)(void** arguments);
void run_grid(Thunk thunk, void** arguments);

}  // namespace emulator

#define threadIdx (emulator::builtin.thread_index)
#define blockIdx (emulator::builtin.block_index)
#define blockDim (emulator::builtin.block_size)
#define gridDim (emulator::builtin.grid_size)
#define warpSize 32

EMULATOR_INLINE void __syncthreads() { emulator::sync_threads(emulator::Reduction::none, 0, "__syncthreads"); }
EMULATOR_INLINE int __syncthreads_count(int predicate) {
    return emulator::sync_threads(emulator::Reduction::count, predicate, "__syncthreads_count");
}
EMULATOR_INLINE int __syncthreads_or(int predicate) {
    return emulator::sync_threads(emulator::Reduction::any, predicate, "__syncthreads_or");
}
EMULATOR_INLINE int __syncthreads_and(int predicate) {
    return emulator::sync_threads(emulator::Reduction::all, predicate, "__syncthreads_and");
}
EMULATOR_INLINE void __syncwarp(unsigned mask = 0xffffffffu) { emulator::sync_warp(mask); }
EMULATOR_INLINE unsigned __activemask() { return emulator::active_mask(); }
EMULATOR_INLINE void __threadfence() { emulator::thread_fence(); }
EMULATOR_INLINE void __threadfence_block() { emulator::thread_fence(); }
EMULATOR_INLINE void __threadfence_system() { emulator::thread_fence(); }
EMULATOR_INLINE void __trap() { emulator::trap("__trap() was called"); }
EMULATOR_INLINE void __nanosleep(unsigned) { emulator::yield("__nanosleep"); }
