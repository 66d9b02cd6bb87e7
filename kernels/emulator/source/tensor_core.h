#pragma once

#include "machine.h"
// After machine.h, which brings the types that it uses.
#include "../include/vector.h"

#include "../include/half.h"
#include "../include/tensor_core.h"

namespace emulator {

// A collective whose place in the kernel is that of the runtime function's own caller.
void collective_at(unsigned mask, const void* in, void* out, Combine combine, const char* name, const void* place);

// The value that a tensor core sees in the low bits of a register.
float operand_value(uint32_t bits, Operand operand);
// Rounds towards zero, as tensor cores do.
float truncated(double value);

}  // namespace emulator
