"""16-bit floats on the CPU: stored as such, computed in float32.

No CPU library multiplies them faster than float32, so that every function of the backend runs its float32
implementations on them: arguments are widened, and results that have the dtype of the arguments are rounded once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from deepcore.backend.dtype import is_half
from deepcore.backend.numpy.rows import quiet

Function = TypeVar("Function", bound=Callable[..., Any])


def computed_in_float32(*wide_results: int, like: int = 0) -> Callable[[Function], Function]:
    """Decorator: where the argument at position ``like`` is an array of 16-bit floats, the function runs in float32.

    Its floating results are rounded to the dtype of that argument, but for those at the positions ``wide_results``,
    which stay float32.
    """

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            if len(args) <= like or args[like].dtype.itemsize != 2 or not is_half(args[like].dtype):
                return function(*args, **kwargs)
            dtype = args[like].dtype
            results = function(*map(_widened, args), **{name: _widened(value) for name, value in kwargs.items()})
            if isinstance(results, tuple):
                pairs = enumerate(results)
                return tuple(result if i in wide_results else _narrowed(result, dtype) for i, result in pairs)
            return results if 0 in wide_results else _narrowed(results, dtype)

        run.widens = True  # type: ignore[attr-defined]
        return run  # type: ignore[return-value]

    return decorate


def widens(function: Callable[..., Any]) -> bool:
    """Whether ``function`` runs in float32 on arrays of 16-bit floats."""
    return getattr(function, "widens", False)


def _widened(value: Any) -> Any:
    return value.astype(np.float32) if isinstance(value, np.ndarray) and is_half(value.dtype) else value


def _narrowed(result: Any, dtype: np.dtype) -> Any:
    if result.dtype != np.float32:
        return result  # positions of a maximum
    with quiet():
        return result.astype(dtype)
