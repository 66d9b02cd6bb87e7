"""Exact values of single outputs, straight from the definitions, in float64.

A naive whole output of a VGG layer would take minutes; a sample of its elements takes milliseconds and is as
independent: each is summed over its own receptive field, gathered by indices that no implementation shares. Corners
are always in the sample, because that is where padding and tails of tiles go wrong.

**The bound.** An error is always stated relative to ``sum |a_i * b_i|``, the magnitude of what an output sums:
cancellation then neither hides nor invents one. The measured arrays are random with mean zero, and for such data the
rounding errors of a sum do not grow with its length relative to that magnitude: they stay below a small multiple,
``CONFIDENCE``, of the unit roundoff (Higham & Mary 2020, "Sharper probabilistic backward error analysis for basic
linear algebra kernels with random data"). A fast convolution also rounds its transforms, ``TRANSFORM`` times as large
as one product's rounding; these errors are independent, so over ``length`` terms they fall as ``1 / sqrt(length)``
against the magnitude. The bound is tight enough to notice one missing term among a hundred thousand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from deepcore.backend.geometry import Conv2DGeometry, MatmulGeometry, Pool2DGeometry

CONFIDENCE = 16.0
TRANSFORM = 128.0
EPSILONS = {"tf32": 2.0**-10, "bfloat16": 2.0**-7}  # from 1 to the next number
GATHERED_ELEMENTS = 8_000_000

Index = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Expectation:
    """What sampled elements of an output must be.

    Attributes:
        index: one integer array an axis; ``output[index]`` are the sampled elements.
        value: their exact values, float64 (integers where the output is one).
        magnitude: for each, the sum of the absolute values of its terms.
        length: the most terms that any of them sums; 0 where values are copied and must be equal.
    """

    index: Index
    value: np.ndarray
    magnitude: np.ndarray
    length: int


def bound(length: int, dtype: str, *, transformed: bool = False, precision: str | None = None) -> float:
    """The largest error relative to the magnitude that a sum of ``length`` terms may show in ``dtype``.

    ``precision`` is that of the products, where it is less: ``"tf32"`` or ``"bfloat16"``. ``transformed`` is for
    operations that have fast algorithms of the Winograd kind. The oracle's own roundings, in float64, count as well;
    they only matter when float64 is what is measured.

    >>> bound(0, "float32")
    0.0
    >>> f"{bound(576, 'float32'):.1e} {bound(576, 'float32', transformed=True):.1e}"
    '9.5e-07 6.0e-06'
    """
    if length == 0:
        return 0.0
    eps = EPSILONS[precision] if precision else float(np.finfo(dtype).eps)
    roundoff = (eps + float(np.finfo(np.float64).eps)) / 2
    return CONFIDENCE * roundoff * (1 + transformed * TRANSFORM / length**0.5)


def error(got: np.ndarray, expected: Expectation) -> float:
    """The largest error of the sampled elements of ``got``, relative to their magnitudes; inf where NaN or infinite.

    An element that sums nothing must be exactly zero.
    """
    difference = np.abs(got[expected.index].astype(np.float64) - expected.value)
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = np.where(difference == 0, 0.0, difference / expected.magnitude)
    return float(np.where(np.isnan(relative), np.inf, relative).max())


def sample(shape: Sequence[int], count: int, rng: np.random.Generator) -> Index:
    """Up to ``count`` random positions of an array, and the corners of every axis; all positions of a small one."""
    size = int(np.prod(shape))
    if size <= count:
        return np.unravel_index(np.arange(size), tuple(shape))
    corners = np.array(list(product(*({0, length - 1} for length in shape)))).T
    inside = np.array([rng.integers(0, length, count) for length in shape])
    return tuple(np.concatenate([corners, inside], axis=1))


def affordable(length: int, count: int) -> int:
    """How many elements to sample when each gathers ``length`` terms."""
    return int(max(16, min(count, GATHERED_ELEMENTS // max(length, 1))))


# --- convolution -----------------------------------------------------------------------------------------------------


def conv2d_fprop(x: np.ndarray, w: np.ndarray, g: Conv2DGeometry, index: Index) -> Expectation:
    """y[n, p, q, k] = sum over r, s, c of x[n, p * stride + r * dilation - top, .., c] * w[r, s, c, k]."""
    n, p, q, k = index
    per_group = g.in_channels // g.groups
    channels = (k // (g.out_channels // g.groups) * per_group)[:, None] + np.arange(per_group)
    total = _Total(len(k))
    for r, s in product(range(g.kernel_height), range(g.kernel_width)):
        row = p * g.strides[0] + r * g.dilation[0] - g.padding[0][0]
        column = q * g.strides[1] + s * g.dilation[1] - g.padding[1][0]
        inside = (row >= 0) & (row < g.height) & (column >= 0) & (column < g.width)
        pixels = x[n[inside, None], row[inside, None], column[inside, None], channels[inside]]
        total.add(inside, pixels, w[r, s].T[k[inside]])
    return total.expectation(index, g.kernel_height * g.kernel_width * per_group)


def conv2d_dgrad(dy: np.ndarray, w: np.ndarray, g: Conv2DGeometry, index: Index) -> Expectation:
    """dx[n, h, w, c] = sum of dy[n, p, q, k] * w[r, s, c, k] wherever x[n, h, w, c] took part."""
    n, h, width, c = index
    per_group, outputs = g.in_channels // g.groups, g.out_channels // g.groups
    kernels = (c // per_group * outputs)[:, None] + np.arange(outputs)
    total = _Total(len(c))
    for r, s in product(range(g.kernel_height), range(g.kernel_width)):
        p, row_ends = np.divmod(h + g.padding[0][0] - r * g.dilation[0], g.strides[0])
        q, column_ends = np.divmod(width + g.padding[1][0] - s * g.dilation[1], g.strides[1])
        hit = (row_ends == 0) & (column_ends == 0) & (p >= 0) & (p < g.out_height) & (q >= 0) & (q < g.out_width)
        gradients = dy[n[hit, None], p[hit, None], q[hit, None], kernels[hit]]
        total.add(hit, gradients, w[r, s][(c % per_group)[hit, None], kernels[hit]])
    return total.expectation(index, g.kernel_height * g.kernel_width * outputs)


def conv2d_wgrad(x: np.ndarray, dy: np.ndarray, g: Conv2DGeometry, index: Index) -> Expectation:
    """dw[r, s, c, k] = sum over n, p, q of x[n, p * stride + r * dilation - top, .., c] * dy[n, p, q, k]."""
    total = _Total(len(index[0]))
    p, q = np.arange(g.out_height), np.arange(g.out_width)
    for i, (r, s, c, k) in enumerate(zip(*index, strict=True)):
        channel = k // (g.out_channels // g.groups) * (g.in_channels // g.groups) + c
        rows = p * g.strides[0] + r * g.dilation[0] - g.padding[0][0]
        columns = q * g.strides[1] + s * g.dilation[1] - g.padding[1][0]
        row_in, column_in = (rows >= 0) & (rows < g.height), (columns >= 0) & (columns < g.width)
        pixels = x[:, rows[row_in, None], columns[column_in], channel]
        gradients = dy[:, p[row_in, None], q[column_in], k]
        total.add(np.array([i]), pixels.reshape(1, -1), gradients.reshape(1, -1))
    return total.expectation(index, g.batch * g.out_height * g.out_width)


# --- pooling ---------------------------------------------------------------------------------------------------------


def max_pool2d_fprop(x: np.ndarray, g: Pool2DGeometry, index: Index) -> tuple[Expectation, Expectation]:
    """The maximum of each window, and the position of the first one in it; both exact."""
    candidates, _ = _windows(x, g, index, -np.inf)
    position, value = candidates.argmax(axis=1), candidates.max(axis=1)
    ones = np.ones(len(value))
    return Expectation(index, value, ones, 0), Expectation(index, position, ones, 0)


def max_pool2d_argmax(x: np.ndarray, g: Pool2DGeometry) -> np.ndarray:
    """The whole of ``argmax``, which the gradient needs as its input: one pass over x for each place in the window."""
    ends = ((0, 0), *g.padding, (0, 0))
    padded = np.pad(x, ends, constant_values=-np.inf)
    largest = np.full(g.y_shape, -np.inf, x.dtype)
    position = np.zeros(g.y_shape, np.uint8 if g.window[0] * g.window[1] <= 256 else np.int32)
    for i, j in product(range(g.window[0]), range(g.window[1])):
        rows = slice(i, i + (g.out_height - 1) * g.strides[0] + 1, g.strides[0])
        columns = slice(j, j + (g.out_width - 1) * g.strides[1] + 1, g.strides[1])
        there = padded[:, rows, columns]
        larger = there > largest
        position[larger] = i * g.window[1] + j
        np.maximum(largest, there, out=largest)
    return position


def max_pool2d_dgrad(dy: np.ndarray, argmax: np.ndarray, g: Pool2DGeometry, index: Index) -> Expectation:
    """dx[n, h, w, c] = sum of dy over the windows whose maximum lay at h, w."""

    def chosen(place: int, n: np.ndarray, p: np.ndarray, q: np.ndarray, c: np.ndarray) -> np.ndarray:
        return dy[n, p, q, c] * (argmax[n, p, q, c] == place)

    return _scatter(chosen, g, index)


def avg_pool2d_fprop(x: np.ndarray, g: Pool2DGeometry, index: Index) -> Expectation:
    """The mean over the elements of each window that lie inside the input."""
    values, count = _windows(x, g, index, 0.0)
    return Expectation(index, values.sum(1) / count, np.abs(values).sum(1) / count, g.window[0] * g.window[1])


def avg_pool2d_dgrad(dy: np.ndarray, g: Pool2DGeometry, index: Index) -> Expectation:
    """dx[n, h, w, c] = sum over the windows that hold it of dy / (elements of the window inside the input)."""
    rows, columns = (
        np.array(
            [
                sum(0 <= at * stride + i - begin < length for i in range(extent))
                for at in range((length + begin + end - extent) // stride + 1)
            ]
        )
        for length, extent, stride, (begin, end) in zip(
            (g.height, g.width), g.window, g.strides, g.padding, strict=True
        )
    )

    def share(place: int, n: np.ndarray, p: np.ndarray, q: np.ndarray, c: np.ndarray) -> np.ndarray:
        return dy[n, p, q, c].astype(np.float64) / (rows[p] * columns[q])

    return _scatter(share, g, index)


# --- matrix product --------------------------------------------------------------------------------------------------


def matmul(a: np.ndarray, b: np.ndarray, g: MatmulGeometry, index: Index) -> Expectation:
    """y[i, j] = sum over l of a[i, l] * b[l, j], for matrices without batch axes."""
    left = (a.T if g.transpose_a else a)[index[0]]
    right = (b if g.transpose_b else b.T)[index[1]]
    total = _Total(len(index[0]))
    total.add(slice(None), left, right)
    return total.expectation(index, g.k)


# --- shared ----------------------------------------------------------------------------------------------------------


class _Total:
    """Sums of products, and of their magnitudes, in float64."""

    def __init__(self, count: int) -> None:
        self.value = np.zeros(count)
        self.magnitude = np.zeros(count)

    def add(self, where: np.ndarray | slice, left: np.ndarray, right: np.ndarray) -> None:
        products = left.astype(np.float64) * right
        self.value[where] += products.sum(axis=1)
        self.magnitude[where] += np.abs(products).sum(axis=1)

    def expectation(self, index: Index, length: int) -> Expectation:
        return Expectation(index, self.value, self.magnitude, length)


def _windows(x: np.ndarray, g: Pool2DGeometry, index: Index, outside: float) -> tuple[np.ndarray, np.ndarray]:
    """The elements of the sampled windows, [samples, window], ``outside`` in the padding, and how many are inside."""
    n, p, q, c = index
    values, count = [], np.zeros(len(n))
    for i, j in product(range(g.window[0]), range(g.window[1])):
        row, column = p * g.strides[0] + i - g.padding[0][0], q * g.strides[1] + j - g.padding[1][0]
        inside = (row >= 0) & (row < g.height) & (column >= 0) & (column < g.width)
        at = x[n, row.clip(0, g.height - 1), column.clip(0, g.width - 1), c].astype(np.float64)
        values.append(np.where(inside, at, outside))
        count += inside
    return np.stack(values, axis=1), count


def _scatter(term: Callable[..., np.ndarray], g: Pool2DGeometry, index: Index) -> Expectation:
    """Sum of ``term`` over the windows that hold each sampled input element."""
    n, h, w, c = index
    value, magnitude = np.zeros(len(n)), np.zeros(len(n))
    for i, j in product(range(g.window[0]), range(g.window[1])):
        p, row_ends = np.divmod(h + g.padding[0][0] - i, g.strides[0])
        q, column_ends = np.divmod(w + g.padding[1][0] - j, g.strides[1])
        hit = (row_ends == 0) & (column_ends == 0) & (p >= 0) & (p < g.out_height) & (q >= 0) & (q < g.out_width)
        terms = term(i * g.window[1] + j, n[hit], p[hit], q[hit], c[hit]).astype(np.float64)
        value[hit] += terms
        magnitude[hit] += np.abs(terms)
    return Expectation(index, value, magnitude, g.window[0] * g.window[1])
