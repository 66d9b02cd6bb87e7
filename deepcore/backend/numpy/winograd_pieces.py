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
from deepcore.backend.numpy.plans import ITEM, PLANS
from deepcore.backend.numpy.window import Axis
from deepcore.kernels.cpu.host import host
from deepcore.kernels.cpu.launch import Launch
from deepcore.kernels.cpu.place import Strides, place
from deepcore.kernels.cpu.record import WINOGRAD_PIECE, address
from deepcore.kernels.cpu.tile import most_rows
from deepcore.kernels.cpu.transform import transform

CACHE_BYTES = 1_000_000  # of a block of transformed tiles and the sums, in the second-level cache
BLOCK_TILES = 16  # of a block at least, for each of which all sums are read and written
PIECE_TILES = 64  # at least
TASKS = 4, 16  # at least, so that cores can share them, and at most
MOST_BLOCKS = 8  # of channels: with more, tiles are transformed too often
PLACES = 36  # of a tile of 4 x 4 outputs
PAD = 64  # bytes between places that would meet in one set of the cache, their distance being a power of two


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
    m, x_channels, depth, width = 4, x_shape[3], pieces.depth, pieces.width
    channels, every, all_width = Channels.of(width), Channels.together(depth), Channels.together(width)
    tile_rows, tile_columns = -(-rows.outputs // m), -(-cols.outputs // m)
    tiles = x_shape[0] * tile_rows * tile_columns
    cut = Columns.of(depth, most_rows(channels.widest, host()))

    v_tile, d_tile = every.last_bytes, channels.padded * ITEM
    sums_place = depth * d_tile + PAD
    piece = -(-tiles // pieces.count)
    block = -(-piece // -(-piece // block_tiles(depth, width)))
    v_place, d_place = block * v_tile + PAD, block * d_tile + PAD
    kernels = np.zeros((2, 2, 2), np.int64)  # the first block and others, which add; wide columns and the last; heights
    for vectors, of_columns in ((channels.vectors * bool(channels.wide), 0), (channels.last_vectors, 1)):
        for adds in (False, True):
            for height in (cut.rows, cut.rows - 1 if cut.low else 0):
                if vectors and height:
                    kernel = place(height, vectors, Strides(ITEM, v_tile, d_tile, d_tile), adds)
                    kernels[int(adds), of_columns, cut.rows - height] = kernel
    zeros = np.zeros(host().lanes, np.float32)
    tails = bool(every.tail), bool(all_width.tail)
    return Launch(
        WINOGRAD_PIECE,
        ("winograd_pieces", "gradient_of_piece"),
        ("x", "dy", "dw"),
        pieces.count * pieces.blocks,
        PLACES * (v_place + d_place + sums_place),
        (kernels, zeros),
        x_image=rows.size * cols.size * x_channels * ITEM,
        x_row=cols.size * x_channels * ITEM,
        x_pixel=x_channels * ITEM,
        in_rows=rows.size,
        in_columns=cols.size,
        depth_vectors=every.last_vectors - every.tail,
        depth_tail=every.lanes * every.tail,
        dy_image=rows.outputs * cols.outputs * dy_channels * ITEM,
        dy_row=cols.outputs * dy_channels * ITEM,
        dy_pixel=dy_channels * ITEM,
        out_rows=rows.outputs,
        out_columns=cols.outputs,
        width_vectors=all_width.last_vectors - all_width.tail,
        width_tail=all_width.lanes * all_width.tail,
        before_rows=rows.before,
        before_columns=cols.before,
        m=m,
        tile_rows=tile_rows,
        tile_columns=tile_columns,
        tiles=tiles,
        pieces=pieces.count,
        blocks=pieces.blocks,
        width_blocks=pieces.width_blocks,
        width=width,
        block=block,
        v_place=v_place,
        v_tile=v_tile,
        d_at=PLACES * v_place,
        d_place=d_place,
        d_tile=d_tile,
        sums_at=PLACES * (v_place + d_place),
        sums_place=sums_place,
        sums_row=d_tile,
        kernels=address(kernels),
        column_blocks=channels.blocks,
        wide=channels.wide,
        wide_bytes=channels.wide_bytes,
        tall=cut.tall,
        tall_rows=cut.rows,
        low=cut.low,
        depth=depth,
        dw_piece=9 * x_channels * dy_channels * ITEM,
        dw_tap=x_channels * dy_channels * ITEM,
        dw_depth=dy_channels * ITEM,
        input=transform("input", m),
        input_tail=transform("input", m, True) if tails[0] else 0,
        input_edge=transform("input", m, edge=True),
        input_edge_tail=transform("input", m, True, edge=True) if tails[0] else 0,
        output=transform("output_gradient", m),
        output_tail=transform("output_gradient", m, True) if tails[1] else 0,
        output_edge=transform("output_gradient", m, edge=True),
        output_edge_tail=transform("output_gradient", m, True, edge=True) if tails[1] else 0,
        weights=transform("weights_gradient", m),
        weights_tail=transform("weights_gradient", m, True) if tails[1] else 0,
        vector_bytes=host().vector_bytes,
        zeros=address(zeros),
    )
