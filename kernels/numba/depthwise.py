"""Depthwise convolution: every channel has kernels of its own. x [N, H, W, C], w [R, S, C * M], y [N, P, Q, C * M].

Output channel c * M + m comes from input channel c; ``multiplier`` is M.
"""

from deepcore.kernels.numba.jit import index, inline, parallel, prange


@inline
def output_pixel(x, w, y, n, p, q, stride, dilation, start, multiplier):
    """y at (n, p, q): the window's products, all channels side by side."""
    for k in range(y.shape[3]):
        y[n, p, q, k] = 0
    for r in range(w.shape[0]):
        h = p * stride[0] + r * dilation[0] - start[0]
        if 0 <= h < x.shape[1]:
            for s in range(w.shape[1]):
                column = q * stride[1] + s * dilation[1] - start[1]
                if 0 <= column < x.shape[2]:
                    if multiplier == 1:
                        for c in range(x.shape[3]):
                            y[n, p, q, c] += x[n, h, column, c] * w[r, s, c]
                    else:
                        for c in range(x.shape[3]):
                            for m in range(multiplier):
                                k = index(c * multiplier + m)
                                y[n, p, q, k] += x[n, h, column, c] * w[r, s, k]


@parallel
def depthwise_fprop(x, w, y, stride, dilation, start, multiplier):
    out_height = y.shape[1]
    for row in prange(y.shape[0] * out_height):
        for q in range(y.shape[2]):
            output_pixel(x, w, y, row // out_height, row % out_height, q, stride, dilation, start, multiplier)


@inline
def input_pixel(dy, w, dx, n, h, column, stride, dilation, start, multiplier):
    """dx at (n, h, column): gathered from the windows that hold the pixel."""
    for c in range(dx.shape[3]):
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
                        for c in range(dx.shape[3]):
                            dx[n, h, column, c] += dy[n, p, q, c] * w[r, s, c]
                    else:
                        for c in range(dx.shape[3]):
                            for m in range(multiplier):
                                k = index(c * multiplier + m)
                                dx[n, h, column, c] += dy[n, p, q, k] * w[r, s, k]


@parallel
def depthwise_dgrad(dy, w, dx, stride, dilation, start, multiplier):
    height = dx.shape[1]
    for row in prange(dx.shape[0] * height):
        for column in range(dx.shape[2]):
            input_pixel(dy, w, dx, row // height, row % height, column, stride, dilation, start, multiplier)


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
def depthwise_wgrad(x, dy, dw, stride, dilation, start, multiplier):
    """dw [N, R, S, C * M], one summand an image, so that no two threads add to one element."""
    window_height = dw.shape[1]
    for row in prange(dw.shape[0] * window_height):
        kernel_row(x, dy, dw, row // window_height, row % window_height, stride, dilation, start, multiplier)
