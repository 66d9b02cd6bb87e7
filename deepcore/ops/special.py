"""The error function, its complement and its inverse.

NumPy has none of them, so they are rational approximations evaluated in float64 and rounded to the operand's dtype.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from deepcore.autograd.primitive import primitive
from deepcore.ops.elementwise import exp, square
from deepcore.ops.operand import floating
from deepcore.tensor import Tensor

# W. J. Cody 1969, Rational Chebyshev approximations for the error function, Mathematics of Computation 23: the
# coefficients of numerators and denominators, highest power first.
# erf(x) = x R(x^2) up to 0.46875
_SMALL = (
    (
        1.85777706184603153e-1,
        3.16112374387056560e0,
        1.13864154151050156e2,
        3.77485237685302021e2,
        3.20937758913846947e3,
    ),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)
# erfc(x) = exp(-x^2) R(x) from there to 4
_MIDDLE = (
    (
        2.15311535474403846e-8,
        5.64188496988670089e-1,
        8.88314979438837594e0,
        6.61191906371416295e1,
        2.98635138197400131e2,
        8.81952221241769090e2,
        1.71204761263407058e3,
        2.05107837782607147e3,
        1.23033935479799725e3,
    ),
    (
        1.0,
        1.57449261107098347e1,
        1.17693950891312499e2,
        5.37181101862009858e2,
        1.62138957456669019e3,
        3.29079923573345963e3,
        4.36261909014324716e3,
        3.43936767414372164e3,
        1.23033935480374942e3,
    ),
)
# erfc(x) = exp(-x^2) / x (1 / sqrt(pi) - R(1 / x^2) / x^2) beyond 4
_LARGE = (
    (
        1.63153871373020978e-2,
        3.05326634961232344e-1,
        3.60344899949804439e-1,
        1.25781726111229246e-1,
        1.60837851487422766e-2,
        6.58749161529837803e-4,
    ),
    (
        1.0,
        2.56852019228982242e0,
        1.87295284992346725e0,
        5.27905102951428412e-1,
        6.05183413124413191e-2,
        2.33520497626869185e-3,
    ),
)
_SWITCH = 0.46875
_RSQRT_PI = 1 / math.sqrt(math.pi)


def _ratio(x: Any, coefficients: tuple[Sequence[float], Sequence[float]]) -> Any:
    above, below = coefficients[0][0], coefficients[1][0]
    for a, b in zip(coefficients[0][1:], coefficients[1][1:], strict=True):
        above, below = above * x + a, below * x + b
    return above / below


def _erf_small(x: Any) -> Any:
    """erf(x) for |x| up to ``_SWITCH``."""
    return x * _ratio(x * x, _SMALL)


def _erfc_positive(xp: Any, x: Any) -> Any:
    """erfc(x) for x from ``_SWITCH`` on, to a few roundings of the value itself."""
    near, far = xp.minimum(x, 4.0), xp.maximum(x, 4.0)
    tail = 1 / (far * far)
    scaled = xp.where(x <= 4.0, _ratio(near, _MIDDLE), (_RSQRT_PI - tail * _ratio(tail, _LARGE)) / far)
    # exp(-x^2) for a rounded x^2 would be wrong by x^2 roundings; the square of a short number is exact.
    short = xp.floor(x * 16) / 16
    return scaled * xp.exp(-short * short) * xp.exp(-(x - short) * (x + short))


def _in_double(xp: Any, x: Any) -> tuple[Any, Any]:
    """x in float64 and its magnitude, which is held where erfc is zero in float64, too; NaN stays NaN."""
    wide = x.astype(np.float64)
    return wide, xp.minimum(xp.abs(wide), 30.0)


@primitive
def _erf(backend: Any, x: Any) -> Any:
    xp = backend.xp
    wide, size = _in_double(xp, x)
    tail = xp.sign(wide) * (1 - _erfc_positive(xp, xp.maximum(size, _SWITCH)))
    return xp.where(size <= _SWITCH, _erf_small(xp.clip(wide, -_SWITCH, _SWITCH)), tail).astype(x.dtype)


@primitive
def _erfc(backend: Any, x: Any) -> Any:
    xp = backend.xp
    wide, size = _in_double(xp, x)
    tail = _erfc_positive(xp, xp.maximum(size, _SWITCH))
    tail = xp.where(wide < 0, 2 - tail, tail)
    return xp.where(size <= _SWITCH, 1 - _erf_small(xp.clip(wide, -_SWITCH, _SWITCH)), tail).astype(x.dtype)


@primitive
def _erfinv(backend: Any, x: Any) -> Any:
    xp = backend.xp
    wide = x.astype(np.float64)
    inside = xp.abs(wide) < 1
    size = xp.where(inside, xp.abs(wide), 0.5)
    # Winitzki 2008, right to two parts in a thousand.
    logarithm = xp.log1p(-size * size)
    mean = 2 / (math.pi * 0.147) + logarithm / 2
    y = xp.sqrt(xp.maximum(xp.sqrt(mean * mean - logarithm / 0.147) - mean, 0.0))
    for _ in range(3):  # Halley's iteration, which triples the digits; the distance to 1 loses none of them near 1
        small = _erf_small(xp.minimum(y, _SWITCH)) - size
        large = (1 - size) - _erfc_positive(xp, xp.maximum(y, _SWITCH))
        step = xp.where(y <= _SWITCH, small, large) * xp.exp(y * y) * (0.5 / _RSQRT_PI)
        y = y - step / (1 + y * step)
    edge = xp.where(xp.abs(wide) == 1, math.inf, math.nan)
    return (xp.sign(wide) * xp.where(inside, y, edge)).astype(x.dtype)


@_erf.gradient("x")
def _(dy: Tensor, x: Tensor) -> Tensor:
    return dy * exp(-square(x)) * (2 * _RSQRT_PI)


@_erfc.gradient("x")
def _(dy: Tensor, x: Tensor) -> Tensor:
    return dy * exp(-square(x)) * (-2 * _RSQRT_PI)


@_erfinv.gradient("x")
def _(dy: Tensor, y: Tensor) -> Tensor:
    return dy * exp(square(y)) * (0.5 / _RSQRT_PI)


def erf(x: Any) -> Tensor:
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x. Cody 1969.

    >>> erf([0.0, 1.0])
    Tensor([0.       , 0.8427008], dtype=float32)
    """
    return _erf(floating(x))


def erfc(x: Any) -> Tensor:
    """1 - erf(x), accurate where erf is close to one. Cody 1969."""
    return _erfc(floating(x))


def erfinv(x: Any) -> Tensor:
    """The number whose erf is x: infinite at -1 and 1, NaN beyond. By Halley's iteration on ``erf``."""
    return _erfinv(floating(x))
