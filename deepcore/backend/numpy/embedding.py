"""Rows of a table by number, and the sum of gradients back into the table."""

from __future__ import annotations

import numpy as np

from deepcore.backend.dispatch import choose, implementation
from deepcore.backend.geometry import RowsGeometry
from deepcore.backend.numpy.cost import loop_cost, numpy_cost
from deepcore.backend.numpy.half import computed_in_float32
from deepcore.backend.numpy.loops import loops, numba_available, numba_supports
from deepcore.backend.numpy.rows import as_rows, quiet, require_below

__all__ = ["embedding_gather", "embedding_scatter"]


@computed_in_float32()
def embedding_gather(table: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """``table[ids]``.

    Args:
        table: [vocabulary, columns].
        ids: integers of any shape.

    Returns:
        [*ids.shape, columns] of the dtype of ``table``.

    Raises:
        TypeError: ``ids`` are not integers.
        ValueError: an id is negative or not below ``vocabulary``.
    """
    require_below("ids", ids, table.shape[0])
    record = choose("embedding_gather", table.dtype, RowsGeometry(ids.size, table.shape[1]))
    return record.function(table, ids)


@computed_in_float32()
def embedding_scatter(dy: np.ndarray, ids: np.ndarray, vocabulary: int) -> np.ndarray:
    """The gradient at the table of ``embedding_gather``: row v is the sum of the rows of ``dy`` whose id is v.

    The rows of one id are added in the order of their positions, so the sum has the same bits every time.

    Args:
        dy: [*ids.shape, columns].
        ids: integers of any shape.
        vocabulary: rows of the table.

    Returns:
        [vocabulary, columns] of the dtype of ``dy``; zero where no id points.

    Raises:
        TypeError: ``ids`` are not integers.
        ValueError: an id is negative or not below ``vocabulary``.
    """
    require_below("ids", ids, vocabulary)
    record = choose("embedding_scatter", dy.dtype, RowsGeometry(ids.size, dy.shape[-1]))
    return record.function(dy, ids, vocabulary)


@implementation("embedding_gather", "numpy", cost=lambda call: numpy_cost(call, passes=2, calls=1))
def _gather_numpy(table: np.ndarray, ids: np.ndarray) -> np.ndarray:
    return np.take(table, ids, axis=0)


@implementation(
    "embedding_gather",
    "numba",
    supports=numba_supports,
    cost=lambda call: loop_cost(call, passes=2),
    available=numba_available,
)
def _gather_numba(table: np.ndarray, ids: np.ndarray) -> np.ndarray:
    y = np.empty((ids.size, table.shape[1]), table.dtype)
    loops("embedding").gather(table, ids.reshape(-1), y)
    return y.reshape(*ids.shape, table.shape[1])


def _segments(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions ordered by id (then by position), where each id's run begins, and those ids."""
    flat = ids.reshape(-1)
    order = np.argsort(flat, kind="stable")
    ordered = flat[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    return order, starts, ordered[starts]


@implementation("embedding_scatter", "numpy", cost=lambda call: numpy_cost(call, passes=5, calls=10))
def _scatter_numpy(dy: np.ndarray, ids: np.ndarray, vocabulary: int) -> np.ndarray:
    table = np.zeros((vocabulary, dy.shape[-1]), dy.dtype)
    if ids.size:
        order, starts, present = _segments(ids)
        with quiet():
            table[present] = np.add.reduceat(as_rows(dy)[order], starts, axis=0)
    return table


@implementation(
    "embedding_scatter",
    "numba",
    cost=lambda call: 10e-6 + loop_cost(call, passes=2),  # the sort of the ids is NumPy's here, too
    available=numba_available,
)
def _scatter_numba(dy: np.ndarray, ids: np.ndarray, vocabulary: int) -> np.ndarray:
    table = np.zeros((vocabulary, dy.shape[-1]), dy.dtype)
    if ids.size:
        order, starts, present = _segments(ids)
        loops("embedding").scatter(as_rows(dy), order, np.append(starts, ids.size), present.astype(np.int64), table)
    return table
