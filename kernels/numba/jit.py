"""How the loops are compiled: the decorators that every file of this folder uses, and the lock they share."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from typing import Any

import numba
from numba import njit, prange, uintp

__all__ = ["index", "inline", "parallel", "prange"]

# index(i) for a computed index that is never negative: Numba lets a signed one count from the end, and the test for
# that keeps a loop from vectorising.
index = uintp

# Rounding may be reassociated and multiply-adds contracted, so that reductions vectorise; NaN and infinity keep their
# meaning, because a diverging network must show it.
FASTMATH = {"reassoc", "contract", "nsz", "arcp", "afn"}

# workqueue neither spins when idle nor fights with the BLAS threads, but it must not be entered twice at a time.
if "NUMBA_THREADING_LAYER" not in os.environ:
    numba.config.THREADING_LAYER = "workqueue"  # type: ignore[attr-defined]
_one_at_a_time = threading.Lock()


def inline(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: a body to be called from a ``parallel`` loop, compiled into it."""
    return njit(inline="always", fastmath=FASTMATH, error_model="numpy")(function)


def parallel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: compiles a loop over ``prange`` for all cores, cached on disk, safe to call from several threads."""
    compiled = njit(parallel=True, cache=True, nogil=True, fastmath=FASTMATH, error_model="numpy")(function)

    @functools.wraps(function)
    def run(*args: Any) -> Any:
        with _one_at_a_time:
            return compiled(*args)

    run.compiled = compiled  # type: ignore[attr-defined]
    return run
