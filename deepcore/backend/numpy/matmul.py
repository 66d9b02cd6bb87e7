"""Matrix products: NumPy's, which are the BLAS's, and those of the register tiles."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable

import numpy as np

from deepcore.backend.dispatch import Answer, Call, choose, implementation
from deepcore.backend.geometry import MatmulGeometry
from deepcore.backend.numpy.activation import bias_activation_inplace
from deepcore.backend.numpy.cost import gemm_seconds, product_seconds
from deepcore.backend.numpy.half import computed_in_float32
from deepcore.backend.numpy.loops import leave_the_cores, vectors_available
from deepcore.backend.numpy.memory import empty

__all__ = ["matmul"]

ALONE = 1 << 18  # multiply-adds of a product for which OpenBLAS wakes no thread of its own
VECTOR_ALONE = 9216  # of one with a vector


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
    geometry = MatmulGeometry.of(a.shape, b.shape, transpose_a, transpose_b)
    run = choose("matmul", a.dtype, geometry).function
    return run(a, b, transpose_a, transpose_b, bias, activation)


def _gemm_cost(call: Call) -> float:
    g = call.geometry
    return gemm_seconds(g.batch, g.m, g.n, g.k, call.dtype)


@implementation("matmul", "numpy", cost=_gemm_cost)
def _blas(
    a: np.ndarray, b: np.ndarray, transpose_a: bool, transpose_b: bool, bias: np.ndarray | None, activation: str
) -> np.ndarray:
    left = blas_ready(a.swapaxes(-1, -2) if transpose_a else a)
    right = blas_ready(b.swapaxes(-1, -2) if transpose_b else b)
    if left.size * right.shape[-1] > (ALONE if min(left.shape[-2], right.shape[-1]) > 1 else VECTOR_ALONE):
        leave_the_cores()
    if right.ndim == 2 and (left.ndim == 2 or left.flags.c_contiguous):
        # One right matrix for the whole batch: one large product instead of many small ones.
        rows = left.reshape(-1, left.shape[-1])
        y = empty((len(rows), right.shape[1]), np.result_type(left, right))
        np.matmul(rows, right, out=y)
        y = y.reshape(*left.shape[:-1], right.shape[-1])
    else:
        # An output order of our own: NumPy would follow the strides of the operands.
        batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
        y = empty((*batch, left.shape[-2], right.shape[-1]), np.result_type(left, right))
        np.matmul(left, right, out=y)
    return bias_activation_inplace(y, bias, activation)


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
    *_, rows, columns = matrices.shape
    down, across = matrices.strides[-2:]
    item = matrices.itemsize
    by_rows = across == item and down % item == 0 and down >= columns * item
    by_columns = down == item and across % item == 0 and across >= rows * item
    return matrices if by_rows or by_columns else np.ascontiguousarray(matrices)
