import numpy as np
import oracles.activation as oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix import DTYPES, SHAPES, available, check, every_implementation, held_to, poisoned, with_gaps  # noqa: F401

from deepcore.backend.contract import ACTIVATIONS
from deepcore.backend.numpy.activation import bias_activation, bias_activation_inplace
from deepcore.errors import UnsupportedCallError

FORWARD = every_implementation("activation", "bias_activation")
BACKWARD = every_implementation("activation", "activation_dgrad", "bias_activation_dgrad")


def test_activations_are_those_of_the_oracle(backend):
    assert set(ACTIVATIONS) == set(oracle.ACTIVATIONS)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "name"), FORWARD)
def test_forward(backend, rng, poisoned, op, name, dtype, activation):  # noqa: F811
    with held_to(op, name, dtype):
        for shape in SHAPES:
            x, bias = (3 * rng.standard_normal(s).astype(dtype) for s in (shape, shape[-1:]))
            expected = oracle.ACTIVATIONS[activation](x.astype(np.float64) + bias)
            check(backend.bias_activation(x, bias, activation), expected, dtype, 16)
            check(backend.bias_activation(with_gaps(x), bias, activation), expected, dtype, 16)
            check(backend.bias_activation(x, None, activation), oracle.ACTIVATIONS[activation](x), dtype, 16)
            y = x.copy()
            assert bias_activation_inplace(y, bias, activation) is y
            check(y, expected, dtype, 16)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "name"), BACKWARD)
def test_gradient(backend, rng, poisoned, op, name, dtype, activation):  # noqa: F811
    with held_to(op, name, dtype):
        for shape in SHAPES:
            z, dy = 3 * rng.standard_normal(shape), rng.standard_normal(shape).astype(dtype)
            y = oracle.ACTIVATIONS[activation](z).astype(dtype)
            expected = dy * oracle.DERIVATIVES[activation](z)
            for given_dy, given_y in ((dy, y), (with_gaps(dy), with_gaps(y))):
                if op == "activation_dgrad":
                    check(backend.activation_dgrad(given_dy, given_y, activation), expected, dtype, 64)
                else:
                    dz, dbias = backend.bias_activation_dgrad(given_dy, given_y, activation)
                    check(dz, expected, dtype, 64)
                    rows = expected.reshape(-1, shape[-1])
                    check(dbias, rows.sum(axis=0), dtype, 64 + len(rows), scale=np.abs(rows).sum(axis=0).max() + 1)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "name"), BACKWARD)
def test_a_scale_is_one_of_the_arriving_gradient(backend, rng, op, name, dtype, activation):
    with held_to(op, name, dtype):
        dy = rng.standard_normal((70, 6)).astype(dtype)
        y = oracle.ACTIVATIONS[activation](rng.standard_normal((70, 6))).astype(dtype)
        function = getattr(backend, op)
        found, expected = function(dy, y, activation, 1.25), function(dy * dy.dtype.type(1.25), y, activation)
        pairs = [(found, expected)] if op == "activation_dgrad" else zip(found, expected, strict=True)
        for one, other in pairs:
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "name"), FORWARD)
def test_extreme_values(backend, op, name, dtype, activation):
    x = np.array([[np.nan, np.inf, -np.inf, 1e4, -1e4, 88.5, -88.5, 1e-30, 0.0]], dtype)
    with np.errstate(over="ignore"):
        expected = oracle.ACTIVATIONS[activation](x).astype(dtype)
    with held_to(op, name, dtype):
        y = backend.bias_activation(x, np.zeros(9, dtype), activation)
        np.testing.assert_allclose(y, expected, rtol=64 * np.finfo(dtype).eps, atol=np.finfo(dtype).tiny)


@pytest.mark.parametrize(("op", "name"), FORWARD)
def test_small_values_keep_their_relative_accuracy(backend, op, name):
    x = np.array([[1e-6, -1e-6, 1e-3, -1e-3, 0.1, -0.1]], np.float32)
    with held_to(op, name):
        for activation in ("elu", "selu", "tanh"):
            expected = oracle.ACTIVATIONS[activation](x)
            np.testing.assert_allclose(backend.bias_activation(x, None, activation), expected, rtol=1e-6)
        far = np.array([[-20.0, -40.0, -80.0]], np.float32)
        for activation in ("sigmoid", "exponential", "softplus"):
            expected = oracle.ACTIVATIONS[activation](far)
            np.testing.assert_allclose(backend.bias_activation(far, None, activation), expected, rtol=1e-5)


@pytest.mark.parametrize(("op", "name"), BACKWARD)
def test_nan_in_the_gradient_is_not_hidden(backend, op, name):
    y = np.array([[0.5, np.nan]], np.float32)  # in no flat part, and nobody knows where
    dy = np.full((1, 2), np.nan, np.float32)
    with held_to(op, name):
        for activation in ACTIVATIONS:
            dz = getattr(backend, op)(dy, y, activation)
            assert np.isnan(dz[0] if op == "bias_activation_dgrad" else dz).all(), activation


@pytest.mark.parametrize(("op", "name"), every_implementation("activation", "bias_activation_dgrad"))
def test_long_column_sums_stay_accurate(backend, op, name):
    dy = np.full((1_000_003, 2), 0.1, np.float32)
    with held_to(op, name):
        _, dbias = backend.bias_activation_dgrad(dy, np.ones_like(dy), "relu")
    np.testing.assert_allclose(dbias, dy.astype(np.float64).sum(axis=0), rtol=1e-5)


@settings(max_examples=25, deadline=None)
@given(
    shape=st.lists(st.integers(1, 40), min_size=1, max_size=3),
    activation=st.sampled_from(ACTIVATIONS),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_shape(shape, activation, seed):
    x = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    bias = np.linspace(-1, 1, shape[-1], dtype=np.float32)
    expected = oracle.ACTIVATIONS[activation](x.astype(np.float64) + bias)
    for _, name in available(FORWARD):
        with held_to("bias_activation", name):
            check(bias_activation(x, bias, activation), expected, np.float32, 16)


def test_a_scalar_keeps_its_rank(backend):
    y = backend.bias_activation(np.array(-2.0, np.float32), None, "leaky_relu")
    assert y.shape == ()
    assert y == np.float32(-0.4)
    assert backend.activation_dgrad(np.array(3.0), np.array(2.0), "linear").shape == ()


def test_a_loop_that_would_not_vectorise_says_so(backend):
    with held_to("bias_activation", "numba"), pytest.raises(UnsupportedCallError, match="numba: float32 only"):
        backend.bias_activation(np.ones((2, 3)), None, "relu")


def test_unknown_activation(backend):
    x = np.ones((2, 3), np.float32)
    for call in (
        lambda: backend.bias_activation(x, None, "rleu"),
        lambda: backend.activation_dgrad(x, x, "rleu"),
        lambda: backend.bias_activation_dgrad(x, x, "rleu"),
    ):
        with pytest.raises(ValueError, match=r"Unknown activation 'rleu'\. Did you mean 'relu'"):
            call()
