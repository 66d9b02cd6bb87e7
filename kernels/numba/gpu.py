"""The same bodies on a GPU: compiled by ``numba.cuda`` into a kernel whose threads share out the items of a grid.

Imported by nobody but who launches one, since ``numba.cuda`` looks for a driver. It is that of numba-cuda where this
is installed, else Numba's own. With ``NUMBA_ENABLE_CUDASIM=1`` either runs kernels in Python, on NumPy arrays.
"""

from __future__ import annotations

import dis
import functools
import os
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numba
from numba import cuda

__all__ = ["compiled", "launch"]

OURS = __name__.rpartition(".")[0]

# A layer's arrays are what they are: that a small one does not fill the GPU is no news to its user.
if "NUMBA_CUDA_LOW_OCCUPANCY_WARNINGS" not in os.environ:
    numba.config.CUDA_LOW_OCCUPANCY_WARNINGS = 0  # type: ignore[attr-defined]


def launch(
    thread: Callable[..., Any], blocks: int, threads: int, stream: Any, count: int, args: tuple[Any, ...]
) -> None:
    """Runs ``thread(item, *args)`` for every item below ``count`` on ``blocks`` times ``threads`` threads."""
    compiled(thread)[blocks, threads, stream](count, args)


@functools.cache
def compiled(thread: Callable[..., Any]) -> Any:
    """The kernel that runs ``thread``: a grid-stride loop, so that any number of blocks serves any count."""
    body = _on_device(getattr(thread, "py_func", thread))

    def kernel(count, args):  # type: ignore[no-untyped-def]
        for item in range(cuda.grid(1), count, cuda.gridsize(1)):
            body(item, *args)

    return cuda.jit(kernel)


@functools.cache
def _on_device(function: FunctionType) -> Any:
    """``function`` for the GPU, with every body that it calls.

    A CPU's compiled function cannot be called there, so the names in this copy stand for the GPU's versions. What
    ``elementary.py`` overloads for the CPU is called as it is written, and finds the GPU's own mathematics.
    """
    names = dict(function.__globals__)
    for name in {step.argval for step in dis.get_instructions(function) if step.opname == "LOAD_GLOBAL"}:
        body = getattr(names.get(name), "py_func", names.get(name))
        if isinstance(body, FunctionType) and body.__module__.startswith(OURS):
            names[name] = _on_device(body)
    return cuda.jit(device=True)(FunctionType(function.__code__, names, function.__name__))
