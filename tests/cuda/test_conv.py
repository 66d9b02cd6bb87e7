"""Convolution on CUDA cores, every implementation, against the naive one."""

import numpy as np
import pytest
from emulated import SCHEDULES, checked, each_cuda, needs_compiler, poison
from matrix import assert_sums_agree, scattered
from oracles import conv as oracle

from deepcore.backend.cuda import conv
from deepcore.backend.cuda.carrier import emulation
from deepcore.backend.cuda.tile import TILES
from deepcore.backend.dispatch import Call, choose, implementations, use_implementation
from deepcore.backend.geometry import Conv2DGeometry

pytestmark = needs_compiler
DTYPES = ("float32", "float64")
OPS = ("conv2d_fprop", "conv2d_dgrad", "conv2d_wgrad")


@pytest.fixture(autouse=True)
def poisoned(monkeypatch):
    poison(monkeypatch, "conv", "tile")


def naive(x, w, dy, g):
    how = (g.strides, g.padding, g.dilation, g.groups)
    return oracle.fprop(x, w, *how), oracle.dgrad(dy, w, g.x_shape, *how), oracle.wgrad(x, dy, g.w_shape, *how)


def run(op, x, w, dy, g):
    arrays = {"conv2d_fprop": (x, w), "conv2d_dgrad": (dy, w), "conv2d_wgrad": (x, dy)}[op]
    return getattr(conv, op)(*arrays, g)


def check(x, w, dy, g):
    taps = g.kernel_height * g.kernel_width
    lengths = taps * g.in_channels // g.groups, taps * g.out_channels // g.groups, g.batch * g.out_height * g.out_width
    for op, right, magnitude, length in zip(
        OPS, naive(x, w, dy, g), naive(abs(x), abs(w), abs(dy), g), lengths, strict=True
    ):
        for name in each_cuda(op, x.dtype, g):
            assert_sums_agree(run(op, x, w, dy, g), right, magnitude, length, x.dtype, f"{op} {name} {g}")


def operands(rng, g, dtype, make=None):
    make = make or (lambda rng, shape, dtype: rng.standard_normal(shape).astype(dtype))
    return make(rng, g.x_shape, dtype), make(rng, g.w_shape, dtype), make(rng, g.y_shape, dtype)


GEOMETRIES = {
    "one of everything": Conv2DGeometry.of((1, 1, 1, 1), (1, 1, 1, 1)),
    "3x3 same": Conv2DGeometry.of((2, 7, 5, 5), (3, 3, 5, 7), 1, "same"),
    "3x3, wide accesses": Conv2DGeometry.of((2, 9, 7, 8), (3, 3, 8, 36), 1, "same"),
    "3x3 stride 2, wide accesses": Conv2DGeometry.of((2, 9, 8, 12), (3, 3, 12, 8), 2, "same"),
    "5x5 valid, one channel": Conv2DGeometry.of((3, 11, 13, 1), (5, 5, 1, 6)),
    "7x7 stem": Conv2DGeometry.of((2, 33, 35, 3), (7, 7, 3, 40), 2, "same"),
    "11x11 stride 4": Conv2DGeometry.of((1, 43, 39, 3), (11, 11, 3, 5), 4),
    "four channels": Conv2DGeometry.of((2, 12, 19, 4), (3, 5, 4, 8), 1, "same", (2, 1)),
    "pointwise": Conv2DGeometry.of((2, 5, 7, 13), (1, 1, 13, 11)),
    "pointwise stride 2": Conv2DGeometry.of((2, 7, 7, 5), (1, 1, 5, 3), 2),
    "stride beyond the window": Conv2DGeometry.of((1, 11, 13, 2), (2, 1, 2, 3), (5, 3)),
    "stride beyond the input": Conv2DGeometry.of((2, 3, 2, 5), (3, 1, 5, 3), (5, 7)),
    "uneven padding": Conv2DGeometry.of((2, 5, 7, 3), (3, 2, 3, 5), (1, 2), ((0, 3), (2, 1))),
    "padding beyond the window": Conv2DGeometry.of((1, 3, 3, 2), (2, 2, 2, 3), 1, 4),
    "window larger than the input": Conv2DGeometry.of((1, 2, 2, 3), (5, 5, 3, 2), 1, 2),
    "dilation": Conv2DGeometry.of((1, 13, 11, 3), (3, 3, 3, 5), 1, "same", (2, 3)),
    "dilation 2, stride 2": Conv2DGeometry.of((1, 13, 12, 2), (3, 3, 2, 3), 2, 1, 2),
    "dilation 4, stride 6": Conv2DGeometry.of((1, 37, 23, 1), (4, 3, 1, 2), (6, 4), 3, (4, 6)),
    "groups": Conv2DGeometry.of((2, 7, 5, 6), (3, 3, 2, 9), 1, "same", 1, 3),
    "groups, stride 2": Conv2DGeometry.of((2, 7, 5, 10), (3, 2, 5, 4), 2, ((1, 0), (0, 1)), 1, 2),
    "groups, wide accesses": Conv2DGeometry.of((1, 6, 5, 16), (3, 3, 8, 24), 1, "same", 1, 2),
    "long sums over pixels": Conv2DGeometry.of((3, 31, 29, 5), (3, 3, 5, 7), 1, "same"),
    "depthwise": Conv2DGeometry.of((2, 7, 9, 17), (3, 3, 1, 17), 1, "same", 1, 17),
    "depthwise, wide accesses": Conv2DGeometry.of((2, 13, 11, 36), (3, 5, 1, 36), 1, "same", 1, 36),
    "depthwise, stride 2": Conv2DGeometry.of((2, 7, 9, 5), (3, 3, 1, 5), 2, "same", 1, 5),
    "depthwise, multiplier 3": Conv2DGeometry.of((2, 7, 5, 5), (3, 2, 1, 15), (2, 1), "same", (1, 2), 5),
    "depthwise, a long row of taps": Conv2DGeometry.of((1, 5, 23, 3), (1, 11, 1, 3), 1, "same", 1, 3),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", GEOMETRIES)
def test_named_geometries(rng, name, dtype):
    g = GEOMETRIES[name]
    check(*operands(rng, g, dtype), g)


def test_strided_operands(rng):
    for name in ("3x3 same", "depthwise"):
        g = GEOMETRIES[name]
        check(*operands(rng, g, "float32", scattered), g)


@pytest.mark.parametrize("tile", TILES["float32"])
def test_every_tile(rng, tile, monkeypatch):
    """Each tile over several blocks with edges, and wgrad in three parts."""
    parts = {"_fprop_plan": 1, "_dgrad_plan": 1, "_wgrad_plan": 3}
    for function, count in parts.items():
        monkeypatch.setattr(conv, function, lambda g, dtype, count=count: conv.Plan(tile, count, 0.0))
    for g in (
        Conv2DGeometry.of((2, 12, 13, 16), (3, 3, 16, 68), 1, "same"),
        Conv2DGeometry.of((2, 12, 13, 15), (3, 2, 15, 35), 2, "same"),
    ):
        for op, right, magnitude in zip(
            OPS, naive(*(arrays := operands(rng, g, "float32")), g), naive(*map(abs, arrays), g), strict=True
        ):
            with use_implementation(op, "cuda-implicit-gemm"):
                assert_sums_agree(run(op, *arrays, g), right, magnitude, 612, "float32", f"{op} {tile} {g}")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["3x3 same", "groups, wide accesses", "four channels", "depthwise, multiplier 3"])
def test_epilogue(rng, name, dtype):
    g = GEOMETRIES[name]
    x, w, _ = operands(rng, g, dtype)
    bias = rng.standard_normal(g.out_channels).astype(dtype)
    z = oracle.fprop(x, w, g.strides, g.padding, g.dilation, g.groups)
    tolerance = 400 * np.finfo(dtype).eps
    for implementation in each_cuda("conv2d_fprop", dtype, g):
        for with_bias, activation, expected in (
            (bias, "relu", np.maximum(z + bias, 0)),
            (None, "tanh", np.tanh(z)),
            (bias, "linear", z + bias),
        ):
            y = conv.conv2d_fprop(x, w, g, with_bias, activation)
            np.testing.assert_allclose(
                y, expected, rtol=tolerance, atol=tolerance, err_msg=f"{implementation} {activation}"
            )


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_no_findings(rng, schedule):
    with checked(schedule):
        for name in (
            "uneven padding",
            "3x3 stride 2, wide accesses",
            "depthwise, stride 2",
            "depthwise, wide accesses",
        ):
            g = GEOMETRIES[name]
            check(*operands(rng, g, "float32"), g)


def test_results_repeat_bit_for_bit(rng):
    for name in ("long sums over pixels", "depthwise, wide accesses"):
        g = GEOMETRIES[name]
        arrays = operands(rng, g, "float32")
        for op in OPS:
            for implementation in each_cuda(op, "float32", g):
                first = run(op, *arrays, g)
                with emulation(schedule="random", seed=3):
                    np.testing.assert_array_equal(run(op, *arrays, g), first, err_msg=f"{op} {implementation}")


def test_dispatch_takes_the_kernel_made_for_the_shape():
    def chosen(op, *shape):
        return choose(op, "float32", Conv2DGeometry.of(*shape), "cuda").name

    assert chosen("conv2d_fprop", (32, 224, 224, 3), (7, 7, 3, 64), 2, "same") == "cuda-direct"
    for op in OPS:
        assert chosen(op, (32, 28, 28, 256), (3, 3, 256, 256), 1, "same") == "cuda-implicit-gemm"
        assert chosen(op, (32, 28, 28, 256), (3, 3, 1, 256), 1, "same", 1, 256) == "cuda-depthwise"


def test_each_kernel_says_what_it_does_not_serve():
    reasons = {
        "cuda-direct": (Conv2DGeometry.of((1, 9, 9, 5), (3, 3, 5, 2)), "at most 4 channels"),
        "cuda-depthwise": (Conv2DGeometry.of((1, 9, 9, 4), (3, 3, 2, 4), groups=2), "2 groups"),
    }
    for record in implementations("conv2d_fprop", "cuda"):
        if record.name in reasons:
            g, part = reasons[record.name]
            ok, reason = record.supports(Call("conv2d_fprop", "float32", g))
            assert not ok
            assert part in reason
    (direct,) = (record for record in implementations("conv2d_fprop", "cuda") if record.name == "cuda-direct")
    far = Conv2DGeometry.of((1, 300, 300, 3), (3, 3, 3, 4), 1, "valid", 100)
    ok, reason = direct.supports(Call("conv2d_fprop", "float32", far))
    assert not ok
    assert "shared memory" in reason
