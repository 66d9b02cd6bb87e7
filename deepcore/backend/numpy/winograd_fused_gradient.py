"""Winograd's gradient at the weights of few input channels, where vectors are a part of a cache line.

The output is whole tiles, and whole blocks of two vectors of channels, as it is for ``winograd_fused``.
"""

from __future__ import annotations

import functools

import numpy as np

from deepcore.backend.numpy.channels import Channels
from deepcore.backend.numpy.memory import empty
from deepcore.backend.numpy.plans import PIECES, PLANS
from deepcore.backend.numpy.window import Axis
from deepcore.backend.numpy.winograd_fused import VECTORS
from deepcore.backend.numpy.winograd_tiles import GRADIENT_TILE, TAPS, TileRow
from deepcore.kernels.cpu.fused_gradient import FusedGradient, ahead_bytes, fused_gradient, room_bytes, sums_bytes
from deepcore.kernels.cpu.host import ITEM, host
from deepcore.kernels.cpu.launch import Launch
from deepcore.kernels.cpu.record import WINOGRAD_FUSED_GRADIENT, address
from deepcore.kernels.cpu.transform import transform

TOGETHER = 4  # tiles that are transformed and multiplied at once: of more, the first-level cache does not keep all


def weight_gradient(x: np.ndarray, dy: np.ndarray, rows: Axis, cols: Axis) -> np.ndarray:
    """dw [3, 3, C, K] from x [N, H, W, C] and dy [N, P, Q, K], both C-contiguous float32, in tiles of 4 x 4 outputs.

    C is at most ``FEW``, K a multiple of ``VECTORS`` vectors, P and Q are multiples of 4.
    """
    plan, shape = _plan(x.shape, dy.shape[3], rows, cols)
    sums = empty(shape, np.float32)
    plan(address(x), address(dy), address(sums))
    return np.add.reduce(sums, axis=0, out=empty(shape[1:], np.float32)) if shape[0] > 1 else sums[0]


@functools.lru_cache(PLANS)
def _plan(x_shape: tuple[int, ...], width: int, rows: Axis, cols: Axis) -> tuple[Launch, tuple[int, ...]]:
    """The launch, and the shape of its sums: [pieces, 3, 3, C, K].

    The number of pieces follows from sizes alone, so that the sum of them has the same bits on any number of cores.
    """
    images, depth = x_shape[0], x_shape[3]
    channels = Channels.cut(width, VECTORS)
    row = TileRow.of(x_shape, rows, cols, GRADIENT_TILE)
    columns, tile_rows = cols.outputs // GRADIENT_TILE, images * row.tile_rows
    dy_pixel = width * ITEM
    dy_row = cols.outputs * dy_pixel
    whole, last = (
        FusedGradient(count, depth, VECTORS, row.tile, row.place, dy_row, dy_pixel)
        for count in (TOGETHER, columns % TOGETHER)
    )
    pieces = min(PIECES, tile_rows)
    sums = sums_bytes(whole, host())
    room_at = TOGETHER * row.tile
    sums_at = room_at + room_bytes(whole, host())
    row_at = sums_at + channels.wide * sums
    launch = Launch(
        WINOGRAD_FUSED_GRADIENT,
        ("winograd_gradient", "gradient_fused"),
        ("x", "dy", "dw"),
        pieces,
        row_at + row.bytes,
        (),
        **row.fields(row_at),
        dy_row=GRADIENT_TILE * dy_row,
        dy_tile=GRADIENT_TILE * dy_pixel,
        rows=tile_rows,
        columns=columns,
        pieces=pieces,
        together=TOGETHER,
        whole_kernel=fused_gradient(whole) if columns >= TOGETHER else 0,
        last_kernel=fused_gradient(last) if last.tiles else 0,
        room_at=room_at,
        sums_at=sums_at,
        sums_block=sums,
        sums_place=depth * channels.wide_bytes,
        ahead_block=ahead_bytes(whole, host()),
        blocks=channels.wide,
        block_bytes=channels.wide_bytes,
        depth=depth,
        dw_piece=TAPS * depth * dy_pixel,
        dw_tap=depth * dy_pixel,
        dw_depth=dy_pixel,
        kernel=transform("weights_gradient", GRADIENT_TILE),
        vectors=VECTORS,
    )
    return launch, (pieces, 3, 3, depth, width)
