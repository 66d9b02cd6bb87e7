// Loads and stores with cache hints: a hint changes speed, not meaning.
#pragma once

#define EMULATOR_LOAD(name)                    \
    template <class T>                         \
    EMULATOR_INLINE T name(const T* address) { \
        return *address;                       \
    }
#define EMULATOR_STORE(name)                         \
    template <class T>                               \
    EMULATOR_INLINE void name(T* address, T value) { \
        *address = value;                            \
    }

EMULATOR_LOAD(__ldg)
EMULATOR_LOAD(__ldca)
EMULATOR_LOAD(__ldcg)
EMULATOR_LOAD(__ldcs)
EMULATOR_LOAD(__ldlu)
EMULATOR_LOAD(__ldcv)
EMULATOR_STORE(__stwb)
EMULATOR_STORE(__stcg)
EMULATOR_STORE(__stcs)
EMULATOR_STORE(__stwt)
