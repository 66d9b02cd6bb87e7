"""Winograd's gradient at the weights: transform tiles of x and dy, multiply place by place, transform the sums back."""

from deepcore.kernels.cpu.host import ITEM
from deepcore.kernels.cpu.native import call, record, zero
from deepcore.kernels.cpu.record import (
    WINOGRAD_BLOCK,
    WINOGRAD_FUSED_GRADIENT,
    WINOGRAD_GRADIENT,
    WINOGRAD_PRODUCTS,
    WINOGRAD_RESULT,
)
from deepcore.kernels.cpu.tasks.winograd import SIDE, copy_row, transform, transform_copied, transform_tile

PLACES_ROW = 6  # places of a row, of the tiles of 4 x 4 outputs of which gradients at the weights are made
PLACES = PLACES_ROW * PLACES_ROW

gradient_at = record(WINOGRAD_GRADIENT)
block_at = record(WINOGRAD_BLOCK)
products_at = record(WINOGRAD_PRODUCTS)
result_at = record(WINOGRAD_RESULT)
fused_at = record(WINOGRAD_FUSED_GRADIENT)


def transform_tiles(told, index, worker):
    """``step`` tiles of x and of dy for the gradient at the weights."""
    t = gradient_at(told)
    first = t.first + index * t.step
    for tile in range(first, min(first + t.step, t.last)):
        transform_tile(t.x_tiles, t.x, tile, t.v + (tile - t.first) * t.v_tile)
        transform_tile(t.dy_tiles, t.dy, tile, t.d + (tile - t.first) * t.d_tile)


def gradient_of_block(told, index, worker):
    """The gradient at the weights of a part of the input channels and a block of the output channels."""
    t = block_at(told)
    block = index // t.parts
    part = index - block * t.parts
    wide = block < t.wide
    tile_told = t.told + (0 if wide else t.last_told)
    kernel = t.wide_kernel if wide else t.last_kernel
    begin = part * t.part_depth
    rows = min(t.part_depth, t.depth - begin)
    sums = t.scratch + worker * t.scratch_bytes
    for place in range(PLACES):
        a = t.v + part * t.v_part + place * t.v_place
        b = t.d + block * t.d_part + place * t.d_place
        c = sums + place * t.sums_place
        for row in range(0, rows, t.tile_rows):  # rows beyond the part are made, too, and not read
            call(kernel, (tile_told, a + ITEM * row, b, t.zeros, c))
            c += t.tile_rows * t.sums_row
    target = t.dw + begin * t.dw_depth + block * t.wide_bytes
    channels = t.wide_vectors if wide else t.last_vectors, 0 if wide else t.last_tail, t.vector_bytes
    for row in range(rows):
        read = sums + row * t.sums_row, PLACES_ROW * t.sums_place, t.sums_place
        written = target + row * t.dw_depth, SIDE * t.dw_tap, t.dw_tap
        transform(t.kernel, t.tail_kernel, read, written, channels, t.sums_row)


def multiply(told, index, worker):
    """Adds the products of the chunk's tiles to the sums of one place, for some parts of the input channels."""
    t = products_at(told)
    place = index // t.part_tasks
    share = index - place * t.part_tasks
    for block in range(t.wide + (1 if t.last_kernel else 0)):
        wide = block < t.wide
        tile_told = t.told + (0 if wide else t.last_told)
        kernel = t.wide_kernel if wide else t.last_kernel
        b = t.d + place * t.d_place + block * t.d_part
        for part in range(t.parts * share // t.part_tasks, t.parts * (share + 1) // t.part_tasks):
            a = t.v + place * t.v_place + part * t.v_part
            begin = part * t.part_depth
            c = t.sums + place * t.sums_place + begin * t.sums_row + block * t.wide_bytes
            for row in range(0, min(t.part_depth, t.depth - begin), t.tile_rows):
                call(kernel, (tile_told, a + ITEM * row, b, t.zeros if t.zeros else c, c))
                c += t.tile_rows * t.sums_row


def result(told, index, worker):
    """The gradient at the weights of one input channel."""
    t = result_at(told)
    read = t.sums + index * t.sums_depth, PLACES_ROW * t.sums_place, t.sums_place
    written = t.dw + index * t.dw_depth, SIDE * t.dw_tap, t.dw_tap
    transform(t.kernel, t.tail_kernel, read, written, (t.vectors, t.tail, t.vector_bytes), t.sums_depth)


def gradient_fused(told, index, worker):
    """The gradient at the weights of few input channels from one piece of the rows of tiles."""
    t = fused_at(told)
    v = t.scratch + worker * t.scratch_bytes
    room = v + t.room_at
    sums = v + t.sums_at
    zero(sums, t.blocks * t.sums_block)
    for row in range(t.rows * index // t.pieces, t.rows * (index + 1) // t.pieces):
        copy_row(t, row, v)
        for first in range(0, t.columns, t.together):
            tiles = min(t.together, t.columns - first)
            transform_copied(t, first, tiles, v, v)
            kernel = t.whole_kernel if tiles == t.together else t.last_kernel
            dy = t.dy + row * t.dy_row + first * t.dy_tile
            ahead = dy + tiles * t.dy_tile if first + tiles < t.columns else t.dy + (row + 1) * t.dy_row
            for block in range(t.blocks):
                call(kernel, (v, dy, ahead, room, sums + block * t.sums_block))
                dy += t.block_bytes
                ahead += t.ahead_block
    for block in range(t.blocks):
        dw = t.dw + index * t.dw_piece + block * t.block_bytes
        for channel in range(t.depth):
            read = sums + block * t.sums_block + channel * t.block_bytes, PLACES_ROW * t.sums_place, t.sums_place
            written = dw + channel * t.dw_depth, SIDE * t.dw_tap, t.dw_tap
            transform(t.kernel, 0, read, written, (t.vectors, 0, t.vector_bytes), t.block_bytes)
