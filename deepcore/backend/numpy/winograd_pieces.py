"""Winograd's gradient at the weights where all its sums fit into the second-level cache: for up to some 64 channels.

The tiles are cut into pieces. A task transforms a block of its piece's tiles, of x and of dy, multiplies them place by
place and adds that to sums of its own, all in the cache; at the end it transforms its sums back, and gradients of
pieces are added. What is transformed never goes to memory, which for few channels took longer than the products.
"""

from __future__ import annotations

import functools

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
PIECES = 4, 16  # at least, so that cores can share them, and at most
PLACES = 36  # of a tile of 4 x 4 outputs
PAD = 64  # bytes between places that would meet in one set of the cache, their distance being a power of two


def pieces_of(depth: int, width: int, tiles: int) -> int:
    """In how many pieces the gradient of weights [3, 3, depth, width] is summed, 0 if it is better done otherwise.

    The number follows from sizes alone, so that the sum of them has the same bits on any number of cores.
    """
    if tiles < PIECES[0] * PIECE_TILES or block_tiles(depth, width) < BLOCK_TILES:
        return 0
    return min(PIECES[1], tiles // PIECE_TILES)


def block_tiles(depth: int, width: int) -> int:
    """Tiles that fit into the cache beside all sums."""
    v_tile, d_tile = Channels.together(depth).last_bytes, Channels.of(width).padded * ITEM
    return (CACHE_BYTES - PLACES * (depth * d_tile + PAD)) // (PLACES * (v_tile + d_tile))


def weight_gradient(x: np.ndarray, dy: np.ndarray, rows: Axis, cols: Axis, pieces: int) -> np.ndarray:
    """dw [3, 3, C, K] from x [N, H, W, C] and dy [N, P, Q, K], both C-contiguous float32, in tiles of 4 x 4 outputs."""
    sums = empty((pieces, 3, 3, x.shape[3], dy.shape[3]), np.float32)
    _plan(x.shape, dy.shape[3], rows, cols, pieces)(address(x), address(dy), address(sums))
    dw: np.ndarray = np.add.reduce(sums, axis=0)
    return dw


@functools.lru_cache(PLANS)
def _plan(x_shape: tuple[int, ...], width: int, rows: Axis, cols: Axis, pieces: int) -> Launch:
    m, depth = 4, x_shape[3]
    channels, every, all_width = Channels.of(width), Channels.together(depth), Channels.together(width)
    tile_rows, tile_columns = -(-rows.outputs // m), -(-cols.outputs // m)
    tiles = x_shape[0] * tile_rows * tile_columns
    cut = Columns.of(depth, most_rows(channels.widest, host()))

    v_tile, d_tile = every.last_bytes, channels.padded * ITEM
    sums_place = depth * d_tile + PAD
    piece = -(-tiles // pieces)
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
        pieces,
        PLACES * (v_place + d_place + sums_place),
        (kernels, zeros),
        x_image=rows.size * cols.size * depth * ITEM,
        x_row=cols.size * depth * ITEM,
        x_pixel=depth * ITEM,
        in_rows=rows.size,
        in_columns=cols.size,
        depth_vectors=every.last_vectors - every.tail,
        depth_tail=every.lanes * every.tail,
        dy_image=rows.outputs * cols.outputs * width * ITEM,
        dy_row=cols.outputs * width * ITEM,
        dy_pixel=width * ITEM,
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
        pieces=pieces,
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
        dw_piece=9 * depth * width * ITEM,
        dw_tap=depth * width * ITEM,
        dw_depth=width * ITEM,
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
