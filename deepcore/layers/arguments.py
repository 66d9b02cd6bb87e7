"""Checks that the constructors of layers share. Messages name the argument, what it must be, and what was passed."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np


def number(name: str, value: Any, which: str = "") -> Any:
    """``value``. Raises ``TypeError`` unless it is a number, whose bounds ``which`` says in words."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number{which and ' '}{which}; got {name}={value!r}.")
    return value


def integer(name: str, value: Any) -> int:
    """``value`` as an int. Raises ``TypeError`` unless it is a whole number."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer; got {name}={value!r}.")
    return int(value)


def positive_int(name: str, value: Any, strange: type[Exception] = ValueError) -> int:
    """``value`` as an int. Raises ``ValueError`` unless it is a whole number above zero; ``strange`` for no number."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value <= 0:
        error = ValueError if isinstance(value, Real) else strange
        raise error(f"{name} must be a positive integer; got {name}={value!r}.")
    return int(value)


def numeric(name: str, value: Any) -> Any:
    """``value``. Raises ``ValueError`` unless it is a number, or an array or nested lists of numbers of one shape."""
    if not isinstance(value, Real) and not hasattr(value, "shape") and np.asarray(value).dtype.kind not in "biuf":
        raise ValueError(f"{name} must be a number, or an array of numbers; got {name}={value!r}.")
    return value
