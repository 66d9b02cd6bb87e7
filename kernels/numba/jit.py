"""How the loops are compiled: the decorators that every file of this folder uses, and the lock they share.

A body is written once and compiled twice. ``inline`` compiles it into the CPU's ``parallel`` loop, which hands whole
rows to the cores. For a GPU, a plain function named ``*_thread(item, ...)`` says which part of the work one thread
does, most often a single element, by the same body; ``gpu.py`` compiles it, and every body it calls, when it is first
launched. Where one element is the unit on both, the body takes ``item`` first and is that function itself.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numba
from numba import njit, prange, uintp

__all__ = ["index", "inline", "parallel", "position", "prange"]

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


@inline
def position(item, shape):
    """The four coordinates of element ``item`` of an array of four axes."""
    pixel = item // shape[3]
    row = pixel // shape[2]
    image = row // shape[1]
    return image, row - image * shape[1], pixel - row * shape[2], item - pixel * shape[3]


def parallel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: compiles a loop over ``prange`` for all cores, cached on disk, safe to call from several threads.

    Its attribute ``serial`` is the same loop on the calling thread alone, compiled when it is first called: for what is
    done before the cores would have been told.
    """
    options = {"cache": True, "nogil": True, "fastmath": FASTMATH, "error_model": "numpy"}
    compiled = njit(parallel=True, **options)(function)
    # Under a name of its own, because Numba's cache tells loops apart by their names, not by their options.
    alone = FunctionType(function.__code__, function.__globals__, function.__name__)
    alone.__module__, alone.__qualname__ = function.__module__, f"{function.__qualname__}_serial"

    @functools.wraps(function)
    def run(*args: Any) -> Any:
        with _one_at_a_time:
            return compiled(*args)

    run.compiled = compiled  # type: ignore[attr-defined]
    run.serial = njit(**options)(alone)  # type: ignore[attr-defined]
    return run
