"""Convolution by register tiles: from arrays to the records that the tasks of ``kernels/cpu`` are told.

float32 only. The output's channels are cut into blocks of a few vectors, its columns into tiles of a few pixels, and
the weights are packed in the order in which the tiles read them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepcore.backend.numpy.activation import bias_activation_inplace
from deepcore.backend.numpy.window import Axis
from deepcore.kernels.cpu import library, scratch, threads
from deepcore.kernels.cpu.host import host
from deepcore.kernels.cpu.record import CORRELATE, PACK, TILE, WEIGHTS, address, fill
from deepcore.kernels.cpu.tile import most_rows, most_vectors, tile

PANEL_BYTES = 1 << 19  # weights of a block of channels that stay in the second-level cache
INPUT_BYTES = 1 << 18  # input rows that a task walks over with one block after the other
PIECES_BYTES = 40 << 20  # of partial sums of a gradient at the weights
TASKS = 16  # enough for some cores to be faster than others, whatever their number

CLAMPS = {"linear": (-np.inf, np.inf), "relu": (0.0, np.inf), "relu6": (0.0, 6.0)}
_LOADS = {1: 2.0, 2: 1.2}  # how much longer a vector takes in a tile of one or two, which loads more than it multiplies


@dataclass(frozen=True)
class Channels:
    """How output channels are cut: ``wide`` blocks of ``vectors`` vectors, then one of ``last_vectors``, if not 0.

    ``lanes`` of the last vector of all exist.
    """

    wide: int
    vectors: int
    last_vectors: int
    lanes: int

    @staticmethod
    def of(channels: int) -> Channels:
        one = host()
        vectors = -(-channels // one.lanes)
        lanes = channels - (vectors - 1) * one.lanes
        whole = lanes == one.lanes

        def cut(width: int) -> Channels:
            wide, rest = divmod(vectors, width)
            if not whole and not rest:
                wide, rest = wide - 1, width
            return Channels(wide, width, rest, lanes)

        def cost(cut: Channels) -> float:
            return cut.wide * cut.vectors * _LOADS.get(cut.vectors, 1.0) + cut.last_vectors * _LOADS.get(
                cut.last_vectors, 1.0
            )

        widths = range(min(most_vectors(one), vectors), 0, -1)
        return min((cut(width) for width in widths), key=cost)

    @property
    def tail(self) -> bool:
        return bool(self.last_vectors) and self.lanes < host().lanes

    @property
    def blocks(self) -> int:
        return self.wide + bool(self.last_vectors)

    def pack(self, w: np.ndarray) -> np.ndarray:
        """w [groups, R, S, depth, channels], of any strides, as [groups, (block, R, S, depth, channel of the block)].

        What a block's last vector has beyond the channels is zero.
        """
        groups, rows, columns, depth, width = w.shape
        vector = host().vector_bytes
        wide_bytes, last_bytes = self.vectors * vector, self.last_vectors * vector
        steps = rows * columns * depth
        packed = np.empty((groups, steps * (self.wide * wide_bytes + last_bytes) // 4), np.float32)
        strides = dict(zip(("w_group", "w_row", "w_column", "w_depth", "w_width"), w.strides, strict=True))
        record = fill(
            PACK, w=address(w), **strides, packed=address(packed), group_bytes=packed.strides[0], groups=groups,
            rows=rows, columns=columns, depth=depth, width=width, wide=self.wide, wide_bytes=wide_bytes,
            wide_block=steps * wide_bytes, last_bytes=last_bytes, last_filled=4 * width - self.wide * wide_bytes,
        )
        threads.pool().run(library.task("convolution", "pack"), address(record), groups * rows * columns)
        return packed


@dataclass(frozen=True)
class Columns:
    """How a row of outputs is cut into tiles: ``tall`` of ``rows`` pixels, then ``low`` of one pixel less."""

    rows: int
    tall: int
    low: int

    @staticmethod
    def of(outputs: int, most: int) -> Columns:
        tiles = -(-outputs // most)
        rows = -(-outputs // tiles)
        tall = outputs - (rows - 1) * tiles
        return Columns(rows, tall, tiles - tall)


def correlate(
    x: np.ndarray,
    w: np.ndarray,
    rows: Axis,
    cols: Axis,
    out: np.ndarray,
    bias: np.ndarray | None = None,
    activation: str = "linear",
) -> None:
    """out [N, P, Q, K], of any strides but the last, from x [N, H, W, C] and w [groups, R, S, C / groups, K / groups]."""
    groups, _, _, depth, width = w.shape
    channels = Channels.of(width)
    packed = channels.pack(w)
    floor, ceiling = CLAMPS.get(activation, CLAMPS["linear"])
    _correlate(x, packed, channels, groups, depth, width, rows, cols, out, bias, floor, ceiling)
    if activation not in CLAMPS:
        bias_activation_inplace(out, None, activation)


def _correlate(x, packed, channels, groups, depth, width, rows, cols, out, bias, floor, ceiling):
    lanes = host().lanes
    item = x.itemsize
    images, height, in_columns, _ = x.shape
    x_pixel = x.shape[3] * item
    out_rows, out_columns = rows.outputs, cols.outputs
    reach_rows = (rows.taps - 1) * rows.dilation + 1
    reach_columns = (out_columns - 1) * cols.stride + (cols.taps - 1) * cols.dilation + 1
    padded = not (rows.stays_inside and cols.stays_inside)
    buffer_row = reach_columns * x_pixel
    a_row = buffer_row if padded else in_columns * x_pixel

    if groups == 1 and cols.dilation == 1:
        starts = np.arange(rows.taps) * rows.dilation * a_row
        steps = cols.taps * depth
    else:
        starts = np.add.outer(np.arange(rows.taps) * rows.dilation * a_row, np.arange(cols.taps) * cols.dilation * x_pixel)
        steps = depth
    starts = starts.reshape(-1)
    wide_bytes = channels.vectors * lanes * item
    most = (channels.vectors if channels.wide else channels.last_vectors) * lanes * item * steps
    pieces = next(n for n in range(max(1, most // (2 * PANEL_BYTES) + 1), steps + 1) if steps % n == 0)
    if pieces > 1:
        starts = np.add.outer(starts, np.arange(pieces) * (steps // pieces) * item).reshape(-1)
        steps //= pieces
    offsets = np.ascontiguousarray(starts, np.int64)
    per_part = max(1, PANEL_BYTES // max(1, most // pieces))
    parts = -(-len(offsets) // per_part)
    per_part = -(-len(offsets) // parts)

    told = np.zeros((parts, 2), TILE)
    told["a_row"] = cols.stride * x_pixel
    told["a_step"] = item
    told["steps"] = steps
    told["c_row"] = out.strides[2]
    told["init_row"] = out.strides[2]
    told["init_row"][0] = 0
    told["lanes"] = channels.lanes
    told["floor"], told["ceiling"] = -np.inf, np.inf
    told["floor"][-1], told["ceiling"][-1] = floor, ceiling
    for part in range(parts):
        first = part * per_part
        told["offsets"][part] = address(offsets) + 8 * first
        told["runs"][part] = min(per_part, len(offsets) - first)
    told["b_step"][:, 0], told["b_step"][:, 1] = wide_bytes, channels.last_vectors * lanes * item
    told["b_bytes"] = told["b_step"] * told["steps"] * told["runs"]

    cut = Columns.of(out_columns, most_rows(channels.vectors if channels.wide else channels.last_vectors, host()))
    task_rows = max(1, min(out_rows, INPUT_BYTES // max(1, rows.stride * a_row)))
    if images * -(-out_rows // task_rows) < TASKS:
        task_rows = max(1, min(task_rows, images * out_rows // TASKS))
    blocks = -(-out_rows // task_rows)
    task_rows = -(-out_rows // blocks)
    channel_tasks = min(channels.blocks, -(-TASKS // (images * blocks)))
    channel_blocks = -(-channels.blocks // channel_tasks)
    channel_tasks = -(-channels.blocks // channel_blocks)

    buffer_rows = (task_rows - 1) * rows.stride + reach_rows
    if bias is None:
        bias = np.zeros(groups * width, np.float32)

    def tiles(vectors: int, tail: bool) -> tuple[int, int]:
        if not vectors:
            return 0, 0
        low = tile(cut.rows - 1, vectors, tail) if cut.low else 0
        return tile(cut.rows, vectors, tail), low

    wide_tall, wide_low = tiles(channels.vectors if channels.wide else 0, False)
    last_tall, last_low = tiles(channels.last_vectors, channels.tail)
    pool = threads.pool()
    with scratch.borrow(pool.threads, buffer_row * buffer_rows if padded else 0) as room:
        record = fill(
            CORRELATE,
            x=address(x), x_image=height * in_columns * x_pixel, x_row=in_columns * x_pixel, x_pixel=x_pixel,
            x_group=depth * item, in_rows=height, in_columns=in_columns,
            y=address(out), y_image=out.strides[0], y_row=out.strides[1], y_pixel=out.strides[2],
            y_group=width * item, out_rows=out_rows, out_columns=out_columns,
            w=address(packed), w_group=packed.strides[0], bias=address(bias), bias_group=width * item,
            row_stride=rows.stride, column_stride=cols.stride, before_rows=rows.before, before_columns=cols.before,
            reach_rows=reach_rows, padded=padded, buffer_row=buffer_row, groups=groups, rows=task_rows, blocks=blocks,
            told=address(told), parts=parts, part_bytes=2 * TILE.itemsize,
            wide=channels.wide, wide_bytes=wide_bytes, wide_w=int(told["b_bytes"][:, 0].sum()),
            wide_tall=wide_tall, wide_low=wide_low, last_tall=last_tall, last_low=last_low,
            wide_told=0, last_told=TILE.itemsize, tall=cut.tall, tall_rows=cut.rows, low=cut.low,
            channel_tasks=channel_tasks, channel_blocks=channel_blocks,
            scratch=room.address, scratch_bytes=room.bytes,
        )
        pool.run(library.task("convolution", "correlate"), address(record), images * blocks * channel_tasks)


def weight_gradient(x: np.ndarray, dy: np.ndarray, rows: Axis, cols: Axis, groups: int) -> np.ndarray:
    """dw [R, S, C / groups, K] from x [N, H, W, C] and dy [N, P, Q, K], C-contiguous."""
    item = x.itemsize
    images, height, in_columns, all_depth = x.shape
    depth, all_width = all_depth // groups, dy.shape[3]
    width = all_width // groups
    channels = Channels.of(width)
    x_pixel = all_depth * item
    reach_rows = (rows.taps - 1) * rows.dilation + 1
    reach_columns = (cols.outputs - 1) * cols.stride + (cols.taps - 1) * cols.dilation + 1
    padded = not (rows.stays_inside and cols.stays_inside)
    buffer_row = reach_columns * x_pixel
    a_row = buffer_row if padded else in_columns * x_pixel

    starts = np.arange(rows.taps) * rows.dilation * a_row
    length = cols.taps * depth
    if groups > 1 or cols.dilation > 1:
        starts = np.add.outer(starts, np.arange(cols.taps) * cols.dilation * x_pixel).reshape(-1)
        length = depth
    starts = np.ascontiguousarray(starts, np.int64)

    row_bytes = rows.stride * a_row + cols.outputs * min(width, 4 * host().lanes) * item
    task_rows = max(1, min(rows.outputs, INPUT_BYTES // row_bytes))
    blocks = -(-rows.outputs // task_rows)
    task_rows = -(-rows.outputs // blocks)
    blocks = -(-rows.outputs // task_rows)
    short = rows.outputs - (blocks - 1) * task_rows
    shape = (rows.taps, cols.taps, depth, all_width)
    size = 4 * int(np.prod(shape))
    pieces = max(1, min(TASKS, PIECES_BYTES // size, images * blocks))
    channel_tasks = min(channels.blocks, -(-TASKS // pieces))
    channel_blocks = -(-channels.blocks // channel_tasks)
    channel_tasks = -(-channels.blocks // channel_blocks)
    run_tasks = min(len(starts), -(-TASKS // (pieces * channel_tasks)))

    wide_bytes = channels.vectors * host().vector_bytes
    offsets = np.arange(task_rows, dtype=np.int64) * (rows.stride * a_row)
    told = np.zeros((2, 2), TILE)  # whole blocks of rows and the last of an image; wide and last block of channels
    told["a_row"], told["a_step"], told["offsets"] = item, cols.stride * x_pixel, address(offsets)
    told["b_step"], told["steps"] = all_width * item, cols.outputs
    told["runs"][0], told["runs"][1] = task_rows, short
    told["init_row"] = told["c_row"] = all_width * item
    told["lanes"], told["floor"], told["ceiling"] = channels.lanes, -np.inf, np.inf

    cut = Columns.of(length, most_rows(channels.vectors if channels.wide else channels.last_vectors, host()))

    def tiles(vectors: int, tail: bool) -> tuple[int, int]:
        if not vectors:
            return 0, 0
        low = tile(cut.rows - 1, vectors, tail) if cut.low else 0
        return tile(cut.rows, vectors, tail), low

    wide_tall, wide_low = tiles(channels.vectors if channels.wide else 0, False)
    last_tall, last_low = tiles(channels.last_vectors, channels.tail)
    sums = np.zeros((pieces, *shape), np.float32)
    pool = threads.pool()
    buffer_rows = (task_rows - 1) * rows.stride + reach_rows
    with scratch.borrow(pool.threads, buffer_row * buffer_rows if padded else 0) as room:
        record = fill(
            WEIGHTS,
            x=address(x), x_image=height * in_columns * x_pixel, x_row=in_columns * x_pixel, x_pixel=x_pixel,
            x_group=depth * item, in_rows=height, in_columns=in_columns,
            dy=address(dy), dy_row=cols.outputs * all_width * item, dy_group=width * item, out_rows=rows.outputs,
            dw=address(sums), dw_row=all_width * item, dw_group=width * item, dw_run=length * all_width * item,
            dw_piece=size, row_stride=rows.stride, before_rows=rows.before, before_columns=cols.before,
            reach_rows=reach_rows, padded=padded, buffer_row=buffer_row, groups=groups, rows=task_rows, blocks=blocks,
            pieces=pieces, all_blocks=images * blocks, told=address(told), part_bytes=2 * TILE.itemsize,
            starts=address(starts), runs=len(starts), run_tasks=run_tasks, wide=channels.wide, wide_bytes=wide_bytes,
            wide_tall=wide_tall, wide_low=wide_low, last_tall=last_tall, last_low=last_low, wide_told=0,
            last_told=TILE.itemsize, tall=cut.tall, tall_rows=cut.rows, low=cut.low, channel_tasks=channel_tasks,
            channel_blocks=channel_blocks, scratch=room.address, scratch_bytes=room.bytes,
        )
        pool.run(library.task("convolution", "weights"), address(record), pieces * run_tasks * channel_tasks)
    return sums[0] if pieces == 1 else sums.sum(axis=0)
