// wgmma.mma_async of a warpgroup (128 threads): operands in shared memory by matrix descriptors (PTX ISA, "Asynchronous
// warpgroup-level matrix shared memory layout"), the result in registers. It runs when it is waited for.
#include <algorithm>
#include <deque>

#include "check.h"
#include "finding.h"
#include "memory.h"
#include "shared.h"
#include "tensor_core.h"
#include "tensor_map.h"

namespace emulator {

namespace {

constexpr unsigned group_threads = 128;

struct Operation64 {
    Wgmma shared_part;
    const void* place;
    float* d[group_threads];
    const uint32_t* a_registers[group_threads];
    Flight flight;
};

// The threads of a warpgroup meet for every instruction.
struct Warpgroup {
    unsigned arrived = 0;
    const char* name = nullptr;
    Wgmma operands[group_threads];
    bool fenced = false;
    std::vector<Operation64> open;
    std::deque<std::vector<Operation64>> groups;
};
std::vector<Warpgroup> warpgroups;

// True for the last of the warpgroup to arrive, who must then do the work and `release` the others.
bool meet(Warpgroup& group, const char* name, const void* place) {
    unsigned first = builtin.rank / group_threads * group_threads;
    if (first + group_threads > machine.block_threads())
        fail("divergent-collective", place, std::string(name) + " needs a whole warpgroup of 128 threads");
    if (group.arrived && strcmp(group.name, name))
        fail("divergent-collective", place,
             std::string("threads of a warpgroup meet at ") + name + " and " + group.name);
    group.name = name;
    if (++group.arrived < group_threads) {
        wait(name, place);
        return false;
    }
    group.arrived = 0;
    return true;
}

void release() {
    unsigned first = builtin.rank / group_threads * group_threads;
    for (unsigned i = 0; i < group_threads; ++i)
        if (first + i != builtin.rank) wake(machine.threads[first + i]);
}

Warpgroup& own_group() { return warpgroups[builtin.rank / group_threads]; }

// The shared address of element (row, k) of an operand whose rows run along m or n.
uint64_t address_of(uint64_t descriptor, unsigned row, unsigned k, unsigned item_bytes, bool transposed) {
    uint64_t start = (descriptor & 0x3fff) << 4, leading = (descriptor >> 16 & 0x3fff) << 4;
    uint64_t stride = (descriptor >> 32 & 0x3fff) << 4;
    unsigned code = static_cast<unsigned>(descriptor >> 62);
    // Codes 0 to 3 stand for no swizzle, and for swizzles of 128, 64 and 32 bytes.
    static constexpr unsigned spans[4] = {16, 128, 64, 32}, modes[4] = {0, 3, 2, 1};
    unsigned span = spans[code], per_span = span / item_bytes;
    if (!transposed) {  // k runs along the span, 8 rows make a core matrix
        uint64_t inner = code ? k * item_bytes : k / per_span * leading + k % per_span * item_bytes;
        return swizzled(start + row / 8 * stride + row % 8 * span + inner, modes[code]);
    }
    uint64_t outer = code ? row / per_span * leading + k / 8 * stride : row / per_span * stride + k / 8 * leading;
    return swizzled(start + outer + k % 8 * span + row % per_span * item_bytes, modes[code]);
}

// A shared operand as floats, k fastest.
std::vector<float> read_operand(const Operation64& operation, uint64_t descriptor, unsigned rows, unsigned depth,
                                bool transposed, const Event& landed) {
    unsigned item_bytes = operation.shared_part.operand == Operand::tfloat32 ? 4 : 2;
    std::vector<float> values(size_t(rows) * depth);
    std::vector<const char*> pieces;
    for (unsigned row = 0; row < rows; ++row)
        for (unsigned k = 0; k < depth; ++k) {
            // The 18 bits of a descriptor's address count from the start of dynamic memory: see shared_address.
            uint64_t offset = address_of(descriptor, row, k, item_bytes, transposed);
            if (offset + item_bytes > shared.dynamic_bytes)
                fail("out-of-bounds", operation.place,
                     format("a wgmma operand is at byte %llu of the dynamic shared memory, which has %zu",
                            static_cast<unsigned long long>(offset), shared.dynamic_bytes));
            const char* element = shared.dynamic + offset;
            pieces.push_back(shared.dynamic + offset / 16 * 16);
            uint32_t bits = 0;
            memcpy(&bits, element, item_bytes);
            values[size_t(row) * depth + k] = operand_value(bits, operation.shared_part.operand);
        }
    if (machine.checking) {
        std::sort(pieces.begin(), pieces.end());
        pieces.erase(std::unique(pieces.begin(), pieces.end()), pieces.end());
        for (const char* piece : pieces) check_landing(piece, 16, operation.flight, landed, is_proxy_fenced);
    }
    return values;
}

std::vector<float> registers_of_a(const Operation64& operation, unsigned depth) {
    std::vector<float> values(64 * depth);
    for (unsigned thread = 0; thread < group_threads; ++thread) {
        unsigned warp = thread / 32, group = thread % 32 / 4, in_group = thread % 4;
        for (unsigned i = 0; i < 4; ++i) {
            unsigned row = 16 * warp + group + i % 2 * 8;
            uint32_t bits = operation.a_registers[thread][i];
            if (operation.shared_part.operand == Operand::tfloat32) {
                values[row * depth + in_group + i / 2 * 4] = operand_value(bits, Operand::tfloat32);
            } else {
                for (unsigned half = 0; half < 2; ++half)
                    values[row * depth + 2 * in_group + i / 2 * 8 + half] =
                        operand_value(bits >> (16 * half), operation.shared_part.operand);
            }
        }
    }
    return values;
}

void run(const Operation64& operation) {
    const Wgmma& what = operation.shared_part;
    unsigned n = what.n, depth = what.operand == Operand::tfloat32 ? 8 : 16;
    Event landed;
    if (machine.checking) landed = clocks.now(operation.flight.thread, operation.flight.site);
    std::vector<float> a = what.a_registers ? registers_of_a(operation, depth)
                                            : read_operand(operation, what.a, 64, depth, what.transpose_a, landed);
    std::vector<float> b = read_operand(operation, what.b, n, depth, what.transpose_b, landed);
    std::vector<double> row(n);
    for (unsigned r = 0; r < 64; ++r) {
        // Row r of the result lies in four threads: register 4 j + 2 i + c is column 8 j + 2 (thread % 4) + c.
        unsigned first_thread = r / 16 * 32 + r % 8 * 4, upper = r % 16 / 8;
        auto element = [&](unsigned column) -> float& {
            return operation.d[first_thread + column % 8 / 2][column / 8 * 4 + upper * 2 + column % 2];
        };
        for (unsigned column = 0; column < n; ++column) {
            double sum = what.accumulate ? element(column) : 0.0;
            for (unsigned k = 0; k < depth; ++k)
                sum += static_cast<double>(a[r * depth + k]) * b[size_t(column) * depth + k];
            row[column] = sum;
        }
        for (unsigned column = 0; column < n; ++column) element(column) = truncated(row[column]);
    }
}

}  // namespace

void start_wgmma() {
    warpgroups.clear();
    warpgroups.resize((machine.block_threads() + group_threads - 1) / group_threads);
}

void check_wgmma_exit(const Thread& thread) {
    const Warpgroup& group = warpgroups[thread.rank / group_threads];
    const Operation64* left = group.open.empty() ? nullptr : &group.open.front();
    for (const std::vector<Operation64>& committed : group.groups)
        if (!committed.empty()) left = &committed.front();
    if (left)
        report_about(
            &thread, "missing-wait", left->place,
            name_of(thread) + " exits while a wgmma that it issued here is in flight: wgmma.wait_group is missing");
}

void issue_wgmma(const Wgmma& operation) {
    Warpgroup& group = own_group();
    group.operands[builtin.rank % group_threads] = operation;
    const void* place = CALLER;
    if (!meet(group, "wgmma.mma_async", place)) return;
    if (!group.fenced)
        fail("missing-fence", place, "wgmma.mma_async without wgmma.fence since the kernel's start or the last wait");
    unsigned first = builtin.rank / group_threads * group_threads;
    Operation64 whole{group.operands[0], place, {}, {}, depart(first, Operation::load, 16, place)};
    for (unsigned i = 0; i < group_threads; ++i) {
        const Wgmma& own = group.operands[i];
        if (own.a != operation.a || own.b != operation.b || own.n != operation.n)
            fail("divergent-collective", place, "the threads of a warpgroup pass different descriptors to one wgmma");
        whole.d[i] = own.d;
        whole.a_registers[i] = own.a_registers;
    }
    group.open.push_back(std::move(whole));
    release();
}

void fence_wgmma() {
    Warpgroup& group = own_group();
    if (!meet(group, "wgmma.fence", CALLER)) return;
    group.fenced = true;
    release();
}

void commit_wgmma() {
    Warpgroup& group = own_group();
    if (!meet(group, "wgmma.commit_group", CALLER)) return;
    group.groups.push_back(std::move(group.open));
    group.open.clear();
    release();
}

void wait_wgmma(unsigned groups_in_flight) {
    Warpgroup& group = own_group();
    if (!meet(group, "wgmma.wait_group", CALLER)) return;
    group.fenced = false;
    while (group.groups.size() > groups_in_flight) {
        for (const Operation64& operation : group.groups.front()) run(operation);
        group.groups.pop_front();
    }
    if (machine.checking) {
        unsigned ranks[group_threads], first = builtin.rank / group_threads * group_threads;
        for (unsigned i = 0; i < group_threads; ++i) ranks[i] = first + i;
        synchronize(ranks, group_threads);
    }
    release();
}

}  // namespace emulator
