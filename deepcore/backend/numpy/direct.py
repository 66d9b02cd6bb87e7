"""Convolution by register tiles: plans for the tasks of ``kernels/cpu``.

float32 only. The output's channels are cut into blocks of a few vectors, its columns into tiles of a few pixels, and
the weights are packed in the order in which the tiles read them. A plan depends on sizes alone and is made once.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from deepcore.backend.numpy.activation import bias_activation_inplace
from deepcore.backend.numpy.columns import (
    Columns,
    RowTiles,
    of_outputs,
    of_outputs_in_blocks,
    of_taps,
    of_taps_in_blocks,
)
from deepcore.backend.numpy.lines import Sum, Tile, lines, with_padding, without_padding
from deepcore.backend.numpy.memory import aligned
from deepcore.backend.numpy.packed import is_settled, packed
from deepcore.backend.numpy.window import Axis
from deepcore.kernels.cpu import threads
from deepcore.kernels.cpu.host import host
from deepcore.kernels.cpu.launch import Launch
from deepcore.kernels.cpu.panel import copy
from deepcore.kernels.cpu.record import CORRELATE, PACK, TILE, WEIGHTS, address
from deepcore.kernels.cpu.row import CACHED, FAR, STREAMED
from deepcore.kernels.cpu.scratch import LINE
from deepcore.kernels.cpu.tile import most_rows, most_vectors, tile, tile_cycles
from deepcore.kernels.cpu.transpose import transpose

ITEM = 4  # bytes of a float32
PANEL_BYTES = 1 << 19  # weights of a block of channels that stay in the second-level cache
INPUT_BYTES = 1 << 19  # input rows that a task walks over with one block after the other
ASKED_BYTES = 1 << 22  # of those that tiles ask for ahead, where a task packs weights for them
CONFLICT = 1024  # bytes: pixels at multiples of this distance share few sets of the first-level cache
STREAMED_BYTES = 24 << 20  # of an output that is larger than what a cache would keep of it
GAP = 64  # bytes between them, that they do not
COPIED_BYTES = 1 << 18  # input rows that a task copies for the gradient at the weights
STRIP_BYTES = 1 << 15  # of an output's gradient that is read for one tile after the other
LONG_STRIP_BYTES = 1 << 18  # of it, and of the input, where both are close together
PIECES_BYTES = 40 << 20  # of partial sums of a gradient at the weights
PIECE_PIXELS = 1536  # summed by a piece at least
PIECES = 16  # partial sums at most: a number that follows from sizes alone keeps results the same on all machines
TASKS_OF_A_THREAD = 4  # at least: some cores are faster than others
MOST_TOGETHER = 4  # neighbouring pixels that are made together
ROW_VECTORS = 2  # of a block of channels that row tiles make, more of which would be few pixels
GAIN_TOGETHER = 0.8  # of the cycles, at most, to be worth arranging the weights
PACKED_BYTES = 1 << 15  # of weights at least that are worth a share of a launch
PACKED_BY = 8  # tasks at most that put weights in order, of which some do so for the same
FEW_PIXELS = 12  # for which weights are not worth packing
LINE_PIXELS = 24  # of a row, where pixels can be laid out in rows at will
MOST_LINE = 240  # of such a row
WELL_FILLED = 0.85  # of the rows of its tiles
CALL_CYCLES = 200  # that one more call of a tile takes
COPIED_IN_A_CYCLE = 3  # bytes
PLANS = 1000  # kept

CLAMPS = {"linear": (-np.inf, np.inf), "relu": (0.0, np.inf), "relu6": (0.0, 6.0)}
_LOADS = {1: 2.0, 2: 1.2}  # how much longer a vector takes in a tile of one or two, which loads more than it multiplies


@dataclass(frozen=True)
class Channels:
    """How channels are cut: ``wide`` blocks of ``vectors`` vectors, then one of ``last_vectors``, if that is not 0.

    ``lanes`` of the very last vector exist.
    """

    wide: int
    vectors: int
    last_vectors: int
    lanes: int

    @staticmethod
    @functools.cache
    def of(channels: int, columns: int = 0) -> Channels:
        """The cut that takes the least time, in tiles of a row of so many ``columns`` if that is given."""
        vectors = _vectors(channels)[0]

        def cost(cut: Channels) -> float:
            if columns:
                return cut.cycles(Columns.of(columns, most_rows(cut.widest, host())))
            blocks = ((cut.wide, cut.vectors), (1, cut.last_vectors))
            return sum(count * width * _LOADS.get(width, 1.0) for count, width in blocks)

        return min(
            (Channels.cut(channels, width) for width in range(min(most_vectors(host()), vectors), 0, -1)), key=cost
        )

    @staticmethod
    def cut(channels: int, width: int) -> Channels:
        """Into blocks of ``width`` vectors."""
        vectors, lanes = _vectors(channels)
        wide, rest = divmod(vectors, width)
        if lanes < host().lanes and not rest:  # only the block that comes last may end in a part of a vector
            wide, rest = wide - 1, width
        return Channels(wide, width, rest, lanes)

    @staticmethod
    def together(channels: int) -> Channels:
        """All channels in one block, for layouts that only end on whole vectors."""
        return Channels(0, 0, *_vectors(channels))

    @property
    def tail(self) -> bool:
        """Whether the last vector is a part of one."""
        return bool(self.last_vectors) and self.lanes < host().lanes

    @property
    def blocks(self) -> int:
        return self.wide + bool(self.last_vectors)

    @property
    def widest(self) -> int:
        """Vectors of the widest block."""
        return self.vectors if self.wide else self.last_vectors

    @property
    def wide_bytes(self) -> int:
        return self.vectors * host().vector_bytes

    @property
    def last_bytes(self) -> int:
        return self.last_vectors * host().vector_bytes

    @property
    def padded(self) -> int:
        """Channels, with those that the last vector has beyond."""
        return (self.wide * self.wide_bytes + self.last_bytes) // ITEM

    def cycles(self, rows: Columns) -> float:
        """Of one step of all blocks' tiles."""
        return sum(
            count * blocks * tile_cycles(height, vectors)
            for count, height in rows.heights
            for blocks, vectors in ((self.wide, self.vectors), (1, self.last_vectors))
        )

    def tiles(self, rows: int, low: bool, down: bool = False) -> dict[str, Any]:
        """Addresses of tiles of ``rows`` rows and, if there are such, of one less: of a wide block and of the last.

        ``down``: as for ``tile``.
        """
        found: dict[str, Any] = {}
        for name, vectors, tail in (
            ("wide", self.vectors * bool(self.wide), False),
            ("last", self.last_vectors, self.tail),
        ):
            found[f"{name}_tall"] = tile(rows, vectors, tail, down) if vectors else 0
            found[f"{name}_low"] = tile(rows - 1, vectors, tail, down) if vectors and low else 0
        return found

    def tile(self, rows: int) -> tuple[int, int]:
        """Addresses of the tiles of so many rows: of a wide block and of the last; 0 where there is none."""
        wide = tile(rows, self.vectors) if self.wide else 0
        return wide, tile(rows, self.last_vectors, self.tail) if self.last_vectors else 0

    def row_tile(self, tiles: RowTiles, rows: int, pixel: int, tap: int, target: str) -> tuple[int, int]:
        """The same of row tiles, for the only block of channels or for blocks of one width."""
        found = tiles.tile(rows, pixel, tap, self.widest, self.tail, target)
        return (found, 0) if self.wide else (0, found)

    def row_tiles(self, tiles: RowTiles, pixel: int, tap: int, target: str) -> dict[str, Any]:
        """The same of row tiles, for the only block of channels or for blocks of one width."""
        found: dict[str, Any] = {"wide_tall": 0, "wide_low": 0, "last_tall": 0, "last_low": 0}
        name = "wide" if self.wide else "last"
        found[f"{name}_tall"] = tiles.tile(tiles.cut.rows, pixel, tap, self.widest, self.tail, target)
        if tiles.cut.low:
            found[f"{name}_low"] = tiles.tile(tiles.cut.rows - 1, pixel, tap, self.widest, self.tail, target)
        return found

    def split(self, tasks: int) -> tuple[int, int]:
        """(tasks, blocks of each) when blocks are handed out to as many as ``tasks`` tasks."""
        share = -(-self.blocks // max(1, min(tasks, self.blocks)))
        return -(-self.blocks // share), share


def tasks_wanted() -> int:
    """Tasks among which work is divided where that changes no result."""
    count = threads.pool().threads
    return 1 if count == 1 else count * TASKS_OF_A_THREAD


def _vectors(channels: int) -> tuple[int, int]:
    """Vectors that hold so many channels, and how many of the last one's lanes they fill."""
    vectors = -(-channels // host().lanes)
    return vectors, channels - (vectors - 1) * host().lanes


@dataclass(frozen=True)
class Source:
    """Where the windows of an input lie, in bytes: in the array, or in a copy that a task makes of what it reads.

    The copy has zeros where windows reach beyond the input, and ``gap`` bytes behind every pixel. ``in_place``: there
    is none even so, since who reads leaves out what lies beyond.
    """

    rows: Axis
    cols: Axis
    channels: int
    gap: int = 0
    in_place: bool = False

    @property
    def x_pixel(self) -> int:
        return self.channels * ITEM

    @property
    def copied(self) -> bool:
        return bool(self.gap) or not (self.in_place or (self.rows.stays_inside and self.cols.stays_inside))

    @property
    def pixel(self) -> int:
        """From one pixel that the tiles read to the next."""
        return self.x_pixel + self.gap

    @property
    def row(self) -> int:
        """From one row that the tiles read to the next."""
        reach = (self.cols.outputs - 1) * self.cols.stride + (self.cols.taps - 1) * self.cols.dilation + 1
        return (reach if self.copied else self.cols.size) * self.pixel

    def row_starts(self) -> np.ndarray:
        """Where the rows begin that a window reads."""
        return np.arange(self.rows.taps, dtype=np.int64) * (self.rows.dilation * self.row)

    def starts(self, groups: int) -> tuple[np.ndarray, int]:
        """Where the runs of neighbouring elements begin that a window reads, and the elements of each."""
        starts = self.row_starts()
        depth = self.channels // groups
        if groups == 1 and self.cols.dilation == 1 and not self.gap:
            return starts, self.cols.taps * depth
        taps = np.arange(self.cols.taps) * (self.cols.dilation * self.pixel)
        return np.add.outer(starts, taps).reshape(-1).astype(np.int64), depth

    def fields(self, output_rows: int) -> dict[str, Any]:
        """What a task is told to read ``output_rows`` rows of windows at a time."""
        reach = (self.rows.taps - 1) * self.rows.dilation + 1
        return {
            "x_image": self.rows.size * self.cols.size * self.x_pixel,
            "x_row": self.cols.size * self.x_pixel,
            "x_pixel": self.x_pixel,
            "in_rows": self.rows.size,
            "in_columns": self.cols.size,
            "row_stride": self.rows.stride,
            "before_rows": self.rows.before,
            "before_columns": self.cols.before,
            "reach_rows": reach,
            "padded": self.copied,
            "buffer_row": self.row,
        }

    def buffer_bytes(self, output_rows: int) -> int:
        """Of the copy of what so many rows of windows read."""
        reach = (self.rows.taps - 1) * self.rows.dilation + 1
        return self.row * ((output_rows - 1) * self.rows.stride + reach) if self.copied else 0


# weights


def pack(w: np.ndarray, channels: Channels, together: int = 1, stride: int = 1) -> np.ndarray:
    """w [groups, R, S, depth, channels], of any strides, as [groups, (block, R, S, depth, channel of the block)].

    What the last vector has beyond the channels is zero. For ``together`` neighbouring pixels, of which each begins
    ``stride`` columns after the one before, S and the channels are those of all: ``channels`` cuts these.
    """
    columns = w.shape[2] + (together - 1) * stride
    result = aligned((w.shape[0], w.shape[1] * columns * w.shape[3] * channels.padded), np.float32)
    packing(w.shape, w.strides, channels, together, stride)(address(w), address(result))
    return result


@functools.lru_cache(PLANS)
def packing(
    shape: tuple[int, ...], strides: tuple[int, ...], channels: Channels, together: int = 1, stride: int = 1
) -> Launch:
    """The launch of ``pack``; takes the addresses of w, and of the result."""
    groups, rows, taps, depth, width = shape
    columns = taps + (together - 1) * stride
    steps = rows * columns * depth
    places = groups * rows * columns * channels.blocks
    share = max(1, PACKED_BYTES // (depth * channels.widest * host().vector_bytes))
    names = ("w_group", "w_row", "w_column", "w_depth", "w_width")
    by_name: dict[str, Any] = dict(zip(names, strides, strict=True))
    return Launch(
        PACK,
        ("convolution", "pack"),
        ("w", "packed"),
        -(-places // share),
        **by_name,
        places=places,
        share=share,
        group_bytes=steps * channels.padded * ITEM,
        rows=rows,
        columns=columns,
        depth=depth,
        wide=channels.wide,
        blocks=channels.blocks,
        wide_bytes=channels.wide_bytes,
        wide_block=steps * channels.wide_bytes,
        last_bytes=channels.last_bytes,
        last_filled=together * width * ITEM - channels.wide * channels.wide_bytes,
        wide_copy=copy(channels.vectors, False) if channels.wide else 0,
        last_copy=copy(channels.last_vectors, channels.tail) if channels.last_vectors else 0,
        last_lanes=channels.lanes,
        transpose=transpose(),
        lanes=host().lanes,
        together=together,
        stride=stride,
        taps=taps,
        width=width,
    )


def _packed(owner: np.ndarray | None, w: np.ndarray, channels: Channels, together: int, stride: int) -> np.ndarray:
    if owner is None:
        return pack(w, channels, together, stride)
    return packed(owner, _key(w.shape, channels, together, stride), lambda _: pack(w, channels, together, stride))


def _key(shape: tuple[int, ...], channels: Channels, together: int = 1, stride: int = 1) -> Hashable:
    """Of packed weights [groups, R, S, C / groups, K / groups]."""
    return "tiles", shape, channels, together, stride if together > 1 else 1


def channels_of(shape: tuple[int, ...], cols: Axis) -> Channels:
    """How the output's channels are cut; those of a product always alike, since its pixels lie in rows at will."""
    if shape[1:3] == (1, 1):
        return Channels.of(shape[4])
    narrow = Channels.cut(shape[4], ROW_VECTORS)
    if narrow.wide > 1 and not narrow.last_vectors and _row_tiles(shape, cols, narrow):
        return narrow
    return Channels.of(shape[4], cols.outputs)


def _row_tiles(shape: tuple[int, ...], cols: Axis, channels: Channels) -> RowTiles | None:
    """The row tiles for weights of this ``shape``, where they are faster than register tiles."""
    if shape[2] * shape[3] * channels.widest * host().vector_bytes > PANEL_BYTES:
        return None
    if channels.blocks == 1:
        return of_outputs(cols.outputs, cols.taps, cols.stride, cols.dilation, channels.widest)[0]
    if channels.widest > ROW_VECTORS or channels.last_vectors:
        return None
    return of_outputs_in_blocks(cols.outputs, cols.taps, cols.stride, cols.dilation, channels.widest)


# the output, and with it the gradient at the input


def correlate(
    x: np.ndarray,
    w: np.ndarray,
    rows: Axis,
    cols: Axis,
    out: np.ndarray,
    bias: np.ndarray | None = None,
    activation: str = "linear",
    owner: np.ndarray | None = None,
) -> None:
    """Writes the convolution of x with w, and what follows it, to ``out``.

    Args:
        x: [N, H, W, C], C-contiguous float32.
        w: [groups, R, S, C / groups, K / groups] of any strides.
        rows, cols: how windows lie on x.
        out: [N, P, Q, K], of any strides but that of the channels.
        bias: [K], or None.
        activation: one of the backend's ``ACTIVATIONS``; done in the same pass if it is one of ``CLAMPS``.
        owner: the array of which w is the whole, in its order: what is packed of it can be kept.
    """
    clamped = activation if activation in CLAMPS else "linear"
    layout = x.shape, w.shape, w.strides, rows, cols, out.shape, out.strides
    how = _arrangement(*layout, clamped, streams(out), tasks_wanted())
    key = _key(w.shape, how.channels, how.together, cols.stride)
    launch, weights = how.launch, w
    if how.packing and not (owner is not None and is_settled(owner, key)):
        launch = how.packing
    elif not how.in_place:
        weights = _packed(owner, w, how.channels, how.together, cols.stride)
    bias = zeros(how.together * out.shape[3]) if bias is None else np.concatenate([bias] * how.together)
    launch(address(x), address(out), address(weights), address(bias))
    if activation != clamped:
        bias_activation_inplace(out, None, activation)


def streams(out: np.ndarray) -> bool:
    """Whether to write [N, P, Q, K] past the caches: it is larger than what they would keep, and pixels begin lines."""
    return out.nbytes > STREAMED_BYTES and not any(start % LINE for start in (address(out), *out.strides[:3]))


class Arrangement(NamedTuple):
    """How a convolution is done.

    Attributes:
        launch: as ``correlation`` gives it.
        channels: how the output's channels are cut: those of all pixels that are made together.
        together: how many neighbouring pixels that are.
        in_place: whether the weights are read as they lie.
        packing: a launch that takes weights as they lie, which each task puts in order for itself; None where that
            would be done too often.
    """

    launch: Launch
    channels: Channels
    together: int
    in_place: bool
    packing: Launch | None


@functools.lru_cache(PLANS)
def _arrangement(
    x_shape: tuple[int, ...],
    w_shape: tuple[int, ...],
    w_strides: tuple[int, ...],
    rows: Axis,
    cols: Axis,
    out_shape: tuple[int, ...],
    out_strides: tuple[int, ...],
    activation: str,
    streamed: bool,
    tasks: int,
) -> Arrangement:
    together = _together(w_shape, cols, out_strides[2:])
    if together > 1:
        groups, taps_rows, _, depth, width = w_shape
        cols = _columns_together(cols, together)
        w_shape = groups, taps_rows, cols.taps, depth, together * width
        out_strides = *out_strides[:2], out_strides[2] * together, ITEM
    channels = channels_of(w_shape, cols)
    few = channels.blocks == 1 or math.prod(out_shape[:3]) <= FEW_PIXELS
    in_place = together == 1 and few and _in_order(w_shape, w_strides)
    strides = (w_strides[0], w_strides[3]) if in_place else None
    launch = correlation(x_shape, w_shape, strides, rows, cols, out_strides, activation, tasks, streamed)
    own = None
    if not in_place and together == 1 and _is_short(w_shape, channels):
        packer = packing(w_shape, w_strides, channels)
        own = correlation(x_shape, w_shape, None, rows, cols, out_strides, activation, tasks, streamed, packer)
    return Arrangement(launch, channels, together, in_place, own if own and own.count <= PACKED_BY else None)


def _in_order(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether one step of the weights of a group follows the other, and channels are neighbours."""
    _, _, columns, depth, _ = shape
    return strides[4] == ITEM and strides[2] == depth * strides[3] and strides[1] == columns * strides[2]


@functools.lru_cache(PLANS)
def zeros(size: int) -> np.ndarray:
    """What stands for no bias: so many zeros, and those that a whole vector reads beyond."""
    return np.zeros(size + host().lanes, np.float32)


def correlation(
    x_shape: tuple[int, ...],
    w_shape: tuple[int, ...],
    w_strides: tuple[int, int] | None,
    rows: Axis,
    cols: Axis,
    out_strides: tuple[int, ...],
    activation: str,
    tasks: int,
    streamed: bool = False,
    packer: Launch | None = None,
) -> Launch:
    """The launch of ``correlate``; takes the addresses of x, of the result, of weights and bias.

    Args:
        w_strides: from one group, and from one step, to the next where weights are read as they lie; else None.
        streamed: what ``streams`` says of the result.
        packer: puts the weights in order; what it is told is told each task, which does so for itself.
    """
    groups, _, taps, depth, width = w_shape
    channels = channels_of(w_shape, cols)
    widest = channels.widest * host().vector_bytes
    row_tiles = _row_tiles(w_shape, cols, channels)
    cut = row_tiles.cut if row_tiles else Columns.of(cols.outputs, most_rows(channels.widest, host()))

    source = Source(rows, cols, x_shape[3])
    tiles = with_padding(cols, cut)
    if source.copied and not row_tiles:
        apart = groups > 1 or cols.dilation > 1
        at_borders, blocks = without_padding(cols, cut, apart), channels.blocks * groups
        cycles = groups * rows.taps * taps * depth * channels.cycles(cut)
        short = len(at_borders) == len(tiles) and _is_short(w_shape, channels)
        if short and _in_place(source, at_borders, blocks, cycles):
            source, tiles = replace(source, in_place=True), at_borders
    starts, steps = source.starts(groups)
    if row_tiles:
        starts, steps = source.row_starts(), cols.taps * depth

    # The weights of a block are read again for every tile: what does not fit into the cache is done in parts.
    pieces = next(n for n in range(1 + steps * widest // (2 * PANEL_BYTES), steps + 1) if steps % n == 0)
    steps //= pieces
    offsets = np.add.outer(starts, np.arange(pieces) * (steps * ITEM)).reshape(-1)
    parts = -(-len(offsets) * steps * widest // PANEL_BYTES)
    runs = -(-len(offsets) // min(parts, len(offsets)))
    if source.in_place:
        runs = _up(runs, len(offsets) // rows.taps)
    row_starts = source.row_starts()
    sums = Sum(offsets, steps, runs, row_starts, cols.dilation * source.pixel, depth)

    told = np.zeros(2, TILE)  # of wide blocks, and of the last
    told["a_row"], told["a_step"], told["steps"] = cols.stride * source.pixel, ITEM, steps
    told["b_step"] = (channels.wide_bytes, channels.last_bytes) if w_strides is None else w_strides[1]
    told["b_run"] = told["b_step"] * steps
    told["c_row"] = told["init_row"] = out_strides[2]
    told["lanes"] = channels.lanes
    told["next_a"] = cut.rows * cols.stride * source.pixel
    told["floor"], told["ceiling"] = CLAMPS[activation]
    if row_tiles:
        told["steps"] = depth
        target = STREAMED if streamed and sums.parts == 1 and not channels.tail else FAR

    def kernels(height: int) -> tuple[int, int]:
        if row_tiles:
            tap = depth * int(told["b_step"].max())
            return channels.row_tile(row_tiles, height, source.pixel, tap, target)
        return channels.tile(height)

    made = lines(rows, cols, tiles, not source.in_place, sums, told, kernels)

    # Who packs weights does so for many rows and few blocks, and lets the input come from the third-level cache.
    ahead = packer is not None and not source.copied
    most = (ASKED_BYTES if ahead else INPUT_BYTES) // (rows.stride * source.row)
    row_tasks = -(-tasks // channels.blocks) if ahead else tasks
    all_images = x_shape[0]
    most = max(1, min(most, all_images * rows.outputs // row_tasks))
    task_rows = _even(rows.outputs, most)
    blocks = -(-rows.outputs // task_rows)
    images = _even(all_images, most // rows.outputs) if ahead else 1
    row_tasks = -(-all_images // images) * blocks
    channel_tasks, channel_blocks = channels.split(-(-tasks // row_tasks))
    panel = _up(source.buffer_bytes(task_rows), host().vector_bytes)
    window = rows.taps * taps
    part_taps = sums.part * window // len(offsets)
    return Launch(
        CORRELATE,
        ("convolution", "correlate"),
        ("x", "y", "w", "bias"),
        row_tasks * channel_tasks,
        panel + (part_taps * depth * widest if packer else 0),
        (*made, offsets, row_starts, *([packer.fixed] if packer else [])),
        **source.fields(task_rows),
        x_group=depth * ITEM,
        y_image=out_strides[0],
        y_row=out_strides[1],
        y_pixel=out_strides[2],
        y_group=width * ITEM,
        out_rows=rows.outputs,
        w_group=len(offsets) * steps * channels.padded * ITEM if w_strides is None else w_strides[0],
        bias_group=width * ITEM,
        groups=groups,
        rows=task_rows,
        blocks=blocks,
        images=images,
        all_images=all_images,
        lines=address(made.lines),
        calls=address(made.calls),
        parts=sums.parts,
        pack=packer.told if packer else 0,
        panel=panel,
        taps=window,
        part_taps=part_taps,
        tap_steps=depth,
        wide=channels.wide,
        wide_bytes=channels.wide_bytes,
        last_bytes=channels.last_bytes,
        wide_w=len(offsets) * steps * channels.wide_bytes if w_strides is None else channels.wide_bytes,
        last_filled=width * ITEM - channels.wide * channels.wide_bytes,
        last=int(channels.last_vectors > 0),
        channel_tasks=channel_tasks,
        channel_blocks=channel_blocks,
    )


def _is_short(w_shape: tuple[int, ...], channels: Channels) -> bool:
    """Whether a row of the window is not itself cut into parts of the sum."""
    return w_shape[2] * w_shape[3] * channels.widest * host().vector_bytes < 2 * PANEL_BYTES


def _in_place(source: Source, tiles: tuple[Tile, ...], blocks: int, cycles: float) -> bool:
    """Whether to leave out the taps that read padding, rather than to copy the input to where there is some.

    ``blocks`` of channels, each of which is made by the calls of ``tiles`` in turn; ``cycles`` that a row of outputs
    takes with all taps.
    """
    rows = source.rows
    if not all(rows.taps_inside(output) for output in range(rows.outputs)):
        return False
    more = sum(len(tile) - 1 for tile in tiles) * blocks * CALL_CYCLES
    copying = rows.stride * source.row / COPIED_IN_A_CYCLE
    outside = 1 - sum(len(rows.taps_inside(output)) for output in range(rows.outputs)) / (rows.taps * rows.outputs)
    return more < copying + outside * cycles


def _up(value: int, step: int) -> int:
    return -(-value // step) * step


def _even(rows: int, most: int) -> int:
    """How many rows to take at a time, at most ``most`` but one at least, so that the last time is not much shorter."""
    return -(-rows // -(-rows // max(1, min(rows, most))))


# Few channels fill only a part of a vector. Then neighbouring pixels are made together, as if they were channels of one
# pixel: its window reaches over the windows of all, and its weights are zero where it reaches beyond one of theirs.


def _together(w_shape: tuple[int, ...], cols: Axis, strides: tuple[int, ...]) -> int:
    """How many neighbouring pixels to make together; ``strides`` are those of an output's columns and channels."""
    groups, _, taps, depth, width = w_shape
    if groups > 1 or cols.dilation > 1 or width >= host().lanes or strides != (width * ITEM, ITEM):
        return 1
    return _best_together(taps, depth, width, cols.outputs, cols.stride, False)


@functools.lru_cache(PLANS)
def _best_together(taps: int, depth: int, width: int, outputs: int, stride: int, of_weights: bool) -> int:
    """The number that takes the fewest cycles; it divides ``outputs``."""

    def cycles(together: int) -> float:
        channels = Channels.of(together * width)
        pixels, reach = outputs // together, taps + (together - 1) * stride
        if channels.blocks > 1:
            return math.inf
        if of_weights:
            return of_taps(reach, depth, pixels, stride * together, 1, channels.widest)[1]
        return depth * of_outputs(pixels, reach, stride * together, 1, channels.widest)[1]

    choices = [n for n in range(1, MOST_TOGETHER + 1) if outputs % n == 0]
    best = min(choices, key=cycles)
    return best if cycles(best) < GAIN_TOGETHER * cycles(1) else 1


def _columns_together(cols: Axis, together: int) -> Axis:
    taps = cols.taps + (together - 1) * cols.stride
    return replace(cols, outputs=cols.outputs // together, taps=taps, stride=cols.stride * together)


# matrix products, which are convolutions 1 x 1


def is_packed(owner: np.ndarray, b: np.ndarray) -> bool:
    """Whether ``product`` will find ``b`` packed, or keep it from now on."""
    return is_settled(owner, _key((1, 1, 1, *b.shape), Channels.of(b.shape[1])))


def product(
    a: np.ndarray,
    b: np.ndarray,
    out: np.ndarray,
    bias: np.ndarray | None = None,
    activation: str = "linear",
    owner: np.ndarray | None = None,
) -> None:
    """Writes ``activation(a @ b + bias)`` to ``out``.

    Args:
        a: [m, k], C-contiguous float32.
        b: [k, n] of any strides.
        out: [m, n], C-contiguous.
        bias: [n], or None.
        activation: one of the backend's ``ACTIVATIONS``.
        owner: as in ``correlate``.
    """
    weights = b[np.newaxis, np.newaxis, np.newaxis]
    tile_rows = most_rows(Channels.of(b.shape[1]).widest, host())
    most = max(2 * LINE_PIXELS, min(MOST_LINE, INPUT_BYTES // (b.shape[0] * ITEM)))
    for part in _grids(len(a), tile_rows, most):
        rows, columns = part.shape
        correlate(
            a[part.first : part.stop].reshape(1, rows, columns, -1),
            weights,
            Axis(rows, rows, 1),
            Axis(columns, columns, 1),
            out[part.first : part.stop].reshape(1, rows, columns, -1),
            bias,
            activation,
            owner,
        )


@dataclass(frozen=True)
class Grid:
    """Rows ``first`` to ``stop`` of a matrix, laid out as ``shape`` pixels."""

    first: int
    stop: int
    shape: tuple[int, int]


@functools.lru_cache(PLANS)
def _grids(length: int, tile_rows: int = 6, most: int = MOST_LINE) -> tuple[Grid, ...]:
    """``length`` pixels as rows that tasks can share, and that tiles of ``tile_rows`` nearly fill.

    What is left over, if no number up to ``most`` divides them so well, is a row of its own.
    """

    def filled(columns: int) -> float:
        return columns / (tile_rows * -(-columns // tile_rows))

    exact = [n for n in range(min(length, LINE_PIXELS // 2), min(length, most) + 1) if length % n == 0]
    columns = max(exact, key=filled, default=0)
    if columns and (columns == length or filled(columns) >= WELL_FILLED):
        return (Grid(0, length, (length // columns, columns)),)
    columns = most // tile_rows * tile_rows
    rows = length // columns
    whole = Grid(0, rows * columns, (rows, columns))
    return (whole, Grid(whole.stop, length, (1, length - whole.stop))) if whole.stop < length else (whole,)


# the gradient at the weights


def weight_gradient(x: np.ndarray, dy: np.ndarray, rows: Axis, cols: Axis, groups: int) -> np.ndarray:
    """dw [R, S, C / groups, K] from x [N, H, W, C] and dy [N, P, Q, K], both C-contiguous float32."""
    width, taps = dy.shape[3], cols.taps
    together = 1
    if groups == 1 and cols.dilation == 1 and width < host().lanes:
        together = _best_together(taps, x.shape[3], width, cols.outputs, cols.stride, True)
    if together == 1:
        return _sums(x, dy, rows, cols, groups)
    pixels = dy.reshape(*dy.shape[:2], -1, together * width)
    every = _sums(x, pixels, rows, _columns_together(cols, together), groups)
    every = every.reshape(rows.taps, -1, x.shape[3], together, width)
    total = every[:, :taps, :, 0] + every[:, cols.stride : cols.stride + taps, :, 1]
    for i in range(2, together):
        total += every[:, i * cols.stride : i * cols.stride + taps, :, i]
    return total


def _sums(x: np.ndarray, dy: np.ndarray, rows: Axis, cols: Axis, groups: int) -> np.ndarray:
    """The same, of the pixels as they are."""
    plan, shape = _weight_gradient(x.shape, dy.shape, rows, cols, groups, tasks_wanted())
    sums = np.zeros(shape, np.float32)
    plan(address(x), address(dy), address(sums))
    return sums[0] if shape[0] == 1 else sums.sum(axis=0)


@functools.lru_cache(PLANS)
def _weight_gradient(
    x_shape: tuple[int, ...], dy_shape: tuple[int, ...], rows: Axis, cols: Axis, groups: int, tasks: int
) -> tuple[Launch, tuple[int, ...]]:
    """The launch, and the shape of its sums: [pieces, R, S, C / groups, K].

    The number of pieces follows from sizes alone, so that the sum of them has the same bits on any number of cores.
    """
    images, all_width = x_shape[0], dy_shape[3]
    depth, width = x_shape[3] // groups, all_width // groups
    channels = Channels.of(width)
    # One line of each pixel is read again and again: at such a distance all of them meet in a few sets of the cache.
    source = Source(rows, cols, x_shape[3], GAP if x_shape[3] * ITEM % CONFLICT == 0 else 0)
    starts, length = source.starts(groups)
    row_tiles, in_blocks = None, None
    if channels.blocks == 1:
        reads = cols.taps, depth, cols.outputs, cols.stride, cols.dilation
        row_tiles, _ = of_taps(*reads, channels.widest)
        narrow = Channels.cut(width, ROW_VECTORS)
        if groups == 1 and narrow.wide > 1 and not narrow.last_vectors:
            in_blocks = of_taps_in_blocks(*reads, ROW_VECTORS)
    if in_blocks:
        row_tiles, channels = in_blocks, narrow
    if row_tiles:
        starts, length = source.row_starts(), cols.taps * depth
    w_bytes = len(starts) * length * all_width * ITEM

    # dy is copied strip by strip, one block of channels side by side, to be read from the first-level cache; or it lies
    # that way already. Each strip is a pass over dw: longer ones pay, unless their pixels lie on too many pages.
    strip_row, x_rows = cols.outputs * channels.widest * host().vector_bytes, rows.stride * source.row
    most = max(STRIP_BYTES // strip_row, LONG_STRIP_BYTES // max(strip_row, x_rows))
    if in_blocks:  # which one after the other read other parts of the same lines
        most = max(1, STRIP_BYTES // strip_row)
        task_rows = _even(rows.outputs, max(most, INPUT_BYTES // (channels.blocks * strip_row)))
    else:
        task_rows = _even(rows.outputs, max(most, COPIED_BYTES // x_rows) if source.copied else most)
    strip = _even(task_rows, most)
    copied = not in_blocks and (channels.blocks > 1 or groups > 1)
    blocks = -(-rows.outputs // task_rows)

    # A piece costs a pass over sums as large as the weights: it must be worth that, or else dw itself is shared.
    pixels = images * rows.outputs * cols.outputs
    pieces = max(1, min(PIECES, PIECES_BYTES // w_bytes, pixels // PIECE_PIXELS, images * blocks))
    cut = row_tiles.cut if row_tiles else Columns.of(length, most_rows(channels.widest, host()))
    channel_tasks, channel_blocks = channels.split(-(-tasks // pieces))
    row_tasks = min(len(starts) * (cut.tall + cut.low), -(-tasks // (pieces * channel_tasks)))

    offsets = np.arange(strip, dtype=np.int64) * (rows.stride * source.row)
    told = np.zeros((strip + 1, 2), TILE)  # of so many rows of pixels; of wide blocks, and of the last
    told["a_row"], told["a_step"], told["offsets"] = ITEM, cols.stride * source.pixel, address(offsets)
    told["b_step"] = (channels.wide_bytes, channels.last_bytes) if copied else all_width * ITEM
    told["steps"], told["runs"] = cols.outputs, np.arange(strip + 1)[:, np.newaxis]
    told["init_row"] = told["c_row"] = all_width * ITEM
    told["lanes"], told["floor"], told["ceiling"] = channels.lanes, -np.inf, np.inf
    if row_tiles:
        pixel = int(told["b_step"].max())
        tiles = channels.row_tiles(row_tiles, source.pixel, pixel, CACHED)
        told["b_run"], told["b_step"] = cols.outputs * pixel, row_tiles.pixels * pixel
        told["a_step"] *= row_tiles.pixels
        told["steps"] //= row_tiles.pixels
        told["init_row"] = told["c_row"] = depth * all_width * ITEM
        told["c_element"] = all_width * ITEM
    else:
        tiles = channels.tiles(cut.rows, bool(cut.low), down=True)

    panel = -(-source.buffer_bytes(task_rows) // 64) * 64 + 64
    panel_bytes = strip * strip_row
    launch = Launch(
        WEIGHTS,
        ("convolution", "weights"),
        ("x", "dy", "dw"),
        pieces * row_tasks * channel_tasks,
        panel + panel_bytes,
        (told, offsets, starts),
        **source.fields(task_rows),
        **tiles,
        x_group=depth * ITEM,
        dy_row=cols.outputs * all_width * ITEM,
        dy_group=width * ITEM,
        out_rows=rows.outputs,
        out_columns=cols.outputs,
        a_row=rows.stride * source.row,
        buffer_pixel=source.pixel,
        panel=panel if copied else 0,
        strip=strip,
        last_bytes=channels.last_bytes,
        last_filled=width * ITEM - channels.wide * channels.wide_bytes,
        dw_row=all_width * ITEM,
        dw_group=width * ITEM,
        dw_run=length * all_width * ITEM,
        dw_piece=w_bytes,
        groups=groups,
        rows=task_rows,
        blocks=blocks,
        pieces=pieces,
        all_blocks=images * blocks,
        told=address(told),
        part_bytes=told.strides[0],
        starts=address(starts),
        runs=len(starts),
        row_tasks=row_tasks,
        wide=channels.wide,
        wide_bytes=channels.wide_bytes,
        wide_told=0,
        last_told=told.strides[1],
        tall=cut.tall,
        tall_rows=cut.rows,
        low=cut.low,
        channel_tasks=channel_tasks,
        channel_blocks=channel_blocks,
    )
    return launch, (pieces, rows.taps, cols.taps, depth, all_width)
