"""The floating dtypes, of which two are for storage: 16 bits to keep, float32 to compute with."""

from __future__ import annotations

from typing import Any

import numpy as np

HALVES = ("bfloat16", "float16")
FLOATS = (*HALVES, "float32", "float64")


def floating(dtype: Any) -> np.dtype:
    """The dtype called ``dtype``, or ``dtype`` itself.

    Raises ``TypeError`` for one that is not floating, ``ImportError`` for bfloat16 where ml_dtypes is not installed.

    >>> floating("float16")
    dtype('float16')
    """
    if isinstance(dtype, str) and dtype == "bfloat16":
        try:
            import ml_dtypes
        except ImportError as problem:
            raise ImportError(
                "NumPy has no bfloat16 of its own; the package ml_dtypes adds it: pip install ml_dtypes"
            ) from problem
        return np.dtype(ml_dtypes.bfloat16)
    dtype = np.dtype(dtype)
    if not is_floating(dtype):
        raise TypeError(f"expected one of the dtypes {', '.join(FLOATS)}; got {dtype}.")
    return dtype


def is_floating(dtype: np.dtype) -> bool:
    """Whether ``dtype`` is one of floating-point numbers; bfloat16 is, although NumPy calls its kind void."""
    return dtype.kind == "f" or dtype.name == "bfloat16"


def is_half(dtype: np.dtype) -> bool:
    """Whether ``dtype`` is a floating-point number of 16 bits, float16 or bfloat16."""
    return dtype.itemsize == 2 and dtype.name in HALVES  # names take long to spell


def accumulator(dtype: Any) -> np.dtype:
    """The dtype in which what is stored as ``dtype`` is computed: float32 for 16 bits, else ``dtype``.

    Sums and statistics of 16-bit arrays have it too.

    >>> accumulator(np.float16), accumulator(np.float64)
    (dtype('float32'), dtype('float64'))
    """
    dtype = np.dtype(dtype)
    return np.dtype(np.float32) if is_half(dtype) else dtype
