"""Panels of columns side by side against NumPy, for every vector unit that this machine has."""

from __future__ import annotations

import numpy as np
import pytest
from microkernels import compiled

from deepcore.kernels.cpu.host import hosts
from deepcore.kernels.cpu.panel import emit_copy, emit_copy_group
from deepcore.kernels.cpu.record import address

GUARD = 123.5  # what lies around the result and must stay there
STEPS = 7


@pytest.mark.parametrize("host", hosts(), ids=lambda host: host.vector)
@pytest.mark.parametrize("missing", [0, 1, 3])
def test_a_panel_ends_on_a_whole_vector(host, missing, rng):
    width = 2 * host.lanes
    b = rng.standard_normal((STEPS, width + 5)).astype(np.float32)
    panel = np.full((STEPS + 1, width), GUARD, np.float32)
    copy = compiled(emit_copy(2, bool(missing), host), "copy_panel", host)
    copy(address(b), b.strides[0], address(panel), panel.strides[0], STEPS, host.lanes - missing)
    np.testing.assert_array_equal(panel[:STEPS, : width - missing], b[:, : width - missing])
    assert (panel[:STEPS, width - missing :] == 0).all()
    assert (panel[STEPS] == GUARD).all()


@pytest.mark.parametrize("host", hosts(), ids=lambda host: host.vector)
@pytest.mark.parametrize(("vectors", "panels"), [(1, 2), (2, 4), (2, 3)])
def test_a_group_is_its_panels(host, vectors, panels, rng):
    width = vectors * host.lanes
    b = rng.standard_normal((STEPS, panels * width + 5)).astype(np.float32)
    group = np.full((panels, STEPS + 1, width), GUARD, np.float32)
    copy = compiled(emit_copy_group(vectors, panels, host), "copy_group", host)
    copy(address(b), b.strides[0], address(group), group.strides[1], STEPS, group.strides[0])
    expected = b[:, : panels * width].reshape(STEPS, panels, width).swapaxes(0, 1)
    np.testing.assert_array_equal(group[:, :STEPS], expected)
    assert (group[:, STEPS] == GUARD).all()
