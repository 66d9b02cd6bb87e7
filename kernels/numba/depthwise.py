"""Depthwise convolution: every channel has kernels of its own. x [N, H, W, C], w [R, S, C * M], y [N, P, Q, C * M].

Output channel c * M + m comes from input channel c; ``multiplier`` is M.

The bodies make one pixel for the input channels from ``first`` to ``last``. A core takes all of them, so that they
vectorise; a GPU's thread takes one.
"""

from deepcore.kernels.numba.jit import index, inline, parallel, part_of, position


@inline
def output_pixel(x, w, y, n, p, q, stride, dilation, start, first, last, multiplier):
    """y at (n, p, q): the window's products, all channels side by side."""
    for k in range(first * multiplier, last * multiplier):
        y[n, p, q, k] = 0
    for r in range(w.shape[0]):
        h = p * stride[0] + r * dilation[0] - start[0]
        if 0 <= h < x.shape[1]:
            for s in range(w.shape[1]):
                column = q * stride[1] + s * dilation[1] - start[1]
                if 0 <= column < x.shape[2]:
                    if multiplier == 1:
                        for c in range(first, last):
                            y[n, p, q, c] += x[n, h, column, c] * w[r, s, c]
                    else:
                        for c in range(first, last):
                            for m in range(multiplier):
                                k = index(c * multiplier + m)
                                y[n, p, q, k] += x[n, h, column, c] * w[r, s, k]


@parallel
def depthwise_fprop(piece, x, w, y, stride, dilation, start, multiplier):
    out_height = y.shape[1]
    for row in part_of(piece, y.shape[0] * out_height):
        n, p = row // out_height, row % out_height
        for q in range(y.shape[2]):
            output_pixel(x, w, y, n, p, q, stride, dilation, start, 0, x.shape[3], multiplier)


def depthwise_fprop_thread(item, x, w, y, stride, dilation, start, multiplier):
    n, p, q, c = position(item, (y.shape[0], y.shape[1], y.shape[2], x.shape[3]))
    output_pixel(x, w, y, n, p, q, stride, dilation, start, c, c + 1, multiplier)


@inline
def input_pixel(dy, w, dx, n, h, column, stride, dilation, start, first, last, multiplier):
    """dx at (n, h, column): gathered from the windows that hold the pixel."""
    for c in range(first, last):
        dx[n, h, column, c] = 0
    for r in range(w.shape[0]):
        reach = h + start[0] - r * dilation[0]
        p = reach // stride[0]
        if p * stride[0] == reach and 0 <= p < dy.shape[1]:
            for s in range(w.shape[1]):
                reach = column + start[1] - s * dilation[1]
                q = reach // stride[1]
                if q * stride[1] == reach and 0 <= q < dy.shape[2]:
                    if multiplier == 1:
                        for c in range(first, last):
                            dx[n, h, column, c] += dy[n, p, q, c] * w[r, s, c]
                    else:
                        for c in range(first, last):
                            for m in range(multiplier):
                                k = index(c * multiplier + m)
                                dx[n, h, column, c] += dy[n, p, q, k] * w[r, s, k]


@parallel
def depthwise_dgrad(piece, dy, w, dx, stride, dilation, start, multiplier):
    height = dx.shape[1]
    for row in part_of(piece, dx.shape[0] * height):
        n, h = row // height, row % height
        for column in range(dx.shape[2]):
            input_pixel(dy, w, dx, n, h, column, stride, dilation, start, 0, dx.shape[3], multiplier)


def depthwise_dgrad_thread(item, dy, w, dx, stride, dilation, start, multiplier):
    n, h, column, c = position(item, dx.shape)
    input_pixel(dy, w, dx, n, h, column, stride, dilation, start, c, c + 1, multiplier)


@inline
def kernel_row(x, dy, dw, n, r, stride, dilation, start, multiplier):
    """dw[n] at kernel row r: what image n contributes to it."""
    for s in range(dw.shape[2]):
        for k in range(dw.shape[3]):
            dw[n, r, s, k] = 0
    for p in range(dy.shape[1]):
        h = p * stride[0] + r * dilation[0] - start[0]
        if 0 <= h < x.shape[1]:
            for q in range(dy.shape[2]):
                for s in range(dw.shape[2]):
                    column = q * stride[1] + s * dilation[1] - start[1]
                    if 0 <= column < x.shape[2]:
                        if multiplier == 1:
                            for c in range(x.shape[3]):
                                dw[n, r, s, c] += x[n, h, column, c] * dy[n, p, q, c]
                        else:
                            for c in range(x.shape[3]):
                                for m in range(multiplier):
                                    k = index(c * multiplier + m)
                                    dw[n, r, s, k] += x[n, h, column, c] * dy[n, p, q, k]


@parallel
def depthwise_wgrad(piece, x, dy, dw, stride, dilation, start, multiplier):
    """dw [N, R, S, C * M], one summand an image, so that no two threads add to one element."""
    window_height = dw.shape[1]
    for row in part_of(piece, dw.shape[0] * window_height):
        kernel_row(x, dy, dw, row // window_height, row % window_height, stride, dilation, start, multiplier)
