"""What a layer is before its build, what the build is given, and what may not come after it."""

from __future__ import annotations

import numpy as np
import pytest

from deepcore import Model, Sequential, layers, ops
from deepcore.layers import Dense, Layer

# Every test runs on the CPU, on the emulator, and on a GPU where there is one.
pytestmark = pytest.mark.usefixtures("device")

X = np.float32([[1, -2, 3], [0, 4, -1]])


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Activation("relu"),
        lambda: layers.ActivityRegularization(0.1),
        lambda: layers.AdaptiveMaxPooling2D(2),
        lambda: layers.Dropout(0.5),
        lambda: layers.GlobalMaxPooling1D(),
        layers.Identity,
        layers.Masking,
        layers.MaxPooling2D,
        lambda: layers.Reshape((3, 1)),
        layers.UnitNormalization,
    ],
)
def test_a_layer_without_weights_is_built_when_it_is_made(make):
    layer = make()
    assert layer.built

    class Building(type(layer)):
        def build(self, input_shape):
            self.scale = self.add_weight((), "ones")

    arguments, options = layer._given
    assert not Building(*arguments, **options).built


def test_a_layer_of_ones_own_is_built_by_its_first_call():
    class Twice(Layer):
        def call(self, x):
            return 2 * x

    layer = Twice()
    assert not layer.built
    np.testing.assert_array_equal(layer(X).numpy(), 2 * X)
    assert layer.built


def test_build_is_given_the_shapes_of_the_arguments_that_it_names():
    class Shapes(Layer):
        def build(self, second_shape, first_shape):
            self.seen = first_shape, second_shape

        def call(self, first, second=None, third=None):
            return first

    layer = Shapes()
    layer(X, np.zeros((2, 5)))
    assert layer.seen == ((2, 3), (2, 5))
    layer = Shapes()
    layer(X, third=np.zeros((2, 5)))
    assert layer.seen == ((2, 3), None)


@pytest.mark.parametrize("name", ["other", "absent_shape"])
def test_build_may_only_ask_for_shapes_of_arguments(name):
    class Shapes(Layer):
        def call(self, first, other):
            return first

    source = f"def build(self, first_shape, {name}): self.built = True"
    scope: dict = {}
    exec(source, scope)
    with pytest.raises(ValueError, match=f"build.. takes first_shape, {name}, .*{name!r} is not an argument"):
        type("Asking", (Shapes,), {"build": scope["build"]})()(X, X)


def test_a_built_layer_gets_no_further_weights():
    class Late(Layer):
        def call(self, x):
            self.scale = self.add_weight((), "ones", name="scale")
            return x * self.scale

    layer = Late()
    with pytest.raises(ValueError, match="is built, and gets no further weights: make scale in"):
        layer(X)
    dense = Dense(2)
    dense.build((None, 3))
    with pytest.raises(ValueError, match="gets no further weights"):
        dense.build((None, 3))
    assert [weight.name for weight in dense.weights] == ["kernel", "bias"]


def test_a_weight_made_with_the_layer_is_found_under_the_layers_name():
    class Inner(Layer):
        def __init__(self):
            super().__init__(name="inner")
            self.factor = self.add_weight((1,), "ones", name="factor")

    class Outer(Layer):
        def __init__(self):
            super().__init__(name="outer")
            self.inner = Inner()
            self.shift = self.add_weight((1,), "zeros", name="shift")

    assert {weight.path for weight in Outer().weights} == {"inner/factor", "outer/shift"}


def test_a_name_instead_of_a_shape_is_said():
    with pytest.raises(ValueError, match="A name is given as name="):
        Layer().add_weight("kernel")


def test_the_first_input_may_be_given_by_keras_name():
    np.testing.assert_array_equal(layers.ReLU()(inputs=X).numpy(), np.maximum(X, 0))
    np.testing.assert_array_equal(layers.Flatten()(inputs=X).numpy(), X)


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_a_penalty_on_the_output_does_not_grow_with_the_batch(rows):
    layer = layers.Activation("linear", activity_regularizer="l2")
    layer(np.full((rows, 3), 2, np.float32))
    assert [float(loss) for loss in layer.losses] == pytest.approx([0.01 * 3 * 4])


def test_losses_of_drawn_calls_are_not_collected():
    class Penalised(Layer):
        def call(self, x):
            self.add_loss(ops.sum(x))
            return x

    layer = Penalised()
    layer(layers.Input((3,)))
    assert layer.losses == []
    model = Sequential([Sequential([Penalised(activity_regularizer="l1")])])
    model(X)
    assert [float(loss) for loss in model.losses] == pytest.approx([X.sum(), 0.01 * abs(X).sum() / 2])


def test_a_dense_layer_hands_on_its_mask():
    class Count(Layer):
        def call(self, x, mask=None):
            return ops.sum(ops.cast(mask, "float32"), -1)

    model = Sequential([layers.Masking(), Dense(2), Count()])
    np.testing.assert_array_equal(model(np.float32([[[0, 0], [1, 0], [2, 3]]])).numpy(), [2])


def test_an_activation_may_be_taken_away():
    layer = Dense(2, activation="relu")
    layer.build((None, 3))
    layer.activation = None
    np.testing.assert_allclose(layer(X).numpy(), X @ layer.kernel.numpy(), rtol=1e-6)


def test_masks_may_be_asked_for_without_one_before():
    ids = np.int32([[1, 0, 2]])
    np.testing.assert_array_equal(layers.Embedding(3, 2, mask_zero=True).compute_mask(ids).numpy(), [[1, 0, 1]])
    assert layers.Embedding(3, 2).compute_mask(ids) is None
    np.testing.assert_array_equal(layers.Masking().compute_mask(X[..., None] * [0.0, 1.0]).numpy(), X != 0)


def test_an_input_has_a_layer_of_its_own_name():
    x = layers.Input((3,))
    model = Model(x, Dense(2)(x))
    assert model.layers[0].name.startswith("input_layer")
    assert x.name.startswith("keras_tensor")
    assert layers.Input((3,), name="pixels").node.operation.name == "pixels"
    assert layers.InputLayer((3,), dtype="int32").dtype == "int32"


def test_an_input_by_its_old_arguments():
    with pytest.warns(UserWarning, match="old name of shape"):
        layer = layers.InputLayer(input_shape=(2, 3), batch_size=4)
    assert layer.batch_shape == (4, 2, 3)
    assert layers.InputLayer(batch_input_shape=(None, 2)).batch_shape == (None, 2)


@pytest.mark.parametrize(
    "arguments",
    [
        {"batch_size": 2, "batch_shape": (2, 3)},
        {"input_tensor": (2, 3), "shape": (4,)},
        {"input_tensor": (2, 3), "batch_shape": (2, 4)},
        {"input_tensor": (2, 3), "batch_size": 3},
        {"input_tensor": (2, 3), "dtype": "int32"},
    ],
)
def test_an_input_that_contradicts_itself(arguments):
    if "input_tensor" in arguments:
        arguments = {**arguments, "input_tensor": layers.Input(batch_shape=arguments["input_tensor"])}
    with pytest.raises(ValueError, match="got"):
        layers.InputLayer(**arguments)


def test_an_input_for_a_tensor_that_is_there():
    x = layers.Input((3,), batch_size=2)
    layer = layers.InputLayer((3,), 2, "float32", input_tensor=x)
    assert layer.output is x
    assert layer.batch_shape == (2, 3)


def test_the_tensors_that_a_call_would_give():
    class Halves(Layer):
        def call(self, x):
            return {"low": x[:, :2], "mean": ops.mean(x, -1)}

    found = Halves().compute_output_spec(layers.Input((4,)))
    assert {name: y.shape for name, y in found.items()} == {"low": (None, 2), "mean": (None,)}
    layer = Dense(2, dtype="float64")
    y = layer.compute_output_spec(layers.Input((4, 3)))
    assert (y.shape, y.dtype) == ((None, 4, 2), "float64")

    class Own(Layer):
        def call(self, x):
            return ops.cast(x > 0, "int32")

        def compute_output_spec(self, x):
            return ops.cast(x, "int32")

    assert Own()(layers.Input((3,))).dtype == "int32"
