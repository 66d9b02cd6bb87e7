"""Matrix products: NumPy's, which are the BLAS's, and those of the register tiles."""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from deepcore.backend.dispatch import Answer, Call, choose_for, implementation
from deepcore.backend.geometry import MatmulGeometry
from deepcore.backend.numpy.activation import bias_activation_inplace
from deepcore.backend.numpy.cost import GEMM_CALL, PRODUCT_CALL, gemm_seconds, product_seconds
from deepcore.backend.numpy.half import computed_in_float32
from deepcore.backend.numpy.loops import leave_the_cores, vectors_available
from deepcore.backend.numpy.memory import LARGE, empty
from deepcore.kernels.cpu.host import host

__all__ = ["matmul"]

ALONE = 1 << 18  # multiply-adds of a product for which OpenBLAS wakes no thread of its own
VECTOR_ALONE = 9216  # of one with a vector
WAYS = 2000  # kept


@computed_in_float32()
def matmul(
    a: np.ndarray,
    b: np.ndarray,
    transpose_a: bool = False,
    transpose_b: bool = False,
    bias: np.ndarray | None = None,
    activation: str = "linear",
) -> np.ndarray:
    """``activation(a @ b + bias)``, batch axes broadcast as in NumPy.

    Args:
        a: [..., m, k], or [..., k, m] with ``transpose_a``; float32 or float64.
        b: [..., k, n], or [..., n, k] with ``transpose_b``; same dtype.
        transpose_a: swap the last two axes of ``a``.
        transpose_b: swap the last two axes of ``b``.
        bias: [n], or None.
        activation: one of the backend's ``ACTIVATIONS``.

    Returns:
        [..., m, n], same dtype.

    Raises:
        ValueError: ``a`` and ``b`` do not fit together, or ``activation`` is unknown.
    """
    run = choose_for("matmul", a.dtype, MatmulGeometry.of, a.shape, b.shape, transpose_a, transpose_b).function
    return run(a, b, transpose_a, transpose_b, bias, activation)


def _gemm_cost(call: Call) -> float:
    g = call.geometry
    if call.dtype != "float32" or not host().is_narrow or g.batch > 1 or min(g.m, g.n) == 1:
        return gemm_seconds(g.batch, g.m, g.n, g.k, call.dtype)
    # One core multiplies narrow vectors as fast by either way, and the BLAS is called in less time; but for larger
    # products it wakes threads, which take the cores from ours.
    seconds = product_seconds(1, g.m, g.n, g.k) - PRODUCT_CALL + GEMM_CALL
    return seconds if _is_alone(g.m, g.n, g.k) else seconds + PRODUCT_CALL


def _is_alone(m: int, n: int, k: int) -> bool:
    """Whether OpenBLAS wakes no thread of its own for a product."""
    return m * n * k <= (ALONE if min(m, n) > 1 else VECTOR_ALONE)


@implementation("matmul", "numpy", cost=_gemm_cost)
def _blas(
    a: np.ndarray, b: np.ndarray, transpose_a: bool, transpose_b: bool, bias: np.ndarray | None, activation: str
) -> np.ndarray:
    left = a.swapaxes(-1, -2) if transpose_a else a
    right = b.swapaxes(-1, -2) if transpose_b else b
    way = _way(left.shape, left.strides, left.dtype, right.shape, right.strides, right.dtype)
    left = np.ascontiguousarray(left) if way.copies[0] else left
    right = np.ascontiguousarray(right) if way.copies[1] else right
    if way.wakes:
        leave_the_cores()
    y = np.empty(way.shape, way.dtype) if way.small else empty(way.shape, way.dtype)
    if way.rows:
        left.reshape(way.rows, -1).dot(right, y.reshape(way.rows, -1))
    elif left.ndim == right.ndim == 2:
        left.dot(right, y)  # the same call of the BLAS as np.matmul's, begun in half a microsecond less
    else:
        np.matmul(left, right, out=y)
    if bias is None and activation == "linear":
        return y
    return bias_activation_inplace(y, bias, activation)


class _Way(NamedTuple):
    """What is decided for the operands of a product that is NumPy's.

    Attributes:
        shape, dtype: of the result, in an order of our own: NumPy would follow the strides of the operands.
        small: whether its memory is not worth keeping.
        copies: whether the left, and whether the right operand must be made contiguous.
        wakes: whether OpenBLAS wakes threads of its own.
        rows: of the whole batch on the left, where it is multiplied with one right matrix: one large product instead
            of many small ones. 0 where it is not, or where there is no batch.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    small: bool
    copies: tuple[bool, bool]
    wakes: bool
    rows: int


@functools.lru_cache(WAYS)
def _way(
    left: tuple[int, ...],
    left_strides: tuple[int, ...],
    left_dtype: np.dtype,
    right: tuple[int, ...],
    right_strides: tuple[int, ...],
    right_dtype: np.dtype,
) -> _Way:
    shape = (*np.broadcast_shapes(left[:-2], right[:-2]), left[-2], right[-1])
    copies = _needs_copy(left, left_strides, left_dtype), _needs_copy(right, right_strides, right_dtype)
    wakes = not _is_alone(math.prod(left[:-1]), right[-1], left[-1])
    batched = len(left) > 2 and len(right) == 2 and (copies[0] or _is_contiguous(left, left_strides, left_dtype))
    dtype = np.result_type(left_dtype, right_dtype)
    small = math.prod(shape) * dtype.itemsize < LARGE
    return _Way(shape, dtype, small, copies, wakes, math.prod(left[:-1]) if batched else 0)


def _supports_tiles(call: Call) -> Answer:
    g = call.geometry
    if call.dtype != "float32":
        return False, f"register tiles are of float32; the arrays are {call.dtype}"
    if not g.flops:
        return False, "a size is zero: there is nothing to multiply"
    return True, "float32, any sizes and strides"


def _tiles_cost(call: Call) -> float:
    g = call.geometry
    return product_seconds(g.batch, g.m, g.n, g.k)


@implementation("matmul", "tiles", supports=_supports_tiles, cost=_tiles_cost, available=vectors_available)
def _tiles(
    a: np.ndarray, b: np.ndarray, transpose_a: bool, transpose_b: bool, bias: np.ndarray | None, activation: str
) -> np.ndarray:
    left = a.swapaxes(-1, -2) if transpose_a else a
    right = b.swapaxes(-1, -2) if transpose_b else b
    return _product()(left, right, bias, activation)


@functools.cache
def _product() -> Callable[..., np.ndarray]:
    """What needs Numba is loaded by the first call."""
    return importlib.import_module("deepcore.backend.numpy.product").product


def blas_ready(matrices: np.ndarray) -> np.ndarray:
    """``matrices``, copied if their strides would send ``np.matmul`` to its own loop, a hundred times slower."""
    copies = _needs_copy(matrices.shape, matrices.strides, matrices.dtype)
    return np.ascontiguousarray(matrices) if copies else matrices


def _needs_copy(shape: tuple[int, ...], strides: tuple[int, ...], dtype: np.dtype) -> bool:
    (rows, columns), (down, across), item = shape[-2:], strides[-2:], dtype.itemsize
    by_rows = across == item and down % item == 0 and down >= columns * item
    by_columns = down == item and across % item == 0 and across >= rows * item
    return not (by_rows or by_columns)


def _is_contiguous(shape: tuple[int, ...], strides: tuple[int, ...], dtype: np.dtype) -> bool:
    """Whether an array lies in C order; what has one element, or none, lies in any."""
    size = dtype.itemsize
    for length, stride in zip(reversed(shape), reversed(strides), strict=True):
        if length > 1 and stride != size:
            return 0 in shape
        size *= length
    return True
