"""The fidelity suite runs on the emulator here, which needs a C++ compiler; without one it is skipped."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deepcore.kernels.emulator import has_compiler


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and not has_compiler():
            item.add_marker(pytest.mark.skip(reason="FIDELITY IS NOT TESTED: no C++ compiler for the emulator"))


@pytest.fixture(scope="session", autouse=True)
def _builds_of_their_own(tmp_path_factory):
    """Builds do not go into the user's folder; DEEPCORE_TEST_HOME names one to keep them in from run to run."""
    patch = pytest.MonkeyPatch()
    patch.setenv("DEEPCORE_HOME", os.environ.get("DEEPCORE_TEST_HOME") or str(tmp_path_factory.mktemp("deepcore")))
    yield
    patch.undo()
