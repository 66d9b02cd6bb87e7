// Division by a number that the host knows before the launch: a multiplication and a shift.
#pragma once

#include "common.cuh"

namespace dc {

// Filled by deepcore.backend.cuda.tile.divisor. Exact for dividends from 0 to 2^31 - 1 (Granlund and Montgomery 1994,
// "Division by invariant integers using multiplication").
struct Divisor {
    int divisor;
    unsigned multiplier;
    int shift;

    __device__ __forceinline__ int quotient(int dividend) const {
        return int((uint64_t(unsigned(dividend)) * multiplier) >> shift);
    }
    __device__ __forceinline__ int remainder(int dividend, int quotient) const { return dividend - quotient * divisor; }
};

}  // namespace dc
