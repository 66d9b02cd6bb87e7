"""Pooling on vectors: where a result is written changes none of it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from oracles import pool as oracle

from deepcore.backend.geometry import Pool2DGeometry
from deepcore.backend.numpy import plans, pooling
from deepcore.backend.numpy.memory import aligned
from deepcore.kernels.cpu import pooling as kernels
from deepcore.kernels.cpu.host import Host, host
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


NARROW, WIDE = Host("avx2", 8, 16, True, None), Host("avx512", 16, 32, True, None)


def kernels_of(geometry, back, vector, monkeypatch):
    """What a plan asks for, on a host of this vector unit."""
    made = []
    monkeypatch.setattr(pooling, "host", lambda: vector)
    monkeypatch.setattr(pooling.pooling, "pool", lambda what: made.append(what) or 1)
    pooling._plan.__wrapped__(pooling.MEAN, geometry, back, False)
    return made


@pytest.mark.parametrize(
    ("channels", "back", "vector", "ahead"),
    [
        (128, False, NARROW, True),
        (512, False, NARROW, True),
        (64, False, NARROW, False),
        (512, True, NARROW, False),
        (512, False, WIDE, False),
    ],
)
def test_narrow_vectors_ask_for_the_next_block_of_large_pixels(channels, back, vector, ahead, monkeypatch):
    made = kernels_of(Pool2DGeometry.of((1, 9, 9, channels), 3, 2), back, vector, monkeypatch)
    assert all(what.ahead == ahead and (what.block.rows.outputs == 1 or not ahead) for what in made)


@pytest.mark.parametrize("vectors", [1, 2])
def test_what_is_asked_for_ahead_is_every_new_line_of_the_next_block_once(vectors, monkeypatch):
    geometry = Pool2DGeometry.of((1, 9, 9, 128), 3, 2)
    what = next(iter(kernels_of(geometry, False, NARROW, monkeypatch)))
    text = kernels.emit_pool(dataclasses.replace(what, streamed=True, vectors=vectors), NARROW)
    new_rows, new_pixels, vectors_of_a_line = 2, 2, 2
    assert text.count('call void @"llvm.prefetch') == new_rows * new_pixels * vectors // vectors_of_a_line


@pytest.mark.parametrize("channels", [128, 130])
@pytest.mark.parametrize(("window", "strides", "padding"), [(2, 2, "valid"), (3, 2, "same"), (3, 1, "same")])
def test_large_pixels(channels, window, strides, padding, rng):
    g = Pool2DGeometry.of((2, 7, 9, channels), window, strides, padding)
    x = rng.standard_normal(g.x_shape).astype(np.float32)
    how = g.window, g.strides, g.padding
    y, places = pooling.max_fprop(x, g)
    wanted, wanted_places = oracle.max_fprop(x, g.y_shape, *how)
    np.testing.assert_array_equal(y, wanted)
    np.testing.assert_array_equal(places, wanted_places)
    np.testing.assert_allclose(pooling.mean_fprop(x, g), oracle.avg_fprop(x, g.y_shape, *how), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3, 4, 5, 6, 7, 9, 16])
@pytest.mark.parametrize(("width", "padding"), [(3, "valid"), (12, "same"), (57, "valid")])
def test_gradients_of_overlapping_windows_write_nothing_beyond_their_result(channels, width, padding, rng, monkeypatch):
    g = Pool2DGeometry.of((2, 7, width, channels), 3, 2, padding)
    x = rng.standard_normal(g.x_shape).astype(np.float32)
    dy = rng.standard_normal(g.y_shape).astype(np.float32)
    _, places = pooling.max_fprop(x, g)
    memory = np.full(x.size + 2 * LINE, np.nan, np.float32)
    inside = slice(LINE, LINE + x.size)
    monkeypatch.setattr(pooling, "empty", lambda shape, dtype: memory[inside].reshape(shape))
    wanted = oracle.max_dgrad(dy, places, g.x_shape, g.window, g.strides, g.padding)
    np.testing.assert_allclose(pooling.max_dgrad(dy, places, g), wanted, rtol=1e-6, atol=1e-6)
    memory[inside] = np.nan
    assert np.isnan(memory).all()


@pytest.mark.parametrize(("channels", "stores"), [(6, 2 * 8), (3, 2 * 3)])
def test_pixels_that_fill_more_than_half_a_narrow_vector_are_written_one_by_one(channels, stores, monkeypatch):
    made = kernels_of(Pool2DGeometry.of((1, 8, 8, channels), 3, 2), True, NARROW, monkeypatch)
    assert {kernels.emit_pool(what, NARROW).count("store <8 x float>") for what in made} == {stores}


@pytest.mark.parametrize(
    ("batch", "vector", "tasks"), [(7, NARROW, 1), (16, NARROW, 2), (16, WIDE, 1), (64, NARROW, 10), (64, WIDE, 15)]
)
def test_a_call_is_shared_among_cores_if_it_is_worth_it(batch, vector, tasks, monkeypatch):
    monkeypatch.setattr(pooling, "host", lambda: vector)
    monkeypatch.setattr(pooling.pooling, "pool", lambda what: 1)
    plan = pooling._plan.__wrapped__(pooling.MAXIMUM, Pool2DGeometry.of((batch, 56, 56, 1), 3, 2), True, False)
    assert plan.count == tasks


@pytest.mark.parametrize(("batch", "vector", "asks"), [(16, NARROW, False), (4096, NARROW, True), (16, WIDE, True)])
def test_lines_to_be_written_are_asked_for_unless_narrow_vectors_find_them_in_the_caches(
    batch, vector, asks, monkeypatch
):
    made = kernels_of(Pool2DGeometry.of((batch, 56, 56, 6), 3, 2), True, vector, monkeypatch)
    writes = "i32 1, i32 3, i32 1"
    assert {writes in kernels.emit_pool(what, vector) for what in made} == {asks}
