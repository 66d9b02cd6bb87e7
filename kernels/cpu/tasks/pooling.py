"""Pooling and its gradient, a block of neighbouring outputs at a time, over the input in place."""

from deepcore.kernels.cpu.native import call, record
from deepcore.kernels.cpu.record import BLOCK, POOLING

pooling_at = record(POOLING)
block_at = record(BLOCK)
BLOCK_BYTES = BLOCK.itemsize
ITEM = 4  # bytes of an element; a place in the window has one


def pool(told, index, worker):
    """Some rows of blocks of one image; places lie beside what is read on the way back, else beside what is written."""
    t = pooling_at(told)
    image = index // t.parts
    part = index - image * t.parts
    x = image * t.x_image
    y = image * t.y_image
    for number in range(t.rows * part // t.parts * t.columns, t.rows * (part + 1) // t.parts * t.columns):
        block = block_at(t.blocks + number * BLOCK_BYTES)
        places = t.places + (x + block.x if t.back else y + block.y) // ITEM
        call(
            block.kernel,
            (t.x + x + block.x, t.x_row, t.x_pixel, t.y + y + block.y, t.y_row, t.y_pixel, places, t.vectors),
        )
