"""What is saved comes back the same: every layer, every kind of model, and training that goes on."""

from __future__ import annotations

import inspect
import json
import os

import numpy as np
import pytest
from layer_cases import CASES, WITHOUT_FILES, arrays_of, inputs_of, layer_of

import deepcore
from deepcore import layers, losses, metrics, ops, optimizers, random, saving
from deepcore.models import Model, Sequential, clone_model, load_model, model_from_json

LAYERS = sorted(
    {thing.__name__ for thing in vars(layers).values() if inspect.isclass(thing) and issubclass(thing, layers.Layer)}
    & set(layers.__all__)
)


def equal_weights(a, b):
    for one, other in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def scatter(model, rng):
    """Gives every weight values of its own, so that none can be taken for another."""
    old = model.get_weights()
    model.set_weights([rng.random(w.shape).astype(w.dtype) + 0.1 if w.dtype.kind == "f" else w for w in old])


def trained(model, rng, features=4, outputs=2, **fit):
    x, y = rng.random((16, features), dtype="float32"), rng.random((16, outputs), dtype="float32")
    model.fit(x, y, batch_size=4, verbose=0, shuffle=False, **fit)
    return x, y


@pytest.mark.parametrize("name", sorted(set(LAYERS) - WITHOUT_FILES))
def test_a_layer_comes_back_with_its_weights_its_outputs_and_its_place_in_its_stream(name, tmp_path, rng):
    assert name in CASES, f"{name} has no case in tests/layer_cases.py: add its arguments and the shape of an input."
    inputs, layer = inputs_of(layers, name), layer_of(layers, name)
    model = Model(inputs, layer(inputs if len(inputs) > 1 else inputs[0]))
    scatter(model, rng)
    x = arrays_of(rng, name)
    model(x, training=True)  # moves statistics and streams on
    model.save(tmp_path / "model.keras")
    again = load_model(tmp_path / "model.keras")
    assert json.loads(again.to_json()) == json.loads(model.to_json())
    equal_weights(model, again)
    for training in (False, True):
        np.testing.assert_array_equal(again(x, training=training).numpy(), model(x, training=training).numpy())


def drawn():
    """Two inputs, a layer that is used twice, a model within, and functions between layers; two outputs by name."""
    image, extra = layers.Input((4, 4, 1), name="image"), layers.Input((3,), name="extra")
    features = layers.Flatten()(layers.Conv2D(2, 3, activation="relu")(image))
    shared = layers.Dense(8)
    twice = shared(shared(features)) * 0.5
    start = layers.Input((11,))
    inner = Model(start, layers.Dense(2, name="inside")(start), name="inner")
    joined = ops.concatenate([twice, extra], axis=-1)
    head, tail = inner(joined), inner(joined * 2.0)
    return Model([image, extra], {"head": head, "part": ops.reshape(joined[:, 1:5], (-1, 2, 2)) - 1.0, "tail": tail})


def test_a_drawn_model_comes_back_with_shared_layers_models_within_and_functions(tmp_path, rng):
    model = drawn()
    scatter(model, rng)
    x = [rng.random((3, 4, 4, 1), dtype="float32"), rng.random((3, 3), dtype="float32")]
    expected = model.predict(x, verbose=0)
    for path, zipped in ((tmp_path / "m.keras", True), (tmp_path / "folder", False), (tmp_path / "m.h5", True)):
        model.save(path, zipped=zipped)
        again = load_model(path, compile=False)
        assert again.count_params() == model.count_params()
        for key, value in again.predict(x, verbose=0).items():
            np.testing.assert_array_equal(value, expected[key])
    assert json.loads(model_from_json(model.to_json()).to_json()) == json.loads(model.to_json())


@pytest.mark.parametrize("drawn_with", [True, False, None])
def test_a_call_keeps_the_training_flag_it_was_drawn_with(tmp_path, drawn_with):
    x = layers.Input((50,))
    model = Model(x, layers.Dropout(0.5, seed=3)(x, training=drawn_with))
    model.save(tmp_path / "m.keras")
    again = load_model(tmp_path / "m.keras")
    ones = np.ones((2, 50), np.float32)
    for training in (False, True):
        dropped = model(ones, training=training).numpy()
        assert (dropped == 0).any() == (training if drawn_with is None else drawn_with)
        np.testing.assert_array_equal(again(ones, training=training).numpy(), dropped)


@saving.register_keras_serializable("tests")
class Block(layers.Layer):
    """Layers in attributes, in a list, in a dictionary within it, and a weight of its own."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.zeta = layers.Dense(units)
        self.parts = [layers.Dense(units), {"deep": layers.Dense(units)}, layers.Dropout(0.5, seed=1)]

    def build(self, input_shape):
        self.scale = self.add_weight((self.units,), "ones", name="scale")
        self.zeta.build(input_shape)
        self.parts[0].build((None, self.units))
        self.parts[1]["deep"].build((None, self.units))

    def call(self, x, training=False):
        return self.parts[2](self.parts[1]["deep"](self.parts[0](self.zeta(x)))) * self.scale


@saving.register_keras_serializable("tests")
class Own(Model):
    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.block = Block(units)
        self.out = [layers.Dense(2)]

    def call(self, x):
        return self.out[0](self.block(x))


def test_a_model_of_ones_own_comes_back_and_trains_on(tmp_path, rng):
    model = Own(5)
    model.compile(optimizers.RMSprop(0.01, momentum=0.9), losses.MeanSquaredError(), metrics=["mae"])
    x, y = trained(model, rng, epochs=2)
    model.save(tmp_path / "m.keras")
    again = load_model(tmp_path / "m.keras")
    assert (type(again), again.units, again.block.units) == (Own, 5, 5)
    for each in (model, again):
        each.fit(x, y, batch_size=4, epochs=2, verbose=0, shuffle=False)
    equal_weights(model, again)


OPTIMIZERS = [
    optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    optimizers.Adam(0.01, clipnorm=1.0, amsgrad=True),
    optimizers.AdamW(0.01, weight_decay=0.1, use_ema=True),
    optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    optimizers.Adagrad(0.1),
    optimizers.Adadelta(0.5, rho=0.9),
    optimizers.Adafactor(0.01, relative_step=False),
    optimizers.Adamax(0.01, gradient_accumulation_steps=2),
    optimizers.Ftrl(0.01, l2_regularization_strength=0.1),
    optimizers.Lamb(0.01),
    optimizers.Lion(0.001, global_clipnorm=1.0),
    optimizers.Nadam(0.01),
    optimizers.LossScaleOptimizer(optimizers.SGD(0.1, momentum=0.5), initial_scale=8.0, dynamic_growth_steps=3),
]


def test_every_optimizer_is_among_them():
    made = {thing for thing in vars(optimizers).values() if inspect.isclass(thing)}
    assert {kind for kind in made if issubclass(kind, optimizers.Optimizer)} - {optimizers.Optimizer} == {
        *map(type, OPTIMIZERS)
    }


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: type(optimizer).__name__)
@pytest.mark.parametrize("ending", [".keras", ".h5", ".weights.h5", ".safetensors"])
def test_training_goes_on_bit_by_bit(optimizer, ending, tmp_path, rng):
    def made():
        return Sequential([layers.Input((4,)), layers.Dense(5, "relu"), layers.BatchNormalization(), layers.Dense(2)])

    model = made()
    config = optimizers.serialize(optimizer)
    model.compile(optimizers.deserialize(config), "mse", metrics=["mae", metrics.MeanSquaredError()])
    x, y = trained(model, rng, epochs=2)
    path = tmp_path / f"m{ending}"
    if ending in (".keras", ".h5"):
        model.save(path)
        again = load_model(path)
        assert again.optimizer.get_config() == model.optimizer.get_config()
    else:
        model.save_weights(path)
        again = made()
        again.compile(optimizers.deserialize(config), "mse")
        again.load_weights(path)
    assert int(again.optimizer.iterations) == int(model.optimizer.iterations) > 0
    for one, other in zip(model.optimizer.variables, again.optimizer.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    for each in (model, again):
        each.fit(x, y, batch_size=4, verbose=0, shuffle=False)
    equal_weights(model, again)


def test_a_stream_of_random_numbers_goes_on_where_it_was(tmp_path, rng):
    model = Sequential([layers.Input((4,)), layers.Dropout(0.5), layers.Dense(2)])  # a seed that nobody gave
    model.compile("sgd", "mse")
    x, y = trained(model, rng)
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / "m.safetensors")
    again, other = load_model(tmp_path / "m.keras"), load_model(tmp_path / "m.keras")
    other.layers[0].seed_generator = random.Generator(5)
    other.load_weights(tmp_path / "m.safetensors")
    for each in (model, again, other):
        each.fit(x, y, batch_size=4, verbose=0, shuffle=False)
    equal_weights(model, again)
    equal_weights(model, other)


def test_loss_and_metrics_come_back_and_measure_the_same(tmp_path, rng):
    model = Sequential([layers.Input((4,)), layers.Dense(2, "softmax")])
    loss = losses.CategoricalCrossentropy(label_smoothing=0.1)
    model.compile("adam", loss, metrics=["accuracy", metrics.MeanSquaredError()])
    x, y = rng.random((8, 4), dtype="float32"), np.eye(2, dtype="float32")[rng.integers(0, 2, 8)]
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "m.keras")
    assert load_model(tmp_path / "m.keras").evaluate(x, y, verbose=0, return_dict=True) == model.evaluate(
        x, y, verbose=0, return_dict=True
    )
    assert not load_model(tmp_path / "m.keras", compile=False).compiled


def test_a_compiled_model_that_took_no_step_comes_back_without_a_warning(tmp_path, rng):
    model = Sequential([layers.Input((4,)), layers.Dense(2)])
    model.compile(optimizers.Adam(0.5), "mse")
    model.save(tmp_path / "m.keras")
    again = load_model(tmp_path / "m.keras")
    assert float(again.optimizer.learning_rate) == 0.5
    x, y = trained(model, rng)
    again.fit(x, y, batch_size=4, verbose=0, shuffle=False)
    equal_weights(model, again)


def test_assets_travel_with_the_model(tmp_path):
    model = Sequential([layers.Input((1,)), Words(["a", "b"])])
    model.save(tmp_path / "m.keras")
    model.save(tmp_path / "folder", zipped=False)
    for path in ("m.keras", "folder"):
        assert load_model(tmp_path / path).layers[0].words == ["a", "b"]


@saving.register_keras_serializable("tests")
class Words(layers.Layer):
    def __init__(self, words=(), **kwargs):
        super().__init__(**kwargs)
        self.words = list(words)

    def call(self, x):
        return x

    def get_config(self):
        return {**super().get_config()}  # without the words: they are in a file of their own

    def save_assets(self, folder):
        with open(os.path.join(folder, "words.txt"), "w") as file:
            file.write("\n".join(self.words))

    def load_assets(self, folder):
        with open(os.path.join(folder, "words.txt")) as file:
            self.words = file.read().split("\n")


def test_a_layer_may_keep_what_it_likes(tmp_path):
    model = Sequential([layers.Input((2,)), Counter()])
    model(np.ones((1, 2), np.float32))
    model(np.ones((1, 2), np.float32))
    model.save(tmp_path / "m.keras")
    assert load_model(tmp_path / "m.keras").layers[0].calls == model.layers[0].calls >= 2


@saving.register_keras_serializable("tests")
class Counter(layers.Layer):
    calls = 0

    def call(self, x):
        self.calls += 1
        return x

    def compute_output_shape(self, input_shape):
        return input_shape

    def save_own_variables(self, store):
        store["calls"] = np.array(self.calls)

    def load_own_variables(self, store):
        self.calls = int(store["calls"])


def test_clones_have_the_same_network_and_weights_of_their_own(rng):
    model = drawn()
    clone = clone_model(model)
    assert clone.get_config() == model.get_config()
    assert not {id(v) for v in clone.weights} & {id(v) for v in model.weights}
    clone.set_weights(model.get_weights())
    x = [rng.random((3, 4, 4, 1), dtype="float32"), rng.random((3, 3), dtype="float32")]
    expected = model.predict(x, verbose=0)
    for key, value in clone.predict(x, verbose=0).items():
        np.testing.assert_array_equal(value, expected[key])


def test_clone_function_call_function_and_input_tensors():
    model = Sequential([layers.Input((3,)), layers.Dense(4), layers.Dense(2)])

    def wider(layer):
        return layers.Dense(layer.units + 1, name=layer.name)

    assert [layer.units for layer in clone_model(model, clone_function=wider).layers] == [5, 3]
    assert clone_model(model, input_tensors=layers.Input((7,))).input_shape == (None, 7)
    x = layers.Input((3,))
    functional = Model(x, layers.Dense(2)(x))

    def dropped(layer, *args, **kwargs):
        return layers.Dropout(0.5)(layer(*args, **kwargs))

    clone = clone_model(functional, call_function=dropped)
    assert [type(layer).__name__ for layer in clone.layers] == ["InputLayer", "Dense", "Dropout"]
    with pytest.raises(ValueError, match=r"call_function is for drawn models"):
        clone_model(model, call_function=dropped)
    with pytest.raises(ValueError, match=r"Own computes in a call\(\) of its own"):
        clone_model(Own(), clone_function=wider)


def test_modules_offer_what_keras_offers():
    assert deepcore.saving.load_model is deepcore.models.load_model
    assert deepcore.models.save_model is deepcore.saving.save_model
    assert deepcore.saving.custom_object_scope is deepcore.saving.CustomObjectScope
