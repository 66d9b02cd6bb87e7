"""Sequential: building, changing, showing and configuring it."""

from __future__ import annotations

import numpy as np
import pytest

from deepcore import layers
from deepcore.layers import BatchNormalization, Conv2D, Dense, Dropout, Flatten, Input, Layer, MaxPooling2D
from deepcore.models import Model, Sequential


@pytest.mark.parametrize("as_list", [False, True])
def test_with_a_drawn_model_first_it_is_built_at_once(as_list):
    x = Input((3,))
    first = Model([x] if as_list else x, Dense(4)(x))
    model = Sequential([first, Dense(2)])
    assert model.built
    assert model.count_params() == (3 * 4 + 4) + (4 * 2 + 2)
    assert model.output_shape == (None, 2)


def test_with_an_input_it_is_built_at_once_and_layer_by_layer():
    model = Sequential([Input((8, 8, 1)), Conv2D(2, 3)])
    assert model.built
    assert model.output_shape == (None, 6, 6, 2)
    model.add(Flatten())
    model.add(Dense(3))
    assert model.output_shape == (None, 3)
    assert [v.shape for v in model.weights] == [(3, 3, 1, 2), (2,), (72, 3), (3,)]
    assert [layer.path for layer in model.layers] == [f"{model.name}/{layer.name}" for layer in model.layers]


def test_without_one_it_is_built_by_its_first_data():
    model = Sequential([Dense(4, activation="relu"), Dense(2)])
    assert not model.built
    assert model.weights == []
    for name in ("input_shape", "output_shape", "inputs", "outputs"):
        with pytest.raises(AttributeError, match=f"has no {name} yet"):
            getattr(model, name)
    assert model(np.ones((5, 3))).shape == (5, 2)
    assert model.built
    assert model.input_shape == (None, 3)
    assert model.weights[0].path == f"{model.name}/{model.layers[0].name}/kernel"


def test_build_says_a_shape_without_data():
    model = Sequential([Dense(4)])
    model.build((None, 3))
    assert model.count_params() == 16


def test_it_computes_its_layers_in_order(rng):
    model = Sequential([Input((3,)), Dense(4), Dense(2)])
    x = rng.standard_normal((5, 3)).astype(np.float32)
    w = [np.float64(a) for a in model.get_weights()]
    np.testing.assert_allclose(model(x).numpy(), (x @ w[0] + w[1]) @ w[2] + w[3], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(model.predict(x, verbose=0), model(x).numpy())


def test_pop_takes_the_last_layer_away():
    model = Sequential([Input((3,)), Dense(4), Dense(2)])
    last = model.layers[-1]
    assert model.pop() is last
    assert model.output_shape == (None, 4)
    assert len(model.weights) == 2
    with pytest.raises(ValueError, match="no layers to pop"):
        Sequential().pop()


def test_a_layer_that_does_not_fit_is_named_and_not_added():
    model = Sequential([Input((8, 8, 1)), Conv2D(2, 3)])
    with pytest.raises(ValueError, match=r"Layer 'big' \(Conv2D\): the window \(9, 9\) is larger"):
        model.add(Conv2D(2, 9, name="big"))
    assert [type(layer) for layer in model.layers] == [Conv2D]
    assert model.built


@pytest.mark.parametrize(
    ("stack", "error", "message"),
    [
        ([3], ValueError, r"made of layers; got 3 \(int\)"),
        ([Dense], ValueError, r"Did you mean Dense\(\)\?"),
        ([Dense(2, name="a"), Dense(2, name="a")], ValueError, r"has a layer called 'a' already"),
        ([Dense(2), Input((2,))], ValueError, "can only be the first"),
    ],
)
def test_what_cannot_be_a_layer_of_it(stack, error, message):
    with pytest.raises(error, match=message):
        Sequential(stack)


def test_an_empty_model_cannot_be_used():
    with pytest.raises(ValueError, match="without layers"):
        Sequential()(np.ones((1, 2)))


def test_input_shape_of_the_first_layer_builds_it():
    with pytest.warns(UserWarning, match="Input"):
        first = Dense(4, input_shape=(3,))
    model = Sequential([first, Dense(2)])
    assert model.built
    assert model.input_shape == (None, 3)


def test_models_nest_and_share_the_training_flag():
    inner = Sequential([Dense(4), Dropout(0.5, seed=1)], name="inner")
    model = Sequential([Input((3,)), inner, Dense(2)])
    x = np.ones((6, 3), np.float32)
    assert (model(x, training=True).numpy() != model(x).numpy()).any()
    np.testing.assert_array_equal(model(x).numpy(), model(x).numpy())
    assert len(model.weights) == 4
    inner.trainable = False
    assert [v.shape for v in model.trainable_weights] == [(4, 2), (2,)]


def test_a_model_made_from_its_configuration_has_the_same_layers(rng):
    model = Sequential(
        [Input((8, 8, 1)), Conv2D(2, 3, activation="relu"), BatchNormalization(), MaxPooling2D(), Flatten(), Dense(3)]
    )
    again = Sequential.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    again.set_weights(model.get_weights())
    x = rng.standard_normal((2, 8, 8, 1)).astype(np.float32)
    np.testing.assert_array_equal(again(x).numpy(), model(x).numpy())
    nested = Sequential([Input((3,)), Sequential([Dense(2)], name="inner")])
    assert layers.deserialize(layers.serialize(nested)).get_config() == nested.get_config()


def test_get_layer():
    model = Sequential([Input((3,)), Dense(4, name="a"), Dense(2, name="b")])
    assert model.get_layer("b") is model.layers[1]
    assert model.get_layer(index=0) is model.layers[0]
    with pytest.raises(ValueError, match=r"no layer 'c'; it has 'a', 'b'"):
        model.get_layer("c")
    with pytest.raises(ValueError, match="2 layers; got index=2"):
        model.get_layer(index=2)
    with pytest.raises(ValueError, match="a name or an index"):
        model.get_layer()


def test_summary_shows_layers_shapes_and_counts(capsys):
    model = Sequential([Input((8, 8, 1)), Conv2D(2, 3, name="conv"), BatchNormalization(name="norm"), Flatten()])
    model.summary(line_length=80)
    printed = capsys.readouterr().out
    for text in ("conv (Conv2D)", "(None, 6, 6, 2)", "norm (BatchNormalization)", "(None, 72)"):
        assert text in printed
    assert "Total params: 28 (112.00 B)" in printed
    assert "Non-trainable params: 4 (16.00 B)" in printed
    lines = []
    model.summary(print_fn=lines.append, show_trainable=True)
    assert "Trainable" in lines[0]
    lines.clear()
    Sequential([Dense(2)]).summary(print_fn=lines.append)
    assert "Not built yet" in lines[0]
    lines.clear()
    Sequential([Input((3,)), Sequential([Dense(2, name="deep")])]).summary(print_fn=lines.append, expand_nested=True)
    assert "  deep (Dense)" in lines[0]


def test_a_model_of_ones_own_trains(data):
    class Own(Model):
        def __init__(self):
            super().__init__()
            self.branches = [Dense(4, activation="tanh"), Dense(4)]
            self.head = Dense(3)

        def call(self, x, training=False):
            return self.head(self.branches[0](x) * self.branches[1](x))

    x, y = data
    model = Own()
    model.compile("adam", "mse")
    before = model.evaluate(x, np.eye(3)[y], verbose=0)
    history = model.fit(x, np.eye(3)[y], epochs=5, verbose=0).history["loss"]
    assert history[-1] < history[0]
    assert model.evaluate(x, np.eye(3)[y], verbose=0) < before
    assert len(model.layers) == 3
    assert {v.path.split("/")[0] for v in model.weights} == {model.name}


def test_numbers_in_a_row_are_examples_of_one_feature():
    x = np.array([-1.0, 0.0, 1.0, 2.0, 3.0, 4.0])
    model = Sequential([layers.Input((1,)), layers.Dense(1, kernel_initializer="ones")])
    np.testing.assert_allclose(model(x).numpy(), x[:, None])
    np.testing.assert_allclose(model.predict(x, verbose=0), x[:, None])
    model.compile("sgd", "mse")
    model.fit(x, 2 * x, epochs=2, batch_size=3, verbose=0)
    assert 1 < model.get_weights()[0].item() < 2
    assert model.evaluate(x, 2 * x, verbose=0) == pytest.approx(
        np.mean((model.predict(x, verbose=0)[:, 0] - 2 * x) ** 2), rel=1e-5
    )
    row = Sequential([layers.Input((4,)), layers.Dense(2)])
    np.testing.assert_array_equal(row(np.ones((3, 4, 1))).numpy(), row(np.ones((3, 4))).numpy())
    with pytest.raises(ValueError, match="rank"):
        Sequential([layers.Dense(1)])(x)


@pytest.mark.parametrize("kind", ["dictionary", "list"])
def test_a_first_layer_of_several_inputs(kind):
    class Sum(Layer):
        def call(self, inputs):
            assert isinstance(inputs, dict if kind == "dictionary" else list)
            a, b = inputs.values() if kind == "dictionary" else inputs
            return a + b

    a, b = np.full((3, 2), 1.0, np.float32), np.full((3, 2), 3.0, np.float32)
    x = {"a": a, "b": b} if kind == "dictionary" else [a, b]
    model = Sequential([Sum(), Dense(1, kernel_initializer="ones")])
    np.testing.assert_array_equal(model(x).numpy(), np.full((3, 1), 8.0))
    assert model.built
    assert not hasattr(model, "output_shape")
    model.compile("sgd", "mse")
    assert model.fit(x, np.full((3, 1), 7.0), verbose=0).history["loss"] == [1.0]
