"""Elementary functions that vectorise: the single-precision exponential and what follows from it.

``math.exp`` is a call into the C library, element by element, which costs ten times what the rest of a loop does. The
float32 versions here are branch-free polynomials (Cody and Waite's argument reduction, coefficients of Moshier's
Cephes library) that stay within about 2 units in the last place. Other types go to ``math``, and so does a GPU, whose
own ``expf`` and ``tanhf`` are already such polynomials.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload

__all__ = ["difference", "exp", "expm1", "log1p_of_fraction", "sigmoid", "tanh"]

# No reassociation here, unlike in the loops: the two parts of ln 2 must not be added up first.
_OPTIONS = {"fastmath": {"contract", "nsz"}, "error_model": "numpy", "forceinline": True}

LOG2_E = np.float32(1.4426950408889634)
LN_2_HIGH = np.float32(0.693359375)  # ln 2 in two parts: the first has so few bits that its multiples are exact
LN_2_LOW = np.float32(-2.12194440e-4)
EXP_LOWEST = np.float32(-104)  # below, the result rounds to zero
EXP_HIGHEST = np.float32(89)  # above, to infinity
HALF = np.float32(0.5)
ONE = np.float32(1)
TWO = np.float32(2)


def _float32_version_of(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: the polynomial that compiled code takes for ``function`` of a float32."""

    def declare(polynomial: Callable[..., Any]) -> Callable[..., Any]:
        @overload(function, jit_options=_OPTIONS)
        def version(x):  # type: ignore[no-untyped-def]  # Numba compares the signatures, annotations included
            return polynomial if x == types.float32 else function

        return polynomial

    return declare


@njit(**_OPTIONS)
def difference(x, y):
    """x - y, rounded as written: reassociated, ``x - max - log(sum)`` would lose the digits that matter."""
    return x - y


def exp(x):
    return math.exp(x)


def tanh(x):
    return math.tanh(x)


def expm1(x):
    """exp(x) - 1 without cancellation, for x <= 0."""
    return math.expm1(x)


def sigmoid(x):
    """1 / (1 + exp(-x))."""
    one = type(x)(1)
    return one / (one + math.exp(-x))


def log1p_of_fraction(x):
    """log(1 + x) for 0 <= x <= 1."""
    return math.log1p(x)


@_float32_version_of(exp)
def _exp(x):
    clamped = x if x > EXP_LOWEST else EXP_LOWEST
    clamped = clamped if clamped < EXP_HIGHEST else EXP_HIGHEST
    n = np.float32(math.floor(clamped * LOG2_E + HALF))
    r = clamped - n * LN_2_HIGH - n * LN_2_LOW
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * r * r + r + ONE
    # 2**n in two factors, because n reaches from the subnormal numbers to one beyond the largest.
    power = np.int32(n)
    half = power >> np.int32(1)
    low = np.int32((half + np.int32(127)) << np.int32(23)).view(np.float32)
    high = np.int32((power - half + np.int32(127)) << np.int32(23)).view(np.float32)
    return p * low * high if x == x else x


@_float32_version_of(tanh)
def _tanh(x):
    square = x * x
    p = np.float32(-5.70498872745e-3)
    p = p * square + np.float32(2.06390887954e-2)
    p = p * square + np.float32(-5.37397155531e-2)
    p = p * square + np.float32(1.33314422036e-1)
    p = p * square + np.float32(-3.33332819422e-1)
    near_zero = p * square * x + x
    size = abs(x)
    far = ONE - TWO / (exp(size + size) + ONE)
    far = far if x > np.float32(0) else -far
    return near_zero if size < np.float32(0.625) else far


@_float32_version_of(expm1)
def _expm1(x):
    t = tanh(x * HALF)
    return TWO * t / (ONE - t)


@_float32_version_of(sigmoid)
def _sigmoid(x):
    return ONE / (ONE + exp(-x))


@_float32_version_of(log1p_of_fraction)
def _log1p_of_fraction(x):
    # 2 atanh(x / (2 + x)), whose argument is at most a third.
    s = x / (TWO + x)
    square = s * s
    p = np.float32(1 / 15)
    p = p * square + np.float32(1 / 13)
    p = p * square + np.float32(1 / 11)
    p = p * square + np.float32(1 / 9)
    p = p * square + np.float32(1 / 7)
    p = p * square + np.float32(1 / 5)
    p = p * square + np.float32(1 / 3)
    return TWO * (s + s * square * p)
