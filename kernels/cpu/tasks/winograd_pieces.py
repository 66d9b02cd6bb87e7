"""Winograd's gradient at the weights, all in one task: of a piece of the tiles, block by block in the cache."""

from deepcore.kernels.cpu.native import call, helper, load_int, record
from deepcore.kernels.cpu.record import WINOGRAD_PIECE
from deepcore.kernels.cpu.tasks.winograd import existing, place_of, transform, transform_existing

piece_at = record(WINOGRAD_PIECE)


@helper
def transform_x(t, image, row, column, offset, target):
    """What the tile of outputs at this row and column reads of x."""
    side = t.m + 2
    top = row - t.before_rows
    left = column - t.before_columns
    source = t.x + offset + image * t.x_image + top * t.x_row + left * t.x_pixel
    target_row = side * t.v_place
    ahead = 2 * t.m * t.x_pixel
    exist = existing(t.in_rows, t.in_columns, top, left, side)
    transform_existing(
        t.input,
        t.input_tail,
        t.input_edge,
        t.input_edge_tail,
        source,
        t.x_row,
        t.x_pixel,
        target,
        target_row,
        t.v_place,
        t.depth_vectors,
        t.depth_tail,
        t.vector_bytes,
        ahead,
        exist,
        (1 << (side * side)) - 1,
        t.zeros,
    )


@helper
def transform_dy(t, image, row, column, offset, target):
    """The outputs of the tile."""
    source = t.dy + offset + image * t.dy_image + row * t.dy_row + column * t.dy_pixel
    target_row = (t.m + 2) * t.d_place
    ahead = 2 * t.m * t.dy_pixel
    exist = existing(t.out_rows, t.out_columns, row, column, t.m)
    transform_existing(
        t.output,
        t.output_tail,
        t.output_edge,
        t.output_edge_tail,
        source,
        t.dy_row,
        t.dy_pixel,
        target,
        target_row,
        t.d_place,
        t.width_vectors,
        t.width_tail,
        t.vector_bytes,
        ahead,
        exist,
        (1 << (t.m * t.m)) - 1,
        t.zeros,
    )


@helper
def multiply_block(t, v, d, sums, steps, adds):
    """sums[place, depth, width] = or += v[place, tile, depth] d[place, tile, width], summed over the block's tiles."""
    done = t.tall * t.tall_rows
    for place in range((t.m + 2) * (t.m + 2)):
        for block in range(t.column_blocks):
            kernels = t.kernels + 32 * adds + (0 if block < t.wide else 16)
            a = v + place * t.v_place
            b = d + place * t.d_place + block * t.wide_bytes
            c = sums + place * t.sums_place + block * t.wide_bytes
            call(load_int(kernels), (a, b, c, steps, t.tall))
            if t.low:
                call(load_int(kernels + 8), (a + 4 * done, b, c + done * t.sums_row, steps, t.low))


def gradient_of_piece(told, index, worker):
    """The gradient of one block of the weights from one piece of the tiles."""
    t = piece_at(told)
    piece = index // t.blocks
    depth_block = (index - piece * t.blocks) // t.width_blocks
    width_block = index - piece * t.blocks - depth_block * t.width_blocks
    x_offset = 4 * depth_block * t.depth
    dy_offset = 4 * width_block * t.width
    first = t.tiles * piece // t.pieces
    last = t.tiles * (piece + 1) // t.pieces
    v = t.scratch + worker * t.scratch_bytes
    d = v + t.d_at
    sums = v + t.sums_at
    for begin in range(first, last, t.block):
        end = min(begin + t.block, last)
        for tile in range(begin, end):
            image, row, column = place_of(t, tile)
            transform_x(t, image, row, column, x_offset, v + (tile - begin) * t.v_tile)
            transform_dy(t, image, row, column, dy_offset, d + (tile - begin) * t.d_tile)
        multiply_block(t, v, d, sums, end - begin, 1 if begin > first else 0)
    dw = t.dw + piece * t.dw_piece + depth_block * t.depth * t.dw_depth + dy_offset
    for channel in range(t.depth):
        transform(
            t.weights,
            t.weights_tail,
            sums + channel * t.sums_row,
            (t.m + 2) * t.sums_place,
            t.sums_place,
            dw + channel * t.dw_depth,
            3 * t.dw_tap,
            t.dw_tap,
            t.width_vectors,
            t.width_tail,
            t.vector_bytes,
            t.sums_row,
        )
