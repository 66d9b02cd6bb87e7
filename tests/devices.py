"""The devices of the test matrix: the CPU and the emulator everywhere, a GPU where there is one."""

from __future__ import annotations

import pytest

from deepcore.device import describe_devices

_STATE = {name: (ok, reason) for name, ok, reason in describe_devices()}
ACCELERATORS = ("emulator", "cuda") if _STATE["cuda"][0] else ("emulator",)
DEVICES = ("cpu", *ACCELERATORS)


def skip_unless_there(device: str) -> None:
    """Skips the test, loudly, where this machine has no such device."""
    ok, reason = _STATE[device]
    if not ok:
        pytest.skip(f"NOT TESTED: {reason}")
