"""The gradient at an input of few channels, by overlap-add, for any number of tasks."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import conv as oracle

from deepcore.backend.geometry import Conv2DGeometry
from deepcore.backend.numpy import overlap
from deepcore.backend.numpy.memory import aligned
from deepcore.backend.numpy.window import conv_axes
from deepcore.kernels.cpu.host import has_slow_masks, host

CASES = {  # x, w, stride, padding
    "as wide": ((2, 10, 30, 3), (3, 3, 3, 64), 1, "same"),
    "smaller": ((2, 11, 28, 1), (3, 3, 1, 32), 1, "valid"),
    "of stride 2": ((1, 21, 23, 3), (7, 7, 3, 64), 2, "same"),
    "with gaps": ((2, 14, 19, 2), (2, 3, 2, 48), 3, "valid"),
    "rows that nothing reaches": ((1, 14, 30, 3), (5, 3, 3, 64), 2, "valid"),
    "one row of dy": ((1, 3, 40, 3), (3, 3, 3, 64), 1, "valid"),
}


@pytest.mark.parametrize("case", CASES)
def test_all_rows_that_a_pixel_reaches(case, rng, monkeypatch):
    x_shape, w_shape, stride, padding = CASES[case]
    g = Conv2DGeometry.of(x_shape, w_shape, stride, padding, 1, 1)
    w, dy = (rng.standard_normal(shape).astype(np.float32) for shape in (g.w_shape, g.y_shape))
    rows, cols = conv_axes(g)
    exact = oracle.dgrad(dy, w, g.x_shape, g.strides, g.padding, g.dilation, g.groups)
    results = []
    for tasks in (1, 3, 100):
        monkeypatch.setattr(overlap, "tasks_wanted", lambda tasks=tasks: tasks)
        dx = aligned(x_shape, np.float32)
        dx[...] = np.nan
        overlap.input_gradient(dy, w, rows, cols, dx)
        np.testing.assert_allclose(dx, exact, atol=1e-5 * np.abs(exact).max())
        results.append(dx)
    np.testing.assert_array_equal(results[1], results[0])
    np.testing.assert_array_equal(results[2], results[0])


def test_rows_are_reached_at_once_where_their_runs_fill_vectors_better():
    g = Conv2DGeometry.of((4, 224, 224, 3), (3, 3, 3, 64), 1, "same", 1, 1)
    rows, cols = conv_axes(g)
    assert overlap._reaches_all_at_once(rows, cols, 3, 64) == has_slow_masks(host())
    assert not overlap._reaches_all_at_once(rows, cols, 3, 1)
