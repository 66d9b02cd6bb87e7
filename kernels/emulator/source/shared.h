// The shared memory of a block: the thread-local variables of the library that holds the kernels.
#pragma once

#include <cstddef>
#include <cstdint>

namespace emulator {

// What one block may use on sm_90 (CUDA C++ programming guide, table "Technical Specifications"), and a margin that no
// kernel may touch.
constexpr size_t most_dynamic_bytes = 227 << 10;

struct SharedMemory {
    char* begin = nullptr;  // of all `__shared__` variables
    size_t bytes = 0;
    char* dynamic = nullptr;   // the part that `extern __shared__` arrays name
    size_t dynamic_bytes = 0;  // of it, what the launch asked for

    bool contains(const void* address) const {
        return static_cast<size_t>(static_cast<const char*>(address) - begin) < bytes;
    }
    size_t offset(const void* address) const { return static_cast<size_t>(static_cast<const char*>(address) - begin); }
    // Finds the memory of the calling operating-system thread.
    void locate();
    // Fills it with 0xff bytes: NaN in every floating type, -1 in every integer.
    void poison() const;
};
extern SharedMemory shared;

// The bounds of this library in memory: its constants and `__device__` variables are in there.
struct Image {
    uintptr_t begin = 0, end = 0;
    bool contains(const void* address) const { return reinterpret_cast<uintptr_t>(address) - begin < end - begin; }
};
extern Image image;

}  // namespace emulator
