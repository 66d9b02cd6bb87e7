import math
from itertools import combinations

import numpy as np
import pytest
from matrix import DTYPES, check, every_implementation, held_to, with_gaps

from deepcore.backend.cuda import reduction
from deepcore.backend.cuda.carrier import emulation

OPS = ("reduce_sum", "reduce_mean", "reduce_max", "reduce_min")
MATRIX = every_implementation("reduction", *OPS, backend="cuda")
ORACLES = {"reduce_sum": np.sum, "reduce_mean": np.mean, "reduce_max": np.max, "reduce_min": np.min}
# Rows of an eighth of a warp, a warp and a block; columns of one block and of several; and all that is between.
SHAPES = ((1,), (7,), (5, 1), (7, 33), (3, 5, 7), (2, 40, 3, 4))


def _compare(op, x, axes, dtype, keepdims=False):
    expected = ORACLES[op](x.astype(np.float64), axis=axes, keepdims=keepdims)
    length = math.prod(x.shape[axis] for axis in axes)
    scale = length if op == "reduce_sum" else 1
    check(getattr(reduction, op)(x, axes, keepdims), expected, dtype, length, scale)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "name"), MATRIX)
def test_every_choice_of_axes(rng, op, name, dtype):
    with held_to(op, name):
        for shape in SHAPES:
            x = rng.standard_normal(shape).astype(dtype)
            for count in range(len(shape) + 1):
                for axes in combinations(range(len(shape)), count):
                    _compare(op, x, axes, dtype, keepdims=count == 1)
        _compare(op, with_gaps(x), (0, 2), dtype)


LONG = [((5000,), (0,)), ((40_003,), (0,)), ((3, 2501), (1,)), ((9001, 3), (0,)), ((2, 2600, 33), (1,))]


@pytest.mark.parametrize(("shape", "axes"), LONG, ids=str)
@pytest.mark.parametrize(("op", "name"), MATRIX)
def test_chunks(rng, op, name, shape, axes):
    with held_to(op, name):
        _compare(op, rng.standard_normal(shape).astype(np.float32), axes, "float32")


@pytest.mark.parametrize(("op", "name"), MATRIX)
def test_watched(rng, watched, op, name):
    cases = (
        ((7, 33), (1,)),
        ((7, 5), (1,)),
        ((33, 7), (0,)),
        ((3, 2600), (1,)),
        ((3, 5, 7), (0, 2)),
        ((2600, 3), (0,)),
    )
    with held_to(op, name):
        for shape, axes in cases:
            _compare(op, rng.standard_normal(shape).astype(np.float32), axes, "float32")


@pytest.mark.parametrize(("shape", "axes"), [((300_000,), (0,)), ((100_000, 3), (0,)), ((2, 50_000, 2), (1,))])
def test_long_float32_sums_stay_accurate(shape, axes):
    x = np.full(shape, 0.1, np.float32)
    expected = x.sum(axis=axes, dtype=np.float64)
    # One after the other, 300,000 additions would be off by 1e-3.
    np.testing.assert_allclose(reduction.reduce_sum(x, axes), expected, rtol=3e-6)
    np.testing.assert_allclose(reduction.reduce_mean(x, axes), x.mean(axis=axes, dtype=np.float64), rtol=3e-6)


@pytest.mark.parametrize("offset", [0, 1])
def test_a_slice_that_is_not_aligned(rng, offset):
    whole = rng.standard_normal(4001).astype(np.float32)
    x = whole[offset : offset + 4000].reshape(2, 2000)
    check(reduction.reduce_sum(x, (1,)), x.sum(axis=1, dtype=np.float64), np.float32, 2000, scale=2000)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(("op", "name"), MATRIX)
def test_nan_and_infinity(op, name, axis):
    x = np.array([[1.0, np.nan, 3.0], [np.inf, 1.0, 2.0], [np.inf, -np.inf, 0.0]], np.float32)
    with np.errstate(invalid="ignore"):
        expected = ORACLES[op](x, axis=axis)
    with held_to(op, name):
        np.testing.assert_array_equal(getattr(reduction, op)(x, (axis,)), expected)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "bool"])
def test_integers(rng, dtype):
    x = rng.integers(0, 2 if dtype == "bool" else 200, (5, 37)).astype(dtype)
    for axes in ((0,), (1,), (0, 1)):
        total, mean = reduction.reduce_sum(x, axes), reduction.reduce_mean(x, axes)
        assert total.dtype == np.int64
        assert mean.dtype == np.float64
        assert np.array_equal(total, x.sum(axis=axes))
        np.testing.assert_allclose(mean, x.mean(axis=axes), rtol=1e-15)
        for op in ("reduce_max", "reduce_min"):
            actual = getattr(reduction, op)(x, axes)
            assert actual.dtype == x.dtype
            assert np.array_equal(actual, ORACLES[op](x, axis=axes))


def test_an_integer_sum_beyond_its_dtype():
    x = np.array([[2**31 - 1, 1], [4, 5]], np.int32)
    assert reduction.reduce_sum(x, (0, 1)) == 2**31 + 9


def test_nothing_to_reduce():
    x = np.empty((0, 3), np.float32)
    assert reduction.reduce_sum(x, (0,)).tolist() == [0, 0, 0]
    assert np.isnan(reduction.reduce_mean(x, (0,))).all()
    assert reduction.reduce_sum(x, (1,)).shape == (0,)
    with pytest.raises(ValueError, match=r"reduce_max: nothing to choose from, shape \(0, 3\) over axes \(0,\)"):
        reduction.reduce_max(x, (0,))


def test_the_same_bits_whatever_the_order_of_threads(rng):
    x = rng.standard_normal((3000, 5)).astype(np.float32)
    results = set()
    for schedule in ("fifo", "lifo", "random"):
        with emulation(schedule=schedule, seed=1):
            results.add(reduction.reduce_sum(x, (0,)).tobytes() + reduction.reduce_sum(x, (0, 1)).tobytes())
    assert len(results) == 1
