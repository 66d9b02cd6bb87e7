"""Products, medians, quantiles and averages over axes, and the reductions that leave NaN out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from deepcore.ops.arithmetic import divide_no_nan
from deepcore.ops.cumulative import product_over
from deepcore.ops.elementwise import divide, multiply, sqrt, square, subtract, where
from deepcore.ops.logic import equal, isnan, logical_not, not_equal
from deepcore.ops.matmul import matmul
from deepcore.ops.operand import cast, floating, operands, tensor_of, whole_axis
from deepcore.ops.reduction import Axis, all, argmax, argmin, axes_of, counting, max, mean, min, sum
from deepcore.ops.shape import (
    expand_dims,
    flip,
    getitem,
    moveaxis,
    pad,
    reshape,
    swapaxes,
    take_along_axis,
    transpose,
)
from deepcore.ops.sorting import sort
from deepcore.tensor import Tensor


def _rows(x: Tensor, axis: Axis, op: str) -> tuple[Tensor, tuple[int, ...]]:
    """``x`` with the axes to reduce made its last one, and the shape that the result has with ``keepdims``."""
    axes = axes_of(axis, x.ndim, op)
    others = tuple(a for a in range(x.ndim) if a not in axes)
    length = math.prod(x.shape[a] for a in axes)
    kept = tuple(1 if a in axes else size for a, size in enumerate(x.shape))
    return reshape(transpose(x, others + axes), (*(x.shape[a] for a in others), length)), kept


def prod(x: Any, axis: Axis = None, keepdims: bool = False, dtype: Any = None) -> Tensor:
    """The product over ``axis``; its gradient is right where elements are zero.

    >>> prod([[1, 2], [3, 4]], axis=1)
    Tensor([ 2, 12], dtype=int32)
    """
    tensor = counting(tensor_of(x)) if dtype is None else cast(x, dtype)
    rows, kept = _rows(tensor, axis, "prod")
    product = product_over(rows)
    return reshape(product, kept) if keepdims else product


def ptp(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element over ``axis`` less the smallest."""
    return subtract(max(x, axis, keepdims), min(x, axis, keepdims))


def count_nonzero(x: Any, axis: Axis = None) -> Tensor:
    """How many elements over ``axis`` are not zero, int32."""
    return sum(not_equal(tensor_of(x), 0), axis)


def average(x: Any, axis: Axis = None, weights: Any = None) -> Tensor:
    """The mean over ``axis``, each element counted with its weight.

    ``weights`` has the shape of ``x``, or one axis of the length of ``axis``. Raises ``ValueError`` for another shape.
    """
    if weights is None:
        return mean(floating(x), axis)
    tensor, weight = map(floating, operands(x, weights))
    if weight.shape != tensor.shape:
        if not isinstance(axis, int) or weight.shape != (tensor.shape[whole_axis(axis, tensor.ndim, "average")],):
            raise ValueError(
                f"average: weights must have the shape of x, {tensor.shape}, or one axis of the length of axis={axis}; "
                f"got shape {weight.shape}."
            )
        at = whole_axis(axis, tensor.ndim, "average")
        weight = reshape(weight, tuple(-1 if a == at else 1 for a in range(tensor.ndim)))
        return divide(sum(tensor * weight, axis), sum(weight))
    return divide(sum(tensor * weight, axis), sum(weight, axis))


# Quantiles

METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


def _quantile(x: Any, q: Any, axis: Axis, method: str, keepdims: bool, op: str, leave_nan_out: bool) -> Tensor:
    """Quantiles between the two neighbours of position q * (count - 1) in rising order (Hyndman and Fan 1996, R-7)."""
    if method not in METHODS:
        raise ValueError(f"{op}: method must be one of {', '.join(METHODS)}; got {method!r}.")
    tensor = floating(x)
    asked = np.asarray(q.numpy() if isinstance(q, Tensor) else q, np.float64)
    rows, kept = _rows(tensor, axis, op)
    rows = sort(rows)
    xp = tensor.device.backend.xp
    missing = xp.isnan(rows.data).sum(-1, keepdims=True)
    count = rows.shape[-1] - (missing if leave_nan_out else xp.zeros_like(missing))
    place = xp.maximum(count - 1, 0) * xp.asarray(asked.reshape(-1))  # [..., quantiles]
    place = {"lower": xp.floor, "higher": xp.ceil, "nearest": xp.rint}.get(method, lambda p: p)(place)
    below, above = xp.floor(place), xp.ceil(place)
    share = xp.where(above > below, 0.5, 0.0) if method == "midpoint" else place - below

    def pick(positions: Any) -> Tensor:
        return take_along_axis(rows, Tensor.wrap(positions.astype("int32"), tensor.device), -1)

    low, high = pick(below), pick(above)
    between = low + (high - low) * Tensor.wrap(share.astype(tensor.dtype), tensor.device)
    found = where(equal(low, high), low, between)  # also between two infinities
    if not leave_nan_out:
        found = where(Tensor.wrap(missing > 0, tensor.device), math.nan, found)
    return reshape(moveaxis(found, -1, 0), asked.shape + (kept if keepdims else rows.shape[:-1]))


def quantile(x: Any, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """The values below which a share ``q``, from 0 to 1, of the elements over ``axis`` lies; NaN where there is one.

    Args:
        x: a tensor of any shape; integers become float32.
        q: a number, or several; their axes come first in the result.
        axis: over which axes, all by default.
        method: between two elements: ``"linear"``, ``"lower"``, ``"higher"``, ``"midpoint"`` or ``"nearest"``.
        keepdims: leave the reduced axes with length one.

    >>> quantile([1.0, 2.0, 3.0, 4.0], 0.5)
    Tensor(2.5, dtype=float32)
    """
    return _quantile(x, q, axis, method, keepdims, "quantile", False)


def nanquantile(x: Any, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """``quantile`` of the elements that are not NaN; NaN where all are."""
    return _quantile(x, q, axis, method, keepdims, "nanquantile", True)


def _hundredth(q: Any) -> Any:
    return np.asarray(q.numpy() if isinstance(q, Tensor) else q, np.float64) / 100


def percentile(x: Any, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """``quantile`` with ``q`` from 0 to 100."""
    return quantile(x, _hundredth(q), axis, method, keepdims)


def nanpercentile(x: Any, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """``nanquantile`` with ``q`` from 0 to 100."""
    return nanquantile(x, _hundredth(q), axis, method, keepdims)


def median(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The middle element over ``axis``, or the mean of the two in the middle; NaN where there is one."""
    return quantile(x, 0.5, axis, keepdims=keepdims)


def nanmedian(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """``median`` of the elements that are not NaN."""
    return nanquantile(x, 0.5, axis, keepdims=keepdims)


# Without NaN


def _with(x: Any, value: float) -> Tensor:
    """``x`` with ``value`` for NaN."""
    tensor = tensor_of(x)
    return where(isnan(tensor), value, tensor) if tensor.dtype.kind == "f" else tensor


def _count(x: Tensor, axis: Axis, keepdims: bool) -> Tensor:
    return sum(cast(logical_not(isnan(x)), x.dtype), axis, keepdims)


def nansum(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The sum of the elements over ``axis`` that are not NaN; 0 where all are."""
    return sum(_with(x, 0.0), axis, keepdims)


def nanprod(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The product of the elements over ``axis`` that are not NaN; 1 where all are."""
    return prod(_with(x, 1.0), axis, keepdims)


def nanmax(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element over ``axis`` that is not NaN; NaN where all are."""
    return _extremum(x, axis, keepdims, max, -math.inf)


def nanmin(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest element over ``axis`` that is not NaN; NaN where all are."""
    return _extremum(x, axis, keepdims, min, math.inf)


def _extremum(x: Any, axis: Axis, keepdims: bool, function: Any, neutral: float) -> Tensor:
    tensor = tensor_of(x)
    found = function(_with(tensor, neutral), axis, keepdims)
    return where(all(isnan(tensor), axis, keepdims), math.nan, found) if tensor.dtype.kind == "f" else found


def nanargmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The position, int32, of the first largest element that is not NaN; -1 where all are."""
    return _position(x, axis, keepdims, argmax, -math.inf)


def nanargmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The position, int32, of the first smallest element that is not NaN; -1 where all are."""
    return _position(x, axis, keepdims, argmin, math.inf)


def _position(x: Any, axis: int | None, keepdims: bool, function: Any, neutral: float) -> Tensor:
    tensor = tensor_of(x)
    return where(all(isnan(tensor), axis, keepdims), -1, function(_with(tensor, neutral), axis, keepdims))


def nanmean(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean of the elements over ``axis`` that are not NaN; NaN where all are."""
    tensor = floating(x)
    count = _count(tensor, axis, keepdims)
    return where(count == 0, math.nan, divide_no_nan(nansum(tensor, axis, keepdims), count))


def nanvar(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean squared distance from their mean of the elements over ``axis`` that are not NaN; NaN where all are."""
    tensor = floating(x)
    # NaN is taken out before it is squared: a gradient of zero times NaN would be NaN.
    centred = where(isnan(tensor), 0.0, _with(tensor, 0.0) - nanmean(tensor, axis, True))
    count = _count(tensor, axis, keepdims)
    return where(count == 0, math.nan, divide_no_nan(sum(square(centred), axis, keepdims), count))


def nanstd(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The square root of ``nanvar``."""
    return sqrt(nanvar(x, axis, keepdims))


# Of two variables


def corrcoef(x: Any) -> Tensor:
    """The correlations between the rows of ``x`` [variables, observations]: [variables, variables], within -1 to 1.

    A single row gives the number 1, its correlation with itself.
    """
    tensor = floating(x)
    if tensor.ndim > 2:
        raise ValueError(f"corrcoef: expected [variables, observations]; got shape {tensor.shape}.")
    rows = tensor if tensor.ndim == 2 else reshape(tensor, (1, -1))
    centred = rows - mean(rows, 1, keepdims=True)
    covariance = matmul(centred, swapaxes(centred, 0, 1))
    scale = sqrt(sum(square(centred), 1))
    found = covariance / multiply(expand_dims(scale, 1), expand_dims(scale, 0))
    return found if tensor.ndim == 2 else reshape(found, ())


def correlate(x1: Any, x2: Any, mode: str = "valid") -> Tensor:
    """The sums of products of ``x1`` and ``x2``, both of one axis, at every offset of ``x2`` against ``x1``.

    ``"valid"`` gives the offsets where the shorter lies within the longer, ``"full"`` those where they touch, and
    ``"same"`` the middle of these, as many as the longer is long. Raises ``ValueError`` for other modes and ranks.
    """
    a, b = map(floating, operands(x1, x2))
    if a.ndim != 1 or b.ndim != 1 or a.size == 0 or b.size == 0:
        raise ValueError(f"correlate: expected two tensors of one axis, not empty; got shapes {a.shape} and {b.shape}.")
    if mode not in ("valid", "same", "full"):
        raise ValueError(f"correlate: mode must be 'valid', 'same' or 'full'; got {mode!r}.")
    if a.size < b.size:  # the same sums, met in the opposite order
        return flip(correlate(b, a, mode), 0)
    before, after = {"valid": (0, 0), "full": (b.size - 1, b.size - 1), "same": (b.size // 2, (b.size - 1) // 2)}[mode]
    padded = pad(a, [(before, after)])
    xp = a.device.backend.xp
    starts = xp.arange(padded.size - b.size + 1)
    windows = getitem(padded, starts[:, None] + xp.arange(b.size))
    return matmul(windows, b)
