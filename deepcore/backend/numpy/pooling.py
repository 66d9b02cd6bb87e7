"""Pooling on vectors: plans for the task of ``kernels/cpu``. float32 only."""

from __future__ import annotations

import functools

import numpy as np

from deepcore.backend.geometry import Pool2DGeometry
from deepcore.backend.numpy.direct import ITEM, PIECES, PLANS
from deepcore.backend.numpy.memory import empty
from deepcore.backend.numpy.pieces import cut
from deepcore.backend.numpy.window import pool_axes
from deepcore.kernels.cpu import pooling
from deepcore.kernels.cpu.host import host
from deepcore.kernels.cpu.launch import Launch
from deepcore.kernels.cpu.pooling import MAXIMUM, MEAN, Pool
from deepcore.kernels.cpu.record import BLOCK, POOLING, address
from deepcore.kernels.cpu.window import Block

TASK_BYTES = 1 << 18  # that a task reads and writes, unless there would be too few tasks
# Outputs that are made together, below each other and side by side. Of whole vectors of channels many rows and one
# column: each row is a stream of memory. On the way back the rows are those of x, and read fewer of dy.
BLOCK_FORTH, BLOCK_BACK = (4, 1), (8, 1)
BLOCK_OF_VECTORS = (2, 8)  # where pixels are not more than one vector, which holds as many as fit


def max_fprop(x: np.ndarray, geometry: Pool2DGeometry) -> tuple[np.ndarray, np.ndarray]:
    """The maxima, and where each window has its first, [N, P, Q, C] both, from x, C-contiguous."""
    y, places = empty(geometry.y_shape, np.float32), empty(geometry.y_shape, np.uint8)
    _plan(MAXIMUM, geometry, False)(address(x), address(y), address(places))
    return y, places


def max_dgrad(dy: np.ndarray, places: np.ndarray, geometry: Pool2DGeometry) -> np.ndarray:
    """The gradient at x, from dy and places [N, P, Q, C], both C-contiguous."""
    dx = empty(geometry.x_shape, np.float32)
    _plan(MAXIMUM, geometry, True)(address(dy), address(dx), address(places))
    return dx


def mean_fprop(x: np.ndarray, geometry: Pool2DGeometry) -> np.ndarray:
    """The means over what each window has inside x."""
    y = empty(geometry.y_shape, np.float32)
    _plan(MEAN, geometry, False)(address(x), address(y), 0)
    return y


def mean_dgrad(shares: np.ndarray, geometry: Pool2DGeometry, divided: bool) -> np.ndarray:
    """The gradient at x, from dy; or if it is ``divided``, from dy over the number of pixels of each window."""
    dx = empty(geometry.x_shape, np.float32)
    _plan(MEAN, geometry, True, divided)(address(shares), address(dx), 0)
    return dx


@functools.lru_cache(PLANS)
def _plan(kind: str, g: Pool2DGeometry, back: bool, divided: bool = False) -> Launch:
    vertical, horizontal = pool_axes(g)
    lanes = host().lanes
    vectors, tail = (0, 0) if g.channels < lanes else divmod(g.channels, lanes)
    few = g.channels if g.channels < lanes else 0
    height, width = BLOCK_BACK if back else BLOCK_FORTH
    if few or (back and g.channels == lanes):
        height, width = BLOCK_OF_VECTORS[0], BLOCK_OF_VECTORS[1] * (lanes // g.channels)
    rows, columns = cut(vertical, height, back), cut(horizontal, width, back)
    pixel = g.channels * ITEM
    (x_height, x_width), (y_height, y_width) = (g.height, g.width), (g.out_height, g.out_width)
    if back:
        x_height, x_width, y_height, y_width = y_height, y_width, x_height, x_width
    x_row, y_row = x_width * pixel, y_width * pixel
    table = np.zeros((len(rows), len(columns)), BLOCK)
    kernels: dict[Block, int] = {}
    for i, (row, first_row, output_row) in enumerate(rows):
        for j, (column, first_column, output_column) in enumerate(columns):
            block = Block(row, column)
            if block not in kernels:
                kernels[block] = pooling.pool(Pool(kind, block, few, vectors > 0, tail, divided))
            x_at, y_at = first_row * x_row + first_column * pixel, output_row * y_row + output_column * pixel
            table[i, j] = (x_at, y_at, kernels[block], 0)
    parts = max((x_height * x_row + y_height * y_row) // TASK_BYTES, -(-PIECES // g.batch))
    parts = min(parts, len(rows))
    return Launch(
        POOLING,
        ("pooling", "pool"),
        ("x", "y", "places"),
        g.batch * parts,
        0,
        (table,),
        x_image=x_height * x_row,
        x_row=x_row,
        x_pixel=pixel,
        y_image=y_height * y_row,
        y_row=y_row,
        y_pixel=pixel,
        blocks=address(table),
        rows=len(rows),
        columns=len(columns),
        vectors=vectors,
        back=back,
        parts=parts,
    )
