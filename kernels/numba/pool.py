"""Pooling loops: maximum and mean over windows, and their gradients, so that no two threads write one pixel.

x is [N, H, W, C], y is [N, P, Q, C]. Window (p, q) starts at row p * stride[0] - start[0] and column
q * stride[1] - start[1]; what it has outside of x does not exist for it.

A core takes rows, and of a row as many neighbouring elements as read the same taps: the channels of a pixel, or where
windows move by one column all whose windows are inside. ``window.py`` makes vectors of them. A GPU's thread takes one
channel of one pixel, so that neighbouring threads read neighbouring addresses.
"""

import numpy as np

from deepcore.kernels.numba.jit import index, inline, parallel, part_of, position
from deepcore.kernels.numba.window import add_shares, largest, picked, put_picked, put_tiles, scatter, total


@inline
def bounds(p, stride, start, window, size):
    """Where window p begins, and its first and last tap inside the input."""
    # Not max and min, which Numba's own CUDA target cannot compile in its last versions.
    begin = p * stride - start
    return begin, -begin if begin < 0 else 0, size - begin if begin + window > size else window


@inline
def holders(h, stride, start, window, outputs):
    """The first and last window that hold input h."""
    reach = h + start
    first = (reach - window) // stride + 1
    last = reach // stride + 1
    return first if first > 0 else 0, last if last < outputs else outputs


@inline
def holders_of_all(size, stride, start, window, outputs):
    """``holders`` of every input, [size, 2]: its divisions are not made again in every row."""
    table = np.empty((size, 2), np.int64)
    for h in range(size):
        table[h, 0], table[h, 1] = holders(h, stride, start, window, outputs)
    return table


@inline
def run_of(q, stride, first, last):
    """How many outputs from q on are made together: all from ``first`` to ``last`` where windows move by one."""
    return last - q if stride == 1 and first <= q < last else 1


@parallel
def max_fprop(piece, x, y, argmax, window, stride, start):
    height, width, channels = x.shape[1], x.shape[2], x.shape[3]
    line = width * channels
    inside = start[1], width - window[1] + start[1] + 1  # columns of y whose windows are wholly inside of x
    flat_x, flat_y, flat_argmax = x.reshape(-1), y.reshape(-1), argmax.reshape(-1)
    for row in part_of(piece, y.shape[0] * y.shape[1]):
        n = row // y.shape[1]
        top, first_i, last_i = bounds(row - n * y.shape[1], stride[0], start[0], window[0], height)
        q = 0
        while q < y.shape[2]:
            left, first_j, last_j = bounds(q, stride[1], start[1], window[1], width)
            count = run_of(q, stride[1], inside[0], inside[1])
            largest(
                flat_x,
                (n * height + top + first_i) * line + (left + first_j) * channels,
                last_i - first_i,
                line,
                last_j - first_j,
                channels,
                flat_y,
                flat_argmax,
                (row * y.shape[2] + q) * channels,
                count * channels,
                first_i * window[1] + first_j,
                window[1],
            )
            q += count


def max_fprop_thread(item, x, y, argmax, window, stride, start):
    n, p, q, c = position(item, y.shape)
    top, first_i, last_i = bounds(p, stride[0], start[0], window[0], x.shape[1])
    left, first_j, last_j = bounds(q, stride[1], start[1], window[1], x.shape[2])
    best = x[n, top + first_i, left + first_j, c]
    place = argmax.dtype.type(first_i * window[1] + first_j)
    for i in range(first_i, last_i):
        for j in range(first_j, last_j):
            value = x[n, top + i, left + j, c]
            if not (value <= best) and best == best:
                best = value
                place = argmax.dtype.type(i * window[1] + j)
    y[n, p, q, c] = best
    argmax[n, p, q, c] = place


@parallel
def max_dgrad_dense(piece, dy, argmax, dx, window, stride, start):
    """For windows that move by one column: dx in whole rows, each pixel from all the windows that hold it."""
    height, width, channels = dx.shape[1], dx.shape[2], dx.shape[3]
    line = dy.shape[2] * channels
    columns = holders_of_all(width, stride[1], start[1], window[1], dy.shape[2])
    inside = window[1] - 1 - start[1], dy.shape[2] - start[1]  # columns of dx that a window holds by each of its taps
    flat_dy, flat_argmax, flat_dx = dy.reshape(-1), argmax.reshape(-1), dx.reshape(-1)
    for row in part_of(piece, dx.shape[0] * height):
        n = row // height
        h = row - n * height
        first_p, last_p = holders(h, stride[0], start[0], window[0], dy.shape[1])
        column = 0
        while column < width:
            first_q, last_q = columns[column, 0], columns[column, 1]
            count = run_of(column, stride[1], inside[0], inside[1])
            i, j = h + start[0] - first_p * stride[0], column + start[1] - first_q * stride[1]
            picked(
                flat_dy,
                flat_argmax,
                ((n * dy.shape[1] + first_p) * dy.shape[2] + first_q) * channels,
                last_p - first_p,
                line,
                last_q - first_q,
                channels,
                flat_dx,
                (row * width + column) * channels,
                count * channels,
                i * window[1] + j,
                stride[0] * window[1],
                stride[1],
            )
            column += count


def max_dgrad_thread(item, dy, argmax, dx, window, stride, start):
    n, h, column, c = position(item, dx.shape)
    first_p, last_p = holders(h, stride[0], start[0], window[0], dy.shape[1])
    first_q, last_q = holders(column, stride[1], start[1], window[1], dy.shape[2])
    sum_of_all = dx.dtype.type(0)
    for p in range(first_p, last_p):
        for q in range(first_q, last_q):
            place = (h + start[0] - p * stride[0]) * window[1] + column + start[1] - q * stride[1]
            if argmax[n, p, q, c] == argmax.dtype.type(place):
                sum_of_all += dy[n, p, q, c]
    dx[n, h, column, c] = sum_of_all


# Where windows move by more, dx is made from the windows: each adds to its pixels. A strip of rows of dx belongs to one
# thread, which takes of every window the rows that are in the strip.


@inline
def strip_of(task, strips, height):
    """Image and rows of strip number ``task``."""
    n = task // strips
    part = task - n * strips
    return n, height * part // strips, height * (part + 1) // strips


@inline
def clear(flat, image, line, first, last):
    """Writes zeros into the rows from first to last of an image."""
    flat[image + first * line : image + last * line] = 0


@inline
def rows_in_strip(top, window, first, last):
    return first - top if first > top else 0, last - top if last < top + window else window


@parallel
def max_dgrad(piece, dy, argmax, dx, window, stride, start, strips):
    height, width, channels = dx.shape[1], dx.shape[2], dx.shape[3]
    line = width * channels
    apart = window[0] == stride[0] and window[1] == stride[1]  # no gaps either: all but the edges is written
    beside = min(line, (dy.shape[2] * stride[1] - start[1]) * channels)
    flat_dy, flat_argmax, flat_dx = dy.reshape(-1), argmax.reshape(-1), dx.reshape(-1)
    for task in part_of(piece, dx.shape[0] * strips):
        n, first, last = strip_of(task, strips, height)
        image, cleared = n * height * line, first
        first_p, _ = holders(first, stride[0], start[0], window[0], dy.shape[1])
        _, last_p = holders(last - 1, stride[0], start[0], window[0], dy.shape[1])
        for p in range(first_p, last_p):
            top = p * stride[0] - start[0]
            first_i, last_i = rows_in_strip(top, window[0], first, last)
            if apart:
                for i in range(top + first_i, top + last_i):
                    flat_dx[image + i * line + beside : image + (i + 1) * line] = 0
            elif top + last_i > cleared:
                clear(flat_dx, image, line, cleared, top + last_i)
            cleared = max(cleared, top + last_i)
            for q in range(dy.shape[2]):
                left, first_j, last_j = bounds(q, stride[1], start[1], window[1], width)
                put_picked(
                    flat_dy,
                    flat_argmax,
                    ((n * dy.shape[1] + p) * dy.shape[2] + q) * channels,
                    channels,
                    flat_dx,
                    image + (top + first_i) * line + (left + first_j) * channels,
                    last_i - first_i,
                    line,
                    last_j - first_j,
                    channels,
                    first_i * window[1] + first_j,
                    window[1],
                    not apart,
                )
        clear(flat_dx, image, line, cleared, last)


@parallel
def max_dgrad_tiles(piece, dy, argmax, dx):
    """The same for windows of 2 by 2 side by side."""
    height, line = dx.shape[1], dx.shape[2] * dx.shape[3]
    tiles, channels = dy.shape[2], dy.shape[3]
    flat_dy, flat_argmax, flat_dx = dy.reshape(-1), argmax.reshape(-1), dx.reshape(-1)
    for row in part_of(piece, dy.shape[0] * dy.shape[1]):
        n = row // dy.shape[1]
        p = row - n * dy.shape[1]
        top = (n * height + 2 * p) * line
        put_tiles(flat_dy, flat_argmax, row * tiles * channels, tiles, channels, flat_dx, top, top + line)
        if 2 * tiles < dx.shape[2]:
            flat_dx[top + line - channels : top + line] = 0
            flat_dx[top + 2 * line - channels : top + 2 * line] = 0
        if p == dy.shape[1] - 1 and 2 * p + 2 < height:
            flat_dx[top + 2 * line : top + 3 * line] = 0


@inline
def scatter_within(dy, argmax, image, top, corners, offsets, first_place, last_place):
    """``scatter`` of what is at the places from first to last: of the rows of the windows that are in a strip."""
    for element in range(dy.shape[0]):
        if first_place <= argmax[element] < last_place:
            pixel = index(top + corners[element] + offsets[index(argmax[element])])
            image[pixel] += dy[element]


@parallel
def max_dgrad_short(piece, dy, argmax, dx, window, stride, start, strips):
    """The same element by element, for few channels or many taps."""
    height, width, channels = dx.shape[1], dx.shape[2], dx.shape[3]
    line, row = width * channels, dy.shape[2] * channels
    offsets = np.empty(window[0] * window[1], np.int64)  # of a place in the window
    for place in range(offsets.size):
        i = place // window[1]
        offsets[place] = i * line + (place - i * window[1]) * channels
    corners = np.empty(row, np.int64)  # of the windows in a row
    for q in range(dy.shape[2]):
        for c in range(channels):
            corners[q * channels + c] = (q * stride[1] - start[1]) * channels + c
    rows_dy, rows_argmax = dy.reshape(-1, row), argmax.reshape(-1, row)
    flat_dy, flat_argmax, flat_dx = dy.reshape(-1), argmax.reshape(-1), dx.reshape(-1)
    for task in part_of(piece, dx.shape[0] * strips):
        n, first, last = strip_of(task, strips, height)
        first_p, _ = holders(first, stride[0], start[0], window[0], dy.shape[1])
        _, last_p = holders(last - 1, stride[0], start[0], window[0], dy.shape[1])
        image = n * height * line
        clear(flat_dx, image, line, first, last)
        for p in range(first_p, last_p):
            top = p * stride[0] - start[0]
            first_i, last_i = rows_in_strip(top, window[0], first, last)
            top, source = image + top * line, n * dy.shape[1] + p
            if strips == 1 or last_i - first_i == window[0]:
                scatter(flat_dy, flat_argmax, source * row, row, flat_dx, top, corners, offsets)
            else:
                low, high = first_i * window[1], last_i * window[1]
                scatter_within(rows_dy[source], rows_argmax[source], flat_dx, top, corners, offsets, low, high)


@inline
def max_gather_pixel(x, argmax, y, n, p, q, first, last, window, stride, start):
    """x where window (p, q) had its maxima."""
    top, left = p * stride[0] - start[0], q * stride[1] - start[1]
    for c in range(first, last):
        place = int(argmax[n, p, q, c])
        i = place // window[1]
        y[n, p, q, c] = x[n, top + i, left + place - i * window[1], c]


@parallel
def max_gather(piece, x, argmax, y, window, stride, start):
    height = y.shape[1]
    for row in part_of(piece, y.shape[0] * height):
        for q in range(y.shape[2]):
            max_gather_pixel(x, argmax, y, row // height, row % height, q, 0, y.shape[3], window, stride, start)


def max_gather_thread(item, x, argmax, y, window, stride, start):
    n, p, q, c = position(item, y.shape)
    max_gather_pixel(x, argmax, y, n, p, q, c, c + 1, window, stride, start)


@parallel
def mean_fprop(piece, x, y, window, stride, start):
    height, width, channels = x.shape[1], x.shape[2], x.shape[3]
    line = width * channels
    inside = start[1], width - window[1] + start[1] + 1
    flat_x, flat_y = x.reshape(-1), y.reshape(-1)
    for row in part_of(piece, y.shape[0] * y.shape[1]):
        n = row // y.shape[1]
        top, first_i, last_i = bounds(row - n * y.shape[1], stride[0], start[0], window[0], height)
        q = 0
        while q < y.shape[2]:
            left, first_j, last_j = bounds(q, stride[1], start[1], window[1], width)
            count = run_of(q, stride[1], inside[0], inside[1])
            total(
                flat_x,
                (n * height + top + first_i) * line + (left + first_j) * channels,
                last_i - first_i,
                line,
                last_j - first_j,
                channels,
                flat_y,
                (row * y.shape[2] + q) * channels,
                count * channels,
                y.dtype.type(1) / y.dtype.type((last_i - first_i) * (last_j - first_j)),
            )
            q += count


@parallel
def mean_global(piece, x, y, strips):
    """The mean of whole images, by strips of their channels: memory is read as it lies, sums stay in a cache."""
    pixels, channels = x.shape[1] * x.shape[2], x.shape[3]
    scale = y.dtype.type(1) / y.dtype.type(pixels)
    flat_x, flat_y = x.reshape(-1), y.reshape(-1)
    for part in part_of(piece, x.shape[0] * strips):
        n = part // strips
        strip = part - n * strips
        first, last = channels * strip // strips, channels * (strip + 1) // strips
        sums = n * channels
        flat_y[sums + first : sums + last] = 0
        start = n * pixels * channels + first
        for pixel in range(0, pixels - 3, 4):  # four at a time: the sums are read and written less often
            add_runs(flat_x, start + pixel * channels, channels, flat_y, sums + first, last - first)
        for pixel in range(pixels // 4 * 4, pixels):
            add_run(flat_x, start + pixel * channels, flat_y, sums + first, last - first)
        for c in range(first, last):
            flat_y[index(sums + c)] *= scale


@inline
def add_runs(x, first, step, y, target, length):
    for element in range(length):
        here = first + element
        half = y[index(target + element)] + x[index(here)] + x[index(here + step)]
        y[index(target + element)] = half + x[index(here + 2 * step)] + x[index(here + 3 * step)]


@inline
def add_run(x, first, y, target, length):
    for element in range(length):
        y[index(target + element)] += x[index(first + element)]


def mean_fprop_thread(item, x, y, window, stride, start):
    n, p, q, c = position(item, y.shape)
    top, first_i, last_i = bounds(p, stride[0], start[0], window[0], x.shape[1])
    left, first_j, last_j = bounds(q, stride[1], start[1], window[1], x.shape[2])
    sum_of_all = y.dtype.type(0)
    for i in range(first_i, last_i):
        for j in range(first_j, last_j):
            sum_of_all += x[n, top + i, left + j, c]
    y[n, p, q, c] = sum_of_all / y.dtype.type((last_i - first_i) * (last_j - first_j))


@parallel
def mean_dgrad_dense(piece, shares, dx, window, stride, start, scale):
    """For windows that move by one column: dx in whole rows, from ``shares`` as in ``mean_dgrad_short``."""
    height, width, channels = dx.shape[1], dx.shape[2], dx.shape[3]
    line = shares.shape[2] * channels
    columns = holders_of_all(width, stride[1], start[1], window[1], shares.shape[2])
    inside = window[1] - 1 - start[1], shares.shape[2] - start[1]
    flat_shares, flat_dx = shares.reshape(-1), dx.reshape(-1)
    for row in part_of(piece, dx.shape[0] * height):
        n = row // height
        first_p, last_p = holders(row - n * height, stride[0], start[0], window[0], shares.shape[1])
        column = 0
        while column < width:
            first_q, last_q = columns[column, 0], columns[column, 1]
            count = run_of(column, stride[1], inside[0], inside[1])
            total(
                flat_shares,
                ((n * shares.shape[1] + first_p) * shares.shape[2] + first_q) * channels,
                last_p - first_p,
                line,
                last_q - first_q,
                channels,
                flat_dx,
                (row * width + column) * channels,
                count * channels,
                scale,
            )
            column += count


@parallel
def mean_dgrad(piece, dy, dx, window, stride, start, strips):
    height, width, channels = dx.shape[1], dx.shape[2], dx.shape[3]
    line = width * channels
    flat_dy, flat_dx = dy.reshape(-1), dx.reshape(-1)
    for task in part_of(piece, dx.shape[0] * strips):
        n, first, last = strip_of(task, strips, height)
        image, cleared = n * height * line, first
        first_p, _ = holders(first, stride[0], start[0], window[0], dy.shape[1])
        _, last_p = holders(last - 1, stride[0], start[0], window[0], dy.shape[1])
        for p in range(first_p, last_p):
            top, inside_i, outside_i = bounds(p, stride[0], start[0], window[0], height)
            first_i, last_i = rows_in_strip(top, window[0], first, last)
            if top + last_i > cleared:
                clear(flat_dx, image, line, cleared, top + last_i)
                cleared = top + last_i
            for q in range(dy.shape[2]):
                left, first_j, last_j = bounds(q, stride[1], start[1], window[1], width)
                add_shares(
                    flat_dy,
                    ((n * dy.shape[1] + p) * dy.shape[2] + q) * channels,
                    channels,
                    dx.dtype.type(1) / dx.dtype.type((outside_i - inside_i) * (last_j - first_j)),
                    flat_dx,
                    image + (top + first_i) * line + (left + first_j) * channels,
                    last_i - first_i,
                    line,
                    last_j - first_j,
                    channels,
                )
        clear(flat_dx, image, line, cleared, last)


@parallel
def mean_dgrad_short(piece, shares, dx, window, stride, start, scale):
    """The same for few channels, from ``shares``: adds up the windows of a row, then hands the sums to its pixels.

    The shares are dy if each is still to be multiplied by ``scale``, or dy over the number of pixels of its window.
    """
    height, width, channels = dx.shape[1], dx.shape[2], dx.shape[3]
    line = shares.shape[2] * channels
    most = (window[1] - 1) // stride[1] + 1
    sources = np.full((most, width * channels), line, np.int64)  # windows of an element, the last of a row is zero
    for column in range(width):
        first_q, last_q = holders(column, stride[1], start[1], window[1], shares.shape[2])
        for q in range(first_q, last_q):
            for c in range(channels):
                sources[q - first_q, column * channels + c] = q * channels + c
    flat_shares, flat_dx = shares.reshape(-1), dx.reshape(-1)
    for row in part_of(piece, dx.shape[0] * height):
        n = row // height
        first_p, last_p = holders(row - n * height, stride[0], start[0], window[0], shares.shape[1])
        sums = np.zeros(line + 1, dx.dtype)
        total(
            flat_shares,
            (n * shares.shape[1] + first_p) * line,
            last_p - first_p,
            line,
            1,
            0,
            sums,
            0,
            line,
            scale,
        )
        hand_out(sums, sources, flat_dx, row * width * channels)


@inline
def hand_out(sums, sources, dx, first):
    for element in range(sources.shape[1]):
        dx[index(first + element)] = sums[index(sources[0, element])]
    for k in range(1, sources.shape[0]):
        for element in range(sources.shape[1]):
            dx[index(first + element)] += sums[index(sources[k, element])]


def mean_dgrad_thread(item, dy, dx, window, stride, start):
    n, h, column, c = position(item, dx.shape)
    first_p, last_p = holders(h, stride[0], start[0], window[0], dy.shape[1])
    first_q, last_q = holders(column, stride[1], start[1], window[1], dy.shape[2])
    sum_of_all = dx.dtype.type(0)
    for p in range(first_p, last_p):
        _, first_i, last_i = bounds(p, stride[0], start[0], window[0], dx.shape[1])
        for q in range(first_q, last_q):
            _, first_j, last_j = bounds(q, stride[1], start[1], window[1], dx.shape[2])
            sum_of_all += dy[n, p, q, c] / dx.dtype.type((last_i - first_i) * (last_j - first_j))
    dx[n, h, column, c] = sum_of_all
