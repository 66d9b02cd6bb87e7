"""The sampled oracle against the naive whole outputs, and what the bound lets through."""

import numpy as np
import pytest
from oracles import conv as naive_conv
from oracles import pool as naive_pool

from deepcore.backend.geometry import Conv2DGeometry, MatmulGeometry, Pool2DGeometry
from deepcore.benchmarks import oracle

CONVOLUTIONS = [
    Conv2DGeometry.of((2, 5, 7, 3), (3, 3, 3, 4), 1, "same"),
    Conv2DGeometry.of((1, 9, 8, 4), (3, 2, 2, 6), (2, 3), ((1, 0), (0, 1)), (1, 2), 2),
    Conv2DGeometry.of((3, 6, 6, 5), (3, 3, 1, 10), 2, "same", 1, 5),
    Conv2DGeometry.of((1, 1, 1, 1), (1, 1, 1, 1)),
    Conv2DGeometry.of((2, 11, 11, 2), (5, 5, 2, 3), 4, "valid"),
]
POOLS = [
    Pool2DGeometry.of((2, 7, 5, 3), 3, 2, "same"),
    Pool2DGeometry.of((1, 6, 6, 2), 2),
    Pool2DGeometry.of((1, 5, 4, 2), (3, 2), 1, 1),
    Pool2DGeometry.of((2, 4, 4, 3), 4),
]


def everywhere(shape):
    return oracle.sample(shape, int(np.prod(shape)), np.random.default_rng(0))


def whole(expected, shape):
    return expected.value.reshape(shape)


@pytest.mark.parametrize("g", CONVOLUTIONS, ids=str)
def test_convolution_in_every_direction(g, rng):
    x, w, dy = (rng.standard_normal(shape) for shape in (g.x_shape, g.w_shape, g.y_shape))
    how = (g.strides, g.padding, g.dilation, g.groups)
    y = oracle.conv2d_fprop(x, w, g, everywhere(g.y_shape))
    dx = oracle.conv2d_dgrad(dy, w, g, everywhere(g.x_shape))
    dw = oracle.conv2d_wgrad(x, dy, g, everywhere(g.w_shape))
    np.testing.assert_allclose(whole(y, g.y_shape), naive_conv.fprop(x, w, *how), atol=1e-13)
    np.testing.assert_allclose(whole(dx, g.x_shape), naive_conv.dgrad(dy, w, g.x_shape, *how), atol=1e-13)
    np.testing.assert_allclose(whole(dw, g.w_shape), naive_conv.wgrad(x, dy, g.w_shape, *how), atol=1e-13)
    magnitude = naive_conv.fprop(abs(x), abs(w), *how)
    np.testing.assert_allclose(y.magnitude.reshape(g.y_shape), magnitude, atol=1e-13)
    magnitude = naive_conv.dgrad(abs(dy), abs(w), g.x_shape, *how)
    np.testing.assert_allclose(dx.magnitude.reshape(g.x_shape), magnitude, atol=1e-13)


@pytest.mark.parametrize("g", POOLS, ids=str)
def test_pooling_in_every_direction(g, rng):
    x = rng.integers(-3, 3, g.x_shape).astype(np.float64)  # small integers, so that maxima tie
    dy = rng.standard_normal(g.y_shape)
    how = (g.window, g.strides, g.padding)
    y, argmax = naive_pool.max_fprop(x, g.y_shape, *how)
    largest, first = oracle.max_pool2d_fprop(x, g, everywhere(g.y_shape))
    np.testing.assert_array_equal(whole(largest, g.y_shape), y)
    np.testing.assert_array_equal(whole(first, g.y_shape), argmax)
    np.testing.assert_array_equal(oracle.max_pool2d_argmax(x, g), argmax)
    dx = oracle.max_pool2d_dgrad(dy, argmax, g, everywhere(g.x_shape))
    np.testing.assert_allclose(whole(dx, g.x_shape), naive_pool.max_dgrad(dy, argmax, g.x_shape, *how), atol=1e-14)
    mean = oracle.avg_pool2d_fprop(x, g, everywhere(g.y_shape))
    np.testing.assert_allclose(whole(mean, g.y_shape), naive_pool.avg_fprop(x, g.y_shape, *how), atol=1e-14)
    dx = oracle.avg_pool2d_dgrad(dy, g, everywhere(g.x_shape))
    np.testing.assert_allclose(whole(dx, g.x_shape), naive_pool.avg_dgrad(dy, g.x_shape, *how), atol=1e-14)


@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
def test_matmul(transpose_a, transpose_b, rng):
    a, b = rng.standard_normal((5, 7)), rng.standard_normal((7, 3))
    g = MatmulGeometry(1, 5, 3, 7, transpose_a, transpose_b)
    y = oracle.matmul(a.T if transpose_a else a, b.T if transpose_b else b, g, everywhere((5, 3)))
    np.testing.assert_allclose(whole(y, (5, 3)), a @ b, atol=1e-14)
    assert y.length == 7


def test_a_sample_holds_every_corner_and_stays_inside(rng):
    shape = (4, 30, 20, 8)
    index = oracle.sample(shape, 100, rng)
    points = set(zip(*(axis.tolist() for axis in index), strict=True))
    assert all((n, h, w, c) in points for n in (0, 3) for h in (0, 29) for w in (0, 19) for c in (0, 7))
    assert all(0 <= at < length for point in points for at, length in zip(point, shape, strict=True))


def expectation(values):
    values = np.asarray(values, float)
    return oracle.Expectation((np.arange(len(values)),), values, np.abs(values), 1)


@pytest.mark.parametrize(
    ("got", "error"),
    [([1.0, -2.0, 0.0], 0.0), ([1.0, -2.2, 0.0], 0.1), ([1.0, -2.0, 1e-30], np.inf), ([np.nan, -2.0, 0.0], np.inf)],
)
def test_error_is_relative_and_an_empty_sum_must_be_zero(got, error):
    assert oracle.error(np.array(got), expectation([1.0, -2.0, 0.0])) == pytest.approx(error)


def test_the_bound_is_above_honest_rounding_and_below_one_missing_term(rng):
    length = 100_000
    a, b = rng.standard_normal((2, 64, length)).astype(np.float32)
    exact = np.einsum("il,il->i", a.astype(np.float64), b.astype(np.float64))
    magnitude = np.abs(a.astype(np.float64) * b).sum(1)
    expected = oracle.Expectation((np.arange(64),), exact, magnitude, length)
    one_by_one = np.add.accumulate(a * b, axis=1, dtype=np.float32)[:, -1]  # the least accurate order there is
    short = np.einsum("il,il->i", a[:, 1:].astype(np.float64), b[:, 1:].astype(np.float64))
    assert oracle.error(one_by_one, expected) < oracle.bound(length, "float32")
    assert oracle.error(short, expected) > oracle.bound(length, "float32")
