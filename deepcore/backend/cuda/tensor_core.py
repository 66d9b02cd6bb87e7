"""Matrix products on tensor cores through ``mma.sync``: formats, tiles, and what they are estimated to cost."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepcore.backend.cuda.array import c_type
from deepcore.backend.cuda.carrier import carrier_of
from deepcore.backend.cuda.cost import BYTES, LAUNCH, TENSOR_FLOPS, item_bytes, needs_capability
from deepcore.backend.cuda.launcher import kernel
from deepcore.backend.cuda.tile import CACHE_BYTES, MULTIPROCESSORS, STEP_SECONDS, widest
from deepcore.backend.dispatch import PRECISIONS, Answer, Call
from deepcore.backend.geometry import MatmulGeometry

SLICE_BYTES = 64  # of the inner axis, that a block multiplies at a time: mma.cuh's slice_bytes


@dataclass(frozen=True)
class WarpTile:
    """The part of a product that one block computes, and how many warps share its rows and columns."""

    m: int
    n: int
    warps_m: int
    warps_n: int

    @property
    def threads(self) -> int:
        return 32 * self.warps_m * self.warps_n

    @property
    def defines(self) -> dict[str, object]:
        return {"TILE_M": self.m, "TILE_N": self.n, "WARPS_M": self.warps_m, "WARPS_N": self.warps_n}


@dataclass(frozen=True)
class Format:
    """How factors are multiplied.

    Attributes:
        position: in ``mma.cuh``'s ``Format``.
        item_bytes: of a factor in shared memory.
        products: instructions for each step of a fragment.
        tiles: to choose from. Fragments of 32-bit factors that are turned round take registers, and so do the two sets
            of sums of compensated products: the warps of these formats own less.
    """

    position: int
    item_bytes: int
    products: int
    tiles: tuple[WarpTile, ...]

    @property
    def depth(self) -> int:
        """Elements of the inner axis in a slice."""
        return SLICE_BYTES // self.item_bytes


LARGE, TALL, SMALL = WarpTile(128, 128, 2, 4), WarpTile(128, 64, 4, 2), WarpTile(64, 64, 2, 2)
FLOAT16 = Format(0, 2, 1, (LARGE, SMALL))
BFLOAT16 = Format(1, 2, 1, (LARGE, SMALL))
TFLOAT32 = Format(2, 4, 1, (TALL, SMALL))
TFLOAT32_3 = Format(3, 4, 3, (TALL, SMALL))
STORED = {"float16": FLOAT16, "bfloat16": BFLOAT16}


def best_tile(format: Format, g: MatmulGeometry) -> tuple[WarpTile, float]:
    """The tile that is estimated to be fastest, and its seconds without the traffic with memory.

    >>> [best_tile(FLOAT16, MatmulGeometry(1, size, size, size))[0].m for size in (64, 4096)]
    [64, 128]
    """
    rate = TENSOR_FLOPS / MULTIPROCESSORS * 2 / format.item_bytes / format.products
    plans = []
    for position, tile in enumerate(format.tiles):
        blocks = g.batch * -(-g.m // tile.m) * -(-g.n // tile.n)
        steps = -(-g.k // format.depth)
        computing = math.ceil(blocks / MULTIPROCESSORS) * steps * 2 * tile.m * tile.n * format.depth / rate
        fetching = blocks * steps * (tile.m + tile.n) * SLICE_BYTES / CACHE_BYTES
        # Two slices are under way while one is multiplied.
        waiting = steps * STEP_SECONDS / 2
        plans.append((max(computing, fetching, waiting), position))
    seconds, position = min(plans)
    return format.tiles[position], seconds


def cost(format_of: Callable[[str], Format]) -> Callable[[Call], float]:
    """The estimate of an implementation whose format follows from the dtype of the arrays."""

    def seconds(call: Call) -> float:
        g = call.geometry
        traffic = g.batch * (g.m * g.k + g.k * g.n + g.m * g.n) * item_bytes(call.dtype)
        return LAUNCH + max(best_tile(format_of(call.dtype), g)[1], traffic / BYTES)

    return seconds


def multiply(
    format: Format, a: Any, b: Any, bias: Any, y: Any, sizes: np.ndarray, g: MatmulGeometry, activation: int
) -> None:
    """Launches ``matmul_mma``; the arguments are those of matmul.py's ``Product``."""
    tile, _ = best_tile(format, g)
    capability = 80 if carrier_of("matmul_mma", [a]).capability() >= 80 else 75
    width_a = widest(a.dtype, (g.m if g.transpose_a else g.k,), a)
    width_b = widest(b.dtype, (g.k if g.transpose_b else g.n,), b)
    # As in matmul_mma.cu: asynchronous copies take three stages, everything else two.
    asynchronous = capability >= 80 and min(width_a, width_b) > 1 and a.dtype.itemsize == format.item_bytes
    code = kernel(
        "matmul_mma",
        "matmul_mma",
        T="float",
        STORED=c_type(a.dtype),
        FORMAT=format.position,
        ACTIVATION=activation,
        **tile.defines,
        TRANSPOSE_A=int(g.transpose_a),
        TRANSPOSE_B=int(g.transpose_b),
        WIDTH_A=width_a,
        WIDTH_B=width_b,
        WIDTH_Y=widest(y.dtype, (g.n,), y),
        CAPABILITY=capability,
        # What is on its way through registers takes too many of them for more than one block.
        MIN_BLOCKS=(2 if tile.threads > 128 else 3) if asynchronous else 1,
    )
    shared = (3 if asynchronous else 2) * (tile.m + tile.n) * SLICE_BYTES
    grid = g.batch * -(-g.m // tile.m) * -(-g.n // tile.n)
    code.launch(grid, tile.threads, a, b, bias, y, sizes, shared=shared)


def mma(a: Any, b: Any, bias: Any, y: Any, sizes: np.ndarray, g: MatmulGeometry, activation: int) -> None:
    """16-bit arrays: exact products of their elements, summed in float32, rounded once to the dtype of the arrays.

    From here on the ladder leaves the CUDA cores: a warp multiplies 16 x 16 elements by 16 x 8 as one instruction.
    """
    multiply(STORED[np.dtype(y.dtype).name], a, b, bias, y, sizes, g, activation)


def mma_bfloat16(a: Any, b: Any, bias: Any, y: Any, sizes: np.ndarray, g: MatmulGeometry, activation: int) -> None:
    """float32 arrays whose elements are rounded to bfloat16, 8 bits, on their way to shared memory; float32 sums."""
    multiply(BFLOAT16, a, b, bias, y, sizes, g, activation)


def mma_tf32(a: Any, b: Any, bias: Any, y: Any, sizes: np.ndarray, g: MatmulGeometry, activation: int) -> None:
    """float32 arrays whose elements are rounded to TF32, 11 bits, on their way to the tensor cores; float32 sums."""
    multiply(TFLOAT32, a, b, bias, y, sizes, g, activation)


def mma_3xtf32(a: Any, b: Any, bias: Any, y: Any, sizes: np.ndarray, g: MatmulGeometry, activation: int) -> None:
    """float32 arrays, as accurate as products in float32: each element is the sum of two in TF32, together 22 bits.

    Of the four products of such sums the smallest is left out (Ootomo and Yokota 2022, "Recovering single precision
    accuracy from Tensor Cores"). Elements below 2**-115 lose digits, as their second part is below TF32's range.
    """
    multiply(TFLOAT32_3, a, b, bias, y, sizes, g, activation)


available_float16 = needs_capability(75, "tensor cores")
available_newer = needs_capability(80, "bfloat16 and TF32 on tensor cores")


def supports_stored(call: Call) -> Answer:
    """float16 and bfloat16 arrays."""
    if call.dtype not in STORED:
        return False, f"multiplies float16 and bfloat16 arrays as they are, not {call.dtype}"
    if call.dtype == "bfloat16":
        ok, reason = available_newer()
        if not ok:
            return ok, reason
    return True, f"{call.dtype} factors, float32 sums"


def supports_float32(call: Call) -> Answer:
    """float32 arrays, in any precision: nothing is lost."""
    if call.dtype != "float32":
        return False, f"built for float32, not {call.dtype}"
    return True, "as accurate as float32"


def supports_precision(least: str) -> Callable[[Call], Answer]:
    """float32 arrays, where the precision setting allows ``least`` in products."""

    def supports(call: Call) -> Answer:
        if call.dtype != "float32":
            return False, f"built for float32, not {call.dtype}"
        if PRECISIONS.index(call.precision) < PRECISIONS.index(least):
            return False, f"precision is {call.precision}; deepcore.set_precision({least!r}) allows it"
        return True, f"precision {call.precision} allows {least} products"

    return supports
