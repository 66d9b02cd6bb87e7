import numpy as np
import oracles.optimizer as oracle
import pytest
from matrix import DTYPES, every_implementation, held_to

SHAPES = ((1,), (7, 5), (3, 3, 2, 5), (20_011,))  # the last is long enough for a compiled loop

# operation: (oracle, number of states, scalars)
CASES = {
    "sgd": ("sgd_update", oracle.sgd, 0, (0.1,)),
    "momentum": ("momentum_update", oracle.momentum, 1, (0.1, 0.9, False)),
    "nesterov": ("momentum_update", oracle.momentum, 1, (0.1, 0.9, True)),
    "adagrad": ("adagrad_update", oracle.adagrad, 1, (0.1, 1e-7)),
    "adam": ("adam_update", oracle.adam, 2, (0.1, 0.9, 0.999, 1e-7)),
    "rmsprop": ("rmsprop_update", oracle.rmsprop, (True, False, False), (0.1, 0.9, 0.0, 1e-7)),
    "rmsprop-momentum": ("rmsprop_update", oracle.rmsprop, (True, False, True), (0.1, 0.9, 0.5, 1e-7)),
    "rmsprop-centered": ("rmsprop_update", oracle.rmsprop, (True, True, False), (0.1, 0.9, 0.0, 1e-3)),
    "rmsprop-both": ("rmsprop_update", oracle.rmsprop, (True, True, True), (0.1, 0.9, 0.5, 1e-3)),
}
MATRIX = [
    pytest.param(case, parameter.values[1], id=f"{case}-{parameter.values[1]}")
    for case, (op, *_) in CASES.items()
    for parameter in every_implementation("optimizer", op)
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
def test_three_steps(backend, rng, case, name, dtype, flat):
    op, reference, states, scalars = CASES[case]
    present = states if isinstance(states, tuple) else (True,) * states
    (parameters,) = _lists(SHAPES, flat, 1, dtype, rng.standard_normal)
    kept = _lists(SHAPES, flat, sum(present), dtype, np.zeros)
    kept = [kept[sum(present[:i])] if there else None for i, there in enumerate(present)]
    expected = [
        [array.astype(np.float64), *(None if state is None else state[i].astype(np.float64) for state in kept)]
        for i, array in enumerate(parameters)
    ]
    for step in (1, 2, 3):
        (gradients,) = _lists(SHAPES, flat, 1, dtype, rng.standard_normal)
        untouched = [gradient.copy() for gradient in gradients]
        extra = (step,) if case == "adam" else ()
        with held_to(op, name):
            assert getattr(backend, op)(parameters, gradients, *kept, *scalars, *extra) is None
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
                assert actual[i].dtype == dtype
                np.testing.assert_allclose(actual[i], wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("case", "name"), MATRIX)
def test_nan_stays_in_its_element(backend, case, name):
    op, _, states, scalars = CASES[case]
    present = states if isinstance(states, tuple) else (True,) * states
    parameters, gradients = [np.ones(20_011, np.float32)], [np.ones(20_011, np.float32)]
    gradients[0][17] = np.nan
    kept = [[np.zeros(20_011, np.float32)] if there else None for there in present]
    with held_to(op, name):
        getattr(backend, op)(parameters, gradients, *kept, *scalars, *((1,) if case == "adam" else ()))
    assert np.flatnonzero(np.isnan(parameters[0])).tolist() == [17]


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
    assert not p.any()
