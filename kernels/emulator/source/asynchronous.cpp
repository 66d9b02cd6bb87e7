// cp.async, mbarrier and the bulk tensor copies that signal one.
#include <cstring>
#include <deque>

#include "check.h"
#include "finding.h"
#include "memory.h"
#include "shared.h"
#include "tensor_map.h"

namespace emulator {

namespace {

struct Copy {
    void* shared;
    const void* global;
    unsigned bytes, valid;
    const void* place;
    Flight flight;
};

// Copies of one thread: groups in the order of their commits, and those not yet committed.
struct Copies {
    std::deque<std::vector<Copy>> groups;
    std::vector<Copy> open;
};

struct Mbarrier {
    unsigned count = 0, pending = 0;
    int64_t bytes = 0;
    unsigned phase = 0;
    std::vector<unsigned> waiting;
    Snapshot snapshot;
};

struct BulkCopy {
    char* shared;
    const TensorMap* map;
    uint64_t* barrier;
    int coordinates[5];
    unsigned offset_w, offset_h;
    Flight flight;
};

std::vector<Copies> copies;
std::unordered_map<const void*, Mbarrier> mbarriers;
std::deque<BulkCopy> bulk_copies;
std::vector<Event> proxy_fences;  // the last of each thread

void perform(const Copy& copy) {
    if (machine.checking) {
        if (copy.valid) check_access(copy.global, copy.valid, Operation::load, copy.place);
        check_landing(copy.shared, copy.bytes, copy.flight, clocks.now(builtin.rank, copy.flight.site), nullptr);
        count_access(copy.shared, copy.flight);
    }
    memcpy(copy.shared, copy.global, copy.valid);
    memset(static_cast<char*>(copy.shared) + copy.valid, 0, copy.bytes - copy.valid);
}

Mbarrier& find_mbarrier(const void* barrier, const void* place) {
    auto known = mbarriers.find(barrier);
    if (known == mbarriers.end()) fail("barrier-misuse", place, "an mbarrier is used before mbarrier.init");
    return known->second;
}

void complete_phase(Mbarrier& barrier) {
    if (barrier.pending || barrier.bytes) return;
    ++barrier.phase;
    barrier.pending = barrier.count;
    for (unsigned rank : barrier.waiting) wake(machine.threads[rank]);
    barrier.waiting.clear();
}

bool has_passed(const Mbarrier& barrier, unsigned parity) { return (barrier.phase & 1) != (parity & 1); }

void land(const BulkCopy& copy) {
    Event landed;
    if (machine.checking) landed = clocks.tick(copy.flight.thread, copy.flight.site);
    size_t bytes = copy.map->box_bytes();
    check_landing(copy.shared, bytes, copy.flight, landed, nullptr);
    if (machine.failed) return;
    if (copy.map->im2col) {
        copy.map->copy_im2col(copy.shared, copy.coordinates, copy.offset_w, copy.offset_h);
    } else {
        copy.map->copy_tile(copy.shared, copy.coordinates);
    }
    Mbarrier& barrier = mbarriers[copy.barrier];
    if (machine.checking) clocks.include(barrier.snapshot, landed);
    barrier.bytes -= static_cast<int64_t>(bytes);
    complete_phase(barrier);
}

void load_bulk(void* destination, const void* map, uint64_t* barrier, const int* coordinates, unsigned rank,
               unsigned offset_w, unsigned offset_h, bool im2col, const void* place) {
    auto tensor = static_cast<const TensorMap*>(map);
    find_mbarrier(barrier, place);
    if (!tensor->is_valid())
        fail("barrier-misuse", place, "the tensor map was not made by tensor_map() or im2col_map()");
    if (tensor->rank != rank || tensor->im2col != im2col)
        fail("barrier-misuse", place,
             format("a tensor map of %u axes is used by an instruction for %u", tensor->rank, rank));
    // 128 bytes, or what the swizzle repeats after (PTX ISA, "Tensor copies: shared memory alignment").
    size_t alignment = tensor->swizzle == 0 ? 128 : size_t(128) << tensor->swizzle;
    if ((static_cast<char*>(destination) - shared.dynamic) % alignment)
        fail("misaligned", place, format("the destination of a tensor copy is not a multiple of %zu bytes", alignment));
    BulkCopy copy{static_cast<char*>(destination),
                  tensor,
                  barrier,
                  {},
                  offset_w,
                  offset_h,
                  depart(builtin.rank, Operation::store, 16, place)};
    std::copy(coordinates, coordinates + rank, copy.coordinates);
    bulk_copies.push_back(std::move(copy));
}

}  // namespace

void start_asynchronous() {
    copies.assign(machine.block_threads(), {});
    mbarriers.clear();
    bulk_copies.clear();
    proxy_fences.assign(machine.block_threads(), {});
    start_wgmma();
}

bool has_asynchronous() { return !bulk_copies.empty(); }

bool advance_asynchronous() {
    if (bulk_copies.empty()) return false;
    size_t which = machine.schedule == Schedule::random ? machine.random() % bulk_copies.size() : 0;
    BulkCopy copy = std::move(bulk_copies[which]);
    bulk_copies.erase(bulk_copies.begin() + static_cast<long>(which));
    land(copy);
    return true;
}

void check_exit(const Thread& thread) {
    const Copies& own = copies[thread.rank];
    const std::vector<Copy>* left = !own.groups.empty() ? &own.groups.front() : &own.open;
    for (const std::vector<Copy>& group : own.groups)
        if (!group.empty()) left = &group;
    if (!left->empty())
        report_about(
            &thread, "missing-wait", left->front().place,
            name_of(thread) + " exits while copies that it began here are in flight: cp.async.wait_group is missing");
    check_wgmma_exit(thread);
}

uint32_t shared_address(const void* address) {
    // As on a GPU, no object is at address 0. Congruent to the offset in dynamic memory, which swizzles go by.
    return static_cast<uint32_t>(static_cast<const char*>(address) - shared.dynamic) + (1u << 20);
}

void copy_async(void* destination, const void* source, unsigned bytes, unsigned valid) {
    if (reinterpret_cast<uintptr_t>(destination) % bytes || (valid && reinterpret_cast<uintptr_t>(source) % bytes))
        fail("misaligned", CALLER, format("cp.async of %u bytes from %p to %p", bytes, source, destination));
    if (!shared.contains(destination)) fail("out-of-bounds", CALLER, "cp.async to memory that is not shared");
    Flight flight = depart(builtin.rank, Operation::store, bytes, CALLER);
    copies[builtin.rank].open.push_back({destination, source, bytes, valid, CALLER, std::move(flight)});
}

void commit_copies() {
    Copies& own = copies[builtin.rank];
    own.groups.push_back(std::move(own.open));
    own.open.clear();
}

void wait_copies(unsigned groups_in_flight) {
    Copies& own = copies[builtin.rank];
    while (own.groups.size() > groups_in_flight) {
        for (const Copy& copy : own.groups.front()) perform(copy);
        own.groups.pop_front();
    }
}

void init_mbarrier(uint64_t* barrier, unsigned count) {
    if (!shared.contains(barrier) || reinterpret_cast<uintptr_t>(barrier) % 8)
        fail("barrier-misuse", CALLER, "an mbarrier must be 8 aligned bytes of shared memory");
    Mbarrier fresh;
    fresh.count = fresh.pending = count;
    mbarriers[barrier] = fresh;
}

void arrive_mbarrier(uint64_t* address, unsigned bytes) {
    Mbarrier& barrier = find_mbarrier(address, CALLER);
    if (!barrier.pending)
        fail("barrier-misuse", CALLER,
             format("more arrivals than the mbarrier's count of %u in one phase", barrier.count));
    if (machine.checking) clocks.release(builtin.rank, barrier.snapshot);
    barrier.bytes += bytes;
    --barrier.pending;
    complete_phase(barrier);
}

bool test_mbarrier(uint64_t* address, unsigned parity) {
    Mbarrier& barrier = find_mbarrier(address, CALLER);
    if (!has_passed(barrier, parity)) {
        yield("mbarrier.try_wait");
        if (!has_passed(barrier, parity)) return false;
    }
    if (machine.checking) clocks.acquire(builtin.rank, barrier.snapshot);
    return true;
}

void wait_mbarrier(uint64_t* address, unsigned parity) {
    Mbarrier& barrier = find_mbarrier(address, CALLER);
    while (!has_passed(barrier, parity)) {
        barrier.waiting.push_back(builtin.rank);
        wait("mbarrier.try_wait", CALLER);
    }
    if (machine.checking) clocks.acquire(builtin.rank, barrier.snapshot);
}

void fence_async_proxy() {
    if (machine.checking) proxy_fences[builtin.rank] = clocks.tick(builtin.rank, 0);
}

bool is_proxy_fenced(const Event& write) {
    const Event& fence = proxy_fences[write.thread];
    return write.epoch < fence.epoch || (write.epoch == fence.epoch && write.clock <= fence.clock);
}

void load_tile(void* destination, const void* map, uint64_t* barrier, const int* coordinates, unsigned rank) {
    load_bulk(destination, map, barrier, coordinates, rank, 0, 0, false, CALLER);
}

void load_im2col(void* destination, const void* map, uint64_t* barrier, const int* coordinates, unsigned offset_w,
                 unsigned offset_h) {
    load_bulk(destination, map, barrier, coordinates, 4, offset_w, offset_h, true, CALLER);
}

}  // namespace emulator
