"""Layers of normalisation against formulas in float64: axes, masks, statistics, modes, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from deepcore import layers
from deepcore.models import Sequential

pytestmark = pytest.mark.usefixtures("device")

TOLERANCE = {"rtol": 2e-5, "atol": 2e-5}


def filled(layer, x, rng):
    """The layer built for ``x`` with random weights, and these in float64."""
    layer.build(x.shape)
    weights = [rng.uniform(0.3, 1.2, v.shape).astype(np.float32) for v in layer.weights]
    layer.set_weights(weights)
    return [np.float64(w) for w in weights]


def along(weight, axes, rank):
    """A weight whose axes are those of ``axes`` in order, shaped to meet an input."""
    order = np.argsort(axes)
    shape = [1] * rank
    for axis, size in zip(np.sort(axes), np.array(weight.shape)[order], strict=True):
        shape[axis] = size
    return weight.transpose(order).reshape(shape)


@pytest.mark.parametrize("axis", [-1, 1, [1, 2], (-1, -3), [3, 1]])
def test_normalised_over_any_axes(axis, rng):
    x = (rng.standard_normal((3, 4, 2, 5)) * 3 + 1).astype(np.float32)
    wide = np.float64(x)
    axes = [axis % 4] if isinstance(axis, int) else [a % 4 for a in sorted(axis)]
    over = tuple(axes)
    layer = layers.LayerNormalization(axis=axis, epsilon=0.01)
    gamma, beta = (along(w, axes, 4) for w in filled(layer, x, rng))
    expected = (wide - wide.mean(over, keepdims=True)) / np.sqrt(wide.var(over, keepdims=True) + 0.01) * gamma + beta
    np.testing.assert_allclose(layer(x).numpy(), expected, **TOLERANCE)
    layer = layers.RMSNormalization(axis=axis)
    (scale,) = filled(layer, x, rng)
    expected = wide / np.sqrt(np.square(wide).mean(over, keepdims=True) + 1e-6) * along(scale, axes, 4)
    np.testing.assert_allclose(layer(x).numpy(), expected, **TOLERANCE)
    expected = wide / np.sqrt(np.square(wide).sum(over, keepdims=True))
    np.testing.assert_allclose(layers.UnitNormalization(axis=axis)(x).numpy(), expected, **TOLERANCE)


def test_rms_scaling_divides_by_the_standard_deviation_alone(rng):
    x = (rng.standard_normal((3, 5)) + 2).astype(np.float32)
    with pytest.warns(UserWarning, match="RMSNormalization"):
        layer = layers.LayerNormalization(rms_scaling=True)
    (gamma,) = filled(layer, x, rng)
    expected = x / np.sqrt(np.float64(x).var(1, keepdims=True) + 1e-3) * gamma
    np.testing.assert_allclose(layer(x).numpy(), expected, **TOLERANCE)


@pytest.mark.parametrize(("groups", "axis"), [(2, -1), (6, -1), (-1, -1), (1, 1), (3, 2), (2, -3)])
def test_groups_of_channels(groups, axis, rng):
    x = (rng.standard_normal((3, 4, 6, 6)) * 3 + 1).astype(np.float32)
    layer = layers.GroupNormalization(groups, axis=axis)
    gamma, beta = filled(layer, x, rng)
    channels_first = np.moveaxis(np.float64(x), axis, 1)
    count = channels_first.shape[1] if groups == -1 else groups
    assert layer.groups == count
    expected = np.empty_like(channels_first)
    size = channels_first.shape[1] // count
    for n in range(3):
        for g in range(count):
            part = channels_first[n, g * size : (g + 1) * size]
            expected[n, g * size : (g + 1) * size] = (part - part.mean()) / np.sqrt(part.var() + 1e-3)
    expected = expected * gamma[:, None, None] + beta[:, None, None]
    np.testing.assert_allclose(layer(x).numpy(), np.moveaxis(expected, 1, axis), **TOLERANCE)


@pytest.mark.parametrize("axis", [-1, 1])
def test_local_response(axis, rng):
    x = rng.standard_normal((2, 5, 3, 6)).astype(np.float32)
    wide = np.moveaxis(np.float64(x), axis, -1)
    squares = np.zeros_like(wide)
    for c in range(wide.shape[-1]):
        squares[..., c] = np.square(wide[..., max(0, c - 2) : c + 3]).sum(-1)
    expected = np.moveaxis(wide / (2 + 0.01 * squares) ** 0.75, -1, axis)
    layer = layers.LocalResponseNormalization(2, 2.0, 0.01, 0.75, axis=axis)
    np.testing.assert_allclose(layer(x).numpy(), expected, **TOLERANCE)


@pytest.mark.parametrize("axis", [-1, 1])
@pytest.mark.parametrize("masked", [False, True])
def test_batch_statistics(axis, masked, rng):
    x = (rng.standard_normal((4, 3, 5)) * 3 + 1).astype(np.float32)
    mask = rng.random((4, 3)) > 0.4 if masked else None
    layer = layers.BatchNormalization(axis=axis, momentum=0.7)
    gamma, beta, moving_mean, moving_variance = filled(layer, x, rng)
    y = layer(x, training=True, mask=mask).numpy()
    wide = np.moveaxis(np.float64(x), axis, -1)
    kept = np.ones(x.shape, bool) if mask is None else np.broadcast_to(mask[..., None], x.shape)
    kept = np.moveaxis(kept, axis, -1)
    columns = [wide[..., c][kept[..., c]] for c in range(wide.shape[-1])]
    mean, variance = (np.array([f(column) for column in columns]) for f in (np.mean, np.var))
    expected = (wide - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    np.testing.assert_allclose(y, np.moveaxis(expected, -1, axis), **TOLERANCE)
    np.testing.assert_allclose(layer.moving_mean.numpy(), 0.7 * moving_mean + 0.3 * mean, **TOLERANCE)
    np.testing.assert_allclose(layer.moving_variance.numpy(), 0.7 * moving_variance + 0.3 * variance, **TOLERANCE)


def test_a_mask_travels_to_batch_normalisation_and_beyond(rng):
    model = Sequential([layers.Masking(), layers.BatchNormalization(momentum=0.0)])
    x = rng.standard_normal((2, 3, 4)).astype(np.float32)
    x[0, 1] = x[1, 2] = 0
    y = model(x, training=True)
    rows = np.float64(x).reshape(-1, 4)[[0, 2, 3, 4]]
    np.testing.assert_allclose(model.layers[1].moving_mean.numpy(), rows.mean(0), **TOLERANCE)
    np.testing.assert_array_equal(y.mask.numpy(), [[True, False, True], [True, True, False]])


def test_a_batch_that_is_masked_entirely_gives_numbers():
    y = layers.BatchNormalization()(np.ones((2, 3, 4), np.float32), training=True, mask=np.zeros((2, 3), bool))
    assert np.isfinite(y.numpy()).all()


def test_frozen_batch_normalisation_is_inference(rng):
    layer = layers.BatchNormalization()
    x = (rng.standard_normal((6, 3)) + 4).astype(np.float32)
    weights = filled(layer, x, rng)
    layer.trainable = False
    np.testing.assert_array_equal(layer(x, training=True).numpy(), layer(x, training=False).numpy())
    for now, before in zip(layer.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, before.astype(np.float32))


def test_a_kernel_is_divided_by_its_largest_singular_value(rng):
    layer = layers.SpectralNormalization(layers.Dense(4, use_bias=False), power_iterations=60)
    x = rng.standard_normal((3, 5)).astype(np.float32)
    layer.build(x.shape)
    kernel, u = layer.get_weights()
    kernel = kernel + np.outer(np.arange(5), np.ones(4)).astype(np.float32)  # so that one value stands out
    layer.set_weights([kernel, u])
    np.testing.assert_allclose(layer(x).numpy(), x @ np.float64(kernel), **TOLERANCE)
    stretch = np.linalg.svd(np.float64(kernel), compute_uv=False)[0]
    np.testing.assert_allclose(layer(x, training=True).numpy(), x @ np.float64(kernel) / stretch, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(layer.layer.kernel.numpy(), kernel / stretch, rtol=1e-4, atol=1e-5)
    assert [v.name for v in layer.trainable_weights] == ["kernel"]


def test_a_kernel_of_zeros_stays():
    layer = layers.SpectralNormalization(layers.Dense(4, kernel_initializer="zeros"))
    layer.build((None, 5))
    before = layer.vector_u.numpy().copy()
    assert (layer(np.ones((2, 5), np.float32), training=True).numpy() == 0).all()
    assert (layer.layer.kernel.numpy() == 0).all()
    np.testing.assert_array_equal(layer.vector_u.numpy(), before)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: layers.LayerNormalization(axis="last"), TypeError, "axis must be an integer"),
        (lambda: layers.UnitNormalization(axis=None), TypeError, "axis must be an integer"),
        (lambda: layers.GroupNormalization(0), ValueError, "groups must be a positive integer"),
        (lambda: layers.GroupNormalization(2.0), ValueError, "groups must be a positive integer"),
        (lambda: layers.BatchNormalization(synchronized=True), ValueError, "synchronized=True"),
        (lambda: layers.BatchNormalization(renorm=True), ValueError, "renorm=True"),
        (lambda: layers.SpectralNormalization(layers.Dense(2), 0), ValueError, "power_iterations must be above zero"),
        (lambda: layers.SpectralNormalization("dense"), ValueError, "must be a layer"),
        (lambda: layers.LocalResponseNormalization(-1), ValueError, "depth_radius"),
    ],
)
def test_what_is_refused_when_the_layer_is_made(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (layers.LayerNormalization(axis=4), "axis .4. is out of bounds"),
        (layers.RMSNormalization(axis=[1, -2]), "must name different axes"),
        (layers.GroupNormalization(axis=-4), "axis -4 is out of bounds"),
        (layers.GroupNormalization(3), "8 channels cannot be cut into groups=3"),
        (layers.GroupNormalization(9), "8 channels cannot be cut into groups=9"),
        (layers.BatchNormalization(axis=3), "axis 3 is out of bounds"),
        (layers.UnitNormalization(axis=3), "axis"),
        (layers.SpectralNormalization(layers.ReLU()), "neither a kernel nor embeddings"),
    ],
)
def test_what_is_refused_when_the_layer_is_built(layer, message):
    with pytest.raises(ValueError, match=message):
        layer(np.zeros((2, 3, 8), np.float32))


def test_a_mask_of_another_rank_is_refused():
    with pytest.raises(ValueError, match="one axis less"):
        layers.BatchNormalization()(np.zeros((2, 3, 8), np.float32), mask=np.ones((2, 3, 8), bool))


def test_symbolic_inputs_are_checked_as_well():
    with pytest.raises(ValueError, match="out of bounds"):
        layers.UnitNormalization(axis=5)(layers.Input((3,)))
