"""Running sums and products, differences, and what follows from them."""

from __future__ import annotations

from typing import Any

from deepcore.autograd.primitive import primitive
from deepcore.ops.elementwise import multiply, subtract, where
from deepcore.ops.logic import isnan, not_equal
from deepcore.ops.operand import cast, floating, tensor_of, whole_axis
from deepcore.ops.reduction import sum
from deepcore.ops.shape import getitem, moveaxis, pad, ravel, reshape
from deepcore.tensor import Tensor


@primitive
def _cumsum(backend: Any, x: Any, *, axis: int, reverse: bool) -> Any:
    xp = backend.xp
    if reverse:
        return xp.flip(xp.cumsum(xp.flip(x, axis), axis, dtype=x.dtype), axis)
    return xp.cumsum(x, axis, dtype=x.dtype)


@_cumsum.gradient("x")
def _(dy: Tensor, axis: int, reverse: bool) -> Tensor:
    return _cumsum(dy, axis=axis, reverse=not reverse)


def _running(x: Any, axis: int | None, dtype: Any, op: str) -> tuple[Tensor, int]:
    """The tensor, flat without an axis, in the dtype to compute in, and the axis counted from the front."""
    tensor = tensor_of(x)
    if dtype is not None or tensor.dtype.kind == "b":
        tensor = cast(tensor, "int32" if dtype is None else dtype)
    if axis is None:
        return ravel(tensor), 0
    return tensor, whole_axis(axis, tensor.ndim, op)


def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """The sum of all elements up to each one along ``axis``, of the flattened tensor by default.

    >>> cumsum([1, 2, 3])
    Tensor([1, 3, 6], dtype=int32)
    """
    tensor, at = _running(x, axis, dtype, "cumsum")
    return _cumsum(tensor, axis=at, reverse=False)


def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """The product of all elements up to each one along ``axis``, of the flattened tensor by default.

    Multiplied in log2(length) steps, each reaching twice as far back (Hillis and Steele 1986): so the gradient, which
    is that of these steps, is right where elements are zero.
    """
    tensor, at = _running(x, axis, dtype, "cumprod")
    length, reach = tensor.shape[at], 1
    while reach < length:
        kept = getitem(tensor, (slice(None),) * at + (slice(None, length - reach),))
        before = pad(kept, [(reach if a == at else 0, 0) for a in range(tensor.ndim)], constant_values=1)
        tensor = multiply(tensor, before)
        reach *= 2
    return tensor


def nancumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """``cumsum`` with zeros for NaN."""
    tensor = tensor_of(x)
    return cumsum(where(isnan(tensor), 0, tensor) if tensor.dtype.kind == "f" else tensor, axis, dtype)


def nancumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """``cumprod`` with ones for NaN."""
    tensor = tensor_of(x)
    return cumprod(where(isnan(tensor), 1, tensor) if tensor.dtype.kind == "f" else tensor, axis, dtype)


def diff(a: Any, n: int = 1, axis: int = -1) -> Tensor:
    """Each element less the one before it along ``axis``, ``n`` times over; of booleans, whether they differ.

    >>> diff([1, 4, 9, 16], n=2)
    Tensor([2, 2], dtype=int32)
    """
    tensor = tensor_of(a)
    if n < 0:
        raise ValueError(f"diff: n, how often to take differences, must not be negative; got {n}.")
    at = whole_axis(axis, tensor.ndim, "diff")
    rest = (slice(None),) * at
    for _ in range(n):
        after, before = getitem(tensor, (*rest, slice(1, None))), getitem(tensor, (*rest, slice(None, -1)))
        tensor = not_equal(after, before) if tensor.dtype.kind == "b" else subtract(after, before)
    return tensor


def trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Tensor:
    """The integral of samples ``y`` along ``axis`` by the trapezoidal rule.

    ``x`` are the points of the samples, for the whole of ``y`` or one row for all; without it they are ``dx`` apart.
    """
    heights = moveaxis(floating(y), axis, -1)
    widths: Any = dx
    if x is not None:
        points = floating(x)
        widths = diff(points if points.ndim == 1 else moveaxis(points, axis, -1))
    middles = getitem(heights, (..., slice(1, None))) + getitem(heights, (..., slice(None, -1)))
    return sum(middles * widths * 0.5, -1)


def product_over(x: Tensor) -> Tensor:
    """The product over the last axis, 1 over nothing: it is halved until one is left, so zeros have right gradients."""
    one_more = [(0, 0)] * (x.ndim - 1) + [(0, 1)]
    if x.shape[-1] == 0:
        x = pad(x, one_more, constant_values=1)
    while x.shape[-1] > 1:
        if x.shape[-1] % 2:
            x = pad(x, one_more, constant_values=1)
        half = x.shape[-1] // 2
        x = multiply(getitem(x, (..., slice(None, half))), getitem(x, (..., slice(half, None))))
    return reshape(x, x.shape[:-1])
