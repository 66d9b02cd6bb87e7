import numpy as np
import oracles.softmax as oracle
import pytest
from matrix import DTYPES, check, every_implementation, held_to, numerical_gradient, with_gaps

from deepcore.backend.cuda import softmax

FORWARD = every_implementation("softmax", "softmax_fprop", "log_softmax_fprop", backend="cuda")
BACKWARD = every_implementation("softmax", "softmax_dgrad", "log_softmax_dgrad", backend="cuda")
LOSS = every_implementation("softmax", "softmax_cross_entropy_fprop", backend="cuda")
LOSS_GRADIENT = every_implementation("softmax", "softmax_cross_entropy_dgrad", backend="cuda")
PROBABILITY_LOSS = every_implementation("softmax", "probability_cross_entropy_fprop", backend="cuda")
PROBABILITY_LOSS_GRADIENT = every_implementation("softmax", "probability_cross_entropy_dgrad", backend="cuda")
# Rows for a quarter of a warp, for a warp and for a block; more rows than a block has groups.
SHAPES = ((1, 1), (1, 7), (70, 5), (3, 5, 7), (70, 13), (13, 67), (3, 1031))
WATCHED = ((35, 13), (9, 67), (2, 1031))


def _oracle(op):
    return oracle.softmax if op.startswith("softmax") else oracle.log_softmax


def _forward(rng, op, shape, dtype):
    x = 5 * rng.standard_normal(shape).astype(dtype)
    check(getattr(softmax, op)(x), _oracle(op)(x), dtype, shape[-1])
    return x


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "name"), FORWARD)
def test_forward(rng, op, name, dtype):
    with held_to(op, name):
        for shape in SHAPES:
            x = _forward(rng, op, shape, dtype)
        check(getattr(softmax, op)(with_gaps(x)), _oracle(op)(x), dtype, x.shape[-1])


@pytest.mark.parametrize(("op", "name"), FORWARD)
def test_forward_watched(rng, watched, op, name):
    with held_to(op, name):
        for shape in WATCHED:
            _forward(rng, op, shape, "float32")


def _backward(rng, op, shape, dtype, gaps=False):
    x, dy = rng.standard_normal(shape), rng.standard_normal(shape).astype(dtype)
    y = _oracle(op)(x).astype(dtype)
    if op == "softmax_dgrad":
        expected = y.astype(np.float64) * (dy - (dy * y.astype(np.float64)).sum(axis=-1, keepdims=True))
    else:
        expected = dy - np.exp(y.astype(np.float64)) * dy.astype(np.float64).sum(axis=-1, keepdims=True)
    actual = getattr(softmax, op)(*((with_gaps(dy), with_gaps(y)) if gaps else (dy, y)))
    check(actual, expected, dtype, shape[-1], np.abs(dy).sum(axis=-1).max())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "name"), BACKWARD)
def test_gradient(rng, op, name, dtype):
    with held_to(op, name):
        for shape in SHAPES:
            _backward(rng, op, shape, dtype)
        _backward(rng, op, (7, 5), dtype, gaps=True)


@pytest.mark.parametrize(("op", "name"), BACKWARD)
def test_gradient_watched(rng, watched, op, name):
    with held_to(op, name):
        for shape in WATCHED:
            _backward(rng, op, shape, "float32")


@pytest.mark.parametrize(("op", "name"), BACKWARD)
def test_gradient_by_finite_differences(rng, op, name):
    forward = _oracle(op)
    x, dy = rng.standard_normal((3, 5)), rng.standard_normal((3, 5))
    with held_to(op, name):
        dx = getattr(softmax, op)(dy, forward(x))
    np.testing.assert_allclose(dx, numerical_gradient(forward, x, dy), rtol=1e-6, atol=1e-8)


KINDS = ("int32", "int64", "uint8", "int16", "floating")


def _targets(rng, rows, classes, kind, dtype):
    if kind == "floating":
        return rng.random((rows, classes)).astype(dtype)
    return rng.integers(0, min(classes, 256), rows).astype(kind)


def _loss(rng, shape, kind, dtype):
    logits = 5 * rng.standard_normal(shape).astype(dtype)
    targets = _targets(rng, *shape, kind, dtype)
    loss, probabilities = softmax.softmax_cross_entropy_fprop(logits, targets)
    scale = 20 * (shape[1] if kind == "floating" else 1)
    check(loss, oracle.cross_entropy(logits, targets), dtype, shape[1], scale)
    check(probabilities, oracle.softmax(logits), dtype, shape[1])


def _loss_gradient(rng, shape, kind, dtype):
    probabilities = oracle.softmax(rng.standard_normal(shape)).astype(dtype)
    targets = _targets(rng, *shape, kind, dtype)
    weights = targets.astype(np.float64) if kind == "floating" else oracle.one_hot(targets, shape[1])
    dloss = rng.standard_normal(shape[0]).astype(dtype)
    expected = dloss[:, None] * (probabilities * weights.sum(axis=1, keepdims=True) - weights)
    check(softmax.softmax_cross_entropy_dgrad(dloss, probabilities, targets), expected, dtype, shape[1])


def _probability_loss(rng, shape, kind, dtype):
    p = (rng.random(shape) + 0.1).astype(dtype)
    targets = _targets(rng, *shape, kind, dtype)
    scale = 10 * (shape[1] if kind == "floating" else 1)
    actual = softmax.probability_cross_entropy_fprop(p, targets)
    check(actual, oracle.probability_cross_entropy(p, targets), dtype, shape[1], scale)


def _probability_loss_gradient(rng, shape, kind, dtype):
    p = (rng.random(shape) + 0.1).astype(dtype)
    targets = _targets(rng, *shape, kind, dtype)
    dloss = rng.standard_normal(shape[0]).astype(dtype)
    expected = oracle.probability_cross_entropy_gradient(dloss, p, targets)
    check(softmax.probability_cross_entropy_dgrad(dloss, p, targets), expected, dtype, shape[1], 10)


LOSSES = {
    "softmax_cross_entropy_fprop": _loss,
    "softmax_cross_entropy_dgrad": _loss_gradient,
    "probability_cross_entropy_fprop": _probability_loss,
    "probability_cross_entropy_dgrad": _probability_loss_gradient,
}
EVERY_LOSS = LOSS + LOSS_GRADIENT + PROBABILITY_LOSS + PROBABILITY_LOSS_GRADIENT


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "name"), EVERY_LOSS)
def test_cross_entropy(rng, op, name, dtype, kind):
    run = LOSSES[op]
    with held_to(op, name):
        for shape in ((1, 1), (1, 7), (5, 1), (40, 10)) + (
            ((9, 67), (2, 1031)) if kind in ("int64", "floating") else ()
        ):
            run(rng, shape, kind, dtype)


@pytest.mark.parametrize("kind", ["int64", "floating"])
@pytest.mark.parametrize(("op", "name"), EVERY_LOSS)
def test_cross_entropy_watched(rng, watched, op, name, kind):
    run = LOSSES[op]
    with held_to(op, name):
        for shape in WATCHED:
            run(rng, shape, kind, "float32")


@pytest.mark.parametrize(("op", "name"), FORWARD)
def test_large_values_do_not_overflow(op, name):
    x = np.array([[1e4, 1e4 - 1, -1e4], [-3e38, -3e38, -3e38], [3e38, 0, 0], [-np.inf, 0, 1]], np.float32)
    with held_to(op, name):
        np.testing.assert_allclose(getattr(softmax, op)(x), _oracle(op)(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("op", "name"), FORWARD)
def test_nan_fills_its_row_only(op, name):
    x = np.zeros((3, 5), np.float32)
    x[1, 2] = np.nan
    with held_to(op, name):
        assert np.isnan(getattr(softmax, op)(x)).all(axis=1).tolist() == [False, True, False]


@pytest.mark.parametrize("wrong", [-1, 5])
def test_a_class_that_does_not_exist_makes_its_row_nan(watched, wrong):
    logits, targets = np.zeros((3, 5), np.float32), np.array([1, wrong, 2])
    loss, probabilities = softmax.softmax_cross_entropy_fprop(logits, targets)
    np.testing.assert_allclose(loss, [np.log(5), np.nan, np.log(5)], rtol=1e-6)
    dlogits = softmax.softmax_cross_entropy_dgrad(np.ones(3, np.float32), probabilities, targets)
    assert np.isnan(dlogits).all(axis=1).tolist() == [False, True, False]
    p, dloss = np.ones((3, 5), np.float32), np.ones(3, np.float32)
    loss = softmax.probability_cross_entropy_fprop(p, targets)
    np.testing.assert_allclose(loss, [np.log(5), np.nan, np.log(5)], rtol=1e-6)
    dp = softmax.probability_cross_entropy_dgrad(dloss, p, targets)
    assert np.isnan(dp).all(axis=1).tolist() == [False, True, False]


@pytest.mark.parametrize("hot", [False, True])
@pytest.mark.parametrize("target", [0, 1, 2])
def test_probabilities_at_their_limits(watched, target, hot):
    p, targets = np.array([[0, 1, 0], [1e-9, 1, 1e-3], [2, 2, 0], [np.nan, 1, 1]], np.float32), np.full(4, target)
    dloss = np.ones(4, np.float32)
    given = oracle.one_hot(targets, 3).astype(np.float32) if hot else targets
    expected = oracle.probability_cross_entropy(p, targets)
    np.testing.assert_allclose(softmax.probability_cross_entropy_fprop(p, given), expected, rtol=1e-6, atol=1e-6)
    expected = oracle.probability_cross_entropy_gradient(dloss, p, targets)
    actual = softmax.probability_cross_entropy_dgrad(dloss, p, given)
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-6)


def test_targets_must_be_numbers():
    with pytest.raises(TypeError, match="targets must be integers; got dtype bool"):
        softmax.softmax_cross_entropy_fprop(np.zeros((2, 5), np.float32), np.array([True, False]))
