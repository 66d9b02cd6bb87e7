"""The command, run in this process, and the benchmark's own fixtures."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from deepcore.cli import app


@pytest.fixture
def run(monkeypatch):
    """``run("explain", "matmul", …)`` is the command's result: ``exit_code``, ``stdout``, ``stderr``."""
    monkeypatch.delenv("FORCE_COLOR", raising=False)

    def invoke(*arguments):
        return CliRunner().invoke(app, list(arguments))

    return invoke
