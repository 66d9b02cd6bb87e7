// Which access happened before which: vector clocks (Lamport 1978; Mattern 1988), as in FastTrack (Flanagan and Freund
// 2009). Two accesses race if neither happened before the other, whatever order they ran in here.
//
// A barrier of the whole block orders everything before it, so it only starts a new epoch; the clocks count within one.
#pragma once

#include <cstddef>

#include <cstdint>
#include <vector>

namespace emulator {

// When, by whom and where an access was made.
struct Event {
    uint32_t epoch = 0;  // 0: never
    uint32_t clock = 0;
    uint16_t thread = 0;
    uint16_t site = 0;
};

// What is known to have happened before something that threads can wait for.
struct Snapshot {
    uint32_t epoch = 0;
    std::vector<uint32_t> clock;

    bool covers(const Event& event) const {
        return event.epoch < epoch || (event.epoch == epoch && event.clock <= clock[event.thread]);
    }
};

class VectorClocks {
public:
    void start_launch();
    void start_block(unsigned block, unsigned threads);

    // Orders everything that was done so far before everything to come.
    void synchronize_all() { ++epoch_; }
    // Orders what each of these threads did before what any of them will do.
    void synchronize(const unsigned* ranks, unsigned count);
    // Orders what `thread` did so far before what those do that acquire the snapshot.
    void release(unsigned thread, Snapshot& snapshot);
    void acquire(unsigned thread, const Snapshot& snapshot);

    // A moment of its own on the clock of `thread`: what others know of it, they know because they were told.
    Event tick(unsigned thread, uint16_t site) {
        ++row(thread)[thread];
        Event event = now(thread, site);
        ++row(thread)[thread];
        return event;
    }
    // Adds an event to what those know that acquire the snapshot.
    void include(Snapshot& snapshot, const Event& event);

    Event now(unsigned thread, uint16_t site) {
        return {epoch_, row(thread)[thread], static_cast<uint16_t>(thread), site};
    }
    // Whether an event of this block happened before what `thread` does now.
    bool before(const Event& event, unsigned thread) {
        return event.epoch < epoch_ || event.thread == thread || event.clock <= row(thread)[event.thread];
    }
    bool in_this_block(const Event& event) const { return event.epoch >= first_epoch_; }
    // The rank in the grid of the block that made an event.
    unsigned block_of(const Event& event) const;

private:
    // What `thread` knows of each thread's clock, its own included.
    uint32_t* row(unsigned thread) {
        uint32_t* known = &clocks_[thread * std::size_t(threads_)];
        if (row_epoch_[thread] != epoch_) start_row(thread);
        return known;
    }
    void start_row(unsigned thread);

    struct BlockStart {
        uint32_t epoch;
        unsigned block;
    };
    unsigned threads_ = 0;
    uint32_t epoch_ = 0, first_epoch_ = 0;
    std::vector<uint32_t> clocks_, row_epoch_, joined_;
    std::vector<BlockStart> starts_;
};
extern VectorClocks clocks;

}  // namespace emulator
