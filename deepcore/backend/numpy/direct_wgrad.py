"""The gradient at a convolution's weights by register tiles and row tiles: sums over pixels.

Rows of a tile are elements of the windows, its columns the output's channels. Where the result is small, pieces of the
pixels are summed apart; how many follows from sizes alone.
"""

from __future__ import annotations

import functools

import numpy as np

from deepcore.backend.numpy.channels import Channels
from deepcore.backend.numpy.columns import Columns, of_taps, of_taps_in_blocks, of_taps_in_lines
from deepcore.backend.numpy.direct import INPUT_BYTES, ROW_VECTORS, best_together, columns_together
from deepcore.backend.numpy.plans import PIECES, PLANS, even, tasks_wanted
from deepcore.backend.numpy.source import Source
from deepcore.backend.numpy.window import Axis
from deepcore.kernels.cpu.host import ITEM, host
from deepcore.kernels.cpu.launch import Launch
from deepcore.kernels.cpu.record import TILE, WEIGHTS, address
from deepcore.kernels.cpu.tile import most_rows, most_vectors

CONFLICT = 1024  # bytes: pixels at multiples of this distance share few sets of the first-level cache
GAP = 64  # bytes between them, that they do not
COPIED_BYTES = 1 << 18  # input rows that a task copies for the gradient at the weights
STRIP_PIXELS = 128  # of the widest block of channels of an output's gradient, read for one tile after the other
CHUNK_BYTES = 1 << 14  # of it that stays in the first-level cache, beside what it is multiplied with
FEW_COLUMNS = 16  # of such a chunk, for which a tile's sums are not worth reading and writing
LONG_STRIP_BYTES = 1 << 18  # of it, and of the input, where both are close together
CACHED_BYTES = 1 << 21  # of a gradient at the weights that the caches keep from one strip to the next
TOGETHER_PIXELS = 256  # that are summed together at most, where they do not
PIECES_BYTES = 40 << 20  # of partial sums of a gradient at the weights
PIECE_PIXELS = 1536  # summed by a piece at least


def weight_gradient(x: np.ndarray, dy: np.ndarray, rows: Axis, cols: Axis, groups: int) -> np.ndarray:
    """dw [R, S, C / groups, K] from x [N, H, W, C] and dy [N, P, Q, K], both C-contiguous float32."""
    width, taps = dy.shape[3], cols.taps
    together = 1
    if groups == 1 and cols.dilation == 1 and width < host().lanes:
        together = best_together(taps, x.shape[3], width, cols.outputs, cols.stride, True)
    if together == 1:
        return _sums(x, dy, rows, cols, groups)
    pixels = dy.reshape(*dy.shape[:2], -1, together * width)
    every = _sums(x, pixels, rows, columns_together(cols, together), groups)
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
    row_tiles, in_blocks, in_lines = None, None, host().is_narrow and groups == 1 and channels.blocks > 1
    chunk = cols.outputs  # of a row of dy, which tiles of all runs and blocks read one after the other
    if channels.blocks == 1:
        reads = cols.taps, depth, cols.outputs, cols.stride, cols.dilation
        row_tiles, _ = of_taps(*reads, channels.widest)
        narrow = Channels.cut(width, ROW_VECTORS)
        if groups == 1 and narrow.wide > 1 and not narrow.last_vectors:
            in_blocks = of_taps_in_blocks(*reads, ROW_VECTORS)
    elif in_lines:
        part = _chunk(cols.outputs, width)
        in_blocks, vectors = of_taps_in_lines(cols.taps, depth, part, width, cols.stride, cols.dilation)
        if in_blocks:
            narrow, chunk = Channels.cut(width, vectors), part
    if in_blocks:
        row_tiles, channels = in_blocks, narrow
    if row_tiles:
        starts, length = source.row_starts(), cols.taps * depth
    w_bytes = len(starts) * length * all_width * ITEM

    # dy is copied strip by strip, one block of channels side by side, to be read from the first-level cache; or it lies
    # that way already. Each strip is a pass over dw: longer ones pay, unless their pixels lie on too many pages.
    strip_bytes = STRIP_PIXELS * most_vectors(host()) * host().vector_bytes
    strip_row, x_rows = cols.outputs * channels.widest * host().vector_bytes, rows.stride * source.row
    most = max(strip_bytes // strip_row, LONG_STRIP_BYTES // max(strip_row, x_rows))
    if in_blocks:  # which one after the other read other parts of the same lines
        most = max(1, CHUNK_BYTES // (cols.outputs * width * ITEM) if in_lines else strip_bytes // strip_row)
        task_rows = even(rows.outputs, max(most, INPUT_BYTES // (channels.blocks * strip_row)))
    else:
        task_rows = even(rows.outputs, max(most, COPIED_BYTES // x_rows) if source.copied else most)
    together = _images_together(images, rows.outputs * cols.outputs, w_bytes) if task_rows == rows.outputs else 1
    strip = task_rows * together if together > 1 else even(task_rows, most)
    copied = not in_blocks and (channels.blocks > 1 or groups > 1)
    blocks = -(-rows.outputs // task_rows)

    # A piece costs a pass over sums as large as the weights: it must be worth that, or else dw itself is shared.
    pixels = images * rows.outputs * cols.outputs
    pieces = max(1, min(PIECES, PIECES_BYTES // w_bytes, pixels // PIECE_PIXELS, -(-images // together) * blocks))
    cut = row_tiles.cut if row_tiles else Columns.of(length, most_rows(channels.widest, host()))
    channel_tasks, channel_blocks = channels.split(-(-tasks // pieces))
    row_tasks = min(len(starts) * (cut.tall + cut.low), -(-tasks // (pieces * channel_tasks)))

    a_image = source.buffer_bytes(rows.outputs) or source.fields()["x_image"]
    offsets = np.add.outer(np.arange(together) * a_image, np.arange(strip // together) * (rows.stride * source.row))
    told = np.zeros((strip + 1, 2, len(starts)), TILE)  # of so many rows; of wide blocks and the last; of a run
    told["a_row"], told["a_step"], told["offsets"] = ITEM, cols.stride * source.pixel, address(offsets)
    told["b_step"] = [[channels.wide_bytes], [channels.last_bytes]] if copied else all_width * ITEM
    told["steps"], told["runs"] = chunk, np.arange(strip + 1)[:, np.newaxis, np.newaxis]
    told["init_row"] = told["c_row"] = all_width * ITEM
    told["lanes"], told["floor"], told["ceiling"] = channels.lanes, -np.inf, np.inf
    if row_tiles:
        pixel = int(told["b_step"].max())
        # The next strip comes from memory while this one is multiplied: tiles of each run ask for a share of it.
        ahead = -(-row_tiles.pixels // len(starts))
        tiles = channels.row_tiles(row_tiles, pixel=source.pixel, tap=pixel, clamps=False, ahead=ahead)
        following = np.arange(strip + 1)[:, np.newaxis, np.newaxis] * (chunk * pixel)
        told["next_b"] = following + np.arange(len(starts)) * following // len(starts)
        told["b_run"], told["b_step"] = cols.outputs * pixel, row_tiles.pixels * pixel
        told["a_step"] *= row_tiles.pixels
        told["steps"] //= row_tiles.pixels
        told["init_row"] = told["c_row"] = depth * all_width * ITEM
        told["c_element"] = all_width * ITEM
    else:
        # The next tile reads the same lines, or others of a copy: there is nothing to ask memory for.
        tiles = channels.tiles(cut.rows, bool(cut.low), down=True, asks=not host().is_narrow)

    panel = -(-source.buffer_bytes(task_rows) * together // 64) * 64 + 64
    panel_bytes = strip * strip_row
    launch = Launch(
        WEIGHTS,
        ("convolution", "weights"),
        ("x", "dy", "dw"),
        pieces * row_tasks * channel_tasks,
        panel + panel_bytes,
        (told, offsets, starts),
        **source.fields(),
        **tiles,
        x_group=depth * ITEM,
        dy_row=cols.outputs * all_width * ITEM,
        dy_group=width * ITEM,
        out_rows=rows.outputs,
        out_columns=cols.outputs,
        a_row=rows.stride * source.row,
        a_image=a_image,
        buffer_pixel=source.pixel,
        panel=panel if copied else 0,
        strip=strip,
        chunks=cols.outputs // chunk,
        chunk_x=chunk * cols.stride * source.pixel,
        chunk_dy=chunk * all_width * ITEM,
        last_bytes=channels.last_bytes,
        last_filled=width * ITEM - channels.wide * channels.wide_bytes,
        dw_row=all_width * ITEM,
        dw_group=width * ITEM,
        dw_run=length * all_width * ITEM,
        dw_piece=w_bytes,
        groups=groups,
        rows=task_rows,
        blocks=blocks,
        images=together,
        all_images=images,
        pieces=pieces,
        all_blocks=-(-images // together) * blocks,
        told=address(told),
        part_bytes=told.strides[0],
        run_told=told.strides[2],
        starts=address(starts),
        runs=len(starts),
        row_tasks=row_tasks,
        wide=channels.wide,
        wide_bytes=channels.wide_bytes,
        last_told=told.strides[1],
        tall=cut.tall,
        tall_rows=cut.rows,
        low=cut.low,
        channel_tasks=channel_tasks,
        channel_blocks=channel_blocks,
    )
    return launch, (pieces, rows.taps, cols.taps, depth, all_width)


def _chunk(columns: int, width: int) -> int:
    """How many columns of dy, all channels of which stay in the first-level cache: a part of a row, or all of it."""
    most = CHUNK_BYTES // (width * ITEM)
    return next((n for n in range(min(columns, most), FEW_COLUMNS - 1, -1) if columns % n == 0), columns)


def _images_together(images: int, pixels: int, w_bytes: int) -> int:
    """How many images of so many ``pixels`` of dy to sum before the sums are added to dw, which costs a pass over it.

    With many registers a strip is longer, of more channels: there it is one image.
    """
    if host().registers >= 32 or w_bytes <= CACHED_BYTES:
        return 1
    return max(1, min(images, TOGETHER_PIXELS // pixels))
