import numpy as np
import oracles.softmax as oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix import (
    DTYPES,
    SHAPES,
    available,
    check,
    every_implementation,
    held_to,
    numerical_gradient,
    poisoned,  # noqa: F401
    with_gaps,
)

from deepcore.backend.numpy.softmax import softmax_fprop

FORWARD = every_implementation("softmax", "softmax_fprop", "log_softmax_fprop")
BACKWARD = every_implementation("softmax", "softmax_dgrad", "log_softmax_dgrad")
LOSS = every_implementation("softmax", "softmax_cross_entropy_fprop")
LOSS_GRADIENT = every_implementation("softmax", "softmax_cross_entropy_dgrad")
PROBABILITY_LOSS = every_implementation("softmax", "probability_cross_entropy_fprop")
PROBABILITY_LOSS_GRADIENT = every_implementation("softmax", "probability_cross_entropy_dgrad")


def _oracle(op):
    return oracle.softmax if op.startswith("softmax") else oracle.log_softmax


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "name"), FORWARD)
def test_forward(backend, rng, poisoned, op, name, dtype):  # noqa: F811
    with held_to(op, name):
        for shape in SHAPES:
            x = 5 * rng.standard_normal(shape).astype(dtype)
            for given_x in (x, with_gaps(x)):
                check(getattr(backend, op)(given_x), _oracle(op)(x), dtype, shape[-1])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "name"), BACKWARD)
def test_gradient(backend, rng, poisoned, op, name, dtype):  # noqa: F811
    forward = _oracle(op)
    with held_to(op, name):
        for shape in SHAPES:
            x, dy = rng.standard_normal(shape), rng.standard_normal(shape).astype(dtype)
            y = forward(x).astype(dtype)
            if op == "softmax_dgrad":
                expected = y.astype(np.float64) * (dy - (dy * y.astype(np.float64)).sum(axis=-1, keepdims=True))
            else:
                expected = dy - np.exp(y.astype(np.float64)) * dy.astype(np.float64).sum(axis=-1, keepdims=True)
            for given_dy, given_y in ((dy, y), (with_gaps(dy), with_gaps(y))):
                check(getattr(backend, op)(given_dy, given_y), expected, dtype, shape[-1], np.abs(dy).sum())


@pytest.mark.parametrize(("op", "name"), BACKWARD)
def test_gradient_by_finite_differences(backend, rng, op, name):
    forward = _oracle(op)
    x, dy = rng.standard_normal((3, 5)), rng.standard_normal((3, 5))
    with held_to(op, name):
        dx = getattr(backend, op)(dy, forward(x))
    np.testing.assert_allclose(dx, numerical_gradient(forward, x, dy), rtol=1e-6, atol=1e-8)


def _targets(rng, rows, classes, kind, dtype):
    return rng.integers(0, classes, rows) if kind == "integer" else rng.random((rows, classes)).astype(dtype)


@pytest.mark.parametrize("kind", ["integer", "floating"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "name"), LOSS)
def test_cross_entropy(backend, rng, poisoned, op, name, dtype, kind):  # noqa: F811
    with held_to(op, name):
        for rows, classes in ((1, 1), (1, 7), (5, 1), (7, 5), (127, 67)):
            logits = 5 * rng.standard_normal((rows, classes)).astype(dtype)
            targets = _targets(rng, rows, classes, kind, dtype)
            scale = 20 * (classes if kind == "floating" else 1)
            for given_logits in (logits, with_gaps(logits)):
                loss, probabilities = backend.softmax_cross_entropy_fprop(given_logits, targets)
                check(loss, oracle.cross_entropy(logits, targets), dtype, classes, scale)
                check(probabilities, oracle.softmax(logits), dtype, classes)


@pytest.mark.parametrize("kind", ["integer", "floating"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "name"), LOSS_GRADIENT)
def test_cross_entropy_gradient(backend, rng, poisoned, op, name, dtype, kind):  # noqa: F811
    with held_to(op, name):
        for rows, classes in ((1, 1), (1, 7), (5, 1), (7, 5), (127, 67)):
            probabilities = oracle.softmax(rng.standard_normal((rows, classes))).astype(dtype)
            targets = _targets(rng, rows, classes, kind, dtype)
            weights = oracle.one_hot(targets, classes) if kind == "integer" else targets.astype(np.float64)
            dloss = rng.standard_normal(rows).astype(dtype)
            expected = dloss[:, None] * (probabilities * weights.sum(axis=1, keepdims=True) - weights)
            for given_p in (probabilities, with_gaps(probabilities)):
                dlogits = backend.softmax_cross_entropy_dgrad(dloss, given_p, targets)
                check(dlogits, expected, dtype, classes)


@pytest.mark.parametrize("kind", ["integer", "floating"])
@pytest.mark.parametrize(("op", "name"), LOSS_GRADIENT)
def test_cross_entropy_gradient_by_finite_differences(backend, rng, op, name, kind):
    logits, dloss = rng.standard_normal((3, 5)), rng.standard_normal(3)
    targets = _targets(rng, 3, 5, kind, np.float64)
    _, probabilities = backend.softmax_cross_entropy_fprop(logits, targets)
    with held_to(op, name):
        dlogits = backend.softmax_cross_entropy_dgrad(dloss, probabilities, targets)
    expected = numerical_gradient(lambda x: oracle.cross_entropy(x, targets), logits, dloss)
    np.testing.assert_allclose(dlogits, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kind", ["integer", "floating"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "name"), PROBABILITY_LOSS)
def test_probability_cross_entropy(backend, rng, poisoned, op, name, dtype, kind):  # noqa: F811
    with held_to(op, name):
        for rows, classes in ((1, 1), (1, 7), (5, 1), (7, 5), (127, 67)):
            p = (rng.random((rows, classes)) + 0.01).astype(dtype)
            targets = _targets(rng, rows, classes, kind, dtype)
            expected = oracle.probability_cross_entropy(p, targets)
            for given_p in (p, with_gaps(p)):
                check(backend.probability_cross_entropy_fprop(given_p, targets), expected, dtype, classes, 20)


@pytest.mark.parametrize("kind", ["integer", "floating"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "name"), PROBABILITY_LOSS_GRADIENT)
def test_probability_cross_entropy_gradient(backend, rng, poisoned, op, name, dtype, kind):  # noqa: F811
    with held_to(op, name):
        for rows, classes in ((1, 1), (1, 7), (5, 1), (7, 5), (127, 67)):
            p = (rng.random((rows, classes)) + 0.1).astype(dtype)
            targets = _targets(rng, rows, classes, kind, dtype)
            dloss = rng.standard_normal(rows).astype(dtype)
            expected = oracle.probability_cross_entropy_gradient(dloss, p, targets)
            for given_p in (p, with_gaps(p)):
                check(backend.probability_cross_entropy_dgrad(dloss, given_p, targets), expected, dtype, classes, 10)


@pytest.mark.parametrize("kind", ["integer", "floating"])
@pytest.mark.parametrize(("op", "name"), PROBABILITY_LOSS_GRADIENT)
def test_probability_cross_entropy_gradient_by_finite_differences(backend, rng, op, name, kind):
    p, dloss = rng.random((3, 5)) + 0.1, rng.standard_normal(3)
    targets = _targets(rng, 3, 5, kind, np.float64)
    with held_to(op, name):
        dp = backend.probability_cross_entropy_dgrad(dloss, p, targets)
    expected = numerical_gradient(lambda x: oracle.probability_cross_entropy(x, targets), p, dloss)
    np.testing.assert_allclose(dp, expected, rtol=1e-6, atol=1e-8)


# Shares at and beyond the limits, and what is no number.
EDGES = np.array([[0, 1, 0], [1e-9, 1, 1e-3], [2, 2, 0], [0, 0, 0], [np.nan, 1, 1]])


@pytest.mark.parametrize("hot", [False, True])
@pytest.mark.parametrize("target", [0, 1, 2])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "name"), PROBABILITY_LOSS + PROBABILITY_LOSS_GRADIENT)
def test_probabilities_at_their_limits(backend, op, name, dtype, target, hot):
    p, targets, dloss = EDGES.astype(dtype), np.full(len(EDGES), target), np.ones(len(EDGES), dtype)
    given = oracle.one_hot(targets, 3).astype(dtype) if hot else targets
    with held_to(op, name), np.errstate(all="ignore"):
        if op.endswith("fprop"):
            actual = backend.probability_cross_entropy_fprop(p, given)
            expected = oracle.probability_cross_entropy(p, targets)
        else:
            actual = backend.probability_cross_entropy_dgrad(dloss, p, given)
            expected = oracle.probability_cross_entropy_gradient(dloss, p, targets)
    np.testing.assert_allclose(actual[:-2], expected[:-2], rtol=1e-6, atol=1e-6)
    assert not np.isfinite(actual[-2:]).any()


@pytest.mark.parametrize(("op", "name"), FORWARD)
def test_large_values_do_not_overflow(backend, op, name):
    x = np.array([[1e4, 1e4 - 1, -1e4], [-3e38, -3e38, -3e38], [3e38, 0, 0]], np.float32)
    with held_to(op, name):
        np.testing.assert_allclose(getattr(backend, op)(x), _oracle(op)(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("op", "name"), FORWARD)
def test_nan_fills_its_row_only(backend, op, name):
    x = np.zeros((3, 5), np.float32)
    x[1, 2] = np.nan
    with held_to(op, name):
        assert np.isnan(getattr(backend, op)(x)).all(axis=1).tolist() == [False, True, False]


@pytest.mark.parametrize(("op", "name"), LOSS)
def test_a_confident_mistake_costs_the_difference_of_the_logits(backend, op, name):
    logits = np.array([[1000.0, 0.0], [0.0, 1000.0]], np.float32)
    with held_to(op, name):
        loss, _ = backend.softmax_cross_entropy_fprop(logits, np.array([1, 1]))
    assert loss.tolist() == [1000.0, 0.0]


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(1, 50), classes=st.integers(1, 200), seed=st.integers(0, 2**32 - 1))
def test_rows_sum_to_one(rows, classes, seed):
    x = 30 * np.random.default_rng(seed).standard_normal((rows, classes)).astype(np.float32)
    for op, name in available(FORWARD):
        if op == "softmax_fprop":
            with held_to(op, name):
                y = softmax_fprop(x)
            assert (y >= 0).all()
            np.testing.assert_allclose(y.astype(np.float64).sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("wrong", [-1, 5])
def test_a_class_out_of_range_is_named(backend, wrong):
    logits = np.zeros((2, 5), np.float32)
    with pytest.raises(ValueError, match=rf"targets must be in \[0, 5\); got values from .*{wrong}"):
        backend.softmax_cross_entropy_fprop(logits, np.array([wrong, wrong]))
    with pytest.raises(ValueError, match=r"targets must be in \[0, 5\)"):
        backend.softmax_cross_entropy_dgrad(np.ones(2, np.float32), logits, np.array([wrong, 0]))
    with pytest.raises(ValueError, match=r"targets must be in \[0, 5\)"):
        backend.probability_cross_entropy_fprop(logits, np.array([wrong, 0]))
    with pytest.raises(ValueError, match=r"targets must be in \[0, 5\)"):
        backend.probability_cross_entropy_dgrad(np.ones(2, np.float32), logits, np.array([wrong, 0]))
