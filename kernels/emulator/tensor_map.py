"""Tensor maps: what a kernel's tensor copies (TMA) know of an array. On a GPU the driver encodes them."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SWIZZLES = {"none": 0, "32B": 1, "64B": 2, "128B": 3}
_MARK = 0x7E2504A4B0C1D2E3


class _Encoded(ctypes.Structure):
    """``TensorMap`` of ``source/tensor_map.h``."""

    _fields_ = (
        ("mark", ctypes.c_uint64),
        ("base", ctypes.c_uint64),
        ("stride", ctypes.c_uint64 * 4),
        ("size", ctypes.c_uint32 * 5),
        ("box", ctypes.c_uint16 * 5),
        ("lower", ctypes.c_int8 * 2),
        ("upper", ctypes.c_int8 * 2),
        ("rank", ctypes.c_uint8),
        ("item_bytes", ctypes.c_uint8),
        ("swizzle", ctypes.c_uint8),
        ("im2col", ctypes.c_uint8),
        ("pixel_stride", ctypes.c_uint8),
    )


@dataclass(frozen=True, eq=False)
class TensorMap:
    """An array and how tensor copies cut it; made by :func:`tensor_map` or :func:`im2col_map`.

    Pass it for a parameter of type ``dc::TensorMap``. Sizes are as NumPy counts them, the innermost axis last.
    """

    array: np.ndarray
    box: tuple[int, ...]
    swizzle: str
    lower: tuple[int, int] = (0, 0)
    upper: tuple[int, int] = (0, 0)
    pixel_stride: int = 1
    im2col: bool = False

    def encode(self, address: int) -> np.ndarray:
        """The 128 bytes that the emulator's kernels read, for an array that lies at ``address``."""
        array = self.array
        words = _Encoded(
            mark=_MARK,
            base=address,
            rank=array.ndim,
            item_bytes=array.itemsize,
            swizzle=SWIZZLES[self.swizzle],
            im2col=self.im2col,
            pixel_stride=self.pixel_stride,
            lower=self.lower,
            upper=self.upper,
        )
        for axis, stride in enumerate(array.strides[-2::-1]):
            words.stride[axis] = stride
        for axis, size in enumerate(array.shape[::-1]):
            words.size[axis] = size
        for axis, size in enumerate(self.box[::-1]):
            words.box[axis] = size
        return np.frombuffer(bytes(words).ljust(128, b"\0"), np.uint8)


def tensor_map(array: np.ndarray, box: Sequence[int], swizzle: str = "none") -> TensorMap:
    """A map for copies of boxes (cuTensorMapEncodeTiled).

    Args:
        array: C-contiguous, one to five axes.
        box: elements a copy moves along each axis.
        swizzle: ``"none"``, ``"32B"``, ``"64B"`` or ``"128B"``: how 16-byte pieces are permuted in shared memory.

    Raises:
        ValueError: what the driver would refuse; the message says which rule.
    """
    box = tuple(int(size) for size in box)
    _check(array, swizzle, box[-1] * array.itemsize if box else 0)
    if len(box) != array.ndim or not all(1 <= size <= 256 for size in box):
        raise ValueError(f"box {box} was passed for an array of shape {array.shape}; each size must be from 1 to 256.")
    return TensorMap(array, box, swizzle)


def im2col_map(
    array: np.ndarray,
    lower: Sequence[int],
    upper: Sequence[int],
    channels: int,
    pixels: int,
    pixel_stride: int = 1,
    swizzle: str = "none",
) -> TensorMap:
    """A map for copies of the pixels under a moving filter (cuTensorMapEncodeIm2col).

    Args:
        array: C-contiguous, ``[images, height, width, channels]``.
        lower, upper: corners of the bounding box in ``(width, height)``: the pixels that the filter's first element
            visits go from ``lower`` to ``size - 1 + upper``.
        channels, pixels: how many of each one copy moves.
        pixel_stride: of the convolution.
        swizzle: see :func:`tensor_map`.

    Raises:
        ValueError: what the driver would refuse.
    """
    _check(array, swizzle, channels * array.itemsize)
    if array.ndim != 4:
        raise ValueError(f"An array of shape {array.shape} was passed; [images, height, width, channels] is expected.")
    corners = (*lower, *upper)
    if len(corners) != 4 or not all(-128 <= value <= 127 for value in corners):
        raise ValueError(f"Corners {lower} and {upper} were passed; (width, height) from -128 to 127 are expected.")
    if not (1 <= channels <= 256 and 1 <= pixels <= 1024 and 1 <= pixel_stride <= 8):
        raise ValueError(
            f"{channels} channels, {pixels} pixels and stride {pixel_stride} were passed; at most 256, 1024 and 8 are "
            "possible."
        )
    low, high = (int(lower[0]), int(lower[1])), (int(upper[0]), int(upper[1]))
    return TensorMap(array, (pixels, channels), swizzle, low, high, pixel_stride, im2col=True)


def _check(array: np.ndarray, swizzle: str, inner_bytes: int) -> None:
    from deepcore.errors import unknown_name

    if swizzle not in SWIZZLES:
        raise unknown_name("swizzle", swizzle, SWIZZLES)
    if not array.flags.c_contiguous or not 1 <= array.ndim <= 5:
        raise ValueError(f"An array of strides {array.strides} was passed; C-contiguous, one to five axes is expected.")
    if any(stride % 16 for stride in array.strides[:-1]):
        raise ValueError(
            f"An array of strides {array.strides} bytes was passed; all but the last must be multiples of 16. Pad the "
            "innermost axis."
        )
    limit = {"none": 256 * 16, "32B": 32, "64B": 64, "128B": 128}[swizzle]
    if inner_bytes > limit or inner_bytes % 16:
        raise ValueError(
            f"The innermost axis of the box has {inner_bytes} bytes; with swizzle {swizzle!r} it must be a multiple of "
            f"16, at most {limit}."
        )
