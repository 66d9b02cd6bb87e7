// The memory that a kernel may use: shared variables, and the arrays of its arguments.
#pragma once

#include "shadow.h"

namespace emulator {

// A global array. Kept in the order of their addresses.
struct Buffer {
    uintptr_t address;
    size_t bytes;
    unsigned item_bytes;
    bool output;  // its elements must be written before they are read, and all of them at the end
    ShadowMemory shadow;
};

// One variable in shared memory; `fence` bytes at its end belong to nobody.
struct Variable {
    size_t offset, bytes, fence;
    std::string name;
};

void start_memory();
void add_buffer(uintptr_t address, size_t bytes, unsigned item_bytes, const char* name, bool output);
void add_variable(const Variable& variable);
// Reports the outputs that the kernel left unwritten.
void finish_memory();

// Called before every access of a kernel: reports what is wrong with it, and does not return if it cannot be made.
void check_access(const void* address, unsigned size, Operation operation, const void* place);

std::string name_of_bytes(const ShadowMemory& memory, size_t offset);
const void* place_of(uint16_t site);

}  // namespace emulator
