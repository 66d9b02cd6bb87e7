"""The CUDA backend's tests run on the emulator, which needs a C++ compiler; without one they are skipped."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from stand_in import gpus

from deepcore.backend.cuda import array
from deepcore.backend.cuda.carrier import emulation
from deepcore.kernels.emulator import CompilerNotFoundError, compiler

__all__ = ["gpus"]

try:
    compiler()
    MISSING = ""
except CompilerNotFoundError as problem:
    MISSING = str(problem)


def pytest_collection_modifyitems(items):
    if not MISSING:
        return
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=f"THE CUDA KERNELS ARE NOT TESTED. {MISSING}"))


@pytest.fixture(autouse=True)
def _poisoned(monkeypatch):
    """Outputs and partial sums that a kernel leaves unwritten, or reads too early, are NaN."""
    empty = array.empty

    def filled_with_nan(*args, **kwargs):
        new = empty(*args, **kwargs)
        new.reshape(-1).view(np.uint8).fill(0xFF)
        return new

    for name, module in list(sys.modules.items()):
        if name.startswith("deepcore.backend.cuda.") and getattr(module, "empty", None) is empty:
            monkeypatch.setattr(module, "empty", filled_with_nan)


@pytest.fixture(params=["fifo", "lifo", "random"])
def watched(request):
    """Every access of the kernels is checked, in one of three orders of the threads."""
    with emulation(check=True, schedule=request.param, seed=5):
        yield
