"""Noise layers: what they do to mean and variance, what they leave alone, streams, and what they refuse.

Seeds are fixed, so that a test passes always or never. Bounds are six standard deviations of what is estimated, which
a right formula exceeds for two seeds in a billion.
"""

from __future__ import annotations

import numpy as np
import pytest

from deepcore import layers
from deepcore.device import use_device

pytestmark = pytest.mark.usefixtures("device")

SHAPE = (200, 250)
COUNT = 50_000


def noisy(layer, x):
    y = layer(x, training=True)
    assert y.dtype == x.dtype
    return np.float64(y.numpy())


def near(values, mean, variance):
    """Whether the values' mean and variance are theirs; the fourth moment is that of the values themselves."""
    spread = np.sqrt(variance)
    assert abs(values.mean() - mean) < 6 * spread / np.sqrt(values.size)
    fourth = np.mean((values - mean) ** 4)
    assert abs(np.mean((values - mean) ** 2) - variance) <= 1e-12 + 6 * np.sqrt((fourth - variance**2) / values.size)


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_gaussian_noise_is_added(kind):
    x = np.full(SHAPE, 3.0, kind)
    near(noisy(layers.GaussianNoise(0.5, seed=2, dtype=kind), x), 3.0, 0.25)


@pytest.mark.parametrize("rate", [0.2, 0.6])
def test_gaussian_dropout_multiplies(rate):
    y = noisy(layers.GaussianDropout(rate, seed=2), np.full(SHAPE, 2.0, np.float32))
    near(y, 2.0, 4 * rate / (1 - rate))


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_alpha_dropout_keeps_mean_and_variance(rate, rng):
    x = rng.standard_normal(SHAPE).astype(np.float32)
    y = noisy(layers.AlphaDropout(rate, seed=2), x)
    values, counts = np.unique(y, return_counts=True)
    low = values[counts.argmax()]  # the one value that many elements have
    dropped = y == low
    near(dropped.astype(float), rate, rate * (1 - rate))
    near(y, 0.0, 1.0)
    # The elements that are kept are one linear function of the input.
    slope, start = np.polyfit(np.float64(x)[~dropped], y[~dropped], 1)
    np.testing.assert_allclose(y[~dropped], slope * x[~dropped] + start, atol=1e-5)
    limit = -1.0507009873554805 * 1.6732632423543772
    assert slope == pytest.approx(((1 - rate) * (1 + rate * limit**2)) ** -0.5, rel=1e-5)
    assert low == pytest.approx(slope * limit + start, rel=1e-4)


def test_alpha_dropout_of_whole_rows(rng):
    x = rng.standard_normal((50, 4)).astype(np.float32)
    y = noisy(layers.AlphaDropout(0.5, noise_shape=(None, 1), seed=2), x)
    dropped = np.ptp(y, axis=1) == 0
    assert 0 < dropped.sum() < 50


@pytest.mark.parametrize(
    ("make", "shape", "axes"),
    [
        (lambda: layers.SpatialDropout1D(0.4, seed=3), (300, 5, 40), 1),
        (lambda: layers.SpatialDropout2D(0.4, seed=3), (300, 3, 2, 40), (1, 2)),
        (lambda: layers.SpatialDropout2D(0.4, "channels_first", seed=3), (300, 40, 3, 2), (2, 3)),
    ],
)
def test_whole_channels_are_dropped(make, shape, axes):
    y = noisy(make(), np.ones(shape, np.float32))
    assert (np.ptp(y, axis=axes) == 0).all()
    one = y.mean(axes)
    np.testing.assert_allclose(np.unique(one), [0, 1 / 0.6], rtol=1e-6)
    near((one == 0).astype(float), 0.4, 0.24)


MADE = {
    "alpha": lambda **given: layers.AlphaDropout(0.3, **given),
    "dropout": lambda **given: layers.Dropout(0.3, **given),
    "gaussian": lambda **given: layers.GaussianDropout(0.3, **given),
    "noise": lambda **given: layers.GaussianNoise(0.3, **given),
    "spatial": lambda **given: layers.SpatialDropout1D(0.3, **given),
}


@pytest.mark.parametrize("name", MADE)
def test_streams(name, rng):
    x = rng.standard_normal((20, 3, 8)).astype(np.float32)
    one, same, other = (MADE[name](seed=seed) for seed in (4, 4, 5))
    first = noisy(one, x)
    np.testing.assert_array_equal(first, noisy(same, x))
    assert (first != noisy(other, x)).any()
    assert (first != noisy(one, x)).any(), "every call draws on"
    with use_device("cpu"):
        np.testing.assert_allclose(noisy(MADE[name](seed=4), x), first, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", MADE)
def test_outside_training_nothing_changes_and_masks_pass(name):
    x = layers.Masking()(np.array([[[0.0, 0.0], [1.0, 2.0]]], np.float32))
    layer = MADE[name]()
    np.testing.assert_array_equal(layer(x).numpy(), x.numpy())
    np.testing.assert_array_equal(layer(x, training=True).mask.numpy(), [[False, True]])


@pytest.mark.parametrize("cls", [layers.AlphaDropout, layers.Dropout, layers.GaussianDropout, layers.GaussianNoise])
def test_strengths_that_mean_nothing_are_refused(cls):
    for error, values in ((ValueError, (-0.1, 1.5)), (TypeError, ("0.5", None, True))):
        for wrong in values:
            with pytest.raises(error, match="must be a number from 0 to 1"):
                cls(wrong)
    x = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(cls(0.0)(x, training=True).numpy(), x)


@pytest.mark.parametrize("cls", [layers.AlphaDropout, layers.GaussianDropout])
def test_nothing_can_make_up_for_dropping_everything(cls):
    with pytest.raises(ValueError, match="use a rate below 1"):
        cls(1.0)(np.ones((2, 3), np.float32), training=True)


@pytest.mark.parametrize("shape", ["abc", 3, (2, 0), (2, -1), (2, 1.5)])
def test_noise_shapes_that_are_none_are_refused(shape):
    with pytest.raises(ValueError, match="noise_shape must be a tuple of positive integers or None"):
        layers.Dropout(0.5, noise_shape=shape)


def test_noise_shapes_that_do_not_broadcast_are_refused():
    for shape in ((2, 3), (2, 1, 1, 1), (2, 2, 1)):
        with pytest.raises(ValueError, match="does not broadcast"):
            layers.Dropout(0.5, noise_shape=shape)(np.ones((2, 3, 4), np.float32), training=True)
    with pytest.raises(ValueError, match="rank 3"):
        layers.SpatialDropout1D(0.5)(np.ones((2, 3), np.float32))
