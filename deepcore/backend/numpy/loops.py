"""The way to Numba's loops: whether they can be had, and their modules, imported when first needed."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from deepcore.backend.dispatch import Answer, Call

_alone: bool | None = None
SERIAL_WORK = 50_000  # elements that one core moves in the time that it takes to hand a loop to all


def numba_available() -> Answer:
    """Whether Numba's loops may be used here, and why. Does not import Numba."""
    if os.environ.get("DEEPCORE_DISABLE_JIT", "0") not in ("", "0"):
        return False, "DEEPCORE_DISABLE_JIT is set; unset it to compile loops with Numba"
    if not _numba_installed():
        return False, "Numba is not installed; pip install numba"
    return True, "Numba is installed"


def vectors_available() -> Answer:
    """Whether kernels for vector units may be used here, and why."""
    if os.name != "posix":
        return False, "the pool of threads is made of POSIX threads, which this system does not have"
    return numba_available()


def numba_supports(call: Call) -> Answer:
    """Whether Numba compiles loops for the dtype of ``call``, and why."""
    if call.dtype not in ("float32", "float64"):
        return False, f"compiled loops take float32 and float64; the arrays are {call.dtype}"
    return True, "any shape, float32 or float64"


@functools.cache
def _numba_installed() -> bool:
    return importlib.util.find_spec("numba") is not None


@functools.cache
def loops(file: str) -> ModuleType:
    """The module ``deepcore.kernels.numba.<file>``."""
    return importlib.import_module(f"deepcore.kernels.numba.{file}")


def loop(file: str, name: str, work: float) -> Callable[..., Any]:
    """The loop ``name`` of that module, on the calling thread alone if it moves too few elements to hand it out."""
    return fitting(getattr(loops(file), name), work)


def fitting(run: Any, work: float, enough: float = SERIAL_WORK) -> Callable[..., Any]:
    """A loop, or its twin for the calling thread alone if ``work`` is less than ``enough``."""
    alone = (work < enough or _one_thread()) if _alone is None else _alone
    return run.serial if alone else run


@contextlib.contextmanager
def held_to(alone: bool) -> Iterator[None]:
    """Within the block, every loop runs on the calling thread alone, or none does; for compiling ahead."""
    global _alone
    before, _alone = _alone, alone
    try:
        yield
    finally:
        _alone = before


def leave_the_cores() -> None:
    """To be called before the BLAS: its threads find no thread of ours on their cores, looking for the next launch."""
    threads = sys.modules.get("deepcore.kernels.cpu.threads")
    if threads is not None:
        threads.rest()


def _one_thread() -> bool:
    from deepcore.kernels.cpu import threads

    return threads.count() == 1
