"""The emulator's tests need a C++ compiler; without one they are skipped, and say so."""

from __future__ import annotations

from pathlib import Path

import pytest
from emulator.foreign import MISSING as MISSING_FOR_ARM
from emulator.foreign import REASON, ForeignModule
from emulator.marks import KERNELS

from deepcore.kernels.emulator import CompilerNotFoundError, Module, compiler

NO_COMPILER_NEEDED = ("test_signature.py",)

try:
    compiler()
    MISSING = ""
except CompilerNotFoundError as problem:
    MISSING = str(problem)


def pytest_collection_modifyitems(config, items):
    """Without a compiler, one skip stands for all of these tests, with the reason and how many they are."""
    here = Path(__file__).parent
    lost = [i for i in items if MISSING and here in i.path.parents and i.path.name not in NO_COMPILER_NEEDED]
    if lost:
        reason = f"{len(lost)} TESTS: THE EMULATOR IS NOT TESTED. {MISSING}"
        lost[0].add_marker(pytest.mark.skip(reason=reason))
        config.hook.pytest_deselected(items=lost[1:])
        items[:] = [item for item in items if item not in lost[1:]]


@pytest.fixture(scope="session")
def planted():
    return Module(KERNELS / "planted.cu", check=True)


on_arm = pytest.mark.skipif(bool(MISSING_FOR_ARM), reason=REASON)


@pytest.fixture(
    scope="session",
    params=["fast", "check", pytest.param("fast on Arm", marks=on_arm), pytest.param("check on Arm", marks=on_arm)],
)
def values(request):
    """Kernels whose results are compared with NumPy's, in both modes, here and on another processor."""
    kind = ForeignModule if "Arm" in request.param else Module
    return kind(KERNELS / "values.cu", check="check" in request.param)


@pytest.fixture(scope="session")
def counted():
    return Module(KERNELS / "counters.cu", check=True)
