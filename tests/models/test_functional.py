"""Models drawn with symbolic tensors: many inputs and outputs, shared layers, nesting, sub-models, masks."""

from __future__ import annotations

import numpy as np
import pytest

import deepcore
from deepcore import Input, Model, ops
from deepcore.layers import GRU, Add, Conv1D, Dense, Dropout, Flatten, Layer
from deepcore.metrics import Mean
from deepcore.models import Functional, Sequential, clone_model
from deepcore.optimizers import Adam


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
    assert x.name.startswith("keras_tensor")
    assert x.node.operation.name.startswith("input_layer")
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
    assert "dense_here[0][0], x[0][0]" in text
    assert "Total params: 12 (48.00 B)" in text


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
        Sequential([Ignore(), Conv1D(2, 1)])(np.float32([[[1], [0]]]))


def test_building_and_computing_shapes_leaves_no_numbers_drawn():
    deepcore.random.set_seed(3)
    before = deepcore.random.default_generator().offset
    x = Input((4,))
    Model(x, Dropout(0.5, seed=1)(x))
    assert deepcore.random.default_generator().offset == before


def test_a_model_of_a_stateful_layer_keeps_its_batch_size(rng):
    start = Input(batch_shape=(3, 5, 4))
    model = Model(start, GRU(2, stateful=True)(start))
    assert model.compute_output_shape((None, 5, 4)) == (None, 2)
    x = rng.random((3, 5, 4), dtype="float32")
    first, second = (model.predict(x, batch_size=3, verbose=0) for _ in range(2))
    assert np.abs(first - second).max() > 1e-4


def doubled_and_added(**kwargs):
    """``2 a + b`` of inputs that are given by name, in the order b, a."""
    b, a = Input((2,), name="b", **kwargs), Input((2,), name="a")
    return Model({"b": b, "a": a}, Add()([a * 2.0, b]))


def test_inputs_by_name_are_not_taken_in_an_order():
    model = doubled_and_added()
    a, b = np.full((3, 2), 1.0, np.float32), np.full((3, 2), 5.0, np.float32)
    np.testing.assert_array_equal(model({"a": a, "b": b}).numpy(), 2 * a + b)
    with pytest.raises(ValueError, match="takes a dictionary of inputs, 'b', 'a'; got list"):
        model([b, a])
    with pytest.warns(UserWarning, match="leaves 'c' out"):
        found = model({"a": a, "b": b, "c": a})
    np.testing.assert_array_equal(found.numpy(), 2 * a + b)


def test_inputs_in_the_order_of_their_names_may_be_listed():
    a, b = Input((2,), name="a"), Input((2,), name="b")
    model = Model({"a": a, "b": b}, a - b)
    with pytest.warns(UserWarning, match=r"drawn with the inputs \{'a': \*, 'b': \*\}"):
        found = model.predict([np.full((3, 2), 5.0), np.ones((3, 2))], verbose=0)
    np.testing.assert_array_equal(found, np.full((3, 2), 4.0))
    listed = Model([a, b], a - b)
    np.testing.assert_array_equal(listed((np.full((3, 2), 5.0), np.ones((3, 2)))).numpy(), found)


def test_only_an_optional_input_may_be_none():
    class PlusIfThere(Layer):
        def call(self, x, y=None):
            return x if y is None else x + y

        def compute_output_shape(self, x_shape):
            return x_shape

    def network(optional):
        x, y = Input((2,), name="x"), Input((2,), name="y", optional=optional)
        model = Model({"x": x, "y": y}, Dense(1, kernel_initializer="ones")(PlusIfThere()(x, y)))
        model.compile("sgd", "mse")
        return model

    ones, model = np.ones((4, 2), np.float32), network(True)
    np.testing.assert_array_equal(model.predict({"x": ones, "y": None}, verbose=0), np.full((4, 1), 2.0))
    np.testing.assert_array_equal(model.predict({"x": ones, "y": ones}, verbose=0), np.full((4, 1), 4.0))
    assert model.fit({"x": ones, "y": None}, np.zeros((4, 1)), verbose=0).history["loss"] == [4.0]
    batches = ({"x": ones, "y": None} for _ in range(2))
    assert model.predict(batches, verbose=0).shape == (8, 1)
    with pytest.raises(ValueError, match="'y' is not optional"):
        network(False)({"x": ones, "y": None})
    with pytest.raises(ValueError, match="not optional"):
        model.fit([None], np.zeros((4, 1)), verbose=0)


def test_a_batch_may_have_another_size_than_was_drawn(rng):
    x = Input(batch_shape=(4, 5))
    top = Dense(3)
    model = Model(x, top(x))
    data = rng.standard_normal((7, 5)).astype(np.float32)
    expected = data @ top.kernel.numpy()
    for size in (1, 4, 7):
        np.testing.assert_allclose(model.predict(data, batch_size=size, verbose=0), expected, rtol=1e-5, atol=1e-6)
    assert model.output_shape == (4, 3)
    with pytest.raises(ValueError, match=r"shape \(4, 5\), got shape \(2, 6\)"):
        model(np.ones((2, 6), np.float32))


def test_outputs_by_name_are_in_the_order_of_their_names():
    x = Input((2,))
    late, early = Dense(1, name="late"), Dense(1, name="early")
    model = Model(x, {"z": late(x), "a": early(x)})
    assert [y.node.operation.name for y in model.outputs] == model.output_names == ["early", "late"]
    assert [w.path for w in model.weights] == ["early/kernel", "early/bias", "late/kernel", "late/bias"]


def test_drawing_and_building_leave_counters_alone():
    class Count(Layer):
        def build(self, input_shape):
            self.seen = self.add_weight((), "zeros", trainable=False)
            self.start = self.add_weight((), "zeros", trainable=False)
            self.start.assign(7.0)
            self.mean = Mean()

        def call(self, x):
            self.seen.assign_add(1.0)
            self.mean.update_state(x)
            return x + self.start * 0.0

    x = Input((3,))
    layer = Count()
    model = Model(x, Dense(1)(layer(x)))
    assert (layer.seen.item(), layer.start.item(), layer.mean.variables[1].item()) == (0.0, 7.0, 0.0)
    model.compile("sgd", "mse")
    model.fit(np.ones((10, 3)), np.ones((10, 1)), batch_size=4, verbose=0)
    assert layer.seen.item() == 3.0

    class Whole(Model):
        def __init__(self):
            super().__init__()
            self.count, self.top = Count(), Dense(1)

        def call(self, x):
            return self.top(self.count(x))

    whole = Whole()
    whole.compile("sgd", "mse")
    told = whole.fit(np.full((10, 3), 4.0), np.ones((10, 1)), batch_size=4, verbose=0)
    assert (whole.count.seen.item(), whole.count.start.item()) == (3.0, 7.0)
    assert told.history["mean"] == [4.0]


def test_summary_counts_what_an_optimizer_keeps_and_shows_layers_that_are_not_drawn():
    class Two(Model):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.never = Dense(4, name="a"), Dense(2, name="b"), Dense(1, name="never")

        def call(self, x):
            return self.b(self.a(x))

    model, said = Two(), []
    model.compile("adam", "mse")
    model.fit(np.ones((3, 2)), np.ones((3, 2)), verbose=0)
    model.summary(print_fn=said.append, line_length=100, show_trainable=True)
    text = "\n".join(said)
    rows = {line.split()[1]: line for line in text.splitlines() if "(Dense)" in line}
    assert "(None, 4)" in rows["a"]
    assert "(None, 2)" in rows["b"]
    assert "?" in rows["never"]
    assert "Y" in rows["a"].split()
    kept = sum(v.size for v in model.optimizer.variables)
    assert kept == 2 * 22 + 2
    assert f"Total params: {22 + kept} " in text
    assert f"Optimizer params: {kept} " in text


def test_a_clone_is_compiled_like_the_model():
    model = Sequential([Input((3,)), Dense(1)])
    model.compile(Adam(0.25), "mae", metrics=["mse"])
    clone = clone_model(model)
    assert clone.compiled
    assert float(clone.optimizer.learning_rate) == 0.25
    assert clone.optimizer is not model.optimizer
    assert set(clone.evaluate(np.ones((2, 3)), np.ones((2, 1)), verbose=0, return_dict=True)) == {"loss", "mse"}
    a, b = Input((3,), name="a"), Input((3,), name="b")
    with pytest.raises(ValueError, match="nested like the model's inputs"):
        clone_model(Model({"a": a, "b": b}, a + b), input_tensors=[a, b])
