"""Sums, means, maxima and minima over any axes.

NumPy alone: its reductions run at the speed of memory, and a chunked sum is as accurate as its pairwise one.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from deepcore.backend.dispatch import Call, choose, implementation
from deepcore.backend.geometry import KEPT, RowsGeometry
from deepcore.backend.numpy.cost import numpy_cost
from deepcore.backend.numpy.half import computed_in_float32
from deepcore.backend.numpy.rows import chunk_rows, contiguous, quiet, sum_rows

__all__ = ["reduce_max", "reduce_mean", "reduce_min", "reduce_sum"]


@computed_in_float32()
def reduce_sum(x: np.ndarray, axes: tuple[int, ...], keepdims: bool = False) -> np.ndarray:
    """The sum of ``x`` over ``axes``, non-negative and distinct; floating dtypes are kept, integers become int64.

    Long float32 sums are taken in chunks: the error grows with the square root of the length at most, not with it.
    """
    return _reduce("reduce_sum", x, axes, keepdims)


@computed_in_float32()
def reduce_mean(x: np.ndarray, axes: tuple[int, ...], keepdims: bool = False) -> np.ndarray:
    """The mean of ``x`` over ``axes``; as ``reduce_sum``, but integers become float64."""
    return _reduce("reduce_mean", x, axes, keepdims)


@computed_in_float32()
def reduce_max(x: np.ndarray, axes: tuple[int, ...], keepdims: bool = False) -> np.ndarray:
    """The largest element of ``x`` over ``axes``; NaN wherever there is one. The dtype of ``x``."""
    return _reduce("reduce_max", x, axes, keepdims)


@computed_in_float32()
def reduce_min(x: np.ndarray, axes: tuple[int, ...], keepdims: bool = False) -> np.ndarray:
    """The smallest element of ``x`` over ``axes``; NaN wherever there is one. The dtype of ``x``."""
    return _reduce("reduce_min", x, axes, keepdims)


def _reduce(op: str, x: np.ndarray, axes: tuple[int, ...], keepdims: bool) -> np.ndarray:
    return choose(op, x.dtype, _geometry(x.shape, axes)).function(x, axes, keepdims)


@functools.lru_cache(KEPT)
def _geometry(shape: tuple[int, ...], axes: tuple[int, ...]) -> RowsGeometry:
    kept = math.prod(size for axis, size in enumerate(shape) if axis not in axes)
    return RowsGeometry(kept, math.prod(shape[axis] for axis in axes))


def _numpy_cost(call: Call) -> float:
    return numpy_cost(call, passes=1, calls=4)


@implementation("reduce_sum", "numpy", cost=_numpy_cost)
def _sum_numpy(x: np.ndarray, axes: tuple[int, ...], keepdims: bool) -> np.ndarray:
    with quiet():
        if x.dtype.kind != "f":
            total = np.sum(x, axis=axes)
        else:
            total = contiguous(x)
            for outer, length, inner in _runs(x.shape, axes):
                total = _sum_run(total, outer, length, inner)
    return np.asarray(total).reshape(_result_shape(x.shape, axes, keepdims))


@functools.lru_cache(KEPT)
def _runs(shape: tuple[int, ...], axes: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """Neighbouring axes, which are summed at once, the last ones first: how many elements lie (before, on, behind)
    them then.

    >>> _runs((2, 3, 4, 5), (0, 2, 3))
    [(6, 20, 1), (1, 2, 3)]
    """
    runs: list[tuple[int, int]] = []  # (first, one past the last)
    for axis in sorted(axes, reverse=True):
        if runs and runs[-1][0] == axis + 1:
            runs[-1] = (axis, runs[-1][1])
        else:
            runs.append((axis, axis + 1))
    sizes = []
    for first, last in runs:  # from the last, so that the positions of the others hold
        sizes.append((math.prod(shape[:first]), math.prod(shape[first:last]), math.prod(shape[last:])))
        shape = shape[:first] + shape[last:]
    return sizes


def _sum_run(x: np.ndarray, outer: int, length: int, inner: int) -> np.ndarray:
    """The sum of a contiguous ``x``, seen as [outer, length, inner], over its length."""
    if inner == 1:
        return np.add.reduce(x.reshape(outer, length), axis=1)  # pairwise
    if outer == 1:
        return sum_rows(x.reshape(length, inner))
    chunk = chunk_rows(length)
    view = x.reshape(outer, length, inner)
    whole = length // chunk * chunk
    total = view[:, whole:].sum(axis=1)
    if whole:
        total += view[:, :whole].reshape(outer, -1, chunk, inner).sum(axis=2).sum(axis=1)
    return total


@functools.lru_cache(KEPT)
def _result_shape(shape: tuple[int, ...], axes: tuple[int, ...], keepdims: bool) -> tuple[int, ...]:
    if keepdims:
        return tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    return tuple(size for axis, size in enumerate(shape) if axis not in axes)


@implementation("reduce_mean", "numpy", cost=_numpy_cost)
def _mean_numpy(x: np.ndarray, axes: tuple[int, ...], keepdims: bool) -> np.ndarray:
    total = _sum_numpy(x, axes, keepdims)
    count = math.prod(x.shape[axis] for axis in axes)
    return np.asarray(total / (total.dtype.type(count) if total.dtype.kind == "f" else count))


@implementation("reduce_max", "numpy", cost=_numpy_cost)
def _max_numpy(x: np.ndarray, axes: tuple[int, ...], keepdims: bool) -> np.ndarray:
    return contiguous(np.asarray(np.max(x, axis=axes, keepdims=keepdims)))


@implementation("reduce_min", "numpy", cost=_numpy_cost)
def _min_numpy(x: np.ndarray, axes: tuple[int, ...], keepdims: bool) -> np.ndarray:
    return contiguous(np.asarray(np.min(x, axis=axes, keepdims=keepdims)))
