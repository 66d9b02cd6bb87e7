// What a tensor map says: an array in global memory, the box that one copy moves, and how it lies in shared memory. The
// emulator's own layout of the 128 bytes, since NVIDIA's is not documented; the meaning is cuTensorMapEncodeTiled's and
// cuTensorMapEncodeIm2col's (CUDA driver API, "Tensor Map Object Management").
#pragma once

#include <cstddef>
#include <cstdint>

#include "machine.h"

namespace emulator {

struct TensorMap {
    static constexpr uint64_t valid_mark = 0x7e2504a4b0c1d2e3ull;

    uint64_t mark;
    const char* base;
    uint64_t stride[4];         // bytes, of every axis but the innermost
    uint32_t size[5];           // elements, the innermost axis first
    uint16_t box[5];            // elements; for im2col: channels and pixels
    int8_t lower[2], upper[2];  // corners of the bounding box in width and height
    uint8_t rank, item_bytes, swizzle, im2col, pixel_stride;

    bool is_valid() const { return mark == valid_mark; }
    size_t box_bytes() const;
    void copy_tile(char* shared, const int* coordinates) const;
    void copy_im2col(char* shared, const int* coordinates, unsigned offset_w, unsigned offset_h) const;
};
static_assert(sizeof(TensorMap) <= 128);

// Shared-memory swizzle: 16-byte pieces are permuted within 32 << (mode - 1) bytes, by the number of the 128-byte row.
inline uint64_t swizzled(uint64_t address, unsigned mode) {
    static constexpr uint64_t pieces[4] = {0, 1, 3, 7};
    return address ^ ((address >> 7 & pieces[mode]) << 4);
}

// In wgmma.cpp and asynchronous.cpp.
void start_wgmma();
void check_wgmma_exit(const Thread& thread);
bool is_proxy_fenced(const struct Event& write);

}  // namespace emulator
