"""Winograd's gradient at the weights, of 3 x 3 windows of stride 1, in tiles of 4 x 4 outputs.

For each place of a tile there is one product, of the transformed inputs with the transformed gradients of the outputs,
summed over all tiles. Where the sums of a task fit into the second-level cache, ``winograd_pieces`` makes them. Else
all tiles are transformed at once where they are few, or chunk by chunk where they are many.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepcore.backend.numpy import winograd_pieces
from deepcore.backend.numpy.channels import Channels
from deepcore.backend.numpy.columns import Columns
from deepcore.backend.numpy.memory import empty
from deepcore.backend.numpy.plans import PLANS, tasks_wanted
from deepcore.backend.numpy.window import Axis
from deepcore.backend.numpy.winograd_tiles import GRADIENT_TILE, PAD, STEP, Layout, image, places_of, tiles_of
from deepcore.kernels.cpu import scratch
from deepcore.kernels.cpu.host import ITEM, host
from deepcore.kernels.cpu.launch import Launch
from deepcore.kernels.cpu.record import (
    TILE,
    WINOGRAD_BLOCK,
    WINOGRAD_GRADIENT,
    WINOGRAD_PRODUCTS,
    WINOGRAD_RESULT,
    address,
)
from deepcore.kernels.cpu.tile import most_rows, tile
from deepcore.kernels.cpu.transform import transform

PLACES = places_of(GRADIENT_TILE)
PART_VECTORS = 3  # of input channels that lie side by side: tiles lose no row of them
FEW_TILES = 64  # of which a block of the weights is made at once: more are read too often
CHUNK_BYTES = 2 << 20, 32 << 20  # transformed tiles between the two steps


def weight_gradient(x: np.ndarray, dy: np.ndarray, rows: Axis, cols: Axis) -> np.ndarray:
    """dw [3, 3, C, K] from x [N, H, W, C] and dy [N, P, Q, K], both C-contiguous float32, in tiles of 4 x 4 outputs."""
    depth, width = x.shape[3], dy.shape[3]
    tiles = tiles_of(x.shape[0], rows, cols, GRADIENT_TILE)
    pieces = winograd_pieces.Pieces.of(depth, width, tiles)
    if pieces:
        return winograd_pieces.weight_gradient(x, dy, rows, cols, pieces)
    dw = empty((3, 3, depth, width), np.float32)
    if tiles <= FEW_TILES:
        few = _gradient_by_blocks(x.shape, width, rows, cols, tiles)
        with scratch.borrow(1, few.tile_bytes) as room:
            v, d = room.address, room.address + few.d_at
            few.transform(address(x), address(dy), v, d, 0, tiles)
            few.multiply(v, d, address(dw))
        return dw
    plan = _gradient_by_chunks(x.shape, width, rows, cols, tiles, tasks_wanted())
    with scratch.borrow(1, plan.tile_bytes + plan.sums_bytes) as room:
        v, d, sums = room.address, room.address + plan.d_at, room.address + plan.tile_bytes
        for first in range(0, tiles, plan.chunk):
            last = min(first + plan.chunk, tiles)
            plan.transform(address(x), address(dy), v, d, first, last)
            plan.multiply(v, d, sums, *plan.told(first, last))
        plan.result(sums, address(dw))
    return dw


def _chunk(tiles: int, depth: int, width: int) -> int:
    """Tiles between one step and the next: each chunk reads and writes all the sums once more."""
    sums_bytes = PLACES * depth * width * ITEM
    chunk_bytes = min(max(CHUNK_BYTES[0], 2 * sums_bytes), CHUNK_BYTES[1])
    chunk = min(tiles, max(FEW_TILES, chunk_bytes // (PLACES * (depth + width) * ITEM)))
    return -(-tiles // -(-tiles // chunk))


def _transform_tiles(
    x_shape: tuple[int, ...], width: int, rows: Axis, cols: Axis, most: int, v: Layout, d: Layout
) -> Launch:
    """The launch that transforms the tiles ``first`` to ``last`` of x and dy, at ``most`` so many."""
    x_tiles = image("input", GRADIENT_TILE, x_shape[3], rows, cols, v)
    dy_tiles = image("output_gradient", GRADIENT_TILE, width, rows, cols, d)
    return Launch(
        WINOGRAD_GRADIENT,
        ("winograd_gradient", "transform_tiles"),
        ("x", "dy", "v", "d", "first", "last"),
        -(-most // STEP),
        keep=(x_tiles, dy_tiles),
        x_tiles=address(x_tiles),
        v_tile=v.tile,
        dy_tiles=address(dy_tiles),
        d_tile=d.tile,
        step=STEP,
    )


@dataclass(frozen=True)
class _ByBlocks:
    """The two launches where all tiles are transformed at once, and where the tiles of dy lie behind those of x."""

    transform: Launch
    multiply: Launch
    tile_bytes: int
    d_at: int


@functools.lru_cache(PLANS)
def _gradient_by_blocks(x_shape: tuple[int, ...], width: int, rows: Axis, cols: Axis, tiles: int) -> _ByBlocks:
    depth, channels = x_shape[3], Channels.of(width)
    vector = host().vector_bytes
    widest = channels.widest * vector
    v = Layout.of(depth, tiles, PLACES, PART_VECTORS)
    d = Layout.of(width, tiles, PLACES, channels.widest)
    tile_rows = _tile_rows(v, channels)
    part_depth = v.vectors * host().lanes
    sums_place = -(-part_depth // tile_rows) * tile_rows * widest + PAD

    start, zeros = np.zeros(1, np.int64), np.zeros(widest // ITEM, np.float32)
    told = _tile_records((2,), v, d, widest, start)
    told["steps"] = tiles
    multiply = Launch(
        WINOGRAD_BLOCK,
        ("winograd_gradient", "gradient_of_block"),
        ("v", "d", "dw"),
        channels.blocks * v.parts,
        PLACES * sums_place,
        (told, start, zeros),
        v_part=v.part,
        v_place=v.place,
        d_part=d.part,
        d_place=d.place,
        depth=depth,
        parts=v.parts,
        part_depth=part_depth,
        zeros=address(zeros),
        told=address(told),
        **_block_kernels(channels, tile_rows, told),
        wide_vectors=channels.vectors,
        last_vectors=channels.last_vectors - channels.tail,
        last_tail=channels.lanes * channels.tail,
        sums_place=sums_place,
        sums_row=widest,
        dw_tap=depth * width * ITEM,
        dw_depth=width * ITEM,
        kernel=transform("weights_gradient", GRADIENT_TILE),
        tail_kernel=transform("weights_gradient", GRADIENT_TILE, True) if channels.tail else 0,
        vector_bytes=vector,
    )
    transforms = _transform_tiles(x_shape, width, rows, cols, tiles, v, d)
    return _ByBlocks(transforms, multiply, v.bytes + d.bytes + PAD, v.bytes)


def _tile_records(shape: tuple[int, ...], v: Layout, d: Layout, c_row: int, start: np.ndarray) -> np.ndarray:
    """What register tiles are told of the products of a place, but how many tiles are summed; ``start`` is one 0.

    The last axis is of wide blocks of output channels, and of the last block.
    """
    told = np.zeros(shape, TILE)
    told["a_row"], told["a_step"], told["offsets"], told["runs"] = ITEM, v.tile, address(start), 1
    told["b_step"], told["c_row"] = d.tile, c_row
    told["next_a"], told["next_step"] = min(v.part, v.place), v.tile  # tiles of other rows ask for other lines of it
    told["floor"], told["ceiling"] = -np.inf, np.inf
    return told


def _tile_rows(v: Layout, channels: Channels) -> int:
    """Rows of the tiles for a part of the input channels: only of the last part they may reach beyond."""
    part_depth = v.vectors * host().lanes
    rows = Columns.of(part_depth, most_rows(channels.widest, host())).rows
    assert v.parts == 1 or part_depth % rows == 0
    return rows


def _block_kernels(channels: Channels, tile_rows: int, told: np.ndarray) -> dict[str, Any]:
    """What a task is told of blocks of output channels; ``told`` ends on a ``TILE`` for wide ones and for the last."""
    return {
        "wide": channels.wide,
        "wide_bytes": channels.wide_bytes,
        "wide_kernel": tile(tile_rows, channels.vectors, down=True) if channels.wide else 0,
        "last_kernel": tile(tile_rows, channels.last_vectors, down=True) if channels.last_vectors else 0,
        "last_told": told.strides[-1],
        "tile_rows": tile_rows,
    }


@dataclass(frozen=True)
class _ByChunks:
    """The three launches where the tiles are many: the first two for each chunk of them.

    Attributes:
        chunk: tiles of each but the last.
        tile_bytes, d_at: of the transformed tiles of x and dy, and where those of dy begin.
        sums_bytes: of the sums.
        tile_records: ``TILE`` records for a whole chunk and for the last one, each first to be summed and not; of wide
            blocks and of the last.
        zeros: what the first sums begin with.
    """

    transform: Launch
    multiply: Launch
    result: Launch
    chunk: int
    tile_bytes: int
    d_at: int
    sums_bytes: int
    tile_records: np.ndarray
    zeros: np.ndarray

    def told(self, first: int, last: int) -> tuple[int, int]:
        """The address of the records for these tiles, and that of zeros if there are no sums yet."""
        records = self.tile_records[int(last - first < self.chunk), int(first > 0)]
        return address(records), 0 if first else address(self.zeros)


@functools.lru_cache(PLANS)
def _gradient_by_chunks(
    x_shape: tuple[int, ...], width: int, rows: Axis, cols: Axis, tiles: int, tasks: int
) -> _ByChunks:
    depth, chunk = x_shape[3], _chunk(tiles, x_shape[3], width)
    channels, every = Channels.of(width), Channels.together(width)
    v = Layout.of(depth, chunk, PLACES, PART_VECTORS, by_place=True)
    d = Layout.of(width, chunk, PLACES, channels.widest, by_place=True)
    tile_rows = _tile_rows(v, channels)
    part_depth = v.vectors * host().lanes
    sums_row = every.padded * ITEM
    sums_place = -(-depth // tile_rows) * tile_rows * sums_row + PAD

    start, zeros = np.zeros(1, np.int64), np.zeros(channels.widest * host().lanes, np.float32)
    told = _tile_records((2, 2, 2), v, d, sums_row, start)
    told["init_row"][:, 1] = sums_row
    told["steps"][0], told["steps"][1] = chunk, tiles - (-(-tiles // chunk) - 1) * chunk
    part_tasks = min(v.parts, -(-tasks // PLACES))
    multiply = Launch(
        WINOGRAD_PRODUCTS,
        ("winograd_gradient", "multiply"),
        ("v", "d", "sums", "told", "zeros"),
        PLACES * part_tasks,
        keep=(told, start, zeros),
        v_part=v.part,
        v_place=v.place,
        d_part=d.part,
        d_place=d.place,
        sums_place=sums_place,
        sums_row=sums_row,
        depth=depth,
        parts=v.parts,
        part_depth=part_depth,
        part_tasks=part_tasks,
        **_block_kernels(channels, tile_rows, told),
    )
    result = Launch(
        WINOGRAD_RESULT,
        ("winograd_gradient", "result"),
        ("sums", "dw"),
        depth,
        sums_place=sums_place,
        sums_depth=sums_row,
        dw_tap=depth * width * ITEM,
        dw_depth=width * ITEM,
        vectors=every.last_vectors - every.tail,
        tail=every.lanes * every.tail,
        kernel=transform("weights_gradient", GRADIENT_TILE),
        tail_kernel=transform("weights_gradient", GRADIENT_TILE, True) if every.tail else 0,
        vector_bytes=host().vector_bytes,
    )
    transforms = _transform_tiles(x_shape, width, rows, cols, chunk, v, d)
    return _ByChunks(
        transforms, multiply, result, chunk, v.bytes + d.bytes + PAD, v.bytes, PLACES * sums_place, told, zeros
    )
