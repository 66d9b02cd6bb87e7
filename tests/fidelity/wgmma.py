"""wgmma: every shape, type, major order, swizzle and place of A.

How operands lie in shared memory, and the distances that a descriptor states, are those of the PTX ISA, "Asynchronous
warpgroup-level matrix shared memory layout". For the tolerance see ``matrix.py``.
"""

from __future__ import annotations

import numpy as np
from fidelity.case import KERNELS, Case, unwritten
from fidelity.matrix import product, to_bits, values
from fidelity.tensor_copy import SPANS, swizzled

FILE = KERNELS / "wgmma.cu"
CODES = {"none": 0, "128B": 1, "64B": 2, "32B": 3}
ITEM_BYTES = {"bf16": 2, "f16": 2, "tf32": 4}


def depth_of(swizzle, kind):
    """Elements of k: a whole row of the swizzle, and at least the 32 bytes that one instruction takes."""
    return max(SPANS[swizzle], 32) // ITEM_BYTES[kind]


def arrange(operand, swizzle, transposed):
    """Bytes of shared memory for [rows, k], and (leading, stride, step) in bytes.

    As it is, k runs along the rows of a swizzled tile; transposed, the rows of the operand do.
    """
    span = SPANS[swizzle]
    per_span, eight = span // operand.itemsize, 8 * span
    rows, depth = operand.shape
    if transposed:  # blocks of per_span operand rows, each [k, per_span]
        tiles = operand.T.reshape(depth, rows // per_span, per_span).swapaxes(0, 1)
        across, along = depth * span, eight  # from block to block, and from 8 of k to the next 8
        leading, stride = (along, across) if swizzle == "none" else (across, along)
        return swizzled(tiles, swizzle), (leading, stride, 2 * eight)
    tiles = operand.reshape(rows, depth // per_span, per_span).swapaxes(0, 1)  # blocks of k, each [rows, per_span]
    leading = rows * span if swizzle == "none" else 16  # which swizzled layouts do not read
    return swizzled(tiles, swizzle), (leading, eight, 32)


def defines(kind, columns):
    return (("TYPE", kind), ("COLUMNS", columns), *((("HAS_TRANSPOSES", 1),) if kind != "tf32" else ()))


def from_shared(kind, columns, swizzle, transpose_a, transpose_b, whole=True):
    depth, per_instruction = depth_of(swizzle, kind), 32 // ITEM_BYTES[kind]

    def operands(rng):
        return values(rng, (64, depth), kind, whole), values(rng, (columns, depth), kind, whole)

    def arguments(rng):
        (a, (a_leading, a_stride, a_step)), (b, (b_leading, b_stride, b_step)) = (
            arrange(to_bits(operand, kind), swizzle, transposed)
            for operand, transposed in zip(operands(rng), (transpose_a, transpose_b), strict=True)
        )
        return {
            "a": a,
            "b": b,
            "d": unwritten((64, columns), np.float32),
            "steps": depth // per_instruction,
            "swizzle": CODES[swizzle],
            "transposes": transpose_a + 2 * transpose_b,
            "a_bytes": a.size,
            "a_leading": a_leading,
            "a_stride": a_stride,
            "a_step": a_step,
            "b_bytes": b.size,
            "b_leading": b_leading,
            "b_stride": b_stride,
            "b_step": b_step,
        }

    def expected(given):
        a, b = operands(case.generator())
        return {"d": product(a, b.T, np.zeros((64, columns)), per_instruction, whole)}

    letters = f"{'T' if transpose_a else 'N'}{'T' if transpose_b else 'N'}"
    case = Case(
        f"wgmma {kind} 64x{columns}, {letters}, swizzle {swizzle}, {'whole' if whole else 'normal'} numbers",
        FILE,
        "from_shared",
        arguments,
        expected,
        128,
        shared=(64 + columns) * depth * ITEM_BYTES[kind],
        needs=90,
        defines=defines(kind, columns),
        checked=(kind, columns) == ("bf16", 64),
    )
    return case


def from_registers(kind, columns, swizzle, transpose_b):
    def operands(rng):
        return values(rng, (64, 16), kind, True), values(rng, (columns, depth_of(swizzle, kind)), kind, True)

    def arguments(rng):
        a, b = operands(rng)
        arranged, (leading, stride, _) = arrange(to_bits(b, kind), swizzle, transpose_b)
        return {
            "a": to_bits(a, kind).reshape(-1).view(np.uint8),
            "b": arranged,
            "d": unwritten((64, columns), np.float32),
            "swizzle": CODES[swizzle],
            "transposes": 2 * transpose_b,
            "b_bytes": arranged.size,
            "b_leading": leading,
            "b_stride": stride,
        }

    def expected(given):
        a, b = operands(case.generator())
        return {"d": product(a, b[:, :16].T, np.zeros((64, columns)), 16, True)}

    case = Case(
        f"wgmma {kind} 64x{columns}, A in registers, B {'T' if transpose_b else 'N'}, swizzle {swizzle}",
        FILE,
        "from_registers",
        arguments,
        expected,
        128,
        shared=columns * depth_of(swizzle, kind) * 2,
        needs=90,
        defines=defines(kind, columns),
        checked=(kind, columns) == ("bf16", 64),
    )
    return case


CASES = [
    *(
        from_shared(kind, columns, swizzle, transpose_a, transpose_b)
        for kind in ITEM_BYTES
        for columns in (64, 128, 256)
        for swizzle in SPANS
        for transpose_a in (False, True)
        for transpose_b in (False, True)
        if kind != "tf32" or not (transpose_a or transpose_b)
    ),
    *(from_shared(kind, 64, "128B", False, False, whole=False) for kind in ITEM_BYTES),
    *(
        from_registers(kind, columns, swizzle, transpose_b)
        for kind in ("bf16", "f16")
        for columns in (64, 128, 256)
        for swizzle in SPANS
        for transpose_b in (False, True)
    ),
]
