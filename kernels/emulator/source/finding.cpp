#include "finding.h"

#include <cstdarg>

namespace emulator {

constexpr size_t most_findings = 100;

std::vector<Finding> findings;

void report_about(const Thread* thread, const char* kind, const void* place, const std::string& message) {
    if (findings.size() >= most_findings) return;
    for (const Finding& known : findings)
        if (known.place == place && !strcmp(known.kind, kind)) return;
    if (!strcmp(kind, "unwritten")) place = nullptr;
    uint3 index = thread ? thread->index : uint3{};
    findings.push_back({kind, builtin.block_index, index, machine.running, thread != nullptr, place, message});
}

void report(const char* kind, const void* place, const std::string& message) {
    report_about(machine.current, kind, place, message);
}

std::string format(const char* pattern, ...) {
    char text[1024];
    va_list values;
    va_start(values, pattern);
    vsnprintf(text, sizeof text, pattern, values);
    va_end(values);
    return text;
}

std::string name_of(const Thread& thread) {
    return format("thread (%u,%u,%u)", thread.index.x, thread.index.y, thread.index.z);
}

std::string name_of_block(unsigned rank) {
    unsigned width = builtin.grid_size.x, height = builtin.grid_size.y;
    return format("block (%u,%u,%u)", rank % width, rank / width % height, rank / width / height);
}

std::string line_of(const void* place) { return format("{%p}", place); }

}  // namespace emulator
