"""How blocks of threads share a matrix product: the tiles of ``kernels/cuda/gemm.cuh``, for matmul and convolution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepcore.backend.contract import ACTIVATIONS
from deepcore.backend.cuda.array import c_type, empty
from deepcore.backend.cuda.cost import BYTES, FLOPS, LAUNCH, THREADS, grid_for, item_bytes, wide_bytes
from deepcore.backend.cuda.launcher import kernel
from deepcore.backend.dtype import accumulator
from deepcore.errors import unknown_name

MULTIPROCESSORS = 132
STEP_SECONDS = 4.0e-7  # from one slice to the next, when too few warps are there to hide it: a trip to device memory
CACHE_BYTES = 2 * BYTES  # of the second-level cache, a second: assumed
MOST_PARTS = 64


@dataclass(frozen=True)
class Tile:
    """The part of a product that one block computes, and of that the part of one thread."""

    m: int
    n: int
    k: int
    thread_m: int
    thread_n: int

    @property
    def threads(self) -> int:
        return self.m // self.thread_m * (self.n // self.thread_n)

    @property
    def defines(self) -> dict[str, object]:
        return {
            "TILE_M": self.m,
            "TILE_N": self.n,
            "TILE_K": self.k,
            "THREAD_M": self.thread_m,
            "THREAD_N": self.thread_n,
        }

    def count(self, m: int, n: int) -> int:
        """Tiles that cover [m, n]."""
        return -(-m // self.m) * -(-n // self.n)

    def steps(self, k: int) -> int:
        return -(-k // self.k)


# Sums of float64 take two registers each, so that its threads own half as many.
_SINGLE = (Tile(128, 128, 8, 8, 8), Tile(64, 64, 8, 8, 4), Tile(32, 32, 16, 4, 4))
TILES = {
    "float16": _SINGLE,
    "bfloat16": _SINGLE,
    "float32": _SINGLE,
    "float64": (Tile(64, 64, 8, 4, 4), Tile(32, 32, 16, 4, 4)),
}


@dataclass(frozen=True)
class Plan:
    """A tile, the parts in which the inner axis is summed, and the seconds that this is estimated to take."""

    tile: Tile
    parts: int
    seconds: float


def plan(products: int, m: int, n: int, k: int, dtype: str, split: bool) -> Plan:
    """The best tile for ``products`` products of [m, k] and [k, n]; with ``split``, in two parts or more.

    Blocks run in waves over the multiprocessors. A large tile reads shared memory less often, but leaves
    multiprocessors idle where there are few tiles, and computes what lies beyond the edges for nothing.
    """
    plans = []
    for tile in TILES[dtype]:
        blocks, steps = products * tile.count(m, n), tile.steps(k)
        parts = 1
        if split:
            parts = max(2, min(MOST_PARTS, 2 * MULTIPROCESSORS // max(blocks, 1), steps // 4))
        plans.append(Plan(tile, parts, _seconds(tile, blocks, steps, parts, products * m * n, dtype)))
    return min(plans, key=lambda candidate: candidate.seconds)


def _seconds(tile: Tile, blocks: int, steps: int, parts: int, elements: int, dtype: str) -> float:
    waves, slices = math.ceil(blocks * parts / MULTIPROCESSORS), math.ceil(steps / parts)
    # Beside each multiplication, its share of the wide reads of shared memory takes a slot of the schedulers.
    slots = 1 + (1 / tile.thread_m + 1 / tile.thread_n) * wide_bytes(dtype) / 16
    rate = FLOPS / MULTIPROCESSORS * 4 / wide_bytes(dtype) / slots
    computing = waves * slices * 2 * tile.m * tile.n * tile.k / rate
    fetching = blocks * steps * (tile.m + tile.n) * tile.k * item_bytes(dtype) / CACHE_BYTES
    waiting = slices * STEP_SECONDS
    second = LAUNCH + (parts + 1) * elements * wide_bytes(dtype) / BYTES if parts > 1 else 0.0
    return max(computing, fetching, waiting) + second


def widest(dtype: Any, sizes: tuple[int, ...], *arrays: Any, most: int = 16) -> int:
    """Elements that may be moved at once: up to ``most`` of them, 16 bytes' worth, if all ``sizes`` are multiples of it
    and all arrays aligned.

    The emulator aligns what is not, so that only addresses on a GPU matter.
    """
    size = np.dtype(dtype).itemsize
    width = min(most, 16 // size)
    whole = all(number % width == 0 for number in sizes)
    aligned = all(isinstance(array, np.ndarray) or array.data.ptr % (width * size) == 0 for array in arrays)
    return width if whole and aligned else 1


def chunk(dtype: Any) -> int:
    """``gemm.cuh``'s: neighbouring elements of a result that one thread has, 16 bytes as they are computed."""
    return 16 // accumulator(dtype).itemsize


def types(operand: Any, result: Any) -> dict[str, object]:
    """The macros T and, where a kernel writes another type than it reads, R."""
    if operand.dtype == result.dtype:
        return {"T": c_type(operand.dtype)}
    return {"T": c_type(operand.dtype), "R": c_type(result.dtype)}


def blocks_per_multiprocessor(tile: Tile, *widths: int) -> int:
    """What ``__launch_bounds__`` asks for: two large tiles fit only if nothing is moved element by element, nor eight
    16-bit elements at once."""
    return 2 if tile.m * tile.n >= 128 * 128 and min(widths) > 1 and max(widths) <= 4 else 1


def position(activation: str) -> int:
    """The number by which kernels know an activation. Raises ``ValueError`` for an unknown one."""
    if activation not in ACTIVATIONS:
        raise unknown_name("activation", activation, ACTIVATIONS)
    return ACTIVATIONS.index(activation)


def sum_parts(parts: Any, bias: Any, y: Any, columns: int, activation: int = 0) -> None:
    """``y = activation(parts[0] + parts[1] + ... + bias)``, added in this order."""
    code = kernel("split", "sum_parts", T=c_type(y.dtype))
    code.launch(grid_for(y.size), THREADS, parts, bias, y, parts.shape[0], columns, activation, y.size)


def partial(parts: int, shape: tuple[int, ...], y: Any) -> Any:
    """Room for ``parts`` results of ``shape`` beside ``y``, in the dtype in which they are summed."""
    return empty((parts, *shape), accumulator(y.dtype), y)


DIVISOR = np.dtype([("divisor", "i4"), ("multiplier", "u4"), ("shift", "i4")])


def divisor(number: int) -> tuple[int, int, int]:
    """``kernels/cuda/divisor.cuh``'s ``Divisor`` for 1 <= ``number`` < 2**31.

    >>> number, multiplier, shift = divisor(7)
    >>> [dividend * multiplier >> shift for dividend in (6, 7, 2**31 - 1)] == [0, 1, (2**31 - 1) // 7]
    True
    """
    shift = 31 + (number - 1).bit_length()
    return number, -(-(1 << shift) // number), shift


def structure(dtype: np.dtype, values: tuple[Any, ...]) -> np.ndarray:
    """A C structure to pass by value: an array of one element, which both carriers hand over as its bytes."""
    return np.array([values], dtype)
