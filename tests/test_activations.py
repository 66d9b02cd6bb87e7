"""Every activation function against its formula in float64, with its defaults and with other arguments."""

from __future__ import annotations

import math

import numpy as np
import pytest

from deepcore import activations, layers

# Every test runs on the CPU, on the emulator, and on a GPU where there is one.
pytestmark = pytest.mark.usefixtures("device")

erf = np.vectorize(math.erf)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def sparsemax(x):
    """The nearest distribution: of all sets of largest elements the one whose threshold leaves just them positive."""
    y = np.empty_like(x)
    for row, out in zip(x, y, strict=True):
        for k in range(1, len(row) + 1):
            tau = (np.sort(row)[-k:].sum() - 1) / k
            if np.sort(row)[-k] > tau:
                out[:] = np.maximum(row - tau, 0)
    return y


FORMULAS = {
    "celu": (lambda x: np.maximum(x, 0) + np.minimum(np.expm1(x), 0), {}),
    "celu, alpha": (lambda x: np.where(x > 0, x, 0.5 * np.expm1(x / 0.5)), {"alpha": 0.5}),
    "elu": (lambda x: np.where(x > 0, x, np.expm1(x)), {}),
    "elu, alpha": (lambda x: np.where(x > 0, x, 0.5 * np.expm1(x)), {"alpha": 0.5}),
    "exponential": (np.exp, {}),
    "gelu": (lambda x: x * (1 + erf(x / math.sqrt(2))) / 2, {}),
    "gelu, approximate": (
        lambda x: x * sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)),
        {"approximate": True},
    ),
    "glu": (lambda x: x[:, :4] * sigmoid(x[:, 4:]), {}),
    "glu, axis": (lambda x: x[:3] * sigmoid(x[3:]), {"axis": 0}),
    "hard_shrink": (lambda x: x * (np.abs(x) > 0.5), {}),
    "hard_shrink, threshold": (lambda x: x * (np.abs(x) > 2), {"threshold": 2}),
    "hard_sigmoid": (lambda x: np.clip(x + 3, 0, 6) / 6, {}),
    "hard_silu": (lambda x: x * np.clip(x + 3, 0, 6) / 6, {}),
    "hard_tanh": (lambda x: np.clip(x, -1, 1), {}),
    "heaviside": (lambda x: np.heaviside(x, 1), {}),
    "leaky_relu": (lambda x: np.where(x > 0, x, 0.2 * x), {}),
    "leaky_relu, negative_slope": (lambda x: np.where(x > 0, x, 0.3 * x), {"negative_slope": 0.3}),
    "linear": (lambda x: x, {}),
    "log_sigmoid": (lambda x: np.log(sigmoid(x)), {}),
    "log_softmax": (lambda x: np.log(softmax(x)), {}),
    "log_softmax, axis": (lambda x: np.log(softmax(x, (0, 1))), {"axis": (0, 1)}),
    "mish": (lambda x: x * np.tanh(np.log1p(np.exp(x))), {}),
    "relu": (lambda x: np.maximum(x, 0), {}),
    "relu, everything": (
        lambda x: np.where(x > 1, np.minimum(x, 3), 0.1 * (x - 1)),
        {"max_value": 3.0, "negative_slope": 0.1, "threshold": 1.0},
    ),
    "relu6": (lambda x: np.clip(x, 0, 6), {}),
    "selu": (lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)), {}),
    "sigmoid": (sigmoid, {}),
    "silu": (lambda x: x * sigmoid(x), {}),
    "soft_shrink": (lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0), {}),
    "soft_shrink, threshold": (lambda x: np.sign(x) * np.maximum(np.abs(x) - 2, 0), {"threshold": 2}),
    "softmax": (softmax, {}),
    "softmax, axis": (lambda x: softmax(x, 0), {"axis": 0}),
    "softplus": (lambda x: np.log1p(np.exp(x)), {}),
    "softsign": (lambda x: x / (1 + np.abs(x)), {}),
    "sparse_plus": (lambda x: np.select([x <= -1, x < 1], [0 * x, (x + 1) ** 2 / 4], x), {}),
    "sparse_sigmoid": (lambda x: np.clip((x + 1) / 2, 0, 1), {}),
    "sparsemax": (sparsemax, {}),
    "sparsemax, axis": (lambda x: sparsemax(x.T).T, {"axis": 0}),
    "squareplus": (lambda x: (x + np.sqrt(x * x + 4)) / 2, {}),
    "squareplus, b": (lambda x: (x + np.sqrt(x * x + 0.5)) / 2, {"b": 0.5}),
    "tanh": (np.tanh, {}),
    "tanh_shrink": (lambda x: x - np.tanh(x), {}),
    "threshold": (lambda x: np.where(x > 0.3, x, -2), {"threshold": 0.3, "default_value": -2}),
    "thresholded_linear": (lambda x: np.where(x > 1, x, 0), {}),
    "thresholded_linear, theta": (lambda x: np.where(x > 0.2, x, 0), {"theta": 0.2}),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FORMULAS)
def test_values(name, dtype, rng):
    formula, arguments = FORMULAS[name]
    x = (rng.standard_normal((6, 8)) * 3).astype(dtype)
    y = activations.get(name.partition(",")[0])(x, **arguments)
    assert y.dtype == dtype
    # A dozen roundings of the largest intermediate value, e to the eighth at most.
    tolerance = 40 * np.finfo(dtype).eps
    np.testing.assert_allclose(y.numpy(), formula(x.astype(np.float64)), rtol=tolerance, atol=tolerance)


def test_every_known_activation_is_tested():
    known = {f.__name__ for f in activations.registry.entries.values()}
    assert known == {name.partition(",")[0] for name in FORMULAS}


def test_names_round_trip_and_have_aliases():
    for name in {name.partition(",")[0] for name in FORMULAS}:
        assert activations.serialize(activations.get(name)) == name
        assert activations.deserialize(name) is activations.get(name)
        assert getattr(activations, name) is activations.get(name)
    assert activations.get(None) is activations.linear
    for alias, name in (("swish", "silu"), ("hard_swish", "hard_silu"), ("step", "heaviside"), ("tlu", None)):
        assert activations.get(alias) is activations.get(name or "thresholded_linear")
    with pytest.raises(ValueError, match="Did you mean 'squareplus'"):
        activations.get("squareplu")


def test_the_ends_are_finite():
    x = np.array([-1e4, -100.0, -0.0, 100.0, 1e4], np.float32)
    for name in ("celu", "elu", "gelu", "log_sigmoid", "mish", "selu", "sigmoid", "silu", "softplus", "squareplus"):
        assert np.isfinite(activations.get(name)(x).numpy()).all(), name
    np.testing.assert_allclose(activations.gelu(x).numpy(), [0, 0, 0, 100, 1e4])


def test_what_is_at_the_threshold_is_not_above_it():
    assert activations.relu([-1.0, 5.0, 10.0], threshold=5.0).tolist() == [0, 0, 10]
    assert activations.relu([1.0, 5.0, 10.0], 0.5, 7.0, 5.0).tolist() == [-2, 0, 7]
    assert activations.threshold([1.0, 2.0], 1.0, -3.0).tolist() == [-3, 2]


def test_halves_must_be_even():
    with pytest.raises(ValueError, match=r"even size.*got size 3"):
        activations.glu(np.ones((2, 3), np.float32))


def test_a_threshold_neuron_sums_to_a_gate(rng):
    neuron = layers.Dense(1, activation="heaviside")
    neuron.build((None, 2))
    neuron.set_weights([np.ones((2, 1), np.float32), np.array([-1.5], np.float32)])
    assert neuron(np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)).numpy().ravel().tolist() == [0, 0, 0, 1]
