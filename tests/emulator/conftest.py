"""The emulator's tests need a C++ compiler; without one they are skipped, and say so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
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


@pytest.fixture(scope="session", autouse=True)
def _builds_of_their_own(tmp_path_factory):
    """Builds do not go into the user's folder; DEEPCORE_TEST_HOME names one to keep them in from run to run."""
    patch = pytest.MonkeyPatch()
    patch.setenv("DEEPCORE_HOME", os.environ.get("DEEPCORE_TEST_HOME") or str(tmp_path_factory.mktemp("deepcore")))
    yield
    patch.undo()


@pytest.fixture(scope="session")
def planted():
    return Module(KERNELS / "planted.cu", check=True)


@pytest.fixture(scope="session", params=["fast", "check"])
def values(request):
    """Kernels whose results are compared with NumPy's, in both modes."""
    return Module(KERNELS / "values.cu", check=request.param == "check")


@pytest.fixture(scope="session")
def counted():
    return Module(KERNELS / "counters.cu", check=True)
