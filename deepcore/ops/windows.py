"""Windows of an image laid out side by side, and put back; each is the other's gradient."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from deepcore.autograd.primitive import primitive
from deepcore.backend.geometry import pair
from deepcore.ops.operand import floating
from deepcore.ops.shape import pad, reshape
from deepcore.tensor import Tensor

Sizes = int | Sequence[int]


def _views(
    size: Sequence[int], kernel: tuple[int, int], dilation: tuple[int, int], stride: tuple[int, int]
) -> tuple[tuple[int, int], Iterator[tuple[int, int, Any]]]:
    """How many windows fit into ``size``, and for each position (i, j) in the window the pixels that are there."""
    fits = tuple((n - (k - 1) * d - 1) // s + 1 for n, k, d, s in zip(size, kernel, dilation, stride, strict=True))

    def positions() -> Iterator[tuple[int, int, Any]]:
        for i, j in itertools.product(range(kernel[0]), range(kernel[1])):
            starts = i * dilation[0], j * dilation[1]
            rows, columns = (slice(a, a + (n - 1) * s + 1, s) for a, n, s in zip(starts, fits, stride, strict=True))
            yield i, j, (..., rows, columns)

    return (fits[0], fits[1]), positions()


@primitive
def _unfold(backend: Any, x: Any, *, kernel: Any, dilation: Any, stride: Any) -> Any:
    fits, positions = _views(x.shape[-2:], kernel, dilation, stride)
    y = backend.xp.zeros((*x.shape[:2], *kernel, *fits), x.dtype)
    for i, j, pixels in positions:
        y[:, :, i, j] = x[pixels]
    return y


@primitive
def _fold(backend: Any, x: Any, *, size: Any, kernel: Any, dilation: Any, stride: Any) -> Any:
    y = backend.xp.zeros((*x.shape[:2], *size), x.dtype)
    for i, j, pixels in _views(size, kernel, dilation, stride)[1]:
        y[pixels] += x[:, :, i, j]
    return y


@_unfold.gradient("x")
def _(dy: Tensor, x_shape: tuple[int, ...], kernel: Any, dilation: Any, stride: Any) -> Tensor:
    return _fold(dy, size=x_shape[-2:], kernel=kernel, dilation=dilation, stride=stride)


@_fold.gradient("x")
def _(dy: Tensor, kernel: Any, dilation: Any, stride: Any) -> Tensor:
    return _unfold(dy, kernel=kernel, dilation=dilation, stride=stride)


def unfold(x: Any, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1) -> Tensor:
    """Every window of an image as a column (im2col).

    Args:
        x: [batch, channels, height, width].
        kernel_size, dilation, stride: of the window, an int or (height, width).
        padding: zeros on both ends of each axis.

    Returns [batch, channels * kernel_height * kernel_width, windows]. Raises ``ValueError`` for another rank and for a
    window larger than the padded image.
    """
    tensor = floating(x)
    if tensor.ndim != 4:
        raise ValueError(f"unfold expects [batch, channels, height, width]; got shape {tensor.shape}.")
    kernel, dilations, strides = pair(kernel_size, "kernel_size"), pair(dilation, "dilation"), pair(stride, "stride")
    top, left = pair(padding, "padding", smallest=0)
    size = (tensor.shape[2] + 2 * top, tensor.shape[3] + 2 * left)
    fits = _fitting("unfold", size, kernel, dilations, strides)
    padded = pad(tensor, ((0, 0), (0, 0), (top, top), (left, left))) if top or left else tensor
    y = _unfold(padded, kernel=kernel, dilation=dilations, stride=strides)
    return reshape(y, (tensor.shape[0], tensor.shape[1] * kernel[0] * kernel[1], fits[0] * fits[1]))


def fold(
    x: Any, output_size: Sizes, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1
) -> Tensor:
    """The image whose windows are the columns of x, summed where they overlap (col2im): the transpose of ``unfold``.

    Args:
        x: [batch, channels * kernel_height * kernel_width, windows].
        output_size: (height, width) of the image.
        kernel_size, dilation, padding, stride: as for ``unfold``.

    Returns [batch, channels, height, width]. Raises ``ValueError`` for another rank, rows that are no multiple of the
    window, and another number of windows than fit.
    """
    tensor = floating(x)
    if tensor.ndim != 3:
        raise ValueError(f"fold expects [batch, channels * window, windows]; got shape {tensor.shape}.")
    kernel, dilations, strides = pair(kernel_size, "kernel_size"), pair(dilation, "dilation"), pair(stride, "stride")
    height, width = pair(output_size, "output_size")
    top, left = pair(padding, "padding", smallest=0)
    size = (height + 2 * top, width + 2 * left)
    fits = _fitting("fold", size, kernel, dilations, strides)
    batch, rows, windows = tensor.shape
    if rows % (kernel[0] * kernel[1]) or windows != fits[0] * fits[1]:
        raise ValueError(
            f"fold: an image of {(height, width)} has {fits[0] * fits[1]} windows {kernel} of channels * "
            f"{kernel[0] * kernel[1]} elements; got x of shape {tensor.shape}."
        )
    parts = reshape(tensor, (batch, rows // (kernel[0] * kernel[1]), *kernel, *fits))
    y = _fold(parts, size=size, kernel=kernel, dilation=dilations, stride=strides)
    return y[:, :, top : top + height, left : left + width]


def _fitting(op: str, size: tuple[int, int], kernel: Any, dilation: Any, stride: Any) -> tuple[int, int]:
    fits, _ = _views(size, kernel, dilation, stride)
    if min(fits) < 1:
        raise ValueError(f"{op}: the window {kernel} with dilation {dilation} does not fit into {size}.")
    return fits
