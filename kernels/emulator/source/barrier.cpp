// Barriers of a block: __syncthreads and its reductions (barrier 0), and named barriers of part of the block.
#include "check.h"
#include "finding.h"
#include "machine.h"

namespace emulator {

namespace {

struct Barrier {
    std::vector<unsigned> waiting;
    Reduction reduction = Reduction::none;
    unsigned expected = 0;  // threads, or 0: every live one
    int count = 0;          // true predicates
    const char* name = nullptr;
    const void* place = nullptr;  // of the first to arrive
};

constexpr unsigned barriers_per_block = 16;
Barrier barriers[barriers_per_block];

int result_of(const Barrier& barrier) {
    switch (barrier.reduction) {
        case Reduction::any: return barrier.count > 0;
        case Reduction::all: return barrier.count == static_cast<int>(barrier.waiting.size());
        default: return barrier.count;
    }
}

// Hardware lets a barrier pass once all threads that have not exited are there; the language asks for all of them.
void report_exited(const Barrier& barrier) {
    for (const Thread& thread : machine.threads) {
        if (thread.state != State::exited) continue;
        report_about(&thread, "divergent-barrier", barrier.place,
                     name_of(thread) + " has exited without reaching " + barrier.name + ", at which " +
                         std::to_string(barrier.waiting.size()) + " other threads of its block meet");
        return;
    }
}

bool complete(Barrier& barrier) {
    unsigned arrived = static_cast<unsigned>(barrier.waiting.size());
    if (!arrived || arrived < (barrier.expected ? barrier.expected : machine.live)) return false;
    if (machine.checking && !barrier.expected && machine.live < machine.block_threads()) report_exited(barrier);
    if (arrived == machine.live) {
        synchronize_block();
    } else {
        synchronize(barrier.waiting.data(), arrived);
    }
    int result = result_of(barrier);
    for (unsigned rank : barrier.waiting) {
        machine.threads[rank].barrier_result = result;
        wake(machine.threads[rank]);
    }
    barrier.waiting.clear();
    barrier.count = 0;
    return true;
}

int arrive(Barrier& barrier, Reduction reduction, int predicate, unsigned expected, const char* name,
           const void* place) {
    Thread& thread = *machine.current;
    if (barrier.waiting.empty()) {
        barrier.reduction = reduction;
        barrier.expected = expected;
        barrier.name = name;
        barrier.place = place;
    } else if (barrier.reduction != reduction || barrier.expected != expected) {
        std::string sizes = format(", one for %u threads and one for %u", expected, barrier.expected);
        fail("barrier-mismatch", place,
             std::string("this thread is at ") + name + " while others of its block wait at " + barrier.name + " (" +
                 line_of(barrier.place) + ")" + (barrier.expected != expected ? sizes : ""));
    } else if (machine.checking && barrier.place != place && !expected) {
        // The compiler may have copied one barrier to several places: the caller drops this if the lines are the same.
        report("barrier-mismatch", place,
               std::string("threads of one block meet at two different barriers: others wait at ") +
                   line_of(barrier.place));
    }
    barrier.waiting.push_back(thread.rank);
    barrier.count += predicate != 0;
    if (!complete(barrier)) wait(name, place);
    return thread.barrier_result;
}

}  // namespace

void start_barriers() {
    for (Barrier& barrier : barriers) {
        barrier.waiting.clear();
        barrier.count = 0;
    }
}

void barriers_after_exit() {
    for (Barrier& barrier : barriers)
        if (!barrier.expected) complete(barrier);
}

int sync_threads(Reduction reduction, int predicate, const char* name) {
    return arrive(barriers[0], reduction, predicate, 0, name, CALLER);
}

void sync_named(unsigned barrier, unsigned threads) {
    if (barrier >= barriers_per_block || threads % 32) {
        fail("barrier-mismatch", CALLER,
             format("barrier %u of %u threads: barriers are 0 to 15, for a multiple of 32 threads", barrier, threads));
    }
    arrive(barriers[barrier], Reduction::none, 0, threads, "bar.sync", CALLER);
}

}  // namespace emulator
