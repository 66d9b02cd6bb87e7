"""Naive 2-D pooling and its gradients in float64: one window at a time, from the definition.

``padding`` is ((top, bottom), (left, right)).
"""

import numpy as np


def windows(x_shape, window, strides, padding):
    """(p, q, [(place in the window, row, column), ...]) for every window, with what it has inside the input."""
    _, height, width, _ = x_shape
    (top, bottom), (left, right) = padding
    for p in range((height + top + bottom - window[0]) // strides[0] + 1):
        for q in range((width + left + right - window[1]) // strides[1] + 1):
            inside = []
            for place in range(window[0] * window[1]):
                row = p * strides[0] - top + place // window[1]
                column = q * strides[1] - left + place % window[1]
                if 0 <= row < height and 0 <= column < width:
                    inside.append((place, row, column))
            yield p, q, inside


def max_fprop(x, y_shape, *how):
    y, argmax = np.empty(y_shape), np.empty(y_shape, int)
    for p, q, inside in windows(x.shape, *how):
        values = np.stack([x[:, row, column].astype(np.float64) for _, row, column in inside])
        first = np.argmax(values, axis=0)  # the first maximum, and the first NaN before any number
        y[:, p, q] = np.take_along_axis(values, first[None], 0)[0]
        argmax[:, p, q] = np.array([place for place, _, _ in inside])[first]
    return y, argmax


def max_dgrad(dy, argmax, x_shape, *how):
    dx = np.zeros(x_shape)
    for p, q, inside in windows(x_shape, *how):
        for place, row, column in inside:
            dx[:, row, column] += np.where(argmax[:, p, q] == place, dy[:, p, q].astype(np.float64), 0)
    return dx


def max_gather(x, argmax, *how):
    y = np.zeros(argmax.shape)
    for p, q, inside in windows(x.shape, *how):
        for place, row, column in inside:
            y[:, p, q] += np.where(argmax[:, p, q] == place, x[:, row, column].astype(np.float64), 0)
    return y


def avg_fprop(x, y_shape, *how):
    y = np.empty(y_shape)
    for p, q, inside in windows(x.shape, *how):
        y[:, p, q] = np.mean([x[:, row, column].astype(np.float64) for _, row, column in inside], axis=0)
    return y


def avg_dgrad(dy, x_shape, *how):
    dx = np.zeros(x_shape)
    for p, q, inside in windows(x_shape, *how):
        for _, row, column in inside:
            dx[:, row, column] += dy[:, p, q].astype(np.float64) / len(inside)
    return dx
