import numpy as np
import pytest
from matrix import DTYPES, every_implementation, held_to
from oracles.optimizer import CASES, check_steps

from deepcore.backend.numpy import optimizer
from deepcore.backend.updates import Before

SHAPES = ((1,), (7, 5), (3, 3, 2, 5), (20_011,))

MATRIX = [
    pytest.param(case, parameter.values[1], id=f"{case}-{parameter.values[1]}")
    for case, known in CASES.items()
    for parameter in every_implementation("optimizer", known.op)
]


def _lists(shapes, flat, count, dtype, fill):
    """``count`` lists of arrays: of their own, or all adjoining in one flat array each."""
    lists = []
    for _ in range(count):
        arrays = [fill(shape).astype(dtype) for shape in shapes]
        if flat:
            whole = np.concatenate([array.ravel() for array in arrays])
            ends = np.cumsum([array.size for array in arrays])
            arrays = [
                whole[end - array.size : end].reshape(array.shape) for end, array in zip(ends, arrays, strict=True)
            ]
        lists.append(arrays)
    return lists


@pytest.mark.parametrize("flat", [False, True], ids=["separate", "flat"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("case", "name"), MATRIX)
def test_three_steps(backend, rng, monkeypatch, case, name, dtype, flat):
    known = CASES[case]
    if flat:  # a compiled loop on all cores; else each array is short enough for one
        monkeypatch.setattr(optimizer, "_SHARED", 100)
    with held_to(known.op, name):
        check_steps(
            getattr(backend, known.op),
            known,
            SHAPES,
            dtype,
            rng,
            lambda fill, count: _lists(SHAPES, flat, count, dtype, fill),
        )


@pytest.mark.parametrize("decay", [None, (0.1, 0.0, 0.2, 0.3), (0.1,) * 4], ids=["none", "each", "alike"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("case", "name"), MATRIX)
def test_decay_scale_and_limit_before_the_rule(backend, rng, case, name, dtype, decay):
    known, before = CASES[case], Before(decay, 0.5, np.asarray(1.5, dtype), 0.9)
    with held_to(known.op, name):
        check_steps(
            getattr(backend, known.op),
            known,
            SHAPES,
            dtype,
            rng,
            lambda fill, count: _lists(SHAPES, True, count, dtype, fill),
            before=before,
            scale=1.5,
        )


@pytest.mark.parametrize(("case", "name"), MATRIX)
def test_nan_stays_in_its_element(backend, case, name):
    known = CASES[case]
    parameters, gradients = [np.ones(20_011, np.float32)], [np.ones(20_011, np.float32)]
    gradients[0][17] = np.nan
    states, numbers = known.split([[np.ones(20_011, np.float32)] if there else None for there in known.present], 1)
    with held_to(known.op, name):
        getattr(backend, known.op)(parameters, gradients, *states, *numbers, before=Before(limit=2.0))
    assert np.flatnonzero(np.isnan(parameters[0])).tolist() == [17]


@pytest.mark.parametrize("dtype", DTYPES)
def test_square_sum(backend, rng, dtype):
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in (*SHAPES, (3, 100_003), (0, 2))]
    total = backend.square_sum([*arrays, arrays[1].T])
    assert (total.dtype, total.shape) == (np.dtype(dtype), ())
    expected = sum(np.square(np.float64(a)).sum() for a in (*arrays, arrays[1]))
    np.testing.assert_allclose(total, expected, rtol=4 * np.finfo(dtype).eps if dtype == "float32" else 1e-13)
    assert np.isnan(backend.square_sum([np.array([1, np.nan], dtype), arrays[0]]))
    assert backend.square_sum([np.array([np.finfo(dtype).max], dtype)]) == np.inf


def test_adam_moves_every_parameter_by_the_learning_rate_at_first(backend, rng):
    parameter, gradient = np.zeros(9), rng.standard_normal(9) * 1e3
    backend.adam_update([parameter], [gradient], [np.zeros(9)], [np.zeros(9)], 0.01, 0.9, 0.999, 1e-7, 1)
    np.testing.assert_allclose(parameter, -0.01 * np.sign(gradient), rtol=1e-4)


def test_no_parameters_are_no_work(backend):
    assert backend.sgd_update([], [], 0.1) is None


def test_errors_name_the_array(backend):
    p, g = np.zeros((4, 6), np.float32), np.zeros((4, 6), np.float32)
    with pytest.raises(ValueError, match=r"sgd_update: gradients\[1\] of shape \(4, 6\) .* is not C-contiguous"):
        backend.sgd_update([p, p], [g, np.zeros((6, 4), np.float32).T], 0.1)
    with pytest.raises(ValueError, match=r"parameters\[0\] .* is not C-contiguous"):
        backend.sgd_update([p[:, ::2]], [g[:, ::2]], 0.1)
    with pytest.raises(
        ValueError, match=r"gradients\[0\] is float32 \(6, 4\), but parameters\[0\] is float32 \(4, 6\)"
    ):
        backend.sgd_update([p], [g.reshape(6, 4)], 0.1)
    with pytest.raises(ValueError, match=r"gradients\[0\] is float64"):
        backend.sgd_update([p], [g.astype(np.float64)], 0.1)
    with pytest.raises(ValueError, match="2 parameters but 1 gradients; one for each"):
        backend.sgd_update([p, p], [g], 0.1)
    with pytest.raises(ValueError, match="adam_update: step counts from 1; got 0"):
        backend.adam_update([p], [g], [g.copy()], [g.copy()], 0.1, 0.9, 0.999, 1e-7, 0)
    with pytest.raises(ValueError, match="adam_update: 1 parameters but 0 largest_moments"):
        backend.adam_update([p], [g], [p.copy()], [p.copy()], 0.1, 0.9, 0.999, 1e-7, 1, [])
    with pytest.raises(ValueError, match="adamax_update: step counts from 1; got 0"):
        backend.adamax_update([p], [g], [p.copy()], [p.copy()], 0.1, 0.9, 0.999, 1e-7, 0)
    assert not p.any()
