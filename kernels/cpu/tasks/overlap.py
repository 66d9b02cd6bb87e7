"""The gradient at an input of few channels: each pixel of dy makes what it gives to a row of dx, in one run."""

from deepcore.kernels.cpu.native import call, helper, record, zero
from deepcore.kernels.cpu.record import OVERLAP

overlap_at = record(OVERLAP)


@helper
def spread(t, taps, dy, first, pixels):
    """Runs of all pixels of a row, from the rows of dy that ``taps`` taps from ``first`` on read."""
    for block in range(t.wide + (1 if t.last_tall else 0)):
        wide = block < t.wide
        tall_tile = t.wide_tall if wide else t.last_tall
        low_tile = t.wide_low if wide else t.last_low
        told = t.told + taps * t.part_bytes + (0 if wide else t.last_told)
        w = t.w + block * t.wide_w + first * t.steps * (t.wide_bytes if wide else t.last_bytes)
        from_dy = dy
        to_pixel = pixels + block * t.wide_bytes
        for _ in range(t.tall):
            call(tall_tile, (told, from_dy, w, t.zeros, to_pixel))
            from_dy += t.tall_rows * t.dy_pixel
            to_pixel += t.tall_rows * t.pixel
        for _ in range(t.low):
            call(low_tile, (told, from_dy, w, t.zeros, to_pixel))
            from_dy += (t.tall_rows - 1) * t.dy_pixel
            to_pixel += (t.tall_rows - 1) * t.pixel


@helper
def spread_to_all(t, dy, dx, begin, end, pixels):
    """Rows of dx from ``begin`` to ``end``: each row of dy is read once, for all that it reaches."""
    for row in range(begin, end):
        if row - t.before >= t.dy_rows or row - t.before + t.taps <= 0:
            zero(dx + row * t.dx_row, t.size)
    for number in range(max(0, begin - t.before), min(t.dy_rows, end - 1 - t.before + t.taps)):
        spread(t, 1, dy + number * t.dy_row, 0, pixels)
        for tap in range(t.taps):
            row = number + t.before - tap
            if begin <= row < end:
                fold = t.fold if number == max(0, row - t.before) else t.fold_added
                call(fold, (pixels + tap * t.run_bytes, dx + row * t.dx_row))


def overlap(told, index, worker):
    """Some rows of one image of dx, from first to last."""
    t = overlap_at(told)
    image = index // t.blocks
    block = index - image * t.blocks
    buffer = t.scratch + worker * t.scratch_bytes
    zero(buffer, t.scratch_bytes)
    pixels = buffer + t.margin
    begin, end = t.rows * block // t.blocks, t.rows * (block + 1) // t.blocks
    if t.run_bytes:
        spread_to_all(t, t.dy + image * t.dy_image, t.dx + image * t.dx_image, begin, end, pixels)
        return
    for row in range(begin, end):
        dx = t.dx + image * t.dx_image + row * t.dx_row
        top = row - t.before
        first = max(0, (t.dilation - 1 - top) // t.dilation)
        taps = min(t.taps, (t.dy_rows - 1 - top) // t.dilation + 1) - first
        if taps <= 0:
            zero(dx, t.size)
            continue
        dy = t.dy + image * t.dy_image + (top + first * t.dilation) * t.dy_row
        spread(t, taps, dy, first, pixels)
        call(t.fold, (pixels, dx))
