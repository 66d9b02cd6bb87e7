"""Convolution and its three directions, each the gradient of the others.

fprop(x, w), dgrad(dy, w) and wgrad(x, dy) are linear in each argument, so that the gradient of any one is made of the
other two, to any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepcore.autograd.primitive import primitive
from deepcore.backend.geometry import Conv2DGeometry, Padding, pair, require_nonempty, resolve_padding
from deepcore.ops.activation import bias_activation, check_epilogue, epilogue_gradient, keeps_of_product
from deepcore.ops.operand import floating, operands
from deepcore.ops.shape import reshape
from deepcore.tensor import Tensor


@primitive
def _conv2d(backend: Any, x: Any, w: Any, bias: Any, *, geometry: Conv2DGeometry, activation: str) -> Any:
    return backend.conv2d_fprop(x, w, geometry, bias, activation)


@primitive(outputs=("dx",))
def _conv2d_dgrad(backend: Any, dy: Any, w: Any, *, geometry: Conv2DGeometry) -> Any:
    return backend.conv2d_dgrad(dy, w, geometry)


@primitive(outputs=("dw",))
def _conv2d_wgrad(backend: Any, x: Any, dy: Any, *, geometry: Conv2DGeometry) -> Any:
    return backend.conv2d_wgrad(x, dy, geometry)


@_conv2d.gradient("x", "w", "bias", keeps=keeps_of_product("x", "w"))
def _(
    dy: Tensor, y: Tensor, x: Tensor, w: Tensor, geometry: Conv2DGeometry, activation: str, needed: frozenset[str]
) -> tuple[Tensor | None, ...]:
    dz, dbias = epilogue_gradient(dy, y, activation, "bias" in needed)
    return (
        _conv2d_dgrad(dz, w, geometry=geometry) if "x" in needed else None,
        _conv2d_wgrad(x, dz, geometry=geometry) if "w" in needed else None,
        dbias,
    )


@_conv2d_dgrad.gradient("dy")
def _(ddx: Tensor, w: Tensor, geometry: Conv2DGeometry) -> Tensor:
    return _conv2d(ddx, w, None, geometry=geometry, activation="linear")


@_conv2d_dgrad.gradient("w")
def _(ddx: Tensor, dy: Tensor, geometry: Conv2DGeometry) -> Tensor:
    return _conv2d_wgrad(ddx, dy, geometry=geometry)


@_conv2d_wgrad.gradient("x")
def _(ddw: Tensor, dy: Tensor, geometry: Conv2DGeometry) -> Tensor:
    return _conv2d_dgrad(dy, ddw, geometry=geometry)


@_conv2d_wgrad.gradient("dy")
def _(ddw: Tensor, x: Tensor, geometry: Conv2DGeometry) -> Tensor:
    return _conv2d(x, ddw, None, geometry=geometry, activation="linear")


def conv2d(
    x: Any,
    kernel: Any,
    bias: Any = None,
    *,
    strides: int | Sequence[int] = 1,
    padding: Padding = "valid",
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    activation: str = "linear",
) -> Tensor:
    """2-D convolution (cross-correlation, as everywhere in deep learning), with bias and activation fused behind it.

    Args:
        x: [batch, height, width, in_channels].
        kernel: [kernel_height, kernel_width, in_channels / groups, out_channels].
        bias: [out_channels] or None.
        strides, dilation: an int, or (height, width).
        padding: ``"valid"``, ``"same"``, an int, (height, width), or ((top, bottom), (left, right)); zeros.
        groups: channels are convolved in that many separate groups; ``in_channels`` of them is depthwise.
        activation: one of ``deepcore.ops.EPILOGUES``.

    Returns [batch, out_height, out_width, out_channels] of the operands' floating dtype. Raises ``ValueError`` for
    wrong ranks, channels that do not match, empty sizes and a window larger than the padded input. Dumoulin and Visin
    2016, A guide to convolution arithmetic.
    """
    x, w = operands(floating(x), floating(kernel))
    geometry = Conv2DGeometry.of(x.shape, w.shape, strides, padding, dilation, groups)
    bias = None if bias is None else operands(x, bias)[1]
    check_epilogue("conv2d", bias, geometry.out_channels, activation)
    return _conv2d(x, w, bias, geometry=geometry, activation=activation)


def depthwise_conv2d(
    x: Any,
    kernel: Any,
    bias: Any = None,
    *,
    strides: int | Sequence[int] = 1,
    padding: Padding = "valid",
    dilation: int | Sequence[int] = 1,
    activation: str = "linear",
) -> Tensor:
    """Convolves every channel by itself.

    Args:
        x: [batch, height, width, channels].
        kernel: [kernel_height, kernel_width, channels, multiplier]; channel c gives outputs c * multiplier and on.
        The other arguments as for ``conv2d``.

    Returns [batch, out_height, out_width, channels * multiplier]. Raises as ``conv2d``.
    """
    w = floating(kernel)
    if w.ndim != 4:
        raise ValueError(
            f"depthwise_conv2d expects a kernel [height, width, channels, multiplier]; got shape {w.shape}."
        )
    r, s, channels, multiplier = w.shape
    return conv2d(
        x,
        reshape(w, (r, s, 1, channels * multiplier)),
        bias,
        strides=strides,
        padding=padding,
        dilation=dilation,
        groups=channels,
        activation=activation,
    )


def conv2d_transpose(
    x: Any,
    kernel: Any,
    bias: Any = None,
    *,
    strides: int | Sequence[int] = 1,
    padding: Padding = "valid",
    output_padding: int | Sequence[int] | None = None,
    dilation: int | Sequence[int] = 1,
    activation: str = "linear",
) -> Tensor:
    """Transposed convolution: the gradient of ``conv2d`` with respect to its input, used forwards.

    Args:
        x: [batch, height, width, in_channels].
        kernel: [kernel_height, kernel_width, out_channels, in_channels], the kernel of the convolution that this one
            transposes.
        output_padding: rows and columns by which the output is longer than the smallest that the convolution maps to
            ``x``; less than the strides. By default ``"same"`` gives size * stride and ``"valid"`` size * stride +
            max(window - stride, 0), as in Keras.
        The other arguments as for ``conv2d``.

    Returns [batch, out_height, out_width, out_channels]. Raises as ``conv2d``. Zeiler et al. 2010; Dumoulin and Visin
    2016.
    """
    x, w = operands(floating(x), floating(kernel))
    if x.ndim != 4 or w.ndim != 4:
        raise ValueError(
            "conv2d_transpose expects x [batch, height, width, in_channels] and a kernel [height, width, "
            f"out_channels, in_channels]; got shapes {x.shape} and {w.shape}."
        )
    if x.shape[3] != w.shape[3]:
        raise ValueError(
            f"conv2d_transpose: x has {x.shape[3]} channels, but the kernel {w.shape} expects {w.shape[3]}."
        )
    require_nonempty("conv2d_transpose", x=x.shape, kernel=w.shape)
    stride_pair, dilation_pair = pair(strides, "strides"), pair(dilation, "dilation")
    window = tuple((extent - 1) * rate + 1 for extent, rate in zip(w.shape[:2], dilation_pair, strict=True))
    size, ends = _transposed_sizes(x.shape[1:3], window, stride_pair, padding, output_padding)
    geometry = Conv2DGeometry.of((x.shape[0], *size, w.shape[2]), w.shape, stride_pair, ends, dilation_pair)
    if geometry.y_shape != x.shape:
        raise ValueError(
            f"conv2d_transpose: output_padding={output_padding!r} gives an output of {size}, which a convolution with "
            f"strides {stride_pair} maps to {geometry.y_shape[1:3]}, not to x's {x.shape[1:3]}; it must be less than "
            "the strides."
        )
    y: Tensor = _conv2d_dgrad(x, w, geometry=geometry)
    if bias is None and activation == "linear":
        return y
    return bias_activation(y, bias, activation)


def _transposed_sizes(
    size: tuple[int, ...],
    window: tuple[int, ...],
    strides: tuple[int, int],
    padding: Padding,
    output_padding: int | Sequence[int] | None,
) -> tuple[tuple[int, int], tuple[tuple[int, int], tuple[int, int]]]:
    """Size of the output, and the padding of the convolution that maps it back to ``size``.

    ``"same"`` cuts the longest output, (size - 1) * stride + window, at both ends: of an odd number the larger part at
    the end. Where the output is longer than that, nothing is cut.
    """
    extra = None if output_padding is None else pair(output_padding, "output_padding", smallest=0)
    if not isinstance(padding, str):
        ends = resolve_padding(padding, (0, 0), (window[0], window[1]), strides)
        height, width = (
            (size[i] - 1) * strides[i] + window[i] - sum(ends[i]) + (extra[i] if extra else 0) for i in range(2)
        )
        return (height, width), ends
    if padding not in ("valid", "same"):
        raise ValueError(f"padding must be 'valid', 'same' or explicit sizes; got {padding!r}.")
    lengths, cuts = [], []
    for i in range(2):
        longest = (size[i] - 1) * strides[i] + window[i]
        if padding == "valid":
            lengths.append(longest + (max(strides[i] - window[i], 0) if extra is None else extra[i]))
            cuts.append((0, 0))
            continue
        smallest = strides[i] if extra is None else window[i] % 2 + extra[i]
        lengths.append((size[i] - 1) * strides[i] + smallest)
        total = window[i] - smallest
        before = max(total // 2, 0)
        cuts.append((before, max(total - before, 0)))
    return (lengths[0], lengths[1]), (cuts[0], cuts[1])
