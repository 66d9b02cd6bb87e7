"""Objects as data and back: custom classes and functions, shared objects, and what JSON does not know."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest

from deepcore import (
    activations,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    ops,
    optimizers,
    random,
    regularizers,
    saving,
)
from deepcore.models import Model, Sequential, load_model, model_from_json
from deepcore.saving import deserialize_keras_object, serialize_keras_object
from deepcore.tensor import Tensor
from deepcore.variable import Variable


def through_json(thing):
    return deserialize_keras_object(json.loads(json.dumps(serialize_keras_object(thing))))


def test_plain_values_slices_arrays_and_tensors_come_back():
    value = {"a": [1, 2.5, None, True, "text"], "b": {"c": slice(1, None, 2), "d": ..., "e": b"bytes"}}
    assert through_json(value) == value
    array = through_json(np.array([[1, 2], [3, 4]], np.int16))
    assert (array.dtype, array.tolist()) == (np.int16, [[1, 2], [3, 4]])
    tensor = through_json(Tensor([1.5, 2.5]))
    assert (type(tensor), tensor.tolist()) == (Tensor, [1.5, 2.5])
    assert serialize_keras_object(np.float32(0.5)) == 0.5
    assert serialize_keras_object((1, (2, 3))) == (1, (2, 3))
    with pytest.raises(TypeError, match=r"object object.*get_config"):
        serialize_keras_object(object())
    with pytest.raises(TypeError, match="holds numbers, text, lists and dictionaries"):
        deserialize_keras_object(object())


@pytest.mark.parametrize(
    ("thing", "module"),
    [
        (layers.Dense(2, name="d"), "keras.layers"),
        (initializers.HeNormal(seed=3), "keras.initializers"),
        (regularizers.L1L2(0.1, 0.2), "keras.regularizers"),
        (losses.Huber(delta=2.0), "keras.losses"),
        (metrics.MeanSquaredError(name="m"), "keras.metrics"),
    ],
)
def test_objects_are_written_under_their_names_in_keras(thing, module):
    written = serialize_keras_object(thing)
    assert {**written, "config": 0} == {
        "module": module,
        "class_name": type(thing).__name__,
        "config": 0,
        "registered_name": None,
    }
    again = through_json(thing)
    assert type(again) is type(thing)
    assert again.get_config() == thing.get_config()


def test_functions_of_the_library_are_written_as_functions():
    written = {"module": "builtins", "class_name": "function", "config": "mean_squared_error"}
    assert serialize_keras_object(losses.mean_squared_error) == {**written, "registered_name": "function"}
    assert through_json(losses.mean_squared_error) is losses.mean_squared_error
    assert activations.serialize(activations.relu) == "relu"
    assert activations.deserialize("relu") is activations.relu


def twice(x):
    return x * 2


class Scale(layers.Layer):
    def __init__(self, by=2.0, **kwargs):
        super().__init__(**kwargs)
        self.by = by

    def call(self, x):
        return x * self.by

    def get_config(self):
        return {**super().get_config(), "by": self.by}


def test_classes_of_ones_own_need_a_name_that_is_known(tmp_path):
    model = Sequential([layers.Input((2,)), Scale(3.0), layers.Dense(2, activation=twice)])
    model.save(tmp_path / "m.keras")
    with pytest.raises(TypeError, match=r"Could not locate .*Scale.*register_keras_serializable.*custom_objects"):
        load_model(tmp_path / "m.keras")
    known = {"Scale": Scale, "twice": twice}
    x = np.ones((1, 2), np.float32)
    for again in (
        load_model(tmp_path / "m.keras", custom_objects=known),
        model_from_json(model.to_json(), custom_objects=known),
    ):
        assert again.layers[0].by == 3.0
        assert again.layers[1].activation is twice
        again.set_weights(model.get_weights())
        np.testing.assert_array_equal(again(x).numpy(), model(x).numpy())
    with saving.custom_object_scope(known):
        assert load_model(tmp_path / "m.keras").layers[0].by == 3.0
    saving.get_custom_objects().update(known)
    try:
        assert load_model(tmp_path / "m.keras").layers[0].by == 3.0
    finally:
        for name in known:
            del saving.get_custom_objects()[name]


def test_registered_names_are_written_and_found():
    @saving.register_keras_serializable("shop", name="Renamed")
    class Named(Scale):
        pass

    @saving.register_keras_serializable("shop")
    def cube(x):
        return x**3

    try:
        assert saving.get_registered_name(Named) == "shop>Renamed"
        assert saving.get_registered_object("shop>Renamed") is Named
        written = serialize_keras_object(Named(4.0))
        assert (written["class_name"], written["registered_name"]) == ("Named", "shop>Renamed")
        assert through_json(Named(4.0)).by == 4.0
        assert type(layers.deserialize(written)) is Named
        dense = layers.Dense(1, activation=cube)
        assert layers.deserialize(layers.serialize(dense)).activation is cube
    finally:
        for name in ("shop>Renamed", "shop>cube"):
            del saving.get_custom_objects()[name]
    assert saving.get_registered_object("shop>Renamed") is None
    assert saving.get_registered_name(Scale) == "Scale"
    with pytest.raises(ValueError, match="must implement get_config"):
        saving.register_keras_serializable()(type("Bare", (), {}))


def test_a_custom_object_does_not_take_the_place_of_a_class_of_the_library():
    with saving.custom_object_scope({"Dense": Scale}):
        assert type(through_json(layers.Dense(2))) is layers.Dense


def test_scopes_end_and_nest():
    with saving.custom_object_scope({"outer": twice}):
        with saving.custom_object_scope({"inner": twice}):
            assert activations.get("inner") is activations.get("outer") is twice
        with pytest.raises(ValueError, match="Unknown activation 'inner'"):
            activations.get("inner")
    with pytest.raises(ValueError, match="Unknown activation 'outer'"):
        activations.get("outer")


@saving.register_keras_serializable("tests")
class Twins(Model):
    """Holds one layer under two names."""

    def __init__(self, left=None, right=None, **kwargs):
        super().__init__(**kwargs)
        self.left = layers.Dense(2, name="shared") if left is None else left
        self.right = self.left if right is None else right

    def call(self, x):
        return self.right(self.left(x))

    def get_config(self):
        return {
            "name": self.name,
            "left": serialize_keras_object(self.left),
            "right": serialize_keras_object(self.right),
        }

    @classmethod
    def from_config(cls, config):
        parts = {key: deserialize_keras_object(config.pop(key)) for key in ("left", "right")}
        return cls(**parts, **config)


def test_an_object_that_is_held_twice_comes_back_as_one(tmp_path, rng):
    model = Twins()
    x = rng.random((3, 2), dtype="float32")
    expected = model(x).numpy()
    model.save(tmp_path / "m.keras")
    again = load_model(tmp_path / "m.keras")
    assert again.left is again.right
    np.testing.assert_array_equal(again(x).numpy(), expected)


def test_a_class_that_cannot_be_made_says_what_it_was_given(tmp_path):
    class Strict(layers.Layer):
        def __init__(self):
            super().__init__()

        def call(self, x):
            return x

    model = Sequential([layers.Input((2,)), Strict()])
    model.save(tmp_path / "m.keras")
    with pytest.raises(TypeError, match=r"Strict could not be made from its configuration.*unexpected keyword.*'name'"):
        load_model(tmp_path / "m.keras", custom_objects={"Strict": Strict})


def test_a_compile_of_ones_own_is_left_alone_with_a_warning(tmp_path):
    @saving.register_keras_serializable("tests")
    class Adversary(Sequential):
        def compile(self, first, **kwargs):
            super().compile(**kwargs)
            self.first = first

    model = Adversary([layers.Input((2,)), layers.Dense(1)])
    model.compile(first="a", optimizer="sgd", loss="mse")
    model.save(tmp_path / "m.keras")
    with pytest.warns(UserWarning, match="method is custom"):
        assert not load_model(tmp_path / "m.keras").compiled


def test_steps_of_a_drawn_model_keep_arrays_indices_and_keywords(tmp_path, rng):
    x = layers.Input((4, 3))
    factor = Tensor([1.0, 2.0, 3.0])
    outputs = [
        x * factor,
        x[:, [0, 2]],
        x[..., None, -1],
        ops.where(x > 0.5, x, 0.0),
        ops.concatenate([x, x * 2], axis=1),
        ops.max(x, axis=(1, 2), keepdims=True),
        2.0 - x,
        -x / 3,
        ops.split(x, 2, axis=1)[1],
    ]
    model = Model(x, outputs)
    model.save(tmp_path / "m.keras")
    again = load_model(tmp_path / "m.keras")
    data = rng.random((2, 4, 3), dtype="float32")
    for one, other in zip(model.predict(data, verbose=0), again.predict(data, verbose=0), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(again.predict(data, verbose=0)[1], data[:, [0, 2]])


def test_options_of_keras_that_are_off_are_left_out_and_others_refused():
    written = serialize_keras_object(layers.Dense(2, name="d"))
    written["config"]["an_option_of_tomorrow"] = None
    assert deserialize_keras_object(written).units == 2
    written["config"]["an_option_of_tomorrow"] = 3
    with pytest.raises(TypeError, match="an_option_of_tomorrow"):
        deserialize_keras_object(written)


COPIES = [copy.deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))]


@pytest.mark.parametrize("copied", COPIES, ids=["deepcopy", "pickle"])
def test_a_copy_of_a_model_trains_on_like_the_model(copied, rng):
    start = layers.Input((3,))
    hidden = layers.Dropout(0.3, seed=1)(layers.BatchNormalization()(layers.Dense(4, activation="relu")(start)))
    model = Model(start, ops.tanh(layers.Dense(2)(hidden)) * 2.0)
    optimizer = optimizers.AdamW(0.01, weight_decay=0.1)
    model.compile(optimizer, "mse", metrics=["mae", metrics.RootMeanSquaredError()])
    optimizer.build(model.trainable_weights)
    optimizer.exclude_from_weight_decay(var_list=[model.trainable_weights[0]])
    x, y = rng.random((8, 3), dtype="float32"), rng.random((8, 2), dtype="float32")
    model.fit(x, y, verbose=0)
    again = copied(model)
    assert not {id(v) for v in model.weights} & {id(v) for v in again.weights}
    histories = [one.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0).history for one in (model, again)]
    assert histories[0] == histories[1]
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("copied", COPIES, ids=["deepcopy", "pickle"])
def test_copies_of_tensors_variables_and_streams(copied):
    weight = Variable([1.0, 2.0], name="scale", trainable=False)
    again = copied(weight)
    weight.assign([3.0, 4.0])
    assert (again.name, again.trainable, again.tolist()) == ("scale", False, [1.0, 2.0])
    x = Tensor([1.0, 2.0], requires_grad=True)
    again = copied(x * 3.0)
    assert again.tolist() == [3.0, 6.0]
    assert copied(x).requires_grad
    stream = random.SeedGenerator(5)
    stream.uniform((7,))
    np.testing.assert_array_equal(copied(stream).normal((5,)).numpy(), stream.normal((5,)).numpy())


def test_a_layer_that_a_wrapper_holds_and_the_model_calls_stays_one(tmp_path):
    shared, first, second = layers.Dense(2), layers.Input((5, 3)), layers.Input((4, 3))
    model = Model([first, second], [layers.TimeDistributed(shared)(first), shared(second)])
    model.save(tmp_path / "m.keras")
    again = load_model(tmp_path / "m.keras")
    dense, wrapper = (
        next(x for x in again.layers if type(x) is kind) for kind in (layers.Dense, layers.TimeDistributed)
    )
    assert wrapper.layer is dense
    assert len(again.weights) == 2


@pytest.mark.parametrize("name", ["subprocess.Popen", "mine>Dense"])
def test_a_name_that_nobody_registered_does_not_stand_for_a_class_of_the_library(name):
    written = {**serialize_keras_object(layers.Dense(2)), "registered_name": name}
    with pytest.raises(ValueError, match=f"'registered_name' says '{name}'"):
        deserialize_keras_object(written)
    function = {**serialize_keras_object(losses.mean_squared_error), "registered_name": name}
    with pytest.raises(ValueError, match=f"'registered_name' says '{name}'"):
        deserialize_keras_object(function)
    with saving.custom_object_scope({name: Penalty}):
        assert type(deserialize_keras_object({**written, "config": {}})) is Penalty


class Penalty(constraints.Constraint):
    """Something that is not registered."""


def test_a_constraint_of_ones_own_is_found_by_its_name():
    config = constraints.serialize(Penalty())
    assert type(constraints.deserialize(config, custom_objects={"Penalty": Penalty})) is Penalty
    with pytest.raises(TypeError, match="Could not locate"):
        constraints.deserialize(config)


def test_streams_and_functions_of_metrics_are_written_under_their_names_in_keras():
    written = serialize_keras_object(random.SeedGenerator(3))
    assert (written["module"], written["registered_name"]) == ("keras.random", None)
    np.testing.assert_array_equal(through_json(random.SeedGenerator(3)).state, [3, 0])
    assert through_json(metrics.binary_accuracy) is metrics.binary_accuracy
    wrapped = metrics.MeanMetricWrapper(losses.mean_squared_error, name="w")
    written = serialize_keras_object(wrapped)
    assert (written["module"], written["class_name"]) == ("keras.metrics", "MeanMetricWrapper")
    again = through_json(wrapped)
    assert float(again([[1.0, 2.0]], [[1.0, 4.0]])) == 2.0


def test_a_sequential_configuration_needs_a_name():
    written = serialize_keras_object(Sequential([layers.Input((3,)), layers.Dense(2)]))
    assert len(deserialize_keras_object(written).layers) == 1
    del written["config"]["name"]
    with pytest.raises(ValueError, match="'name' and 'layers'"):
        deserialize_keras_object(written)
