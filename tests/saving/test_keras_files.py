"""Files that Keras wrote load, and ours are laid out as Keras reads them; both held against files made by hand."""

from __future__ import annotations

import io
import json
import zipfile

import h5py
import keras_files as keras
import numpy as np
import pytest

from deepcore import layers, ops, optimizers
from deepcore.models import Model, Sequential, load_model


def dense(x, kernel, bias):
    return x.astype(np.float64) @ kernel + bias


@pytest.fixture
def stacked(tmp_path, rng):
    """A Sequential of two Dense layers as Keras writes it, its arrays, and what it computes."""
    arrays = [rng.standard_normal(shape).astype("float32") for shape in ((4, 3), (3,), (3, 2), (2,))]
    layers_of_it = [keras.input_layer("x", 4), keras.dense("first", 3, 4, "relu"), keras.dense("second", 2, 3)]

    def made(name="m.keras", state=(), **more):
        config = keras.sequential(layers_of_it, 4, **more)
        groups = {"layers/dense": arrays[:2], "layers/dense_1": arrays[2:], **({"optimizer": state} if state else {})}
        return keras.archive(tmp_path / name, config, groups)

    def computed(x):
        return dense(np.maximum(dense(x, *arrays[:2]), 0), *arrays[2:])

    return made, arrays, computed


def test_a_sequential_of_keras_computes_what_its_arrays_say(stacked, rng):
    made, arrays, computed = stacked
    model = load_model(made())
    x = rng.standard_normal((5, 4)).astype("float32")
    np.testing.assert_allclose(model.predict(x, verbose=0), computed(x), rtol=1e-5, atol=1e-6)
    assert (model.name, [layer.name for layer in model.layers]) == ("sequential", ["first", "second"])
    for weight, array in zip(model.weights, arrays, strict=True):
        np.testing.assert_array_equal(weight.numpy(), array)


def test_the_optimizer_of_keras_goes_on_from_its_step_and_its_moments(stacked, rng):
    made, arrays, _ = stacked
    moments = [rng.random(a.shape).astype("float32") * 0.01 for a in arrays for _ in range(2)]
    adam, state = keras.adam(7, 0.01, moments)
    compiled = {"optimizer": adam, "loss": "mse", "loss_weights": None, "metrics": ["mae"], "weighted_metrics": None}
    compiled.update(run_eagerly=False, steps_per_execution=1, jit_compile=False)
    model = load_model(made(state=state, compile_config=compiled))
    assert isinstance(model.optimizer, optimizers.Adam)
    gradient = [rng.standard_normal(a.shape).astype("float32") for a in arrays]
    model.optimizer.apply([ops.convert_to_tensor(g) for g in gradient])
    assert int(model.optimizer.iterations) == 8
    for weight, old, g, m, v in zip(model.weights, arrays, gradient, moments[::2], moments[1::2], strict=True):
        m, v = 0.9 * m.astype(np.float64) + 0.1 * g, 0.999 * v.astype(np.float64) + 0.001 * g.astype(np.float64) ** 2
        rate = 0.01 * np.sqrt(1 - 0.999**8) / (1 - 0.9**8)
        np.testing.assert_allclose(weight.numpy(), old - rate * m / (np.sqrt(v) + 1e-7), rtol=1e-4, atol=1e-6)


def test_a_drawn_model_of_keras_with_a_model_within_and_operations(tmp_path, rng):
    a, b, c, d = (rng.standard_normal(shape).astype("float32") for shape in ((4, 4), (4,), (3, 2), (2,)))
    inner = keras.functional(
        [
            {**keras.input_layer("start", 3), "name": "start", "inbound_nodes": []},
            keras.called(keras.dense("inside", 2, 3), "inside", [keras.tensor([3], "start", 0, 0)]),
        ],
        ["start", 0, 0],
        ["inside", 0, 0],
        name="inner",
    )
    cut = [keras.a_slice(None, None), keras.a_slice(1, None)]
    config = keras.functional(
        [
            {**keras.input_layer("x", 4), "name": "x", "inbound_nodes": []},
            keras.called(
                keras.dense("twice", 4, 4),
                "twice",
                [keras.tensor([4], "x", 0, 0)],
                [keras.tensor([4], "twice", 0, 0)],
            ),
            keras.called(
                keras.operation("Add", name="add"),
                "add",
                [keras.tensor([4], "twice", 1, 0), keras.tensor([4], "twice", 0, 0)],
            ),
            keras.called(
                keras.operation("GetItem", name="get_item"), "get_item", [keras.tensor([4], "add", 0, 0), cut]
            ),
            keras.called(keras.operation("Relu", "nn", name="relu"), "relu", [keras.tensor([3], "get_item", 0, 0)]),
            keras.called(
                keras.operation("NotEqual", name="not_equal"), "not_equal", [keras.tensor([3], "relu", 0, 0), 0]
            ),
            keras.called(
                keras.operation("Sum", name="sum", axis=-1, keepdims=True), "sum", [keras.tensor([3], "relu", 0, 0)]
            ),
            keras.called(inner, "inner", [keras.tensor([3], "relu", 0, 0)]),
        ],
        {"x": ["x", 0, 0]},
        [["inner", 1, 0], ["sum", 0, 0], ["not_equal", 0, 0]],  # a drawn model's first call is its own drawing
    )
    arrays = {"layers/dense": [a, b], "layers/functional/layers/dense": [c, d]}
    model = load_model(keras.archive(tmp_path / "m.keras", config, arrays))
    x = rng.standard_normal((5, 4)).astype("float32")
    once = dense(x, a, b)
    relu = np.maximum((dense(once, a, b) + once)[:, 1:], 0)
    inner_out, total, unequal = model.predict({"x": x}, verbose=0)
    np.testing.assert_allclose(inner_out, dense(relu, c, d), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(total, relu.sum(-1, keepdims=True), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(unequal, relu != 0)


def test_a_default_that_keras_notes_with_a_call_does_not_stand_against_training(tmp_path):
    dropout = {
        "module": "keras.layers",
        "class_name": "Dropout",
        "config": {
            "name": "drop",
            "trainable": True,
            "dtype": keras.POLICY,
            "rate": 0.5,
            "seed": 1,
            "noise_shape": None,
        },
        "registered_name": None,
    }
    entry = keras.called(dropout, "drop", [keras.tensor([50], "x", 0, 0)])
    entry["inbound_nodes"][0]["kwargs"] = {"training": False, "mask": None}
    first = {**keras.input_layer("x", 50), "name": "x", "inbound_nodes": []}
    config = keras.functional([first, entry], ["x", 0, 0], ["drop", 0, 0])
    model = load_model(keras.archive(tmp_path / "m.keras", config, {}))
    ones = np.ones((2, 50), np.float32)
    np.testing.assert_array_equal(model.predict(ones, verbose=0), ones)
    assert (model(ones, training=True).numpy() == 0).any()


def contents(path):
    """The configuration, and the arrays by path, of a ``.keras`` file."""
    with zipfile.ZipFile(path) as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        config = json.loads(archive.read("config.json"))
        found, names = {}, {}
        with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as h5:

            def see(name, item):
                if isinstance(item, h5py.Dataset):
                    found[name] = item[()]
                elif "name" in item.attrs:
                    names[name] = item.attrs["name"]

            h5.visititems(see)
    return config, found, names


def test_our_sequential_is_laid_out_as_keras_lays_it_out(tmp_path):
    model = Sequential([layers.Input((4,), name="x"), layers.Dense(3, "relu", name="first"), layers.Dropout(0.5)])
    model.add(layers.Dense(2, name="second"))
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(np.ones((2, 4), np.float32), np.ones((2, 2), np.float32), verbose=0)
    model.save(tmp_path / "m.keras")
    config, arrays, names = contents(tmp_path / "m.keras")
    assert (config["module"], config["class_name"], config["registered_name"]) == ("keras", "Sequential", None)
    assert config["build_config"] == {"input_shape": [None, 4]}
    first = config["config"]["layers"][1]
    expected = keras.dense("first", 3, 4, "relu")
    assert {key: first[key] for key in ("module", "class_name", "registered_name", "build_config")} == {
        key: expected[key] for key in ("module", "class_name", "registered_name", "build_config")
    }
    ours, theirs = first["config"], expected["config"]
    assert ours["kernel_initializer"]["module"] == "keras.initializers"
    assert set(ours) <= set(theirs)
    for key in ("name", "trainable", "dtype", "units", "activation", "use_bias", "bias_initializer"):
        assert ours[key] == theirs[key]
    compiled = config["compile_config"]
    assert (compiled["loss"], compiled["metrics"]) == ("mse", ["mae"])
    assert (compiled["optimizer"]["module"], compiled["optimizer"]["class_name"]) == ("keras.optimizers", "Adam")
    expected = {f"layers/dense{n}/vars/{i}" for n in ("", "_1") for i in (0, 1)}
    expected |= {f"optimizer/vars/{i}" for i in range(2 + 2 * 4)}
    extra = "layers/dropout/seed_generator/vars/0"  # which Keras does not look for
    assert set(arrays) == expected | {extra}
    np.testing.assert_array_equal(arrays["layers/dense_1/vars/0"], model.layers[2].kernel.numpy())
    np.testing.assert_array_equal(arrays["optimizer/vars/3"], model.optimizer.variables[3].numpy())
    assert names["layers/dense/vars"] == "first"
    assert names["vars"] == model.name


def test_our_drawn_model_names_its_calls_as_keras_does(tmp_path):
    x = layers.Input((4,), name="x")
    inner = Model(start := layers.Input((3,), name="start"), layers.Dense(2, name="inside")(start), name="inner")
    cut = x[:, 1:]
    model = Model(x, [inner(cut), ops.sum(cut, axis=-1)])
    model.save(tmp_path / "m.keras")
    config, arrays, _ = contents(tmp_path / "m.keras")
    assert (config["module"], config["class_name"]) == ("keras.src.models.functional", "Functional")
    assert config["registered_name"] == "Functional"
    by_class = {entry["class_name"]: entry for entry in config["config"]["layers"]}
    getitem = by_class["GetItem"]
    assert (getitem["module"], getitem["registered_name"]) == ("keras.src.ops.numpy", "GetItem")
    assert getitem["inbound_nodes"] == [
        {
            "args": [keras.tensor([4], "x", 0, 0), [keras.a_slice(None, None), keras.a_slice(1, None)]],
            "kwargs": {},
        }
    ]
    total = by_class["Sum"]
    assert (total["config"], total["inbound_nodes"][0]["kwargs"]) == ({"name": total["name"], "axis": -1}, {})
    assert by_class["Functional"]["inbound_nodes"][0]["args"][0]["config"]["keras_history"] == [getitem["name"], 0, 0]
    assert config["config"]["input_layers"] == ["x", 0, 0]
    assert config["config"]["output_layers"] == [["inner", 1, 0], [total["name"], 0, 0]]
    assert set(arrays) == {"layers/functional/layers/dense/vars/0", "layers/functional/layers/dense/vars/1"}


def old_file(path, groups, config=None):
    """Weights as Keras 2 and its applications wrote them: lists of layers and of weights, by name."""
    with h5py.File(path, "w") as h5:
        top = h5 if config is None else h5.create_group("model_weights")
        if config is not None:
            h5.attrs["model_config"] = json.dumps(config).encode()
        top.attrs["layer_names"] = [name.encode() for name in groups]
        top.attrs["backend"], top.attrs["keras_version"] = b"tensorflow", b"2.1.6"
        for name, arrays in groups.items():
            group = top.create_group(name)
            group.attrs["weight_names"] = [key.encode() for key in arrays]
            for key, array in arrays.items():
                group.create_dataset(key, data=array)
    return path


def small_vgg():
    return Sequential(
        [
            layers.Input((4, 4, 3)),
            layers.Conv2D(2, 3, padding="same", name="block1_conv1"),
            layers.MaxPooling2D(name="block1_pool"),
            layers.BatchNormalization(name="bn_conv1"),
            layers.Flatten(name="flatten"),
            layers.Dense(5, name="predictions"),
        ]
    )


@pytest.fixture
def pretrained(tmp_path, rng):
    def some(*shape):
        return rng.random(shape).astype("float32")

    groups = {
        "input_1": {},
        "block1_conv1": {
            "block1_conv1/kernel:0": some(3, 3, 3, 2),
            "block1_conv1/bias:0": some(2),
        },
        "block1_pool": {},
        "bn_conv1": {f"bn_conv1_{key}:0": some(2) for key in ("gamma", "beta", "running_mean", "running_std")},
        "flatten": {},
        "predictions": {"predictions_W_1:0": some(8, 5), "predictions_b_1:0": some(5)},
    }
    return old_file(tmp_path / "vgg_weights.h5", groups), groups


def test_pretrained_files_load_in_order(pretrained):
    path, groups = pretrained
    model = small_vgg()
    model.load_weights(path)
    arrays = [array for group in groups.values() for array in group.values()]
    for weight, array in zip(
        [v for layer in model.layers for v in (*layer.trainable_weights, *layer.non_trainable_weights)],
        arrays,
        strict=True,
    ):
        np.testing.assert_array_equal(weight.numpy(), array)


def test_pretrained_files_load_by_name_into_another_head(pretrained):
    path, groups = pretrained
    model = Sequential(
        [
            layers.Input((4, 4, 3)),
            layers.Dense(3, name="new_first"),
            layers.Conv2D(2, 3, padding="same", name="block1_conv1"),
            layers.Flatten(),
            layers.Dense(7, name="new_head"),
        ]
    )
    untouched = [array.copy() for array in (*model.layers[0].get_weights(), *model.layers[-1].get_weights())]
    model.load_weights(path, by_name=True)
    kernel, bias = groups["block1_conv1"].values()
    np.testing.assert_array_equal(model.layers[1].kernel.numpy(), kernel)
    np.testing.assert_array_equal(model.layers[1].bias.numpy(), bias)
    for old, new in zip(untouched, (*model.layers[0].get_weights(), *model.layers[-1].get_weights()), strict=True):
        np.testing.assert_array_equal(old, new)


def test_old_files_that_do_not_fit_say_so_and_change_nothing(pretrained):
    path, _ = pretrained
    model = small_vgg()
    model.pop()
    before = model.get_weights()
    with pytest.raises(
        ValueError, match=r"Layer count mismatch.*expected 2 layers \(block1_conv1, bn_conv1\).*found 3"
    ):
        model.load_weights(path)
    model.add(layers.Dense(6, name="predictions"))
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"predictions.*kernel has shape \(8, 6\), in the file \(8, 5\)"):
        model.load_weights(path)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    with pytest.warns(UserWarning, match=r"Skipping what does not fit: .*\(8, 6\)"):
        model.load_weights(path, skip_mismatch=True)
    np.testing.assert_array_equal(model.layers[-1].kernel.numpy(), before[-2])
    assert (model.layers[0].kernel.numpy() != before[0]).all()


def test_names_in_several_attributes_are_read_as_one_list(tmp_path, rng):
    kernel, bias = rng.random((3, 2)).astype("float32"), rng.random(2).astype("float32")
    path = old_file(tmp_path / "w.h5", {"a": {"k": kernel, "b": bias}, "c": {"k": kernel[:2], "b": bias}})
    with h5py.File(path, "a") as h5:
        del h5.attrs["layer_names"]
        h5.attrs["layer_names0"], h5.attrs["layer_names1"] = [b"a"], [b"c"]
    model = Sequential([layers.Input((3,)), layers.Dense(2, name="a"), layers.Dense(2, name="c")])
    model.load_weights(path)
    np.testing.assert_array_equal(model.layers[1].kernel.numpy(), kernel[:2])


def test_a_whole_model_of_keras_2_loads(tmp_path, rng):
    kernel, bias = rng.random((3, 2)).astype("float32"), rng.random(2).astype("float32")
    config = {
        "class_name": "Model",
        "config": {
            "name": "model_1",
            "layers": [
                {
                    "class_name": "InputLayer",
                    "config": {"batch_input_shape": [None, 3], "dtype": "float32", "sparse": False, "name": "input_1"},
                    "name": "input_1",
                    "inbound_nodes": [],
                },
                {
                    "class_name": "Dense",
                    "config": {
                        "name": "dense_1",
                        "trainable": True,
                        "units": 2,
                        "activation": "linear",
                        "use_bias": True,
                        "kernel_initializer": {"class_name": "GlorotUniform", "config": {"seed": None}},
                        "bias_initializer": {"class_name": "Zeros", "config": {}},
                        "kernel_constraint": None,
                    },
                    "name": "dense_1",
                    "inbound_nodes": [[["input_1", 0, 0, {}]]],
                },
            ],
            "input_layers": [["input_1", 0, 0]],
            "output_layers": [["dense_1", 0, 0]],
        },
    }
    groups = {"input_1": {}, "dense_1": {"dense_1/kernel:0": kernel, "dense_1/bias:0": bias}}
    path = old_file(tmp_path / "m.h5", groups, config)
    model = load_model(path, compile=False)
    x = rng.random((4, 3)).astype("float32")
    np.testing.assert_allclose(model.predict(x, verbose=0)[0], dense(x, kernel, bias), rtol=1e-5)
    with pytest.warns(UserWarning, match="does not say how the model was trained"):
        assert not load_model(path).compiled
