"""Convolution 3 x 3 of stride 1 by Winograd's minimal filtering: from arrays to the records of ``kernels/cpu``.

float32 only, one group, no dilation.
"""

from __future__ import annotations

import numpy as np

from deepcore.backend.numpy.activation import bias_activation_inplace
from deepcore.backend.numpy.direct import CLAMPS, TASKS, Channels, Columns
from deepcore.backend.numpy.window import Axis
from deepcore.kernels.cpu import library, scratch, threads
from deepcore.kernels.cpu.host import host
from deepcore.kernels.cpu.record import (
    TILE,
    WINOGRAD,
    WINOGRAD_GRADIENT,
    WINOGRAD_RESULT,
    WINOGRAD_WEIGHTS,
    address,
    fill,
)
from deepcore.kernels.cpu.tile import most_rows, tile
from deepcore.kernels.cpu.transform import transform

BLOCK_BYTES = 1 << 20  # transformed tiles and sums of a task: what a second-level cache holds
FEWEST_TILES = 24  # in a task: each reads all the weights
CHUNK_BYTES = 16 << 20  # transformed tiles between the two steps of the gradient at the weights
PAD = 64  # bytes between rows: places whose distance is a power of two would meet in the cache


def transform_weights(w: np.ndarray, m: int, channels: Channels) -> np.ndarray:
    """w [3, 3, depth, width], of any strides, as [places, (block of channels, depth, channel of the block)]."""
    depth, width = w.shape[2:]
    vector = host().vector_bytes
    padded = -(-width // host().lanes)
    if w.strides[3] != 4 or width % host().lanes:
        w = Channels(0, 0, padded, width - (padded - 1) * host().lanes).pack(w[np.newaxis])
        w = w.reshape(3, 3, depth, padded * host().lanes)
    elif w.strides[0] != 3 * w.strides[1]:
        w = np.ascontiguousarray(w)
    side = m + 2
    u = np.empty((side * side, depth * padded * host().lanes), np.float32)
    record = fill(
        WINOGRAD_WEIGHTS, w=address(w), w_tap=w.strides[1], w_depth=w.strides[2], u=address(u),
        u_row=side * u.strides[0], u_place=u.strides[0], wide=channels.wide, wide_bytes=channels.vectors * vector,
        wide_u=depth * channels.vectors * vector, last_bytes=channels.last_vectors * vector,
        transform=transform("weights", m), vector_bytes=vector,
    )
    threads.pool().run(library.task("winograd", "transform_weights"), address(record), depth)
    return u


def convolve(
    x: np.ndarray,
    w: np.ndarray,
    rows: Axis,
    cols: Axis,
    m: int,
    out: np.ndarray,
    bias: np.ndarray | None = None,
    activation: str = "linear",
) -> None:
    """out [N, P, Q, K] from x [N, H, W, C] and w [3, 3, C, K], of any strides."""
    depth, width = w.shape[2:]
    channels = Channels.of(width)
    u = transform_weights(w, m, channels)
    lanes, vector = host().lanes, host().vector_bytes
    side = m + 2
    images, height, in_columns, _ = x.shape
    tile_rows, tile_columns = -(-rows.outputs // m), -(-cols.outputs // m)
    tiles = images * tile_rows * tile_columns

    v_tile = -(-depth // lanes) * vector + PAD
    span_vectors = channels.vectors if channels.wide else channels.last_vectors
    span_bytes = span_vectors * vector + PAD
    most = most_rows(span_vectors, host())
    block = max(FEWEST_TILES, BLOCK_BYTES // (side * side * (v_tile + span_bytes)))
    block = min(block, -(-tiles // min(TASKS, -(-tiles // FEWEST_TILES))))
    kernel_rows = Columns.of(block, most).rows
    block = -(-block // kernel_rows) * kernel_rows
    number = -(-tiles // block)
    channel_tasks = min(channels.blocks, -(-TASKS // number)) if number < TASKS else 1
    channel_blocks = -(-channels.blocks // channel_tasks)
    channel_tasks = -(-channels.blocks // channel_blocks)
    span = 1
    v_place = block * v_tile + PAD
    sums_tile = span * span_bytes
    sums_place = block * sums_tile + PAD
    patch_bytes = side * side * max(x.shape[3] * 4, span * span_bytes)

    offsets = np.zeros(1, np.int64)
    zeros = np.zeros(max(width, span_bytes) + lanes, np.float32)
    floor, ceiling = CLAMPS.get(activation, CLAMPS["linear"])
    clamp = np.array([floor, ceiling], np.float32)
    if bias is None:
        bias = zeros
    told = np.zeros(2, TILE)
    told["a_row"], told["a_step"], told["offsets"] = v_tile, 4, address(offsets)
    told["b_step"][0], told["b_step"][1] = channels.vectors * vector, channels.last_vectors * vector
    told["steps"], told["runs"], told["c_row"] = depth, 1, sums_tile
    told["floor"], told["ceiling"] = -np.inf, np.inf
    last_whole = channels.last_vectors - channels.tail
    pool = threads.pool()
    with scratch.borrow(pool.threads, side * side * (v_place + sums_place) + patch_bytes) as room:
        record = fill(
            WINOGRAD,
            x=address(x), x_image=x.strides[0], x_row=x.strides[1], x_pixel=x.strides[2], in_rows=height,
            in_columns=in_columns, depth_vectors=depth // lanes, depth_tail=depth % lanes,
            y=address(out), y_image=out.strides[0], y_row=out.strides[1], y_pixel=out.strides[2],
            out_rows=rows.outputs, out_columns=cols.outputs, u=address(u), u_place=u.strides[0], bias=address(bias),
            clamp=address(clamp), zeros=address(zeros), before_rows=rows.before, before_columns=cols.before, m=m,
            tile_rows=tile_rows, tile_columns=tile_columns, tiles=tiles, block=block, v_place=v_place, v_tile=v_tile,
            sums_at=side * side * v_place, sums_place=sums_place, sums_tile=sums_tile,
            patch_at=side * side * (v_place + sums_place), scratch=room.address, scratch_bytes=room.bytes,
            input=transform("input", m), input_tail=transform("input", m, True) if depth % lanes else 0,
            output=transform("output", m), output_tail=transform("output", m, True) if channels.tail else 0,
            vector_bytes=vector, told=address(told), wide=channels.wide, wide_vectors=channels.vectors,
            wide_bytes=channels.vectors * vector, wide_u=depth * channels.vectors * vector,
            wide_kernel=tile(kernel_rows, channels.vectors) if channels.wide else 0,
            last_kernel=tile(kernel_rows, channels.last_vectors) if channels.last_vectors else 0,
            last_vectors=last_whole, last_tail=channels.lanes if channels.tail else 0, wide_told=0,
            last_told=TILE.itemsize, kernel_rows=kernel_rows, span=span, channel_tasks=channel_tasks,
            channel_blocks=channel_blocks,
        )
        pool.run(library.task("winograd", "convolve"), address(record), number * channel_tasks)
    if activation not in CLAMPS:
        bias_activation_inplace(out, None, activation)


def weight_gradient(x: np.ndarray, dy: np.ndarray, rows: Axis, cols: Axis) -> np.ndarray:
    """dw [3, 3, C, K] from x [N, H, W, C] and dy [N, P, Q, K], C-contiguous, through tiles of 4 x 4 outputs."""
    m, side = 4, 6
    lanes, vector = host().lanes, host().vector_bytes
    images, height, in_columns, depth = x.shape
    width = dy.shape[3]
    channels = Channels.of(width)
    tile_rows, tile_columns = -(-rows.outputs // m), -(-cols.outputs // m)
    tiles = images * tile_rows * tile_columns
    v_tile = -(-depth // lanes) * vector + PAD
    d_tile = -(-width // lanes) * vector + PAD
    places = side * side
    chunk = max(FEWEST_TILES, min(tiles, CHUNK_BYTES // (places * (v_tile + d_tile))))
    chunk = -(-tiles // -(-tiles // chunk))
    v_place, d_place = chunk * v_tile + PAD, chunk * d_tile + PAD
    sums_row = -(-width // lanes) * vector
    sums = np.empty((places, depth, sums_row // 4), np.float32)
    cut = Columns.of(depth, most_rows(channels.vectors if channels.wide else channels.last_vectors, host()))
    offsets = np.zeros(1, np.int64)
    told = np.zeros(2, TILE)
    told["a_row"], told["a_step"], told["offsets"], told["runs"] = 4, v_tile, address(offsets), 1
    told["b_step"], told["c_row"] = d_tile, sums_row
    told["floor"], told["ceiling"] = -np.inf, np.inf

    def tiles_of(vectors: int) -> tuple[int, int]:
        return (tile(cut.rows, vectors), tile(cut.rows - 1, vectors) if cut.low else 0) if vectors else (0, 0)

    wide_tall, wide_low = tiles_of(channels.vectors if channels.wide else 0)
    last_tall, last_low = tiles_of(channels.last_vectors)
    pool = threads.pool()
    patch_bytes = 4 * max(side * side * depth, m * m * width)
    sums[...] = 0
    with scratch.borrow(1, places * (v_place + d_place)) as tiles_room, scratch.borrow(pool.threads, patch_bytes) as room:
        record = fill(
            WINOGRAD_GRADIENT,
            x=address(x), x_image=x.strides[0], x_row=x.strides[1], x_pixel=x.strides[2], in_rows=height,
            in_columns=in_columns, depth_vectors=depth // lanes, depth_tail=depth % lanes,
            dy=address(dy), dy_image=dy.strides[0], dy_row=dy.strides[1], dy_pixel=dy.strides[2],
            out_rows=rows.outputs, out_columns=cols.outputs, width_vectors=width // lanes, width_tail=width % lanes,
            before_rows=rows.before, before_columns=cols.before, m=m, tile_rows=tile_rows, tile_columns=tile_columns,
            first=0, last=0, step=4, v=tiles_room.address, v_place=v_place, v_tile=v_tile,
            d=tiles_room.address + places * v_place, d_place=d_place, d_tile=d_tile, scratch=room.address,
            scratch_bytes=room.bytes, input=transform("input", m),
            input_tail=transform("input", m, True) if depth % lanes else 0, output=transform("output_gradient", m),
            output_tail=transform("output_gradient", m, True) if width % lanes else 0, vector_bytes=vector,
            sums=address(sums), sums_place=sums.strides[0], sums_row=sums_row, told=address(told), wide=channels.wide,
            wide_bytes=channels.vectors * vector, wide_tall=wide_tall, wide_low=wide_low, last_tall=last_tall,
            last_low=last_low, wide_told=0, last_told=TILE.itemsize, tall=cut.tall, tall_rows=cut.rows, low=cut.low,
            parts=1,
        )
        transform_tiles = library.task("winograd", "transform_tiles")
        multiply = library.task("winograd", "multiply")
        for first in range(0, tiles, chunk):
            last = min(first + chunk, tiles)
            record["first"], record["last"] = first, last
            told["steps"] = last - first
            pool.run(transform_tiles, address(record), -(-(last - first) // 4))
            pool.run(multiply, address(record), places)
    dw = np.empty((3, 3, depth, width), np.float32)
    record = fill(
        WINOGRAD_RESULT, sums=address(sums), sums_row=side * sums.strides[0], sums_place=sums.strides[0],
        sums_depth=sums_row, dw=address(dw), dw_tap=dw.strides[1], dw_depth=dw.strides[2], vectors=width // lanes,
        tail=width % lanes, kernel=transform("weights_gradient", m),
        tail_kernel=transform("weights_gradient", m, True) if width % lanes else 0, vector_bytes=vector,
    )
    pool.run(library.task("winograd", "result"), address(record), depth)
    return dw
