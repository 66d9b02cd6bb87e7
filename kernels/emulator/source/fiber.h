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

// One set of stacks goes from library to library. Each stack and its guard page are two mappings of the process, which
// may have 65,530 in all by default: a set for each kernel library would use them up.
void adopt_stacks(void* memory, unsigned count);
unsigned hand_on_stacks(void** memory);
char* stack_of(char* stacks, unsigned index);

}  // namespace emulator
