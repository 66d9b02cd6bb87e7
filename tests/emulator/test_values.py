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
def test_warp_functions(values, rng, schedule):
    x = rng.integers(0, 1000, 32).astype(np.int32)
    y = np.zeros((16, 32), np.int32)
    values.launch("warp_functions", 1, 32, [x, y], schedule=schedule, uninitialized={"y"})
    lane = np.arange(32)

    def bits(flags):
        return np.uint32(sum(1 << int(i) for i in np.flatnonzero(flags))).astype(np.int32)

    expected = [
        np.full(32, x[5]),
        x[lane // 8 * 8 + 3],
        np.where(lane % 16 >= 2, x[lane - 2], x),
        np.where(lane % 8 + 3 < 8, x[np.minimum(lane + 3, 31)], x),
        x[lane ^ 9],
        np.full(32, bits(x & 1)),
        np.ones(32),
        np.full(32, (x == x[7]).all()),
        [bits(x % 3 == v % 3) for v in x],
        np.full(32, x.sum()),
        np.full(32, x.max()),
        np.full(32, x.min()),
        np.full(32, np.bitwise_xor.reduce(x)),
        np.full(32, -1 if (x == x[0]).all() else 0),
        np.where(lane < 10, 0x3FF, bits((lane >= 10) & (lane % 2 == 1))),
        x[np.minimum(lane + 1, 31)],
    ]
    for row, wanted in zip(y, expected, strict=True):
        np.testing.assert_array_equal(row, wanted)


@anyhow
def test_barriers_that_vote(values, schedule):
    for x in (np.arange(70), np.zeros(70), np.ones(70)):
        y = np.zeros(70, np.int32)
        odd = x.astype(np.int32) & 1
        values.launch("block_votes", 1, 70, [x.astype(np.int32), y], schedule=schedule)
        np.testing.assert_array_equal(y, odd.sum() * 4 + odd.any() * 2 + odd.all())


@anyhow
def test_atomics(values, schedule):
    y = np.array([0, 0, 0, 0, 0xFF, 0, 0, 0, 3], np.int32)
    f, wide = np.array([0, -1], np.float32), np.zeros(1, np.uint64)
    values.launch("atomics", 2, 64, [y, f, wide], schedule=schedule)
    t = np.arange(64)
    assert y.tolist() == [2 * t.sum(), -128, 63, -63, 0, 2**31 - 1, 0, 5, (3 + 128) % 10]
    assert f.tolist() == [64.0, 63.0]
    assert wide[0] == 128 << 40


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


def hard_floats(rng):
    """Every half, the points between neighbours and just beside them, extremes, and random bit patterns."""
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    finite = np.sort(halves[np.isfinite(halves)].astype(np.float64))
    middle = (finite[1:] + finite[:-1]) / 2
    with np.errstate(over="ignore"):
        near = middle.astype(np.float32)
        return np.concatenate(
            [
                finite.astype(np.float32),
                near,
                np.nextafter(near, np.float32(np.inf)),
                np.nextafter(near, np.float32(-np.inf)),
                np.array([65519.996, 65520, 65536, 1e38, 1e-30, -0.0, np.inf, -np.inf, np.nan], np.float32),
                rng.integers(0, 2**32, 20_000, dtype=np.uint32).view(np.float32),
            ]
        )


@np.errstate(over="ignore", invalid="ignore")
def test_half_conversions_round_to_nearest_even(values, rng):
    x = hard_floats(rng)
    wide = x.astype(np.float64) * (1 + rng.choice([-1e-12, 0, 1e-12], x.size))
    y, from_wide = np.zeros(x.size, np.float16), np.zeros(x.size, np.float16)
    values.launch("to_half", 1, 32, [x, wide, y, from_wide, x.size])
    np.testing.assert_array_equal(y, x.astype(np.float16))
    np.testing.assert_array_equal(from_wide, wide.astype(np.float16))
    assert (np.signbit(y) == np.signbit(x))[~np.isnan(x)].all()


def test_half_widens_exactly(values):
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    y = np.zeros(halves.size, np.float32)
    values.launch("from_half", 1, 64, [halves, y, halves.size])
    np.testing.assert_array_equal(y, halves.astype(np.float32))


@np.errstate(over="ignore", invalid="ignore")
def test_bfloat16_rounds_to_nearest_even(values, rng):
    x = np.concatenate([hard_floats(rng), rng.integers(0, 2**32, 20_000, dtype=np.uint32).view(np.float32)])
    y, back = np.zeros(x.size, np.uint16), np.zeros(x.size, np.float32)
    values.launch("to_bfloat16", 1, 32, [x, y, back, x.size])
    exact = x.astype(np.float64)
    low = (x.view(np.uint32) & 0xFFFF0000).view(np.float32)
    high = ((x.view(np.uint32) & 0xFFFF0000) + np.uint32(0x10000)).view(np.float32)
    step = np.where(np.isinf(high), np.float64(2) ** 128 * np.sign(exact), high.astype(np.float64))
    down, up = np.abs(exact - low), np.abs(step - exact)
    even = (low.view(np.uint32) >> 16 & 1) == 0
    nearest = np.where((down < up) | ((down == up) & even), low, high)
    finite = np.isfinite(x)
    np.testing.assert_array_equal(back[finite], nearest[finite])
    np.testing.assert_array_equal(back[np.isinf(x)], x[np.isinf(x)])
    assert np.isnan(back[np.isnan(x)]).all()
    np.testing.assert_array_equal((y.astype(np.uint32) << 16).view(np.float32), back)


def test_half_arithmetic_rounds_once_an_operation(values, rng):
    x = rng.standard_normal((32, 2)).astype(np.float16)
    y, fused = np.zeros_like(x), np.zeros_like(x)
    values.launch("half_arithmetic", 1, 32, [x, y, fused])
    np.testing.assert_array_equal(y, x * x + np.float16(0.25))
    np.testing.assert_array_equal(fused, (x.astype(np.float64) ** 2 + 0.25).astype(np.float16))


def test_intrinsics(values, rng):
    x = (rng.standard_normal(32) * 3).astype(np.float32)
    x[:3] = [1e20, np.nan, -2.5]
    u = rng.integers(1, 2**32, 32, dtype=np.uint32)
    y, z = np.zeros((4, 32), np.float32), np.zeros((4, 32), np.uint32)
    values.launch("intrinsics", 1, 32, [x, u, y, z])
    wide = x.astype(np.float64)
    np.testing.assert_allclose(y[0], 1 / np.sqrt(np.abs(wide) + 1), rtol=2e-7)
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(y[1], np.exp(x), rtol=1e-6)
        np.testing.assert_array_equal(y[2], x * x - np.float32(1))
        np.testing.assert_array_equal(y[3], (wide * wide - 1).astype(np.float32))
    text = [f"{value:032b}" for value in u]
    expected = [t.count("1") + 100 * t.index("1") + 10000 * (32 - t.rindex("1")) for t in text]
    np.testing.assert_array_equal(z[0], expected)
    np.testing.assert_array_equal(z[1], [int(t[::-1], 2) for t in text])
    np.testing.assert_array_equal(z[2], u.astype(np.uint64) * 0x9E3779B9 >> 32)
    rounded = np.where(np.isnan(x), 0, np.clip(np.rint(wide), -(2**31), 2**31 - 1)).astype(np.int64)
    np.testing.assert_array_equal(z[3].view(np.int32), rounded)


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
