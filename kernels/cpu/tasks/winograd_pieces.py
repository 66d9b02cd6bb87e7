"""Winograd's gradient at the weights, all in one task: of a piece of the tiles, block by block in the cache."""

from deepcore.kernels.cpu.host import ITEM
from deepcore.kernels.cpu.native import call, helper, record
from deepcore.kernels.cpu.record import WINOGRAD_PIECE
from deepcore.kernels.cpu.tasks.winograd import SIDE, product_of, transform, transform_tile
from deepcore.kernels.cpu.tasks.winograd_gradient import PLACES, PLACES_ROW

piece_at = record(WINOGRAD_PIECE)


@helper
def multiply_block(t, v, d, sums, steps, adds):
    """sums[place, depth, width] = or += v[place, tile, depth] d[place, tile, width], summed over the block's tiles."""
    done = t.tall * t.tall_rows
    for place in range(PLACES):
        for block in range(t.column_blocks):
            last = 0 if block < t.wide else 1
            a = v + place * t.v_place
            b = d + place * t.d_place + block * t.wide_bytes
            c = sums + place * t.sums_place + block * t.wide_bytes
            call(product_of(t.kernels, adds, last, 0), (a, b, c, steps, t.tall))
            if t.low:
                rest = a + ITEM * done, b, c + done * t.sums_row, steps, t.low
                call(product_of(t.kernels, adds, last, 1), rest)


def gradient_of_piece(told, index, worker):
    """The gradient of one block of the weights from one piece of the tiles."""
    t = piece_at(told)
    piece = index // t.blocks
    depth_block = (index - piece * t.blocks) // t.width_blocks
    width_block = index - piece * t.blocks - depth_block * t.width_blocks
    x = t.x + ITEM * depth_block * t.depth
    dy = t.dy + ITEM * width_block * t.width
    first = t.tiles * piece // t.pieces
    last = t.tiles * (piece + 1) // t.pieces
    v = t.scratch + worker * t.scratch_bytes
    d = v + t.d_at
    sums = v + t.sums_at
    for begin in range(first, last, t.block):
        end = min(begin + t.block, last)
        for tile in range(begin, end):
            transform_tile(t.x_tiles, x, tile, v + (tile - begin) * t.v_tile)
            transform_tile(t.dy_tiles, dy, tile, d + (tile - begin) * t.d_tile)
        multiply_block(t, v, d, sums, end - begin, 1 if begin > first else 0)
    dw = t.dw + piece * t.dw_piece + depth_block * t.depth * t.dw_depth + ITEM * width_block * t.width
    for channel in range(t.depth):
        read = sums + channel * t.sums_row, PLACES_ROW * t.sums_place, t.sums_place
        written = dw + channel * t.dw_depth, SIDE * t.dw_tap, t.dw_tap
        channels = t.width_vectors, t.width_tail, t.vector_bytes
        transform(t.weights, t.weights_tail, read, written, channels, t.sums_row)
