"""The fidelity suite runs on the emulator here, which needs a C++ compiler; without one it is skipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from deepcore.kernels.emulator import has_compiler


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and not has_compiler():
            item.add_marker(pytest.mark.skip(reason="FIDELITY IS NOT TESTED: no C++ compiler for the emulator"))
