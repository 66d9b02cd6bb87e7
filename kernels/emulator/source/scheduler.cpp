// Runs the blocks of a grid one after the other, and the threads of a block as fibers in the order of the schedule.
#include <algorithm>
#include <map>
#include <numeric>

#include "check.h"
#include "finding.h"
#include "machine.h"
#include "memory.h"

namespace emulator {

Builtins builtin;
Machine machine;

// Turns that threads may take one after the other without anything else happening, before they count as hung.
constexpr unsigned most_idle_turns = 1u << 20;

namespace {

class ReadyQueue {
public:
    void clear() { queue_.clear(), head_ = 0; }
    bool empty() const { return head_ == queue_.size(); }
    void push(unsigned rank) { queue_.push_back(rank); }
    // A thread that merely lets others run goes where the schedule looks last.
    void push_last(unsigned rank) {
        if (machine.schedule == Schedule::lifo) {
            queue_.insert(queue_.begin() + static_cast<long>(head_), rank);
        } else {
            push(rank);
        }
    }
    unsigned pop() {
        unsigned rank;
        if (machine.schedule == Schedule::fifo) {
            rank = queue_[head_++];
        } else {
            if (machine.schedule == Schedule::random)
                std::swap(queue_[head_ + machine.random() % (queue_.size() - head_)], queue_.back());
            rank = queue_.back();
            queue_.pop_back();
        }
        if (empty()) clear();
        return rank;
    }

private:
    std::vector<unsigned> queue_;
    size_t head_ = 0;
};

ReadyQueue ready;
unsigned idle_turns;

void thread_main() {
    machine.thunk(machine.arguments);
    Thread& thread = *machine.current;
    thread.state = State::exited;
    --machine.live;
    progress();
    if (machine.checking) check_exit(thread);
    collectives_after_exit(thread);
    barriers_after_exit();
    thread.fiber.suspend();
    __builtin_unreachable();
}

std::string ranges_of(const std::vector<unsigned>& ranks) {
    std::string text = ranks.size() == 1 ? "thread " : "threads ";
    for (size_t i = 0; i < ranks.size();) {
        size_t end = i;
        while (end + 1 < ranks.size() && ranks[end + 1] == ranks[end] + 1) ++end;
        text += (i ? ", " : "") + std::to_string(ranks[i]);
        if (end > i) text += " to " + std::to_string(ranks[end]);
        i = end + 1;
    }
    return text;
}

// Nobody can run: says where each group of threads waits.
void report_deadlock() {
    struct Group {
        const Thread* first;
        std::vector<unsigned> ranks;
    };
    std::vector<Group> groups;
    unsigned exited = 0;
    for (const Thread& thread : machine.threads) {
        if (thread.state == State::exited) ++exited;
        if (thread.state != State::waiting) continue;
        auto same = [&](const Group& group) {
            return group.first->waits_at == thread.waits_at && group.first->waits_mask == thread.waits_mask;
        };
        auto group = std::find_if(groups.begin(), groups.end(), same);
        if (group == groups.end()) group = groups.insert(groups.end(), {&thread, {}});
        group->ranks.push_back(thread.rank);
    }
    std::string message;
    bool in_collective = false;
    for (const Group& group : groups) {
        message +=
            (message.empty() ? "" : "; ") + ranges_of(group.ranks) + (group.ranks.size() == 1 ? " waits" : " wait");
        message += std::string(" at ") + group.first->waits_for + " (" + line_of(group.first->waits_at) + ")";
        if (group.first->waits_mask) {
            in_collective = true;
            message += format(" for the lanes of mask 0x%08x", group.first->waits_mask);
        }
    }
    if (exited) message += format("; %u of %u threads have exited", exited, machine.block_threads());
    const Thread& first = *groups.front().first;
    report_about(&first, in_collective ? "divergent-collective" : "deadlock", first.waits_at,
                 "no thread can go on: " + message);
}

void run_block(char* stacks) {
    ready.clear();
    idle_turns = 0;
    machine.live = machine.block_threads();
    start_collectives();
    start_barriers();
    start_shared_memory();
    for (Thread& thread : machine.threads) {
        thread.state = State::ready;
        thread.fiber.prepare(stack_of(stacks, thread.rank), thread_main);
        ready.push(thread.rank);
    }
    while (machine.live && !machine.failed) {
        if (ready.empty()) {
            if (advance_asynchronous()) continue;
            report_deadlock();
            machine.failed = true;
            break;
        }
        // Threads that all ask again and again wait for something that is under way.
        if (idle_turns > 4 * machine.live && advance_asynchronous()) idle_turns = 0;
        if (machine.schedule == Schedule::random && has_asynchronous() && machine.random() % 16 == 0)
            advance_asynchronous();
        Thread& thread = machine.threads[ready.pop()];
        machine.current = &thread;
        builtin.thread_index = thread.index;
        builtin.rank = thread.rank;
        builtin.lane = thread.lane();
        builtin.warp = thread.warp();
        thread.fiber.resume();
        machine.current = nullptr;
    }
    if (machine.checking) finish_block();
}

void create_threads() {
    dim3 size = builtin.block_size;
    machine.threads.clear();
    machine.threads.resize(size.x * size.y * size.z);
    for (unsigned rank = 0; rank < machine.threads.size(); ++rank) {
        Thread& thread = machine.threads[rank];
        thread.rank = rank;
        thread.index = {rank % size.x, rank / size.x % size.y, rank / size.x / size.y};
    }
}

}  // namespace

// xorshift64* (Vigna 2016, "An experimental exploration of Marsaglia's xorshift generators").
uint32_t Machine::random() {
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return static_cast<uint32_t>(random_state * 0x2545f4914f6cdd1dull >> 32);
}

void wait(const char* name, const void* place, unsigned mask) {
    Thread& thread = *machine.current;
    idle_turns = 0;
    thread.state = State::waiting;
    thread.waits_for = name;
    thread.waits_at = place;
    thread.waits_mask = mask;
    thread.fiber.suspend();
}

void wake(Thread& thread) {
    if (thread.state != State::waiting) return;
    thread.state = State::ready;
    ready.push(thread.rank);
}

void yield(const char* name) {
    if (++idle_turns > most_idle_turns) {
        fail("deadlock", CALLER, std::string("threads only wait for each other in loops of ") + name);
    }
    ready.push_last(machine.current->rank);
    machine.current->fiber.suspend();
}

void progress() { idle_turns = 0; }

void abandon() {
    machine.failed = true;
    if (machine.current) {
        machine.current->state = State::exited;
        machine.current->fiber.suspend();
    }
}

void trap(const char* message) { fail("trap", CALLER, message); }

void run_grid(Thunk thunk, void** arguments) {
    machine.thunk = thunk;
    machine.arguments = arguments;
    machine.failed = false;
    create_threads();
    char* stacks = reserve_stacks(machine.block_threads());
    dim3 grid = builtin.grid_size;
    std::vector<unsigned> order(static_cast<size_t>(grid.x) * grid.y * grid.z);
    std::iota(order.begin(), order.end(), 0u);
    if (machine.schedule == Schedule::lifo) std::reverse(order.begin(), order.end());
    if (machine.schedule == Schedule::random)
        for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[machine.random() % i]);
    for (unsigned rank : order) {
        if (machine.failed) break;
        machine.block = rank;
        builtin.block_index = {rank % grid.x, rank / grid.x % grid.y, rank / grid.x / grid.y};
        machine.running = true;
        run_block(stacks);
        machine.running = false;
    }
    finish_memory();
}

}  // namespace emulator

// What `assert` calls when its condition does not hold.
extern "C" [[noreturn]] void __assert_fail(const char* condition, const char*, unsigned, const char*) noexcept {
    emulator::fail("assertion", CALLER, std::string("assertion failed: ") + condition);
}
