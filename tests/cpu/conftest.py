"""Tests of ``kernels/cpu``: microkernels for every vector unit, the pool of threads, what is kept on disk."""

from __future__ import annotations

import os

import pytest


def pytest_collection_modifyitems(items):
    """Without compiled loops there is nothing here to test."""
    if os.environ.get("DEEPCORE_DISABLE_JIT", "0") not in ("", "0"):
        skip = pytest.mark.skip(reason="DEEPCORE_DISABLE_JIT is set")
        for item in items:
            if "tests/cpu" in str(item.path):
                item.add_marker(skip)
