"""Matrix products on the register tiles of ``kernels/cpu``: how they are cut into tasks, blocks and parts of the sum.

float32 only. A transposed operand is a view, of which a plan sees the strides alone. A plan depends on shapes and
strides and is made once. How a sum is cut depends on nothing else, so that results have the same bits on any number of
cores.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from deepcore.backend.numpy.activation import bias_activation_inplace
from deepcore.backend.numpy.channels import Channels
from deepcore.backend.numpy.columns import Columns
from deepcore.backend.numpy.memory import LARGE, empty
from deepcore.backend.numpy.plans import CLAMPS, TASKS_OF_A_THREAD, tasks_wanted, up, zeros
from deepcore.kernels.cpu import dots, panel
from deepcore.kernels.cpu.host import ITEM, host
from deepcore.kernels.cpu.launch import Launch
from deepcore.kernels.cpu.pages import LINE
from deepcore.kernels.cpu.record import COPIED, DOTS, IN_PLACE, PRODUCT, TILE, TRANSPOSED, address, addresses
from deepcore.kernels.cpu.sweep import SETS_BYTES, STEPS, sweep
from deepcore.kernels.cpu.tile import most_rows, steps_of_an_ask
from deepcore.kernels.cpu.transpose import transpose

DEPTH = 512  # steps of a part of the sum: a panel of b, and with it the rows of a, stay in the second-level cache
ROWS_BYTES = 1 << 18  # of a that stay in the second-level cache, with one panel after the other
CHUNK_BYTES = 1 << 15  # of more of a, in the first-level cache, with one panel after the other of ...
PANELS_BYTES = 3 << 18  # ... those that stay in the second-level cache
PACKED_BYTES = 1 << 19  # of a that a task puts side by side
GROUP_BYTES = 256  # of a row of b that are read together, where panels are narrow
NARROW_DEPTH = 256  # of packed rows there: a panel takes half of the first-level cache
NARROW_TASKS = 2  # times as many tasks there, which are more alike, or as few where each packs rows of a once more
ROWS_OF_A_TASK = 256  # for which packing b once more is cheaper than reading a once more
FEW_ROWS = 12  # for which b is not worth packing
# Of narrow vectors a panel is a line of the cache or less, and b is not packed, either, for so many rows and bytes.
ROWS_IN_PLACE, BYTES_IN_PLACE = 32, 1 << 16
FEW_ROWS_DEPTH = 16  # steps of a part then, if tiles make it: rows of b that memory is read from side by side
# Rows of the transpose of b, and elements of each, for which few rows of a read it in place, though the lanes of every
# sum must be added afterwards.
MANY_DOTS, LONG_DOTS = 64, 512
NEIGHBOURS_DEPTH = (
    128  # where rows of a are neighbours: lines that the first-level cache holds, and a panel beside them
)
MANY_BLOCKS = 4  # of columns, for which neighbouring rows are worth packing
MANY_BYTES = 1 << 21  # of them, in that many steps, read for each block
# Multiply-adds that one core does in the time that it takes to hand them out, and of narrow vectors.
SMALL, NARROW_SMALL = 2_000_000, 300_000
TILES_OF_A_TASK = 4  # at least, one above the other
PIECE = 1024  # steps of a sum that are worth a piece of their own
PIECES = 8  # of a sum at most, which are added afterwards
ADDED = 8  # times that all pieces of the result must be smaller than what is read
PLANS = 2000  # kept


def product(a: np.ndarray, b: np.ndarray, bias: np.ndarray | None = None, activation: str = "linear") -> np.ndarray:
    """``activation(a @ b + bias)``, batch axes broadcast as in NumPy.

    Args:
        a: [..., m, k] of any strides, float32; no size is 0. Where b is one matrix, these may be the pixels that an
            image with a stride has: they are put side by side a few at a time.
        b: [..., k, n] of any strides.
        bias: [n], or None.
        activation: one of the backend's ``ACTIVATIONS``; done in the same pass if it is one of ``CLAMPS``.

    Returns:
        [..., m, n].
    """
    plan = _plan(a.shape, a.strides, b.shape, b.strides, activation, tasks_wanted())
    if plan.plain:  # first, because a small product takes hardly longer than to ask all the rest
        sums = np.empty(plan.shape, np.float32)
        first = plan.no_bias if bias is None else np.ascontiguousarray(bias)
        plan.launch(*addresses(a, b, sums, first))
        return sums
    a = np.ascontiguousarray(a) if plan.copies[0] else a
    b = np.ascontiguousarray(b) if plan.copies[1] else b
    left, right = (b, a) if plan.swapped else (a, b)
    sums = np.empty(plan.shape, np.float32) if plan.small else empty(plan.shape, np.float32)
    if plan.no_bias is not None:
        first = plan.no_bias if bias is None else np.ascontiguousarray(bias)
        plan.launch(*addresses(left, right, sums, first))
        if plan.clamped:
            return sums
        bias = None
    else:
        plan.launch(*addresses(left, right, sums))
    y = sums if plan.pieces == 1 else np.add.reduce(sums, axis=0)
    if plan.turned:
        y = np.ascontiguousarray(y.swapaxes(-1, -2))
    return bias_activation_inplace(y, bias, "linear" if plan.clamped else activation)


class Plan(NamedTuple):
    """What is decided for two operands.

    Attributes:
        shape: of what the launch writes, all pieces of it.
        launch: takes the addresses of two operands, of the result and, if there is a ``no_bias``, of the bias.
        swapped: whether the second operand is given first.
        turned: whether the launch writes the transpose of the result.
        copies: whether a, and whether b, must be made contiguous.
        pieces: of the sum, which are to be added.
        no_bias: what the launch is given where there is no bias; None if it does not take one.
        clamped: whether the launch does the activation.
        small: whether the memory of what it writes is not worth keeping.
        plain: whether the launch takes the operands as they are, does all that is asked, and writes little.
    """

    shape: tuple[int, ...]
    launch: Launch
    swapped: bool = False
    turned: bool = False
    copies: tuple[bool, bool] = (False, False)
    pieces: int = 1
    no_bias: np.ndarray | None = None
    clamped: bool = False
    small: bool = True
    plain: bool = False


class Matrices(NamedTuple):
    """A batch of matrices: where each begins, and from one row and one column to the next; bytes.

    Where there is a ``run``, they are one matrix, of which so many rows are equally far apart, from each start on.
    """

    starts: np.ndarray
    row: int
    column: int
    run: int = 0

    @property
    def matrices(self) -> int:
        return 1 if self.run else len(self.starts)

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
    small = math.prod(shape) * ITEM * PIECES < LARGE
    copies = ITEM not in a_strides[-2:], ITEM not in b_strides[-2:]
    a_strides = _contiguous(a_shape) if copies[0] else a_strides
    b_strides = _contiguous(b_shape) if copies[1] else b_strides
    shared = math.prod(b_shape[:-2]) == 1
    if shared and _is_one_matrix(a_shape, a_strides):
        m, batch = m * math.prod(batch), ()
        a = Matrices(np.zeros(1, np.int64), a_strides[-2], a_strides[-1])
    elif shared and n > 1 and a_strides[-1] == ITEM != a_strides[-2]:
        a = Matrices(_starts(batch, a_shape, a_strides), a_strides[-2], a_strides[-1], m)
        m, batch = m * math.prod(batch), ()
    else:
        a = Matrices(_starts(batch, a_shape, a_strides), a_strides[-2], a_strides[-1])
    b = Matrices(_starts(batch, b_shape, b_strides), b_strides[-2], b_strides[-1])
    if m * n * k * a.matrices < (NARROW_SMALL if host().is_narrow else SMALL):
        tasks = 1

    if n == 1 and a.column == b.row == ITEM:
        return Plan(shape, _dots(a, b.transposed, (m, 1, k), tasks), copies=copies, small=small)
    few = dots.most_rows(m) > 1 and k >= LONG_DOTS and n >= MANY_DOTS and host().is_narrow and not a.run
    if (m == 1 or few) and a.column == b.row == ITEM:
        return Plan(shape, _dots(b.transposed, a, (n, m, k), tasks), swapped=True, copies=copies, small=small)
    if n < min(m, host().lanes) and a.row == ITEM:
        # Columns that do not fill a vector, and rows that do: the transpose of the result, b^T a^T.
        launch, pieces = _tiles(b.transposed, a.transposed, (n, m, k), None, tasks)
        written = (*batch, n, m) if pieces == 1 else (pieces, *batch, n, m)
        return Plan(written, launch, swapped=True, turned=True, copies=copies, pieces=pieces, small=small)
    clamped = activation if activation in CLAMPS else "linear"
    launch, pieces = _tiles(a, b, (m, n, k), clamped, tasks)
    if pieces > 1:
        return Plan((pieces, *shape), launch, copies=copies, pieces=pieces, small=small)
    does_all = clamped == activation
    plain = does_all and small and not any(copies)
    return Plan(shape, launch, copies=copies, no_bias=zeros(n), clamped=does_all, small=small, plain=plain)


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


@dataclass(frozen=True)
class Cut:
    """How products [m, k] x [k, n] are cut: a matter of sizes and strides alone, not of how many cores there are.

    Attributes:
        columns: blocks as wide as a tile.
        rows: of tiles.
        packing: what is done with a block of columns of b before tiles read it.
        packs_a: whether the rows of each tile are put side by side.
        down: whether the rows of a tile are neighbours in what it reads.
        chunk: tiles, one above the other, that are multiplied with one block of columns after the other; where that is
            not all tiles of a task, it keeps the panels of all its blocks.
        sweeps: 0, or how many rows of b are read at a time, all columns one after the other.
        depth: steps of a part of the sum; the last part may have fewer.
        parts: of the sum, done one after the other.
        pieces: of the sum, done by different tasks and added afterwards.
    """

    columns: Channels
    rows: Columns
    packing: int
    packs_a: bool
    down: bool
    chunk: int
    sweeps: int
    depth: int
    parts: int
    pieces: int

    @staticmethod
    def of(a: Matrices, b: Matrices, m: int, n: int, k: int) -> Cut:
        columns = Channels.of(n)
        rows = Columns.of(m, most_rows(columns.widest, host()))
        # So few that more time goes into writing the result than into any order of b.
        few_steps = host().is_narrow and k <= STEPS and columns.wide > 0
        if b.column != ITEM:
            packing = TRANSPOSED
        elif m <= FEW_ROWS or few_steps or columns.blocks == 1:
            packing = IN_PLACE
        else:
            packing = COPIED
        fits = host().is_narrow and m <= ROWS_IN_PLACE and k * n * ITEM <= BYTES_IN_PLACE
        packing = IN_PLACE if packing == COPIED and fits else packing
        streams = packing == IN_PLACE and columns.blocks > 1 and not fits
        sweeping = streams and host().is_narrow and columns.wide > 0 and (few_steps or a.column == ITEM)
        sweeps = min(k, STEPS) if sweeping else 0
        depth = STEPS if sweeps else FEW_ROWS_DEPTH if streams else DEPTH
        # Tiles whose rows are neighbours read a line of the cache for a few elements: those are put side by side, or
        # the lines are so few that the next tile finds them in the first-level cache.
        read = m * NEIGHBOURS_DEPTH * ITEM * columns.blocks
        many = read >= MANY_BYTES or (host().is_narrow and n >= m)
        packs_a = a.row == ITEM and columns.blocks >= MANY_BLOCKS and many and not sweeps
        if packs_a and host().is_narrow:
            depth = min(depth, NARROW_DEPTH)
        if a.row == ITEM and not packs_a:
            depth = min(depth, NEIGHBOURS_DEPTH)
        depth = up(-(-k // -(-k // depth)), host().lanes)
        parts = -(-k // depth)
        # A sum is cut in pieces where the result is too small to be shared, or so small beside the operands that those
        # who share it would read them again for more than what is added afterwards.
        shares = columns.blocks * -(-(rows.tall + rows.low) // TILES_OF_A_TASK) * a.matrices
        small = (m + n) * k // (ADDED * m * n)
        pieces = max(1, min(max(PIECES // shares, small), PIECES, k // PIECE, parts))
        together = packs_a or m * depth * ITEM <= ROWS_BYTES
        chunk = rows.tall + rows.low if together else max(1, CHUNK_BYTES // (rows.rows * depth * ITEM))
        return Cut(columns, rows, packing, packs_a, packs_a or a.column != ITEM, chunk, sweeps, depth, parts, pieces)

    @property
    def tiles(self) -> int:
        """One above the other."""
        return self.rows.tall + self.rows.low

    @property
    def panel_bytes(self) -> int:
        """Of a block of columns of b, side by side."""
        width = self.columns.widest * host().vector_bytes
        if self.packing == IN_PLACE:
            return 0
        return up(self.depth * width, LINE) + (LINE if self.group > 1 else 0)  # which do not meet in a set of the cache

    @property
    def row_vectors(self) -> int:
        """That hold one element of each row of a tile."""
        return -(-self.rows.rows // host().lanes)

    @property
    def packed_step(self) -> int:
        """Bytes of one step of a tile's rows, side by side."""
        return self.rows.rows * ITEM if self.packs_a else 0

    @property
    def packed_tile(self) -> int:
        """Of all its steps, and what the vectors of the last have beyond the rows."""
        return self.depth * self.packed_step + self.row_vectors * host().vector_bytes if self.packs_a else 0

    @property
    def gathered_row(self) -> int:
        """Bytes of a row of a chunk that is put side by side: rows do not meet in few sets of the cache."""
        return self.depth * ITEM + LINE

    @property
    def group(self) -> int:
        """How many blocks of b are put side by side at a time: several of narrow ones, so that whole lines are read."""
        if self.packing != COPIED or not host().is_narrow:
            return 1
        return min(GROUP_BYTES // self.columns.wide_bytes, max(1, self.columns.wide))

    @property
    def asking(self) -> int:
        """How many tiles of a block ask for the next group, each for other steps, while they multiply."""
        return steps_of_an_ask(self.rows.rows, self.down) if self.group > 1 else 0

    @property
    def panels(self) -> int:
        """How many panels of b a task may have."""
        return self.columns.blocks if self.chunk >= self.tiles else max(1, PANELS_BYTES // max(1, self.panel_bytes))

    def tasks(self, m: int, items: int, wanted: int) -> tuple[int, int, int]:
        """(tasks of rows, tasks of columns, blocks of each): some ``wanted`` in all, long rows before columns."""
        threads = -(-wanted // TASKS_OF_A_THREAD)
        most = self.tiles if self.sweeps and self.parts == 1 else max(1, m // ROWS_OF_A_TASK)
        if host().is_narrow and threads > 1 and self.packs_a:
            wanted //= NARROW_TASKS
        elif host().is_narrow and threads > 1 and not self.down:
            # As long as there are rows enough, each task has all columns, so that threads can take rows in turn.
            wanted = min(wanted * NARROW_TASKS, most // threads * threads if most >= wanted else wanted * NARROW_TASKS)
        wanted = -(-wanted // (items * self.pieces))
        least = -(-m * self.depth * ITEM // PACKED_BYTES) if self.packs_a else 1
        rows, columns, blocks = self._split(max(least, min(wanted, most)), wanted)
        if not host().is_narrow and items * self.pieces * rows * columns % threads == 0:
            return rows, columns, blocks
        # Each thread is to have as many tasks, all of one size.
        while items * self.pieces * wanted % threads:
            wanted += 1
        divisors = (count for count in range(1, min(wanted, most) + 1) if wanted % count == 0)
        return self._split(max(least, *divisors), wanted)

    def _split(self, rows: int, wanted: int) -> tuple[int, int, int]:
        """What ``tasks`` returns, for at least so many tasks of rows."""
        columns, blocks = self.columns.split(max(-(-self.columns.blocks // self.panels), -(-wanted // rows)))
        return min(self.tiles, max(rows, -(-wanted // columns))), columns, blocks

    def told(self, a: Matrices, b: Matrices, n: int, k: int, clamp: tuple[float, float]) -> np.ndarray:
        """What tiles are told: of a sum's first part or not, of its last or not; in wide blocks, and in the last."""
        told = np.zeros((2, 2, 2), TILE)
        told["a_row"], told["a_step"] = (ITEM, self.packed_step) if self.packs_a else (a.row, a.column)
        if a.run:
            told["a_row"] = self.gathered_row
        told["offsets"], told["runs"] = address(_nowhere), 1
        told["b_step"] = b.row if self.packing == IN_PLACE else (self.columns.wide_bytes, self.columns.last_bytes)
        told["steps"] = self.depth
        told["steps"][:, 1] = k - (self.parts - 1) * self.depth
        # What the next tile reads of a: other rows or, where rows are neighbours, soon another line of each step.
        if a.column == ITEM:
            told["next_a"] = self.rows.rows * told["a_row"]
            told["next_step"] = told["next_a"] // told["steps"]
        elif not self.packs_a:
            told["next_a"], told["next_step"] = LINE, a.column
        told["c_row"] = told["init_row"] = n * ITEM
        told["init_row"][1] = 0
        told["lanes"] = self.columns.lanes
        told["floor"], told["ceiling"] = CLAMPS["linear"]
        told["floor"][:, 1], told["ceiling"][:, 1] = clamp
        return told

    def kernels(self, group: int, b_row: int) -> dict[str, int]:
        """Addresses of what a task calls that puts a ``group`` of blocks side by side at a time.

        ``b_row``: bytes from one row of b to the next.
        """
        cut = self.columns
        copied, transposed = self.packing == COPIED, self.packing == TRANSPOSED
        height = self.rows.rows, bool(self.rows.low), self.down
        # Tiles of narrow vectors make so few multiplications a step that asking in vain takes a share of their time.
        later = cut.tiles(*height, asks=not host().is_narrow)
        return {
            **cut.tiles(*height),
            **{f"later_{name}": found for name, found in later.items()},
            **self._sweeps(b_row),
            "wide_copy": panel.copy(cut.vectors, False) if copied and cut.wide else 0,
            "last_copy": panel.copy(cut.last_vectors, cut.tail) if copied and cut.last_vectors else 0,
            "group_copy": panel.copy_group(cut.vectors, group) if group > 1 else 0,
            "transpose": transpose(False) if transposed else 0,
            "transpose_tail": transpose(True) if transposed else 0,
            "copy_rows": panel.copy(self.row_vectors, True) if self.packs_a else 0,
        }

    def _sweeps(self, b_row: int) -> dict[str, int]:
        asks = self.parts > 1 and b_row % SETS_BYTES != 0
        rows, how = self.rows.rows, (self.columns.vectors, self.sweeps, self.down, asks)
        return {
            "sweep_steps": self.sweeps,
            "sweep_tall": sweep(rows, *how) if self.sweeps else 0,
            "sweep_low": sweep(rows - 1, *how) if self.sweeps and self.rows.low else 0,
        }


_nowhere = np.zeros(1, np.int64)  # where the only run of a tile's steps begins


def _tiles(
    a: Matrices, b: Matrices, sizes: tuple[int, int, int], activation: str | None, wanted: int
) -> tuple[Launch, int]:
    """The launch of products [m, k] x [k, n], and the pieces of their sums.

    It takes a bias if there is an ``activation`` and one piece. ``wanted``: among how many tasks to divide the work.
    """
    m, n, k = sizes
    items = a.matrices
    cut = Cut.of(a, b, m, n, k)
    columns, rows = cut.columns, cut.rows
    row_tasks, column_tasks, column_blocks = cut.tasks(m, items, wanted)
    # Panels that a task keeps for all its rows serve those of other tasks as well.
    keeps = items == cut.parts == column_tasks == 1 and cut.chunk < cut.tiles
    shares = row_tasks if keeps else 0
    row_tasks = min(row_tasks, -(-wanted // TASKS_OF_A_THREAD)) if keeps else row_tasks
    group = min(cut.group, column_blocks)
    slots = column_blocks if cut.chunk < cut.tiles else group
    panels_bytes = slots * cut.panel_bytes
    rows_bytes = -(-cut.tiles // row_tasks) * cut.packed_tile
    if a.run:
        rows_bytes = cut.chunk * rows.rows * cut.gathered_row
    biased = activation is not None and cut.pieces == 1
    told = cut.told(a, b, n, k, CLAMPS[activation if activation is not None and biased else "linear"])
    no_bias = zeros(n)
    bias: dict[str, Any] = {} if biased else {"bias": address(no_bias)}
    launch = Launch(
        PRODUCT,
        ("product", "product"),
        ("a", "b", "c", "bias") if biased else ("a", "b", "c"),
        items * cut.pieces * row_tasks * column_tasks,
        panels_bytes + up(rows_bytes, LINE) + TILE.itemsize,
        (told, a.starts, b.starts, no_bias),
        **bias,
        **cut.kernels(group, b.row),
        a_row=a.row,
        a_step=a.column,
        a_starts=address(a.starts),
        packed_a=panels_bytes,
        packed_step=cut.packed_step,
        packed_tile=cut.packed_tile,
        row_lanes=(cut.row_vectors - 1) * host().lanes,
        run=a.run,
        gathered_row=cut.gathered_row,
        b_step=b.row,
        b_width=b.column,
        b_starts=address(b.starts),
        packing=cut.packing,
        c_row=n * ITEM,
        c_item=m * n * ITEM,
        c_piece=items * m * n * ITEM,
        steps=k,
        depth=cut.depth,
        parts=cut.parts,
        pieces=cut.pieces,
        row_tasks=row_tasks,
        column_tasks=column_tasks,
        column_blocks=column_blocks,
        chunk=cut.chunk,
        panel_step=cut.panel_bytes,
        slots=slots,
        group=group,
        shares=shares,
        taken=0,
        asking=cut.asking,
        asking_told=panels_bytes + up(rows_bytes, LINE),
        told=address(told),
        first_part=told.strides[0],
        last_part=told.strides[1],
        wide=columns.wide,
        wide_columns=columns.wide_bytes // ITEM,
        wide_bytes=columns.wide_bytes,
        last_columns=n - columns.wide * columns.wide_bytes // ITEM,
        last_bytes=columns.last_bytes,
        last_told=told.strides[2],
        tall=rows.tall,
        tall_rows=rows.rows,
        low=rows.low,
        lanes=host().lanes,
        vector_bytes=host().vector_bytes,
    )
    return launch, cut.pieces


def _dots(a: Matrices, x: Matrices, sizes: tuple[int, int, int], tasks: int) -> Launch:
    """The launch of products [m, k] x [n, k], as [n, m]."""
    m, n, k = sizes
    rows = Columns.of(m, dots.most_rows(n))
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
        x_row=x.row,
        x_starts=address(x.starts),
        y_row=m * ITEM,
        y_item=n * m * ITEM,
        steps=k,
        columns=n,
        lanes=host().lanes,
        vector_bytes=host().vector_bytes,
        tiles=tiles,
        tall=rows.tall,
        tall_rows=rows.rows,
        tall_dots=dots.dots(rows.rows, n),
        low_dots=dots.dots(rows.rows - 1, n) if rows.low else 0,
        tasks=tasks,
    )
