"""The command ``deepcore``, run in this process."""

from __future__ import annotations

from typer.testing import CliRunner


def runner():
    """What invokes it, with its two streams apart."""
    try:
        return CliRunner(mix_stderr=False)  # click before 8.2 mixes the streams otherwise, and later ones never do
    except TypeError:
        return CliRunner()
