"""Layers of activations against formulas in float64, with masks, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from deepcore import layers

pytestmark = pytest.mark.usefixtures("device")


def check(layer, x, expected, **call):
    y = layer(x, **call)
    assert y.dtype == x.dtype
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_values(kind, rng):
    x = (rng.standard_normal((3, 4, 5)) * 3).astype(kind)
    wide = np.float64(x)
    check(layers.ELU(0.7, dtype=kind), x, np.where(wide > 0, wide, 0.7 * np.expm1(wide)))
    check(layers.LeakyReLU(dtype=kind), x, np.where(wide > 0, wide, 0.3 * wide))
    check(layers.LeakyReLU(0.0, dtype=kind), x, np.maximum(wide, 0))
    expected = np.where(wide >= 0.5, np.minimum(wide, 2), 0.1 * (wide - 0.5))
    check(layers.ReLU(2.0, 0.1, 0.5, dtype=kind), x, expected)
    check(layers.Activation("tanh", dtype=kind), x, np.tanh(wide))


@pytest.mark.parametrize(("shared", "shape"), [(None, (4, 5)), ([1], (1, 5)), ([1, 2], (1, 1)), (2, (4, 1))])
def test_prelu_learns_a_slope_for_each_element_that_shares_none(shared, shape, rng):
    layer = layers.PReLU(shared_axes=shared)
    x = rng.standard_normal((3, 4, 5)).astype(np.float32)
    np.testing.assert_array_equal(layer(x).numpy(), np.maximum(x, 0))
    assert layer.alpha.shape == shape
    slopes = rng.uniform(0.1, 2, shape).astype(np.float32)
    layer.set_weights([slopes])
    check(layer, x, np.where(x > 0, x, np.float64(slopes) * x))


def softmax(x, axis):
    powers = np.exp(np.float64(x))
    return powers / powers.sum(axis, keepdims=True)


@pytest.mark.parametrize("axis", [-1, 1, [0], (1, 2), (-1, 0)])
def test_softmax_over_any_axes(axis, rng):
    x = rng.standard_normal((3, 4, 5)).astype(np.float32)
    check(layers.Softmax(axis=axis), x, softmax(x, axis if isinstance(axis, int) else tuple(axis)))


@pytest.mark.parametrize("mask_shape", [(3, 4, 5), (4, 1), (1, 5)])
@pytest.mark.parametrize("kind", [bool, np.float32])
def test_masked_elements_have_no_probability(mask_shape, kind, rng):
    x = rng.standard_normal((3, 4, 5)).astype(np.float32)
    mask = rng.random(mask_shape) > 0.4
    mask.reshape(-1)[0] = True
    full = np.broadcast_to(mask, x.shape)
    powers = np.where(full, np.exp(np.float64(x)), 0)
    total = powers.sum((1, 2), keepdims=True)
    check(layers.Softmax(axis=(1, 2)), x, powers / np.where(total > 0, total, 1), mask=mask.astype(kind))


def test_masks_that_do_not_broadcast_are_refused():
    for shape in ((2, 5), (1, 1, 4, 5)):
        with pytest.raises(ValueError, match="mask must broadcast"):
            layers.Softmax()(np.zeros((3, 4, 5), np.float32)[0], mask=np.ones(shape, bool))


def test_masks_travel_through_activations():
    x = layers.Masking()(np.array([[[0.0, 0.0], [1.0, 2.0]]], np.float32))
    made = (layers.ELU(), layers.PReLU(), layers.LeakyReLU(), layers.ReLU(), layers.Activation("tanh"))
    for layer in made:
        np.testing.assert_array_equal(layer(x).mask.numpy(), [[False, True]])


def test_what_is_refused():
    with pytest.raises(ValueError, match="negative_slope must not be negative"):
        layers.LeakyReLU(None)
    with pytest.raises(ValueError, match="shared_axes must be from 1 to 2"):
        layers.PReLU(shared_axes=[3])(np.zeros((2, 3, 4)))
    with pytest.raises(ValueError, match="must be known"):
        layers.PReLU().build((None, None, 3))
    with pytest.warns(UserWarning, match="negative_slope"):
        assert layers.LeakyReLU(alpha=0.4).negative_slope == 0.4
    layer = layers.PReLU(shared_axes=[1])
    layer.build((None, 4, 5))
    with pytest.raises(ValueError, match="expected size 5 on axis 2"):
        layer(np.zeros((2, 4, 6)))
    assert layer(np.zeros((2, 9, 5))).shape == (2, 9, 5)
