"""Depthwise convolution, a block of neighbouring outputs at a time, over the input in place."""

from deepcore.kernels.cpu.native import call, helper, record
from deepcore.kernels.cpu.record import BLOCK, DEPTHWISE, DEPTHWISE_WEIGHTS

depthwise_at = record(DEPTHWISE)
weights_at = record(DEPTHWISE_WEIGHTS)
block_at = record(BLOCK)
BLOCK_BYTES = BLOCK.itemsize


@helper
def row_of(t, part, parts):
    """The first block of the first row of blocks that belongs to a part of an image."""
    return t.rows * part // parts * t.columns


def convolve(told, index, worker):
    """Some rows of blocks of one image."""
    t = depthwise_at(told)
    image = index // t.parts
    part = index - image * t.parts
    x = t.x + image * t.x_image
    y = t.y + image * t.y_image
    done = t.vectors * t.vector_bytes
    for number in range(row_of(t, part, t.parts), row_of(t, part + 1, t.parts)):
        block = block_at(t.blocks + number * BLOCK_BYTES)
        from_x = x + block.x
        to_y = y + block.y
        if t.vectors:
            call(
                block.kernel,
                (from_x, t.x_row, t.x_pixel, t.w, to_y, t.y_row, t.y_pixel, t.vectors, t.bias, t.clamp),
            )
        if t.lanes:
            w, bias = t.w + done * t.taps, t.bias + done
            call(
                block.tail,
                (from_x + done, t.x_row, t.x_pixel, w, to_y + done, t.y_row, t.y_pixel, t.lanes, bias, t.clamp),
            )


def weights(told, index, worker):
    """One piece of the images' rows of blocks."""
    t = weights_at(told)
    done = t.vectors * t.vector_bytes
    dw = t.dw + index * t.dw_piece
    for row in range(t.all_rows * index // t.pieces, t.all_rows * (index + 1) // t.pieces):
        image = row // t.rows
        first = (row - image * t.rows) * t.columns
        for number in range(first, first + t.columns):
            block = block_at(t.blocks + number * BLOCK_BYTES)
            from_x = t.x + image * t.x_image + block.x
            from_dy = t.dy + image * t.y_image + block.y
            if t.vectors:
                call(block.kernel, (from_x, t.x_row, t.x_pixel, dw, from_dy, t.y_row, t.y_pixel, t.vectors))
            if t.lanes:
                tail = dw + done * t.taps
                call(
                    block.tail,
                    (from_x + done, t.x_row, t.x_pixel, tail, from_dy + done, t.y_row, t.y_pixel, t.lanes),
                )
