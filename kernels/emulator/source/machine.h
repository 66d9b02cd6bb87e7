// The state of one launch. One kernel library holds one machine; callers hold a lock around a launch.
#pragma once

#define EMULATOR_RUNTIME
#include <string>
#include <vector>

#include "../include/runtime.h"
#include "fiber.h"

#undef threadIdx
#undef blockIdx
#undef blockDim
#undef gridDim
#undef warpSize

// The place in the kernel that called the function in which this is written.
#define CALLER __builtin_return_address(0)

namespace emulator {

enum class State { ready, waiting, exited };
enum class Schedule { fifo, lifo, random };

struct Thread {
    Fiber fiber;
    uint3 index{};
    unsigned rank = 0;
    State state = State::ready;
    const char* waits_for = nullptr;  // the name of what it waits for
    const void* waits_at = nullptr;   // where in the kernel
    unsigned waits_mask = 0;          // lanes of the collective, 0 for others
    int barrier_result = 0;

    unsigned lane() const { return rank % 32; }
    unsigned warp() const { return rank / 32; }
};

struct Machine {
    // Set for each launch.
    bool checking = false;
    Schedule schedule = Schedule::fifo;
    uint64_t random_state = 1;
    size_t dynamic_bytes = 0;
    Thunk thunk = nullptr;
    void** arguments = nullptr;

    // Of the block that runs.
    std::vector<Thread> threads;
    unsigned block = 0;  // its rank in the grid
    unsigned live = 0;   // threads that have not exited
    Thread* current = nullptr;
    bool running = false;    // within a block
    bool failed = false;     // the launch cannot go on
    bool combining = false;  // the runtime touches operands of other fibers: no kernel access

    unsigned block_threads() const { return static_cast<unsigned>(threads.size()); }
    unsigned warps() const { return (block_threads() + 31) / 32; }
    uint32_t random();
};
extern Machine machine;

// Scheduling. `wait` returns when another thread has called `wake`.
void wait(const char* name, const void* place, unsigned mask = 0);
void wake(Thread& thread);
// Ends the launch: never returns on a fiber.
void abandon();

// Collectives and barriers (collective.cpp, barrier.cpp).
void start_collectives();
void start_barriers();
void collectives_after_exit(const Thread& thread);
void barriers_after_exit();

}  // namespace emulator
