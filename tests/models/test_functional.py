"""Models drawn with symbolic tensors: many inputs and outputs, shared layers, nesting, sub-models, masks."""

from __future__ import annotations

import numpy as np
import pytest

import deepcore
from deepcore import Input, Model, ops
from deepcore.layers import Dense, Dropout, Flatten, Layer
from deepcore.models import Functional, Sequential


def weights_of(model):
    return [(w.path, w.shape) for w in model.weights]


def test_a_drawn_model_computes_what_its_layers_do(rng):
    x = Input((5,))
    hidden = Dense(4, activation="tanh")
    top = Dense(3)
    model = Model(x, top(hidden(x)))
    data = rng.standard_normal((7, 5)).astype(np.float32)
    expected = np.tanh(data @ hidden.kernel.numpy()) @ top.kernel.numpy()
    np.testing.assert_allclose(model(data).numpy(), expected, rtol=1e-5, atol=1e-6)
    assert type(model) is Functional
    assert [layer.name for layer in model.layers] == [x.node.operation.name, hidden.name, top.name]
    assert model.count_params() == 5 * 4 + 4 + 4 * 3 + 3


def test_functions_and_operators_between_layers(rng):
    a, b = Input((4,), name="a"), Input((4,), name="b")
    y = ops.concatenate([a * 2.0, 1.0 - b], axis=-1)[:, 1:7]
    model = Model([a, b], [y, ops.sum(a @ ops.transpose(b), axis=-1)])
    p, q = rng.standard_normal((2, 3, 4)).astype(np.float32)
    first, second = model([p, q])
    np.testing.assert_allclose(first.numpy(), np.concatenate([p * 2, 1 - q], -1)[:, 1:7], rtol=1e-6)
    np.testing.assert_allclose(second.numpy(), (p @ q.T).sum(-1), rtol=1e-5)
    assert model.output_shape[0] == (None, 6)
    by_name = model({"b": q, "a": p})
    np.testing.assert_array_equal(by_name[0].numpy(), first.numpy())


def test_a_shared_layer_has_one_set_of_weights_and_gets_the_gradients_of_both_calls(rng):
    a, b = Input((3,)), Input((3,))
    shared = Dense(2, use_bias=False)
    model = Model([a, b], ops.sum(shared(a) * 2.0 + shared(b), axis=-1))
    assert len(model.weights) == 1
    p, q = rng.standard_normal((2, 5, 3)).astype(np.float32)
    ops.sum(model([p, q])).backward()
    expected = (2 * p + q).sum(0)[:, None].repeat(2, 1)
    np.testing.assert_allclose(shared.kernel.grad.numpy(), expected, rtol=1e-5)
    with pytest.raises(ValueError, match="2 symbolic outputs"):
        _ = shared.output


def test_a_sub_model_is_cut_from_inner_layers_and_shares_weights(rng):
    model = Sequential([Input((6,)), Dense(5, activation="relu", name="features"), Dense(2, name="head")])
    data = rng.standard_normal((4, 6)).astype(np.float32)
    features = Model(model.inputs, model.get_layer("features").output)
    kernel, bias = model.layers[0].get_weights()
    np.testing.assert_allclose(features.predict(data, verbose=0), np.maximum(data @ kernel + bias, 0), rtol=1e-5)
    head = Model(model.get_layer("head").input, model.output)
    np.testing.assert_allclose(head(features(data)).numpy(), model(data).numpy(), rtol=1e-6)
    model.layers[0].set_weights([kernel * 0, bias + 1])
    np.testing.assert_array_equal(features(data).numpy(), np.ones((4, 5), np.float32))


def test_a_nested_model_is_called_like_a_layer_and_keeps_the_training_that_it_was_drawn_with(rng):
    inner = Sequential([Input((8,)), Dropout(0.5, seed=1)])
    x = Input((8,))
    frozen = Model(x, inner(x, training=False))
    free = Model(x, inner(x))
    data = np.ones((4, 8), np.float32)
    np.testing.assert_array_equal(frozen(data, training=True).numpy(), data)
    assert (free(data, training=True).numpy() == 0).any()


def test_a_drawn_model_trains(rng):
    a, b = Input((3,), name="left"), Input((2,), name="right")
    y = Dense(1)(ops.concatenate([Dense(4, activation="relu")(a), b], -1))
    model = Model({"left": a, "right": b}, y)
    model.compile(deepcore.optimizers.Adam(0.02), "mse")
    data = {"left": rng.standard_normal((64, 3)), "right": rng.standard_normal((64, 2))}
    target = data["left"].sum(1) + data["right"][:, 0]
    history = model.fit(data, target, epochs=20, verbose=0)
    assert history.history["loss"][-1] < 0.8 * history.history["loss"][0]


def test_the_configuration_draws_the_same_model_again(rng):
    x = Input((6,), name="x")
    shared = Dense(6, activation="relu", name="shared")
    y = shared(shared(x)) + x[:, ::-1]
    model = Model(x, [y, Flatten(name="flat")(y)], name="twice")
    again = Functional.from_config(model.get_config())
    assert again.name == "twice"
    assert again.get_config() == model.get_config()
    again.set_weights(model.get_weights())
    data = rng.standard_normal((3, 6)).astype(np.float32)
    for ours, theirs in zip(again(data), model(data), strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_keywords_and_several_positions_are_drawn(rng):
    class Mix(Layer):
        def call(self, x, other, scale=None):
            return x * scale + other

    a, b, c = (Input((3,), name=name) for name in "abc")
    model = Model([a, b, c], Mix()(a, b, scale=c))
    p, q, r = rng.standard_normal((3, 4, 3)).astype(np.float32)
    np.testing.assert_allclose(model([p, q, r]).numpy(), p * r + q, rtol=1e-6)


def test_a_model_may_be_a_class_that_draws_itself(rng):
    class Net(Model):
        def __init__(self, units):
            x = Input((4,))
            super().__init__(inputs=x, outputs=Dense(units)(x))

    model = Net(3)
    assert type(model) is Net
    assert model(np.ones((2, 4), np.float32)).shape == (2, 3)
    assert model.count_params() == 15


def test_what_cannot_be_drawn_is_refused():
    x, other = Input((3,), name="x"), Input((3,), name="other")
    with pytest.raises(ValueError, match=r"depend on the input 'other'"):
        Model(x, x + other)
    with pytest.raises(ValueError, match="outputs was not given"):
        Model(inputs=x)
    with pytest.raises(ValueError, match="got array"):
        Model(np.ones(3), x)
    with pytest.raises(ValueError, match="used twice"):
        Model(x, Dense(2, name="same")(Dense(3, name="same")(x)))
    model = Model([x, other], x + other)
    with pytest.raises(ValueError, match=r"takes 2 inputs \(x, other\); it was given 1"):
        model(np.ones((2, 3), np.float32))
    with pytest.raises(ValueError, match="without 'other'"):
        model({"x": np.ones((2, 3), np.float32)})
    with pytest.raises(ValueError, match=r"expected the input 'x' to have shape \(None, 3\), got shape \(2, 4\)"):
        model([np.ones((2, 4), np.float32)] * 2)
    with pytest.raises(TypeError, match="does not support ufuncs"):
        np.exp(x)
    with pytest.raises(TypeError, match="no values"):
        np.asarray(x)
    with pytest.raises(TypeError, match="cannot decide"):
        bool(x > 0)


def test_summary_says_what_each_layer_is_given():
    x = Input((3,), name="x")
    y = Dense(3, name="dense_here")(x)
    said = []
    Model(x, y + x).summary(print_fn=said.append, line_length=100)
    text = "\n".join(said)
    assert "dense_here (Dense)" in text
    assert "dense_here, x" in text
    assert "Parameters: 12" in text


def test_masks_travel_from_layer_to_layer():
    class Ignore(Layer):
        """Masks zeros."""

        def compute_mask(self, inputs, previous_mask):
            return ops.not_equal(inputs, 0.0)

        def call(self, x):
            return x

    class Count(Layer):
        def call(self, x, mask=None):
            return ops.sum(ops.cast(mask, "float32"), -1)

    x = Input((4,))
    passing = Dropout(0.1)
    model = Model(x, Count()(passing(Ignore()(x))))
    np.testing.assert_array_equal(model(np.float32([[1, 0, 2, 0]])).numpy(), [2.0])
    with pytest.warns(UserWarning, match="does not support"):
        Sequential([Ignore(), Flatten()])(np.float32([[1, 0]]))


def test_building_and_computing_shapes_leaves_no_numbers_drawn():
    deepcore.random.set_seed(3)
    before = deepcore.random.default_generator().offset
    x = Input((4,))
    Model(x, Dropout(0.5, seed=1)(x))
    assert deepcore.random.default_generator().offset == before
