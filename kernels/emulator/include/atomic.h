// Atomics. Fibers never interrupt each other, so a plain read-modify-write is atomic; the runtime is told of it because
// an atomic races with ordinary accesses, though not with other atomics.
#pragma once

namespace emulator {

template <class T>
struct NotDeduced {
    using Type = T;
};

template <class T, class Change>
EMULATOR_UNCHECKED T update(T* address, Change change) {
    T old = *address;
    *address = change(old);
    return old;
}

template <class T>
EMULATOR_UNCHECKED T compare_and_swap(T* address, T expected, T desired) {
    T old = *address;
    if (!memcmp(&old, &expected, sizeof(T))) *address = desired;
    return old;
}

}  // namespace emulator

#define EMULATOR_ATOMIC(name, expression)                                                      \
    template <class T>                                                                         \
    EMULATOR_INLINE T name(T* address, typename emulator::NotDeduced<T>::Type value) {         \
        emulator::atomic_access(address, sizeof(T));                                           \
        return emulator::update(address, [value](T old) -> T { return expression; });          \
    }                                                                                          \
    template <class T>                                                                         \
    EMULATOR_INLINE T name##_block(T* address, typename emulator::NotDeduced<T>::Type value) { \
        return name(address, value);                                                           \
    }

EMULATOR_ATOMIC(atomicAdd, old + value)
EMULATOR_ATOMIC(atomicSub, old - value)
EMULATOR_ATOMIC(atomicExch, value)
EMULATOR_ATOMIC(atomicMin, value < old ? value : old)
EMULATOR_ATOMIC(atomicMax, old < value ? value : old)
EMULATOR_ATOMIC(atomicAnd, old& value)
EMULATOR_ATOMIC(atomicOr, old | value)
EMULATOR_ATOMIC(atomicXor, old ^ value)
EMULATOR_ATOMIC(atomicInc, old >= value ? 0 : old + 1)
EMULATOR_ATOMIC(atomicDec, old == 0 || old > value ? value : old - 1)

template <class T>
EMULATOR_INLINE T atomicCAS(T* address, typename emulator::NotDeduced<T>::Type expected,
                            typename emulator::NotDeduced<T>::Type desired) {
    emulator::atomic_access(address, sizeof(T));
    T old = emulator::compare_and_swap<T>(address, expected, desired);
    // A failure may be one turn of a loop that waits for a lock: whoever holds it must come to run.
    if (memcmp(&old, &expected, sizeof(T))) {
        emulator::yield("atomicCAS");
    } else {
        emulator::progress();
    }
    return old;
}
