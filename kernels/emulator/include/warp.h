// Collectives of a warp. CUDA C++ programming guide, "Warp Shuffle / Vote / Match / Reduce Functions": none of them but
// __syncwarp orders memory.
#pragma once

namespace emulator {

template <class T>
struct ShuffleOperand {
    T value;
    unsigned source;
};

template <class T>
void combine_shuffle(const Operands& operands) {
    for (unsigned lane = 0; lane < 32; ++lane) {
        if (!(operands.lanes >> lane & 1)) continue;
        auto own = static_cast<const ShuffleOperand<T>*>(operands.in[lane]);
        unsigned source = own->source;
        if (!(operands.lanes >> source & 1)) {
            report_inactive_lane(lane, source);
            source = lane;
        }
        *static_cast<T*>(operands.out[lane]) = static_cast<const ShuffleOperand<T>*>(operands.in[source])->value;
    }
}

template <class T>
EMULATOR_INLINE T shuffle(unsigned mask, T value, unsigned source, const char* name) {
    static_assert(sizeof(T) == 2 || sizeof(T) == 4 || sizeof(T) == 8, "shuffles move 2, 4 or 8 bytes");
    ShuffleOperand<T> operand{value, source};
    T result;
    collective(mask, &operand, &result, combine_shuffle<T>, name);
    return result;
}

// Applies `reduce(accumulator, operand, lane)` over the lanes that take part, then gives all of them the result.
template <class T, class R, class Reduce>
EMULATOR_INLINE void reduce_lanes(const Operands& operands, R start, Reduce reduce) {
    R result = start;
    for (unsigned lane = 0; lane < 32; ++lane)
        if (operands.lanes >> lane & 1) result = reduce(result, *static_cast<const T*>(operands.in[lane]), lane);
    for (unsigned lane = 0; lane < 32; ++lane)
        if (operands.lanes >> lane & 1) *static_cast<R*>(operands.out[lane]) = result;
}

inline void combine_ballot(const Operands& operands) {
    reduce_lanes<int, unsigned>(operands, 0u, [](unsigned bits, int predicate, unsigned lane) {
        return bits | static_cast<unsigned>(predicate != 0) << lane;
    });
}

inline void combine_all(const Operands& operands) {
    reduce_lanes<int, int>(operands, 1, [](int all, int predicate, unsigned) { return all & (predicate != 0); });
}

template <class T>
struct MatchResult {
    unsigned lanes;
    int all_equal;
};

template <class T>
void combine_match(const Operands& operands) {
    for (unsigned lane = 0; lane < 32; ++lane) {
        if (!(operands.lanes >> lane & 1)) continue;
        unsigned equal = 0;
        for (unsigned other = 0; other < 32; ++other)
            if ((operands.lanes >> other & 1) && !memcmp(operands.in[lane], operands.in[other], sizeof(T)))
                equal |= 1u << other;
        *static_cast<MatchResult<T>*>(operands.out[lane]) = {equal, equal == operands.lanes};
    }
}

}  // namespace emulator

template <class T>
EMULATOR_INLINE T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
    unsigned segment = emulator::builtin.lane & ~(width - 1u);
    return emulator::shuffle(mask, value, segment | (source & (width - 1u)), "__shfl_sync");
}

template <class T>
EMULATOR_INLINE T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
    unsigned lane = emulator::builtin.lane;
    bool inside = (lane & (width - 1u)) >= delta;
    return emulator::shuffle(mask, value, inside ? lane - delta : lane, "__shfl_up_sync");
}

template <class T>
EMULATOR_INLINE T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
    unsigned lane = emulator::builtin.lane;
    bool inside = (lane & (width - 1u)) + delta < static_cast<unsigned>(width);
    return emulator::shuffle(mask, value, inside ? lane + delta : lane, "__shfl_down_sync");
}

template <class T>
EMULATOR_INLINE T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32) {
    unsigned lane = emulator::builtin.lane, source = lane ^ static_cast<unsigned>(lane_mask);
    // A lane of an earlier segment may be read, one of a later segment not.
    bool inside = source < 32 && (source & ~(width - 1u)) <= (lane & ~(width - 1u));
    return emulator::shuffle(mask, value, inside ? source : lane, "__shfl_xor_sync");
}

EMULATOR_INLINE unsigned __ballot_sync(unsigned mask, int predicate) {
    unsigned result;
    emulator::collective(mask, &predicate, &result, emulator::combine_ballot, "__ballot_sync");
    return result;
}

EMULATOR_INLINE int __any_sync(unsigned mask, int predicate) {
    unsigned result;
    emulator::collective(mask, &predicate, &result, emulator::combine_ballot, "__any_sync");
    return result != 0;
}

EMULATOR_INLINE int __all_sync(unsigned mask, int predicate) {
    int result;
    emulator::collective(mask, &predicate, &result, emulator::combine_all, "__all_sync");
    return result;
}

template <class T>
EMULATOR_INLINE unsigned __match_any_sync(unsigned mask, T value) {
    emulator::MatchResult<T> result;
    emulator::collective(mask, &value, &result, emulator::combine_match<T>, "__match_any_sync");
    return result.lanes;
}

template <class T>
EMULATOR_INLINE unsigned __match_all_sync(unsigned mask, T value, int* predicate) {
    emulator::MatchResult<T> result;
    emulator::collective(mask, &value, &result, emulator::combine_match<T>, "__match_all_sync");
    *predicate = result.all_equal;
    return result.all_equal ? result.lanes : 0;
}

// __reduce_*_sync of sm_80 and later: 32-bit integers only.
#define EMULATOR_REDUCE(name, start, expression)                                                              \
    namespace emulator {                                                                                      \
    template <class T>                                                                                        \
    void combine##name(const Operands& operands) {                                                            \
        reduce_lanes<T, T>(operands, start, [](T a, T b, unsigned) -> T { return expression; });              \
    }                                                                                                         \
    }                                                                                                         \
    template <class T>                                                                                        \
    EMULATOR_INLINE T name(unsigned mask, T value) {                                                          \
        static_assert(std::is_same_v<T, int> || std::is_same_v<T, unsigned>, #name " takes int or unsigned"); \
        T result;                                                                                             \
        emulator::collective(mask, &value, &result, emulator::combine##name<T>, #name);                       \
        return result;                                                                                        \
    }

EMULATOR_REDUCE(__reduce_add_sync, T(0), T(unsigned(a) + unsigned(b)))
EMULATOR_REDUCE(__reduce_min_sync, (std::is_signed_v<T> ? T(INT_MAX) : T(UINT_MAX)), a < b ? a : b)
EMULATOR_REDUCE(__reduce_max_sync, (std::is_signed_v<T> ? T(INT_MIN) : T(0)), a > b ? a : b)
EMULATOR_REDUCE(__reduce_and_sync, T(~0u), a& b)
EMULATOR_REDUCE(__reduce_or_sync, T(0), a | b)
EMULATOR_REDUCE(__reduce_xor_sync, T(0), a ^ b)
