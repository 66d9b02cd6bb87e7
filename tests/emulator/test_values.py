"""Kernels give NumPy's results, in fast mode and in check mode, whatever the schedule."""

from __future__ import annotations

import numpy as np
import pytest

SCHEDULES = ["fifo", "lifo", "random"]
anyhow = pytest.mark.parametrize("schedule", SCHEDULES)


@anyhow
def test_saxpy(values, rng, schedule):
    x, y = rng.standard_normal((2, 1003)).astype(np.float32)
    expected = y.astype(np.float64) + 2.5 * x.astype(np.float64)
    values.launch("saxpy", 3, 96, [x, y, 2.5, x.size], schedule=schedule)
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)


@anyhow
def test_block_reduction(values, rng, schedule):
    x = rng.integers(-1000, 1000, 5000).astype(np.int32)
    y = np.zeros(3, np.int32)
    values.launch("sum_of_blocks", 3, 128, [x, y, x.size], schedule=schedule, uninitialized={"y"})
    assert y.sum() == x.sum()
    rows = np.resize(np.append(x, np.zeros(3 * 128 * 14 - x.size, np.int32)), (14, 3, 128))
    np.testing.assert_array_equal(y, rows.sum((0, 2)))


def test_largest_block(values, rng):
    x, y = rng.standard_normal(1024).astype(np.float32), np.zeros(2, np.float32)
    values.launch("extremes_of_block", 1, 1024, [x, y])
    np.testing.assert_array_equal(y, [x.max(), x.min()])
    x[77] = np.nan
    values.launch("extremes_of_block", 1, 1024, [x, y])
    assert np.isnan(y).all()


@anyhow
@pytest.mark.parametrize("shape", [(64, 32), (33, 70), (1, 5)])
def test_transpose(values, rng, shape, schedule):
    rows, columns = shape
    x, y = rng.standard_normal(shape), np.zeros(shape[::-1])
    grid = (-(-columns // 32), -(-rows // 32))
    values.launch("transpose", grid, (32, 8), [x, y, rows, columns], schedule=schedule, uninitialized={"y"})
    np.testing.assert_array_equal(y, x.T)


@anyhow
@pytest.mark.parametrize("size", [(16, 16, 16), (5, 37, 23)])
def test_matmul(values, rng, size, schedule):
    m, n, k = size
    a, b = rng.standard_normal((m, k)).astype(np.float32), rng.standard_normal((k, n)).astype(np.float32)
    c = np.zeros((m, n), np.float32)
    grid = (-(-n // 16), -(-m // 16))
    arguments = {"m": m, "n": n, "k": k, "a": a, "b": b, "c": c}
    values.launch("matmul", grid, (16, 16), arguments, shared=2048, schedule=schedule, uninitialized={"c"})
    np.testing.assert_allclose(c, a.astype(np.float64) @ b.astype(np.float64), rtol=1e-5, atol=1e-5)


@anyhow
def test_warp_scan(values, rng, schedule):
    x = rng.integers(-100, 100, 96).astype(np.int32)
    y = np.zeros_like(x)
    values.launch("warp_scan", 1, 96, [x, y], schedule=schedule)
    np.testing.assert_array_equal(y.reshape(3, 32), x.reshape(3, 32).cumsum(1))


@anyhow
def test_histogram(values, rng, schedule):
    x = rng.integers(0, 256, 3001).astype(np.uint8)
    y = np.zeros(256, np.uint32)
    values.launch("histogram", 4, 100, [x, y, x.size], schedule=schedule)
    np.testing.assert_array_equal(y, np.bincount(x, minlength=256))


@anyhow
def test_lock(values, schedule):
    mutex, y = np.zeros(1, np.int32), np.zeros(1, np.int32)
    values.launch("lock", 2, 128, [mutex, y], schedule=schedule)
    assert y[0] == 8


def test_vectors(values, rng):
    x = rng.standard_normal((32, 4)).astype(np.float32)
    b = rng.integers(0, 256, (32, 4)).astype(np.uint8)
    y, z = np.zeros((32, 2), np.float32), np.zeros((32, 4), np.int32)
    values.launch("vectors", 1, 32, [x, y, b, z])
    w = x[::-1, ::-1]
    np.testing.assert_array_equal(y, np.stack([w[:, 0] + x[:, 0], w[:, 1] * x[:, 1]], 1))
    np.testing.assert_array_equal(z, b)


def test_indices_of_three_dimensions(values):
    y = np.zeros(4 * 3 * 2 * 5 * 6 * 7, np.uint32)
    values.launch("where_am_i", (4, 3, 2), (5, 6, 7), [y])
    np.testing.assert_array_equal(y.reshape(24, 210), np.arange(210) * 1000 + np.arange(24)[:, None])


@anyhow
def test_shared_arrays_in_templates_and_dynamic_ones_by_any_name(values, schedule):
    y, z = np.zeros(64, np.float32), np.zeros(64, np.int32)
    values.launch("templates", 1, 64, [y, z], shared=256, schedule=schedule)
    np.testing.assert_array_equal(y, np.arange(64)[::-1])
    np.testing.assert_array_equal(z, 3 * np.arange(64)[::-1])


def test_shared_memory_is_poisoned(values):
    y, z = np.zeros(32, np.float32), np.zeros(32, np.uint32)
    values.launch("shows_poison", 1, 32, [y, z, 0], strict=False)
    assert np.isnan(y).all()
    assert (z == 0xFFFFFFFF).all()


def test_outputs_are_poisoned(values):
    y = np.zeros(4, np.float32)
    values.launch("saxpy", 1, 32, [np.zeros(4, np.float32), y, 1.0, 0], uninitialized={"y"}, strict=False)
    assert np.isnan(y).all()


def test_schedules(values):
    def order(schedule, seed=0):
        y = np.zeros(128, np.int32)
        values.launch("order_of_threads", 2, 64, [np.zeros(1, np.int32), y], schedule=schedule, seed=seed)
        return y

    np.testing.assert_array_equal(order("fifo"), np.arange(128))
    np.testing.assert_array_equal(order("lifo"), np.arange(128)[::-1])
    np.testing.assert_array_equal(order("random", 5), order("random", 5))
    np.testing.assert_array_equal(np.sort(order("random", 5)), np.arange(128))
    assert (order("random", 5) != order("random", 6)).any()
    assert (order("random", 5) != np.arange(128)).any()
