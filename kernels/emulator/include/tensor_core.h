// Matrix instructions and asynchronous copies, as ../../cuda/ptx.cuh wraps them. Each is what the PTX ISA says of the
// instruction that stands beside its wrapper there.
#pragma once

namespace emulator {

enum class Operand { bfloat16, float16, tfloat32 };

// ldmatrix: `count` 8 by 8 matrices of 16-bit elements, a row from each of the first 8 * count lanes.
void load_matrix(uint32_t* registers, unsigned count, const void* row, bool transpose);

// mma.sync.m16n8k: D = A B + C, with A 16 by k and B k by 8.
void multiply(float* d, const uint32_t* a, const uint32_t* b, const float* c, Operand operand, unsigned k);

// The address that 32-bit shared-memory operands hold.
uint32_t shared_address(const void* address);

// cp.async: `valid` bytes are copied and the rest of `bytes` is zero.
void copy_async(void* shared, const void* global, unsigned bytes, unsigned valid);
void commit_copies();
void wait_copies(unsigned groups_in_flight);

void init_mbarrier(uint64_t* barrier, unsigned count);
void arrive_mbarrier(uint64_t* barrier, unsigned bytes_to_come);
bool test_mbarrier(uint64_t* barrier, unsigned parity);
void wait_mbarrier(uint64_t* barrier, unsigned parity);
void fence_async_proxy();

// cp.async.bulk.tensor: coordinates with the innermost first; offsets of im2col in width and height.
void load_tile(void* shared, const void* tensor_map, uint64_t* barrier, const int* coordinates, unsigned rank);
void load_im2col(void* shared, const void* tensor_map, uint64_t* barrier, const int* coordinates, unsigned offset_w,
                 unsigned offset_h);

// wgmma.mma_async of a 64 by n result; operands are matrix descriptors, or A in registers.
struct Wgmma {
    float* d;
    const uint32_t* a_registers;
    uint64_t a, b;
    unsigned n;
    Operand operand;
    bool accumulate, transpose_a, transpose_b;
};
void issue_wgmma(const Wgmma& operation);
void fence_wgmma();
void commit_wgmma();
void wait_wgmma(unsigned groups_in_flight);

}  // namespace emulator

EMULATOR_INLINE size_t __cvta_generic_to_shared(const void* address) { return emulator::shared_address(address); }
