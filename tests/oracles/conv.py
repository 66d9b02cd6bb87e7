"""Naive 2-D convolution and its gradients in float64, from the definition: pad, then loop over the window.

``padding`` is ((top, bottom), (left, right)); kernels are [R, S, C / groups, K].
"""

import numpy as np


def fprop(x, w, strides, padding, dilation, groups):
    y = None
    for (_, ws, ys), part in _parts(x, w, strides, padding, dilation, groups):
        if y is None:
            y = np.zeros((*part.shape[:3], w.shape[3]))
        y[ys] += np.einsum("npqc,ck->npqk", part, w[ws].astype(np.float64))
    return y


def dgrad(dy, w, x_shape, strides, padding, dilation, groups):
    (top, bottom), (left, right) = padding
    n, height, width, c = x_shape
    dx = np.zeros((n, height + top + bottom, width + left + right, c))
    for (xs, ws, ys), _ in _parts(np.zeros(x_shape), w, strides, padding, dilation, groups):
        dx[xs] += np.einsum("npqk,ck->npqc", dy[ys].astype(np.float64), w[ws].astype(np.float64))
    return dx[:, top : top + height, left : left + width]


def wgrad(x, dy, w_shape, strides, padding, dilation, groups):
    dw = np.zeros(w_shape)
    for (_, ws, ys), part in _parts(x, dw, strides, padding, dilation, groups):
        dw[ws] += np.einsum("npqc,npqk->ck", part, dy[ys].astype(np.float64))
    return dw


def _parts(x, w, strides, padding, dilation, groups):
    """For every tap and group: where it reads the padded x, where it is in w, where it adds to y; and what it reads."""
    padded = np.pad(x.astype(np.float64), ((0, 0), *padding, (0, 0)))
    r_taps, s_taps, per_group, k = w.shape
    p = (padded.shape[1] - (r_taps - 1) * dilation[0] - 1) // strides[0] + 1
    q = (padded.shape[2] - (s_taps - 1) * dilation[1] - 1) // strides[1] + 1
    for r in range(r_taps):
        for s in range(s_taps):
            rows = r * dilation[0] + strides[0] * np.arange(p)
            columns = s * dilation[1] + strides[1] * np.arange(q)
            for g in range(groups):
                ins = slice(g * per_group, (g + 1) * per_group)
                outs = slice(g * (k // groups), (g + 1) * (k // groups))
                xs = (slice(None), rows[:, None], columns[None, :], ins)
                yield (xs, (r, s, slice(None), outs), (..., outs)), padded[xs]
