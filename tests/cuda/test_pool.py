"""Pooling on CUDA cores, every implementation, against the naive one."""

import numpy as np
import pytest
from emulated import SCHEDULES, checked, each_cuda, needs_compiler, poison
from matrix import assert_sums_agree, scattered
from oracles import pool as oracle

from deepcore.backend.cuda import pool
from deepcore.backend.dispatch import Call, choose, implementations
from deepcore.backend.geometry import Pool2DGeometry

pytestmark = needs_compiler
DTYPES = ("float32", "float64")


@pytest.fixture(autouse=True)
def poisoned(monkeypatch):
    poison(monkeypatch, "pool")


def same(actual, expected, dtype, label):
    """Equal bit for bit, for results that are picked, not computed."""
    assert actual.dtype == np.dtype(dtype), label
    np.testing.assert_array_equal(actual, expected, err_msg=label)


def check(x, dy, g):
    how, dtype = (g.window, g.strides, g.padding), x.dtype
    y, argmax = oracle.max_fprop(x, g.y_shape, *how)
    for name in each_cuda("max_pool2d_fprop", dtype, g):
        values, chosen = pool.max_pool2d_fprop(x, g)
        same(values, y, dtype, f"max {name} {g}")
        same(chosen, argmax, g.argmax_dtype, f"argmax {name} {g}")
    narrow = argmax.astype(g.argmax_dtype)
    for name in each_cuda("max_pool2d_gather", dtype, g):
        same(pool.max_pool2d_gather(x, narrow, g), y, dtype, f"gather {name} {g}")

    taps = g.window[0] * g.window[1]
    right, magnitude = (oracle.max_dgrad(v, argmax, g.x_shape, *how) for v in (dy, abs(dy)))
    for name in each_cuda("max_pool2d_dgrad", dtype, g):
        dx = pool.max_pool2d_dgrad(dy, narrow, g)
        assert_sums_agree(dx, right, magnitude, taps, dtype, f"max dgrad {name} {g}")
    right, magnitude = (oracle.avg_fprop(v, g.y_shape, *how) for v in (x, abs(x)))
    for name in each_cuda("avg_pool2d_fprop", dtype, g):
        mean = pool.avg_pool2d_fprop(x, g)
        assert_sums_agree(mean, right, magnitude, taps, dtype, f"avg {name} {g}")
    right, magnitude = (oracle.avg_dgrad(v, g.x_shape, *how) for v in (dy, abs(dy)))
    for name in each_cuda("avg_pool2d_dgrad", dtype, g):
        dx = pool.avg_pool2d_dgrad(dy, g)
        assert_sums_agree(dx, right, magnitude, taps, dtype, f"avg dgrad {name} {g}")


GEOMETRIES = {
    "one of everything": Pool2DGeometry.of((1, 1, 1, 1), 1),
    "2x2": Pool2DGeometry.of((3, 8, 6, 6), 2),
    "2x2, odd edges left over": Pool2DGeometry.of((2, 7, 5, 17), 2),
    "3x3 stride 2 same": Pool2DGeometry.of((2, 7, 8, 19), 3, 2, "same"),
    "overlapping": Pool2DGeometry.of((2, 7, 5, 3), 3, 1, "same"),
    "overlapping, many channels": Pool2DGeometry.of((1, 7, 5, 33), (3, 2), (2, 1), ((1, 2), (0, 1))),
    "stride beyond the window": Pool2DGeometry.of((1, 11, 13, 5), (2, 1), (5, 3)),
    "global": Pool2DGeometry.of((3, 7, 5, 23), (7, 5)),
    "global, with padding": Pool2DGeometry.of((2, 5, 3, 4), (7, 5), 1, ((1, 1), (2, 0))),
    "as large as the image, but not global": Pool2DGeometry.of((2, 5, 3, 4), (5, 3), 7, ((1, 0), (1, 0))),
    "256 taps": Pool2DGeometry.of((1, 17, 16, 2), 16, 1),
    "wide accesses": Pool2DGeometry.of((2, 9, 8, 12), 3, 2, "same"),
    "global, wide accesses": Pool2DGeometry.of((2, 3, 5, 136), (3, 5)),
    "more taps than a byte counts": Pool2DGeometry.of((1, 18, 17, 4), (17, 16), 1),
    "global, more taps than a byte counts": Pool2DGeometry.of((1, 17, 16, 4), (17, 16), 1),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", GEOMETRIES)
def test_named_geometries(rng, name, dtype):
    g = GEOMETRIES[name]
    check(rng.standard_normal(g.x_shape).astype(dtype), rng.standard_normal(g.y_shape).astype(dtype), g)


def test_strided_operands_and_ties(rng):
    for name in ("3x3 stride 2 same", "global", "wide accesses"):
        g = GEOMETRIES[name]
        check(np.round(scattered(rng, g.x_shape, "float32")), scattered(rng, g.y_shape, "float32"), g)


@pytest.mark.parametrize("channels", [3, 36])
@pytest.mark.parametrize("value", [2.0, -np.inf, np.inf, np.nan])
def test_ties_go_to_the_first_inside_the_input(channels, value):
    g = Pool2DGeometry.of((1, 4, 4, channels), 3, 2, 1)
    for name in each_cuda("max_pool2d_fprop", "float32", g):
        y, argmax = pool.max_pool2d_fprop(np.full(g.x_shape, value, "float32"), g)
        np.testing.assert_array_equal(y, np.full(g.y_shape, value))
        # Windows at the upper or left edge begin with a row or a column of padding.
        np.testing.assert_array_equal(argmax[0, :, :, -1], [[4, 3], [1, 0]], err_msg=name)
    whole = Pool2DGeometry.of((1, 4, 5, channels), (4, 5))
    for name in each_cuda("max_pool2d_fprop", "float32", whole):
        y, argmax = pool.max_pool2d_fprop(np.full(whole.x_shape, value, "float32"), whole)
        np.testing.assert_array_equal(y, np.full(whole.y_shape, value))
        assert (argmax == 0).all(), name


@pytest.mark.parametrize("channels", [3, 36])
def test_nan_reaches_the_output(rng, channels):
    whole = Pool2DGeometry.of((2, 6, 6, channels), 6)
    parts = Pool2DGeometry.of((2, 6, 6, channels), 3, 3)
    x = rng.standard_normal(whole.x_shape).astype("float32")
    x[0, 1, 1, 0] = x[0, 2, 2, 0] = x[1, 5, 5, 2] = np.nan
    x[0, 0, 0, 0] = np.inf
    for name in each_cuda("max_pool2d_fprop", "float32", parts):
        y, argmax = pool.max_pool2d_fprop(x, parts)
        assert np.argwhere(np.isnan(y)).tolist() == [[0, 0, 0, 0], [1, 1, 1, 2]], name
        assert (argmax[0, 0, 0, 0], argmax[1, 1, 1, 2]) == (4, 8), name
    for name in each_cuda("max_pool2d_fprop", "float32", whole):
        y, argmax = pool.max_pool2d_fprop(x, whole)
        assert np.argwhere(np.isnan(y)).tolist() == [[0, 0, 0, 0], [1, 0, 0, 2]], name
        assert (argmax[0, 0, 0, 0], argmax[1, 0, 0, 2]) == (7, 35), name


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_no_findings(rng, schedule):
    with checked(schedule):
        for name in ("overlapping", "wide accesses", "global", "global, wide accesses"):
            g = GEOMETRIES[name]
            check(*(rng.standard_normal(shape).astype("float32") for shape in (g.x_shape, g.y_shape)), g)


def test_dispatch_takes_the_block_per_image_for_global_windows():
    g = GEOMETRIES["global, wide accesses"]
    for op in ("max_pool2d_fprop", "avg_pool2d_fprop"):
        assert choose(op, "float32", g, "cuda").name == "cuda-global"
        assert choose(op, "float32", GEOMETRIES["2x2"], "cuda").name == "cuda"
        (record,) = (r for r in implementations(op, "cuda") if r.name == "cuda-global")
        ok, reason = record.supports(Call(op, "float32", GEOMETRIES["global, with padding"]))
        assert not ok
        assert "whole image" in reason
