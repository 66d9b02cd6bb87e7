// What is remembered of every few bytes of an array: who wrote them last, and who has read them since.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "clock.h"

namespace emulator {

enum class Operation { load, store, atomic };

// One access by one thread, wherever it went.
struct Access {
    unsigned thread;
    unsigned size;
    Operation operation;
    uint16_t site;
    bool writes() const { return operation != Operation::load; }
};

class ShadowMemory {
public:
    enum class Kind { shared, global };

    ShadowMemory() = default;
    ShadowMemory(const ShadowMemory&) = delete;
    ShadowMemory& operator=(const ShadowMemory&) = delete;
    ShadowMemory(ShadowMemory&& other) noexcept;
    ~ShadowMemory();

    // `must_be_written`: reading an element before anyone wrote it is a fault.
    void start(Kind kind, size_t bytes, bool must_be_written);
    // Reports what is wrong with this access, then remembers it.
    void access(size_t offset, const Access& access);
    // Reports reads of bytes that were not written before, and forgets them.
    void finish_block();
    size_t bytes_never_written() const;
    size_t first_never_written() const;

    // How messages call the bytes at an offset.
    std::string name;

private:
    static constexpr int readers = 3;
    struct Cell {
        Event write;
        Event reads[readers];
        bool atomic;      // the last write was an atomic
        bool read_early;  // read before it was written: held back until it is known whether that is a race
    };

    void access(Cell& cell, size_t index, const Access& access);
    void read(Cell& cell, size_t index, const Access& access);
    void write(Cell& cell, size_t index, const Access& access);
    int slot_for(const Cell& cell, unsigned thread) const;
    bool is_written(const Cell& cell) const;
    void report_race(size_t index, const Event& earlier, bool earlier_writes, const Access& access);
    void report_block_race(size_t index, const Event& earlier, bool earlier_writes, const Access& access);
    // Makes cells smaller, for an access that is smaller than one: until then both halves were treated alike.
    void refine(size_t granule);
    void allocate(size_t cells);
    void release();

    Kind kind_ = Kind::shared;
    size_t bytes_ = 0, granule_ = 4, cells_ = 0;
    bool must_be_written_ = false;
    // Mapped, not allocated: pages that no access touches cost nothing.
    Cell* cell_ = nullptr;
    std::unordered_map<size_t, Access> early_;
};

// Which blocks have published their writes to the one that runs: they executed __threadfence and an atomic, and this
// block an atomic on the same address.
bool is_published(unsigned block);

}  // namespace emulator
