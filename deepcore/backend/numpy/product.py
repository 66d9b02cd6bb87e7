"""Matrix products on the register tiles of ``kernels/cpu``: how they are cut into tasks, blocks and parts of the sum.

float32 only. A transposed operand is a view, of which a plan sees the strides alone. A plan depends on shapes and
strides and is made once. How a sum is cut depends on nothing else, so that results have the same bits on any number of
cores.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from deepcore.backend.numpy.activation import bias_activation_inplace
from deepcore.backend.numpy.direct import CLAMPS, Channels, Columns, tasks_wanted
from deepcore.backend.numpy.memory import empty
from deepcore.kernels.cpu import panel
from deepcore.kernels.cpu.dots import ROWS, dots
from deepcore.kernels.cpu.host import host
from deepcore.kernels.cpu.launch import Launch
from deepcore.kernels.cpu.record import DOTS, PRODUCT, TILE, address
from deepcore.kernels.cpu.tasks.product import COPIED, IN_PLACE, TRANSPOSED
from deepcore.kernels.cpu.tile import most_rows

ITEM = 4  # bytes of a float32
DEPTH = 384  # steps of a part of the sum: a panel of b, and with it the rows of a, stay in the second-level cache
ROWS_BYTES = 1 << 19  # of a that a task walks over with one panel after the other
FEW_ROWS = 12  # for which b is not worth packing
FEW_ROWS_DEPTH = 16  # steps of a part then: rows of b that memory is read from side by side
NEIGHBOURS_DEPTH = (
    128  # where rows of a are neighbours: lines that the first-level cache holds, and a panel beside them
)
MANY_BLOCKS = 4  # of columns, for which neighbouring rows are worth packing
LINE = 64
SMALL = 2_000_000  # multiply-adds that one core does in the time that it takes to hand them out
PIECE = 1024  # steps of a sum that are worth a piece of their own
PIECES = 16  # of a sum at most, which are added afterwards
PLANS = 2000  # kept


def product(a: np.ndarray, b: np.ndarray, bias: np.ndarray | None = None, activation: str = "linear") -> np.ndarray:
    """``activation(a @ b + bias)``, batch axes broadcast as in NumPy.

    Args:
        a: [..., m, k] of any strides, float32; no size is 0.
        b: [..., k, n] of any strides.
        bias: [n], or None.
        activation: one of the backend's ``ACTIVATIONS``; done in the same pass if it is one of ``CLAMPS``.

    Returns:
        [..., m, n].
    """
    plan = _plan(a.shape, a.strides, b.shape, b.strides, activation, tasks_wanted())
    if plan.copied:
        b = np.ascontiguousarray(b)
    left, right = (b, a) if plan.swapped else (a, b)
    sums = empty(plan.shape if plan.pieces == 1 else (plan.pieces, *plan.shape), np.float32)
    plan.launch(address(left), address(right), address(sums), *_bias(plan, bias))
    y = sums if plan.pieces == 1 else np.add.reduce(sums, axis=0)
    if plan.turned:
        y = np.ascontiguousarray(y.swapaxes(-1, -2))
    return bias_activation_inplace(y, None if plan.biased else bias, "linear" if plan.clamped else activation)


class Plan(NamedTuple):
    """What is decided for two operands.

    Attributes:
        shape: of what the launch writes.
        launch: takes the addresses of two operands, of the result and, if ``biased``, of the bias.
        swapped: whether the second operand is given first.
        turned: whether the launch writes the transpose of the result.
        copied: whether b must be made contiguous.
        pieces: of the sum, which are to be added.
        biased: whether the launch takes the bias.
        clamped: whether the launch does the activation.
    """

    shape: tuple[int, ...]
    launch: Launch
    swapped: bool = False
    turned: bool = False
    copied: bool = False
    pieces: int = 1
    biased: bool = False
    clamped: bool = False


def _bias(plan: Plan, bias: np.ndarray | None) -> tuple[int, ...]:
    if not plan.biased:
        return ()
    return (address(_zeros(plan.shape[-1]) if bias is None else np.ascontiguousarray(bias)),)


@functools.lru_cache(PLANS)
def _zeros(size: int) -> np.ndarray:
    return np.zeros(size, np.float32)


class Matrices(NamedTuple):
    """A batch of matrices: where each begins, and from one row and one column to the next; bytes."""

    starts: np.ndarray
    row: int
    column: int

    @property
    def transposed(self) -> Matrices:
        return Matrices(self.starts, self.column, self.row)


@functools.lru_cache(PLANS)
def _plan(
    a_shape: tuple[int, ...],
    a_strides: tuple[int, ...],
    b_shape: tuple[int, ...],
    b_strides: tuple[int, ...],
    activation: str,
    tasks: int,
) -> Plan:
    (m, k), n = a_shape[-2:], b_shape[-1]
    batch = np.broadcast_shapes(a_shape[:-2], b_shape[:-2])
    shape = (*batch, m, n)
    copied = ITEM not in b_strides[-2:]
    if copied:
        b_strides = _contiguous(b_shape)
    if math.prod(b_shape[:-2]) == 1 and _is_one_matrix(a_shape, a_strides):
        m, batch = m * math.prod(batch), ()
        a = Matrices(np.zeros(1, np.int64), a_strides[-2], a_strides[-1])
    else:
        a = Matrices(_starts(batch, a_shape, a_strides), a_strides[-2], a_strides[-1])
    b = Matrices(_starts(batch, b_shape, b_strides), b_strides[-2], b_strides[-1])
    if m * n * k * len(a.starts) < SMALL:
        tasks = 1

    if n == 1 and a.column == b.row == ITEM:
        return Plan(shape, _dots(a, b, m, k, tasks), copied=copied)
    if m == 1 and a.column == b.row == ITEM:
        return Plan(shape, _dots(b.transposed, a, n, k, tasks), swapped=True, copied=copied)
    if n < min(m, host().lanes) and a.row == ITEM:
        # Columns that do not fill a vector, and rows that do: the transpose of the result, b^T a^T.
        launch, pieces = _tiles(b.transposed, a.transposed, (n, m, k), None, tasks)
        return Plan((*batch, n, m), launch, swapped=True, turned=True, copied=copied, pieces=pieces)
    clamped = activation if activation in CLAMPS else "linear"
    launch, pieces = _tiles(a, b, (m, n, k), clamped, tasks)
    one = pieces == 1
    return Plan(shape, launch, copied=copied, pieces=pieces, biased=one, clamped=one and clamped == activation)


def _contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(ITEM * math.prod(shape[i + 1 :]) for i in range(len(shape)))


def _is_one_matrix(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether the rows of a whole batch are equally far apart, and not neighbours."""
    return len(shape) == 2 or (
        strides[-2] != ITEM and all(strides[i] == strides[i + 1] * shape[i + 1] for i in range(len(shape) - 2))
    )


def _starts(batch: tuple[int, ...], shape: tuple[int, ...], strides: tuple[int, ...]) -> np.ndarray:
    """Where each matrix of a batch begins; an axis of length 1 is broadcast."""
    starts = np.zeros(batch, np.int64)
    for axis in range(-len(batch), 0):
        at = len(shape) - 2 + axis
        if at >= 0 and shape[at] > 1:
            starts += (np.arange(shape[at]) * strides[at]).reshape(-1, *[1] * (-axis - 1))
    return starts.reshape(-1)


def _tiles(
    a: Matrices, b: Matrices, sizes: tuple[int, int, int], activation: str | None, tasks: int
) -> tuple[Launch, int]:
    """The launch of products [m, k] x [k, n], and the pieces of their sums; it takes a bias if ``activation`` is one.

    ``tasks``: among how many to divide the work at least, as far as it changes no result.
    """
    m, n, k = sizes
    items = len(a.starts)
    channels = Channels.of(n)
    rows = Columns.of(m, most_rows(channels.widest, host()))
    tiles = rows.tall + rows.low

    if b.column != ITEM:
        packing = TRANSPOSED
    elif m <= FEW_ROWS or channels.blocks == 1:
        packing = IN_PLACE
    else:
        packing = COPIED
    # A tile whose rows are neighbours reads a line of the cache for a few elements: they are put side by side, or lines
    # are so few that the next tile finds them in the first-level cache.
    neighbours = a.row == ITEM
    packs_a = neighbours and channels.blocks >= MANY_BLOCKS
    depth = FEW_ROWS_DEPTH if packing == IN_PLACE and channels.blocks > 1 else DEPTH
    if neighbours and not packs_a:
        depth = min(depth, NEIGHBOURS_DEPTH)
    parts = -(-k // depth)
    depth = -(-k // (parts * host().lanes)) * host().lanes
    parts = -(-k // depth)

    # A sum is cut where the result is too small to be shared; as many pieces whoever computes them.
    shares = channels.blocks * -(-tiles // 4) * items
    pieces = max(1, min(PIECES // shares, k // PIECE, parts))
    row_tasks = -(-m // max(1, ROWS_BYTES // (depth * ITEM)))
    column_tasks, column_blocks = channels.split(-(-tasks // (items * pieces * row_tasks)))
    row_tasks = min(tiles, max(row_tasks, -(-tasks // (items * pieces * column_tasks))))

    row_vectors = -(-rows.rows // host().lanes)
    packed_step = rows.rows * ITEM if packs_a else 0
    panel_bytes = (depth * channels.widest * host().vector_bytes) if packing != IN_PLACE else 0
    panel_bytes = -(-panel_bytes // LINE) * LINE
    # Vectors are stored at distances of less than a vector: what the last of a tile has too much lies behind it.
    packed_tile = depth * packed_step + row_vectors * host().vector_bytes if packs_a else 0
    packed_bytes = -(-tiles // row_tasks) * packed_tile

    told = np.zeros((2, 2, 2), TILE)  # of a sum's first part or not, its last or not; of wide blocks, and of the last
    told["a_row"], told["a_step"] = (ITEM, packed_step) if packed_step else (a.row, a.column)
    told["offsets"], told["runs"] = address(_nowhere), 1
    told["b_step"] = b.row if packing == IN_PLACE else (channels.wide_bytes, channels.last_bytes)
    told["steps"] = depth
    told["steps"][:, 1] = k - (parts - 1) * depth
    told["c_row"] = told["init_row"] = n * ITEM
    told["init_row"][1] = 0
    told["lanes"] = channels.lanes
    told["floor"], told["ceiling"] = CLAMPS["linear"]
    if activation is not None and pieces == 1:
        told["floor"][:, 1], told["ceiling"][:, 1] = CLAMPS[activation]

    zeros = _zeros(n)
    biased = activation is not None and pieces == 1
    fixed: dict[str, Any] = {} if biased else {"bias": address(zeros)}
    copies = {
        f"{name}_copy": panel.copy(vectors, tail) if packing == COPIED and vectors else 0
        for name, vectors, tail in (
            ("wide", channels.vectors * bool(channels.wide), False),
            ("last", channels.last_vectors, channels.tail),
        )
    }
    launch = Launch(
        PRODUCT,
        ("product", "product"),
        ("a", "b", "c", *(("bias",) if biased else ())),
        items * pieces * row_tasks * column_tasks,
        panel_bytes + packed_bytes,
        (told, a.starts, b.starts, zeros),
        **fixed,
        **channels.tiles(rows.rows, bool(rows.low)),
        **copies,
        a_row=a.row,
        a_step=a.column,
        a_starts=address(a.starts),
        packed_a=panel_bytes,
        packed_step=packed_step,
        packed_tile=packed_tile,
        row_lanes=(row_vectors - 1) * host().lanes,
        copy_rows=panel.copy(row_vectors, True) if packs_a else 0,
        b_step=b.row,
        b_width=b.column,
        b_starts=address(b.starts),
        packing=packing,
        c_row=n * ITEM,
        c_item=m * n * ITEM,
        c_piece=items * m * n * ITEM,
        steps=k,
        depth=depth,
        parts=parts,
        pieces=pieces,
        row_tasks=row_tasks,
        column_tasks=column_tasks,
        column_blocks=column_blocks,
        told=address(told),
        first_part=told.strides[0],
        last_part=told.strides[1],
        wide=channels.wide,
        wide_columns=channels.wide_bytes // ITEM,
        wide_bytes=channels.wide_bytes,
        wide_told=0,
        last_columns=n - channels.wide * channels.wide_bytes // ITEM,
        last_bytes=channels.last_bytes,
        last_told=told.strides[2],
        tall=rows.tall,
        tall_rows=rows.rows,
        low=rows.low,
        lanes=host().lanes,
        vector_bytes=host().vector_bytes,
        transpose=panel.transpose(False) if packing == TRANSPOSED else 0,
        transpose_tail=panel.transpose(True) if packing == TRANSPOSED else 0,
    )
    return launch, pieces


_nowhere = np.zeros(1, np.int64)  # where the only run of a tile's steps begins


def _dots(a: Matrices, x: Matrices, m: int, k: int, tasks: int) -> Launch:
    """The launch of products [m, k] x [k, 1]."""
    rows = Columns.of(m, ROWS)
    tiles, items = rows.tall + rows.low, len(a.starts)
    tasks = min(tiles, -(-tasks // items))
    return Launch(
        DOTS,
        ("product", "dots"),
        ("a", "x", "y"),
        items * tasks,
        0,
        (a.starts, x.starts),
        a_row=a.row,
        a_starts=address(a.starts),
        x_starts=address(x.starts),
        y_item=m * ITEM,
        steps=k,
        lanes=host().lanes,
        vector_bytes=host().vector_bytes,
        tiles=tiles,
        tall=rows.tall,
        tall_rows=rows.rows,
        tall_dots=dots(rows.rows),
        low_dots=dots(rows.rows - 1) if rows.low else 0,
        tasks=tasks,
    )
