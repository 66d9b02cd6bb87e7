from itertools import pairwise

import numpy as np
import oracles.optimizer as oracle
import pytest
from matrix import DTYPES, every_implementation, held_to

from deepcore.backend.cuda import optimizer
from deepcore.errors import UnsupportedCallError

# Less than a vector of four, less than a chunk of 4096, several chunks.
SHAPES = ((1,), (7, 5), (3, 3, 2, 5), (9001,))

# operation: (oracle, which states there are, scalars)
CASES = {
    "sgd": ("sgd_update", oracle.sgd, (), (0.1,)),
    "momentum": ("momentum_update", oracle.momentum, (True,), (0.1, 0.9, False)),
    "nesterov": ("momentum_update", oracle.momentum, (True,), (0.1, 0.9, True)),
    "adagrad": ("adagrad_update", oracle.adagrad, (True,), (0.1, 1e-7)),
    "adam": ("adam_update", oracle.adam, (True, True), (0.1, 0.9, 0.999, 1e-7)),
    "rmsprop": ("rmsprop_update", oracle.rmsprop, (True, False, False), (0.1, 0.9, 0.0, 1e-7)),
    "rmsprop-momentum": ("rmsprop_update", oracle.rmsprop, (True, False, True), (0.1, 0.9, 0.5, 1e-7)),
    "rmsprop-centered": ("rmsprop_update", oracle.rmsprop, (True, True, False), (0.1, 0.9, 0.0, 1e-3)),
    "rmsprop-both": ("rmsprop_update", oracle.rmsprop, (True, True, True), (0.1, 0.9, 0.5, 1e-3)),
}
MATRIX = [
    pytest.param(case, parameter.values[1], id=f"{case}-{parameter.values[1]}")
    for case, (op, *_) in CASES.items()
    for parameter in every_implementation("optimizer", op, backend="cuda")
]


def _steps(rng, case, shapes, dtype, steps=3):
    op, reference, present, scalars = CASES[case]
    parameters = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    kept = [[np.zeros(shape, dtype) for shape in shapes] if there else None for there in present]
    expected = [
        [array.astype(np.float64), *(None if state is None else state[i].astype(np.float64) for state in kept)]
        for i, array in enumerate(parameters)
    ]
    for step in range(1, steps + 1):
        gradients = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
        untouched = [gradient.copy() for gradient in gradients]
        extra = (step,) if case == "adam" else ()
        assert getattr(optimizer, op)(parameters, gradients, *kept, *scalars, *extra) is None
        expected = [
            list(reference(values[0], gradient.astype(np.float64), *values[1:], *scalars, *extra))
            for values, gradient in zip(expected, gradients, strict=True)
        ]
        assert all(np.array_equal(a, b) for a, b in zip(gradients, untouched, strict=True))
    tolerance = (20 if dtype == "float32" else 100) * np.finfo(dtype).eps
    if "centered" in case or "both" in case:
        tolerance *= 100  # s - a**2 cancels where the gradients of all steps are alike
    for i, values in enumerate(expected):
        for actual, wanted in zip([parameters, *kept], values, strict=True):
            if actual is not None:
                np.testing.assert_allclose(actual[i], wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("case", "name"), MATRIX)
def test_three_steps(rng, case, name, dtype):
    with held_to(CASES[case][0], name):
        _steps(rng, case, SHAPES, dtype)


@pytest.mark.parametrize("case", CASES)
def test_watched(rng, watched, case):
    _steps(rng, case, ((1,), (7, 5), (4100,)), "float32", steps=1)


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
