// What a launch found wrong.
#pragma once

#include <string>
#include <vector>

#include "machine.h"

namespace emulator {

struct Finding {
    const char* kind;
    uint3 block, thread;
    bool has_block, has_thread;
    const void* place;    // in the kernel; resolved to a source line by the caller
    std::string message;  // "{0x1234}" stands for the source line of that place
};

extern std::vector<Finding> findings;

// Records a finding about the current thread; a second one of the same kind at the same place is dropped.
void report(const char* kind, const void* place, const std::string& message);
// The same about a thread of the current block, or about the block as a whole (nullptr).
void report_about(const Thread* thread, const char* kind, const void* place, const std::string& message);

// Records a finding about the current thread and ends the launch.
[[noreturn]] void fail(const char* kind, const void* place, const std::string& message);

[[gnu::format(printf, 1, 2)]] std::string format(const char* pattern, ...);
// "thread (3,0,0)"
std::string name_of(const Thread& thread);
std::string name_of_block(unsigned rank);
// The placeholder that the caller replaces by file and line.
std::string line_of(const void* place);

}  // namespace emulator
