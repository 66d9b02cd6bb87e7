"""What the row-wise operations share: views of an array as rows, sums over rows, and blocks of them."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Iterator
from contextvars import ContextVar

import numpy as np

from deepcore.backend.geometry import KEPT

_BLOCK_BYTES = 1 << 17  # a block, its bias and a temporary stay in a core's second-level cache
_NARROW = 512  # columns: NumPy and compiled loops alike pay per row where the rows are shorter than this


def contiguous(x: np.ndarray) -> np.ndarray:
    """``x`` itself where it is C-contiguous, else a copy; keeps a scalar's rank, as ``ascontiguousarray`` does not."""
    return np.asarray(x, order="C")


def as_rows(x: np.ndarray) -> np.ndarray:
    """``x`` [..., columns] as a C-contiguous [rows, columns], a view where it can be."""
    return contiguous(x).reshape(-1, x.shape[-1] if x.ndim else 1)


@functools.lru_cache(KEPT)
def fold(rows: int, columns: int) -> int:
    """How many neighbouring rows to treat as one, so that a row is long enough for the inner loop to pay.

    >>> fold(100, 6), fold(7, 6), fold(100, 512)
    (50, 7, 1)
    """
    if columns >= _NARROW:
        return 1
    most = -(-_NARROW // columns)
    return next((k for k in range(min(most, rows), 0, -1) if rows % k == 0), 1)


def widen(x: np.ndarray, *vectors: np.ndarray) -> tuple[np.ndarray, ...]:
    """``x`` [rows, columns] as fewer, longer rows (a view), and each vector [columns] repeated to match."""
    k = fold(*x.shape)
    if k == 1:
        return (x, *vectors)
    wide = x.reshape(-1, x.shape[1] * k)
    return (wide, *[repeat(vector, k) for vector in vectors]) if vectors else (wide,)


def repeat(vector: np.ndarray, times: int) -> np.ndarray:
    """``numpy.tile`` of a vector, without the work that it does for other shapes; once, it may be the vector itself.

    >>> repeat(np.array([1, 2]), 3)
    array([1, 2, 1, 2, 1, 2])
    """
    if times == 1:
        return contiguous(vector)
    out = np.empty((times, vector.size), vector.dtype)
    out[...] = vector
    return out.reshape(-1)


def chunk_rows(rows: int) -> int:
    """How many rows a partial sum covers: about the square root, which makes the error of a long sum smallest.

    Depends on the size alone, so that a sum has the same bits whatever the number of threads.
    """
    return max(16, math.isqrt(rows))


def sum_rows(x: np.ndarray) -> np.ndarray:
    """The sum [columns] over the rows of a C-contiguous ``x`` [rows, columns], in chunks."""
    (wide,) = widen(x)
    rows, columns = wide.shape
    length = chunk_rows(rows)
    whole = rows // length * length
    with quiet():
        total = np.add.reduce(wide[whole:], axis=0)
        if whole:
            chunks = wide[:whole].reshape(-1, length, columns)
            total += np.add.reduce(np.add.reduce(chunks, axis=1), axis=0)
        return total if columns == x.shape[1] else np.add.reduce(total.reshape(-1, x.shape[1]), axis=0)


def sum_partials(partial: np.ndarray, columns: int) -> np.ndarray:
    """The sum [columns] of [chunks, columns * k], the sums of chunks of rows that ``widen`` has joined by k."""
    with quiet():
        return np.add.reduce(np.add.reduce(partial, axis=0).reshape(-1, columns), axis=0)


silent: ContextVar[bool] = ContextVar("deepcore_silent", default=False)  # whether a block around has quietened NumPy
_NOTHING = contextlib.nullcontext()


def quiet() -> contextlib.AbstractContextManager[None]:
    """NumPy without its floating-point warnings: NaN and infinity flow on, as they do in compiled loops."""
    return _NOTHING if silent.get() else np.errstate(over="ignore", invalid="ignore", divide="ignore")


def blocks(rows: int, row_bytes: int) -> Iterator[slice]:
    """Slices that cover ``rows``, each small enough to stay in cache over several passes."""
    step = max(1, _BLOCK_BYTES // max(row_bytes, 1))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def require_below(name: str, indices: np.ndarray, limit: int) -> None:
    """Raises unless ``indices`` are integers in [0, limit): a compiled loop would read outside of its array."""
    if indices.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers; got dtype {indices.dtype}.")
    # As unsigned numbers, of which the negative ones are the largest: one pass instead of two.
    if indices.size and np.maximum.reduce(indices.view(f"u{indices.itemsize}"), axis=None) >= limit:
        raise ValueError(
            f"{name} must be in [0, {limit}); got values from {int(indices.min())} to {int(indices.max())}."
        )
