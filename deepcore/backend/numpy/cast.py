"""Conversion between floating dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepcore.backend.dispatch import Call, choose, implementation
from deepcore.backend.dtype import FLOATS, floating
from deepcore.backend.geometry import FlatGeometry
from deepcore.backend.numpy.cost import numpy_cost
from deepcore.backend.numpy.rows import contiguous, quiet

__all__ = ["cast"]


def cast(x: np.ndarray, dtype: Any) -> np.ndarray:
    """``x`` in another floating dtype, rounded to nearest with ties to even; C-contiguous.

    Args:
        x: of any shape; float16, bfloat16, float32 or float64. What is already of ``dtype`` may be returned as it is.
        dtype: one of these, or its name. Numbers beyond its range become infinite, as IEEE 754 has it.

    Raises:
        TypeError: ``dtype`` is not floating.
        ImportError: bfloat16 is asked for by name and the package ml_dtypes is not installed.

    >>> cast(np.array([1.0, 2049.0, 1e6], np.float32), "float16")
    array([1.000e+00, 2.048e+03,       inf], dtype=float16)
    """
    dtype = floating(dtype)
    return choose("cast", x.dtype, FlatGeometry(x.size)).function(x, dtype)


def _supports(call: Call) -> tuple[bool, str]:
    if call.dtype in FLOATS:
        return True, "any floating dtype"
    return False, f"for floating dtypes, not {call.dtype}"


def _cost(call: Call) -> float:
    return numpy_cost(call, passes=2, calls=1)


@implementation("cast", "numpy", supports=_supports, cost=_cost)
def _cast(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    with quiet():
        if dtype.name == "bfloat16" and x.dtype == np.float64:
            x = _rounded_to_odd(x)
        return contiguous(x.astype(dtype, copy=False))


def _rounded_to_odd(x: np.ndarray) -> np.ndarray:
    """float32 that rounds to the same bfloat16 as the float64 ``x`` (Boldo and Melquiond 2008).

    ml_dtypes goes by way of float32, where rounding to nearest could make a tie of what was none.
    """
    nearest = x.astype(np.float32)
    bits = nearest.view(np.uint32)
    inexact = (nearest != x) & np.isfinite(nearest) & (bits % 2 == 0)
    toward_zero = np.abs(nearest) > np.abs(x)
    return np.where(inexact, np.where(toward_zero, bits - np.uint32(1), bits + np.uint32(1)), bits).view(np.float32)
