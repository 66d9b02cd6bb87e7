"""Depthwise convolution, a few neighbouring outputs at a time, over the input in place; borders go through a patch."""

from deepcore.kernels.cpu.native import call, copy, helper, load_int, record, store_int, zero
from deepcore.kernels.cpu.record import DEPTHWISE, DEPTHWISE_WEIGHTS

depthwise_at = record(DEPTHWISE)
weights_at = record(DEPTHWISE_WEIGHTS)


@helper
def prepare(t, x, first, rows, buffer):
    """Copies what ``rows`` rows of windows read to ``buffer``, with zeros around it and gaps between the pixels."""
    for r in range((rows - 1) * t.row_stride + t.reach_rows):
        h = first * t.row_stride - t.before_rows + r
        to = buffer + r * t.buffer_row
        if h < 0 or h >= t.in_rows:
            zero(to, t.buffer_row)
            continue
        left = max(0, t.before_columns)
        skipped = max(0, -t.before_columns)
        columns = max(0, min(t.in_columns - skipped, t.buffer_columns - left))
        zero(to, left * t.window_pixel)
        if t.window_pixel == t.x_pixel:
            copy(to + left * t.x_pixel, x + h * t.x_row + skipped * t.x_pixel, columns * t.x_pixel)
        else:
            for column in range(columns):
                from_x = x + h * t.x_row + (skipped + column) * t.x_pixel
                copy(to + (left + column) * t.window_pixel, from_x, t.x_pixel)
        done = (left + columns) * t.window_pixel
        zero(to + done, t.buffer_row - done)


@helper
def windows(t, x, first, row, column, outputs, rows, buffer):
    """Writes to ``rows`` where the windows of ``outputs`` neighbours begin in each row: of x, or of the buffer.

    The buffer has all that the task reads, or room for what these windows read where they reach beyond x.
    """
    left = column * t.column_stride
    if t.copied:
        begin = buffer + (row - first) * t.row_stride * t.buffer_row + left * t.window_pixel
        for r in range(t.taps):
            store_int(rows + 8 * r, begin + r * t.row_dilation * t.buffer_row)
        return
    top = row * t.row_stride - t.before_rows
    left -= t.before_columns
    reach = (outputs - 1) * t.column_stride + t.reach_columns
    inside = left >= 0 and left + reach <= t.in_columns
    begin = min(max(0, -left), reach)
    stop = max(begin, min(reach, t.in_columns - left))
    for r in range(t.taps):
        h = top + r * t.row_dilation
        if inside and h >= 0 and h < t.in_rows:
            store_int(rows + 8 * r, x + h * t.x_row + left * t.x_pixel)
        else:
            to = buffer + r * t.buffer_row
            store_int(rows + 8 * r, to)
            if h < 0 or h >= t.in_rows:
                zero(to, reach * t.x_pixel)
            else:
                zero(to, begin * t.x_pixel)
                copy(to + begin * t.x_pixel, x + h * t.x_row + (left + begin) * t.x_pixel, (stop - begin) * t.x_pixel)
                zero(to + stop * t.x_pixel, (reach - stop) * t.x_pixel)


def convolve(told, index, worker):
    """``rows`` output rows of one image."""
    t = depthwise_at(told)
    image = index // t.blocks
    first = (index - image * t.blocks) * t.rows
    rows = min(t.rows, t.out_rows - first)
    x = t.x + image * t.x_image
    at = t.scratch + worker * t.scratch_bytes
    buffer = at + 8 * t.taps
    done = t.vectors * t.vector_bytes
    if t.copied:
        prepare(t, x, first, rows, buffer)
    for row in range(first, first + rows):
        y = t.y + image * t.y_image + row * t.y_row
        column = 0
        for i in range(t.tall + t.low):
            outputs = t.outputs if i < t.tall else t.outputs - 1
            windows(t, x, first, row, column, outputs, at, buffer)
            if t.vectors:
                kernel = t.tall_kernel if i < t.tall else t.low_kernel
                call(kernel, (at, t.window_pixel, t.w, t.w_tap, y, t.y_pixel, t.vectors, t.bias, t.clamp))
            if t.lanes:
                for r in range(t.taps):
                    store_int(at + 8 * r, load_int(at + 8 * r) + done)
                kernel = t.tall_tail if i < t.tall else t.low_tail
                call(
                    kernel,
                    (at, t.window_pixel, t.w + done, t.w_tap, y + done, t.y_pixel, t.lanes, t.bias + done, t.clamp),
                )
            column += outputs
            y += outputs * t.y_pixel


def weights(told, index, worker):
    """One piece of the images' blocks of rows."""
    t = weights_at(told)
    at = t.scratch + worker * t.scratch_bytes
    buffer = at + 8 * t.taps
    done = t.vectors * t.vector_bytes
    dw = t.dw + index * t.dw_piece
    for number in range(t.all_blocks * index // t.pieces, t.all_blocks * (index + 1) // t.pieces):
        image = number // t.blocks
        first = (number - image * t.blocks) * t.rows
        rows = min(t.rows, t.out_rows - first)
        x = t.x + image * t.x_image
        if t.copied:
            prepare(t, x, first, rows, buffer)
        dy = t.dy + (image * t.out_rows + first) * t.dy_row
        for row in range(first, first + rows):
            column = 0
            for i in range(t.tall + t.low):
                outputs = t.outputs if i < t.tall else t.outputs - 1
                windows(t, x, first, row, column, outputs, at, buffer)
                if t.vectors:
                    kernel = t.tall_kernel if i < t.tall else t.low_kernel
                    call(kernel, (at, t.window_pixel, dw, t.w_tap, dy, t.x_pixel, t.vectors))
                if t.lanes:
                    for r in range(t.taps):
                        store_int(at + 8 * r, load_int(at + 8 * r) + done)
                    kernel = t.tall_tail if i < t.tall else t.low_tail
                    call(kernel, (at, t.window_pixel, dw + done, t.w_tap, dy + done, t.x_pixel, t.lanes))
                column += outputs
                dy += outputs * t.x_pixel
