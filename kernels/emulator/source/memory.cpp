#include "memory.h"

#include <algorithm>
#include <cstdlib>
#include <set>

#include "check.h"
#include "counter.h"
#include "finding.h"
#include "shared.h"

namespace emulator {

namespace {

std::vector<Buffer> buffers;
std::vector<Variable> variables;    // of this library; they do not change
std::vector<uint16_t> variable_at;  // for each byte of shared memory: 1 + its variable, 0 for none
ShadowMemory shared_shadow;
size_t last_buffer;  // accesses come in runs

// Orders by __threadfence and atomics.
struct Publication {
    Snapshot snapshot;
    std::set<unsigned> blocks;
};
std::unordered_map<const void*, Publication> publications;
std::set<unsigned> published;  // blocks whose writes the current one may see
std::vector<char> has_fenced;  // by thread

const char* noun(Operation operation) {
    switch (operation) {
        case Operation::load: return "read";
        case Operation::store: return "write";
        default: return "atomic update";
    }
}

std::string describe(const Buffer& buffer) {
    return format("'%s' (%zu bytes)", buffer.shadow.name.c_str(), buffer.bytes);
}

std::string distance_to_nearest(uintptr_t address) {
    const Buffer* nearest = nullptr;
    size_t least = SIZE_MAX;
    bool behind = false;
    for (const Buffer& buffer : buffers) {
        bool after = address >= buffer.address + buffer.bytes;
        size_t distance = after ? address - (buffer.address + buffer.bytes) : buffer.address - address;
        if (distance < least) nearest = &buffer, least = distance, behind = after;
    }
    if (!nearest || least > (size_t(1) << 40)) return "far from every array";
    return format("%zu bytes %s ", least, behind ? "behind the end of" : "before the start of") + describe(*nearest);
}

Buffer* find_buffer(uintptr_t address) {
    if (last_buffer < buffers.size() && address - buffers[last_buffer].address < buffers[last_buffer].bytes)
        return &buffers[last_buffer];
    auto after = std::upper_bound(buffers.begin(), buffers.end(), address,
                                  [](uintptr_t value, const Buffer& buffer) { return value < buffer.address; });
    if (after == buffers.begin()) return nullptr;
    Buffer& buffer = *(after - 1);
    if (address - buffer.address >= buffer.bytes) return nullptr;
    last_buffer = static_cast<size_t>(&buffer - buffers.data());
    return &buffer;
}

void check_aligned(const void* address, unsigned size, Operation operation, const void* place,
                   const std::string& where) {
    fail("misaligned", place,
         format("%s of %u bytes at ", noun(operation), size) + where + format(", which is not a multiple of %u", size) +
             (address ? "" : " (null)"));
}

void check_shared(const char* address, unsigned size, Operation operation, const void* place) {
    size_t offset = shared.offset(address), dynamic = shared.offset(shared.dynamic);
    if (offset - dynamic < most_dynamic_bytes) {
        size_t within = offset - dynamic;
        if (within + size > shared.dynamic_bytes)
            fail("out-of-bounds", place,
                 format("%s of %u bytes at byte %zu of the dynamic shared memory, which has %zu", noun(operation), size,
                        within, shared.dynamic_bytes));
    } else {
        unsigned owner = variable_at[offset], last = variable_at[std::min(offset + size, shared.bytes) - 1];
        bool inside = owner && owner == last && offset + size <= shared.bytes;
        if (!inside) {
            const Variable* nearest = nullptr;
            for (const Variable& variable : variables)
                if (variable.offset <= offset && (!nearest || variable.offset > nearest->offset)) nearest = &variable;
            std::string where = "before the first shared array";
            if (nearest) {
                size_t end = nearest->bytes - nearest->fence, within = offset - nearest->offset;
                where = format("byte %zu of shared '%s', which has %zu", within, nearest->name.c_str(), end);
            }
            fail("out-of-bounds", place, format("%s of %u bytes at ", noun(operation), size) + where);
        }
    }
    if (offset % size) check_aligned(address, size, operation, place, name_of_bytes(shared_shadow, offset));
    uint16_t site = sites.find(place, operation, Space::shared, size);
    unsigned thread = builtin.rank;
    sites.count(site, thread, static_cast<uint32_t>(offset));
    shared_shadow.access(offset, {thread, size, operation, site});
}

void check_global(const char* pointer, unsigned size, Operation operation, const void* place) {
    uintptr_t address = reinterpret_cast<uintptr_t>(pointer);
    Buffer* buffer = find_buffer(address);
    if (!buffer || address + size > buffer->address + buffer->bytes) {
        if (image.contains(pointer)) return;
        for (const Thread& thread : machine.threads)
            if (static_cast<size_t>(pointer - thread.fiber.stack()) < stack_bytes)
                fail("out-of-bounds", place,
                     std::string(noun(operation)) + " of a local variable of another thread, " + name_of(thread));
        fail("out-of-bounds", place,
             format("%s of %u bytes at ", noun(operation), size) +
                 (address < 4096 ? std::string("a null pointer") : distance_to_nearest(address)));
    }
    size_t offset = address - buffer->address;
    if (address % size) check_aligned(pointer, size, operation, place, name_of_bytes(buffer->shadow, offset));
    uint16_t site = sites.find(place, operation, Space::global, size);
    unsigned thread = builtin.rank;
    // Counted from a multiple of 256, so that sectors lie as they would on a GPU.
    sites.count(site, thread, static_cast<uint32_t>(offset + (buffer->address & 255)));
    buffer->shadow.access(offset, {thread, size, operation, site});
}

}  // namespace

void check_access(const void* address, unsigned size, Operation operation, const void* place) {
    if (!machine.current || machine.combining || !machine.checking) return;
    const char* pointer = static_cast<const char*>(address);
    if (static_cast<size_t>(pointer - machine.current->fiber.stack()) < stack_bytes) return;
    if (shared.contains(pointer)) {
        check_shared(pointer, size, operation, place);
    } else {
        check_global(pointer, size, operation, place);
    }
}

Flight depart(unsigned thread, Operation operation, unsigned size, const void* place) {
    Flight flight{thread, operation, 0, {}};
    if (!machine.checking) return flight;
    flight.site = sites.find(place, operation, Space::shared, size);
    clocks.release(flight.thread, flight.issued);
    return flight;
}

void count_access(const void* address, const Flight& flight) {
    if (machine.checking) sites.count(flight.site, flight.thread, static_cast<uint32_t>(shared.offset(address)));
}

void check_landing(const void* address, size_t size, const Flight& flight, const Event& landed,
                   bool (*is_fenced)(const Event&)) {
    if (!machine.checking) return;
    size_t offset = shared.offset(address), dynamic = shared.offset(shared.dynamic);
    bool in_dynamic = offset - dynamic < most_dynamic_bytes;
    bool inside = shared.contains(address) && (in_dynamic ? offset - dynamic + size <= shared.dynamic_bytes
                                                          : variable_at[offset] && offset + size <= shared.bytes &&
                                                                variable_at[offset] == variable_at[offset + size - 1]);
    if (!inside) {
        report_about(
            &machine.threads[flight.thread], "out-of-bounds", place_of(flight.site),
            format("asynchronous %s of %zu bytes at ", noun(flight.operation), size) +
                (shared.contains(address) ? name_of_bytes(shared_shadow, offset) : std::string("no shared memory")));
        abandon();
        return;
    }
    shared_shadow.access_asynchronously(offset, size, flight, landed, is_fenced);
}

const void* place_of(uint16_t site) { return sites[site].place; }

std::string name_of_bytes(const ShadowMemory& memory, size_t offset) {
    if (&memory != &shared_shadow) {
        for (const Buffer& buffer : buffers)
            if (&buffer.shadow == &memory && offset % buffer.item_bytes == 0)
                return format("'%s'[%zu]", memory.name.c_str(), offset / buffer.item_bytes);
        return format("byte %zu of '%s'", offset, memory.name.c_str());
    }
    size_t dynamic = shared.offset(shared.dynamic);
    if (offset - dynamic < most_dynamic_bytes) return format("byte %zu of the dynamic shared memory", offset - dynamic);
    unsigned owner = offset < variable_at.size() ? variable_at[offset] : 0;
    if (!owner) return format("shared memory at byte %zu", offset);
    const Variable& variable = variables[owner - 1];
    return format("byte %zu of shared '%s'", offset - variable.offset, variable.name.c_str());
}

void add_variable(const Variable& variable) { variables.push_back(variable); }

void start_memory() {
    buffers.clear();
    last_buffer = 0;
    publications.clear();
    sites.clear();
    clocks.start_launch();
    if (!machine.checking) return;
    variable_at.assign(shared.bytes, 0);
    for (size_t i = 0; i < variables.size(); ++i) {
        auto start = variable_at.begin() + static_cast<long>(variables[i].offset);
        std::fill(start, start + static_cast<long>(variables[i].bytes - variables[i].fence), uint16_t(i + 1));
    }
    shared_shadow.start(ShadowMemory::Kind::shared, shared.bytes, true);
}

void add_buffer(uintptr_t address, size_t bytes, unsigned item_bytes, const char* name, bool output) {
    if (!machine.checking) return;
    Buffer buffer{address, bytes, item_bytes, output, {}};
    buffer.shadow.start(ShadowMemory::Kind::global, bytes, output);
    buffer.shadow.name = name;
    auto after =
        std::find_if(buffers.begin(), buffers.end(), [&](const Buffer& other) { return other.address > address; });
    std::vector<Buffer> sorted;
    sorted.reserve(buffers.size() + 1);
    for (auto it = buffers.begin(); it != after; ++it) sorted.push_back(std::move(*it));
    sorted.push_back(std::move(buffer));
    for (auto it = after; it != buffers.end(); ++it) sorted.push_back(std::move(*it));
    buffers = std::move(sorted);
}

void finish_memory() {
    if (!machine.checking) return;
    for (const Buffer& buffer : buffers) {
        if (!buffer.output || machine.failed) continue;
        size_t missing = buffer.shadow.bytes_never_written();
        if (missing)
            report_about(nullptr, "unwritten", reinterpret_cast<const void*>(buffer.address),
                         format("%zu of %zu elements of the output '%s' were never written, the first of them [%zu]",
                                missing / buffer.item_bytes, buffer.bytes / buffer.item_bytes,
                                buffer.shadow.name.c_str(), buffer.shadow.first_never_written() / buffer.item_bytes));
    }
}

void start_shared_memory() {
    shared.poison();
    start_asynchronous();
    if (!machine.checking) return;
    clocks.start_block(machine.block, machine.block_threads());
    published.clear();
    has_fenced.assign(machine.block_threads(), 0);
}

void finish_block() {
    shared_shadow.finish_block();
    for (Buffer& buffer : buffers) buffer.shadow.finish_block();
    sites.finish_block();
}

bool is_published(unsigned block) { return published.count(block) != 0; }

void thread_fence() {
    if (machine.checking) has_fenced[builtin.rank] = 1;
}

void atomic_access(const void* address, unsigned size) {
    if (!machine.checking) return;
    check_access(address, size, Operation::atomic, CALLER);
    auto known = publications.find(address);
    if (has_fenced[builtin.rank]) {
        if (known == publications.end()) known = publications.emplace(address, Publication()).first;
        clocks.release(builtin.rank, known->second.snapshot);
        known->second.blocks.insert(machine.block);
    }
    if (known == publications.end()) return;
    clocks.acquire(builtin.rank, known->second.snapshot);
    published.insert(known->second.blocks.begin(), known->second.blocks.end());
}

}  // namespace emulator
