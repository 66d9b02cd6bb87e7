"""Convolution 3 x 3 of stride 1 by Winograd's minimal filtering: plans for the tasks of ``kernels/cpu``.

float32 only, one group, no dilation. Every tile of m x m outputs has (m + 2)^2 places, for each of which there is one
matrix product of all tiles with the transformed weights.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from deepcore.backend.numpy.activation import bias_activation_inplace
from deepcore.backend.numpy.direct import CLAMPS, ITEM, PLANS, Channels, Columns, pack, tasks_wanted
from deepcore.backend.numpy.memory import empty
from deepcore.backend.numpy.packed import packed
from deepcore.backend.numpy.window import Axis
from deepcore.kernels.cpu import scratch
from deepcore.kernels.cpu.host import host
from deepcore.kernels.cpu.launch import Launch
from deepcore.kernels.cpu.record import (
    TILE,
    WINOGRAD,
    WINOGRAD_GRADIENT,
    WINOGRAD_PRODUCTS,
    WINOGRAD_RESULT,
    WINOGRAD_WEIGHTS,
    address,
)
from deepcore.kernels.cpu.tile import most_rows, tile
from deepcore.kernels.cpu.transform import transform

BLOCK_BYTES = 1 << 20  # transformed tiles and sums of a task: what a second-level cache holds
FEWEST_TILES = 60  # in a task where there are more: each task reads all the weights
CHUNK_BYTES = 2 << 20, 32 << 20  # transformed tiles between the two steps of the gradient at the weights
STEP = 4  # tiles that one index of the first of them transforms
PAD = (
    64  # bytes between rows, whose distance would otherwise be a power of two: they would meet in one set of the cache
)


# weights


def transform_weights(w: np.ndarray, m: int, channels: Channels) -> np.ndarray:
    """w [3, 3, depth, width], of any strides, as [places, (block of channels, depth, channel of the block)]."""
    depth, width = w.shape[2:]
    every = Channels.together(width)
    if w.strides[3] != ITEM or every.tail or w.strides[0] != 3 * w.strides[1]:
        w = pack(w[np.newaxis], every).reshape(3, 3, depth, every.padded)
    u = empty(((m + 2) ** 2, depth * every.padded + PAD // ITEM), np.float32)
    _weight_transform(m, depth, w.strides, u.strides[0], channels)(address(w), address(u))
    return u


@functools.lru_cache(PLANS)
def _weight_transform(m: int, depth: int, strides: tuple[int, ...], u_place: int, channels: Channels) -> Launch:
    return Launch(
        WINOGRAD_WEIGHTS,
        ("winograd", "transform_weights"),
        ("w", "u"),
        depth,
        w_tap=strides[1],
        w_depth=strides[2],
        u_row=(m + 2) * u_place,
        u_place=u_place,
        wide=channels.wide,
        wide_bytes=channels.wide_bytes,
        wide_u=depth * channels.wide_bytes,
        last_bytes=channels.last_bytes,
        transform=transform("weights", m),
        vector_bytes=host().vector_bytes,
    )


# the output, and with it the gradient at the input


def convolve(
    x: np.ndarray,
    w: np.ndarray,
    rows: Axis,
    cols: Axis,
    m: int,
    out: np.ndarray,
    bias: np.ndarray | None = None,
    activation: str = "linear",
    owner: np.ndarray | None = None,
) -> None:
    """Writes the convolution of x with w, and what follows it, to ``out``, in tiles of m x m outputs.

    Args:
        x: [N, H, W, C], C-contiguous float32.
        w: [3, 3, C, K] of any strides.
        rows, cols: how windows lie on x.
        m: 2 or 4.
        out: [N, P, Q, K], C-contiguous.
        bias: [K], or None.
        activation: one of the backend's ``ACTIVATIONS``; done in the same pass if it is one of ``CLAMPS``.
        owner: the array of which w is the whole, in its order: what is made of it can be kept.
    """
    width = w.shape[3]
    if owner is None:
        u = transform_weights(w, m, Channels.of(width))
    else:
        u = packed(owner, ("winograd", m), lambda _: transform_weights(w, m, Channels.of(width)))
    clamped = activation if activation in CLAMPS else "linear"
    plan, zeros = _convolution(x.shape, width, rows, cols, m, clamped, u.strides[0], tasks_wanted())
    bias = zeros if bias is None else np.ascontiguousarray(bias)
    plan(address(x), address(out), address(u), address(bias))
    if activation != clamped:
        bias_activation_inplace(out, None, activation)


@functools.lru_cache(PLANS)
def _convolution(
    x_shape: tuple[int, ...], width: int, rows: Axis, cols: Axis, m: int, activation: str, u_place: int, tasks: int
) -> tuple[Launch, np.ndarray]:
    """The launch, and zeros to use as a bias."""
    depth = x_shape[3]
    channels, every = Channels.of(width), Channels.together(depth)
    vector, side = host().vector_bytes, m + 2
    places = side * side
    tiles = x_shape[0] * -(-rows.outputs // m) * -(-cols.outputs // m)

    v_tile = every.padded * ITEM + PAD
    sums_tile = channels.widest * vector + PAD
    block = max(FEWEST_TILES, BLOCK_BYTES // (places * (v_tile + sums_tile)))
    block = min(block, -(-tiles // min(tasks, -(-tiles // FEWEST_TILES))))
    kernel_rows = Columns.of(block, most_rows(channels.widest, host())).rows
    block = -(-block // kernel_rows) * kernel_rows
    number = -(-tiles // block)
    channel_tasks, channel_blocks = channels.split(-(-tasks // number))

    v_place, sums_place = block * v_tile + PAD, block * sums_tile + PAD
    patch_bytes = max(places * depth * ITEM, m * m * channels.widest * vector)
    start, clamp = np.zeros(1, np.int64), np.array(CLAMPS[activation], np.float32)
    zeros = np.zeros(channels.padded, np.float32)
    told = np.zeros(2, TILE)  # of wide blocks, and of the last
    told["a_row"], told["a_step"], told["offsets"] = v_tile, ITEM, address(start)
    told["b_step"], told["steps"], told["runs"] = (channels.wide_bytes, channels.last_bytes), depth, 1
    told["c_row"], told["floor"], told["ceiling"] = sums_tile, -np.inf, np.inf
    last = channels.last_vectors
    launch = Launch(
        WINOGRAD,
        ("winograd", "convolve"),
        ("x", "y", "u", "bias"),
        number * channel_tasks,
        places * (v_place + sums_place) + patch_bytes,
        (told, start, clamp, zeros),
        x_image=rows.size * cols.size * depth * ITEM,
        x_row=cols.size * depth * ITEM,
        x_pixel=depth * ITEM,
        in_rows=rows.size,
        in_columns=cols.size,
        depth_vectors=every.last_vectors - every.tail,
        depth_tail=every.lanes * every.tail,
        y_image=rows.outputs * cols.outputs * width * ITEM,
        y_row=cols.outputs * width * ITEM,
        y_pixel=width * ITEM,
        out_rows=rows.outputs,
        out_columns=cols.outputs,
        u_place=u_place,
        clamp=address(clamp),
        zeros=address(zeros),
        before_rows=rows.before,
        before_columns=cols.before,
        m=m,
        tile_rows=-(-rows.outputs // m),
        tile_columns=-(-cols.outputs // m),
        tiles=tiles,
        block=block,
        v_place=v_place,
        v_tile=v_tile,
        sums_at=places * v_place,
        sums_place=sums_place,
        sums_tile=sums_tile,
        patch_at=places * (v_place + sums_place),
        input=transform("input", m),
        input_tail=transform("input", m, True) if every.tail else 0,
        output=transform("output", m),
        output_tail=transform("output", m, True) if channels.tail else 0,
        vector_bytes=vector,
        told=address(told),
        wide=channels.wide,
        wide_vectors=channels.vectors,
        wide_bytes=channels.wide_bytes,
        wide_u=depth * channels.wide_bytes,
        wide_kernel=tile(kernel_rows, channels.vectors) if channels.wide else 0,
        last_kernel=tile(kernel_rows, last) if last else 0,
        last_vectors=last - channels.tail,
        last_tail=channels.lanes * channels.tail,
        wide_told=0,
        last_told=told.strides[0],
        kernel_rows=kernel_rows,
        channel_tasks=channel_tasks,
        channel_blocks=channel_blocks,
    )
    return launch, zeros


# the gradient at the weights


def weight_gradient(x: np.ndarray, dy: np.ndarray, rows: Axis, cols: Axis) -> np.ndarray:
    """dw [3, 3, C, K] from x [N, H, W, C] and dy [N, P, Q, K], both C-contiguous float32, in tiles of 4 x 4 outputs."""
    depth, width = x.shape[3], dy.shape[3]
    plan = _weight_gradient(x.shape, width, rows, cols, tasks_wanted())
    sums = np.zeros((plan.places, plan.place_bytes // ITEM), np.float32)
    dw = empty((3, 3, depth, width), np.float32)
    with scratch.borrow(1, plan.tile_bytes) as room:
        v, d = room.address, room.address + plan.d_at
        for first in range(0, plan.tiles, plan.chunk):
            last = min(first + plan.chunk, plan.tiles)
            plan.transform(address(x), address(dy), v, d, first, last)
            plan.multiply(v, d, address(sums), plan.told(last - first))
    plan.result(address(sums), address(dw))
    return dw


@dataclass(frozen=True)
class _WeightGradient:
    """The three launches, and what lies between them.

    Attributes:
        tiles, chunk: tiles in all, and between one pair of launches and the next.
        places, place_bytes: products, and bytes of the sums of each.
        tile_bytes, d_at: of the transformed tiles of x and dy, and where those of dy begin.
        tile_records: ``TILE`` records for a whole chunk and for the last one, of wide blocks and of the last.
    """

    transform: Launch
    multiply: Launch
    result: Launch
    tiles: int
    chunk: int
    places: int
    place_bytes: int
    tile_bytes: int
    d_at: int
    tile_records: np.ndarray

    def told(self, tiles: int) -> int:
        """The address of the records for so many tiles."""
        return address(self.tile_records[0 if tiles == self.chunk else 1])


@functools.lru_cache(PLANS)
def _weight_gradient(x_shape: tuple[int, ...], width: int, rows: Axis, cols: Axis, tasks: int) -> _WeightGradient:
    m, side = 4, 6
    places = side * side
    depth = x_shape[3]
    channels, of_x, of_dy = Channels.of(width), Channels.together(depth), Channels.together(width)
    vector = host().vector_bytes
    tile_rows, tile_columns = -(-rows.outputs // m), -(-cols.outputs // m)
    tiles = x_shape[0] * tile_rows * tile_columns

    sums_row = of_dy.padded * ITEM
    place_bytes = depth * sums_row + PAD
    v_tile, d_tile = of_x.padded * ITEM + PAD, sums_row + PAD
    # Each chunk reads and writes all the sums once more.
    chunk_bytes = min(max(CHUNK_BYTES[0], 2 * places * place_bytes), CHUNK_BYTES[1])
    chunk = min(tiles, max(FEWEST_TILES, chunk_bytes // (places * (v_tile + d_tile))))
    chunk = -(-tiles // -(-tiles // chunk))
    v_place, d_place = chunk * v_tile + PAD, chunk * d_tile + PAD

    start = np.zeros(1, np.int64)
    told = np.zeros((2, 2), TILE)
    told["a_row"], told["a_step"], told["offsets"], told["runs"] = ITEM, v_tile, address(start), 1
    told["b_step"], told["c_row"], told["init_row"] = d_tile, sums_row, sums_row
    told["floor"], told["ceiling"] = -np.inf, np.inf
    told["steps"] = [[chunk], [tiles - (-(-tiles // chunk) - 1) * chunk]]
    cut = Columns.of(depth, most_rows(channels.widest, host()))
    whole = Channels(
        channels.wide, channels.vectors, channels.last_vectors, host().lanes
    )  # sums have room for all lanes
    parts = min(cut.tall + cut.low, -(-tasks // places))

    transforms = Launch(
        WINOGRAD_GRADIENT,
        ("winograd", "transform_tiles"),
        ("x", "dy", "v", "d", "first", "last"),
        -(-chunk // STEP),
        ITEM * max(places * depth, m * m * width),
        x_image=rows.size * cols.size * depth * ITEM,
        x_row=cols.size * depth * ITEM,
        x_pixel=depth * ITEM,
        in_rows=rows.size,
        in_columns=cols.size,
        depth_vectors=of_x.last_vectors - of_x.tail,
        depth_tail=of_x.lanes * of_x.tail,
        dy_image=rows.outputs * cols.outputs * width * ITEM,
        dy_row=cols.outputs * width * ITEM,
        dy_pixel=width * ITEM,
        out_rows=rows.outputs,
        out_columns=cols.outputs,
        width_vectors=of_dy.last_vectors - of_dy.tail,
        width_tail=of_dy.lanes * of_dy.tail,
        before_rows=rows.before,
        before_columns=cols.before,
        m=m,
        tile_rows=tile_rows,
        tile_columns=tile_columns,
        step=STEP,
        v_place=v_place,
        v_tile=v_tile,
        d_place=d_place,
        d_tile=d_tile,
        input=transform("input", m),
        input_tail=transform("input", m, True) if of_x.tail else 0,
        output=transform("output_gradient", m),
        output_tail=transform("output_gradient", m, True) if of_dy.tail else 0,
        vector_bytes=vector,
    )
    multiply = Launch(
        WINOGRAD_PRODUCTS,
        ("winograd", "multiply"),
        ("v", "d", "sums", "told"),
        places * parts,
        keep=(told, start),
        v_place=v_place,
        d_place=d_place,
        sums_place=place_bytes,
        sums_row=sums_row,
        wide=channels.wide,
        wide_bytes=channels.wide_bytes,
        **whole.tiles(cut.rows, bool(cut.low)),
        wide_told=0,
        last_told=told.strides[1],
        tall=cut.tall,
        tall_rows=cut.rows,
        low=cut.low,
        parts=parts,
    )
    result = Launch(
        WINOGRAD_RESULT,
        ("winograd", "result"),
        ("sums", "dw"),
        depth,
        sums_row=side * place_bytes,
        sums_place=place_bytes,
        sums_depth=sums_row,
        dw_tap=depth * width * ITEM,
        dw_depth=width * ITEM,
        vectors=of_dy.last_vectors - of_dy.tail,
        tail=of_dy.lanes * of_dy.tail,
        kernel=transform("weights_gradient", m),
        tail_kernel=transform("weights_gradient", m, True) if of_dy.tail else 0,
        vector_bytes=vector,
    )
    d_at = places * v_place
    return _WeightGradient(
        transforms, multiply, result, tiles, chunk, places, place_bytes, d_at + places * d_place, d_at, told
    )
