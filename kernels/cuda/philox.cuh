// Philox 4x32-10 (Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3"): a block of four random words from
// its counter and a key. The same words as in deepcore/backend/numpy/random.py.
#pragma once

#include "common.cuh"

namespace dc {

struct Words {
    uint32_t word[4];
};

// The block whose 128-bit counter has `counter` as its low 64 bits and zeros above.
__device__ __forceinline__ Words philox(uint64_t counter, uint32_t key_0, uint32_t key_1) {
    constexpr uint32_t multiplier_0 = 0xD2511F53u, multiplier_1 = 0xCD9E8D57u;
    constexpr uint32_t weyl_0 = 0x9E3779B9u, weyl_1 = 0xBB67AE85u;
    uint32_t c0 = uint32_t(counter), c1 = uint32_t(counter >> 32), c2 = 0, c3 = 0;
#pragma unroll
    for (int round = 0; round < 10; ++round) {
        const uint64_t product_0 = uint64_t(multiplier_0) * c0, product_1 = uint64_t(multiplier_1) * c2;
        c0 = uint32_t(product_1 >> 32) ^ c1 ^ key_0;
        c2 = uint32_t(product_0 >> 32) ^ c3 ^ key_1;
        c1 = uint32_t(product_1);
        c3 = uint32_t(product_0);
        key_0 += weyl_0;
        key_1 += weyl_1;
    }
    return {{c0, c1, c2, c3}};
}

}  // namespace dc
