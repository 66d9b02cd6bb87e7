"""Starting values: their distributions, their seeds, and their names."""

from __future__ import annotations

import math

import numpy as np
import pytest

from deepcore import initializers, random

# Every test runs on the CPU, on the emulator, and on a GPU where there is one.
pytestmark = pytest.mark.usefixtures("device")

SHAPE = (3, 3, 40, 50)
FAN_IN, FAN_OUT = 360, 450
VARIANCES = {
    "glorot_uniform": 2 / (FAN_IN + FAN_OUT),
    "glorot_normal": 2 / (FAN_IN + FAN_OUT),
    "he_uniform": 2 / FAN_IN,
    "he_normal": 2 / FAN_IN,
    "lecun_uniform": 1 / FAN_IN,
    "lecun_normal": 1 / FAN_IN,
    "variance_scaling": 1 / FAN_IN,
    "random_normal": 0.05**2,
    "random_uniform": 0.1**2 / 12,
}


@pytest.mark.parametrize("name", VARIANCES)
def test_variance_and_bounds(name):
    random.set_seed(5)
    values = initializers.get(name)(SHAPE).numpy()
    assert values.dtype == np.float32
    assert values.shape == SHAPE
    stddev = math.sqrt(VARIANCES[name])
    # The standard error of a variance of n values is at most sqrt(2 / n) of it; five of them.
    assert abs(values.var() / VARIANCES[name] - 1) < 5 * math.sqrt(2 / values.size)
    assert abs(values.mean()) < 5 * stddev / math.sqrt(values.size)
    largest = np.abs(values).max() / stddev
    if "uniform" in name:
        assert 0.99 * math.sqrt(3) < largest <= math.sqrt(3) * (1 + 1e-6)
    elif name != "random_normal":
        assert 0.99 * 2 / 0.8796 < largest <= 2 / 0.8796 * (1 + 1e-4)


def test_truncated_normal_is_cut_at_two_standard_deviations():
    values = initializers.TruncatedNormal(mean=1.0, stddev=0.5, seed=1)((20_000,)).numpy()
    assert values.min() >= 0
    assert values.max() <= 2
    assert abs(values.std() - 0.5 * 0.8796) < 0.01


def test_orthogonal_columns_or_rows():
    for shape in ((7, 4), (4, 7), (3, 2, 5, 4), (5, 5)):
        values = initializers.Orthogonal(gain=1.5, seed=2)(shape, "float64").numpy().reshape(-1, shape[-1])
        product = values.T @ values if values.shape[0] >= values.shape[1] else values @ values.T
        # Each element is a sum of at most 30 products of numbers below 1.5.
        np.testing.assert_allclose(product, 2.25 * np.eye(len(product)), atol=30 * 2.25 * np.finfo(float).eps)
    with pytest.raises(ValueError, match=r"rank 2 or more; got the shape \(3,\)"):
        initializers.Orthogonal()((3,))


def test_orthogonal_matrices_have_no_preferred_sign():
    traces = [np.trace(initializers.Orthogonal(seed=i)((3, 3), "float64").numpy()) for i in range(400)]
    # The trace of a uniformly drawn orthogonal matrix has mean 0 and variance 1 (Diaconis and Shahshahani 1994).
    assert abs(np.mean(traces)) < 5 / np.sqrt(400)
    assert abs(np.var(traces) - 1) < 5 * np.sqrt(2 / 400)


def test_identity():
    assert initializers.Identity(gain=2.0)((2, 3)).tolist() == [[2, 0, 0], [0, 2, 0]]
    with pytest.raises(ValueError, match=r"matrices only; got the shape \(2, 2, 2\)"):
        initializers.get("identity")((2, 2, 2))


@pytest.mark.parametrize(
    ("shape", "axes", "expected"),
    [
        ((), (None, None), (1, 1)),
        ((7,), (None, None), (7, 7)),
        ((3, 5), (None, None), (3, 5)),
        ((4, 3, 5), (None, None), (12, 20)),
        ((3, 3, 16, 32), (None, None), (144, 288)),
        ((2, 3, 5, 7), ((0,), (1, 2)), (2, 15)),
    ],
)
def test_fans(shape, axes, expected):
    assert initializers.fans(shape, *axes) == expected


def test_named_axes_are_counted():
    values = initializers.HeUniform(seed=1, input_axes=[0], output_axes=[1, 2])((50, 20, 20)).numpy()
    limit = math.sqrt(3 * 2 / 50)
    assert 0.999 * limit < np.abs(values).max() <= limit * (1 + 1e-6)


def test_aliases_and_clones():
    for alias, cls in (
        ("xavier_uniform", initializers.GlorotUniform),
        ("XavierNormal", initializers.GlorotNormal),
        ("OrthogonalInitializer", initializers.Orthogonal),
        ("IdentityInitializer", initializers.Identity),
    ):
        assert type(initializers.get(alias)) is cls
    assert initializers.xavier_normal is initializers.glorot_normal is initializers.GlorotNormal
    made = initializers.TruncatedNormal(1.0, 0.1, seed=4)
    np.testing.assert_array_equal(made.clone()((5,)).numpy(), made((5,)).numpy())


def test_an_array_is_an_initializer_of_its_shape():
    start = initializers.get(np.array([[1.0, 2.0]]))
    assert start((1, 2)).tolist() == [[1, 2]]
    assert start((1, 2), "float64").dtype == np.float64
    with pytest.raises(ValueError, match=r"weight has shape \(2, 1\)"):
        start((2, 1))


def test_constants():
    assert initializers.Zeros()((2, 3)).tolist() == [[0, 0, 0]] * 2
    assert initializers.get("ones")((2,), dtype="int32").dtype == np.int32
    assert initializers.Constant([1.0, 2.0])((2, 2)).tolist() == [[1, 2], [1, 2]]


def test_a_seed_repeats_and_a_stream_goes_on():
    fixed = initializers.GlorotUniform(seed=3)
    np.testing.assert_array_equal(fixed((4,)).numpy(), fixed((4,)).numpy())
    stream = initializers.GlorotUniform(seed=random.Generator(3))
    assert (stream((4,)).numpy() != stream((4,)).numpy()).any()
    random.set_seed(9)
    first = initializers.HeNormal()((4,)).numpy()
    assert (first != initializers.HeNormal()((4,)).numpy()).any()
    random.set_seed(9)
    np.testing.assert_array_equal(first, initializers.HeNormal()((4,)).numpy())


@pytest.mark.parametrize("name", sorted({c.__name__ for c in initializers.registry.entries.values()}))
def test_configurations_round_trip(name):
    made = initializers.get(name)
    config = initializers.serialize(made)
    again = initializers.deserialize(config)
    assert type(again) is type(made)
    assert initializers.serialize(again) == config
    assert config["class_name"] == name


def test_float64_values_are_not_rounded_to_float32():
    values = initializers.RandomNormal(seed=1)((50,), dtype="float64").numpy()
    assert values.dtype == np.float64
    assert (values != values.astype(np.float32)).any()


def test_a_function_is_an_initializer():
    assert initializers.get(np.zeros) is np.zeros


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": 0}, "scale must be positive"),
        ({"mode": "fan"}, "mode must be one of"),
        ({"distribution": "gamma"}, "distribution must be one of"),
    ],
)
def test_impossible_scalings(arguments, message):
    with pytest.raises(ValueError, match=message):
        initializers.VarianceScaling(**arguments)


def test_what_is_no_initializer():
    with pytest.raises(ValueError, match=r"Unknown initializer 'he_norm'. Did you mean 'he_normal'"):
        initializers.get("he_norm")
    with pytest.raises(ValueError, match="instance of Initializer"):
        initializers.get(3)
