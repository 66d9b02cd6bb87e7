"""Functions as layers, masks of sequences, and penalties on what passes by."""

from __future__ import annotations

import numpy as np
import pytest

from deepcore import layers, ops, serialization
from deepcore.models import Model

pytestmark = pytest.mark.usefixtures("device")

X = np.array([[[0.0, 0.0], [1.0, -2.0], [0.0, 3.0]]], np.float32)


@serialization.register_keras_serializable("tests")
def scaled(x, factor=2.0, training=False, mask=None):
    return x * (factor if training else 1.0) + (0.0 if mask is None else ops.cast(mask, x.dtype)[..., None])


def test_a_function_as_a_layer():
    np.testing.assert_array_equal(layers.Lambda(lambda x: x * 3)(X).numpy(), X * 3)
    layer = layers.Lambda(scaled, arguments={"factor": 5.0})
    np.testing.assert_array_equal(layer(X).numpy(), X)
    np.testing.assert_array_equal(layer(X, training=True).numpy(), 5 * X)
    masked = layer(layers.Masking()(X), training=True)
    np.testing.assert_array_equal(masked.numpy(), 5 * X + np.array([0, 1, 1])[:, None])
    assert masked.mask is None


def test_the_mask_of_a_function_is_what_was_said():
    x = layers.Masking()(X)
    kept = layers.Lambda(lambda x: x * 1, mask=lambda inputs, mask: mask)(x)
    np.testing.assert_array_equal(kept.mask.numpy(), [[False, True, True]])
    fixed = layers.Lambda(lambda x: x * 1, mask=np.array([[True, False, False]]))(x)
    np.testing.assert_array_equal(fixed.mask, [[True, False, False]])


def test_the_output_shape_of_a_function():
    twice = layers.Lambda(lambda x: ops.concatenate([x, x], -1))
    assert twice.compute_output_shape((None, 4)) == (None, 8)
    assert layers.Lambda(abs, output_shape=(7, 2)).compute_output_shape((None, 4)) == (None, 7, 2)
    said = layers.Lambda(abs, output_shape=lambda shape: (*shape, 5))
    assert said.compute_output_shape((3, 4)) == (3, 4, 5)
    with pytest.raises(NotImplementedError, match="Give it output_shape"):
        layers.Lambda(lambda x: ops.reshape(x, (7, 7))).compute_output_shape((None, 4))
    inputs = layers.Input((3,))
    model = Model(inputs, twice(inputs))
    np.testing.assert_array_equal(model(np.ones((2, 3), np.float32)).numpy(), np.ones((2, 6)))


def test_functions_are_named_in_configurations_and_lambdas_need_safe_mode_off():
    layer = layers.Lambda(scaled, arguments={"factor": 5.0}, name="scaled")
    again = layers.deserialize(layers.serialize(layer))
    assert again.function is scaled
    np.testing.assert_array_equal(again(X, training=True).numpy(), 5 * X)
    with pytest.warns(UserWarning, match="lambda"):
        config = layers.Lambda(lambda x: x + 1).get_config()
    with pytest.raises(ValueError, match="safe_mode=False"):
        layers.Lambda.from_config(config)
    np.testing.assert_array_equal(layers.Lambda.from_config(config, safe_mode=False)(X).numpy(), X + 1)


def test_what_is_not_a_function_is_refused():
    with pytest.raises(TypeError, match="function must be a function; got 3"):
        layers.Lambda(3)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_masking_hides_the_steps_that_hold_one_value(value, rng):
    x = rng.standard_normal((3, 4, 2)).astype(np.float32)
    x[0, 1] = x[2, 3] = value
    x[1, 1, 0] = value
    y = layers.Masking(value)(x)
    expected = np.ones((3, 4), bool)
    expected[0, 1] = expected[2, 3] = False
    np.testing.assert_array_equal(y.mask.numpy(), expected)
    np.testing.assert_array_equal(y.numpy(), np.where(expected[..., None], x, 0))


def test_masks_reach_a_recurrent_layer_through_a_drawn_model(rng):
    inputs = layers.Input((4, 2))
    cell = layers.LSTM(3)
    model = Model(inputs, cell(layers.Masking()(inputs)))
    x = rng.standard_normal((1, 4, 2)).astype(np.float32)
    short = x[:, [0, 2, 3]]
    x[:, 1] = 0
    np.testing.assert_allclose(model(x).numpy(), cell(short).numpy(), rtol=1e-5, atol=1e-6)


def test_a_penalty_on_what_passes_by():
    layer = layers.ActivityRegularization(l1=0.5, l2=0.25)
    y = layer(X)
    np.testing.assert_array_equal(y.numpy(), X)
    assert [float(loss) for loss in layer.losses] == pytest.approx([0.5 * 6 + 0.25 * 14])
    assert "activity_regularizer" not in layer.get_config()
    with pytest.raises(ValueError, match="l1 must be a number, finite and not negative"):
        layers.ActivityRegularization(l1=-1.0)
