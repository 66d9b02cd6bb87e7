"""Rows of a table by number, and their gradient; the contract is that of ``backend/numpy/embedding.py``.

One difference: an id that names no row is not an error here, since finding it would make the host wait for the device.
It gives a row of NaN, and its gradient goes nowhere.
"""

from __future__ import annotations

from typing import Any

from deepcore.backend.cuda.array import c_type, contiguous, empty
from deepcore.backend.cuda.cost import (
    BYTES,
    FLOPS,
    LAUNCH,
    MOST_BLOCKS,
    THREADS,
    gpu_or_emulator,
    item_bytes,
    memory_cost,
    supports_floating,
)
from deepcore.backend.cuda.index import indices
from deepcore.backend.cuda.launcher import kernel
from deepcore.backend.dispatch import Call, choose, implementation
from deepcore.backend.geometry import RowsGeometry
from deepcore.kernels.signature import LARGEST_GRID

__all__ = ["embedding_gather", "embedding_scatter"]

_SCATTER_ROWS, _SCATTER_COLUMNS = 8, 128  # what one block of the kernel makes


def embedding_gather(table: Any, ids: Any) -> Any:
    """``table[ids]``, [*ids.shape, columns]; see the NumPy backend.

    An id outside of [0, vocabulary) gives a row of NaN. Raises ``TypeError`` if ``ids`` are not integers.
    """
    ids = indices("ids", ids)
    run = choose("embedding_gather", table.dtype, RowsGeometry(ids.size, table.shape[1]), "cuda").function
    return run(contiguous(table), ids)


def embedding_scatter(dy: Any, ids: Any, vocabulary: int) -> Any:
    """The gradient at the table, [vocabulary, columns]; see the NumPy backend.

    The rows of one id are added in the order of their positions. An id outside of [0, vocabulary) adds nothing. Raises
    ``TypeError`` if ``ids`` are not integers.
    """
    ids = indices("ids", ids)
    run = choose("embedding_scatter", dy.dtype, RowsGeometry(ids.size, dy.shape[-1]), "cuda").function
    return run(contiguous(dy), ids, vocabulary)


@implementation(
    "embedding_gather",
    "cuda",
    device="cuda",
    supports=supports_floating,
    cost=memory_cost(passes=2),
    available=gpu_or_emulator,
)
def _gather(table: Any, ids: Any) -> Any:
    vocabulary, columns = table.shape
    y = empty((*ids.shape, columns), table.dtype, table)
    across = min(THREADS, max(1, 1 << (columns - 1).bit_length())) if columns else 1
    down = THREADS // across
    grid = max(1, min(-(-ids.size // down), 4 * MOST_BLOCKS))
    code = kernel("embedding", "gather", T=c_type(table.dtype), INDEX=c_type(ids.dtype))
    code.launch(grid, (across, down), table, ids, y, ids.size, vocabulary, columns)
    return y


def _scatter_cost(call: Call) -> float:
    # Every row of the table looks at every id; the table's size is not in the geometry, so it counts as one per id.
    ids, columns = call.geometry.rows, call.geometry.columns
    return LAUNCH + 2 * ids * columns * item_bytes(call.dtype) / BYTES + ids * ids / FLOPS


@implementation(
    "embedding_scatter",
    "cuda",
    device="cuda",
    supports=supports_floating,
    cost=_scatter_cost,
    available=gpu_or_emulator,
)
def _scatter(dy: Any, ids: Any, vocabulary: int) -> Any:
    columns = dy.shape[-1]
    table = empty((vocabulary, columns), dy.dtype, dy)
    grid = (
        max(1, min(-(-vocabulary // _SCATTER_ROWS), LARGEST_GRID[0])),
        max(1, min(-(-columns // _SCATTER_COLUMNS), LARGEST_GRID[1])),
    )
    code = kernel("embedding", "scatter", T=c_type(dy.dtype), INDEX=c_type(ids.dtype))
    code.launch(grid, THREADS, dy, ids, table, ids.size, vocabulary, columns)
    return table
