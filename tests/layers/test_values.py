"""Outputs of layers against naive float64 formulas, and gradients through them against finite differences."""

from __future__ import annotations

import math

import numpy as np
import pytest

from deepcore import activations, layers
from deepcore.autograd import gradcheck
from deepcore.models import Sequential

# Every test runs on the CPU, on the emulator, and on a GPU where there is one.
pytestmark = pytest.mark.usefixtures("device")

TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


def filled(layer, shape, rng):
    """The layer built for ``shape`` with random weights, and these in float64."""
    layer.build(shape)
    weights = [rng.uniform(0.3, 1.2, v.shape) for v in layer.weights]
    layer.set_weights([w.astype(np.float32) for w in weights])
    return [np.float64(np.float32(w)) for w in weights]


def naive_conv(x, kernel, strides=(1, 1), pads=((0, 0), (0, 0)), dilation=(1, 1), groups=1):
    x = np.pad(x.astype(np.float64), ((0, 0), *pads, (0, 0)))
    r, s, per_group, filters = kernel.shape
    height = (x.shape[1] - (r - 1) * dilation[0] - 1) // strides[0] + 1
    width = (x.shape[2] - (s - 1) * dilation[1] - 1) // strides[1] + 1
    y = np.zeros((len(x), height, width, filters))
    for k in range(filters):
        first = k // (filters // groups) * per_group
        for p in range(height):
            for q in range(width):
                for i in range(r):
                    for j in range(s):
                        row, column = p * strides[0] + i * dilation[0], q * strides[1] + j * dilation[1]
                        y[:, p, q, k] += x[:, row, column, first : first + per_group] @ kernel[i, j, :, k]
    return y


def naive_transpose(x, kernel, strides, pads, size):
    """Every input pixel paints the kernel [r, s, filters, channels] into the output."""
    r, s, filters, _ = kernel.shape
    y = np.zeros((len(x), size[0] + r * 2 + 9, size[1] + s * 2 + 9, filters))
    for p in range(x.shape[1]):
        for q in range(x.shape[2]):
            for i in range(r):
                for j in range(s):
                    y[:, p * strides[0] + i, q * strides[1] + j] += x[:, p, q].astype(np.float64) @ kernel[i, j].T
    return y[:, pads[0] : pads[0] + size[0], pads[1] : pads[1] + size[1]]


def check(layer, x, expected, **call):
    y = layer(x, **call)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.numpy(), expected, **TOLERANCE)
    assert tuple(layer.compute_output_shape((None, *x.shape[1:]))) == (None, *expected.shape[1:])


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "hard_sigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "tanh": np.tanh,
    "exponential": np.exp,
    "softplus": lambda x: np.log1p(np.exp(x)),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "hard_silu": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "log_sigmoid": lambda x: -np.log1p(np.exp(-x)),
    "softmax": softmax,
    "log_softmax": lambda x: np.log(softmax(x)),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_alone_and_behind_a_dense_layer(name, rng):
    x = rng.standard_normal((5, 7)).astype(np.float32)
    np.testing.assert_allclose(activations.get(name)(x).numpy(), ACTIVATIONS[name](np.float64(x)), **TOLERANCE)
    layer = layers.Dense(4, activation=name)
    kernel, bias = filled(layer, x.shape, rng)
    check(layer, x, ACTIVATIONS[name](x @ kernel - 0 + bias))
    assert activations.serialize(layer.activation) == name


def test_every_known_activation_is_tested():
    assert {f.__name__ for f in activations.registry.entries.values()} == set(ACTIVATIONS)


def test_dense_works_on_the_last_axis_of_any_rank(rng):
    x = rng.standard_normal((2, 3, 4, 5)).astype(np.float32)
    layer = layers.Dense(6, use_bias=False)
    (kernel,) = filled(layer, x.shape, rng)
    check(layer, x, x.astype(np.float64) @ kernel)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("strides", "dilation", "groups"), [(1, 1, 1), (2, 1, 1), ((2, 1), 1, 2), (1, 2, 1)])
def test_conv2d(padding, strides, dilation, groups, rng):
    x = rng.standard_normal((2, 7, 6, 4)).astype(np.float32)
    layer = layers.Conv2D(6, (3, 2), strides, padding, dilation_rate=dilation, groups=groups, activation="relu")
    kernel, bias = filled(layer, x.shape, rng)
    step = (strides, strides) if isinstance(strides, int) else strides
    pads = []
    for size, extent, stride in zip(x.shape[1:3], (3, 2), step, strict=True):
        total = max((math.ceil(size / stride) - 1) * stride + (extent - 1) * dilation + 1 - size, 0)
        pads.append((total // 2, total - total // 2) if padding == "same" else (0, 0))
    expected = naive_conv(x, kernel, step, pads, (dilation, dilation), groups) + bias
    check(layer, x, np.maximum(expected, 0))


def test_conv2d_with_an_activation_that_is_not_fused(rng):
    x = rng.standard_normal((2, 5, 5, 3)).astype(np.float32)
    layer = layers.Conv2D(4, 3, activation="softmax")
    kernel, bias = filled(layer, x.shape, rng)
    check(layer, x, softmax(naive_conv(x, kernel) + bias))


def test_depthwise_conv2d(rng):
    x = rng.standard_normal((2, 5, 6, 3)).astype(np.float32)
    layer = layers.DepthwiseConv2D(3, depth_multiplier=2)
    kernel, bias = filled(layer, x.shape, rng)
    expected = np.concatenate([naive_conv(x[..., c : c + 1], kernel[:, :, c : c + 1, :]) for c in range(3)], -1)
    check(layer, x, expected + bias)


@pytest.mark.parametrize(
    ("padding", "output_padding", "size", "pads"),
    [
        ("valid", None, (9, 7), (0, 0)),
        ("same", None, (8, 6), (0, 0)),
        ("valid", 1, (10, 8), (0, 0)),
        ("same", 1, (8, 6), (0, 0)),  # 3 * 2 + 3 - 2 * (3 // 2) + 1
    ],
)
def test_conv2d_transpose(padding, output_padding, size, pads, rng):
    x = rng.standard_normal((2, 4, 3, 5)).astype(np.float32)
    layer = layers.Conv2DTranspose(2, 3, strides=2, padding=padding, output_padding=output_padding)
    kernel, bias = filled(layer, x.shape, rng)
    check(layer, x, naive_transpose(x, kernel, (2, 2), pads, size) + bias)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("kind", ["max", "mean"])
def test_pooling(kind, padding, rng):
    x = rng.standard_normal((2, 7, 6, 3)).astype(np.float32) - 3
    layer = (layers.MaxPooling2D if kind == "max" else layers.AveragePooling2D)((3, 2), (2, 2), padding)
    ends = ((1, 1), (0, 0)) if padding == "same" else ((0, 0), (0, 0))
    padded = np.pad(x.astype(np.float64), ((0, 0), *ends, (0, 0)), constant_values=np.nan)
    height, width = (padded.shape[1] - 3) // 2 + 1, (padded.shape[2] - 2) // 2 + 1
    expected = np.zeros((2, height, width, 3))
    for p in range(height):
        for q in range(width):
            window = padded[:, 2 * p : 2 * p + 3, 2 * q : 2 * q + 2]
            expected[:, p, q] = (np.nanmax if kind == "max" else np.nanmean)(window, axis=(1, 2))
    check(layer, x, expected)


@pytest.mark.parametrize("keepdims", [False, True])
def test_global_pooling(keepdims, rng):
    x = rng.standard_normal((2, 7, 6, 3)).astype(np.float32)
    check(layers.GlobalMaxPooling2D(keepdims=keepdims), x, x.max((1, 2), keepdims=keepdims))
    check(layers.GlobalAveragePooling2D(keepdims=keepdims), x, np.float64(x).mean((1, 2), keepdims=keepdims))


@pytest.mark.parametrize(
    "make",
    [
        lambda form: layers.Conv2D(4, 3, strides=(2, 1), padding="same", activation="relu", data_format=form, name="a"),
        lambda form: layers.DepthwiseConv2D((2, 3), data_format=form, name="a"),
        lambda form: layers.Conv2DTranspose(4, 3, strides=2, data_format=form, name="a"),
        lambda form: layers.MaxPooling2D((2, 3), data_format=form),
        lambda form: layers.AveragePooling2D((2, 3), padding="same", data_format=form),
        lambda form: layers.GlobalMaxPooling2D(data_format=form),
        lambda form: layers.GlobalAveragePooling2D(data_format=form, keepdims=True),
    ],
)
def test_channels_first_is_channels_last_transposed(make, rng):
    x = rng.standard_normal((2, 6, 7, 3)).astype(np.float32)
    last, first = make("channels_last"), make("channels_first")
    expected = last(x)
    moved = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    first(moved)
    first.set_weights(last.get_weights())
    expected = expected.numpy()
    check(first, moved, expected.transpose(0, 3, 1, 2) if expected.ndim == 4 else expected)


def test_flatten_and_reshape(rng):
    x = rng.standard_normal((2, 3, 4, 5)).astype(np.float32)
    check(layers.Flatten(), x, x.reshape(2, 60))
    check(layers.Flatten(data_format="channels_first"), x, x.transpose(0, 2, 3, 1).reshape(2, 60))
    check(layers.Reshape((6, -1)), x, x.reshape(2, 6, 10))
    assert layers.Flatten().compute_output_shape((None, None, 3)) == (None, None)
    assert layers.Flatten()(np.ones(3)).shape == (3, 1)


@pytest.mark.parametrize("axis", [-1, 1])
def test_batch_normalization_in_training_and_after(axis, rng):
    x = (rng.standard_normal((4, 3, 5, 6)) * 2 + 1).astype(np.float32)
    layer = layers.BatchNormalization(axis=axis, momentum=0.9, epsilon=1e-3)
    gamma, beta, mean, variance = filled(layer, x.shape, rng)
    axes = tuple(a for a in range(4) if a != axis % 4)
    shape = [1] * 4
    shape[axis] = -1

    def formula(m, v):
        m, v, g, b = (a.reshape(shape) for a in (m, v, gamma, beta))
        return g * (x - m) / np.sqrt(v + 1e-3) + b

    check(layer, x, formula(mean, variance))
    batch_mean, batch_variance = np.float64(x).mean(axes), np.float64(x).var(axes)
    check(layer, x, formula(batch_mean, batch_variance), training=True)
    mean, variance = 0.9 * mean + 0.1 * batch_mean, 0.9 * variance + 0.1 * batch_variance
    np.testing.assert_allclose(layer.moving_mean.numpy(), mean, **TOLERANCE)
    np.testing.assert_allclose(layer.moving_variance.numpy(), variance, **TOLERANCE)
    layer.trainable = False
    check(layer, x, formula(mean, variance), training=True)
    np.testing.assert_allclose(layer.moving_mean.numpy(), mean, **TOLERANCE)


def test_batch_normalization_without_scale_and_center(rng):
    x = rng.standard_normal((8, 3)).astype(np.float32)
    layer = layers.BatchNormalization(scale=False, center=False)
    expected = (x - np.float64(x).mean(0)) / np.sqrt(np.float64(x).var(0) + 1e-3)
    check(layer, x, expected, training=True)
    assert layer.trainable_weights == []


@pytest.mark.parametrize("axis", [-1, (1, 3), [2, 3], 1])
def test_layer_normalization(axis, rng):
    x = (rng.standard_normal((4, 3, 5, 6)) * 2 + 1).astype(np.float32)
    layer = layers.LayerNormalization(axis=axis)
    gamma, beta = filled(layer, x.shape, rng)
    axes = tuple(a % 4 for a in ((axis,) if isinstance(axis, int) else axis))
    shape = [size if a in axes else 1 for a, size in enumerate(x.shape)]
    wide = np.float64(x)
    normal = (wide - wide.mean(axes, keepdims=True)) / np.sqrt(wide.var(axes, keepdims=True) + 1e-3)
    check(layer, x, normal * gamma.reshape(shape) + beta.reshape(shape))


def test_activation_layers(rng):
    x = (rng.standard_normal((4, 6)) * 3).astype(np.float32)
    wide = np.float64(x)
    expected = np.where(wide >= 0.5, np.minimum(wide, 2), 0.1 * (wide - 0.5))
    check(layers.ReLU(max_value=2.0, negative_slope=0.1, threshold=0.5), x, expected)
    check(layers.ReLU(), x, np.maximum(wide, 0))
    check(layers.LeakyReLU(), x, np.where(wide > 0, wide, 0.3 * wide))
    check(layers.Activation("tanh"), x, np.tanh(wide))
    check(layers.Softmax(axis=0), x, softmax(wide.T).T)
    np.testing.assert_allclose(
        activations.elu(x, alpha=0.5).numpy(), np.where(wide > 0, wide, 0.5 * np.expm1(wide)), **TOLERANCE
    )


@pytest.mark.parametrize(
    "stack",
    [
        lambda: [layers.Dense(4, activation="tanh"), layers.LayerNormalization(), layers.Dense(2)],
        lambda: [layers.Reshape((2, 3, 1)), layers.Conv2D(2, 2, activation="softplus"), layers.Flatten()],
        lambda: [layers.Dense(3, activation="silu"), layers.BatchNormalization(), layers.Softmax()],
        lambda: [
            layers.Reshape((2, 3, 1)),
            layers.Conv2DTranspose(2, 2, strides=2, activation="elu"),
            layers.AveragePooling2D(2, strides=1, padding="same"),
            layers.DepthwiseConv2D(2, depth_multiplier=2),
            layers.GlobalAveragePooling2D(),
        ],
    ],
)
def test_gradients_through_whole_models(stack, rng):
    """With respect to the input and every weight, by moving each element of each."""
    model = Sequential([_wide(layer) for layer in stack()], dtype="float64")
    x = rng.standard_normal((3, 6))
    model(x)
    weights = [v.numpy().copy() + rng.uniform(0.1, 0.3, v.shape) for v in model.trainable_weights]
    variables = model.trainable_weights

    def run(point, *values):
        for variable, value in zip(variables, values, strict=True):
            owner = next(layer for layer in model.layers if any(v is variable for v in vars(layer).values()))
            name = next(key for key, v in vars(owner).items() if v is variable)
            swapped.append((owner, name, variable))
            setattr(owner, name, value)
        try:
            return model(point, training=True)
        finally:
            while swapped:
                setattr(*swapped.pop())

    swapped: list = []
    assert gradcheck(run, [x, *weights], rtol=1e-5)


def _wide(layer):
    return type(layer).from_config({**layer.get_config(), "dtype": "float64"})
