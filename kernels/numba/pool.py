"""Pooling loops: maximum and mean over windows, and their gradients, gathered so that no two threads write one pixel.

x is [N, H, W, C], y is [N, P, Q, C]. Window (p, q) starts at row p * stride[0] - start[0] and column
q * stride[1] - start[1]; what it has outside of x does not exist for it.

A body makes the channels from ``first`` to ``last`` of one pixel. A core takes all of them and goes on along the row:
they are the innermost loop, which vectorises but keeps its results in memory from tap to tap. A GPU's thread takes one
channel of one pixel, so that neighbouring threads read neighbouring addresses. Where the channels are too few for
vectors, as a single one is, the taps are innermost and the result stays in a register.
"""

from deepcore.kernels.numba.jit import inline, parallel, position, prange

SHORT = 16  # channels that fill no vector register twice


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
def max_pixel(x, y, argmax, n, p, q, first, last, window, stride, start):
    """The maxima of window (p, q) and the places of their first occurrence; NaN is larger than everything."""
    top, first_i, last_i = bounds(p, stride[0], start[0], window[0], x.shape[1])
    left, first_j, last_j = bounds(q, stride[1], start[1], window[1], x.shape[2])
    first_place = argmax.dtype.type(first_i * window[1] + first_j)
    if last - first < SHORT:
        for c in range(first, last):
            best = x[n, top + first_i, left + first_j, c]
            place = first_place
            for i in range(first_i, last_i):
                for j in range(first_j, last_j):
                    value = x[n, top + i, left + j, c]
                    if not (value <= best) and best == best:
                        best = value
                        place = argmax.dtype.type(i * window[1] + j)
            y[n, p, q, c] = best
            argmax[n, p, q, c] = place
    else:
        for c in range(first, last):
            y[n, p, q, c] = x[n, top + first_i, left + first_j, c]
            argmax[n, p, q, c] = first_place
        for i in range(first_i, last_i):
            for j in range(first_j, last_j):
                place = argmax.dtype.type(i * window[1] + j)
                for c in range(first, last):
                    best = y[n, p, q, c]
                    value = x[n, top + i, left + j, c]
                    take = not (value <= best) and best == best
                    y[n, p, q, c] = value if take else best
                    argmax[n, p, q, c] = place if take else argmax[n, p, q, c]


@parallel
def max_fprop(x, y, argmax, window, stride, start):
    height = y.shape[1]
    for row in prange(y.shape[0] * height):
        n, p = row // height, row % height
        for q in range(y.shape[2]):
            max_pixel(x, y, argmax, n, p, q, 0, y.shape[3], window, stride, start)


def max_fprop_thread(item, x, y, argmax, window, stride, start):
    n, p, q, c = position(item, y.shape)
    max_pixel(x, y, argmax, n, p, q, c, c + 1, window, stride, start)


@inline
def max_input_pixel(dy, argmax, dx, n, h, column, first, last, window, stride, start):
    """dx at (n, h, column): the gradients of those windows whose maximum it is."""
    first_p, last_p = holders(h, stride[0], start[0], window[0], dy.shape[1])
    first_q, last_q = holders(column, stride[1], start[1], window[1], dy.shape[2])
    for c in range(first, last):
        dx[n, h, column, c] = 0
    for p in range(first_p, last_p):
        for q in range(first_q, last_q):
            place = (h + start[0] - p * stride[0]) * window[1] + column + start[1] - q * stride[1]
            narrow = argmax.dtype.type(place)
            for c in range(first, last):
                old = dx[n, h, column, c]
                dx[n, h, column, c] = old + dy[n, p, q, c] if argmax[n, p, q, c] == narrow else old


@parallel
def max_dgrad(dy, argmax, dx, window, stride, start):
    height = dx.shape[1]
    for row in prange(dx.shape[0] * height):
        n, h = row // height, row % height
        for column in range(dx.shape[2]):
            max_input_pixel(dy, argmax, dx, n, h, column, 0, dx.shape[3], window, stride, start)


def max_dgrad_thread(item, dy, argmax, dx, window, stride, start):
    n, h, column, c = position(item, dx.shape)
    max_input_pixel(dy, argmax, dx, n, h, column, c, c + 1, window, stride, start)


@parallel
def max_dgrad_short(dy, argmax, dx, window, stride, start):
    """The same for few channels, onto dx = 0: scattered, an image to a thread, so again none meets another."""
    for n in prange(dy.shape[0]):
        for p in range(dy.shape[1]):
            for q in range(dy.shape[2]):
                top, left = p * stride[0] - start[0], q * stride[1] - start[1]
                for c in range(dy.shape[3]):
                    place = int(argmax[n, p, q, c])
                    i = place // window[1]
                    dx[n, top + i, left + place - i * window[1], c] += dy[n, p, q, c]


@inline
def max_gather_pixel(x, argmax, y, n, p, q, first, last, window, stride, start):
    """x where window (p, q) had its maxima."""
    top, left = p * stride[0] - start[0], q * stride[1] - start[1]
    for c in range(first, last):
        place = int(argmax[n, p, q, c])
        i = place // window[1]
        y[n, p, q, c] = x[n, top + i, left + place - i * window[1], c]


@parallel
def max_gather(x, argmax, y, window, stride, start):
    height = y.shape[1]
    for row in prange(y.shape[0] * height):
        for q in range(y.shape[2]):
            max_gather_pixel(x, argmax, y, row // height, row % height, q, 0, y.shape[3], window, stride, start)


def max_gather_thread(item, x, argmax, y, window, stride, start):
    n, p, q, c = position(item, y.shape)
    max_gather_pixel(x, argmax, y, n, p, q, c, c + 1, window, stride, start)


@inline
def mean_pixel(x, y, n, p, q, first, last, window, stride, start):
    """The means of what window (p, q) has inside x."""
    top, first_i, last_i = bounds(p, stride[0], start[0], window[0], x.shape[1])
    left, first_j, last_j = bounds(q, stride[1], start[1], window[1], x.shape[2])
    count = y.dtype.type((last_i - first_i) * (last_j - first_j))
    if last - first < SHORT:
        for c in range(first, last):
            total = y.dtype.type(0)
            for i in range(first_i, last_i):
                for j in range(first_j, last_j):
                    total += x[n, top + i, left + j, c]
            y[n, p, q, c] = total / count
    else:
        for c in range(first, last):
            y[n, p, q, c] = 0
        for i in range(first_i, last_i):
            for j in range(first_j, last_j):
                for c in range(first, last):
                    y[n, p, q, c] += x[n, top + i, left + j, c]
        for c in range(first, last):
            y[n, p, q, c] /= count


@parallel
def mean_fprop(x, y, window, stride, start):
    height = y.shape[1]
    for row in prange(y.shape[0] * height):
        n, p = row // height, row % height
        for q in range(y.shape[2]):
            mean_pixel(x, y, n, p, q, 0, y.shape[3], window, stride, start)


def mean_fprop_thread(item, x, y, window, stride, start):
    n, p, q, c = position(item, y.shape)
    mean_pixel(x, y, n, p, q, c, c + 1, window, stride, start)


@inline
def mean_input_pixel(dy, dx, n, h, column, first, last, window, stride, start):
    """dx at (n, h, column): its share of every window that holds it."""
    first_p, last_p = holders(h, stride[0], start[0], window[0], dy.shape[1])
    first_q, last_q = holders(column, stride[1], start[1], window[1], dy.shape[2])
    for c in range(first, last):
        dx[n, h, column, c] = 0
    for p in range(first_p, last_p):
        _, first_i, last_i = bounds(p, stride[0], start[0], window[0], dx.shape[1])
        for q in range(first_q, last_q):
            _, first_j, last_j = bounds(q, stride[1], start[1], window[1], dx.shape[2])
            count = dx.dtype.type((last_i - first_i) * (last_j - first_j))
            for c in range(first, last):
                dx[n, h, column, c] += dy[n, p, q, c] / count


@parallel
def mean_dgrad(dy, dx, window, stride, start):
    height = dx.shape[1]
    for row in prange(dx.shape[0] * height):
        n, h = row // height, row % height
        for column in range(dx.shape[2]):
            mean_input_pixel(dy, dx, n, h, column, 0, dx.shape[3], window, stride, start)


def mean_dgrad_thread(item, dy, dx, window, stride, start):
    n, h, column, c = position(item, dx.shape)
    mean_input_pixel(dy, dx, n, h, column, c, c + 1, window, stride, start)
