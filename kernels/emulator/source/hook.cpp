// What `g++ -fsanitize=thread` calls before every load and store. The library is linked without libtsan: these are all.
#include "memory.h"

#include "machine.h"

using namespace emulator;

#define HOOK_AS(name, size, operation) \
    extern "C" void name(void* address) { check_access(address, size, Operation::operation, CALLER); }
#define HOOK(size)                                     \
    HOOK_AS(__tsan_read##size, size, load)             \
    HOOK_AS(__tsan_write##size, size, store)           \
    HOOK_AS(__tsan_unaligned_read##size, size, load)   \
    HOOK_AS(__tsan_unaligned_write##size, size, store) \
    HOOK_AS(__tsan_volatile_read##size, size, load)    \
    HOOK_AS(__tsan_volatile_write##size, size, store)

HOOK(1)
HOOK(2)
HOOK(4)
HOOK(8)
HOOK(16)

static void check_range(const void* address, size_t size, Operation operation, const void* place) {
    const char* pointer = static_cast<const char*>(address);
    // As a compiler for GPUs would: in pieces as wide as the address allows.
    while (size) {
        unsigned piece = 16;
        while (piece > size || reinterpret_cast<uintptr_t>(pointer) % piece) piece /= 2;
        check_access(pointer, piece, operation, place);
        pointer += piece;
        size -= piece;
    }
}

extern "C" {
void __tsan_read_range(void* address, size_t size) { check_range(address, size, Operation::load, CALLER); }
void __tsan_write_range(void* address, size_t size) { check_range(address, size, Operation::store, CALLER); }
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_read(void*) {}
void __tsan_vptr_update(void*, void*) {}
}
