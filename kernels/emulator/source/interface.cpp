// The functions that Python calls, in this order: prepare, buffer for each array, the kernel's own entry, then the
// questions about what happened. One caller at a time.
#include "check.h"
#include "counter.h"
#include "fiber.h"
#include "finding.h"
#include "machine.h"
#include "memory.h"
#include "shared.h"

using namespace emulator;

#define EXPORTED extern "C" __attribute__((visibility("default")))

EXPORTED void emulator_prepare(const unsigned* grid, const unsigned* block, size_t dynamic_bytes, int schedule,
                               uint64_t seed, int checking) {
    builtin.grid_size = dim3(grid[0], grid[1], grid[2]);
    builtin.block_size = dim3(block[0], block[1], block[2]);
    machine.schedule = static_cast<Schedule>(schedule);
    machine.random_state = (seed + 1) * 0x9e3779b97f4a7c15ull;
    machine.checking = checking != 0;
    findings.clear();
    shared.locate();
    shared.dynamic_bytes = dynamic_bytes;
    start_memory();
}

// Before and after a launch: the fibers' stacks, which all libraries of the process take turns to use.
EXPORTED void emulator_adopt_stacks(void* memory, unsigned count) { adopt_stacks(memory, count); }
EXPORTED unsigned emulator_hand_on_stacks(void** memory) { return hand_on_stacks(memory); }

// Once for each `__shared__` variable, before the first launch.
EXPORTED void emulator_variable(size_t offset, size_t bytes, size_t fence, const char* name) {
    add_variable({offset, bytes, fence, name});
}

EXPORTED void emulator_buffer(uintptr_t address, size_t bytes, unsigned item_bytes, const char* name, int output) {
    add_buffer(address, bytes, item_bytes, name, output != 0);
}

EXPORTED size_t emulator_counter_count() { return sites.size(); }

struct CounterView {
    const void* place;
    int operation, space;
    unsigned size;
    uint64_t requests, threads, cost, ideal;
};

EXPORTED void emulator_counter(size_t index, CounterView* view) {
    const Site& site = sites[index];
    *view = {site.place,
             static_cast<int>(site.operation),
             static_cast<int>(site.space),
             site.size,
             site.requests,
             site.threads,
             site.cost,
             site.ideal};
}

EXPORTED size_t emulator_finding_count() { return findings.size(); }

struct FindingView {
    const char *kind, *message;
    const void* place;
    unsigned block[3], thread[3];
    int has_block, has_thread;
};

EXPORTED void emulator_finding(size_t index, FindingView* view) {
    const Finding& finding = findings[index];
    *view = {finding.kind,
             finding.message.c_str(),
             finding.place,
             {finding.block.x, finding.block.y, finding.block.z},
             {finding.thread.x, finding.thread.y, finding.thread.z},
             finding.has_block,
             finding.has_thread};
}

EXPORTED uintptr_t emulator_image() { return image.begin; }
