"""Images at other sizes: one small matrix for each axis, so that gradients of any order are products, too."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deepcore.errors import unknown_name
from deepcore.ops.elementwise import broadcast_to, maximum, minimum
from deepcore.ops.matmul import matmul
from deepcore.ops.operand import cast, tensor_of
from deepcore.ops.reduction import max, min
from deepcore.ops.rounding import round
from deepcore.ops.shape import getitem, pad, reshape
from deepcore.ops.spatial import data_format_of
from deepcore.tensor import FLOATX, Tensor

Array = np.ndarray[Any, Any]
Kernel = Callable[[Array], Array]


def _triangle(x: Array) -> Array:
    return np.maximum(0, 1 - x)


def _cubic(x: Array) -> Array:
    """Keys 1981, Cubic convolution interpolation for digital image processing, with a = -1/2."""
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((2.5 - 0.5 * x) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def _lanczos(radius: int) -> Kernel:
    """The sinc function windowed by a wider one. Duchon 1979."""
    return lambda x: np.where(x <= radius, np.sinc(x) * np.sinc(x / radius), 0)


_KERNELS: dict[str, Kernel] = {
    "bilinear": _triangle,
    "bicubic": _cubic,
    "lanczos3": _lanczos(3),
    "lanczos5": _lanczos(5),
}
INTERPOLATIONS = ("nearest", *_KERNELS)


@functools.lru_cache(maxsize=64)
def weights(size: int, target: int, interpolation: str, antialias: bool) -> Array:
    """How much each of ``size`` pixels counts in each of ``target``: [target, size], float64, rows of sum 1.

    Pixels are squares, so that the first one's middle is at 0.5. Where ``antialias`` and the image shrinks, the kernel
    is as much wider.
    """
    scale = size / target
    middles = (np.arange(target) + 0.5) * scale - 0.5
    distances = np.abs(middles[:, None] - np.arange(size))
    raw = _KERNELS[interpolation](distances / (scale if antialias and scale > 1 else 1))
    return raw / raw.sum(1, keepdims=True)


def check_images(op: str, images: Tensor) -> None:
    """Raises ``ValueError`` unless there is one image or a batch of them."""
    if images.ndim not in (3, 4):
        raise ValueError(f"{op} expects an image (rank 3) or a batch of images (rank 4); got shape {images.shape}.")


def spatial_axes(images: Tensor, data_format: str | None) -> tuple[int, int]:
    """The axes of height and width."""
    row = images.ndim - (3 if data_format_of(data_format) == "channels_last" else 2)
    return row, row + 1


def resize(
    images: Any,
    size: Sequence[int],
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Tensor:
    """Images of another height and width.

    Args:
        images: [height, width, channels] or [batch, height, width, channels]; channels before the height with
            ``data_format="channels_first"``.
        size: (height, width) of the result.
        interpolation: ``"nearest"``, ``"bilinear"``, ``"bicubic"``, ``"lanczos3"`` or ``"lanczos5"``.
        antialias: widen the kernel where the image shrinks, so that every pixel counts.
        crop_to_aspect_ratio: first cut the middle of the target's proportions out of the image.
        pad_to_aspect_ratio: first fill the image up to the target's proportions, the same on both sides, with
            ``fill_value``; ``fill_mode`` can only be ``"constant"``.

    Integers are rounded, and stay within the range of the image's values. Raises ``ValueError`` for other ranks, sizes
    and names, and for both proportions at once.

    >>> resize(Tensor([[[1.0], [3.0]]]), (1, 4)).reshape(-1)
    Tensor([1. , 1.5, 2.5, 3. ], dtype=float32)
    """
    tensor = tensor_of(images)
    check_images("resize", tensor)
    if len(size) != 2 or any(int(n) <= 0 for n in size):
        raise ValueError(f"resize: size must be (height, width), both positive; got {size!r}.")
    if interpolation not in INTERPOLATIONS:
        raise unknown_name("interpolation", interpolation, INTERPOLATIONS)
    if fill_mode != "constant":
        raise ValueError(f"resize: fill_mode can only be 'constant'; got {fill_mode!r}.")
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError("resize: only one of crop_to_aspect_ratio and pad_to_aspect_ratio can be True.")
    target = (int(size[0]), int(size[1]))
    axes = spatial_axes(tensor, data_format)
    if crop_to_aspect_ratio:
        tensor = _cropped(tensor, axes, target)
    elif pad_to_aspect_ratio:
        tensor = _padded(tensor, axes, target, fill_value)
    if interpolation == "nearest":
        return _nearest(tensor, axes, target)
    integers = tensor.dtype.kind != "f"
    y = cast(tensor, FLOATX) if integers else tensor
    for axis, n in zip(axes, target, strict=True):
        if y.shape[axis] != n:
            matrix = weights(y.shape[axis], n, interpolation, antialias).astype(y.dtype)
            y = _applied(y, axis, Tensor(matrix, device=y.device))
    if integers:
        low, high = (cast(extreme(tensor), y.dtype) for extreme in (min, max))
        return cast(minimum(maximum(round(y), low), high), tensor.dtype)
    return y


def _applied(x: Tensor, axis: int, matrix: Tensor) -> Tensor:
    """x with ``matrix`` [n, size] multiplied onto ``axis``."""
    leading, trailing = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
    if trailing == 1:
        y = matmul(reshape(x, (leading, x.shape[axis])), matrix, transpose_b=True)
    else:
        y = matmul(matrix, reshape(x, (leading, x.shape[axis], trailing)))
    return reshape(y, (*x.shape[:axis], matrix.shape[0], *x.shape[axis + 1 :]))


def _nearest(x: Tensor, axes: tuple[int, int], target: tuple[int, int]) -> Tensor:
    for axis, n in zip(axes, target, strict=True):
        size = x.shape[axis]
        index: Any = np.minimum(((np.arange(n) + 0.5) * (size / n)).astype(np.int64), size - 1)
        if n % size:
            index = np.minimum(((np.arange(n) + 0.5) * (size / n)).astype(np.int64), size - 1)
            x = getitem(x, (*(slice(None),) * axis, index))
        elif n > size:  # every pixel n / size times, whose gradient is a plain sum
            x = _repeated(x, axis, n // size)
    return x


def _repeated(x: Tensor, axis: int, times: int) -> Tensor:
    shape = (*x.shape[: axis + 1], times, *x.shape[axis + 1 :])
    wide = broadcast_to(reshape(x, (*shape[: axis + 1], 1, *shape[axis + 2 :])), shape)
    return reshape(wide, (*x.shape[:axis], x.shape[axis] * times, *x.shape[axis + 1 :]))


def _proportional(x: Tensor, axes: tuple[int, int], target: tuple[int, int]) -> tuple[int, int]:
    """The height that the width, and the width that the height of x have in the target's proportions."""
    height, width = (x.shape[a] for a in axes)
    return int(float(width * target[0]) / target[1]), int(float(height * target[1]) / target[0])


def _cropped(x: Tensor, axes: tuple[int, int], target: tuple[int, int]) -> Tensor:
    index: list[Any] = [slice(None)] * x.ndim
    for axis, wanted in zip(axes, _proportional(x, axes, target), strict=True):
        kept = sorted((1, wanted, x.shape[axis]))[1]
        start = (x.shape[axis] - kept) // 2
        index[axis] = slice(start, start + kept)
    return getitem(x, tuple(index))


def _padded(x: Tensor, axes: tuple[int, int], target: tuple[int, int], value: float) -> Tensor:
    """x between two equal borders; a row or column that has no partner is left out, as in Keras."""
    widths = [(0, 0)] * x.ndim
    for axis, wanted in zip(axes, _proportional(x, axes, target), strict=True):
        border = (wanted - x.shape[axis]) // 2
        if border > 0:
            widths[axis] = (border, border)
            break
    return pad(x, widths, value)
