import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix import DTYPES, SHAPES, check, every_implementation, held_to, with_gaps

from deepcore.backend.numpy.reduction import reduce_sum

OPS = ("reduce_sum", "reduce_mean", "reduce_max", "reduce_min")
MATRIX = every_implementation("reduction", *OPS)
ORACLES = {"reduce_sum": np.sum, "reduce_mean": np.mean, "reduce_max": np.max, "reduce_min": np.min}


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "name"), MATRIX)
def test_every_choice_of_axes(backend, rng, op, name, dtype, keepdims):
    with held_to(op, name):
        for shape in (*SHAPES, (2, 50, 3, 40, 2)):
            x = rng.standard_normal(shape).astype(dtype)
            for count in range(len(shape) + 1):
                for axes in combinations(range(len(shape)), count):
                    expected = ORACLES[op](x.astype(np.float64), axis=axes, keepdims=keepdims)
                    length = math.prod(shape[axis] for axis in axes)
                    for given_x in (x, with_gaps(x)):
                        actual = getattr(backend, op)(given_x, axes, keepdims)
                        check(actual, expected, dtype, length, scale=length if op == "reduce_sum" else 1)


@pytest.mark.parametrize(("shape", "axes"), [((3_000_000,), (0,)), ((1_000_000, 3), (0,)), ((2, 1_000_000, 2), (1,))])
@pytest.mark.parametrize("op", ["reduce_sum", "reduce_mean"])
def test_long_float32_sums_stay_accurate(backend, op, shape, axes):
    x = np.full(shape, 0.1, np.float32)
    np.testing.assert_allclose(getattr(backend, op)(x, axes), ORACLES[op](x, axis=axes, dtype=np.float64), rtol=1e-5)


@pytest.mark.parametrize(("op", "name"), MATRIX)
def test_nan_and_infinity(backend, op, name):
    x = np.array([[1.0, np.nan, 3.0], [np.inf, 1.0, 2.0], [np.inf, -np.inf, 0.0]], np.float32)
    with np.errstate(invalid="ignore"):
        expected = ORACLES[op](x, axis=1)
    with held_to(op, name):
        np.testing.assert_array_equal(getattr(backend, op)(x, (1,)), expected)


def test_integers(backend):
    x = np.array([[2**31 - 1, 1], [4, 5]], np.int32)
    total = backend.reduce_sum(x, (0, 1))
    assert total.dtype == np.int64
    assert total == 2**31 + 9
    assert backend.reduce_mean(x, (1,)).tolist() == [2.0**30, 4.5]
    assert backend.reduce_max(x, (0,)).tolist() == [2**31 - 1, 5]


@settings(max_examples=40, deadline=None)
@given(
    shape=st.lists(st.integers(1, 60), min_size=1, max_size=3),
    data=st.data(),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_shape(shape, data, seed):
    axes = tuple(sorted(data.draw(st.sets(st.integers(0, len(shape) - 1)))))
    x = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    check(reduce_sum(x, axes), x.sum(axis=axes, dtype=np.float64), np.float32, x.size, scale=np.abs(x).sum())
