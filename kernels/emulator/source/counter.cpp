#include "counter.h"

#include <algorithm>

#include "machine.h"

namespace emulator {

Sites sites;

namespace {

constexpr size_t table_size = 1 << 14;
constexpr size_t most_sites = table_size / 2;
// Requests that a warp may have open at one site; what a lane does beyond, before its warp has caught up, is not
// counted.
constexpr size_t most_open = 1 << 14;

unsigned distinct(uint32_t* values, unsigned count) {
    if (!std::is_sorted(values, values + count)) std::sort(values, values + count);
    return static_cast<unsigned>(std::unique(values, values + count) - values);
}

// Sectors of 32 bytes that the request touches, and the fewest that its bytes would fit into.
void count_sectors(Site& site, const Request& request) {
    uint32_t sectors[64], addresses[32];
    unsigned n = 0, lanes = 0;
    for (unsigned lane = 0; lane < 32; ++lane) {
        if (!(request.lanes >> lane & 1)) continue;
        uint32_t address = request.address[lane];
        addresses[lanes++] = address;
        sectors[n++] = address / 32;
        if ((address + site.size - 1) / 32 != address / 32) sectors[n++] = (address + site.size - 1) / 32;
    }
    site.cost += distinct(sectors, n);
    site.ideal += (distinct(addresses, lanes) * site.size + 31) / 32;
}

// Wavefronts: 32 banks of 4 bytes serve one word each, to any number of lanes. Lanes are served in groups whose words
// would fill the banks: a quarter of a warp for 16 bytes a lane (CUDA C++ programming guide, "Shared Memory").
void count_wavefronts(Site& site, const Request& request) {
    unsigned group = site.size <= 4 ? 32 : site.size == 8 ? 16 : 8;
    for (unsigned start = 0; start < 32; start += group) {
        uint32_t words[128];
        unsigned n = 0;
        for (unsigned lane = start; lane < start + group; ++lane)
            if (request.lanes >> lane & 1)
                for (unsigned byte = 0; byte < site.size; byte += 4) words[n++] = (request.address[lane] + byte) / 4;
        if (!n) continue;
        // Atomics on one word happen one after the other.
        if (site.operation != Operation::atomic) n = distinct(words, n);
        unsigned per_bank[32] = {};
        for (unsigned i = 0; i < n; ++i) ++per_bank[words[i] % 32];
        site.cost += *std::max_element(per_bank, per_bank + 32);
        ++site.ideal;
    }
}

void add(Site& site, const Request& request) {
    ++site.requests;
    site.threads += static_cast<unsigned>(__builtin_popcount(request.lanes));
    if (site.space == Space::global) {
        count_sectors(site, request);
    } else {
        count_wavefronts(site, request);
    }
}

}  // namespace

void Sites::clear() {
    sites_.clear();
    touched_.clear();
    table_.assign(table_size, {});
}

uint16_t Sites::find(const void* place, Operation operation, Space space, unsigned size) {
    uint32_t what = size << 8 | static_cast<uint32_t>(operation) << 1 | static_cast<uint32_t>(space) | 0x80u;
    size_t hash = (reinterpret_cast<uintptr_t>(place) * 0x9e3779b97f4a7c15ull >> 32) ^ what;
    for (size_t i = hash % table_size;; i = (i + 1) % table_size) {
        Slot& slot = table_[i];
        if (slot.place == place && slot.what == what) return slot.site;
        if (slot.what) continue;
        if (sites_.size() >= most_sites) return static_cast<uint16_t>(most_sites - 1);
        slot = {place, what, static_cast<uint16_t>(sites_.size())};
        sites_.emplace_back();
        sites_.back().place = place;
        sites_.back().operation = operation;
        sites_.back().space = space;
        sites_.back().size = size;
        return slot.site;
    }
}

void Sites::count(uint16_t index, unsigned thread, uint32_t address) {
    Site& site = sites_[index];
    if (site.logs.empty()) {
        site.logs.resize(machine.warps());
        touched_.push_back(index);
    }
    Log& log = site.logs[thread / 32];
    unsigned lane = thread % 32;
    size_t position = log.count[lane]++ - log.first;
    if (position >= most_open) return;
    if (position >= log.requests.size()) log.requests.resize(position + 1);
    Request& request = log.requests[position];
    request.lanes |= 1u << lane;
    request.address[lane] = address;
    unsigned lanes = std::min(32u, machine.block_threads() - thread / 32 * 32);
    if (static_cast<unsigned>(__builtin_popcount(request.lanes)) != lanes) return;
    add(site, request);
    request.lanes = 0;
    if (++log.complete == log.requests.size()) {
        log.first += log.complete;
        log.complete = 0;
        log.requests.clear();
    }
}

void Sites::finish_block() {
    for (uint16_t index : touched_) {
        Site& site = sites_[index];
        for (const Log& log : site.logs)
            for (const Request& request : log.requests)
                if (request.lanes) add(site, request);
        site.logs.clear();
    }
    touched_.clear();
}

}  // namespace emulator
