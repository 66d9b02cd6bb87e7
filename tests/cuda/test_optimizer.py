from itertools import pairwise

import numpy as np
import pytest
from matrix import DTYPES, every_implementation, held_to
from oracles.optimizer import CASES, check_steps

from deepcore.backend.cuda import optimizer
from deepcore.backend.updates import Before
from deepcore.errors import UnsupportedCallError

# Less than a vector of four, less than a chunk of 4096, several chunks.
SHAPES = ((1,), (7, 5), (3, 3, 2, 5), (9001,))

MATRIX = [
    pytest.param(case, parameter.values[1], id=f"{case}-{parameter.values[1]}")
    for case, known in CASES.items()
    for parameter in every_implementation("optimizer", known.op, backend="cuda")
]


def _steps(rng, case, shapes, dtype, steps=3, **options):
    known = CASES[case]

    def lists(fill, count):
        return [[fill(shape).astype(dtype) for shape in shapes] for _ in range(count)]

    check_steps(optimizer.UPDATES[known.op], known, shapes, dtype, rng, lists, steps, **options)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("case", "name"), MATRIX)
def test_three_steps(rng, case, name, dtype):
    with held_to(CASES[case].op, name):
        _steps(rng, case, SHAPES, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("case", "name"), MATRIX)
def test_decay_scale_and_limit_before_the_rule(rng, case, name, dtype):
    before = Before((0.1, 0.0, 0.2, 0.3), 0.5, np.asarray(1.5, np.float32), 0.9)
    with held_to(CASES[case].op, name):
        _steps(rng, case, SHAPES, dtype, before=before, scale=1.5)


@pytest.mark.parametrize("case", CASES)
def test_nan_stays_in_its_element(case):
    known = CASES[case]
    arrays = [np.ones(13, np.float32) for _ in known.present]
    parameters, gradients = [np.ones(13, np.float32)], [np.ones(13, np.float32)]
    gradients[0][5] = np.nan
    lists = [[array] if there else None for array, there in zip(arrays, known.present, strict=True)]
    states, numbers = known.split(lists, 1)
    optimizer.UPDATES[known.op](parameters, gradients, *states, *numbers, before=Before(limit=2.0))
    assert np.flatnonzero(np.isnan(parameters[0])).tolist() == [5]


@pytest.mark.parametrize("case", CASES)
def test_watched(rng, watched, case):
    before = Before((0.1, 0.0, 0.2), 0.5, np.asarray(1.5, np.float32), 0.9)
    _steps(rng, case, ((1,), (7, 5), (4100,)), "float32", steps=1, before=before, scale=1.5)


@pytest.mark.parametrize("count", [1, 70])
@pytest.mark.parametrize("dtype", DTYPES)
def test_square_sum(rng, dtype, count):
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in SHAPES for _ in range(count)]
    total = optimizer.square_sum([*arrays, np.ones((0, 2), dtype), arrays[1].T])
    assert (total.dtype, total.shape) == (np.dtype(dtype), ())
    expected = sum(np.square(np.float64(a)).sum() for a in (*arrays, arrays[1]))
    np.testing.assert_allclose(total, expected, rtol=1e-6 if dtype == "float32" else 1e-13)


def test_square_sum_of_nothing_and_of_both_dtypes(rng):
    assert optimizer.square_sum([np.ones((0, 2), np.float32)]) == 0
    assert optimizer.square_sum([np.full(3, 2, d) for d in DTYPES]) == 24


@pytest.mark.parametrize("count", [64, 65, 130])
def test_more_parameters_than_one_launch_takes(rng, count):
    _steps(rng, "adam", [(1 + i % 7, 3) for i in range(count)], "float32", steps=1)


def test_parameters_that_lie_in_one_array_and_are_not_aligned(rng, watched):
    flat = rng.standard_normal((2, 100)).astype(np.float32)
    before = flat.copy()
    ends = [1, 6, 41, 77]
    parameters, gradients = ([row[a:b] for a, b in pairwise(ends)] for row in flat)
    optimizer.sgd_update(parameters, gradients, 0.5)
    expected = before.copy()
    expected[0, 1:77] -= np.float32(0.5) * before[1, 1:77]
    np.testing.assert_allclose(flat, expected, rtol=1e-6, atol=1e-7)
    assert np.array_equal(flat[0, [0, *range(77, 100)]], before[0, [0, *range(77, 100)]])


def test_both_dtypes_in_one_call(rng):
    parameters, gradients = ([rng.standard_normal(5).astype(d) for d in (*DTYPES, *DTYPES)] for _ in range(2))
    expected = [p.astype(np.float64) - 0.5 * g for p, g in zip(parameters, gradients, strict=True)]
    optimizer.sgd_update(parameters, gradients, 0.5)
    for actual, wanted in zip(parameters, expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-6, atol=1e-7)


def test_no_parameters_and_empty_ones():
    optimizer.sgd_update([], [], 0.1)
    optimizer.sgd_update([np.ones((0, 3), np.float32)], [np.ones((0, 3), np.float32)], 0.1)


def test_a_dtype_without_a_kernel_changes_nothing():
    parameters = [np.ones(3, np.float32), np.ones(3, np.float16)]
    with pytest.raises(UnsupportedCallError, match="built for float32 and float64, not float16"):
        optimizer.sgd_update(parameters, [np.ones(3, np.float32), np.ones(3, np.float16)], 0.1)
    assert parameters[0].tolist() == [1, 1, 1]


def test_what_does_not_match_is_named():
    one = np.ones((3, 4), np.float32)
    with pytest.raises(ValueError, match="sgd_update: 2 parameters but 1 gradients"):
        optimizer.sgd_update([one, one], [one], 0.1)
    with pytest.raises(ValueError, match=r"gradients\[0\] is float64 \(3, 4\), but parameters\[0\] is float32"):
        optimizer.sgd_update([one], [one.astype(np.float64)], 0.1)
    with pytest.raises(ValueError, match=r"parameters\[0\] of shape \(4, 3\) and strides .* is not C-contiguous"):
        optimizer.sgd_update([one.T], [one.T.copy()], 0.1)
    with pytest.raises(ValueError, match="step counts from 1; got 0"):
        optimizer.adam_update([one], [one], [one], [one], 0.1, 0.9, 0.999, 1e-7, 0)
