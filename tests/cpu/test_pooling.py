"""Pooling on vectors: where a result is written changes none of it."""

from __future__ import annotations

import numpy as np
import pytest

from deepcore.backend.geometry import Pool2DGeometry
from deepcore.backend.numpy import plans, pooling
from deepcore.backend.numpy.memory import aligned
from deepcore.kernels.cpu.host import host
from deepcore.kernels.cpu.pages import LINE


@pytest.mark.parametrize("channels", [16, 48, 24, 3])
def test_results_that_are_written_past_the_caches(channels, rng, monkeypatch):
    geometry = Pool2DGeometry.of((2, 9, 11, channels), 3, 2, "same")
    x = rng.standard_normal(geometry.x_shape).astype(np.float32)
    dy = rng.standard_normal(geometry.y_shape).astype(np.float32)
    monkeypatch.setattr(pooling, "empty", aligned)

    def results(most):
        monkeypatch.setattr(plans, "STREAMED_BYTES", most)
        y, places = pooling.max_fprop(x, geometry)
        assert plans.streams(y) == (most == 0 and channels % 16 == 0)
        means = pooling.mean_fprop(x, geometry), pooling.mean_dgrad(dy, geometry, False)
        return y, places, pooling.max_dgrad(dy, places, geometry), *means

    for cached, streamed in zip(results(1 << 40), results(0), strict=True):
        np.testing.assert_array_equal(cached, streamed)


def test_what_is_written_past_the_caches_is_made_in_whole_lines(rng, monkeypatch):
    geometry = Pool2DGeometry.of((1, 6, 6, 32), 2)
    monkeypatch.setattr(pooling, "empty", aligned)
    monkeypatch.setattr(plans, "STREAMED_BYTES", 0)
    made = []
    build = pooling.pooling.pool
    monkeypatch.setattr(pooling.pooling, "pool", lambda what: made.append(what) or build(what))
    pooling._plan.cache_clear()
    pooling.mean_dgrad(rng.standard_normal(geometry.y_shape).astype(np.float32), geometry, False)
    assert made
    assert all(what.streamed and what.vectors * host().vector_bytes % LINE == 0 for what in made)
