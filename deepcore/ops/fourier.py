"""Fourier transforms. A complex tensor is a pair of real ones: (real part, imaginary part)."""

from __future__ import annotations

import math
from typing import Any

from deepcore.autograd.primitive import primitive
from deepcore.ops.creation import zeros_like
from deepcore.ops.elementwise import broadcast_to, divide, multiply, square, where
from deepcore.ops.operand import cast, floating, operands, tensor_of
from deepcore.ops.shape import getitem, pad, put_into_zeros
from deepcore.tensor import Tensor

Pair = tuple[Tensor, Tensor]


@primitive(outputs=("a", "b"))
def _transform(backend: Any, re: Any, im: Any, *, axes: tuple[int, ...], inverse: bool) -> Any:
    """The sums of x times exp(-+ 2 pi i j k / n), not divided by n either way."""
    xp = backend.xp
    transform = xp.fft.ifftn if inverse else xp.fft.fftn
    y = transform(re + 1j * im, axes=axes, norm="forward" if inverse else "backward")
    return y.real.astype(re.dtype), y.imag.astype(re.dtype)


@_transform.gradient("re", "im")
def _(da: Tensor, db: Tensor, axes: tuple[int, ...], inverse: bool) -> Pair:
    """The adjoint of a transform is the other one."""
    return _transform(da, db, axes=axes, inverse=not inverse)


def _pair(x: Any, rank: int, op: str) -> Pair:
    if not isinstance(x, tuple | list) or len(x) != 2:
        raise ValueError(f"{op}: expected a pair of tensors, (real part, imaginary part); got {type(x).__name__}.")
    re, im = operands(floating(x[0]), floating(x[1]))
    if re.shape != im.shape or re.ndim < rank:
        raise ValueError(
            f"{op}: both parts must have one shape, of rank {rank} or more; got {re.shape} and {im.shape}."
        )
    return re, im


def fft(x: Any) -> Pair:
    """The discrete Fourier transform of a pair of real tensors over the last axis, as such a pair. Cooley, Tukey 1965.

    Raises ``ValueError`` unless ``x`` is a pair of one shape.
    """
    return _transform(*_pair(x, 1, "fft"), axes=(-1,), inverse=False)


def fft2(x: Any) -> Pair:
    """The discrete Fourier transform of a pair over the last two axes."""
    return _transform(*_pair(x, 2, "fft2"), axes=(-2, -1), inverse=False)


def ifft2(x: Any) -> Pair:
    """The inverse of ``fft2``."""
    re, im = _pair(x, 2, "ifft2")
    re, im = _transform(re, im, axes=(-2, -1), inverse=True)
    count = re.shape[-1] * re.shape[-2]
    return re / count, im / count


def _of_length(x: Tensor, length: int) -> Tensor:
    """``x`` cut, or filled up with zeros, along its last axis."""
    if x.shape[-1] >= length:
        return getitem(x, (..., slice(None, length)))
    return pad(x, [(0, 0)] * (x.ndim - 1) + [(0, length - x.shape[-1])])


def rfft(x: Any, fft_length: int | None = None) -> Pair:
    """The first n // 2 + 1 elements of the transform of real [..., n]; the others mirror them.

    ``x`` is first cut, or filled up with zeros, to ``fft_length``.
    """
    tensor = floating(x)
    if tensor.ndim < 1:
        raise ValueError("rfft: expected a tensor of rank 1 or more; got a number.")
    tensor = _of_length(tensor, tensor.shape[-1] if fft_length is None else fft_length)
    re, im = _transform(tensor, zeros_like(tensor), axes=(-1,), inverse=False)
    half = (..., slice(None, tensor.shape[-1] // 2 + 1))
    return getitem(re, half), getitem(im, half)


def irfft(x: Any, fft_length: int | None = None) -> Tensor:
    """The inverse of ``rfft``: real [..., fft_length], by default 2 * (k - 1) for a pair of [..., k]."""
    re, im = _pair(x, 1, "irfft")
    length = 2 * (re.shape[-1] - 1) if fft_length is None else fft_length
    kept = length // 2 + 1
    re, im = _of_length(re, kept), _of_length(im, kept)
    # Elements that stand for two, themselves and their mirror image, count twice; the real part does the rest.
    xp = re.device.backend.xp
    weights = xp.full(kept, 2.0 / length, re.dtype)
    weights[0] = 1.0 / length
    if length % 2 == 0:
        weights[-1] = 1.0 / length
    weight = Tensor.wrap(weights, re.device)
    found, _ = _transform(_of_length(re * weight, length), _of_length(im * weight, length), axes=(-1,), inverse=True)
    return found


# Short times


def extract_sequences(x: Any, sequence_length: int, sequence_stride: int) -> Tensor:
    """The windows [..., windows, sequence_length] of [..., n], each ``sequence_stride`` behind the one before."""
    tensor = tensor_of(x)
    if tensor.ndim < 1:
        raise ValueError("extract_sequences: expected a tensor of rank 1 or more; got a number.")
    xp = tensor.device.backend.xp
    count = max(1 + (tensor.shape[-1] - sequence_length) // sequence_stride, 0)
    positions = xp.arange(count)[:, None] * sequence_stride + xp.arange(sequence_length)
    return getitem(tensor, (..., positions))


def _window(window: Any, length: int, fft_length: int, like: Tensor, op: str) -> Tensor | None:
    """The window [fft_length], what is missing filled up with zeros on both sides."""
    if fft_length < length:
        raise ValueError(f"{op}: fft_length must not be less than sequence_length; got {fft_length} and {length}.")
    if window is None:
        return None
    xp = like.device.backend.xp
    if isinstance(window, str):
        if window not in ("hann", "hamming"):
            raise ValueError(f"{op}: window must be 'hann', 'hamming', a tensor or None; got {window!r}.")
        share = 0.5 if window == "hann" else 0.54
        cosine = xp.cos(xp.arange(length) * (2 * math.pi / length))
        shape = Tensor.wrap((share - (1 - share) * cosine).astype(like.dtype), like.device)
    else:
        shape = cast(tensor_of(window, like=like), like.dtype)
    if shape.shape != (length,):
        raise ValueError(f"{op}: the window must have shape ({length},), sequence_length; got {shape.shape}.")
    before = (fft_length - length) // 2
    return pad(shape, [(before, fft_length - length - before)])


def _require_stride(stride: Any, op: str) -> None:
    if not isinstance(stride, int) or stride <= 0:
        raise ValueError(f"{op}: sequence_stride must be a positive integer; got {stride!r}.")


def stft(
    x: Any, sequence_length: int, sequence_stride: int, fft_length: int, window: Any = "hann", center: bool = True
) -> Pair:
    """The transforms of the windows of a signal: short-time Fourier transform.

    Args:
        x: floating [..., samples].
        sequence_length: of the window.
        sequence_stride: how far each window is behind the one before.
        fft_length: the length of each transform, at least that of the window, which stands in its middle.
        window: ``"hann"``, ``"hamming"`` (both periodic), a tensor [sequence_length], or None for ones.
        center: mirror the signal at both ends, so that window t has its middle at t * sequence_stride.

    Returns (real, imaginary), [..., windows, fft_length // 2 + 1]. Raises ``TypeError`` for integers, ``ValueError``
    for lengths that do not fit. Allen and Rabiner 1977.
    """
    _require_stride(sequence_stride, "stft")
    tensor = tensor_of(x)
    if tensor.dtype.kind != "f":
        raise TypeError(f"stft: expected float32 or float64; got {tensor.dtype}. Cast it first.")
    shape = _window(window, sequence_length, fft_length, tensor, "stft")
    if center:
        tensor = pad(tensor, [(0, 0)] * (tensor.ndim - 1) + [(fft_length // 2, fft_length // 2)], "reflect")
    frames = extract_sequences(tensor, fft_length, sequence_stride)
    return rfft(frames if shape is None else multiply(frames, shape))


def istft(
    x: Any,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    length: int | None = None,
    window: Any = "hann",
    center: bool = True,
) -> Tensor:
    """The signal [..., samples] whose ``stft`` is ``x``, cut to ``length``; arguments as there.

    The windows' signals, each times the window, are added up and divided by the sum of the squared windows (Griffin
    and Lim 1984); nothing is divided without a window.
    """
    _require_stride(sequence_stride, "istft")
    re, im = _pair(x, 2, "istft")
    shape = _window(window, sequence_length, fft_length, re, "istft")
    frames = irfft((re, im), fft_length)
    xp = re.device.backend.xp
    count = frames.shape[-2]
    size = fft_length + sequence_stride * (count - 1)
    positions = xp.arange(count)[:, None] * sequence_stride + xp.arange(fft_length)

    def overlap(parts: Tensor) -> Tensor:
        return put_into_zeros(parts, (*parts.shape[:-2], size), (..., positions))

    signal = overlap(frames if shape is None else multiply(frames, shape))
    if shape is not None:
        squares = overlap(broadcast_to(square(shape), (count, fft_length)))
        signal = divide(signal, where(squares > 1e-10, squares, 1.0))
    start = fft_length // 2 if center else 0
    stop = size - start if length is None else start + length
    return getitem(signal, (..., slice(start, stop)))
