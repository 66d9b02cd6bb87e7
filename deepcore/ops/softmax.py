"""Softmax, its logarithm, and the cross-entropy of logits."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deepcore.autograd.primitive import Primitive, primitive
from deepcore.autograd.trace import tracing
from deepcore.ops.elementwise import exp
from deepcore.ops.indexing import one_hot
from deepcore.ops.operand import cast, floating, tensor_of
from deepcore.ops.reduction import axes_of, sum
from deepcore.ops.shape import expand_dims, reshape, transpose
from deepcore.tensor import Tensor


@primitive
def _softmax(backend: Any, x: Any) -> Any:
    return backend.softmax_fprop(x)


@_softmax.gradient("x")
def _(dy: Tensor, y: Tensor) -> Tensor:
    return _softmax_dgrad(dy, y)


@primitive(outputs=("dx",))
def _softmax_dgrad(backend: Any, dy: Any, y: Any) -> Any:
    return backend.softmax_dgrad(dy, y)


# dx = y (dy - <dy, y>), which is linear in dy and quadratic in y.
@_softmax_dgrad.gradient("dy")
def _(ddx: Tensor, y: Tensor) -> Tensor:
    return _softmax_dgrad(ddx, y)


@_softmax_dgrad.gradient("y")
def _(ddx: Tensor, dy: Tensor, y: Tensor) -> Tensor:
    return ddx * (dy - sum(dy * y, -1, keepdims=True)) - dy * sum(ddx * y, -1, keepdims=True)


@primitive
def _log_softmax(backend: Any, x: Any) -> Any:
    return backend.log_softmax_fprop(x)


@_log_softmax.gradient("x")
def _(dy: Tensor, y: Tensor) -> Tensor:
    return _log_softmax_dgrad(dy, y)


@primitive(outputs=("dx",))
def _log_softmax_dgrad(backend: Any, dy: Any, y: Any) -> Any:
    return backend.log_softmax_dgrad(dy, y)


# dx = dy - exp(y) sum(dy)
@_log_softmax_dgrad.gradient("dy")
def _(ddx: Tensor, y: Tensor) -> Tensor:
    return ddx - sum(ddx * exp(y), -1, keepdims=True)


@_log_softmax_dgrad.gradient("y")
def _(ddx: Tensor, dy: Tensor, y: Tensor) -> Tensor:
    return -(ddx * exp(y) * sum(dy, -1, keepdims=True))


@primitive(outputs=("loss", "probabilities"))
def _softmax_cross_entropy(backend: Any, logits: Any, targets: Any) -> Any:
    return backend.softmax_cross_entropy_fprop(logits, targets)


@_softmax_cross_entropy.gradient("logits")
def _(dloss: Tensor, probabilities: Tensor, targets: Tensor, dprobabilities: Tensor | None = None) -> Tensor:
    dlogits: Tensor = _softmax_cross_entropy_dgrad(dloss, probabilities, targets)
    return dlogits if dprobabilities is None else dlogits + _softmax_dgrad(dprobabilities, probabilities)


@_softmax_cross_entropy.gradient("targets")
def _(dloss: Tensor, logits: Tensor) -> Tensor:
    return -(expand_dims(dloss, -1) * _log_softmax(logits))


@primitive(outputs=("dlogits",))
def _softmax_cross_entropy_dgrad(backend: Any, dloss: Any, probabilities: Any, targets: Any) -> Any:
    return backend.softmax_cross_entropy_dgrad(dloss, probabilities, targets)


# dlogits = dloss (p sum(t) - t), linear in each of its inputs
@_softmax_cross_entropy_dgrad.gradient("dloss")
def _(ddlogits: Tensor, probabilities: Tensor, targets: Tensor) -> Tensor:
    t = distribution(targets, probabilities)
    return sum(ddlogits * (probabilities * sum(t, -1, keepdims=True) - t), -1)


@_softmax_cross_entropy_dgrad.gradient("probabilities")
def _(ddlogits: Tensor, dloss: Tensor, probabilities: Tensor, targets: Tensor) -> Tensor:
    return ddlogits * expand_dims(dloss, -1) * sum(distribution(targets, probabilities), -1, keepdims=True)


@_softmax_cross_entropy_dgrad.gradient("targets")
def _(ddlogits: Tensor, dloss: Tensor, probabilities: Tensor) -> Tensor:
    return expand_dims(dloss, -1) * (sum(ddlogits * probabilities, -1, keepdims=True) - ddlogits)


def distribution(targets: Tensor, like: Tensor) -> Tensor:
    """Weights of the classes, of the shape of ``like``, from such weights or from class numbers."""
    return targets if targets.dtype.kind == "f" else one_hot(targets, like.shape[-1], dtype=like.dtype)


def softmax(x: Any, axis: int | Sequence[int] = -1) -> Tensor:
    """exp(x) / sum(exp(x)) over ``axis``, an axis or several, computed around the maximum so that nothing overflows.

    >>> softmax([0.0, 0.0])
    Tensor([0.5, 0.5], dtype=float32)
    """
    tensor = floating(x)
    if isinstance(axis, int) and -tensor.ndim <= axis < tensor.ndim and tensor.shape[axis] == 1:
        warnings.warn(
            f"softmax over axis {axis} of shape {tensor.shape}, which has one element only, gives 1 whatever x is. For "
            "a probability from one output use sigmoid.",
            stacklevel=2,
        )
    return _along(_softmax, tensor, axis, "softmax")


def log_softmax(x: Any, axis: int | Sequence[int] = -1) -> Tensor:
    """The logarithm of ``softmax``, accurate where the probability itself would vanish."""
    return _along(_log_softmax, floating(x), axis, "log_softmax")


def _along(function: Primitive, x: Tensor, axis: int | Sequence[int], op: str) -> Tensor:
    axes = axes_of(axis, x.ndim, op)
    if any(x.shape[a] == 0 for a in axes):
        raise ValueError(f"{op}: axis {axis} of shape {x.shape} is empty.")
    if axes == (x.ndim - 1,):
        return function(x)
    order = [a for a in range(x.ndim) if a not in axes] + list(axes)
    turned = transpose(x, order)
    rows = reshape(turned, (*turned.shape[: x.ndim - len(axes)], -1))
    return transpose(reshape(function(rows), turned.shape), [order.index(a) for a in range(x.ndim)])


def softmax_cross_entropy(logits: Any, targets: Any) -> Tensor:
    """-sum(targets * log_softmax(logits)) over the last axis, from the logits in one pass.

    Args:
        logits: floating [..., classes].
        targets: class numbers, integers [...], each from 0 to classes - 1; or a distribution, floating
            [..., classes].

    Returns [...], one loss an example. Raises ``ValueError`` for shapes that do not match, and for class numbers out
    of range (looked at on the CPU only, where that costs no transfer).
    """
    x = floating(logits)
    t = tensor_of(targets, like=x)
    if x.ndim == 0 or x.size == 0:
        raise ValueError(f"softmax_cross_entropy expects logits [..., classes], not empty; got shape {x.shape}.")
    classes = x.shape[-1]
    if t.dtype.kind == "f":
        if t.shape != x.shape:
            raise ValueError(
                f"softmax_cross_entropy: floating targets must have the shape of the logits {x.shape}; got {t.shape}. "
                "For class numbers pass integers."
            )
        t = cast(t, x.dtype)
    else:
        if t.shape != x.shape[:-1]:
            raise ValueError(
                f"softmax_cross_entropy: class numbers for logits {x.shape} must have shape {x.shape[:-1]}; "
                f"got {t.shape}."
            )
        check_labels(t, classes)
    return by_rows(lambda rows, flat: _softmax_cross_entropy(rows, flat)[0], x, t)


def by_rows(loss: Callable[[Tensor, Tensor], Tensor], x: Tensor, targets: Tensor) -> Tensor:
    """``loss`` [rows] of x [rows, classes] and targets [rows, classes] or [rows], for any axes [..., classes]."""
    if x.ndim == 2:
        return loss(x, targets)
    rows = (math.prod(x.shape[:-1]), x.shape[-1])
    flat = reshape(targets, rows if targets.dtype.kind == "f" else rows[:1])
    return reshape(loss(reshape(x, rows), flat), x.shape[:-1])


def check_labels(labels: Tensor, classes: int) -> None:
    """Raises ``ValueError`` if a class number is not from 0 to ``classes`` - 1. On a GPU nothing is looked at."""
    if labels.device.kind == "cuda" or labels.size == 0:
        return
    trace = tracing()
    if trace is not None:
        trace.effect(functools.partial(check_labels, classes=classes), labels)
    values = labels._array
    # As unsigned numbers, of which the negative ones are the largest: one pass instead of two.
    if np.maximum.reduce(values.view(f"u{values.itemsize}"), axis=None) >= classes:
        low, high = int(values.min()), int(values.max())
        raise ValueError(
            f"Class numbers must be from 0 to {classes - 1}, one for each of {classes} outputs; got {low} to {high}. "
            "Give the last layer as many units as there are classes, or number the classes from 0."
        )
