"""Pooling on vectors: plans for the task of ``kernels/cpu``. float32 only."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator

import numpy as np

from deepcore.backend.geometry import Pool2DGeometry
from deepcore.backend.numpy.memory import empty
from deepcore.backend.numpy.pieces import Piece, cut
from deepcore.backend.numpy.plans import PLANS, streams
from deepcore.backend.numpy.window import pool_axes
from deepcore.kernels.cpu import pooling
from deepcore.kernels.cpu.host import ITEM, host
from deepcore.kernels.cpu.launch import Launch
from deepcore.kernels.cpu.pages import LINE
from deepcore.kernels.cpu.pooling import MAXIMUM, MEAN, Pool
from deepcore.kernels.cpu.record import POOLING, RUN, address
from deepcore.kernels.cpu.window import Block

SHARED_BYTES = 1 << 19  # read and written by a call that is worth waking other cores for, some 30 microseconds of it
TASK_BYTES = 1 << 16  # read and written by a task: few enough that all cores end together
# Where a vector is a part of a cache line, the same bytes take a core longer, so that two tasks are worth it already;
# and they are larger, since what a core reads ahead at the end of a task is lost where another takes the next one.
NARROW_TASK_BYTES = 3 << 15
# Of an output of pixels of a line or less that the caches still have from the step before. To ask for what is written
# next takes an instruction for each vector; where these are parts of lines, it is worth that for larger outputs alone.
CACHED_BYTES = 1 << 23
RUN_BYTES = 1 << 14  # read and written by a call of a kernel that makes several blocks
# Outputs that are made together, below each other and side by side. Of whole vectors of channels many rows and one
# column: each row is a stream of memory. On the way back the rows are those of x, and read fewer of dy.
BLOCK_FORTH, BLOCK_BACK = (4, 1), (8, 1)
# Where a vector is a part of a cache line, the line must stay in the first-level cache from its first vector to its
# last, and of rows that are a multiple of 4 KB apart that holds eight lines: forth two rows, or as many as have these
# bytes in a column, back two rows, and as many columns as have these bytes in a row.
FEWEST_ROWS, COLUMN_BYTES_FORTH, ROW_BYTES_BACK = 2, 1 << 8, 1 << 9
# Of pixels of these bytes or more, forth, pages end too soon for the processor to find out what to read ahead: a kernel
# asks for it, and makes one row, so that what is asked for does not drive out what is about to be read.
AHEAD_BYTES = 1 << 9
# Where pixels are not more than a vector, which holds as many as fit: rows and vectors. On the way back a pixel has as
# many windows fewer as these move further, and a block may be wider, so that whole rows are written one by one, the
# more vectors the narrower these are. So are there blocks of pixels that are not more than a cache line: of one or two
# vectors of channels, a call for fewer columns would take as long to begin as to make them.
BLOCK_OF_VECTORS, WIDEST = (2, 8), 32


def max_fprop(x: np.ndarray, geometry: Pool2DGeometry) -> tuple[np.ndarray, np.ndarray]:
    """The maxima, and where each window has its first, [N, P, Q, C] both, from x, C-contiguous."""
    y, places = empty(geometry.y_shape, np.float32), empty(geometry.y_shape, np.uint8)
    _plan(MAXIMUM, geometry, False, streams(y))(address(x), address(y), address(places))
    return y, places


def max_dgrad(dy: np.ndarray, places: np.ndarray, geometry: Pool2DGeometry) -> np.ndarray:
    """The gradient at x, from dy and places [N, P, Q, C], both C-contiguous."""
    dx = empty(geometry.x_shape, np.float32)
    _plan(MAXIMUM, geometry, True, streams(dx))(address(dy), address(dx), address(places))
    return dx


def mean_fprop(x: np.ndarray, geometry: Pool2DGeometry) -> np.ndarray:
    """The means over what each window has inside x."""
    y = empty(geometry.y_shape, np.float32)
    _plan(MEAN, geometry, False, streams(y))(address(x), address(y), 0)
    return y


def mean_dgrad(shares: np.ndarray, geometry: Pool2DGeometry, divided: bool) -> np.ndarray:
    """The gradient at x, from dy; or if it is ``divided``, from dy over the number of pixels of each window."""
    dx = empty(geometry.x_shape, np.float32)
    _plan(MEAN, geometry, True, streams(dx), divided)(address(shares), address(dx), 0)
    return dx


@functools.lru_cache(PLANS)
def _plan(kind: str, g: Pool2DGeometry, back: bool, streamed: bool, divided: bool = False) -> Launch:
    vertical, horizontal = pool_axes(g)
    lanes = host().lanes
    few = g.channels < lanes
    pixel = g.channels * ITEM
    height, width = _block_size(g, back)
    (x_height, x_width), (y_height, y_width) = (g.height, g.width), (g.out_height, g.out_width)
    if back:
        x_height, x_width, y_height, y_width = y_height, y_width, x_height, x_width
    x_row, y_row = x_width * pixel, y_width * pixel
    image_bytes = x_height * x_row + y_height * y_row
    rows, columns = cut(vertical, height, back), cut(horizontal, width, back)
    vectors = max(1, LINE // host().vector_bytes) if streamed else 1
    ahead = host().is_narrow and not back and pixel >= AHEAD_BYTES
    cached = host().is_narrow and pixel <= LINE and g.batch * y_height * y_row <= CACHED_BYTES
    runs = list(_runs(rows, max(1, len(rows) * RUN_BYTES // image_bytes) if few else 1))
    table = np.zeros((len(runs), len(columns)), RUN)
    kernels: dict[Block, int] = {}
    for i, ((row, first_row, output_row), count) in enumerate(runs):
        for j, (column, first_column, output_column) in enumerate(columns):
            block = Block(row, column)
            if block not in kernels:
                tail = not few and g.channels % lanes > 0
                what = Pool(kind, block, g.channels if few else 0, tail, divided, streamed, cached, vectors, ahead)
                kernels[block] = pooling.pool(what)
            x_at, y_at = first_row * x_row + first_column * pixel, output_row * y_row + output_column * pixel
            table[i, j] = (x_at, y_at, kernels[block], count if few else g.channels // (vectors * lanes))
    every, all_bytes = g.batch * len(runs), g.batch * image_bytes
    if host().is_narrow:
        tasks = max(1, min(all_bytes // NARROW_TASK_BYTES, every))
    else:
        tasks = min(all_bytes // TASK_BYTES, every) if all_bytes >= SHARED_BYTES else 1
    return Launch(
        POOLING,
        ("pooling", "pool"),
        ("x", "y", "places"),
        tasks,
        0,
        (table,),
        x_image=x_height * x_row,
        x_row=x_row,
        x_pixel=pixel,
        y_image=y_height * y_row,
        y_row=y_row,
        y_pixel=pixel,
        back=back,
        runs=address(table),
        rows=every,
        columns=len(columns),
        image_rows=len(runs),
        tasks=tasks,
    )


def _block_size(g: Pool2DGeometry, back: bool) -> tuple[int, int]:
    """Rows and columns of outputs, on the way back pixels of x, that are made together."""
    lanes, pixel = host().lanes, g.channels * ITEM
    if g.channels < lanes or (back and pixel <= LINE):
        height, width = BLOCK_OF_VECTORS
        if back:
            width = min(width * g.strides[0] * g.strides[1], WIDEST) * max(1, LINE // host().vector_bytes)
        return height, width * max(1, lanes // g.channels)
    height, width = BLOCK_BACK if back else BLOCK_FORTH
    if not host().is_narrow:
        return height, width
    if back:
        return FEWEST_ROWS, max(1, ROW_BYTES_BACK // pixel)
    if pixel >= AHEAD_BYTES:
        return 1, width
    return max(FEWEST_ROWS, min(height, COLUMN_BYTES_FORTH // pixel)), width


def _runs(pieces: list[Piece], most: int) -> Iterator[tuple[Piece, int]]:
    """The first of up to ``most`` pieces after each other that read alike, and how many these are."""
    for _, alike in itertools.groupby(pieces, lambda piece: piece[0]):
        every = list(alike)
        for first in range(0, len(every), most):
            yield every[first], min(most, len(every) - first)
