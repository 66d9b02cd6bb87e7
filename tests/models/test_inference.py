"""Layers that ``predict`` runs as one: the same values, whatever is changed in between, and only where they may be."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from devices import DEVICES, skip_unless_there

from deepcore import Input, Model, Sequential, Tensor, layers, ops, random, use_device
from deepcore.autograd import no_grad
from deepcore.backend.numpy import packed
from deepcore.models import use_fusion

CLOSE = {"rtol": 1e-5, "atol": 2e-5}


@pytest.fixture(params=DEVICES)
def device(request):
    skip_unless_there(request.param)
    with use_device(request.param):
        yield request.param


@pytest.fixture(autouse=True)
def seed():
    random.set_seed(3)


def unlike_new(model, rng):
    """The model with weights that no initializer gives: a statistic that was forgotten would show."""
    model.set_weights(
        [rng.uniform(0.3, 1.5, w.shape).astype(np.float32) * (-1) ** i for i, w in enumerate(model.weights)]
    )
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.moving_variance.assign(rng.uniform(0.5, 2.0, layer.moving_variance.shape))
    return model


def norm(**options):
    return layers.BatchNormalization(**options)


def conv_norm(conv, activation="relu", shape=(7, 6, 4)):
    return Sequential([Input(shape), conv, norm(), layers.Activation(activation)])


def counts_writes(model):
    """Whether it is known when weights are written to; on a GPU it is not, and what needs it is not fused."""
    return model.device.kind != "cuda"


def check(model, x, together=True):
    """Values with and without fusion are close; what is not recorded is bitwise the same in ``predict``."""
    with use_fusion(False):
        expected = model.predict_on_batch(x)
    found = model.predict_on_batch(x)
    np.testing.assert_allclose(found, expected, **CLOSE)
    if counts_writes(model):
        assert bool(model.fused_layers) is together
    with no_grad():
        again = model(x)
    np.testing.assert_array_equal(again.numpy(), found)
    return found


IMAGES = {
    "conv": lambda: conv_norm(layers.Conv2D(5, 3)),
    "no bias, no activation": lambda: Sequential([Input((7, 6, 4)), layers.Conv2D(5, 3, use_bias=False), norm()]),
    "strides, groups": lambda: conv_norm(layers.Conv2D(6, 3, strides=2, padding="same", groups=2), "relu6"),
    "dilated": lambda: conv_norm(layers.Conv2D(4, 2, dilation_rate=2), "tanh"),
    "depthwise": lambda: conv_norm(layers.DepthwiseConv2D(3, strides=(2, 2), padding="same")),
    "depthwise, several": lambda: conv_norm(layers.DepthwiseConv2D((2, 3), depth_multiplier=2)),
    "separable": lambda: conv_norm(layers.SeparableConv2D(5, 3, depth_multiplier=2)),
    "transposed": lambda: conv_norm(layers.Conv2DTranspose(5, 3, strides=2, padding="same")),
    "no scale, no center": lambda: Sequential(
        [Input((7, 6, 4)), layers.Conv2D(3, 1), norm(scale=False, center=False, epsilon=0.1), layers.ReLU()]
    ),
    "padding": lambda: Sequential(
        [Input((7, 6, 4)), layers.ZeroPadding2D(((0, 1), (2, 3))), layers.Conv2D(5, 3, strides=2), norm()]
    ),
    "padding alone": lambda: Sequential(
        [Input((7, 6, 4)), layers.ZeroPadding2D(1), layers.Conv2D(5, 3, activation="elu")]
    ),
    "relu of six": lambda: Sequential([Input((7, 6, 4)), layers.Conv2D(5, 3), layers.ReLU(6)]),
    "leaky": lambda: Sequential([Input((7, 6, 4)), layers.Conv2D(5, 3), norm(), layers.LeakyReLU(0.2)]),
    "channels first": lambda: Sequential(
        [
            Input((4, 7, 6)),
            layers.ZeroPadding2D(1, data_format="channels_first"),
            layers.Conv2D(5, 3, data_format="channels_first"),
            norm(axis=1),
            layers.ReLU(),
        ]
    ),
}


@pytest.mark.parametrize("name", IMAGES)
def test_a_product_takes_in_padding_statistics_and_activation(name, device, rng):
    model = unlike_new(IMAGES[name](), rng)
    x = rng.standard_normal((2, *model.input_shape[1:])).astype(np.float32)
    found = check(model, x)
    if counts_writes(model):
        assert model.fused_layers == [[layer.name for layer in model.layers]]
    # Against the formula in float64, so that both ways cannot be wrong together.
    wide = unlike_new(Sequential.from_config(as_float64(model)), rng)
    wide.set_weights(model.get_weights())
    with use_fusion(False):
        np.testing.assert_allclose(found, wide.predict_on_batch(x.astype(np.float64)), rtol=1e-4, atol=1e-4)


def as_float64(model):
    config = copy.deepcopy(model.get_config())
    config["dtype"]["config"]["name"] = "float64"
    for layer in config["layers"]:
        of = layer["config"]
        if isinstance(of.get("dtype"), dict):
            of["dtype"]["config"]["name"] = "float64"
        else:
            of["dtype"] = "float64"
    return config


@pytest.mark.parametrize(
    "make",
    [
        lambda: Sequential([Input((9, 4)), layers.ZeroPadding1D((2, 1)), layers.Conv1D(5, 3), norm(), layers.ReLU()]),
        lambda: Sequential([Input((9, 4)), layers.Conv1D(5, 3, padding="causal"), norm(), layers.ELU()]),
        lambda: Sequential([Input((9, 4)), layers.Dense(5), norm(), layers.Activation("sigmoid")]),
        lambda: Sequential([Input((4,)), layers.Dense(5, use_bias=False), norm(), layers.Activation("relu")]),
    ],
)
def test_sequences_and_vectors(make, device, rng):
    model = unlike_new(make(), rng)
    check(model, rng.standard_normal((3, *model.input_shape[1:])).astype(np.float32))
    if counts_writes(model):
        assert model.fused_layers == [[layer.name for layer in model.layers]]


def residual(data_format="channels_last"):
    shape, axis = ((6, 6, 4), -1) if data_format == "channels_last" else ((4, 6, 6), 1)
    of = {"data_format": data_format}
    x = Input(shape)
    y = layers.ReLU(name="first")(norm(axis=axis)(layers.Conv2D(4, 3, padding="same", **of)(x)))
    z = norm(axis=axis)(layers.Conv2D(4, 1, **of)(y))
    y = layers.Activation("relu")(layers.Add()([z, y]))
    short = norm(axis=axis)(layers.Conv2D(3, 1, strides=2, **of)(y))
    long = norm(axis=axis)(layers.Conv2D(3, 3, strides=2, **of)(layers.ZeroPadding2D(1, **of)(y)))
    y = layers.ReLU(6.0)(layers.Add()([short, long]))
    return Model(x, layers.GlobalAveragePooling2D(**of)(y))


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_residual_blocks(data_format, device, rng):
    model = unlike_new(residual(data_format), rng)
    x = rng.standard_normal((2, *model.input_shape[1:])).astype(np.float32)
    before = x.copy()
    check(model, x)
    np.testing.assert_array_equal(x, before)
    if counts_writes(model):
        assert [len(names) for names in model.fused_layers] == [3, 2, 2, 2, 3, 2]


def test_a_sum_is_never_written_over_what_somebody_else_reads(rng):
    x = Input((6, 6, 4))
    a = layers.Conv2D(4, 1)(x)
    doubled = layers.ReLU()(layers.Add()([a, a]))
    with_input = layers.ReLU()(layers.Add()([x, layers.Conv2D(4, 1)(x)]))
    b = layers.Conv2D(4, 1)(x)
    seen = layers.ReLU()(layers.Add()([b, x]))
    model = Model(x, [doubled, with_input, seen, b, x])
    data = rng.standard_normal((2, 6, 6, 4)).astype(np.float32)
    given = data.copy()
    with use_fusion(False):
        expected = model.predict_on_batch(data)
    for _ in range(2):
        for found, want in zip(model.predict_on_batch(data), expected, strict=True):
            np.testing.assert_allclose(found, want, **CLOSE)
    np.testing.assert_array_equal(data, given)


def test_a_sum_that_broadcasts_is_left_to_the_layers(rng):
    x, y = Input((6, 4)), Input((1, 4))
    model = Model([x, y], layers.ReLU()(layers.Add()([x, y])))
    a, b = rng.standard_normal((2, 6, 4)).astype(np.float32), rng.standard_normal((2, 1, 4)).astype(np.float32)
    np.testing.assert_array_equal(model.predict_on_batch([a, b]), np.maximum(a + b, 0))


# What is folded is made anew


def test_every_write_to_a_weight_counts(device, rng, tmp_path):
    model = unlike_new(conv_norm(layers.Conv2D(5, 3)), rng)
    x = rng.standard_normal((4, 7, 6, 4)).astype(np.float32)
    known = [check(model, x)]

    def changed():
        known.append(check(model, x))
        assert all(np.abs(known[-1] - before).max() > 1e-4 for before in known[:-1])

    for weight in model.weights:  # kernel, bias, gamma, beta, mean and variance, each by itself
        weight.assign(weight * 1.25 + 0.125)
        changed()
    model.save_weights(tmp_path / "kept.weights.h5")
    kept = model.get_weights()
    model.compile("sgd", "mse")
    model.train_on_batch(x, rng.standard_normal(known[-1].shape).astype(np.float32))
    changed()
    model.set_weights([w * 0.5 for w in kept])
    changed()
    model.load_weights(tmp_path / "kept.weights.h5")
    np.testing.assert_array_equal(check(model, x), known[-3])


def test_statistics_of_a_step_in_training_count(rng):
    model = unlike_new(conv_norm(layers.Conv2D(5, 3)), rng)
    x = rng.standard_normal((4, 7, 6, 4)).astype(np.float32)
    before = check(model, x)
    with no_grad():
        trained = model(x, training=True).numpy()  # moves the statistics, and normalises by those of the batch
    assert np.abs(trained - before).max() > 1e-2
    assert np.abs(check(model, x) - before).max() > 1e-4


def test_an_attribute_that_is_set_counts(rng):
    model = unlike_new(conv_norm(layers.Conv2D(5, 3), "relu"), rng)
    x = rng.standard_normal((2, 7, 6, 4)).astype(np.float32)
    conv, statistics, activation = model.layers
    check(model, x)
    activation.activation = ops.tanh
    check(model, x)
    statistics.epsilon = 0.5
    check(model, x)
    activation.activation = lambda y: y * 2
    check(model, x, together=False)
    conv.strides = (2, 2)
    check(model, x, together=False)


def test_weights_that_left_the_library_are_not_folded(rng):
    model = unlike_new(conv_norm(layers.Conv2D(5, 3)), rng)
    x = rng.standard_normal((2, 7, 6, 4)).astype(np.float32)
    check(model, x)
    memory = model.layers[0].kernel.data  # may be written to unseen from now on
    check(model, x, together=False)
    memory *= 2
    check(model, x, together=False)


def test_copies_fold_their_own_weights(rng):
    model = unlike_new(conv_norm(layers.Conv2D(5, 3)), rng)
    x = rng.standard_normal((2, 7, 6, 4)).astype(np.float32)
    expected = check(model, x)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(check(other, x), expected)
        other.layers[1].gamma.assign(other.layers[1].gamma * 2)
        assert np.abs(check(other, x) - expected).max() > 1e-4
    np.testing.assert_array_equal(check(model, x), expected)


def test_what_kernels_make_of_folded_weights_is_kept(rng):
    model = unlike_new(conv_norm(layers.Conv2D(64, 3), shape=(20, 20, 16)), rng)
    x = rng.standard_normal((1, 20, 20, 16)).astype(np.float32)
    ((step, _),) = [each for each in model.graph.plan(True) if hasattr(each[0].operation, "as_one")]
    model.predict_on_batch(x)
    one = step.operation.as_one()
    assert packed.versions([one.kernel._array]) is not None
    model.predict_on_batch(x)
    assert step.operation.as_one() is one


# Where layers must be called as they are


def test_not_where_something_is_recorded_or_trained(rng):
    model = unlike_new(conv_norm(layers.Conv2D(5, 3)), rng)
    x = rng.standard_normal((2, 7, 6, 4)).astype(np.float32)
    y = model(x, training=False)
    ops.sum(y).backward()
    assert all(w.grad is not None for w in model.trainable_weights)
    with use_fusion(False):
        np.testing.assert_array_equal(model.predict_on_batch(x), y.numpy())


def test_shared_layers(rng):
    x = Input((7, 6, 4))
    conv, statistics, other = layers.Conv2D(4, 3, padding="same"), norm(), norm()
    y = layers.ReLU()(statistics(conv(x)))
    y = layers.ReLU()(statistics(conv(y)))
    y = layers.ReLU()(other(conv(y)))
    model = unlike_new(Model(x, y), rng)
    check(model, rng.standard_normal((2, 7, 6, 4)).astype(np.float32))
    operations = [step.operation for step, _ in model.graph.plan(True)]
    assert len(operations) == 3
    assert len({id(operation) for operation in operations}) == 3  # the three activations differ


def test_a_model_within_a_model(rng):
    inner = residual()
    x = Input((6, 6, 4))
    outer = unlike_new(Model(x, layers.Dense(2)(inner(layers.ReLU()(norm()(layers.Conv2D(4, 1)(x)))))), rng)
    unlike_new(inner, rng)
    data = rng.standard_normal((2, 6, 6, 4)).astype(np.float32)
    check(outer, data)
    assert len(outer.fused_layers) == 1
    assert len(inner.fused_layers) == 6
    before = check(outer, data)
    inner.layers[2].gamma.assign(inner.layers[2].gamma * 3)
    assert np.abs(check(outer, data) - before).max() > 1e-4


class Doubling(layers.Conv2D):
    def call(self, x):
        return super().call(x) * 2


def penalised():
    return Sequential([Input((7, 6, 4)), layers.Conv2D(5, 3, activity_regularizer="l2"), norm(), layers.ReLU()])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Sequential([Input((7, 6, 4)), Doubling(5, 3), norm(), layers.ReLU()]),
        lambda: Sequential([Input((7, 6, 4)), layers.Conv2D(5, 3, activation="relu"), norm()]),
        lambda: Sequential([Input((7, 6, 4)), layers.Conv2D(5, 3), norm(axis=1)]),
        lambda: Sequential([Input((7, 6, 4)), layers.Conv2D(5, 3), layers.Activation("softmax")]),
        lambda: Sequential([Input((7, 6, 4)), layers.Conv2D(5, 3), layers.ReLU(5.0)]),
        lambda: Sequential([Input((7, 6, 4)), layers.ZeroPadding2D(1), layers.Conv2D(5, 3, padding="same")]),
        lambda: Sequential([Input((7, 6, 4)), layers.ZeroPadding2D(1), layers.MaxPooling2D(3, strides=2)]),
        penalised,
    ],
)
def test_layers_that_mean_something_else_are_called_as_they_are(make, rng):
    model = unlike_new(make(), rng)
    check(model, rng.standard_normal((2, 7, 6, 4)).astype(np.float32), together=False)


def test_an_output_within_is_given(rng):
    x = Input((7, 6, 4))
    conv = layers.Conv2D(5, 3)(x)
    model = unlike_new(Model(x, [conv, layers.ReLU()(norm()(conv))]), rng)
    data = rng.standard_normal((2, 7, 6, 4)).astype(np.float32)
    assert model.fused_layers == []
    first, second = model.predict_on_batch(data)
    with use_fusion(False):
        expected = model.predict_on_batch(data)
    np.testing.assert_array_equal(first, expected[0])
    np.testing.assert_array_equal(second, expected[1])


def test_penalties_on_outputs_stay(rng):
    model = penalised()
    model.compile("sgd", "mse")
    x = rng.standard_normal((2, 7, 6, 4)).astype(np.float32)
    y = model.predict_on_batch(x)
    with use_fusion(False):
        expected = model.evaluate(x, y * 0, verbose=0)
    np.testing.assert_allclose(model.evaluate(x, y * 0, verbose=0), expected, rtol=1e-5)


def test_a_mask_goes_through(rng):
    model = unlike_new(Sequential([Input((9, 4)), layers.Masking(), layers.Dense(5), norm(), layers.ReLU()]), rng)
    x = rng.standard_normal((2, 9, 4)).astype(np.float32)
    x[:, 5:] = 0
    with no_grad():
        y = model(x)
    np.testing.assert_array_equal(y.mask.numpy(), np.arange(9) < np.array([[5], [5]]))


def test_a_call_drawn_for_training_stays_one(rng):
    x = Input((7, 6, 4))
    statistics = norm()
    model = Model(x, layers.ReLU()(statistics(layers.Conv2D(5, 3)(x), training=True)))
    before = statistics.moving_mean.numpy()
    model.predict_on_batch(rng.standard_normal((2, 7, 6, 4)).astype(np.float32) + 1)
    assert np.abs(statistics.moving_mean.numpy() - before).max() > 1e-4


def test_float64_is_folded_in_float64(rng):
    model = Sequential(
        [Input((7, 6, 4), dtype="float64"), layers.Conv2D(5, 3, dtype="float64"), norm(dtype="float64")], name="wide"
    )
    x = rng.standard_normal((2, 7, 6, 4))
    with use_fusion(False):
        expected = model.predict_on_batch(x)
    found = model.predict_on_batch(x)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)
    assert len(model.fused_layers) == 1


def test_policies_that_differ_are_kept(rng):
    model = Sequential([Input((7, 6, 4)), layers.Conv2D(5, 3), norm(dtype="float64"), layers.ReLU(dtype="float64")])
    check(model, rng.standard_normal((2, 7, 6, 4)).astype(np.float32), together=False)


def test_a_layer_that_was_added_and_not_drawn_is_called(rng):
    model = unlike_new(conv_norm(layers.Conv2D(5, 3)), rng)
    x = rng.standard_normal((2, 7, 6, 4)).astype(np.float32)
    before = check(model, x)
    model.add(layers.Rescaling(2.0), rebuild=False)
    with no_grad():
        np.testing.assert_allclose(model(x).numpy(), before * 2, **CLOSE)


def test_errors_name_the_layer_as_ever(rng):
    model = Sequential(
        [Input((None, None, 4)), layers.ZeroPadding2D(1), layers.Conv2D(5, 5, name="wide"), norm(), layers.ReLU()]
    )
    with no_grad(), pytest.raises(ValueError, match="wide"):
        model(np.ones((1, 2, 2, 4), np.float32))
    with no_grad(), pytest.raises(ValueError, match=r"wide.*size 4 on axis -1"):
        model(Tensor(np.ones((1, 8, 8, 3), np.float32)))
