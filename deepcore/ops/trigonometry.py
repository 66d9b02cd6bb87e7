"""Angles, trigonometric and hyperbolic functions. Angles are in radians."""

from __future__ import annotations

import math
from typing import Any

from deepcore.autograd.primitive import primitive
from deepcore.ops.creation import zeros_like
from deepcore.ops.elementwise import alias, function_of_one, multiply, sum_to, where
from deepcore.ops.logic import isnan
from deepcore.ops.operand import floating, operands, tensor_of
from deepcore.tensor import Tensor

sin = function_of_one("sin", lambda dy, x: dy * cos(x), "The sine of x.")
cos: Any = function_of_one("cos", lambda dy, x: -(dy * sin(x)), "The cosine of x.")
tan = function_of_one("tan", lambda dy, y: dy * (y * y + 1), "The tangent of x.")
arcsin = function_of_one("arcsin", lambda dy, x: dy / (1 - x * x) ** 0.5, "The angle from -pi/2 to pi/2 of sine x.")
arccos = function_of_one("arccos", lambda dy, x: -(dy / (1 - x * x) ** 0.5), "The angle from 0 to pi of cosine x.")
arctan = function_of_one("arctan", lambda dy, x: dy / (x * x + 1), "The angle from -pi/2 to pi/2 of tangent x.")
sinh = function_of_one("sinh", lambda dy, x: dy * cosh(x), "The hyperbolic sine of x.")
cosh: Any = function_of_one("cosh", lambda dy, x: dy * sinh(x), "The hyperbolic cosine of x.")
arcsinh = function_of_one("arcsinh", lambda dy, x: dy / (x * x + 1) ** 0.5, "The inverse hyperbolic sine of x.")
arccosh = function_of_one(
    "arccosh",
    lambda dy, x: dy / ((x - 1) ** 0.5 * (x + 1) ** 0.5),
    "The inverse hyperbolic cosine of x, which is at least 1.",
)
arctanh = function_of_one(
    "arctanh", lambda dy, x: dy / (1 - x * x), "The inverse hyperbolic tangent of x, between -1 and 1."
)


@primitive
def _arctan2(backend: Any, a: Any, b: Any) -> Any:
    return backend.xp.arctan2(a, b)


@_arctan2.gradient("a", "b")
def _(dy: Tensor, a: Tensor, b: Tensor, a_shape: tuple[int, ...], b_shape: tuple[int, ...]) -> tuple[Tensor, ...]:
    scaled = dy / (a * a + b * b)
    return sum_to(scaled * b, a_shape), sum_to(-(scaled * a), b_shape)


def arctan2(x1: Any, x2: Any) -> Tensor:
    """The angle from -pi to pi of the point with height x1 and distance x2 to the right."""
    a, b = operands(x1, x2)
    return _arctan2(floating(a), floating(b))


@primitive
def _hypot(backend: Any, a: Any, b: Any) -> Any:
    return backend.xp.hypot(a, b)


@_hypot.gradient("a", "b")
def _(
    dy: Tensor, y: Tensor, a: Tensor, b: Tensor, a_shape: tuple[int, ...], b_shape: tuple[int, ...]
) -> tuple[Tensor, ...]:
    return sum_to(dy * (a / y), a_shape), sum_to(dy * (b / y), b_shape)


def hypot(x1: Any, x2: Any) -> Tensor:
    """sqrt(x1 * x1 + x2 * x2), without overflow on the way."""
    a, b = operands(x1, x2)
    return _hypot(floating(a), floating(b))


def deg2rad(x: Any) -> Tensor:
    """Degrees as radians."""
    return multiply(floating(x), math.pi / 180)


def rad2deg(x: Any) -> Tensor:
    """Radians as degrees."""
    return multiply(floating(x), 180 / math.pi)


def sinc(x: Any) -> Tensor:
    """sin(pi x) / (pi x), which is 1 at zero."""
    angle_ = multiply(floating(x), math.pi)
    zero = angle_.detach() == 0
    safe = where(zero, 1.0, angle_)
    return where(zero, 1.0, sin(safe) / safe)


def angle(x: Any) -> Tensor:
    """The angle of a real number in the complex plane: pi if it is negative, else 0; NaN for NaN."""
    tensor = floating(x).detach()
    return where(isnan(tensor), tensor, where(tensor < 0, math.pi, zeros_like(tensor)))


def real(x: Any) -> Tensor:
    """The real part of x: x itself, since every tensor is real."""
    return alias(tensor_of(x))


def conjugate(x: Any) -> Tensor:
    """The complex conjugate of x: x itself, since every tensor is real."""
    return alias(tensor_of(x))


conj = conjugate


def imag(x: Any) -> Tensor:
    """The imaginary part of x: zeros, since every tensor is real."""
    return zeros_like(x)
