// Collectives of a warp: operands meet, the last lane to arrive computes for all, all go on.
#include "check.h"
#include "finding.h"
#include "machine.h"
#include "tensor_core.h"

namespace emulator {

namespace {

struct Meeting {
    unsigned mask = 0, arrived = 0;
    bool orders_memory = false;
    Combine combine = nullptr;
    const char* name = nullptr;
    const void* in[32];
    void* out[32];
    const void* place[32];
};

// Lanes with different masks may meet at the same time, so a warp can have several meetings.
std::vector<std::vector<Meeting>> meetings;
const Meeting* combining;
unsigned combining_warp;

unsigned existing_lanes(unsigned warp) {
    unsigned lanes = machine.block_threads() - warp * 32;
    return lanes >= 32 ? 0xffffffffu : (1u << lanes) - 1;
}

unsigned live_lanes(unsigned warp) {
    unsigned mask = existing_lanes(warp);
    for (unsigned lane = 0; lane < 32; ++lane)
        if ((mask >> lane & 1) && machine.threads[warp * 32 + lane].state == State::exited) mask &= ~(1u << lane);
    return mask;
}

// Completes the meeting if every live lane of its mask is there.
bool complete(unsigned warp, Meeting& meeting) {
    if (!meeting.arrived || (meeting.mask & live_lanes(warp) & ~meeting.arrived)) return false;
    if (meeting.combine) {
        combining = &meeting;
        combining_warp = warp;
        machine.combining = true;
        meeting.combine({meeting.in, meeting.out, meeting.arrived});
        machine.combining = false;
    }
    unsigned ranks[32], count = 0;
    for (unsigned lane = 0; lane < 32; ++lane)
        if (meeting.arrived >> lane & 1) ranks[count++] = warp * 32 + lane;
    if (meeting.orders_memory) synchronize(ranks, count);
    meeting.arrived = 0;
    for (unsigned i = 0; i < count; ++i) wake(machine.threads[ranks[i]]);
    return true;
}

Meeting& meeting_of(unsigned warp, unsigned mask) {
    for (Meeting& meeting : meetings[warp])
        if (meeting.mask == mask) return meeting;
    meetings[warp].emplace_back();
    meetings[warp].back().mask = mask;
    return meetings[warp].back();
}

void arrive(unsigned mask, const void* in, void* out, Combine combine, const char* name, bool orders_memory,
            const void* place) {
    Thread& thread = *machine.current;
    unsigned lane = thread.lane(), warp = thread.warp();
    if (!(mask >> lane & 1)) {
        fail("divergent-collective", place,
             format("%s is called by lane %u, which is not in its mask 0x%08x", name, lane, mask));
    }
    Meeting& meeting = meeting_of(warp, mask);
    if (meeting.arrived && strcmp(meeting.name, name)) {
        unsigned other = static_cast<unsigned>(__builtin_ctz(meeting.arrived));
        fail("divergent-collective", place,
             format("lane %u is at %s while lane %u of the same mask 0x%08x is at %s (", lane, name, other, mask,
                    meeting.name) +
                 line_of(meeting.place[other]) + ")");
    }
    meeting.combine = combine;
    meeting.name = name;
    meeting.orders_memory = orders_memory;
    meeting.in[lane] = in;
    meeting.out[lane] = out;
    meeting.place[lane] = place;
    meeting.arrived |= 1u << lane;
    if (!complete(warp, meeting)) wait(name, place, mask);
}

}  // namespace

void start_collectives() {
    meetings.resize(machine.warps());
    for (auto& warp : meetings) warp.clear();
}

void collectives_after_exit(const Thread& thread) {
    for (Meeting& meeting : meetings[thread.warp()]) complete(thread.warp(), meeting);
}

void collective(unsigned mask, const void* in, void* out, Combine combine, const char* name) {
    arrive(mask, in, out, combine, name, false, CALLER);
}

void collective_at(unsigned mask, const void* in, void* out, Combine combine, const char* name, const void* place) {
    arrive(mask, in, out, combine, name, false, place);
}

void sync_warp(unsigned mask) { arrive(mask, nullptr, nullptr, nullptr, "__syncwarp", true, CALLER); }

unsigned active_mask() { return live_lanes(machine.current->warp()); }

void report_inactive_lane(unsigned reader, unsigned source) {
    const Thread* thread = &machine.threads[combining_warp * 32 + reader];
    bool exited = combining->mask >> source & 1;
    report_about(thread, "inactive-lane", combining->place[reader],
                 format("%s: lane %u reads lane %u, which %s 0x%08x", combining->name, reader, source,
                        exited ? "has exited or does not exist, mask" : "is not in the mask", combining->mask));
}

}  // namespace emulator
