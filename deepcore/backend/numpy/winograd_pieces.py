"""Winograd's gradient at the weights by tasks whose sums fit into the second-level cache: those of some 64 channels.

The tiles are cut into pieces, and the channels of x and of dy into blocks where they are more. A task transforms a few
tiles of its piece, of a block of x and of one of dy, multiplies them place by place and adds that to sums of its own,
all in the cache; at the end it transforms its sums back, and gradients of pieces are added. What is transformed never
goes to memory, which took longer than to transform x again for each block of dy, as long as these are few.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass, replace

import numpy as np

from deepcore.backend.numpy.channels import Channels
from deepcore.backend.numpy.columns import Columns
from deepcore.backend.numpy.memory import empty
from deepcore.backend.numpy.plans import PLANS
from deepcore.backend.numpy.window import Axis
from deepcore.backend.numpy.winograd_tiles import (
    GRADIENT_TILE,
    PAD,
    TAPS,
    Layout,
    image,
    places_of,
    products,
    tiles_of,
)
from deepcore.kernels.cpu.host import ITEM, host
from deepcore.kernels.cpu.launch import Launch
from deepcore.kernels.cpu.place import Strides
from deepcore.kernels.cpu.record import WINOGRAD_PIECE, address
from deepcore.kernels.cpu.tile import most_rows
from deepcore.kernels.cpu.transform import transform

CACHE_BYTES = 1_000_000  # of a block of transformed tiles and the sums, in the second-level cache
BLOCK_TILES = 16  # of a block at least, for each of which all sums are read and written
PIECE_TILES = 64  # at least
TASKS = 4, 16  # at least, so that cores can share them, and at most
MOST_BLOCKS = 8  # of channels: with more, tiles are transformed too often
PLACES = places_of(GRADIENT_TILE)


@dataclass(frozen=True)
class Pieces:
    """How the gradient of weights [3, 3, C, K] is shared out: every task has one piece of the tiles, and one block.

    Attributes:
        count: of the tiles. It follows from sizes alone, so that the sum of them has the same bits on any number of
            cores.
        depth_blocks, width_blocks: of C and of K; several are of the same size, whole vectors.
        depth, width: channels of a block.
    """

    count: int
    depth_blocks: int
    width_blocks: int
    depth: int
    width: int

    @staticmethod
    @functools.lru_cache(PLANS)
    def of(depth: int, width: int, tiles: int) -> Pieces | None:
        """None where the gradient is better made otherwise."""
        cuts = [
            Pieces(0, depth // depth_block, width // width_block, depth_block, width_block)
            for depth_block, width_block in itertools.product(_blocks(depth), _blocks(width))
            if block_tiles(depth_block, width_block) >= BLOCK_TILES
        ]
        if not cuts:
            return None
        # What a task transforms is in this proportion to what it multiplies.
        cut = min(cuts, key=lambda cut: 1 / cut.depth + 1 / cut.width)
        count = min(TASKS[1] // cut.blocks, tiles // PIECE_TILES)
        return replace(cut, count=count) if cut.blocks <= MOST_BLOCKS and count * cut.blocks >= TASKS[0] else None

    @property
    def blocks(self) -> int:
        """That there are for each piece."""
        return self.depth_blocks * self.width_blocks


def _blocks(channels: int) -> list[int]:
    """The sizes that blocks of so many channels can have."""
    even = range(host().lanes, channels, host().lanes)
    return [size for size in even if channels % size == 0] + [channels]


def block_tiles(depth: int, width: int) -> int:
    """Tiles that fit into the cache beside all sums."""
    v_tile, d_tile = Channels.together(depth).last_bytes, Channels.of(width).padded * ITEM
    return (CACHE_BYTES - PLACES * (depth * d_tile + PAD)) // (PLACES * (v_tile + d_tile))


def weight_gradient(x: np.ndarray, dy: np.ndarray, rows: Axis, cols: Axis, pieces: Pieces) -> np.ndarray:
    """dw [3, 3, C, K] from x [N, H, W, C] and dy [N, P, Q, K], both C-contiguous float32, in tiles of 4 x 4 outputs."""
    sums = empty((pieces.count, 3, 3, x.shape[3], dy.shape[3]), np.float32)
    _plan(x.shape, dy.shape[3], rows, cols, pieces)(address(x), address(dy), address(sums))
    return np.add.reduce(sums, axis=0, out=empty(sums.shape[1:], np.float32)) if pieces.count > 1 else sums[0]


@functools.lru_cache(PLANS)
def _plan(x_shape: tuple[int, ...], dy_channels: int, rows: Axis, cols: Axis, pieces: Pieces) -> Launch:
    x_channels, depth, width = x_shape[3], pieces.depth, pieces.width
    channels, every = Channels.of(width), Channels.together(width)
    rows_of_sums = Columns.of(depth, most_rows(channels.widest, host()))
    tiles = tiles_of(x_shape[0], rows, cols, GRADIENT_TILE)
    piece = -(-tiles // pieces.count)
    block = -(-piece // -(-piece // block_tiles(depth, width)))
    v, d = Layout.of(depth, block, PLACES), Layout.of(width, block, PLACES)
    x_tiles = image("input", GRADIENT_TILE, x_channels, rows, cols, v)
    dy_tiles = image("output_gradient", GRADIENT_TILE, dy_channels, rows, cols, d)
    sums_place = depth * d.tile + PAD
    kernels = products(
        channels,
        (rows_of_sums.rows, rows_of_sums.rows - 1 if rows_of_sums.low else 0),
        lambda _: Strides(ITEM, v.tile, d.tile, d.tile),
    )
    dw_tap = x_channels * dy_channels * ITEM
    return Launch(
        WINOGRAD_PIECE,
        ("winograd_pieces", "gradient_of_piece"),
        ("x", "dy", "dw"),
        pieces.count * pieces.blocks,
        v.bytes + d.bytes + PLACES * sums_place,
        (x_tiles, dy_tiles, kernels),
        x_tiles=address(x_tiles),
        dy_tiles=address(dy_tiles),
        tiles=tiles,
        pieces=pieces.count,
        blocks=pieces.blocks,
        width_blocks=pieces.width_blocks,
        block=block,
        v_place=v.place,
        v_tile=v.tile,
        d_at=v.bytes,
        d_place=d.place,
        d_tile=d.tile,
        sums_at=v.bytes + d.bytes,
        sums_place=sums_place,
        sums_row=d.tile,
        kernels=address(kernels),
        column_blocks=channels.blocks,
        wide=channels.wide,
        wide_bytes=channels.wide_bytes,
        tall=rows_of_sums.tall,
        tall_rows=rows_of_sums.rows,
        low=rows_of_sums.low,
        depth=depth,
        width=width,
        width_vectors=every.last_vectors - every.tail,
        width_tail=every.lanes * every.tail,
        dw_piece=TAPS * dw_tap,
        dw_tap=dw_tap,
        dw_depth=dy_channels * ITEM,
        weights=transform("weights_gradient", GRADIENT_TILE),
        weights_tail=transform("weights_gradient", GRADIENT_TILE, True) if every.tail else 0,
        vector_bytes=host().vector_bytes,
    )
