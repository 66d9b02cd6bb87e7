"""Everything that can be made by name gives on every device what it gives on the CPU, and nothing is left out."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from catalogue import ROOMS, USES
from devices import ACCELERATORS, skip_unless_there

from deepcore.device import use_device

# What others are made from, and cannot be used by itself.
ABSTRACT = {"Layer", "InputSpec", "SymbolicTensor", "Loss", "LossFunction", "Metric", "MeanMetricWrapper", "Optimizer"}


@pytest.mark.parametrize("accelerator", ACCELERATORS)
@pytest.mark.parametrize("name", USES)
def test_devices_agree(name, accelerator):
    skip_unless_there(accelerator)
    for dtype in ("float32", "float64"):
        with use_device("cpu"):
            theirs = USES[name](dtype)
        with use_device(accelerator):
            ours = USES[name](dtype)
        assert len(ours) == len(theirs)
        for position, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            assert a.dtype == b.dtype
            # Every result here is made of sums of fewer than a hundred terms, a few of them one upon the other.
            tolerance = 100 * np.finfo(b.dtype).eps if b.dtype.kind == "f" else 0
            scale = max(1.0, np.abs(b).max(initial=0))
            np.testing.assert_allclose(
                a, b, rtol=tolerance, atol=tolerance * scale, err_msg=f"result {position} in {dtype}"
            )


@pytest.mark.parametrize("room", ROOMS)
def test_nothing_is_left_out(room):
    """A class or function that is registered or exported, and has no use in ``catalogue.py``, is not tested."""
    module = importlib.import_module(f"deepcore.{room}")
    known = {getattr(thing, "__name__", thing) for thing in ROOMS[room]}
    # Models register themselves among the layers; they have tests of their own.
    entries = [
        thing for thing in module.registry.entries.values() if not thing.__module__.startswith("deepcore.models")
    ]
    registered = {thing.__name__ for thing in entries if isinstance(thing, type)}
    exported = {
        thing.__name__ for thing in map(module.__dict__.get, getattr(module, "__all__", ())) if isinstance(thing, type)
    }
    if room == "activations":
        registered = {function.__name__ for function in entries}
    missing = (registered | exported) - known - ABSTRACT
    assert not missing, f"without a use in tests/catalogue.py: {sorted(missing)}"
    assert known <= registered, "a use of something that cannot be made by name"
