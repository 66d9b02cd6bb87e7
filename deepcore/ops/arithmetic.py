"""Variants of arithmetic on each element: what happens at NaN, at zero, at the edge of the numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from deepcore.autograd.primitive import primitive
from deepcore.ops.creation import zeros_like
from deepcore.ops.elementwise import alias, cast, divide, exp, exp2, maximum, minimum, multiply, sum_to, where
from deepcore.ops.logic import isnan
from deepcore.ops.operand import floating, operands, result_dtype, tensor_of
from deepcore.ops.rounding import trunc
from deepcore.tensor import Tensor


@primitive
def _fmod(backend: Any, a: Any, b: Any) -> Any:
    return backend.xp.fmod(a, b)


@_fmod.gradient("a")
def _(dy: Tensor, a_shape: tuple[int, ...]) -> Tensor:
    return sum_to(dy, a_shape)


@_fmod.gradient("b")
def _(dy: Tensor, a: Tensor, b: Tensor, b_shape: tuple[int, ...]) -> Tensor:
    return sum_to(-(dy * trunc(a / b)), b_shape)


def fmod(x1: Any, x2: Any) -> Tensor:
    """The remainder of x1 / x2 with the sign of x1."""
    return _fmod(*operands(x1, x2))


def fmax(x1: Any, x2: Any) -> Tensor:
    """The larger of x1 and x2; the other one where one is NaN."""
    a, b = operands(x1, x2)
    return where(isnan(a), b, where(isnan(b), a, maximum(a, b)))


def fmin(x1: Any, x2: Any) -> Tensor:
    """The smaller of x1 and x2; the other one where one is NaN."""
    a, b = operands(x1, x2)
    return where(isnan(a), b, where(isnan(b), a, minimum(a, b)))


def divide_no_nan(x1: Any, x2: Any) -> Tensor:
    """x1 / x2, and 0 where x2 is zero."""
    a, b = operands(x1, x2)
    a, b = floating(a), floating(b)
    zero = b.detach() == 0
    return where(zero, 0.0, divide(a, where(zero, 1.0, b)))


def ldexp(x1: Any, x2: Any) -> Tensor:
    """x1 times 2 to the power x2, which is an integer. Raises ``TypeError`` if ``x2`` is floating."""
    mantissa, exponent = floating(x1), tensor_of(x2)
    if exponent.dtype.kind == "f":
        raise TypeError(f"ldexp: x2 must be integers, the powers of two; got {exponent.dtype}. Cast it first.")
    return multiply(mantissa, exp2(cast(exponent, mantissa.dtype)))


@primitive
def _logaddexp(backend: Any, a: Any, b: Any) -> Any:
    return backend.xp.logaddexp(a, b)


@_logaddexp.gradient("a", "b")
def _(
    dy: Tensor, y: Tensor, a: Tensor, b: Tensor, a_shape: tuple[int, ...], b_shape: tuple[int, ...]
) -> tuple[Tensor, ...]:
    return sum_to(dy * exp(a - y), a_shape), sum_to(dy * exp(b - y), b_shape)


def logaddexp(x1: Any, x2: Any) -> Tensor:
    """log(exp(x1) + exp(x2)), without overflow on the way."""
    a, b = operands(x1, x2)
    return _logaddexp(floating(a), floating(b))


def logaddexp2(x1: Any, x2: Any) -> Tensor:
    """log2(2**x1 + 2**x2), without overflow on the way."""
    a, b = operands(x1, x2)
    return logaddexp(floating(a) * math.log(2), floating(b) * math.log(2)) / math.log(2)


def nan_to_num(x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """x with numbers for NaN and the infinities; for these, by default, the largest and smallest of the dtype."""
    tensor = tensor_of(x)
    if tensor.dtype.kind != "f":
        return alias(tensor)
    limits = np.finfo(tensor.dtype)
    held = where(isnan(tensor), nan, tensor)
    held = where(tensor == math.inf, float(limits.max) if posinf is None else posinf, held)
    return where(tensor == -math.inf, float(limits.min) if neginf is None else neginf, held)


_BESSEL_NODES = 256


@primitive
def _bessel(backend: Any, x: Any, *, order: int) -> Any:
    """The mean of exp(x cos t) cos(t)**order over a circle, by the trapezoidal rule.

    On a periodic function its error falls faster than any power of the number of nodes: here below float64's own
    rounding as long as exp(x) is a float64. Trefethen and Weideman 2014.
    """
    total = backend.xp.zeros_like(x)
    for node in range(_BESSEL_NODES // 2 + 1):  # the other half of the circle mirrors this one
        weight = (1.0 if node in (0, _BESSEL_NODES // 2) else 2.0) / _BESSEL_NODES
        cosine = math.cos(2 * math.pi * node / _BESSEL_NODES)
        total += backend.xp.exp(x * x.dtype.type(cosine)) * x.dtype.type(weight * cosine**order)
    return total


@_bessel.gradient("x")
def _(dy: Tensor, x: Tensor, order: int) -> Tensor:
    return dy * _bessel(x, order=order + 1)


def i0(x: Any) -> Tensor:
    """The modified Bessel function of the first kind, order 0. Abramowitz and Stegun 9.6.16."""
    return _bessel(floating(x), order=0)


def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Tensor:
    """For each element the choice of the first condition that is true, ``default`` where none is.

    Raises ``ValueError`` unless there are as many choices as conditions, and at least one.
    """
    if len(condlist) != len(choicelist) or len(condlist) == 0:
        raise ValueError(
            f"select: expected as many choices as conditions, and at least one; got {len(condlist)} conditions and "
            f"{len(choicelist)} choices."
        )
    choices = [tensor_of(choice) for choice in choicelist]
    dtype = choices[0].dtype
    for choice in choices[1:]:
        dtype = result_dtype(dtype, choice.dtype)
    if isinstance(default, Tensor):
        dtype = result_dtype(dtype, default.dtype)
    result: Any = default if isinstance(default, Tensor) else zeros_like(choices[0], dtype) + default
    for condition, choice in zip(reversed(condlist), reversed(choices), strict=True):
        result = where(condition, cast(choice, dtype), result)
    return result
