"""The gradient at an input of few channels: each pixel of dy makes what it gives to a row of dx, in one run."""

from deepcore.kernels.cpu.native import call, helper, record, zero
from deepcore.kernels.cpu.record import OVERLAP

overlap_at = record(OVERLAP)


@helper
def spread(t, taps, dy, w, pixels):
    """Runs of all pixels of a row, from ``taps`` rows of dy."""
    told = t.told + taps * t.part_bytes
    for _ in range(t.tall):
        call(t.tall_tile, (told, dy, w, t.zeros, pixels))
        dy += t.tall_rows * t.dy_pixel
        pixels += t.tall_rows * t.pixel
    for _ in range(t.low):
        call(t.low_tile, (told, dy, w, t.zeros, pixels))
        dy += (t.tall_rows - 1) * t.dy_pixel
        pixels += (t.tall_rows - 1) * t.pixel


def overlap(told, index, worker):
    """Some rows of one image of dx, from first to last."""
    t = overlap_at(told)
    image = index // t.blocks
    block = index - image * t.blocks
    buffer = t.scratch + worker * t.scratch_bytes
    zero(buffer, t.scratch_bytes)
    pixels = buffer + t.margin
    for row in range(t.rows * block // t.blocks, t.rows * (block + 1) // t.blocks):
        dx = t.dx + image * t.dx_image + row * t.dx_row
        top = row - t.before
        first = max(0, (t.dilation - 1 - top) // t.dilation)
        taps = min(t.taps, (t.dy_rows - 1 - top) // t.dilation + 1) - first
        if taps <= 0:
            zero(dx, t.size)
            continue
        dy = t.dy + image * t.dy_image + (top + first * t.dilation) * t.dy_row
        spread(t, taps, dy, t.w + first * t.w_tap, pixels)
        call(t.fold, (pixels, dx))
