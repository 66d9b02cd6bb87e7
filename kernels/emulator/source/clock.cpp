#include "clock.h"

#include <algorithm>

#include "check.h"
#include "machine.h"

namespace emulator {

VectorClocks clocks;

void VectorClocks::start_launch() {
    epoch_ = 0;
    starts_.clear();
}

void VectorClocks::start_block(unsigned block, unsigned threads) {
    first_epoch_ = ++epoch_;
    starts_.push_back({epoch_, block});
    threads_ = threads;
    clocks_.resize(size_t(threads) * threads);
    joined_.resize(threads);
    row_epoch_.assign(threads, 0);
}

void VectorClocks::start_row(unsigned thread) {
    uint32_t* known = &clocks_[thread * size_t(threads_)];
    std::fill(known, known + threads_, 0u);
    known[thread] = 1;
    row_epoch_[thread] = epoch_;
}

static void join(uint32_t* into, const uint32_t* from, size_t count) {
    for (size_t i = 0; i < count; ++i) into[i] = std::max(into[i], from[i]);
}

void VectorClocks::synchronize(const unsigned* ranks, unsigned count) {
    std::fill(joined_.begin(), joined_.end(), 0u);
    for (unsigned i = 0; i < count; ++i) join(joined_.data(), row(ranks[i]), threads_);
    for (unsigned i = 0; i < count; ++i) {
        uint32_t* known = row(ranks[i]);
        std::copy(joined_.begin(), joined_.end(), known);
        ++known[ranks[i]];
    }
}

void VectorClocks::release(unsigned thread, Snapshot& snapshot) {
    uint32_t* known = row(thread);
    if (snapshot.epoch != epoch_) {
        snapshot.epoch = epoch_;
        snapshot.clock.assign(known, known + threads_);
    } else {
        join(snapshot.clock.data(), known, threads_);
    }
    ++known[thread];
}

void VectorClocks::acquire(unsigned thread, const Snapshot& snapshot) {
    // What was released in an earlier epoch happened before this one anyway.
    if (snapshot.epoch == epoch_) join(row(thread), snapshot.clock.data(), threads_);
}

unsigned VectorClocks::block_of(const Event& event) const {
    auto after = std::upper_bound(starts_.begin(), starts_.end(), event.epoch,
                                  [](uint32_t epoch, const BlockStart& start) { return epoch < start.epoch; });
    return after == starts_.begin() ? 0 : (after - 1)->block;
}

void synchronize_block() {
    if (machine.checking) clocks.synchronize_all();
}

void synchronize(const unsigned* ranks, unsigned count) {
    if (machine.checking) clocks.synchronize(ranks, count);
}

}  // namespace emulator
