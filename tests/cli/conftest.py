"""The command, run in this process."""

from __future__ import annotations

import pytest
from command_line import runner
from planting import genuine, plant, threads_put_back

from deepcore.cli import app

__all__ = ["genuine", "plant", "run", "threads_put_back"]


@pytest.fixture
def run(monkeypatch):
    """``run("explain", "matmul", …)`` is the command's result: ``exit_code``, ``stdout``, ``stderr``."""
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "120")

    def invoke(*arguments):
        return runner().invoke(app, [str(argument) for argument in arguments])

    return invoke
