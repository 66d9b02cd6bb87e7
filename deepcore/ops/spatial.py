"""Convolution and pooling of any rank and data format, by the names and arguments of ``keras.ops``.

A sequence is an image of one row: everything runs on the functions of images, channels last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from deepcore.config import image_data_format
from deepcore.errors import unknown_name
from deepcore.ops.conv import conv2d, conv2d_transpose, depthwise_conv2d
from deepcore.ops.operand import floating
from deepcore.ops.pool import avg_pool2d, max_pool2d
from deepcore.ops.shape import expand_dims, moveaxis, reshape, squeeze
from deepcore.tensor import Tensor

Sizes = int | Sequence[int]


def data_format_of(value: str | None) -> str:
    """``value``; by default what ``config.image_data_format()`` says. Raises ``ValueError`` for another name."""
    if value not in (None, "channels_last", "channels_first"):
        raise unknown_name("data_format", str(value), ("channels_last", "channels_first"))
    return value or image_data_format()


def _padding_of(value: Any) -> str:
    padding = value.lower() if isinstance(value, str) else value
    if padding not in ("valid", "same"):
        raise unknown_name("padding", str(value), ("valid", "same"))
    return padding


def _on_images(op: str, inputs: Any, data_format: str | None, function: Callable[[Tensor, int], Tensor]) -> Tensor:
    """``function(images, spatial rank)`` of ``inputs`` as images, channels last; its result in their format."""
    x = floating(inputs)
    first = data_format_of(data_format) == "channels_first"
    if x.ndim not in (3, 4):
        raise ValueError(
            f"{op} expects a batch of sequences (rank 3) or of images (rank 4); got shape {x.shape} of rank {x.ndim}."
        )
    x = moveaxis(x, 1, -1) if first else x
    y = function(x, 2) if x.ndim == 4 else squeeze(function(expand_dims(x, 1), 1), 1)
    return moveaxis(y, -1, 1) if first else y


def _sizes(op: str, name: str, value: Sizes, rank: int, row: int = 1) -> tuple[int, int]:
    """``value`` as (height, width); for sequences the height is ``row``."""
    given = (value,) * rank if isinstance(value, int) else tuple(value)
    if len(given) != rank:
        raise ValueError(f"{op}: {name} must be an int, or {rank} for {rank} spatial axes; got {value!r}.")
    return (given[0], given[1]) if rank == 2 else (row, given[0])


def _kernel(op: str, name: str, kernel: Any, rank: int) -> Tensor:
    """``kernel`` as that of images."""
    w = floating(kernel)
    if w.ndim != rank + 2:
        raise ValueError(f"{op}: {rank} spatial axes need a {name} of rank {rank + 2}; got shape {w.shape}.")
    return w if rank == 2 else expand_dims(w, 0)


def conv(
    inputs: Any,
    kernel: Any,
    strides: Sizes = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> Tensor:
    """Convolution of sequences or images.

    Args:
        inputs: [batch, steps, channels] or [batch, height, width, channels]; channels second with
            ``data_format="channels_first"``.
        kernel: [size, in_channels / groups, out_channels] or [height, width, in_channels / groups, out_channels]; the
            number of groups follows.
        strides, dilation_rate: an int, or one for each spatial axis.
        padding: ``"valid"`` or ``"same"``.

    Returns the same layout with out_channels. Raises ``ValueError`` for ranks, channels and sizes that do not fit.
    """

    def run(x: Tensor, rank: int) -> Tensor:
        w = _kernel("conv", "kernel", kernel, rank)
        channels, per_group = x.shape[-1], w.shape[2]
        if per_group == 0 or channels % per_group:
            raise ValueError(
                f"conv: the {channels} input channels must be a multiple of the kernel's {per_group}; got a kernel of "
                f"shape {tuple(floating(kernel).shape)}."
            )
        return conv2d(
            x,
            w,
            strides=_sizes("conv", "strides", strides, rank),
            padding=_padding_of(padding),
            dilation=_sizes("conv", "dilation_rate", dilation_rate, rank),
            groups=channels // per_group,
        )

    return _on_images("conv", inputs, data_format, run)


def depthwise_conv(
    inputs: Any,
    kernel: Any,
    strides: Sizes = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> Tensor:
    """Convolves every channel by itself: kernel [size, channels, multiplier] or [height, width, channels, multiplier].

    Arguments and errors otherwise as for ``conv``; the result has channels * multiplier channels.
    """

    def run(x: Tensor, rank: int) -> Tensor:
        return depthwise_conv2d(
            x,
            _kernel("depthwise_conv", "kernel", kernel, rank),
            strides=_sizes("depthwise_conv", "strides", strides, rank),
            padding=_padding_of(padding),
            dilation=_sizes("depthwise_conv", "dilation_rate", dilation_rate, rank),
        )

    return _on_images("depthwise_conv", inputs, data_format, run)


def separable_conv(
    inputs: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: Sizes = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> Tensor:
    """``depthwise_conv``, then ``conv`` with a pointwise kernel [1, ..., channels * multiplier, out_channels].

    Chollet 2017. Arguments and errors as for these two.
    """
    y = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(y, pointwise_kernel, 1, "valid", data_format)


def conv_transpose(
    inputs: Any,
    kernel: Any,
    strides: Sizes = 1,
    padding: str = "valid",
    output_padding: Sizes | None = None,
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> Tensor:
    """The transpose of a convolution, which enlarges by its strides: kernel [..., out_channels, in_channels].

    Arguments otherwise as for ``conv``; ``output_padding`` as for ``conv2d_transpose``. Raises as that function.
    """

    def run(x: Tensor, rank: int) -> Tensor:
        op = "conv_transpose"
        return conv2d_transpose(
            x,
            _kernel(op, "kernel", kernel, rank),
            strides=_sizes(op, "strides", strides, rank),
            padding=_padding_of(padding),
            output_padding=None
            if output_padding is None
            else _sizes(op, "output_padding", output_padding, rank, row=0),
            dilation=_sizes(op, "dilation_rate", dilation_rate, rank),
        )

    return _on_images("conv_transpose", inputs, data_format, run)


def _pooled(function: Callable[..., Tensor], op: str, inputs: Any, window: Any, strides: Any, rest: Any) -> Tensor:
    padding, data_format = rest

    def run(x: Tensor, rank: int) -> Tensor:
        pool = _sizes(op, "pool_size", window, rank)
        steps = pool if strides is None else _sizes(op, "strides", strides, rank)
        return function(x, pool, steps, _padding_of(padding))

    return _on_images(op, inputs, data_format, run)


def max_pool(
    inputs: Any,
    pool_size: Sizes,
    strides: Sizes | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """The largest element of each window of sequences or images.

    Args:
        inputs: as for ``conv``.
        pool_size: the window, an int or one for each spatial axis.
        strides: distance between windows; the window's size by default.
        padding: ``"valid"`` or ``"same"``.

    Raises ``ValueError`` for ranks and sizes that do not fit.
    """
    return _pooled(max_pool2d, "max_pool", inputs, pool_size, strides, (padding, data_format))


def average_pool(
    inputs: Any,
    pool_size: Sizes,
    strides: Sizes | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """The mean of each window, over the elements that lie inside the input. Arguments as for ``max_pool``."""
    return _pooled(avg_pool2d, "average_pool", inputs, pool_size, strides, (padding, data_format))


def _blocks(op: str, x: Any, block_size: int, data_format: str | None) -> tuple[Tensor, bool]:
    tensor = floating(x) if not isinstance(x, Tensor) else x
    if tensor.ndim != 4:
        raise ValueError(f"{op} expects images of rank 4; got shape {tensor.shape}.")
    if block_size < 2:
        raise ValueError(f"{op}: block_size must be at least 2; got {block_size!r}.")
    return tensor, data_format_of(data_format) == "channels_first"


def depth_to_space(x: Any, block_size: int, data_format: str | None = "channels_last") -> Tensor:
    """Channels spread over blocks of pixels: [batch, h, w, c * b^2] -> [batch, h * b, w * b, c]. Shi et al. 2016.

    With channels first the block's position is the faster part of the channel, as in Keras. Raises ``ValueError``
    unless the channels are a multiple of ``block_size`` squared.
    """
    tensor, first = _blocks("depth_to_space", x, block_size, data_format)
    b = block_size
    channels = tensor.shape[1 if first else 3]
    if channels % (b * b):
        raise ValueError(f"depth_to_space: the {channels} channels must be a multiple of block_size squared, {b * b}.")
    if first:
        n, _, h, w = tensor.shape
        parts = reshape(tensor, (n, channels // (b * b), b, b, h, w)).transpose((0, 1, 4, 2, 5, 3))
        return reshape(parts, (n, channels // (b * b), h * b, w * b))
    n, h, w, _ = tensor.shape
    parts = reshape(tensor, (n, h, w, b, b, channels // (b * b))).transpose((0, 1, 3, 2, 4, 5))
    return reshape(parts, (n, h * b, w * b, channels // (b * b)))


def space_to_depth(x: Any, block_size: int, data_format: str | None = "channels_last") -> Tensor:
    """Blocks of pixels as channels, the inverse of ``depth_to_space``.

    Raises ``ValueError`` unless height and width are multiples of ``block_size``.
    """
    tensor, first = _blocks("space_to_depth", x, block_size, data_format)
    b = block_size
    h, w = tensor.shape[2:] if first else tensor.shape[1:3]
    if h % b or w % b:
        raise ValueError(f"space_to_depth: height and width, {(h, w)}, must be multiples of block_size, {b}.")
    if first:
        n, c = tensor.shape[:2]
        parts = reshape(tensor, (n, c, h // b, b, w // b, b)).transpose((0, 1, 3, 5, 2, 4))
        return reshape(parts, (n, c * b * b, h // b, w // b))
    n, c = tensor.shape[0], tensor.shape[3]
    parts = reshape(tensor, (n, h // b, b, w // b, b, c)).transpose((0, 1, 3, 2, 4, 5))
    return reshape(parts, (n, h // b, w // b, c * b * b))
