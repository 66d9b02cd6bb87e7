"""Matrix products, from the definition to tensor cores, rung by rung; contract: ``backend/numpy/matmul.py``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from deepcore.backend.cuda import tensor_core
from deepcore.backend.cuda.array import c_type, contiguous, empty
from deepcore.backend.cuda.cost import (
    BYTES,
    FLOPS,
    LAUNCH,
    THREADS,
    gpu_or_emulator,
    grid_for,
    item_bytes,
    supports_floating,
    wide_bytes,
)
from deepcore.backend.cuda.launcher import kernel
from deepcore.backend.cuda.tile import (
    MULTIPROCESSORS,
    STEP_SECONDS,
    Plan,
    blocks_per_multiprocessor,
    chunk,
    partial,
    plan,
    position,
    structure,
    sum_parts,
    types,
    widest,
)
from deepcore.backend.dispatch import Answer, Call, choose, implementation
from deepcore.backend.geometry import MatmulGeometry

__all__ = ["matmul"]

# matmul.cu's MatmulSizes.
SIZES = np.dtype(
    [(name, "i4") for name in ("m", "n", "k", "inner")]
    + [(f"{operand}_{stride}", "i8") for operand in "ab" for stride in ("row", "column", "outer", "inner")]
)

Axis = tuple[int, int, int]  # of the batch: its length, and how many matrices of a and of b each step goes ahead
Product = Callable[[Any, Any, Any, Any, np.ndarray, MatmulGeometry, int], None]


def matmul(
    a: Any,
    b: Any,
    transpose_a: bool = False,
    transpose_b: bool = False,
    bias: Any = None,
    activation: str = "linear",
) -> Any:
    """``activation(a @ b + bias)``, batch axes broadcast; see the NumPy backend."""
    geometry = MatmulGeometry.of(a.shape, b.shape, transpose_a, transpose_b)
    run = choose("matmul", a.dtype, geometry, "cuda").function
    return run(a, b, transpose_a, transpose_b, bias, activation)


def batch_axes(a_batch: tuple[int, ...], b_batch: tuple[int, ...]) -> list[Axis]:
    """The broadcast batch as few axes: neighbours that one step each can serve are merged.

    >>> batch_axes((2, 3), (2, 3)), batch_axes((5, 1), (7,)), batch_axes((4, 3), ())
    ([(6, 1, 1)], [(5, 1, 0), (7, 0, 1)], [(12, 1, 0)])
    """
    rank = max(len(a_batch), len(b_batch))
    axes: list[Axis] = []
    a_step = b_step = 1
    for i in range(1, rank + 1):
        a_size = a_batch[-i] if i <= len(a_batch) else 1
        b_size = b_batch[-i] if i <= len(b_batch) else 1
        size = b_size if a_size == 1 else a_size
        if size == 1:
            continue
        axis = size, a_step if a_size > 1 else 0, b_step if b_size > 1 else 0
        if axes and all(axis[j] == axes[0][0] * axes[0][j] for j in (1, 2)):
            axes[0] = size * axes[0][0], axes[0][1], axes[0][2]
        else:
            axes.insert(0, axis)
        a_step, b_step = a_step * a_size, b_step * b_size
    return axes


def _run(product: Product, a: Any, b: Any, transpose_a: bool, transpose_b: bool, bias: Any, activation: str) -> Any:
    a, b = contiguous(a), contiguous(b)
    bias = None if bias is None else contiguous(bias)
    code = position(activation)
    geometry = MatmulGeometry.of(a.shape, b.shape, transpose_a, transpose_b)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    y = empty((*batch, geometry.m, geometry.n), a.dtype, a)
    if y.size == 0:
        return y
    axes = batch_axes(a.shape[:-2], b.shape[:-2])
    m = geometry.m
    if len(axes) == 1 and axes[0][2] == 0 and not transpose_a:
        # One right matrix for the whole batch: one large product instead of many small ones.
        m, axes = m * axes[0][0], []
    kept = axes[-2:]
    (outer, *outer_steps), (inner, *inner_steps) = [(1, 0, 0)] * (2 - len(kept)) + kept
    a_matrix, b_matrix = geometry.m * geometry.k, geometry.k * geometry.n
    a_strides: tuple[int, ...] = (1, geometry.m) if transpose_a else (geometry.k, 1)
    b_strides: tuple[int, ...] = (1, geometry.k) if transpose_b else (geometry.n, 1)
    a_strides += (outer_steps[0] * a_matrix, inner_steps[0] * a_matrix)
    b_strides += (outer_steps[1] * b_matrix, inner_steps[1] * b_matrix)
    sizes = structure(SIZES, (m, geometry.n, geometry.k, inner, *a_strides, *b_strides))
    call = MatmulGeometry(outer * inner, m, geometry.n, geometry.k, transpose_a, transpose_b)
    # Kernels know two axes of a batch. More remain only where operands are broadcast along axes by turns.
    loops = axes[:-2]
    a, b, results = a.reshape(-1), b.reshape(-1), y.reshape(-1)
    for i, index in enumerate(np.ndindex(*(size for size, _, _ in loops))):
        a_first, b_first = (sum(j * axis[side] for j, axis in zip(index, loops, strict=True)) for side in (1, 2))
        count = call.batch * m * geometry.n
        product(
            a[a_first * a_matrix :],
            b[b_first * b_matrix :],
            bias,
            results[i * count : (i + 1) * count],
            sizes,
            call,
            code,
        )
    return y


# The ladder


def _rung_cost(side: int, depth: int, reads: float) -> Callable[[Call], float]:
    """The cost of blocks of ``side`` x ``side`` elements that fetch ``depth`` elements of the inner axis at a time.

    Each multiplication needs ``reads`` reads of shared memory, or of the first-level cache: a multiprocessor reads 32
    numbers a clock, and multiplies 128 pairs.
    """

    def cost(call: Call) -> float:
        g = call.geometry
        waves = -(-g.batch * -(-g.m // side) * -(-g.n // side) // MULTIPROCESSORS)
        rate = FLOPS / MULTIPROCESSORS / (4 * reads * wide_bytes(call.dtype) / 4)
        computing = waves * 2 * side * side * g.k / rate
        # These kernels do not fetch ahead: computing waits for fetching, step by step.
        return LAUNCH + max(computing + -(-g.k // depth) * STEP_SECONDS, _traffic(call) / BYTES)

    return cost


def _traffic(call: Call) -> int:
    g = call.geometry
    return int(g.batch * (g.m * g.k + g.k * g.n + g.m * g.n) * item_bytes(call.dtype))


def _defines(y: Any, activation: int) -> dict[str, object]:
    return {"T": c_type(y.dtype), "ACTIVATION": activation}


def _naive(a: Any, b: Any, bias: Any, y: Any, sizes: np.ndarray, geometry: MatmulGeometry, activation: int) -> None:
    """One thread an element; every multiplication fetches both of its factors from global memory."""
    code = kernel("matmul", "matmul_naive", **_defines(y, activation))
    code.launch(grid_for(y.size), THREADS, a, b, bias, y, sizes, y.size)


def _tiled(a: Any, b: Any, bias: Any, y: Any, sizes: np.ndarray, geometry: MatmulGeometry, activation: int) -> None:
    """A block shares 16 x 16 slices: each number is fetched once a block, and read twice a multiplication."""
    g = geometry
    code = kernel("matmul", "matmul_tiled", **_defines(y, activation))
    code.launch(g.batch * -(-g.m // 16) * -(-g.n // 16), THREADS, a, b, bias, y, sizes)


def _register(a: Any, b: Any, bias: Any, y: Any, sizes: np.ndarray, geometry: MatmulGeometry, activation: int) -> None:
    """A thread computes 4 x 4 elements: 8 numbers from shared memory serve 16 multiplications."""
    g = geometry
    code = kernel("matmul", "matmul_register", **_defines(y, activation))
    code.launch(g.batch * -(-g.m // 64) * -(-g.n // 64), THREADS, a, b, bias, y, sizes)


def _simt(a: Any, b: Any, bias: Any, y: Any, sizes: np.ndarray, geometry: MatmulGeometry, activation: int) -> None:
    """Up to 8 x 8 elements a thread, wide accesses, and the next slice travels while this one is multiplied."""
    _launch(a, b, bias, y, sizes, geometry, activation, _plan(geometry, y.dtype.name, split=False))


def _split_k(a: Any, b: Any, bias: Any, y: Any, sizes: np.ndarray, geometry: MatmulGeometry, activation: int) -> None:
    """``_simt`` on parts of a long inner axis, for products with too few tiles; a second kernel adds the parts."""
    how = _plan(geometry, y.dtype.name, split=True)
    parts = partial(how.parts, y.shape, y)
    _launch(a, b, None, parts, sizes, geometry, 0, how)
    sum_parts(parts, bias, y, geometry.n, activation)


def _plan(g: MatmulGeometry, dtype: str, split: bool) -> Plan:
    return plan(g.batch, g.m, g.n, g.k, dtype, split)


def _launch(
    a: Any, b: Any, bias: Any, y: Any, sizes: np.ndarray, g: MatmulGeometry, activation: int, how: Plan
) -> None:
    width_a = widest(a.dtype, (g.m if g.transpose_a else g.k,), a)
    width_b = widest(b.dtype, (g.k if g.transpose_b else g.n,), b)
    code = kernel(
        "matmul",
        "matmul_simt",
        **types(a, y),
        ACTIVATION=activation,
        **how.tile.defines,
        TRANSPOSE_A=int(g.transpose_a),
        TRANSPOSE_B=int(g.transpose_b),
        WIDTH_A=width_a,
        WIDTH_B=width_b,
        WIDTH_Y=widest(y.dtype, (g.n,), y, most=chunk(y.dtype)),
        MIN_BLOCKS=blocks_per_multiprocessor(how.tile, width_a, width_b),
    )
    grid = g.batch * how.tile.count(g.m, g.n), how.parts
    code.launch(grid, how.tile.threads, a, b, bias, y, sizes, g.batch)


def _simt_cost(call: Call) -> float:
    return LAUNCH + max(_plan(call.geometry, call.dtype, split=False).seconds, _traffic(call) / BYTES)


def _split_cost(call: Call) -> float:
    return LAUNCH + max(_plan(call.geometry, call.dtype, split=True).seconds, _traffic(call) / BYTES)


def _supports_split(call: Call) -> Answer:
    ok, reason = supports_floating(call)
    if ok and call.geometry.k < 2 * 8:
        return False, f"the inner axis must be at least 16 long to be split; it is {call.geometry.k}"
    return ok, reason


def _list(
    name: str,
    product: Product,
    cost: Callable[[Call], float],
    supports: Callable[[Call], Answer] = supports_floating,
    available: Callable[[], Answer] = gpu_or_emulator,
    precision: str | None = None,
) -> None:
    def run(a: Any, b: Any, transpose_a: bool, transpose_b: bool, bias: Any, activation: str) -> Any:
        return _run(product, a, b, transpose_a, transpose_b, bias, activation)

    implementation(
        "matmul", name, device="cuda", supports=supports, cost=cost, available=available, precision=precision
    )(run)


_list("cuda-naive", _naive, _rung_cost(side=16, depth=4, reads=4))
_list("cuda-tiled", _tiled, _rung_cost(side=16, depth=16, reads=2))
_list("cuda-register", _register, _rung_cost(side=64, depth=16, reads=0.5))
_list("cuda-simt", _simt, _simt_cost)
_list("cuda-split-k", _split_k, _split_cost, _supports_split)
_list(
    "cuda-mma",
    tensor_core.mma,
    tensor_core.cost(lambda dtype: tensor_core.STORED[dtype]),
    tensor_core.supports_stored,
    tensor_core.available_float16,
)
_list(
    "cuda-mma-3xtf32",
    tensor_core.mma_3xtf32,
    tensor_core.cost(lambda dtype: tensor_core.TFLOAT32_3),
    tensor_core.supports_float32,
    tensor_core.available_newer,
)
_list(
    "cuda-mma-tf32",
    tensor_core.mma_tf32,
    tensor_core.cost(lambda dtype: tensor_core.TFLOAT32),
    tensor_core.supports_precision("tf32"),
    tensor_core.available_newer,
    precision="tf32",
)
_list(
    "cuda-mma-bf16",
    tensor_core.mma_bfloat16,
    tensor_core.cost(lambda dtype: tensor_core.BFLOAT16),
    tensor_core.supports_precision("bfloat16"),
    tensor_core.available_newer,
    precision="bfloat16",
)
