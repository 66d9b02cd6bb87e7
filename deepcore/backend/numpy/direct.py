"""Convolution by register tiles and row tiles: the output, and with it the gradient at the input.

float32 only. The output's channels are cut into blocks of a few vectors (``channels``), its columns into tiles of a few
pixels (``columns``), and the weights are packed in the order in which the tiles read them (``weights``). Which calls of
tiles make a row of outputs is a table (``lines``).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from deepcore.backend.numpy.activation import bias_activation_inplace
from deepcore.backend.numpy.channels import Channels
from deepcore.backend.numpy.columns import Columns, RowTiles, of_outputs, of_outputs_in_blocks, of_taps
from deepcore.backend.numpy.lines import Sum, Tile, lines, with_padding, without_padding
from deepcore.backend.numpy.packed import is_settled
from deepcore.backend.numpy.plans import CLAMPS, PLANS, even, streams, tasks_wanted, up, zeros
from deepcore.backend.numpy.source import Source
from deepcore.backend.numpy.weights import in_order, kept_or_packed, key, packing
from deepcore.backend.numpy.window import Axis
from deepcore.kernels.cpu.host import ITEM, host
from deepcore.kernels.cpu.launch import Launch
from deepcore.kernels.cpu.pages import LINE
from deepcore.kernels.cpu.record import CORRELATE, TILE, address, addresses
from deepcore.kernels.cpu.row import CACHED, FAR, STREAMED
from deepcore.kernels.cpu.tile import most_rows

PANEL_BYTES = 1 << 19  # weights of a block of channels that stay in the second-level cache
INPUT_BYTES = 1 << 19  # input rows that a task walks over with one block after the other
ASKED_BYTES = 1 << 22  # of those that tiles ask for ahead, where a task packs weights for them
MOST_TOGETHER = 4  # neighbouring pixels that are made together
BESIDE_BYTES = 1 << 14  # weights of all blocks of channels that stay in the first-level cache
ROW_VECTORS = 2  # of a block of channels that row tiles make, more of which would be few pixels
GAIN_TOGETHER = 0.8  # of the cycles, at most, to be worth arranging the weights
PACKED_BY = 8  # tasks at most that put weights in order, of which some do so for the same
PACKED_TIMES = 2  # that they do so for the same, where blocks of narrow vectors have tasks for few images each
FEW_PIXELS = 12  # for which weights are not worth packing
LINE_PIXELS = 24  # of a row, where pixels can be laid out in rows at will
MOST_LINE = 240  # of such a row
WELL_FILLED = 0.85  # of the rows of its tiles
CALL_CYCLES = 200  # that one more call of a tile takes
COPIED_IN_A_CYCLE = 3  # bytes


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
    return of_outputs_in_blocks(cols.outputs, cols.taps, shape[3], cols.stride, cols.dilation, channels.widest)


def _blocks_beside(shape: tuple[int, ...], cols: Axis, channels: Channels) -> int:
    """Of how many blocks of channels each row tile is made before the next tile.

    All of them, where their weights stay in the first-level cache: then the output is written as it lies. Where a block
    is several lines of the cache long, it is written one block after the other.
    """
    if channels.blocks == 1 or not host().is_narrow or not _row_tiles(shape, cols, channels):
        return 1
    return channels.wide if math.prod(shape[1:4]) * channels.padded * ITEM <= BESIDE_BYTES else 1


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
    launch, weights = how.launch, w
    if how.packing and not (
        owner is not None and is_settled(owner, key(w.shape, how.channels, how.together, cols.stride))
    ):
        launch = how.packing
    elif not how.in_place:
        weights = kept_or_packed(owner, w, how.channels, how.together, cols.stride)
    bias = zeros(how.together * out.shape[3]) if bias is None else np.concatenate([bias] * how.together)
    launch(*addresses(x, out, weights, bias))
    if activation != clamped:
        bias_activation_inplace(out, None, activation)


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
        cols = columns_together(cols, together)
        w_shape = groups, taps_rows, cols.taps, depth, together * width
        out_strides = *out_strides[:2], out_strides[2] * together, ITEM
    channels = channels_of(w_shape, cols)
    beside = _blocks_beside(w_shape, cols, channels)
    few = channels.blocks == beside or math.prod(out_shape[:3]) <= FEW_PIXELS
    in_place = together == 1 and few and in_order(w_shape, w_strides)
    strides = (w_strides[0], w_strides[3]) if in_place else None
    launch = correlation(x_shape, w_shape, strides, rows, cols, out_strides, activation, tasks, streamed)
    own = None
    seldom = not host().is_narrow or tasks <= PACKED_TIMES * channels.blocks
    if not in_place and together == 1 and beside == 1 and seldom and _is_short(w_shape, channels):
        packer = packing(w_shape, w_strides, channels)
        own = correlation(x_shape, w_shape, None, rows, cols, out_strides, activation, tasks, streamed, packer)
    return Arrangement(launch, channels, together, in_place, own if own and own.count <= PACKED_BY else None)


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
        runs = up(runs, len(offsets) // rows.taps)
    row_starts = source.row_starts()
    wide_w = len(offsets) * steps * channels.wide_bytes if w_strides is None else channels.wide_bytes
    blocks_beside = _blocks_beside(w_shape, cols, channels)
    beside = tuple((block * wide_w, block * channels.wide_bytes) for block in range(blocks_beside))
    sums = Sum(offsets, steps, runs, row_starts, cols.dilation * source.pixel, depth, beside)

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

    # What is written one line after the other needs not be asked for; what passes by the caches must be whole lines.
    target = CACHED if blocks_beside > 1 else FAR
    if streamed and sums.parts == 1 and not channels.tail and widest % LINE == 0:
        target = STREAMED

    def kernels(height: int) -> tuple[int, int]:
        if not row_tiles:
            return channels.tile(height)
        return channels.row_tile(
            row_tiles,
            height,
            pixel=source.pixel,
            tap=depth * int(told["b_step"].max()),
            depth=depth,
            clamps=activation != "linear",
            target=target,
        )

    made = lines(rows, cols, tiles, not source.in_place, sums, told, kernels)

    # Who packs weights does so for many rows and few blocks, and lets the input come from the third-level cache.
    ahead = packer is not None and not source.copied
    most = (ASKED_BYTES if ahead else INPUT_BYTES) // (rows.stride * source.row)
    row_tasks = -(-tasks // channels.blocks) if ahead else tasks
    all_images = x_shape[0]
    most = max(1, min(most, all_images * rows.outputs // row_tasks))
    task_rows = even(rows.outputs, most)
    blocks = -(-rows.outputs // task_rows)
    images = even(all_images, most // rows.outputs) if ahead else 1
    row_tasks = -(-all_images // images) * blocks
    channel_tasks, channel_blocks = channels.split(-(-tasks // row_tasks)) if blocks_beside == 1 else (1, 1)
    panel = up(source.buffer_bytes(task_rows), host().vector_bytes)
    window = rows.taps * taps
    part_taps = sums.part * window // len(offsets)
    return Launch(
        CORRELATE,
        ("convolution", "correlate"),
        ("x", "y", "w", "bias"),
        row_tasks * channel_tasks,
        panel + (part_taps * depth * widest if packer else 0),
        (*made, offsets, row_starts, *([packer.fixed] if packer else [])),
        **source.fields(),
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
        wide=channels.wide // blocks_beside,
        wide_bytes=channels.wide_bytes,
        last_bytes=channels.last_bytes,
        wide_w=wide_w,
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


# Few channels fill only a part of a vector. Then neighbouring pixels are made together, as if they were channels of one
# pixel: its window reaches over the windows of all, and its weights are zero where it reaches beyond one of theirs.


def _together(w_shape: tuple[int, ...], cols: Axis, strides: tuple[int, ...]) -> int:
    """How many neighbouring pixels to make together; ``strides`` are those of an output's columns and channels."""
    groups, _, taps, depth, width = w_shape
    if groups > 1 or cols.dilation > 1 or width >= host().lanes or strides != (width * ITEM, ITEM):
        return 1
    return best_together(taps, depth, width, cols.outputs, cols.stride, False)


@functools.lru_cache(PLANS)
def best_together(taps: int, depth: int, width: int, outputs: int, stride: int, of_weights: bool) -> int:
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


def columns_together(cols: Axis, together: int) -> Axis:
    """How windows of so many pixels lie, that are made together."""
    taps = cols.taps + (together - 1) * cols.stride
    return replace(cols, outputs=cols.outputs // together, taps=taps, stride=cols.stride * together)


# matrix products, which are convolutions 1 x 1


def is_packed(owner: np.ndarray, b: np.ndarray) -> bool:
    """Whether ``product`` will find ``b`` packed, or keep it from now on."""
    return is_settled(owner, key((1, 1, 1, *b.shape), Channels.of(b.shape[1])))


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
