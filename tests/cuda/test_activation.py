import numpy as np
import oracles.activation as oracle
import pytest
from matrix import DTYPES, check, every_implementation, held_to, with_gaps

from deepcore.backend.contract import ACTIVATIONS
from deepcore.backend.cuda import activation as backend

FORWARD = every_implementation("activation", "bias_activation", backend="cuda")
BACKWARD = every_implementation("activation", "activation_dgrad", backend="cuda")
BIAS = every_implementation("activation", "bias_activation_dgrad", backend="cuda")
SHAPES = ((1, 1), (1, 7), (5, 1), (3, 5, 7), (13, 64), (700, 3))


def _forward(rng, shape, dtype, activation, gaps=False):
    x, bias = 3 * rng.standard_normal(shape).astype(dtype), rng.standard_normal(shape[-1]).astype(dtype)
    wide = oracle.ACTIVATIONS[activation]
    check(backend.bias_activation(with_gaps(x) if gaps else x, bias, activation), wide(x + bias), dtype)
    check(backend.bias_activation(x, None, activation), wide(x.astype(np.float64)), dtype)


def _backward(rng, shape, dtype, activation, gaps=False):
    z, dy = 2 * rng.standard_normal(shape), rng.standard_normal(shape).astype(dtype)
    y = oracle.ACTIVATIONS[activation](z).astype(dtype)
    expected = dy * oracle.DERIVATIVES[activation](z)
    given = (with_gaps(dy), with_gaps(y)) if gaps else (dy, y)
    # The slope comes from the rounded y; where y nears its limit, 1 - y and the like have its absolute error.
    dz, dbias = backend.bias_activation_dgrad(*given, activation)
    check(dz, expected, dtype, scale=8)
    rows = dz.size // shape[-1]
    check(dbias, expected.reshape(rows, -1).sum(axis=0), dtype, rows, scale=8 * rows)
    check(backend.activation_dgrad(*given, activation), expected, dtype, scale=8)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "name"), FORWARD)
def test_forward(rng, op, name, dtype, activation):
    with held_to(op, name):
        for shape in SHAPES:
            _forward(rng, shape, dtype, activation)
        _forward(rng, (7, 5), dtype, activation, gaps=True)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "name"), BACKWARD + BIAS)
def test_gradient(rng, op, name, dtype, activation):
    with held_to(op, name):
        for shape in SHAPES:
            _backward(rng, shape, dtype, activation)
        _backward(rng, (7, 5), dtype, activation, gaps=True)


def test_watched(rng, watched):
    for activation in ("relu", "tanh", "linear"):
        for shape in ((3, 7), (13, 64), (2600, 3)):
            _forward(rng, shape, "float32", activation)
            _backward(rng, shape, "float32", activation)


@pytest.mark.parametrize("offset", [0, 1])
def test_a_slice_that_is_not_aligned(rng, watched, offset):
    x = rng.standard_normal(4001).astype(np.float32)[offset : offset + 4000].reshape(1000, 4)
    assert np.array_equal(backend.bias_activation(x, None, "relu"), np.maximum(x, 0))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_nan_never_cuts_a_gradient_off(activation):
    y, dy = np.full((1, 3), np.nan, np.float32), np.ones((1, 3), np.float32)
    assert (backend.activation_dgrad(dy, y, activation) != 0).all()
    assert np.isnan(backend.bias_activation(y, None, activation)).all()


def test_many_rows(rng):
    dy = np.full((100_000, 3), 0.1, np.float32)
    dbias = backend.bias_activation_dgrad(dy, dy, "relu")[1]
    np.testing.assert_allclose(dbias, dy.sum(axis=0, dtype=np.float64), rtol=3e-6)


@pytest.mark.parametrize("function", [backend.activation_dgrad, backend.bias_activation_dgrad])
def test_an_unknown_activation_is_named(function):
    x = np.ones((2, 3), np.float32)
    with pytest.raises(ValueError, match="rleu"):
        function(x, x, "rleu")
