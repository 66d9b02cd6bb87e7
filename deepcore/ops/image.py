"""Functions of images, by the names and arguments of ``keras.ops.image``.

Every function takes one image (rank 3) or a batch of them (rank 4), channels last unless
``data_format="channels_first"``.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from deepcore.backend.geometry import pair, resolve_padding
from deepcore.errors import explain_missing
from deepcore.ops.conv import depthwise_conv2d
from deepcore.ops.elementwise import abs, broadcast_to, clip, exp, maximum, minimum, mod, square, where
from deepcore.ops.operand import cast, floating, floating_beside, tensor_of
from deepcore.ops.reduction import sum
from deepcore.ops.resampling import check_images, resize, spatial_axes
from deepcore.ops.sampling import affine_transform, map_coordinates, perspective_transform
from deepcore.ops.shape import concatenate, expand_dims, getitem, moveaxis, pad, reshape, squeeze, stack
from deepcore.ops.spatial import data_format_of
from deepcore.ops.symbolic import recordable
from deepcore.tensor import Tensor

__all__ = [
    "affine_transform",
    "crop_images",
    "extract_patches",
    "gaussian_blur",
    "hsv_to_rgb",
    "map_coordinates",
    "pad_images",
    "perspective_transform",
    "resize",
    "rgb_to_grayscale",
    "rgb_to_hsv",
]


def _channels(op: str, images: Any, data_format: str | None, allowed: tuple[int, ...]) -> tuple[Tensor, int]:
    """Images, and the axis of their channels."""
    tensor = tensor_of(images)
    check_images(op, tensor)
    axis = -1 if data_format_of(data_format) == "channels_last" else -3
    if tensor.shape[axis] not in allowed:
        raise ValueError(
            f"{op} expects {' or '.join(map(str, allowed))} channels on axis {axis}; got {tensor.shape[axis]} in shape "
            f"{tensor.shape}."
        )
    return tensor, axis


def rgb_to_grayscale(images: Any, data_format: str | None = None) -> Tensor:
    """0.2989 red + 0.587 green + 0.114 blue, as one channel; an image of one channel stays as it is.

    Raises ``ValueError`` for other ranks and numbers of channels. ITU-R BT.601.
    """
    tensor, axis = _channels("rgb_to_grayscale", images, data_format, (1, 3))
    if tensor.shape[axis] == 1:
        return tensor
    red, green, blue = _planes(floating(tensor), axis)
    gray = expand_dims(0.2989 * red + 0.5870 * green + 0.1140 * blue, axis % tensor.ndim)
    return cast(gray, tensor.dtype)


def _planes(images: Tensor, axis: int) -> list[Tensor]:
    before = (slice(None),) * (axis % images.ndim)
    return [getitem(images, (*before, i)) for i in range(images.shape[axis])]


def _colours(op: str, images: Any, data_format: str | None) -> tuple[Tensor, int]:
    tensor, axis = _channels(op, images, data_format, (3,))
    if tensor.dtype.kind != "f":
        raise ValueError(f"{op} expects floating images, from 0 to 1; got {tensor.dtype}.")
    return tensor, axis


def rgb_to_hsv(images: Any, data_format: str | None = None) -> Tensor:
    """Hue, saturation and value, each from 0 to 1, of colours from 0 to 1; a hue of 0 is red, 1/3 green, 2/3 blue.

    Raises ``ValueError`` for integers, other ranks and other than three channels. Smith 1978.
    """
    tensor, axis = _colours("rgb_to_hsv", images, data_format)
    tiny = float(np.finfo(tensor.dtype).eps)
    red, green, blue = _planes(where(abs(tensor) < tiny, 0.0, tensor), axis)
    value = maximum(maximum(red, green), blue)
    spread = value - minimum(minimum(red, green), blue)
    saturation = where(value > 0, spread / where(value > 0, value, 1.0), 0.0)
    sixth = 1 / (6 * where(spread > 0, spread, 1.0))
    hue = where(value == green, sixth * (blue - red) + 1 / 3, sixth * (red - green) + 2 / 3)
    hue = where(value == red, sixth * (green - blue), hue)
    hue = where(spread > 0, hue, 0.0) + cast(hue < 0, tensor.dtype)
    return stack([hue, saturation, value], axis % tensor.ndim)


def hsv_to_rgb(images: Any, data_format: str | None = None) -> Tensor:
    """Colours of hue, saturation and value; the inverse of ``rgb_to_hsv``. Raises as that function."""
    tensor, axis = _colours("hsv_to_rgb", images, data_format)
    hue, saturation, value = _planes(tensor, axis)
    sixths = mod(hue, 1.0) * 6
    shares = (abs(sixths - 3) - 1, 2 - abs(sixths - 2), 2 - abs(sixths - 4))
    colours = [value * (1 - saturation + saturation * clip(share, 0.0, 1.0)) for share in shares]
    return stack(colours, axis % tensor.ndim)


def _ends(op: str, what: str, given: tuple[Any, Any, Any], names: tuple[str, str, str], size: int, sign: int) -> Any:
    """Two of (before, after, target) as (before, after), where target = size + sign * (before + after)."""
    if [value is None for value in given].count(True) != 1:
        passed = ", ".join(f"{name}={value}" for name, value in zip(names, given, strict=True))
        raise ValueError(f"{op} needs exactly two of {', '.join(names)}; got {passed}.")
    before, after, target = given
    if before is None:
        before = sign * (target - size) - after
    elif after is None:
        after = sign * (target - size) - before
    for name, value in zip(names[:2], (before, after), strict=True):
        if value < 0:
            raise ValueError(f"{op}: {name} must not be negative; got {value} for a {what} of {size}.")
    if size + sign * (before + after) < 0:
        raise ValueError(f"{op}: {before} and {after} are more than the {what} of {size}.")
    return int(before), int(after)


def pad_images(
    images: Any,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """Images with rows and columns of zeros added.

    Two of ``top_padding``, ``bottom_padding`` and ``target_height`` are given, and two of the three for the width.
    Raises ``ValueError`` if not, and for negative paddings.
    """
    tensor = tensor_of(images)
    check_images("pad_images", tensor)
    row, column = spatial_axes(tensor, data_format)
    widths = [(0, 0)] * tensor.ndim
    names = ("top_padding", "bottom_padding", "target_height")
    given = (top_padding, bottom_padding, target_height)
    widths[row] = _ends("pad_images", "height", given, names, tensor.shape[row], 1)
    names = ("left_padding", "right_padding", "target_width")
    given = (left_padding, right_padding, target_width)
    widths[column] = _ends("pad_images", "width", given, names, tensor.shape[column], 1)
    return pad(tensor, widths)


def crop_images(
    images: Any,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """Images without rows and columns at their ends; the arguments as for ``pad_images``.

    Raises ``ValueError`` for negative croppings, and for more than there is.
    """
    tensor = tensor_of(images)
    check_images("crop_images", tensor)
    row, column = spatial_axes(tensor, data_format)
    names = ("top_cropping", "bottom_cropping", "target_height")
    given = (top_cropping, bottom_cropping, target_height)
    top, bottom = _ends("crop_images", "height", given, names, tensor.shape[row], -1)
    names = ("left_cropping", "right_cropping", "target_width")
    given = (left_cropping, right_cropping, target_width)
    left, right = _ends("crop_images", "width", given, names, tensor.shape[column], -1)
    index: list[Any] = [slice(None)] * tensor.ndim
    index[row] = slice(top, tensor.shape[row] - bottom)
    index[column] = slice(left, tensor.shape[column] - right)
    return getitem(tensor, tuple(index))


def extract_patches(
    images: Any,
    size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    dilation_rate: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """Windows of images, each as the channels of one pixel.

    Args:
        images: [height, width, channels] or [batch, height, width, channels].
        size: of a window, an int or (height, width).
        strides: distance between windows; the window's size by default.
        dilation_rate: distance between the pixels of a window.
        padding: ``"valid"``, or ``"same"`` with zeros.

    Returns [..., out_height, out_width, size * size * channels], in the order row, column, channel. Raises
    ``TypeError`` for a size that is no int or tuple, ``ValueError`` for other ranks and sizes that do not fit.
    """
    if not isinstance(size, int | tuple | list):
        raise TypeError(f"extract_patches: size must be an int or a tuple; got {size!r} ({type(size).__name__}).")
    window, dilation = pair(size, "size"), pair(dilation_rate, "dilation_rate")
    steps = window if strides is None else pair(strides, "strides")
    tensor = tensor_of(images)
    check_images("extract_patches", tensor)
    first = data_format_of(data_format) == "channels_first"
    x = moveaxis(tensor, -3, -1) if first else tensor
    extent = ((window[0] - 1) * dilation[0] + 1, (window[1] - 1) * dilation[1] + 1)
    row = x.ndim - 3
    ends = resolve_padding(padding, (x.shape[row], x.shape[row + 1]), extent, steps)
    if any(sum_ for end in ends for sum_ in end):
        x = pad(x, [*[(0, 0)] * row, *ends, (0, 0)])
    counts = [(n - extent[i]) // steps[i] + 1 for i, n in enumerate(x.shape[row : row + 2])]
    if min(counts) < 1:
        raise ValueError(f"extract_patches: the window {extent} is larger than the image of shape {tensor.shape}.")
    parts = []
    for offset in itertools.product(*map(range, window)):
        starts = [o * d for o, d in zip(offset, dilation, strict=True)]
        pixels = [slice(a, a + (n - 1) * s + 1, s) for a, n, s in zip(starts, counts, steps, strict=True)]
        parts.append(getitem(x, (..., *pixels, slice(None))))
    y = concatenate(parts, -1)
    return moveaxis(y, -1, -3) if first else y


def gaussian_blur(
    images: Any,
    kernel_size: Any = (3, 3),
    sigma: Any = (1.0, 1.0),
    data_format: str | None = None,
) -> Tensor:
    """Every pixel as the mean of its neighbours, weighted by a normal distribution; zeros outside the image.

    Args:
        images: [height, width, channels] or [batch, height, width, channels].
        kernel_size: how many neighbours count, (across, down) as in Keras.
        sigma: standard deviations in pixels, (across, down).

    Raises ``ValueError`` for other ranks and sizes.
    """
    tensor = tensor_of(images)
    check_images("gaussian_blur", tensor)
    first = data_format_of(data_format) == "channels_first"
    x = floating(tensor)
    x = x if x.ndim == 4 else expand_dims(x, 0)
    x = moveaxis(x, 1, -1) if first else x
    given = kernel_size.tolist() if hasattr(kernel_size, "tolist") else kernel_size
    sizes = pair(given, "kernel_size")
    spreads = cast(floating_beside(sigma, x), x.dtype)
    across, down = (_bell(n, spreads[i], x) for i, n in enumerate(sizes))
    kernel = reshape(down, (-1, 1, 1, 1)) * reshape(across, (1, -1, 1, 1))
    kernel = broadcast_to(kernel, (sizes[1], sizes[0], x.shape[-1], 1))
    ends = tuple(((n - 1) // 2, n - 1 - (n - 1) // 2) for n in (sizes[1], sizes[0]))
    y = depthwise_conv2d(x, kernel, padding=ends)
    y = moveaxis(y, -1, 1) if first else y
    return cast(y if tensor.ndim == 4 else squeeze(y, 0), tensor.dtype)


def _bell(size: int, sigma: Tensor, like: Tensor) -> Tensor:
    """A normal distribution on ``size`` neighbouring pixels, of sum one."""
    distance = Tensor(np.arange(size, dtype=like.dtype) - (size - 1) / 2, like.dtype, like.device)
    heights = exp(-0.5 * square(distance / sigma))
    return heights / sum(heights)


for _name in __all__:
    if inspect.isfunction(globals()[_name]):
        globals()[_name] = recordable(globals()[_name])

explain_missing(__name__)
