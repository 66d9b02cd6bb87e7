"""Pooling loops: maximum and mean over windows, and their gradients, gathered so that no two threads write one pixel.

x is [N, H, W, C], y is [N, P, Q, C]. Window (p, q) starts at row p * stride[0] - start[0]; what it has outside of x
does not exist for it.
"""

from deepcore.kernels.numba.jit import inline, parallel, prange


@inline
def max_pixel(x, y, argmax, n, p, q, window, stride, start):
    """The maximum of window (p, q) and the place of its first occurrence; NaN is larger than everything."""
    top, left = p * stride[0] - start[0], q * stride[1] - start[1]
    first_i, first_j = max(0, -top), max(0, -left)
    last_i, last_j = min(window[0], x.shape[1] - top), min(window[1], x.shape[2] - left)
    place = argmax.dtype.type(first_i * window[1] + first_j)
    for c in range(x.shape[3]):
        y[n, p, q, c] = x[n, top + first_i, left + first_j, c]
        argmax[n, p, q, c] = place
    for i in range(first_i, last_i):
        for j in range(first_j, last_j):
            place = argmax.dtype.type(i * window[1] + j)
            for c in range(x.shape[3]):
                best = y[n, p, q, c]
                value = x[n, top + i, left + j, c]
                take = not (value <= best) and best == best
                y[n, p, q, c] = value if take else best
                argmax[n, p, q, c] = place if take else argmax[n, p, q, c]


@parallel
def max_fprop(x, y, argmax, window, stride, start):
    out_height = y.shape[1]
    for row in prange(y.shape[0] * out_height):
        for q in range(y.shape[2]):
            max_pixel(x, y, argmax, row // out_height, row % out_height, q, window, stride, start)


@inline
def max_input_pixel(dy, argmax, dx, n, h, column, window, stride, start):
    """dx at (n, h, column): the gradients of those windows whose maximum it is."""
    for c in range(dx.shape[3]):
        dx[n, h, column, c] = 0
    down, right = h + start[0], column + start[1]
    for p in range(max(0, (down - window[0]) // stride[0] + 1), min(dy.shape[1], down // stride[0] + 1)):
        for q in range(max(0, (right - window[1]) // stride[1] + 1), min(dy.shape[2], right // stride[1] + 1)):
            place = argmax.dtype.type((down - p * stride[0]) * window[1] + right - q * stride[1])
            for c in range(dx.shape[3]):
                old = dx[n, h, column, c]
                dx[n, h, column, c] = old + dy[n, p, q, c] if argmax[n, p, q, c] == place else old


@parallel
def max_dgrad(dy, argmax, dx, window, stride, start):
    height = dx.shape[1]
    for row in prange(dx.shape[0] * height):
        for column in range(dx.shape[2]):
            max_input_pixel(dy, argmax, dx, row // height, row % height, column, window, stride, start)


@parallel
def max_dgrad_images(dy, argmax, dx, window, stride, start):
    """The same, scattered within each image onto dx = 0: shorter where the channels do not fill a vector register."""
    for n in prange(dy.shape[0]):
        for p in range(dy.shape[1]):
            for q in range(dy.shape[2]):
                top, left = p * stride[0] - start[0], q * stride[1] - start[1]
                for c in range(dy.shape[3]):
                    place = int(argmax[n, p, q, c])
                    i = place // window[1]
                    dx[n, top + i, left + place - i * window[1], c] += dy[n, p, q, c]


@inline
def max_gather_pixel(x, argmax, y, n, p, q, window, stride, start):
    """x where window (p, q) had its maximum."""
    top, left = p * stride[0] - start[0], q * stride[1] - start[1]
    for c in range(y.shape[3]):
        place = int(argmax[n, p, q, c])
        i = place // window[1]
        y[n, p, q, c] = x[n, top + i, left + place - i * window[1], c]


@parallel
def max_gather(x, argmax, y, window, stride, start):
    out_height = y.shape[1]
    for row in prange(y.shape[0] * out_height):
        for q in range(y.shape[2]):
            max_gather_pixel(x, argmax, y, row // out_height, row % out_height, q, window, stride, start)


@inline
def mean_pixel(x, y, n, p, q, window, stride, start):
    """The mean of what window (p, q) has inside x."""
    top, left = p * stride[0] - start[0], q * stride[1] - start[1]
    first_h, first_w = max(0, top), max(0, left)
    last_h, last_w = min(x.shape[1], top + window[0]), min(x.shape[2], left + window[1])
    for c in range(y.shape[3]):
        y[n, p, q, c] = 0
    for h in range(first_h, last_h):
        for column in range(first_w, last_w):
            for c in range(y.shape[3]):
                y[n, p, q, c] += x[n, h, column, c]
    count = y.dtype.type((last_h - first_h) * (last_w - first_w))
    for c in range(y.shape[3]):
        y[n, p, q, c] /= count


@parallel
def mean_fprop(x, y, window, stride, start):
    out_height = y.shape[1]
    for row in prange(y.shape[0] * out_height):
        for q in range(y.shape[2]):
            mean_pixel(x, y, row // out_height, row % out_height, q, window, stride, start)


@inline
def mean_input_pixel(dy, dx, n, h, column, window, stride, start):
    """dx at (n, h, column): its share of every window that holds it."""
    for c in range(dx.shape[3]):
        dx[n, h, column, c] = 0
    down, right = h + start[0], column + start[1]
    for p in range(max(0, (down - window[0]) // stride[0] + 1), min(dy.shape[1], down // stride[0] + 1)):
        top = p * stride[0] - start[0]
        height = min(dx.shape[1], top + window[0]) - max(0, top)
        for q in range(max(0, (right - window[1]) // stride[1] + 1), min(dy.shape[2], right // stride[1] + 1)):
            left = q * stride[1] - start[1]
            width = min(dx.shape[2], left + window[1]) - max(0, left)
            count = dx.dtype.type(height * width)
            for c in range(dx.shape[3]):
                dx[n, h, column, c] += dy[n, p, q, c] / count


@parallel
def mean_dgrad(dy, dx, window, stride, start):
    height = dx.shape[1]
    for row in prange(dx.shape[0] * height):
        for column in range(dx.shape[2]):
            mean_input_pixel(dy, dx, row // height, row % height, column, window, stride, start)
