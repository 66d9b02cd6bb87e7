#include "shared.h"

#include <elf.h>
#include <link.h>

#include <cstring>

#include "check.h"
#include "machine.h"

// Defined in assembly after the kernel's source (see builder.py), under every name that an `extern __shared__` has.
extern "C" __attribute__((visibility("hidden"))) __thread char emulator_dynamic_shared[];

namespace emulator {

SharedMemory shared;
Image image;

static int find_image(dl_phdr_info* info, size_t, void*) {
    uintptr_t self = reinterpret_cast<uintptr_t>(&machine), begin = UINTPTR_MAX, end = 0;
    const ElfW(Phdr)* thread_local_segment = nullptr;
    for (int i = 0; i < info->dlpi_phnum; ++i) {
        const ElfW(Phdr)& segment = info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + segment.p_vaddr;
        if (segment.p_type == PT_TLS) thread_local_segment = &segment;
        if (segment.p_type != PT_LOAD) continue;
        if (start < begin) begin = start;
        if (start + segment.p_memsz > end) end = start + segment.p_memsz;
    }
    if (self < begin || self >= end) return 0;
    image = {begin, end};
    shared.begin = static_cast<char*>(info->dlpi_tls_data);
    shared.bytes = thread_local_segment->p_memsz;
    return 1;
}

void SharedMemory::locate() {
    // Touched first: the system gives a thread its copy of these variables only when it uses one.
    dynamic = emulator_dynamic_shared;
    *static_cast<volatile char*>(dynamic) = 0;
    dl_iterate_phdr(find_image, nullptr);
}

void SharedMemory::poison() const {
    char *end = begin + bytes, *unused = dynamic + most_dynamic_bytes;
    memset(begin, 0xff, static_cast<size_t>(dynamic - begin) + dynamic_bytes);
    memset(unused, 0xff, static_cast<size_t>(end - unused));
}

}  // namespace emulator
