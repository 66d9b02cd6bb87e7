// The memory that a kernel may use: shared variables, and the arrays of its arguments.
#pragma once

#include "counter.h"
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

// An asynchronous access to shared memory on behalf of a thread: when it is issued, and when it is done.
Flight depart(unsigned thread, Operation operation, unsigned size, const void* place);
void check_landing(const void* shared_address, size_t size, const Flight& flight, const Event& landed,
                   bool (*is_fenced)(const Event&));
// Counts one access of an asynchronous unit, or of a collective, as if the current thread had made it.
void count_access(const void* address, const Flight& flight);

std::string name_of_bytes(const ShadowMemory& memory, size_t offset);
const void* place_of(uint16_t site);

}  // namespace emulator
