"""Sums, means, maxima and minima over any axes; the contract is that of ``backend/numpy/reduction.py``.

Neighbouring axes are merged, so that one launch reduces the middle of [outer, length, inner]. Axes that are not
neighbours are reduced one run after the other, the last first: each leaves less for the next.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from deepcore.backend.cuda.array import c_type, contiguous, empty
from deepcore.backend.cuda.cost import gpu_or_emulator, memory_cost, supports_floating
from deepcore.backend.cuda.launcher import kernel
from deepcore.backend.cuda.plan import ColumnPlan, chunk_columns, row_grid, row_threads
from deepcore.backend.dispatch import Answer, Call, choose, implementation
from deepcore.backend.dtype import accumulator, is_floating
from deepcore.backend.geometry import RowsGeometry

__all__ = ["reduce_max", "reduce_mean", "reduce_min", "reduce_sum"]


def reduce_sum(x: Any, axes: tuple[int, ...], keepdims: bool = False) -> Any:
    """The sum of ``x`` over ``axes``; floating dtypes are kept, integers become int64; see the NumPy backend."""
    return _reduce("reduce_sum", x, axes, keepdims)


def reduce_mean(x: Any, axes: tuple[int, ...], keepdims: bool = False) -> Any:
    """The mean of ``x`` over ``axes``; as ``reduce_sum``, but integers become float64; see the NumPy backend."""
    return _reduce("reduce_mean", x, axes, keepdims)


def reduce_max(x: Any, axes: tuple[int, ...], keepdims: bool = False) -> Any:
    """The largest element of ``x`` over ``axes``; NaN wherever there is one; see the NumPy backend.

    Raises ``ValueError`` for the maximum of no elements.
    """
    return _reduce("reduce_max", x, axes, keepdims)


def reduce_min(x: Any, axes: tuple[int, ...], keepdims: bool = False) -> Any:
    """The smallest element of ``x`` over ``axes``; NaN wherever there is one; see the NumPy backend.

    Raises ``ValueError`` for the minimum of no elements.
    """
    return _reduce("reduce_min", x, axes, keepdims)


def sum_columns(x: Any, outer: int, rows: int, columns: int, result: Any = None) -> Any:
    """The sums [outer, columns] over the rows of a contiguous ``x``, seen as [outer, rows, columns].

    ``result`` is their dtype, that of ``x`` by default. With one row there is nothing to launch, unless to convert.
    """
    result = x.dtype if result is None else np.dtype(result)
    if rows == 1 and result == x.dtype:
        return x.reshape(outer, columns)
    return _reduce_columns("Sum", x, (outer, rows, columns), result, 1)


def _reduce(op: str, x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    kept = math.prod(size for axis, size in enumerate(x.shape) if axis not in axes)
    length = math.prod(x.shape[axis] for axis in axes)
    if length == 0 and op in ("reduce_max", "reduce_min"):
        raise ValueError(f"{op}: nothing to choose from, shape {tuple(x.shape)} over axes {axes}.")
    run = choose(op, x.dtype, RowsGeometry(kept, length), "cuda").function
    return run(x, axes).reshape(_result_shape(x.shape, axes, keepdims))


def _result_shape(shape: tuple[int, ...], axes: tuple[int, ...], keepdims: bool) -> tuple[int, ...]:
    if keepdims:
        return tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    return tuple(size for axis, size in enumerate(shape) if axis not in axes)


def _runs(shape: tuple[int, ...], axes: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """(outer, length, inner) of each run of neighbouring axes, the last run first; axes of one element do not count.

    >>> _runs((2, 3, 5, 7), (0, 2, 3)), _runs((2, 1, 3), (0, 2))
    ([(6, 35, 1), (1, 2, 3)], [(1, 6, 1)])
    """
    merged: list[list[Any]] = []
    for axis, size in enumerate(shape):
        if size == 1:
            continue
        reduced = axis in axes
        if merged and merged[-1][0] == reduced:
            merged[-1][1] *= size
        else:
            merged.append([reduced, size])
    runs, inner = [], 1
    for place in reversed(range(len(merged))):
        reduced, size = merged[place]
        if reduced:
            runs.append((math.prod(before for _, before in merged[:place]), size, inner))
        else:
            inner *= size
    return runs or [(1, 1, math.prod(shape))]


def _reduce_runs(name: str, x: Any, axes: tuple[int, ...], result: np.dtype, divisor: int = 1) -> Any:
    if x.dtype == np.bool_:
        x = contiguous(x).view(np.uint8)
    values, runs = contiguous(x), _runs(x.shape, axes)
    for place, (outer, length, inner) in enumerate(runs):
        last = place == len(runs) - 1
        dtype, divide_by = (result, divisor) if last else (_partial(result), 1)
        if inner == 1 and length > 1:
            values = _reduce_rows(name, values, outer, length, dtype, divide_by)
        else:
            values = _reduce_columns(name, values, (outer, length, inner), dtype, divide_by)
    return values


def _partial(result: np.dtype) -> np.dtype:
    """The dtype of what is to be reduced further: sums are rounded to 16 bits once, at their end."""
    return accumulator(result) if is_floating(result) else result


def _reduce_rows(name: str, x: Any, rows: int, columns: int, result: np.dtype, divisor: int) -> Any:
    while True:
        chunk = chunk_columns(rows, columns)
        chunks = -(-columns // chunk)
        threads = row_threads(min(chunk, columns))
        last = chunks == 1
        y = empty((rows, chunks), result if last else _partial(result), x)
        code = kernel("reduction", "reduce_rows", T=c_type(x.dtype), R=c_type(y.dtype), OP=name, ROW_THREADS=threads)
        assert last or rows * chunks < 2**32, "chunk_columns cuts only where there are few rows"
        code.launch(row_grid(rows * chunks, threads), 256, x, y, rows, columns, chunk, chunks, divisor if last else 1)
        if last:
            return y
        x, columns = y, chunks


def _reduce_columns(name: str, x: Any, sizes: tuple[int, int, int], result: np.dtype, divisor: int) -> Any:
    outer, rows, columns = sizes
    while True:
        plan = ColumnPlan.of(rows, columns, outer)
        last = plan.chunks == 1
        y = empty((outer, plan.chunks, columns), result if last else _partial(result), x)
        code = kernel("reduction", "reduce_columns", T=c_type(x.dtype), R=c_type(y.dtype), OP=name)
        code.launch(plan.grid, plan.block, x, y, outer, rows, columns, plan.chunk_rows, divisor if last else 1)
        if last:
            return y.reshape(outer, columns)
        x, rows = y, plan.chunks


def _supports(call: Call) -> Answer:
    if call.dtype in ("int32", "int64", "uint8", "bool"):
        return True, "int32, int64, uint8 or bool, any axes"
    ok, reason = supports_floating(call)
    return ok, "any floating dtype, any axes" if ok else f"{reason}, or for int32, int64, uint8 and bool"


_ONE_PASS = memory_cost(passes=1)


@implementation("reduce_sum", "cuda", device="cuda", supports=_supports, cost=_ONE_PASS, available=gpu_or_emulator)
def _sum(x: Any, axes: tuple[int, ...]) -> Any:
    result = x.dtype if is_floating(x.dtype) else np.dtype(np.int64)
    if x.size == 0:
        return _of_nothing(x, axes, result, 0)
    return _reduce_runs("Sum", x, axes, result)


@implementation("reduce_mean", "cuda", device="cuda", supports=_supports, cost=_ONE_PASS, available=gpu_or_emulator)
def _mean(x: Any, axes: tuple[int, ...]) -> Any:
    # float64 holds every partial sum of integers exactly up to 2**53.
    result = x.dtype if is_floating(x.dtype) else np.dtype(np.float64)
    if x.size == 0:
        return _of_nothing(x, axes, result, math.nan)
    return _reduce_runs("Sum", x, axes, result, math.prod(x.shape[axis] for axis in axes))


@implementation("reduce_max", "cuda", device="cuda", supports=_supports, cost=_ONE_PASS, available=gpu_or_emulator)
def _max(x: Any, axes: tuple[int, ...]) -> Any:
    return _extreme("Max", x, axes)


@implementation("reduce_min", "cuda", device="cuda", supports=_supports, cost=_ONE_PASS, available=gpu_or_emulator)
def _min(x: Any, axes: tuple[int, ...]) -> Any:
    return _extreme("Min", x, axes)


def _extreme(name: str, x: Any, axes: tuple[int, ...]) -> Any:
    if x.size == 0:
        return _of_nothing(x, axes, x.dtype, 0)
    if x.dtype == np.bool_:
        return _reduce_runs(name, x, axes, np.dtype(np.uint8)).view(np.bool_)
    return _reduce_runs(name, x, axes, x.dtype)


def _of_nothing(x: Any, axes: tuple[int, ...], result: np.dtype, value: float) -> Any:
    y = empty(_result_shape(x.shape, axes, True), result, x)
    y.fill(value)
    return y
