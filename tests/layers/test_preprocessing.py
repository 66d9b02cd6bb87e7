"""Rescaling, normalisation by statistics, and numbers as vectors: values, ``adapt``, files and refusals."""

from __future__ import annotations

import numpy as np
import pytest

import deepcore
from deepcore import Sequential, Tensor, layers

pytestmark = pytest.mark.usefixtures("device")

TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


def table(rng, rows=7, columns=4):
    return (rng.standard_normal((rows, columns)) * [1, 3, 0.5, 10][:columns] + [2, -1, 0, 50][:columns]).astype(
        np.float32
    )


def reloaded(layer, shape, tmp_path):
    """The layer as it comes back in a model from a file."""
    model = Sequential([layers.Input(shape), layer])
    model.save(tmp_path / "model.keras")
    return deepcore.saving.load_model(tmp_path / "model.keras").layers[-1]


# Rescaling


@pytest.mark.parametrize(
    ("scale", "offset"),
    [(2.0, 0.0), (1 / 255, -0.5), ([1.0, 2.0, 3.0, 4.0], 1), (np.arange(4.0), [4.0, 3.0, 2.0, 1.0])],
)
def test_rescaling(scale, offset, rng):
    x = table(rng)
    y = layers.Rescaling(scale, offset)(x)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.numpy(), np.float64(x) * scale + offset, **TOLERANCE)


def test_rescaling_turns_whole_numbers_into_the_layers_floats():
    pixels = np.array([[0, 51, 255]], np.uint8)
    for kind in ("float32", "float64"):
        y = layers.Rescaling(1 / 255, dtype=kind)(pixels)
        assert y.dtype == kind
        np.testing.assert_allclose(y.numpy(), [[0, 0.2, 1]], rtol=1e-6)


def test_rescaling_from_a_file(rng, tmp_path):
    x = table(rng)
    layer = layers.Rescaling(np.array([1.0, 2.0, 3.0, 4.0]), offset=[1, 2, 3, 4])
    np.testing.assert_array_equal(reloaded(layer, (4,), tmp_path)(x).numpy(), layer(x).numpy())


# Normalization


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize(
    ("axis", "mean", "variance"),
    [
        (-1, [1.0, 2.0, 3.0], [4.0, 1.0, 0.25]),
        (None, 3.0, 4.0),
        (-1, 3, 4),
        ((1, 2), [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]),
        (1, [1.0, 2.0], [3.0, 0.5]),
    ],
)
def test_given_statistics(axis, mean, variance, invert, rng):
    x = rng.standard_normal((5, 2, 3)).astype(np.float32)
    layer = layers.Normalization(axis=axis, mean=mean, variance=variance, invert=invert)
    m, spread = np.float64(mean), np.sqrt(np.float64(variance))
    if axis == 1:
        m, spread = m[:, None], spread[:, None]
    expected = x * spread + m if invert else (x - m) / spread
    np.testing.assert_allclose(layer(x).numpy(), expected, **TOLERANCE)
    assert not layer.weights


@pytest.mark.parametrize("axis", [-1, None, 1, (1, 2), (-1, -2), 0])
def test_adapt_finds_mean_and_variance(axis, rng):
    x = (rng.standard_normal((6, 3, 4)) * 3 + 100).astype(np.float32)
    layer = layers.Normalization(axis=axis)
    layer.adapt(x)
    kept = {a % 3 for a in np.atleast_1d(axis)} if axis is not None else set()
    over = tuple(a for a in range(3) if a not in kept)
    mean, variance = (f(np.float64(x), axis=over, keepdims=True) for f in (np.mean, np.var))
    np.testing.assert_allclose(layer.mean.numpy(), mean, rtol=1e-6)
    np.testing.assert_allclose(layer.variance.numpy(), variance, rtol=1e-5)
    np.testing.assert_allclose(layer(x).numpy(), (x - mean) / np.sqrt(variance), rtol=1e-4, atol=1e-4)
    inverse = layers.Normalization(axis=axis, invert=True)
    inverse.adapt(x)
    np.testing.assert_allclose(inverse(layer(x)).numpy(), x, rtol=1e-5)


def test_adapt_to_batches_finds_what_it_finds_in_the_whole(rng):
    x = table(rng, rows=23)
    whole = layers.Normalization()
    whole.adapt(x)
    parts = [x[:4], x[4:5], x[5:]]
    for batches in (parts, iter(parts), [(part, np.zeros(len(part))) for part in parts], map(Tensor, parts)):
        layer = layers.Normalization()
        layer.adapt(batches)
        np.testing.assert_allclose(layer.get_weights()[0], whole.get_weights()[0], rtol=1e-6)
        np.testing.assert_allclose(layer.get_weights()[1], whole.get_weights()[1], rtol=1e-6)


def test_adapt_looks_at_long_data_in_parts(rng):
    x = (rng.standard_normal((10_000, 2)) * 0.01 + 1000).astype(np.float32)
    layer = layers.Normalization()
    layer.adapt(x)
    np.testing.assert_allclose(layer.mean.numpy(), np.mean(np.float64(x), 0, keepdims=True), rtol=1e-7)
    np.testing.assert_allclose(layer.variance.numpy(), np.var(np.float64(x), 0, keepdims=True), rtol=1e-5)


def test_adapt_forgets_what_it_found_before(rng):
    x = table(rng)
    layer = layers.Normalization()
    layer.adapt(x)
    layer.adapt(x * 2 + 1)
    np.testing.assert_allclose(layer.mean.numpy()[0], np.mean(np.float64(x) * 2 + 1, 0), rtol=1e-5)


def test_a_feature_that_never_varies_is_not_divided_by_zero():
    layer = layers.Normalization()
    layer.adapt(np.ones((3, 2), np.float32))
    np.testing.assert_array_equal(layer(np.ones((3, 2), np.float32)).numpy(), 0)
    np.testing.assert_allclose(layer(np.full((1, 2), 1.5, np.float32)).numpy(), 0.5 / 1e-7, rtol=1e-6)


def test_before_adapt_nothing_changes(rng):
    x = table(rng)
    layer = layers.Normalization()
    np.testing.assert_array_equal(layer(x).numpy(), x)
    assert [v.name for v in layer.weights] == ["mean", "variance", "count"]
    assert not layer.trainable_weights


def test_a_model_normalises_alike_in_training_and_afterwards(rng):
    x = table(rng)
    layer = layers.Normalization()
    layer.adapt(x)
    model = Sequential([layers.Input((4,)), layer])
    np.testing.assert_array_equal(model(x, training=True).numpy(), model(x, training=False).numpy())
    np.testing.assert_allclose(model.predict(x, verbose=0).mean(0), 0, atol=1e-5)


@pytest.mark.parametrize("given", [{}, {"mean": [1.0, 2.0, 3.0, 4.0], "variance": [1.0, 4.0, 9.0, 16.0]}])
def test_normalization_from_a_file(given, rng, tmp_path):
    x = table(rng)
    layer = layers.Normalization(**given)
    if not given:
        layer.adapt(x)
    again = reloaded(layer, (4,), tmp_path)
    np.testing.assert_array_equal(again(x).numpy(), layer(x).numpy())
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ([], ValueError, "at least one batch"),
        (np.ones((0, 4), np.float32), ValueError, "at least one batch"),
        ("abc", TypeError, "got str"),
        (3, TypeError, "got int"),
        ({"a": 1}, TypeError, "got dict"),
        ([[1.0, 2.0]], TypeError, "got list"),
        (np.ones((3, 5), np.float32), ValueError, r"data of shape \(3, 5\).*the sizes \(4,\)"),
    ],
)
def test_data_that_cannot_be_adapted_to(data, error, message):
    layer = layers.Normalization()
    layer.build((None, 4))
    with pytest.raises(error, match=message):
        layer.adapt(data)


def test_given_statistics_are_not_found_again(rng):
    with pytest.raises(ValueError, match="was given mean and variance"):
        layers.Normalization(mean=1.0, variance=2.0).adapt(table(rng))


def test_statistics_must_fit_the_input():
    with pytest.raises(ValueError, match=r"of shape \(2,\) do not fit axis=\(-1,\) of sizes \(4,\)"):
        layers.Normalization(mean=[1.0, 2.0], variance=[1.0, 2.0])(np.ones((3, 4), np.float32))
    layer = layers.Normalization()
    layer.build((None, 4))
    with pytest.raises(ValueError, match="expected size 4 on axis -1"):
        layer(np.ones((3, 5), np.float32))


# CategoryEncoding


def encoded(numbers, tokens, mode, weights=None):
    """Vectors of numbers [batch, n], one number after the other."""
    if mode == "one_hot":
        return np.array([[[float(n == token) for token in range(tokens)] for n in row] for row in numbers])
    y = np.zeros((len(numbers), tokens))
    for i, row in enumerate(numbers):
        for j, n in enumerate(row):
            if 0 <= n < tokens:
                y[i, n] = 1 if mode == "multi_hot" else y[i, n] + (1 if weights is None else weights[i][j])
    return y


@pytest.mark.parametrize("kind", ["int32", "int64", "float32"])
@pytest.mark.parametrize("mode", ["one_hot", "multi_hot", "count"])
def test_categories(mode, kind):
    numbers = [[0, 1, 1], [3, 2, 0]]
    y = layers.CategoryEncoding(5, mode)(np.array(numbers, kind))
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y.numpy(), encoded(numbers, 5, mode))


def test_numbers_out_of_range_are_no_category():
    numbers = [[-1, 1, 7]]
    for mode in ("one_hot", "multi_hot", "count"):
        np.testing.assert_array_equal(
            layers.CategoryEncoding(3, mode)(np.array(numbers)).numpy(), encoded(numbers, 3, mode)
        )


def test_counts_are_weighted():
    numbers, weights = [[0, 1, 1], [3, 2, 0]], [[0.5, 0.25, 2.0], [1.0, -1.0, 3.0]]
    y = layers.CategoryEncoding(4, "count")(np.array(numbers), count_weights=np.array(weights))
    np.testing.assert_allclose(y.numpy(), encoded(numbers, 4, "count", weights), rtol=1e-6)


@pytest.mark.parametrize("mode", ["one_hot", "multi_hot", "count"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 1), (2, 3)])
def test_the_shape_that_is_told_is_the_one_that_comes(mode, shape):
    layer = layers.CategoryEncoding(4, mode)
    y = layer(np.ones(shape, np.int32))
    if shape:
        assert tuple(layer.compute_output_shape(shape)) == y.shape
    # One 1 for each vector, wherever the numbers stand.
    np.testing.assert_array_equal(np.unique(y.numpy()[..., 1]) >= 1, True)
    assert y.numpy()[..., [0, 2, 3]].sum() == 0


def test_the_dtype_is_the_layers():
    assert layers.CategoryEncoding(3, dtype="float64")(np.array([1])).dtype == np.float64


def test_category_encoding_from_a_file(tmp_path):
    layer = layers.CategoryEncoding(4, "count")
    again = reloaded(layer, (3,), tmp_path)
    numbers = np.array([[0, 1, 1], [3, 2, 0]])
    np.testing.assert_array_equal(again(numbers).numpy(), encoded(numbers, 4, "count"))
