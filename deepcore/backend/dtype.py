"""The floating dtypes, of which two are for storage: 16 bits to keep, float32 to compute with."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepcore.config import floatx

HALVES = ("bfloat16", "float16")
FLOATS = (*HALVES, "float32", "float64")
_INTEGERS = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")
_OTHERS = ("bool", "string", "complex64", "complex128")
_OF_PYTHON = {bool: "bool", int: "int32", float: "float32", complex: "complex64", str: "string", "int": "int32"}


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
    return dtype.kind == "f" or (dtype.kind == "V" and dtype.name == "bfloat16")  # names take long to spell


def is_half(dtype: np.dtype) -> bool:
    """Whether ``dtype`` is a floating-point number of 16 bits, float16 or bfloat16."""
    return dtype.itemsize == 2 and dtype.name in HALVES


def accumulator(dtype: Any) -> np.dtype:
    """The dtype in which what is stored as ``dtype`` is computed: float32 for 16 bits, else ``dtype``.

    Sums and statistics of 16-bit arrays have it too.

    >>> accumulator(np.float16), accumulator(np.float64)
    (dtype('float32'), dtype('float64'))
    """
    dtype = np.dtype(dtype)
    return np.dtype(np.float32) if is_half(dtype) else dtype


def standardize_dtype(dtype: Any) -> str:
    """The name of a dtype that is given in any way; ``floatx()`` for None.

    Raises ``ValueError`` for what is no dtype of tensors.

    >>> standardize_dtype(np.float64), standardize_dtype(int), standardize_dtype(None)
    ('float64', 'int32', 'float32')
    """
    if dtype is None:
        return floatx()
    name = _OF_PYTHON.get(dtype, dtype)
    name = getattr(name, "name", None) or getattr(name, "__name__", name)
    if name not in (*FLOATS, *_INTEGERS, *_OTHERS):
        known = ", ".join((*FLOATS, *_INTEGERS, *_OTHERS))
        raise ValueError(f"Invalid dtype: {dtype!r}. Known: {known}.")
    return str(name)


def is_float_dtype(dtype: Any) -> bool:
    """Whether ``dtype``, given in any way, is one of floating-point numbers.

    >>> is_float_dtype("float16"), is_float_dtype("int8")
    (True, False)
    """
    return standardize_dtype(dtype) in FLOATS


def is_int_dtype(dtype: Any) -> bool:
    """Whether ``dtype``, given in any way, is one of whole numbers; bool is none."""
    return standardize_dtype(dtype) in _INTEGERS
