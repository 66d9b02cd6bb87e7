"""Reductions over axes. float32 sums stay float32 and accurate; integers and booleans are averaged as float32."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from deepcore.autograd.primitive import primitive
from deepcore.backend.dtype import is_half
from deepcore.ops.creation import full_like
from deepcore.ops.elementwise import broadcast_to, exp, log, maximum, minimum, multiply, repeated, sqrt, square, where
from deepcore.ops.logic import equal, isfinite
from deepcore.ops.operand import cast, floating, tensor_of
from deepcore.ops.shape import reshape
from deepcore.tensor import FLOATX, Tensor

Axis: TypeAlias = int | Sequence[int] | None


def axes_of(axis: Axis, ndim: int, op: str = "reduction") -> tuple[int, ...]:
    """``axis`` as sorted non-negative axes; all of them for None.

    >>> axes_of((-1, 0), 3)
    (0, 2)
    """
    if axis is None:
        return tuple(range(ndim))
    given = (axis,) if isinstance(axis, int | np.integer) else tuple(axis)
    for a in given:
        if not isinstance(a, int | np.integer) or not -ndim <= a < ndim:
            raise ValueError(f"{op}: axis {a!r} is not one of a tensor of rank {ndim}.")
    axes = tuple(sorted(int(a) % ndim for a in given))
    if len(set(axes)) != len(axes):
        raise ValueError(f"{op}: axis {axis!r} names an axis twice.")
    return axes


def _kept(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(1 if i in axes else size for i, size in enumerate(shape))


@primitive
def _sum(backend: Any, x: Any, *, axes: tuple[int, ...], keepdims: bool) -> Any:
    return backend.reduce_sum(x, axes, keepdims).astype(x.dtype, copy=False)  # NumPy widens sums of integers


@_sum.gradient("x")
def _(dy: Tensor, x_shape: tuple[int, ...], axes: tuple[int, ...]) -> Tensor:
    return _spread(dy, x_shape, axes)


def _spread(dy: Tensor, shape: tuple[int, ...], axes: tuple[int, ...]) -> Tensor:
    """The gradient at a sum for each of its terms."""
    return broadcast_to(reshape(dy, _kept(shape, axes)) if dy.ndim else dy, shape)


@primitive
def _mean(backend: Any, x: Any, *, axes: tuple[int, ...], keepdims: bool, share: float) -> Any:
    return backend.reduce_sum(x, axes, keepdims) * x.dtype.type(share)


@_mean.gradient("x")
def _(dy: Tensor, x_shape: tuple[int, ...], axes: tuple[int, ...], share: float) -> Tensor:
    return _shared(dy, shape=x_shape, axes=axes, share=share)


@primitive(outputs=("dx",))
def _shared(backend: Any, dy: Any, *, shape: tuple[int, ...], axes: tuple[int, ...], share: float) -> Any:
    term = dy * dy.dtype.type(share)
    return repeated(backend.xp, term.reshape(_kept(shape, axes)) if term.ndim else term, shape)


@_shared.gradient("dy")
def _(ddx: Tensor, dy_shape: tuple[int, ...], axes: tuple[int, ...], share: float) -> Tensor:
    return reshape(_mean(ddx, axes=axes, keepdims=False, share=share), dy_shape)


@primitive
def _max(backend: Any, x: Any, *, axes: tuple[int, ...], keepdims: bool) -> Any:
    return backend.reduce_max(x, axes, keepdims)


@primitive
def _min(backend: Any, x: Any, *, axes: tuple[int, ...], keepdims: bool) -> Any:
    return backend.reduce_min(x, axes, keepdims)


for _extremum in (_max, _min):

    @_extremum.gradient("x")
    def _(dy: Tensor, x: Tensor, y: Tensor, axes: tuple[int, ...]) -> Tensor:
        """Shared evenly among the elements that are the extremum."""
        kept = _kept(x.shape, axes)
        hits = cast(equal(x, reshape(y.detach(), kept)), x.dtype)
        return multiply(reshape(dy, kept), hits / sum(hits, axes, keepdims=True))


def counting(tensor: Tensor) -> Tensor:
    """``tensor`` in the dtype that its sums and products have: small integers and booleans become 32 bits wide."""
    if tensor.dtype.kind == "f" or tensor.dtype.itemsize >= 4:
        return tensor
    return cast(tensor, "uint32" if tensor.dtype.kind == "u" else "int32")


def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The sum over ``axis`` (an axis, several, or all for None).

    >>> sum(Tensor([[1, 2], [3, 4]]), axis=0)
    Tensor([4, 6], dtype=int32)
    """
    tensor = counting(tensor_of(x))
    return _sum(tensor, axes=axes_of(axis, tensor.ndim, "sum"), keepdims=keepdims)


def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean over ``axis``. Raises ``ValueError`` for a mean over nothing."""
    tensor = floating(x)
    axes = axes_of(axis, tensor.ndim, "mean")
    count = 1
    for a in axes:
        count *= tensor.shape[a]
    if count == 0:
        raise ValueError(f"mean: there is nothing to average over axes {axes} of shape {tensor.shape}.")
    if is_half(tensor.dtype):  # whose sums may be too large for it
        return cast(multiply(sum(cast(tensor, FLOATX), axes, keepdims), 1.0 / count), tensor.dtype)
    return _mean(tensor, axes=axes, keepdims=keepdims, share=1.0 / count)


def max(x: Any, axis: Axis = None, keepdims: bool = False, initial: Any = None) -> Tensor:
    """The largest element over ``axis``, and of ``initial``; NaN where there is one. Equal maxima share the gradient.

    Raises ``ValueError`` over nothing at all, unless there is an ``initial`` value.
    """
    tensor = tensor_of(x)
    axes = axes_of(axis, tensor.ndim, "max")
    if math.prod(tensor.shape[a] for a in axes) == 0:
        if initial is None:
            raise ValueError(f"max: there is no element over axes {axes} of shape {tensor.shape}; pass initial=.")
        return full_like(sum(tensor, axes, keepdims), initial, tensor.dtype)
    found: Tensor = _max(tensor, axes=axes, keepdims=keepdims)
    return found if initial is None else maximum(found, initial)


amax = max


def min(x: Any, axis: Axis = None, keepdims: bool = False, initial: Any = None) -> Tensor:
    """The smallest element over ``axis``, and of ``initial``; NaN where there is one. Equal minima share the gradient.

    Raises ``ValueError`` over nothing at all, unless there is an ``initial`` value.
    """
    tensor = tensor_of(x)
    axes = axes_of(axis, tensor.ndim, "min")
    if math.prod(tensor.shape[a] for a in axes) == 0:
        if initial is None:
            raise ValueError(f"min: there is no element over axes {axes} of shape {tensor.shape}; pass initial=.")
        return full_like(sum(tensor, axes, keepdims), initial, tensor.dtype)
    found: Tensor = _min(tensor, axes=axes, keepdims=keepdims)
    return found if initial is None else minimum(found, initial)


amin = min


def var(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean squared distance from the mean (divided by the count, not the count less one)."""
    tensor = floating(x)
    return mean(square(tensor - mean(tensor, axis, keepdims=True)), axis, keepdims)


def std(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The square root of ``var``."""
    return sqrt(var(x, axis, keepdims))


def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """log(sum(exp(x))), computed around the maximum so that nothing overflows."""
    tensor = floating(x)
    peak = max(tensor.detach(), axis, keepdims=True)
    peak = where(isfinite(peak), peak, 0.0)  # an infinite peak less itself would give NaN
    scaled = sum(exp(tensor - peak), axis, keepdims=True)
    nothing = equal(scaled.detach(), 0)  # all of them -inf: the logarithm of nothing is -inf, without a warning
    total = where(nothing, float("-inf"), log(where(nothing, 1.0, scaled)) + peak)
    return total if keepdims else reshape(total, sum(tensor.detach(), axis).shape)


def _unrecorded(x: Any, function: str, axis: Any, keepdims: bool = False) -> Tensor:
    tensor = tensor_of(x)
    xp = tensor.device.backend.xp
    return Tensor.wrap(getattr(xp, function)(tensor.data, axis=axis, keepdims=keepdims), tensor.device)


def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The position of the first largest element, int32, as Keras gives it."""
    return cast(_unrecorded(x, "argmax", axis, keepdims), "int32")


def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The position of the first smallest element, int32, as Keras gives it."""
    return cast(_unrecorded(x, "argmin", axis, keepdims), "int32")


def any(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether any element is true (not zero)."""
    return _unrecorded(x, "any", axis if axis is None else axes_of(axis, tensor_of(x).ndim, "any"), keepdims)


def all(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether every element is true (not zero)."""
    return _unrecorded(x, "all", axis if axis is None else axes_of(axis, tensor_of(x).ndim, "all"), keepdims)
