"""Pooling, every implementation, against the naive one."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from matrix import assert_sums_agree, each_implementation, scattered
from oracles import pool as oracle

from deepcore.backend import numpy_backend
from deepcore.backend.dispatch import Call, choose, implementations, operations
from deepcore.backend.geometry import Pool2DGeometry

DTYPES = ("float32", "float64")
OPS = ("max_pool2d_fprop", "max_pool2d_dgrad", "max_pool2d_gather", "avg_pool2d_fprop", "avg_pool2d_dgrad")


def test_these_are_all_the_operations(backend):
    assert {op for op in operations() if "pool" in op} == set(OPS)


def same(actual, expected, dtype, label):
    """Equal bit for bit, for results that are picked, not computed."""
    assert actual.dtype == np.dtype(dtype), label
    assert actual.flags.c_contiguous, label
    np.testing.assert_array_equal(actual, expected, err_msg=label)


def check(backend, x, dy, g):
    how = (g.window, g.strides, g.padding)
    xp, dtype = backend.xp, x.dtype
    places = np.uint8 if g.window[0] * g.window[1] <= 256 else np.int32
    y, argmax = oracle.max_fprop(x, g.y_shape, *how)
    for name in each_implementation(backend, "max_pool2d_fprop", dtype, g):
        values, chosen = (np.asarray(a) for a in backend.max_pool2d_fprop(xp.asarray(x), g))
        same(values, y, dtype, f"max {name} {g}")
        same(chosen, argmax, places, f"argmax {name} {g}")
    narrow = argmax.astype(places)
    for name in each_implementation(backend, "max_pool2d_gather", dtype, g):
        picked = np.asarray(backend.max_pool2d_gather(xp.asarray(x), xp.asarray(narrow), g))
        same(picked, y, dtype, f"gather {name} {g}")

    taps = g.window[0] * g.window[1]
    expected = oracle.max_dgrad(dy, argmax, g.x_shape, *how)
    magnitude = oracle.max_dgrad(abs(dy), argmax, g.x_shape, *how)
    for name in each_implementation(backend, "max_pool2d_dgrad", dtype, g):
        dx = np.asarray(backend.max_pool2d_dgrad(xp.asarray(dy), xp.asarray(narrow), g))
        assert_sums_agree(dx, expected, magnitude, taps, dtype, f"max dgrad {name} {g}")

    expected, magnitude = oracle.avg_fprop(x, g.y_shape, *how), oracle.avg_fprop(abs(x), g.y_shape, *how)
    for name in each_implementation(backend, "avg_pool2d_fprop", dtype, g):
        mean = np.asarray(backend.avg_pool2d_fprop(xp.asarray(x), g))
        assert_sums_agree(mean, expected, magnitude, taps, dtype, f"avg {name} {g}")
    expected, magnitude = oracle.avg_dgrad(dy, g.x_shape, *how), oracle.avg_dgrad(abs(dy), g.x_shape, *how)
    for name in each_implementation(backend, "avg_pool2d_dgrad", dtype, g):
        dx = np.asarray(backend.avg_pool2d_dgrad(xp.asarray(dy), g))
        assert_sums_agree(dx, expected, magnitude, taps, dtype, f"avg dgrad {name} {g}")


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
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", GEOMETRIES)
def test_named_geometries(backend, rng, name, dtype):
    g = GEOMETRIES[name]
    check(backend, rng.standard_normal(g.x_shape).astype(dtype), rng.standard_normal(g.y_shape).astype(dtype), g)


@pytest.mark.parametrize("channels", [2, 16])
def test_more_taps_than_a_byte_counts(backend, rng, channels):
    g = Pool2DGeometry.of((1, 18, 17, channels), (17, 16), 1)
    check(backend, rng.standard_normal(g.x_shape), rng.standard_normal(g.y_shape), g)


CHANNELS = (1, 2, 3, 4, 5, 6, 8, 13, 16, 20, 66, 81)
# Those of an even place among the channels meet the first four windows, the others the last four.
WINDOWS = (
    ((6, 8), 2, 2, 0),
    ((2, 3), 2, 2, 0),
    ((5, 12), 3, 1, 1),
    ((4, 7), (1, 2), (2, 3), ((0, 0), (1, 0))),
    ((5, 39), 2, 2, 0),
    ((7, 9), 3, 2, 0),
    ((7, 8), 3, 2, 1),
    ((6, 7), 3, 3, 1),
)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("half", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_every_count_of_channels(backend, rng, channels, dtype, half):
    """Vectors of several lengths take them: whole, overlapping at the end of a run, and rounded up where they may."""
    first = 4 * ((CHANNELS.index(channels) + half) % 2)
    for size, window, strides, padding in WINDOWS[first : first + 4]:
        g = Pool2DGeometry.of((2, *size, channels), window, strides, padding)
        x = np.round(rng.standard_normal(g.x_shape), 1).astype(dtype)
        check(backend, x, rng.standard_normal(g.y_shape).astype(dtype), g)


@pytest.mark.parametrize("channels", [3, 17])
@pytest.mark.parametrize(("window", "strides"), [(2, 2), (3, 2), (6, 2), (3, 1)])
def test_an_image_gives_the_same_bits_alone_and_among_many(rng, channels, window, strides):
    """One image is cut into strips for the cores, or left to one of them; many are shared out."""
    many = Pool2DGeometry.of((70, 26, 24, channels), window, strides)
    one = Pool2DGeometry.of((1, 26, 24, channels), window, strides)
    backend = numpy_backend()
    x, dy = (rng.standard_normal(shape).astype("float32") for shape in (many.x_shape, many.y_shape))
    _, argmax = backend.max_pool2d_fprop(x, many)
    for op, arguments in (
        ("max_pool2d_fprop", (x,)),
        ("max_pool2d_dgrad", (dy, argmax)),
        ("avg_pool2d_fprop", (x,)),
        ("avg_pool2d_dgrad", (dy,)),
    ):
        run = getattr(backend, op)
        for name in each_implementation(backend, op, "float32", many):
            whole = run(*arguments, many)
            for image in (slice(0, 1), slice(40, 41), slice(69, 70)):
                alone = run(*(array[image] for array in arguments), one)
                for mine, among in zip(alone, whole, strict=True) if op == "max_pool2d_fprop" else [(alone, whole)]:
                    np.testing.assert_array_equal(mine, among[image], err_msg=f"{op} {name}")


@st.composite
def geometries(draw):
    window = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    ends = [st.integers(0, extent - 1) for extent in window]
    explicit = st.tuples(st.tuples(ends[0], ends[0]), st.tuples(ends[1], ends[1]))
    try:
        return Pool2DGeometry.of(
            (
                draw(st.integers(1, 3)),
                draw(st.integers(1, 9)),
                draw(st.integers(1, 9)),
                draw(st.sampled_from([1, 3, 5, 16, 37])),
            ),
            window,
            draw(st.one_of(st.none(), st.tuples(st.integers(1, 6), st.integers(1, 6)))),
            draw(st.one_of(st.sampled_from(["same", "valid"]), explicit)),
        )
    except ValueError:
        assume(False)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(geometries(), st.sampled_from(DTYPES), st.booleans(), st.booleans())
def test_drawn_geometries(g, dtype, strided, ties):
    rng = np.random.default_rng(17)
    x, dy = scattered(rng, g.x_shape, dtype), scattered(rng, g.y_shape, dtype)
    if ties:
        x, dy = np.round(x), np.round(dy)
    if not strided:
        x, dy = np.ascontiguousarray(x), np.ascontiguousarray(dy)
    check(numpy_backend(), x, dy, g)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(geometries())
def test_gradients_are_adjoint(g):
    """<dy, pool(x)> = <dgrad(dy), x>; max pooling is linear once its places are held."""
    backend, rng = numpy_backend(), np.random.default_rng(19)
    x, dy = rng.standard_normal(g.x_shape), rng.standard_normal(g.y_shape)
    _, argmax = backend.max_pool2d_fprop(x, g)
    products = {"max": [], "avg": []}
    for kind, op, call in (
        ("max", "max_pool2d_gather", lambda: np.vdot(backend.max_pool2d_gather(x, argmax, g), dy)),
        ("max", "max_pool2d_dgrad", lambda: np.vdot(backend.max_pool2d_dgrad(dy, argmax, g), x)),
        ("avg", "avg_pool2d_fprop", lambda: np.vdot(backend.avg_pool2d_fprop(x, g), dy)),
        ("avg", "avg_pool2d_dgrad", lambda: np.vdot(backend.avg_pool2d_dgrad(dy, g), x)),
    ):
        products[kind] += [call() for _ in each_implementation(backend, op, "float64", g)]
    scale = np.abs(dy).sum() * np.abs(x).max()
    for values in products.values():
        np.testing.assert_allclose(values, values[0], rtol=0, atol=1e-13 * scale)


@pytest.mark.parametrize("channels", [3, 33])
@pytest.mark.parametrize("dtype", DTYPES)
def test_padding_is_never_the_maximum_nor_in_the_mean(backend, dtype, channels):
    g = Pool2DGeometry.of((1, 5, 5, channels), 3, 2, 1)
    x = backend.xp.full(g.x_shape, -1, dtype)
    for _ in each_implementation(backend, "max_pool2d_fprop", dtype, g):
        y, _ = backend.max_pool2d_fprop(x, g)
        assert (np.asarray(y) == -1).all()
    for _ in each_implementation(backend, "avg_pool2d_fprop", dtype, g):
        assert (np.asarray(backend.avg_pool2d_fprop(x, g)) == -1).all()


@pytest.mark.parametrize("channels", [3, 33])
@pytest.mark.parametrize("value", [2.0, -np.inf, np.inf, np.nan])
def test_ties_go_to_the_first_inside_the_input(backend, channels, value):
    g = Pool2DGeometry.of((1, 4, 4, channels), 3, 2, 1)
    x = backend.xp.full(g.x_shape, value, "float32")
    for name in each_implementation(backend, "max_pool2d_fprop", "float32", g):
        y, argmax = (np.asarray(a) for a in backend.max_pool2d_fprop(x, g))
        np.testing.assert_array_equal(y, np.full(g.y_shape, value))
        # Windows at the upper or left edge begin with a row or a column of padding.
        np.testing.assert_array_equal(argmax[0, :, :, -1], [[4, 3], [1, 0]], err_msg=name)


@pytest.mark.parametrize("channels", [3, 33])
@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_reaches_the_output(backend, rng, dtype, channels):
    g = Pool2DGeometry.of((2, 6, 6, channels), 3, 3)
    x = rng.standard_normal(g.x_shape).astype(dtype)
    x[0, 1, 1, 0] = x[0, 2, 2, 0] = x[1, 5, 5, 2] = np.nan
    x[0, 0, 0, 0] = np.inf
    for name in each_implementation(backend, "max_pool2d_fprop", dtype, g):
        y, argmax = (np.asarray(a) for a in backend.max_pool2d_fprop(backend.xp.asarray(x), g))
        assert np.argwhere(np.isnan(y)).tolist() == [[0, 0, 0, 0], [1, 1, 1, 2]], name
        assert argmax[0, 0, 0, 0] == 4, name
        assert argmax[1, 1, 1, 2] == 8, name
    for name in each_implementation(backend, "avg_pool2d_fprop", dtype, g):
        y = np.asarray(backend.avg_pool2d_fprop(backend.xp.asarray(x), g))
        assert np.argwhere(np.isnan(y)).tolist() == [[0, 0, 0, 0], [1, 1, 1, 2]], name


def test_blocks_meet_without_a_seam(backend, rng, monkeypatch):
    from deepcore.backend.numpy import pool

    g = Pool2DGeometry.of((5, 9, 7, 3), 3, 2, "same")
    x, dy = rng.standard_normal(g.x_shape), rng.standard_normal(g.y_shape)
    row = g.out_width * g.channels * 8
    for budget in (1, 2 * row, 2 * g.out_height * row):
        monkeypatch.setattr(pool, "BLOCK_BYTES", budget)
        check(backend, x, dy, g)


def test_numpy_alone_serves_every_call(rng, monkeypatch):
    monkeypatch.setenv("DEEPCORE_DISABLE_JIT", "1")
    # Sizes of this test alone: dispatch remembers what it chose for others while Numba was there.
    g = Pool2DGeometry.of((2, 10, 6, 18), (3, 2), 2, ((1, 0), (0, 1)))
    for op in OPS:
        for record in implementations(op, "cpu"):
            ok, reason = record.verdict(Call(op, "float64", g))
            if record.name == "numba":
                assert not ok
                assert "DEEPCORE_DISABLE_JIT" in reason
        assert choose(op, "float64", g).name.startswith("numpy")
    check(numpy_backend(), rng.standard_normal(g.x_shape), rng.standard_normal(g.y_shape), g)


def test_the_global_shortcut_says_when_it_serves():
    (record,) = (r for r in implementations("avg_pool2d_fprop", "cpu") if r.name == "numpy-global")
    assert record.supports(Call("avg_pool2d_fprop", "float32", GEOMETRIES["global"]))[0]
    for name in ("2x2", "global, with padding", "as large as the image, but not global"):
        ok, reason = record.supports(Call("avg_pool2d_fprop", "float32", GEOMETRIES[name]))
        assert not ok
        assert "whole image" in reason


def test_compiled_loops_say_which_dtypes_they_take():
    for op in OPS:
        (record,) = (r for r in implementations(op, "cpu") if r.name == "numba")
        assert record.supports(Call(op, "float64", GEOMETRIES["2x2"]))[0]
        ok, reason = record.supports(Call(op, "float16", GEOMETRIES["2x2"]))
        assert not ok
        assert "float16" in reason
