// A fiber: a stack and the place where it stopped. Switching costs a dozen instructions and no system call.
#pragma once

#include <cstddef>

namespace emulator {

constexpr size_t stack_bytes = 256 << 10;

class Fiber {
public:
    // Makes the next `resume` call `entry` on a fresh stack, whose lowest address is `stack`.
    void prepare(char* stack, void (*entry)());
    // Runs the fiber until it calls `suspend`. Called by the scheduler only.
    void resume();
    // Returns to the scheduler. Called on the fiber itself only.
    void suspend();

    const char* stack() const { return stack_; }

private:
    char* stack_ = nullptr;
    void* stopped_at_ = nullptr;
};

// `count` stacks, each with a page below it that faults when a kernel uses more; valid until the next call.
char* reserve_stacks(unsigned count);
char* stack_of(char* stacks, unsigned index);

}  // namespace emulator
