// ldmatrix and mma.sync, by the fragment layouts of the PTX ISA. Sums are exact within one instruction and truncated
// once to float: hardware also truncates, but does not document in which order.
#include "tensor_core.h"

#include <cmath>

#include "memory.h"
#include "shared.h"

namespace emulator {

float operand_value(uint32_t bits, Operand operand) {
    switch (operand) {
        case Operand::tfloat32: return bits_float(bits & 0xffffe000u);
        case Operand::bfloat16: return bfloat16_bits_to_float(static_cast<uint16_t>(bits));
        default: return half_bits_to_float(static_cast<uint16_t>(bits));
    }
}

float truncated(double value) {
    float nearest = static_cast<float>(value);
    if (std::fabs(static_cast<double>(nearest)) > std::fabs(value)) nearest = std::nextafterf(nearest, 0.0f);
    return nearest;
}

namespace {

struct MatrixRows {
    const char* row;
    unsigned count;
    bool transpose;
};

void combine_load_matrix(const Operands& operands) {
    auto of = [&](unsigned lane) { return static_cast<const MatrixRows*>(operands.in[lane]); };
    for (unsigned lane = 0; lane < 32; ++lane)
        for (unsigned matrix = 0; matrix < of(lane)->count; ++matrix) {
            uint16_t pair[2];
            for (unsigned i = 0; i < 2; ++i) {
                unsigned row = lane / 4, column = 2 * (lane % 4) + i;
                if (of(lane)->transpose) std::swap(row, column);
                memcpy(&pair[i], of(8 * matrix + row)->row + 2 * column, 2);
            }
            memcpy(static_cast<uint32_t*>(operands.out[lane]) + matrix, pair, 4);
        }
}

struct Fragments {
    const uint32_t *a, *b;
    const float* c;
    Operand operand;
    unsigned k;
};

// Where the i-th element of lane's fragments lies: A (row, column), B (column of A, column of D).
void gather(const Fragments& own, unsigned lane, float (*a)[16], float (*b)[8]) {
    unsigned group = lane / 4, in_group = lane % 4;
    unsigned a_registers = own.k == 16 || own.operand == Operand::tfloat32 ? 4 : 2;
    if (own.operand == Operand::tfloat32) {
        for (unsigned i = 0; i < 4; ++i)
            a[group + i % 2 * 8][in_group + i / 2 * 4] = operand_value(own.a[i], own.operand);
        for (unsigned i = 0; i < 2; ++i) b[in_group + 4 * i][group] = operand_value(own.b[i], own.operand);
        return;
    }
    for (unsigned half = 0; half < 2; ++half) {
        unsigned k = 2 * in_group + half;
        for (unsigned i = 0; i < a_registers; ++i)
            a[group + i % 2 * 8][k + i / 2 * 8] = operand_value(own.a[i] >> (16 * half), own.operand);
        for (unsigned i = 0; i < a_registers / 2; ++i)
            b[k + 8 * i][group] = operand_value(own.b[i] >> (16 * half), own.operand);
    }
}

void combine_multiply(const Operands& operands) {
    float a[16][16] = {}, b[16][8] = {};
    double d[16][8];
    auto of = [&](unsigned lane) { return static_cast<const Fragments*>(operands.in[lane]); };
    auto row = [](unsigned lane, unsigned i) { return lane / 4 + i / 2 * 8; };
    auto column = [](unsigned lane, unsigned i) { return 2 * (lane % 4) + i % 2; };
    for (unsigned lane = 0; lane < 32; ++lane) {
        gather(*of(lane), lane, a, b);
        for (unsigned i = 0; i < 4; ++i) d[row(lane, i)][column(lane, i)] = of(lane)->c[i];
    }
    unsigned depth = of(0)->k;
    for (unsigned r = 0; r < 16; ++r)
        for (unsigned k = 0; k < depth; ++k)
            for (unsigned c = 0; c < 8; ++c) d[r][c] += static_cast<double>(a[r][k]) * b[k][c];
    for (unsigned lane = 0; lane < 32; ++lane)
        for (unsigned i = 0; i < 4; ++i)
            static_cast<float*>(operands.out[lane])[i] = truncated(d[row(lane, i)][column(lane, i)]);
}

}  // namespace

void load_matrix(uint32_t* registers, unsigned count, const void* row, bool transpose) {
    if (builtin.lane < 8 * count) check_access(row, 16, Operation::load, CALLER);
    MatrixRows rows{static_cast<const char*>(row), count, transpose};
    collective_at(0xffffffffu, &rows, registers, combine_load_matrix, "ldmatrix", CALLER);
}

void multiply(float* d, const uint32_t* a, const uint32_t* b, const float* c, Operand operand, unsigned k) {
    Fragments fragments{a, b, c, operand, k};
    collective_at(0xffffffffu, &fragments, d, combine_multiply, "mma.sync", CALLER);
}

}  // namespace emulator
