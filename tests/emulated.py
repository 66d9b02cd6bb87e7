"""What the tests of CUDA kernels share: each implementation by itself, on the emulator, with poisoned outputs."""

from __future__ import annotations

import importlib
import shutil
from contextlib import contextmanager

import numpy as np
import pytest
from matrix import is_numba_sibling

from deepcore.backend.cuda import array
from deepcore.backend.cuda.carrier import emulation
from deepcore.backend.dispatch import Call, implementations, use_implementation
from deepcore.kernels.cache import cache_folder
from deepcore.kernels.emulator import has_compiler

needs_compiler = pytest.mark.skipif(
    not has_compiler(),
    reason="NO C++ COMPILER: CUDA kernels run here only on the emulator, which needs g++ 10 or later",
)
SCHEDULES = ("fifo", "lifo", "random")


def each_cuda(op, dtype, geometry):
    """Yields the name of every CUDA implementation that serves this call, and holds the operation to it meanwhile."""
    names = [
        record.name
        for record in implementations(op, "cuda")
        if record.verdict(Call(op, np.dtype(dtype).name, geometry))[0] and not is_numba_sibling(record)
    ]
    assert names, f"no CUDA implementation serves {op} {geometry}"
    for name in names:
        with use_implementation(op, name):
            yield name


def poison(monkeypatch, *files):
    """Arrays that these backend files allocate hold NaN, or the largest integer, until a kernel writes to them."""

    def poisoned(shape, dtype, like=None):
        out = array.empty(shape, dtype, like)
        out.fill(np.nan if out.dtype.kind == "f" else np.iinfo(out.dtype).max)
        return out

    for file in files:
        monkeypatch.setattr(importlib.import_module(f"deepcore.backend.cuda.{file}"), "empty", poisoned)


def lend_what_all_builds_share(home):
    """What takes longest to build for the emulator, and every kernel needs, from the tests' own folder."""
    home.mkdir(parents=True, exist_ok=True)
    for pattern in ("runtime-*", "headers-*"):
        for file in cache_folder().glob(pattern):
            shutil.copy(file, home)


@contextmanager
def checked(schedule):
    """Every access is watched; a finding raises."""
    with emulation(check=True, schedule=schedule, seed=5):
        yield
