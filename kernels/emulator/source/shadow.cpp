#include "shadow.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

#include "finding.h"
#include "memory.h"

namespace emulator {

ShadowMemory::ShadowMemory(ShadowMemory&& other) noexcept
    : name(std::move(other.name)),
      kind_(other.kind_),
      bytes_(other.bytes_),
      granule_(other.granule_),
      cells_(other.cells_),
      must_be_written_(other.must_be_written_),
      cell_(std::exchange(other.cell_, nullptr)),
      early_(std::move(other.early_)) {}

ShadowMemory::~ShadowMemory() { release(); }

void ShadowMemory::allocate(size_t cells) {
    cells_ = cells;
    size_t bytes = std::max<size_t>(cells, 1) * sizeof(Cell);
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    cell_ = static_cast<Cell*>(memory);
}

void ShadowMemory::release() {
    if (cell_) munmap(cell_, std::max<size_t>(cells_, 1) * sizeof(Cell));
    cell_ = nullptr;
}

void ShadowMemory::start(Kind kind, size_t bytes, bool must_be_written) {
    release();
    kind_ = kind;
    bytes_ = bytes;
    granule_ = 4;
    must_be_written_ = must_be_written;
    early_.clear();
    allocate((bytes + 3) / 4);
}

void ShadowMemory::refine(size_t granule) {
    ShadowMemory old(std::move(*this));
    granule_ = granule;
    allocate((bytes_ + granule - 1) / granule);
    size_t parts = old.granule_ / granule;
    for (size_t i = 0; i < cells_; ++i) {
        const Cell& from = old.cell_[i / parts];
        if (from.write.epoch || from.reads[0].epoch) cell_[i] = from;
    }
    early_.clear();
    for (auto& [index, access] : old.early_)
        for (size_t part = 0; part < parts; ++part) early_.emplace(index * parts + part, access);
}

void ShadowMemory::access(size_t offset, const Access& access) {
    size_t end = offset + access.size;
    while (granule_ > 1 && (offset % granule_ || end % granule_)) refine(granule_ / 2);
    for (size_t index = offset / granule_; index * granule_ < end; ++index) {
        Cell& cell = cell_[index];
        if (access.operation != Operation::store) read(cell, index, access);
        if (access.writes()) write(cell, index, access);
    }
}

bool ShadowMemory::is_written(const Cell& cell) const {
    return cell.write.epoch && (kind_ == Kind::global || clocks.in_this_block(cell.write));
}

void ShadowMemory::read(Cell& cell, size_t index, const Access& access) {
    bool both_atomic = access.operation == Operation::atomic && cell.atomic;
    if (is_written(cell)) {
        if (!clocks.in_this_block(cell.write)) {
            if (!both_atomic && !is_published(clocks.block_of(cell.write)))
                report_block_race(index, cell.write, true, access);
        } else if (!both_atomic && !clocks.before(cell.write, access.thread)) {
            report_race(index, cell.write, true, access);
        }
    } else if (must_be_written_ && !cell.read_early) {
        cell.read_early = true;
        early_.emplace(index, access);
    }
    if (access.operation == Operation::atomic) return;  // remembered as a write
    int slot = slot_for(cell, access.thread);
    if (slot >= 0) cell.reads[slot] = clocks.now(access.thread, access.site);
}

// Where to remember a read; -1 if those that are remembered will do: any writer that races with this reader, and is
// ordered by no more than its own warp, also races with one of them.
int ShadowMemory::slot_for(const Cell& cell, unsigned thread) const {
    bool foreign = false;
    for (int i = 0; i < readers; ++i) {
        const Event& read = cell.reads[i];
        if (!read.epoch) return i;
        if (!clocks.in_this_block(read)) {
            if (kind_ == Kind::shared || foreign) return i;
            foreign = true;  // one reader of another block must stay
        } else if (clocks.before(read, thread)) {
            return i;
        }
    }
    for (int i = 1; i < readers; ++i)
        for (int j = 0; j < i; ++j) {
            if (!clocks.in_this_block(cell.reads[i]) || !clocks.in_this_block(cell.reads[j])) continue;
            if (cell.reads[i].thread / 32 == cell.reads[j].thread / 32 && cell.reads[i].thread / 32 != thread / 32)
                return i;
        }
    return -1;
}

void ShadowMemory::write(Cell& cell, size_t index, const Access& access) {
    bool both_atomic = access.operation == Operation::atomic && cell.atomic;
    bool races = false;
    if (access.operation == Operation::store && is_written(cell)) {
        if (!clocks.in_this_block(cell.write)) {
            if (!is_published(clocks.block_of(cell.write))) report_block_race(index, cell.write, true, access);
        } else if (!clocks.before(cell.write, access.thread)) {
            report_race(index, cell.write, true, access);
        }
    }
    for (const Event& read : cell.reads) {
        if (!read.epoch) continue;
        if (!clocks.in_this_block(read)) {
            if (kind_ == Kind::global && !both_atomic && !is_published(clocks.block_of(read)))
                report_block_race(index, read, false, access);
        } else if (!clocks.before(read, access.thread)) {
            report_race(index, read, false, access);
            races = true;
        }
    }
    if (cell.read_early && !is_written(cell)) {
        if (races) early_.erase(index);
        cell.read_early = false;
    }
    cell.write = clocks.now(access.thread, access.site);
    cell.atomic = access.operation == Operation::atomic;
    cell.by_proxy = false;
    for (Event& read : cell.reads) read = Event();
}

static const char* verb(Operation operation) {
    switch (operation) {
        case Operation::load: return "reads";
        case Operation::store: return "writes";
        default: return "updates";
    }
}

// Reported where the read is, if there is one: then the schedule, which decides who comes first, does not matter.
void ShadowMemory::report_race(size_t index, const Event& earlier, bool earlier_writes, const Access& access) {
    const Thread &first = machine.threads[earlier.thread], &second = machine.threads[access.thread];
    std::string where = name_of_bytes(*this, index * granule_);
    std::string tail = ", and no barrier orders the two";
    if (earlier_writes) {
        report_about(&second, "race", place_of(access.site),
                     name_of(second) + " " + verb(access.operation) + " " + where + ", which " + name_of(first) +
                         " writes at " + line_of(place_of(earlier.site)) + tail);
    } else {
        report_about(&first, "race", place_of(earlier.site),
                     name_of(first) + " reads " + where + ", which " + name_of(second) + " " + verb(access.operation) +
                         " at " + line_of(place_of(access.site)) + tail);
    }
}

void ShadowMemory::report_block_race(size_t index, const Event& earlier, bool earlier_writes, const Access& access) {
    std::string other = name_of_block(clocks.block_of(earlier)), where = name_of_bytes(*this, index * granule_);
    const Thread& thread = machine.threads[access.thread];
    report_about(&thread, "block-race", place_of(access.site),
                 name_of_block(machine.block) + " " + verb(access.operation) + " " + where + ", which " + other +
                     (earlier_writes ? " writes at " : " reads at ") + line_of(place_of(earlier.site)) +
                     ", and blocks have no order");
}

void ShadowMemory::report_flight(size_t index, const Event& other, const char* verb, const Flight& flight) {
    const Thread& issuer = machine.threads[flight.thread];
    const char* what = flight.operation == Operation::load ? "reads" : "writes";
    report_about(&issuer, "race", place_of(flight.site),
                 std::string("an asynchronous operation of ") + name_of(issuer) + " " + what + " " +
                     name_of_bytes(*this, index * granule_) + ", which " + name_of(machine.threads[other.thread]) +
                     " " + verb + " at " + line_of(place_of(other.site)) +
                     ", and nothing orders that before it is issued or after it is waited for");
}

void ShadowMemory::access_asynchronously(size_t offset, size_t size, const Flight& flight, const Event& landed,
                                         bool (*is_fenced)(const Event&)) {
    while (granule_ > 1 && (offset % granule_ || (offset + size) % granule_)) refine(granule_ / 2);
    for (size_t index = offset / granule_; index * granule_ < offset + size; ++index) {
        Cell& cell = cell_[index];
        bool written = is_written(cell);
        if (written && !flight.issued.covers(cell.write)) report_flight(index, cell.write, "writes", flight);
        if (flight.operation == Operation::load) {
            if (!written && must_be_written_ && !cell.read_early) {
                cell.read_early = true;
                early_.emplace(index, Access{flight.thread, unsigned(granule_), Operation::load, flight.site});
            }
            if (written && is_fenced && !cell.by_proxy && !is_fenced(cell.write))
                report_about(&machine.threads[flight.thread], "missing-fence", place_of(flight.site),
                             "an asynchronous operation reads " + name_of_bytes(*this, index * granule_) + ", which " +
                                 name_of(machine.threads[cell.write.thread]) + " writes at " +
                                 line_of(place_of(cell.write.site)) + " without fence.proxy.async after it");
            int slot = slot_for(cell, flight.thread);
            if (slot >= 0) cell.reads[slot] = landed;
            continue;
        }
        bool races = false;
        for (Event& read : cell.reads) {
            if (read.epoch && clocks.in_this_block(read) && !flight.issued.covers(read)) {
                report_flight(index, read, "reads", flight);
                races = true;
            }
            read = Event();
        }
        if (cell.read_early && !written) {
            if (races) early_.erase(index);
            cell.read_early = false;
        }
        cell.write = landed;
        cell.by_proxy = true;
        cell.atomic = false;
    }
}

void ShadowMemory::finish_block() {
    std::vector<size_t> indices;
    for (auto& [index, access] : early_) indices.push_back(index);
    std::sort(indices.begin(), indices.end());
    for (size_t index : indices) {
        const Access& access = early_.at(index);
        const Thread& thread = machine.threads[access.thread];
        report_about(
            &thread, "uninitialized", place_of(access.site),
            name_of(thread) + " reads " + name_of_bytes(*this, index * granule_) + ", which nobody wrote before");
        cell_[index].read_early = false;
    }
    early_.clear();
}

size_t ShadowMemory::bytes_never_written() const {
    size_t count = 0;
    for (size_t i = 0; i < cells_; ++i)
        if (!cell_[i].write.epoch) count += std::min(granule_, bytes_ - i * granule_);
    return count;
}

size_t ShadowMemory::first_never_written() const {
    for (size_t i = 0; i < cells_; ++i)
        if (!cell_[i].write.epoch) return i * granule_;
    return bytes_;
}

}  // namespace emulator
