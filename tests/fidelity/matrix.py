"""Matrices in registers (ldmatrix, mma.sync) and the asynchronous copies of threads (cp.async).

Products of small whole numbers are exact in whatever order a tensor core adds. Products of other numbers are held to
(k + 1) 2^-23 of the sum of |products|: a tensor core aligns the k + 1 addends of an instruction to the largest, and
cuts off of each what lies below its last place.
"""

from __future__ import annotations

import numpy as np
from fidelity.case import KERNELS, Case, Near, unwritten

FILE = KERNELS / "matrix.cu"


def to_bits(x, kind):
    """Numbers as a kernel takes them, each exactly representable."""
    if kind == "bf16":
        return (np.ascontiguousarray(x, np.float32).view(np.uint32) >> 16).astype(np.uint16)
    return np.ascontiguousarray(x, np.float16 if kind == "f16" else np.float32)


def rounded(x, kind):
    """Numbers of ``kind`` near ``x``, as float64."""
    if kind == "f16":
        return x.astype(np.float16).astype(np.float64)
    keep = 0xFFFF0000 if kind == "bf16" else 0xFFFFE000
    return (x.astype(np.float32).view(np.uint32) & np.uint32(keep)).view(np.float32).astype(np.float64)


def values(rng, shape, kind, whole):
    """Small whole numbers, or normal ones, of ``kind``."""
    return rounded(rng.integers(-2, 3, shape).astype(np.float64) if whole else rng.standard_normal(shape), kind)


def product(a, b, c, per_instruction, whole):
    """a b + c, exact or near."""
    exact = a @ b + c
    if whole:
        return exact.astype(np.float32)
    slices = a.shape[1] // per_instruction
    return Near(exact, slices * (per_instruction + 1) * 2.0**-23 * (np.abs(a) @ np.abs(b) + np.abs(c)))


def mma(kernel, kind, k, needs, whole):
    def arguments(rng):
        held = {
            "a": to_bits(values(rng, (16, k), kind, whole), kind),
            "b": to_bits(values(rng, (k, 8), kind, whole), kind),
        }
        held["c"] = values(rng, (16, 8), "tf32", whole).astype(np.float32)
        return held | {"d": unwritten((16, 8), np.float32)}

    def expected(given):
        a, b = (from_bits(given[name], kind) for name in "ab")
        return {"d": product(a, b, given["c"].astype(np.float64), k, whole)}

    name = f"mma.sync {kernel}, {'whole' if whole else 'normal'} numbers"
    return Case(name, FILE, f"multiply_{kernel}", arguments, expected, needs=needs)


def from_bits(x, kind):
    """The float64 values of what a kernel takes."""
    if kind == "bf16":
        return (x.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return x.astype(np.float64)


def load_matrices_arguments(rng):
    x = rng.integers(0, 2**16, 256, dtype=np.uint16)
    return {"x": x.view(np.float16), "y": unwritten((14, 32), np.uint32)}


def load_matrices(given):
    matrices = given["x"].view(np.uint16).reshape(4, 8, 8)
    shown = [*matrices, *matrices.swapaxes(1, 2)]
    for count in (2, 1):
        shown += [*matrices[:count], *matrices[:count].swapaxes(1, 2)]
    return {"y": np.ascontiguousarray(np.stack(shown)).reshape(14, 64).view(np.uint32)}


def copies_arguments(rng):
    x = rng.standard_normal(128).astype(np.float32)
    return {"x": x, "y": unwritten(128, np.float32), "z": unwritten(32, np.float32), "n": 18}


def copies(given):
    x, place = given["x"], np.arange(128)
    return {"y": np.where(place < 20, x, 0), "z": np.where(place < 18, x, 0)[:32]}  # whole packs of four, and singles


CASES = [
    Case("ldmatrix", FILE, "load_matrices", load_matrices_arguments, load_matrices),
    *(
        mma(kernel, kind, k, needs, whole)
        for kernel, kind, k, needs in (
            ("f16_k8", "f16", 8, 75),
            ("f16", "f16", 16, 80),
            ("bf16", "bf16", 16, 80),
            ("tf32", "tf32", 8, 80),
        )
        for whole in (True, False)
    ),
    Case("cp.async with zeros", FILE, "copy_with_zeros", copies_arguments, copies, needs=80),
]
