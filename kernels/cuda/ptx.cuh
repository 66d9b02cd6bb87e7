// PTX instructions as functions. The only file with `asm`; each wrapper names the instruction that it stands for, and
// under the emulator calls its model. See the PTX ISA for every instruction's definition.
//
// sm_75: mma_f16_k8, load_matrix. sm_80: copy_async, the other mma. sm_90a: mbarrier, tensor copies, wgmma.
#pragma once

#include "common.cuh"

#ifdef DEEPCORE_EMULATOR
#define DC_PTX(...)
#define DC_MODEL(...) __VA_ARGS__
#define DC_PTX_FUNCTION EMULATOR_INLINE
#else
#define DC_PTX(...) asm volatile(__VA_ARGS__)
#define DC_MODEL(...)
#define DC_PTX_FUNCTION __device__ __forceinline__
#endif

namespace dc {

// The address of an object in shared memory as 32-bit operands hold it.
DC_PTX_FUNCTION uint32_t shared_address(const void* object) {
    return static_cast<uint32_t>(__cvta_generic_to_shared(object));
}

// ---- matrices in registers -------------------------------------------------------------------------------------

// cvt.rna.tf32.f32: to 10 bits of mantissa, ties away from zero.
DC_PTX_FUNCTION uint32_t to_tf32(float value) {
#ifdef DEEPCORE_EMULATOR
    uint32_t bits = __float_as_uint(value);
    return (bits & 0x7f800000u) == 0x7f800000u ? bits : (bits + 0x1000u) & 0xffffe000u;
#else
    uint32_t result;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(result) : "f"(value));
    return result;
#endif
}

// ldmatrix.sync.aligned.m8n8.x1.shared.b16: a row of 16 bytes from each of the first 8 lanes.
DC_PTX_FUNCTION void load_matrix_x1(uint32_t (&to)[1], const void* row) {
    DC_MODEL(emulator::load_matrix(to, 1, row, false);)
    DC_PTX("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];" : "=r"(to[0]) : "r"(shared_address(row)) : "memory");
}

// ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16: a row of 16 bytes from each of the first 8 lanes, transposed.
DC_PTX_FUNCTION void load_matrix_x1_transposed(uint32_t (&to)[1], const void* row) {
    DC_MODEL(emulator::load_matrix(to, 1, row, true);)
    DC_PTX("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0}, [%1];" : "=r"(to[0]) : "r"(
        shared_address(row)) : "memory");
}

// ldmatrix.sync.aligned.m8n8.x2.shared.b16: a row of 16 bytes from each of the first 16 lanes.
DC_PTX_FUNCTION void load_matrix_x2(uint32_t (&to)[2], const void* row) {
    DC_MODEL(emulator::load_matrix(to, 2, row, false);)
    DC_PTX("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];" : "=r"(to[0]),
           "=r"(to[1]) : "r"(shared_address(row)) : "memory");
}

// ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16: a row of 16 bytes from each of the first 16 lanes, transposed.
DC_PTX_FUNCTION void load_matrix_x2_transposed(uint32_t (&to)[2], const void* row) {
    DC_MODEL(emulator::load_matrix(to, 2, row, true);)
    DC_PTX("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];" : "=r"(to[0]),
           "=r"(to[1]) : "r"(shared_address(row)) : "memory");
}

// ldmatrix.sync.aligned.m8n8.x4.shared.b16: a row of 16 bytes from each of the first 32 lanes.
DC_PTX_FUNCTION void load_matrix_x4(uint32_t (&to)[4], const void* row) {
    DC_MODEL(emulator::load_matrix(to, 4, row, false);)
    DC_PTX("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];" : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]),
           "=r"(to[3]) : "r"(shared_address(row)) : "memory");
}

// ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16: a row of 16 bytes from each of the first 32 lanes, transposed.
DC_PTX_FUNCTION void load_matrix_x4_transposed(uint32_t (&to)[4], const void* row) {
    DC_MODEL(emulator::load_matrix(to, 4, row, true);)
    DC_PTX("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];" : "=r"(to[0]), "=r"(to[1]),
           "=r"(to[2]), "=r"(to[3]) : "r"(shared_address(row)) : "memory");
}

// mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32: d += a b, for sm_75.
DC_PTX_FUNCTION void mma_f16_k8(float (&d)[4], const uint32_t (&a)[2], const uint32_t (&b)[1]) {
    DC_MODEL(emulator::multiply(d, a, b, d, emulator::Operand::float16, 8);)
    DC_PTX(
        "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 "
        "{%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};" : "+f"(d[0]),
        "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(b[0]));
}

// mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32: d += a b.
DC_PTX_FUNCTION void mma_f16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    DC_MODEL(emulator::multiply(d, a, b, d, emulator::Operand::float16, 16);)
    DC_PTX(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};" : "+f"(d[0]),
        "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32: d += a b.
DC_PTX_FUNCTION void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    DC_MODEL(emulator::multiply(d, a, b, d, emulator::Operand::bfloat16, 16);)
    DC_PTX(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};" : "+f"(d[0]),
        "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32: d += a b, of values from to_tf32.
DC_PTX_FUNCTION void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    DC_MODEL(emulator::multiply(d, a, b, d, emulator::Operand::tfloat32, 8);)
    DC_PTX(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};" : "+f"(d[0]),
        "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// ---- asynchronous copies of threads (sm_80) --------------------------------------------------------------------

// cp.async.cg.shared.global, 16 bytes: `valid` or zeros. Both addresses are multiples of 16.
DC_PTX_FUNCTION void copy_async_16(void* to, const void* from, bool valid = true) {
    DC_MODEL(emulator::copy_async(to, from, 16, valid ? 16 : 0);)
    DC_PTX("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from),
           "r"(valid ? 16 : 0) : "memory");
}

// cp.async.ca.shared.global, 4 bytes: `valid` or zeros.
DC_PTX_FUNCTION void copy_async_4(void* to, const void* from, bool valid = true) {
    DC_MODEL(emulator::copy_async(to, from, 4, valid ? 4 : 0);)
    DC_PTX("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_address(to)), "l"(from),
           "r"(valid ? 4 : 0) : "memory");
}

// cp.async.commit_group
DC_PTX_FUNCTION void commit_copies() {
    DC_MODEL(emulator::commit_copies();)
    DC_PTX("cp.async.commit_group;" :: : "memory");
}

// cp.async.wait_group: until no more than `in_flight` of this thread's groups are under way.
template <int in_flight>
DC_PTX_FUNCTION void wait_copies() {
    DC_MODEL(emulator::wait_copies(in_flight);)
    DC_PTX("cp.async.wait_group %0;" ::"n"(in_flight) : "memory");
}

// bar.sync: a barrier of `threads` threads, a multiple of 32; `barrier` is 1 to 15.
DC_PTX_FUNCTION void sync_threads(int barrier, int threads) {
    DC_MODEL(emulator::sync_named(barrier, threads);)
    DC_PTX("bar.sync %0, %1;" ::"r"(barrier), "r"(threads) : "memory");
}

// CUtensorMap; passed as `const __grid_constant__ dc::TensorMap map`.
struct alignas(64) TensorMap {
    unsigned char opaque[128];
};

#if __CUDA_ARCH__ >= 900

// ---- mbarrier (sm_90) ------------------------------------------------------------------------------------------

// mbarrier.init.shared::cta.b64: a phase ends after `count` arrivals and all the bytes that they expect.
DC_PTX_FUNCTION void init_mbarrier(uint64_t* barrier, int count) {
    DC_MODEL(emulator::init_mbarrier(barrier, count);)
    DC_PTX("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(count) : "memory");
}

// fence.mbarrier_init.release.cluster: before tensor copies use barriers that were just made; a __syncthreads follows.
DC_PTX_FUNCTION void fence_mbarrier_init() { DC_PTX("fence.mbarrier_init.release.cluster;" :: : "memory"); }

// mbarrier.arrive.shared::cta.b64
DC_PTX_FUNCTION void arrive_mbarrier(uint64_t* barrier) {
    DC_MODEL(emulator::arrive_mbarrier(barrier, 0);)
    DC_PTX("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}

// mbarrier.arrive.expect_tx.shared::cta.b64: arrives, and announces bytes that copies will bring.
DC_PTX_FUNCTION void arrive_and_expect(uint64_t* barrier, uint32_t bytes) {
    DC_MODEL(emulator::arrive_mbarrier(barrier, bytes);)
    DC_PTX("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)),
           "r"(bytes) : "memory");
}

// mbarrier.try_wait.parity.shared::cta.b64, once: whether the phase of this parity (0 for the first) has ended.
DC_PTX_FUNCTION bool test_mbarrier(uint64_t* barrier, uint32_t parity) {
#ifdef DEEPCORE_EMULATOR
    return emulator::test_mbarrier(barrier, parity);
#else
    uint32_t passed;
    asm volatile(
        "{\n.reg .pred p;\n"
        "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
        "selp.u32 %0, 1, 0, p;\n}"
        : "=r"(passed)
        : "r"(shared_address(barrier)), "r"(parity)
        : "memory");
    return passed != 0;
#endif
}

// The same until it has.
DC_PTX_FUNCTION void wait_mbarrier(uint64_t* barrier, uint32_t parity) {
#ifdef DEEPCORE_EMULATOR
    emulator::wait_mbarrier(barrier, parity);
#else
    while (!test_mbarrier(barrier, parity)) {
    }
#endif
}

// fence.proxy.async.shared::cta: makes this thread's ordinary stores visible to wgmma and tensor copies.
DC_PTX_FUNCTION void fence_async_proxy() {
    DC_MODEL(emulator::fence_async_proxy();)
    DC_PTX("fence.proxy.async.shared::cta;" :: : "memory");
}

// ---- tensor copies (sm_90) -------------------------------------------------------------------------------------

// cp.async.bulk.tensor.2d…tile: the box at (x, y), innermost coordinate first; its bytes count on `barrier`.
DC_PTX_FUNCTION void load_tile(void* to, const TensorMap* map, uint64_t* barrier, int x, int y) {
    DC_MODEL(int coordinates[] = {x, y}; emulator::load_tile(to, map, barrier, coordinates, 2);)
    DC_PTX(
        "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
        "[%0], [%1, {%3, %4}], [%2];" ::"r"(shared_address(to)),
        "l"(map), "r"(shared_address(barrier)), "r"(x), "r"(y) : "memory");
}

// cp.async.bulk.tensor.3d…tile: the box at (x, y, z), innermost coordinate first; its bytes count on `barrier`.
DC_PTX_FUNCTION void load_tile(void* to, const TensorMap* map, uint64_t* barrier, int x, int y, int z) {
    DC_MODEL(int coordinates[] = {x, y, z}; emulator::load_tile(to, map, barrier, coordinates, 3);)
    DC_PTX(
        "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
        "[%0], [%1, {%3, %4, %5}], [%2];" ::"r"(shared_address(to)),
        "l"(map), "r"(shared_address(barrier)), "r"(x), "r"(y), "r"(z) : "memory");
}

// cp.async.bulk.tensor.4d…tile: the box at (x, y, z, w), innermost coordinate first; its bytes count on `barrier`.
DC_PTX_FUNCTION void load_tile(void* to, const TensorMap* map, uint64_t* barrier, int x, int y, int z, int w) {
    DC_MODEL(int coordinates[] = {x, y, z, w}; emulator::load_tile(to, map, barrier, coordinates, 4);)
    DC_PTX(
        "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
        "[%0], [%1, {%3, %4, %5, %6}], [%2];" ::"r"(shared_address(to)),
        "l"(map), "r"(shared_address(barrier)), "r"(x), "r"(y), "r"(z), "r"(w) : "memory");
}

// cp.async.bulk.tensor.4d…im2col: from channel c, pixels from (w, h) of image n on, each read at an offset of the
// filter.
DC_PTX_FUNCTION void load_im2col(void* to, const TensorMap* map, uint64_t* barrier, int c, int w, int h, int n,
                                 uint16_t offset_w, uint16_t offset_h) {
    DC_MODEL(int coordinates[] = {c, w, h, n};
             emulator::load_im2col(to, map, barrier, coordinates, offset_w, offset_h);)
    DC_PTX(
        "cp.async.bulk.tensor.4d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes "
        "[%0], [%1, {%3, %4, %5, %6}], [%2], {%7, %8};" ::"r"(shared_address(to)),
        "l"(map), "r"(shared_address(barrier)), "r"(c), "r"(w), "r"(h), "r"(n), "h"(offset_w),
        "h"(offset_h) : "memory");
}

// ---- wgmma (sm_90a) --------------------------------------------------------------------------------------------

enum class Swizzle { none = 0, bytes128 = 1, bytes64 = 2, bytes32 = 3 };

// A matrix descriptor: where an operand begins in shared memory, and the bytes between its pieces of 8 rows (`stride`)
// and along the other axis (`leading`). PTX ISA, "Matrix descriptor".
DC_PTX_FUNCTION uint64_t matrix_descriptor(const void* start, int leading, int stride, Swizzle swizzle) {
    uint64_t address = shared_address(start);
    return (address & 0x3ffff) >> 4 | uint64_t(leading & 0x3ffff) >> 4 << 16 | uint64_t(stride & 0x3ffff) >> 4 << 32 |
           uint64_t(swizzle) << 62;
}

// wgmma.fence.sync.aligned: before the first wgmma, and after registers of one were changed.
DC_PTX_FUNCTION void fence_wgmma() {
    DC_MODEL(emulator::fence_wgmma();)
    DC_PTX("wgmma.fence.sync.aligned;" :: : "memory");
}

// wgmma.commit_group.sync.aligned
DC_PTX_FUNCTION void commit_wgmma() {
    DC_MODEL(emulator::commit_wgmma();)
    DC_PTX("wgmma.commit_group.sync.aligned;" :: : "memory");
}

// wgmma.wait_group.sync.aligned
template <int in_flight>
DC_PTX_FUNCTION void wait_wgmma() {
    DC_MODEL(emulator::wait_wgmma(in_flight);)
    DC_PTX("wgmma.wait_group.sync.aligned %0;" ::"n"(in_flight) : "memory");
}

// Lists of registers for the instructions below.
#define DC_NAMES_0_32                                                        \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
    "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define DC_NAMES_32_64                                                                 \
    "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
    "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define DC_NAMES_64_128                                                                            \
    "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "             \
    "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "             \
    "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, " \
    "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
#define DC_NAMES_32 DC_NAMES_0_32
#define DC_NAMES_64 DC_NAMES_0_32 ", " DC_NAMES_32_64
#define DC_NAMES_128 DC_NAMES_64 ", " DC_NAMES_64_128
#define DC_D4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define DC_D16(i) DC_D4(i), DC_D4(i + 4), DC_D4(i + 8), DC_D4(i + 12)
#define DC_D_32 DC_D16(0), DC_D16(16)
#define DC_D_64 DC_D_32, DC_D16(32), DC_D16(48)
#define DC_D_128 DC_D_64, DC_D16(64), DC_D16(80), DC_D16(96), DC_D16(112)

// wgmma.mma_async.sync.aligned.m64n(n)k16.f32.(type).(type): d = a b, or d += a b. Both operands in shared memory by
// descriptors; transposed: stored with m or n, not k, next to each other.
#define DC_WGMMA_16(type, operand, n, registers, p0, p1, p2, p3, p4)                                            \
    template <bool transpose_a = false, bool transpose_b = false>                                               \
    DC_PTX_FUNCTION void wgmma_##type(float(&d)[registers], uint64_t a, uint64_t b, bool accumulate) {          \
        DC_MODEL(emulator::issue_wgmma(                                                                         \
                     {d, nullptr, a, b, n, emulator::Operand::operand, accumulate, transpose_a, transpose_b});) \
        DC_PTX("{\n.reg .pred p;\nsetp.ne.b32 p, %" #p2                                                         \
               ", 0;\n"                                                                                         \
               "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32." #type "." #type " {" DC_NAMES_##registers      \
               "}, %" #p0 ", %" #p1 ", p, 1, 1, %" #p3 ", %" #p4 ";\n}" : DC_D_##registers : "l"(a),            \
               "l"(b), "r"(int(accumulate)), "n"(int(transpose_a)), "n"(int(transpose_b)));                     \
    }
DC_WGMMA_16(bf16, bfloat16, 64, 32, 32, 33, 34, 35, 36)
DC_WGMMA_16(bf16, bfloat16, 128, 64, 64, 65, 66, 67, 68)
DC_WGMMA_16(bf16, bfloat16, 256, 128, 128, 129, 130, 131, 132)
DC_WGMMA_16(f16, float16, 64, 32, 32, 33, 34, 35, 36)
DC_WGMMA_16(f16, float16, 128, 64, 64, 65, 66, 67, 68)
DC_WGMMA_16(f16, float16, 256, 128, 128, 129, 130, 131, 132)

// The same with a in registers, in the layout of mma.sync's A for the 16 rows of each warp.
#define DC_WGMMA_16_REGISTERS(type, operand, n, registers, a0, a1, a2, a3, p1, p2, p4)                                \
    template <bool transpose_b = false>                                                                               \
    DC_PTX_FUNCTION void wgmma_##type(float(&d)[registers], const uint32_t(&a)[4], uint64_t b, bool accumulate) {     \
        DC_MODEL(emulator::issue_wgmma({d, a, 0, b, n, emulator::Operand::operand, accumulate, false, transpose_b});) \
        DC_PTX("{\n.reg .pred p;\nsetp.ne.b32 p, %" #p2                                                               \
               ", 0;\n"                                                                                               \
               "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32." #type "." #type " {" DC_NAMES_##registers            \
               "}, {%" #a0 ", %" #a1 ", %" #a2 ", %" #a3 "}, %" #p1 ", p, 1, 1, %" #p4                                \
               ";\n}" : DC_D_##registers : "r"(a[0]),                                                                 \
               "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(int(accumulate)), "n"(int(transpose_b)));                 \
    }
DC_WGMMA_16_REGISTERS(bf16, bfloat16, 64, 32, 32, 33, 34, 35, 36, 37, 38)
DC_WGMMA_16_REGISTERS(bf16, bfloat16, 128, 64, 64, 65, 66, 67, 68, 69, 70)
DC_WGMMA_16_REGISTERS(bf16, bfloat16, 256, 128, 128, 129, 130, 131, 132, 133, 134)
DC_WGMMA_16_REGISTERS(f16, float16, 64, 32, 32, 33, 34, 35, 36, 37, 38)
DC_WGMMA_16_REGISTERS(f16, float16, 128, 64, 64, 65, 66, 67, 68, 69, 70)
DC_WGMMA_16_REGISTERS(f16, float16, 256, 128, 128, 129, 130, 131, 132, 133, 134)

// wgmma.mma_async.sync.aligned.m64n(n)k8.f32.tf32.tf32: operands with k next to each other only.
#define DC_WGMMA_TF32(n, registers, p0, p1, p2)                                                                        \
    DC_PTX_FUNCTION void wgmma_tf32(float(&d)[registers], uint64_t a, uint64_t b, bool accumulate) {                   \
        DC_MODEL(emulator::issue_wgmma({d, nullptr, a, b, n, emulator::Operand::tfloat32, accumulate, false, false});) \
        DC_PTX("{\n.reg .pred p;\nsetp.ne.b32 p, %" #p2                                                                \
               ", 0;\n"                                                                                                \
               "wgmma.mma_async.sync.aligned.m64n" #n "k8.f32.tf32.tf32 {" DC_NAMES_##registers                        \
               "}, %" #p0 ", %" #p1 ", p, 1, 1;\n}" : DC_D_##registers : "l"(a),                                       \
               "l"(b), "r"(int(accumulate)));                                                                          \
    }
DC_WGMMA_TF32(64, 32, 32, 33, 34)
DC_WGMMA_TF32(128, 64, 64, 65, 66)
DC_WGMMA_TF32(256, 128, 128, 129, 130)

#endif  // __CUDA_ARCH__ >= 900

}  // namespace dc
