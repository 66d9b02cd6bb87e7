"""How the loops are compiled: the decorators that every file of this folder uses, and the lock they share.

A body is written once and compiled twice. ``inline`` compiles it into the CPU's ``parallel`` loop, which hands whole
rows to the cores. For a GPU, a plain function named ``*_thread(item, ...)`` says which part of the work one thread
does, most often a single element, by the same body; ``gpu.py`` compiles it, and every body it calls, when it is first
launched. Where one element is the unit on both, the body takes ``item`` first and is that function itself.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Callable
from types import FunctionType
from typing import Any

import llvmlite.binding
import numba
from numba import njit, prange, uintp

from deepcore.kernels.cores import cores
from deepcore.kernels.cpu import threads

__all__ = ["called", "index", "inline", "parallel", "position", "prange"]

# index(i) for a computed index that is never negative: Numba lets a signed one count from the end, and the test for
# that keeps a loop from vectorising.
index = uintp

# Rounding may be reassociated and multiply-adds contracted, so that reductions vectorise; NaN and infinity keep their
# meaning, because a diverging network must show it.
FASTMATH = {"reassoc", "contract", "nsz", "arcp", "afn"}

# Of Numba's own pools, workqueue neither spins when idle nor fights with the BLAS threads. It must not be entered twice
# at a time; but where there are POSIX threads it sleeps for ever, since loops are handed to the pool of convolutions.
if "NUMBA_THREADING_LAYER" not in os.environ:
    numba.config.THREADING_LAYER = "workqueue"  # type: ignore[attr-defined]


_turn = contextlib.nullcontext() if os.name == "posix" else threading.Lock()


@functools.cache
def _share_the_pool() -> None:
    """From now on, loops that Numba compiles or loads run on the pool of ``kernels/cpu``, where that can be."""
    if os.name != "posix":
        return
    from numba.np.ufunc.parallel import _launch_threads

    _launch_threads()  # it would put its own function back
    numba.set_num_threads(min(cores(), numba.config.NUMBA_NUM_THREADS))
    llvmlite.binding.add_symbol("numba_parallel_for", threads.numba_parallel_for())


def inline(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: a body to be called from a ``parallel`` loop, compiled into it."""
    return njit(inline="always", fastmath=FASTMATH, error_model="numpy")(function)


def called(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: a body that is compiled by itself, for the types of its arguments: of one that is None, branches that
    need it are left out."""
    return njit(fastmath=FASTMATH, error_model="numpy")(function)


@inline
def position(item, shape):
    """The four coordinates of element ``item`` of an array of four axes."""
    pixel = item // shape[3]
    row = pixel // shape[2]
    image = row // shape[1]
    return image, row - image * shape[1], pixel - row * shape[2], item - pixel * shape[3]


def parallel(function: FunctionType) -> Callable[..., Any]:
    """Decorator: compiles a loop over ``prange`` for all cores, cached on disk, safe to call from several threads.

    Its ``serial`` is the same loop on the calling thread alone: handing a small one out costs more than it saves.
    """
    options = {"cache": True, "nogil": True, "fastmath": FASTMATH, "error_model": "numpy"}
    compiled = njit(parallel=True, **options)(function)

    @functools.wraps(function)
    def run(*args: Any) -> Any:
        _share_the_pool()
        with _turn:
            return compiled(*args)

    run.compiled = compiled  # type: ignore[attr-defined]
    # Numba keeps what it compiled under a function's name, whatever the options were: the other needs another name.
    alone = FunctionType(function.__code__, function.__globals__, f"{function.__name__}_serial")
    alone.__qualname__ = f"{function.__qualname__}_serial"
    alone.__module__ = function.__module__
    run.serial = njit(**options)(alone)  # type: ignore[attr-defined]
    return run
