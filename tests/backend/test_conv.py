"""Convolution in three directions, every implementation, against the naive one."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from matrix import assert_sums_agree, each_implementation, scattered
from oracles import conv as oracle

from deepcore.backend import numpy_backend
from deepcore.backend.dispatch import Call, choose, implementations, use_implementation
from deepcore.backend.geometry import Conv2DGeometry

DTYPES = ("float32", "float64")
OPS = ("conv2d_fprop", "conv2d_dgrad", "conv2d_wgrad")


def operands(rng, geometry, dtype, make=None):
    g = geometry
    make = make or (lambda rng, shape, dtype: rng.standard_normal(shape).astype(dtype))
    return make(rng, g.x_shape, dtype), make(rng, g.w_shape, dtype), make(rng, g.y_shape, dtype)


def naive(x, w, dy, g):
    """The three directions in float64."""
    how = (g.strides, g.padding, g.dilation, g.groups)
    return oracle.fprop(x, w, *how), oracle.dgrad(dy, w, g.x_shape, *how), oracle.wgrad(x, dy, g.w_shape, *how)


def lengths(g):
    """How many products each direction sums at most."""
    taps = g.kernel_height * g.kernel_width
    pixels = g.batch * g.out_height * g.out_width
    return taps * g.in_channels // g.groups, taps * g.out_channels // g.groups, pixels


def run(backend, op, x, w, dy, g):
    arrays = {"conv2d_fprop": (x, w), "conv2d_dgrad": (dy, w), "conv2d_wgrad": (x, dy)}[op]
    return np.asarray(getattr(backend, op)(*(backend.xp.asarray(a) for a in arrays), g))


def check(backend, x, w, dy, g):
    expected = naive(x, w, dy, g)
    magnitudes = naive(abs(x), abs(w), abs(dy), g)
    for op, right, magnitude, length in zip(OPS, expected, magnitudes, lengths(g), strict=True):
        for name in each_implementation(backend, op, x.dtype, g):
            # Winograd's transforms round sums that are larger than those of the products.
            terms = length * 16 if name.startswith("winograd") else length
            assert_sums_agree(run(backend, op, x, w, dy, g), right, magnitude, terms, x.dtype, f"{op} {name} {g}")


GEOMETRIES = {
    "one of everything": Conv2DGeometry.of((1, 1, 1, 1), (1, 1, 1, 1)),
    "3x3 same": Conv2DGeometry.of((2, 7, 5, 5), (3, 3, 5, 7), 1, "same"),
    "5x5 valid, one channel": Conv2DGeometry.of((3, 11, 13, 1), (5, 5, 1, 6)),
    "7x7 stem": Conv2DGeometry.of((1, 17, 19, 3), (7, 7, 3, 8), 2, "same"),
    "11x11 stride 4": Conv2DGeometry.of((1, 29, 31, 3), (11, 11, 3, 5), 4),
    "seven columns, many channels": Conv2DGeometry.of((1, 5, 14, 9), (3, 3, 9, 150), 2, "same"),
    "stride 3, phases of unequal rows": Conv2DGeometry.of((2, 10, 11, 40), (3, 4, 40, 9), 3, 1),
    "pointwise": Conv2DGeometry.of((2, 5, 7, 13), (1, 1, 13, 11)),
    "pointwise stride 2": Conv2DGeometry.of((2, 7, 7, 5), (1, 1, 5, 3), 2),
    "stride beyond the window": Conv2DGeometry.of((1, 11, 13, 2), (2, 1, 2, 3), (5, 3)),
    "pointwise stride 2, of padding alone": Conv2DGeometry.of((1, 1, 1, 4), (1, 1, 4, 3), 2, 1),
    "uneven padding": Conv2DGeometry.of((2, 5, 7, 3), (3, 2, 3, 5), (1, 2), ((0, 3), (2, 1))),
    "padding beyond the window": Conv2DGeometry.of((1, 3, 3, 2), (2, 2, 2, 3), 1, 4),
    "window larger than the input": Conv2DGeometry.of((1, 2, 2, 3), (5, 5, 3, 2), 1, 2),
    "dilation": Conv2DGeometry.of((1, 13, 11, 3), (3, 3, 3, 5), 1, "same", (2, 3)),
    "dilation 2, stride 2": Conv2DGeometry.of((1, 13, 12, 2), (3, 3, 2, 3), 2, 1, 2),
    "dilation 4, stride 6": Conv2DGeometry.of((1, 37, 23, 1), (4, 3, 1, 2), (6, 4), 3, (4, 6)),
    "groups": Conv2DGeometry.of((2, 7, 5, 6), (3, 3, 2, 9), 1, "same", 1, 3),
    "groups, stride 2": Conv2DGeometry.of((2, 7, 5, 10), (3, 2, 5, 4), 2, ((1, 0), (0, 1)), 1, 2),
    "pixels made together": Conv2DGeometry.of((2, 14, 12, 6), (5, 5, 6, 16), 1, "same"),
    "pixels made together, stride 2": Conv2DGeometry.of((2, 9, 16, 3), (3, 3, 3, 5), 2, "same"),
    "pixels a power of two apart": Conv2DGeometry.of((1, 6, 5, 256), (3, 3, 256, 70), 1, "same"),
    "pointwise, a power of two apart": Conv2DGeometry.of((1, 7, 11, 256), (1, 1, 256, 130)),
    "depthwise, many columns": Conv2DGeometry.of((1, 5, 47, 19), (3, 3, 1, 19), 1, "same", 1, 19),
    "depthwise, a power of two apart": Conv2DGeometry.of((2, 6, 9, 256), (3, 3, 1, 256), 1, "same", 1, 256),
    "depthwise": Conv2DGeometry.of((2, 7, 9, 17), (3, 3, 1, 17), 1, "same", 1, 17),
    "depthwise, stride 2": Conv2DGeometry.of((2, 7, 9, 5), (3, 3, 1, 5), 2, "same", 1, 5),
    "depthwise, multiplier 3": Conv2DGeometry.of((2, 7, 5, 5), (3, 2, 1, 15), (2, 1), "same", (1, 2), 5),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", GEOMETRIES)
def test_named_geometries(backend, rng, name, dtype):
    g = GEOMETRIES[name]
    check(backend, *operands(rng, g, dtype), g)


@st.composite
def geometries(draw):
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    per_group, outputs = draw(st.sampled_from([1, 2, 5])), draw(st.sampled_from([1, 2, 3]))
    small = st.integers(1, 4)
    ends = st.tuples(st.integers(0, 3), st.integers(0, 3))
    try:
        return Conv2DGeometry.of(
            (draw(st.integers(1, 3)), draw(st.integers(1, 11)), draw(st.integers(1, 11)), groups * per_group),
            (draw(small), draw(small), per_group, groups * outputs),
            draw(st.tuples(small, small)),
            draw(st.one_of(st.sampled_from(["same", "valid"]), st.tuples(ends, ends))),
            draw(st.tuples(small, small)),
            groups,
        )
    except ValueError:
        assume(False)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(geometries(), st.sampled_from(DTYPES), st.booleans())
def test_drawn_geometries(g, dtype, strided):
    rng = np.random.default_rng(11)
    check(numpy_backend(), *operands(rng, g, dtype, scattered if strided else None), g)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(geometries())
def test_directions_are_adjoint(g):
    """<dy, conv(x, w)> = <dgrad(dy, w), x> = <wgrad(x, dy), w>, because convolution is linear in each of x and w."""
    backend, rng = numpy_backend(), np.random.default_rng(13)
    x, w, dy = operands(rng, g, "float64")
    products = []
    for op, other in zip(OPS, (dy, x, w), strict=True):
        names = each_implementation(backend, op, "float64", g)
        products += [(f"{op} {name}", np.vdot(run(backend, op, x, w, dy, g), other)) for name in names]
    scale = float(np.vdot(abs(dy), naive(abs(x), abs(w), dy, g)[0]))
    for label, product in products:
        assert abs(product - products[0][1]) <= 1e-13 * scale, label


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["3x3 same", "pointwise", "groups", "depthwise, multiplier 3"])
def test_epilogue(backend, rng, name, dtype):
    g = GEOMETRIES[name]
    x, w, _ = operands(rng, g, dtype)
    bias = rng.standard_normal(g.out_channels).astype(dtype)
    z = naive(x, w, np.zeros(g.y_shape), g)[0]
    xp = backend.xp
    tolerance = 4 * lengths(g)[0] * np.finfo(dtype).eps
    for name in each_implementation(backend, "conv2d_fprop", dtype, g):
        allowed = tolerance * (16 if name.startswith("winograd") else 1)
        for b, activation, expected in (
            (bias, "relu", np.maximum(z + bias, 0)),
            (None, "tanh", np.tanh(z)),
            (bias, "linear", z + bias),
        ):
            b = b if b is None else xp.asarray(b)
            y = np.asarray(backend.conv2d_fprop(xp.asarray(x), xp.asarray(w), g, b, activation))
            assert y.dtype == np.dtype(dtype)
            np.testing.assert_allclose(y, expected, rtol=allowed, atol=allowed)


@pytest.mark.parametrize("images", [7, 1])
def test_more_columns_than_a_block_holds(backend, rng, images, monkeypatch):
    """Blocks of several images, of one, and of a few of its rows must meet without a seam."""
    from deepcore.backend.numpy import conv

    g = Conv2DGeometry.of((images, 13, 11, 5), (3, 3, 5, 7), (2, 1), "same")
    x, w, dy = operands(rng, g, "float64")
    row = g.out_width * 45 * 8
    for budget in (1, row, 3 * row, 2 * g.out_height * row):
        monkeypatch.setattr(conv, "COLUMNS_BYTES", budget)
        check(backend, x, w, dy, g)


def test_results_repeat_bit_for_bit(backend, rng):
    for g in (Conv2DGeometry.of((5, 17, 13, 6), (5, 5, 6, 16), 1, 2), GEOMETRIES["depthwise"]):
        x, w, dy = operands(rng, g, "float32")
        for op in OPS:
            for name in each_implementation(backend, op, "float32", g):
                first = run(backend, op, x, w, dy, g)
                np.testing.assert_array_equal(run(backend, op, x, w, dy, g), first, err_msg=f"{op} {name}")


@pytest.mark.parametrize("op", OPS)
def test_the_columns_never_exist_as_a_whole(op, rng):
    """3x3 columns are nine times x; beside its operands and result a call may hold two blocks, not those."""
    from deepcore.backend.numpy import conv

    backend = numpy_backend()
    g = Conv2DGeometry.of((2, 128, 128, 32), (3, 3, 32, 32), 1, "same")
    x, w, dy = operands(rng, g, "float32")
    columns = 9 * x.nbytes
    for name in each_implementation(backend, op, "float32", g):
        run(backend, op, x, w, dy, g)  # whatever is made once, such as compiled code, is made now
        tracemalloc.start()
        result = run(backend, op, x, w, dy, g)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        allowed = result.nbytes + 2 * conv.COLUMNS_BYTES + (1 << 20)
        assert allowed < columns / 2
        assert peak < allowed, f"{op} {name}: {peak / 2**20:.1f} MiB"


def test_numpy_alone_serves_every_call(rng, monkeypatch):
    monkeypatch.setenv("DEEPCORE_DISABLE_JIT", "1")
    backend = numpy_backend()
    # Sizes of this test alone: dispatch remembers what it chose for others while Numba was there.
    g = Conv2DGeometry.of((2, 9, 8, 3), (3, 3, 3, 4), 1, ((1, 2), (0, 1)))
    x, w, dy = operands(rng, g, "float64")
    for op, expected in zip(OPS, naive(x, w, dy, g), strict=True):
        for record in implementations(op, "cpu"):
            ok, reason = record.verdict(Call(op, "float64", g))
            if record.name.startswith("numba"):
                assert not ok
                assert "DEEPCORE_DISABLE_JIT" in reason
        assert choose(op, "float64", g).name.startswith("numpy")
        np.testing.assert_allclose(run(backend, op, x, w, dy, g), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("pointwise", ("numpy-pointwise", "tiles")), ("depthwise", ("vectors-depthwise",))],
)
def test_special_cases_are_chosen(name, expected, monkeypatch):
    """Ways that make no columns; of a pointwise one on tiles where vectors are narrow."""
    monkeypatch.delenv("DEEPCORE_DISABLE_JIT", raising=False)
    x, w = GEOMETRIES[name].x_shape, GEOMETRIES[name].w_shape
    g = Conv2DGeometry.of((64, 32, 31, x[3]), w, 1, GEOMETRIES[name].padding, 1, GEOMETRIES[name].groups)
    for op in OPS:
        assert choose(op, "float32", g).name in expected


def test_a_special_case_refuses_others_with_the_reason(rng):
    from deepcore.errors import UnsupportedCallError

    backend = numpy_backend()
    g = GEOMETRIES["3x3 same"]
    x, w, dy = operands(rng, g, "float32")
    with (
        use_implementation("conv2d_fprop", "numpy-pointwise"),
        pytest.raises(UnsupportedCallError, match="must be 1x1"),
    ):
        run(backend, "conv2d_fprop", x, w, dy, g)
    with use_implementation("conv2d_fprop", "numpy-depthwise"), pytest.raises(UnsupportedCallError, match="depthwise"):
        run(backend, "conv2d_fprop", x, w, dy, g)


def test_costs_grow_with_the_work():
    small = Conv2DGeometry.of((1, 32, 32, 32), (3, 3, 32, 32), 1, "same")
    large = Conv2DGeometry.of((8, 64, 64, 64), (3, 3, 64, 64), 1, "same")
    for op in OPS:
        for record in implementations(op, "cpu"):
            costs = [record.cost(Call(op, dtype, g)) for g in (small, large) for dtype in DTYPES]
            assert all(math.isfinite(c) and c > 0 for c in costs)
            assert costs[0] < costs[2]
            assert costs[1] < costs[3]
            assert costs[0] <= costs[1]
