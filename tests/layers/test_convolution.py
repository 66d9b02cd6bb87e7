"""Convolutions of sequences, separable and transposed ones: values, gradients, shapes and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from layer_checks import check, check_gradients, filled

from deepcore import constraints, layers, ops
from deepcore.models import Model

# Every test runs on the CPU, on the emulator, and on a GPU where there is one.
pytestmark = pytest.mark.usefixtures("device")


def naive_conv1d(x, kernel, stride=1, ends=(0, 0), dilation=1, groups=1):
    x = np.pad(np.float64(x), ((0, 0), ends, (0, 0)))
    width, per_group, filters = kernel.shape
    steps = (x.shape[1] - (width - 1) * dilation - 1) // stride + 1
    y = np.zeros((len(x), steps, filters))
    for k in range(filters):
        first = k // (filters // groups) * per_group
        for p in range(steps):
            for i in range(width):
                y[:, p, k] += x[:, p * stride + i * dilation, first : first + per_group] @ kernel[i, :, k]
    return y


def naive_depthwise1d(x, kernel, **sliding):
    return np.concatenate(
        [naive_conv1d(x[..., c : c + 1], kernel[:, c : c + 1], **sliding) for c in range(x.shape[2])], -1
    )


def naive_transpose1d(x, kernel, stride, first, steps, dilation=1):
    """Every step paints the kernel [width, filters, channels] into a long output, of which a part is kept."""
    y = np.zeros((len(x), 99, kernel.shape[1]))
    for p in range(x.shape[1]):
        for i in range(kernel.shape[0]):
            y[:, p * stride + i * dilation] += np.float64(x[:, p]) @ kernel[i].T
    return y[:, first : first + steps]


def same_ends(steps, window, stride):
    total = max((-(-steps // stride) - 1) * stride + window - steps, 0)
    return total // 2, total - total // 2


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
@pytest.mark.parametrize(("stride", "dilation", "groups"), [(1, 1, 1), (2, 1, 2), (1, 3, 1), (3, 1, 1)])
def test_conv1d(padding, stride, dilation, groups, rng):
    x = rng.standard_normal((2, 10, 4)).astype(np.float32)
    layer = layers.Conv1D(6, 3, stride, padding, dilation_rate=dilation, groups=groups, activation="tanh")
    kernel, bias = filled(layer, x.shape, rng)
    assert kernel.shape == (3, 4 // groups, 6)
    window = 2 * dilation + 1
    ends = {"valid": (0, 0), "same": same_ends(10, window, stride), "causal": (window - 1, 0)}[padding]
    check(layer, x, np.tanh(naive_conv1d(x, kernel, stride, ends, dilation, groups) + bias))


def test_a_causal_convolution_sees_no_later_step(rng):
    x = rng.standard_normal((1, 8, 2)).astype(np.float32)
    layer = layers.Conv1D(3, 3, padding="causal", dilation_rate=2)
    before = layer(x).numpy()
    x[:, 5:] += 10
    np.testing.assert_array_equal(layer(x).numpy()[:, :5], before[:, :5])


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2)])
def test_depthwise_and_separable_conv1d(padding, stride, dilation, rng):
    x = rng.standard_normal((2, 9, 3)).astype(np.float32)
    ends = same_ends(9, 2 * dilation + 1, stride) if padding == "same" else (0, 0)
    sliding = {"stride": stride, "ends": ends, "dilation": dilation}
    layer = layers.DepthwiseConv1D(3, stride, padding, depth_multiplier=2, dilation_rate=dilation)
    kernel, bias = filled(layer, x.shape, rng)
    check(layer, x, naive_depthwise1d(x, kernel, **sliding) + bias)
    layer = layers.SeparableConv1D(4, 3, stride, padding, dilation_rate=dilation, depth_multiplier=2, activation="relu")
    deep, pointwise, bias = filled(layer, x.shape, rng)
    assert pointwise.shape == (1, 6, 4)
    check(layer, x, np.maximum(naive_depthwise1d(x, deep, **sliding) @ pointwise[0] + bias, 0))


def test_separable_conv2d_is_a_depthwise_and_a_pointwise_convolution(rng):
    x = rng.standard_normal((2, 5, 6, 3)).astype(np.float32)
    layer = layers.SeparableConv2D(4, (3, 2), strides=2, padding="same", depth_multiplier=2)
    deep, pointwise, bias = filled(layer, x.shape, rng)
    assert [v.name for v in layer.weights] == ["depthwise_kernel", "pointwise_kernel", "bias"]
    padded = np.pad(np.float64(x), ((0, 0), (1, 1), (0, 0), (0, 0)))
    middle = np.zeros((2, 3, 3, 6))
    for p, q, i, j in np.ndindex(3, 3, 3, 2):
        middle[:, p, q] += (padded[:, 2 * p + i, 2 * q + j, :, None] * deep[i, j]).reshape(2, 6)
    check(layer, x, middle @ pointwise[0, 0] + bias)


@pytest.mark.parametrize(
    ("width", "stride", "dilation", "padding", "output_padding", "first", "steps"),
    [
        (3, 2, 1, "valid", None, 0, 9),
        (2, 3, 1, "valid", None, 0, 12),  # gaps between the kernels stay zero
        (3, 2, 1, "valid", 1, 0, 10),
        (3, 2, 1, "same", None, 0, 8),
        (4, 2, 1, "same", None, 1, 8),
        (3, 1, 2, "same", None, 2, 4),
        (2, 1, 1, "same", 0, 1, 3),  # 3 * 1 + 2 % 2 + 0, shorter than the input
        (3, 2, 1, "same", 0, 1, 7),
        (3, 2, 1, "same", 1, 0, 8),
        (1, 3, 1, "same", 2, 0, 12),
    ],
)
def test_conv1d_transpose(width, stride, dilation, padding, output_padding, first, steps, rng):
    x = rng.standard_normal((2, 4, 5)).astype(np.float32)
    layer = layers.Conv1DTranspose(
        3, width, stride, padding, output_padding, dilation_rate=dilation, activation="softplus"
    )
    kernel, bias = filled(layer, x.shape, rng)
    expected = naive_transpose1d(x, kernel, stride, first, steps, dilation) + bias
    check(layer, x, np.logaddexp(expected, 0))


@pytest.mark.parametrize("output_padding", [None, 0, (1, 0)])
def test_conv2d_transpose_is_one_of_each_axis(output_padding, rng):
    """A kernel that is an outer product acts on rows and columns one after the other."""
    x = rng.standard_normal((1, 3, 4, 1)).astype(np.float32)
    layer = layers.Conv2DTranspose(1, (4, 3), 2, "same", output_padding, use_bias=False)
    layer.build(x.shape)
    rows, columns = rng.uniform(0.5, 1, 4), rng.uniform(0.5, 1, 3)
    layer.set_weights([np.outer(rows, columns)[:, :, None, None].astype(np.float32)])
    extra = (output_padding,) * 2 if not isinstance(output_padding, tuple) else output_padding
    first, steps = {None: (1, 6), 0: (2, 4), 1: (1, 5)}[extra[0]]
    y = naive_transpose1d(x[0].transpose(1, 0, 2), rows[:, None, None], 2, first, steps)  # each column by itself
    first, steps = {None: (0, 8), 0: (1, 7)}[extra[1]]
    y = naive_transpose1d(y.transpose(1, 0, 2), columns[:, None, None], 2, first, steps)
    check(layer, x, y[None])


SEVERAL = [
    lambda form: layers.Conv1D(4, 3, strides=2, padding="causal", data_format=form),
    lambda form: layers.Conv1DTranspose(4, 3, strides=2, padding="same", output_padding=0, data_format=form),
    lambda form: layers.DepthwiseConv1D(2, depth_multiplier=2, data_format=form),
    lambda form: layers.SeparableConv1D(4, 2, padding="same", depth_multiplier=2, data_format=form),
    lambda form: layers.SeparableConv2D(4, (2, 3), data_format=form),
]


@pytest.mark.parametrize("make", SEVERAL)
def test_channels_first_is_channels_last_transposed(make, rng):
    last, first = make("channels_last"), make("CHANNELS_FIRST")
    x = rng.standard_normal((2, *(7, 6)[: last.rank], 3)).astype(np.float32)
    expected = np.moveaxis(last(x).numpy(), -1, 1)
    moved = np.ascontiguousarray(np.moveaxis(x, -1, 1))
    first.build(moved.shape)
    first.set_weights(last.get_weights())
    check(first, moved, expected)


@pytest.mark.parametrize("make", SEVERAL)
@pytest.mark.parametrize("form", ["channels_last", "channels_first"])
def test_gradients(make, form, rng):
    layer = make(form)
    sizes = (4, 3)[: layer.rank]
    check_gradients(layer, rng.standard_normal((2, 2, *sizes) if form == "channels_first" else (2, *sizes, 2)))


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (layers.Conv1D(4, 3, padding="causal", strides=2), (None, None, 3), (None, None, 4)),
        (layers.Conv1D(4, 3, data_format="channels_first"), (5, 3, 9), (5, 4, 7)),
        (layers.Conv1DTranspose(4, 3, strides=2), (None, None, 3), (None, None, 4)),
        (layers.DepthwiseConv1D(3, depth_multiplier=2), (None, None, None), (None, None, None)),
        (layers.SeparableConv2D(4, 3), (None, None, 8, 3), (None, None, 6, 4)),
        (layers.Conv2D(4, 3, data_format="channels_first"), (None, 3, None, 5), (None, 4, None, 3)),
    ],
)
def test_sizes_that_are_not_known(layer, shape, expected):
    assert layer.compute_output_shape(shape) == expected


def test_a_functional_model_of_sequences_of_any_length(rng):
    x = layers.Input((None, 3))
    y = layers.SeparableConv1D(4, 3, padding="same", activation="relu")(layers.Conv1D(5, 2, padding="causal")(x))
    model = Model(x, layers.Conv1DTranspose(2, 2, strides=2)(y))
    assert model.output_shape == (None, None, 2)
    for steps in (4, 7):
        data = rng.standard_normal((2, steps, 3)).astype(np.float32)
        by_hand = data
        for layer in model.layers[1:]:
            by_hand = layer(by_hand)
        np.testing.assert_array_equal(model(data).numpy(), by_hand.numpy())
        assert by_hand.shape == (2, 2 * steps, 2)


def test_penalties_and_attributes_by_the_names_of_the_arguments():
    layer = layers.SeparableConv1D(
        2,
        2,
        depthwise_initializer="ones",
        pointwise_initializer="ones",
        depthwise_regularizer="l1",
        pointwise_regularizer="l2",
        bias_regularizer="l2",
        activity_regularizer="l1",
    )
    layer(np.ones((1, 3, 2), np.float32))
    # 4 weights of 1, 4 weights of 1, 2 biases of 0, and 4 outputs of 2 * 2
    found = sorted(float(loss) for loss in layer.losses)
    assert found == pytest.approx(sorted([0.01 * 4, 0.01 * 4, 0.0, 0.01 * 16]))
    layer.pointwise_regularizer = None
    assert layer.get_config()["pointwise_regularizer"] is None
    assert type(layer.depthwise_regularizer).__name__ == "L1"


def test_constraints_reach_the_weights_and_the_configuration():
    made = [
        (layers.Conv1D(2, 2, kernel_constraint="non_neg", bias_constraint="non_neg"), ["kernel", "bias"]),
        (layers.Conv2DTranspose(2, 2, kernel_constraint=constraints.NonNeg()), ["kernel"]),
        (layers.DepthwiseConv1D(2, depthwise_constraint="non_neg"), ["kernel"]),
        (
            layers.SeparableConv2D(2, 2, depthwise_constraint="non_neg", pointwise_constraint="non_neg"),
            ["depthwise_kernel", "pointwise_kernel"],
        ),
    ]
    for layer, names in made:
        again = layers.deserialize(layers.serialize(layer))
        for one in (layer, again):
            one.build((1, *(4,) * one.rank, 3))
            assert [v.name for v in one.weights if isinstance(v.constraint, constraints.NonNeg)] == names


CONVOLUTIONS = [
    (layers.Conv1D, (2, 3)),
    (layers.Conv2D, (2, 3)),
    (layers.Conv1DTranspose, (2, 3)),
    (layers.Conv2DTranspose, (2, 3)),
    (layers.DepthwiseConv1D, (3,)),
    (layers.DepthwiseConv2D, (3,)),
    (layers.SeparableConv1D, (2, 3)),
    (layers.SeparableConv2D, (2, 3)),
]


@pytest.mark.parametrize(("kind", "arguments"), CONVOLUTIONS)
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"strides": 0}, r"strides must be at least 1.*strides=0"),
        ({"strides": (1, 1, 1)}, r"strides must be an int.*strides=\(1, 1, 1\)"),
        ({"strides": 1.5}, r"strides must be an int.*strides=1.5"),
        ({"strides": "2"}, r"strides must be an int.*strides='2'"),
        ({"dilation_rate": -1}, r"dilation_rate must be at least 1.*dilation_rate=-1"),
        ({"padding": "full"}, r"Unknown padding 'full'"),
        ({"padding": None}, r"Unknown padding None"),
        ({"data_format": "NHWC"}, r"Unknown data_format 'NHWC'"),
        ({"activation": "rleu"}, r"Unknown activation 'rleu'. Did you mean 'relu'"),
    ],
)
def test_arguments_that_every_convolution_refuses(kind, arguments, wrong, message):
    with pytest.raises(ValueError, match=message):
        kind(*arguments, **wrong)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.Conv1D(0, 3), r"filters=0"),
        (lambda: layers.Conv1D(4, (3, 3)), r"kernel_size must be an int; got kernel_size=\(3, 3\)"),
        (lambda: layers.Conv2D(4, (1, 0)), r"kernel_size must be at least 1.*\(1, 0\)"),
        (lambda: layers.Conv1D(4, 3, groups=0), r"groups=0"),
        (lambda: layers.Conv1D(4, 3, groups=3), r"filters=4, groups=3"),
        (lambda: layers.Conv1D(4, 3, strides=2, dilation_rate=2), r"strides=\(2,\), dilation_rate=\(2,\)"),
        (lambda: layers.Conv2D(4, 3, strides=(1, 2), dilation_rate=(2, 1)), r"cannot both be above 1"),
        (lambda: layers.Conv2DTranspose(4, 3, strides=2, dilation_rate=2), r"cannot both be above 1"),
        (lambda: layers.Conv2D(4, 3, padding="causal"), r"Unknown padding 'causal'"),
        (lambda: layers.Conv1DTranspose(4, 3, padding="causal"), r"Unknown padding 'causal'"),
        (lambda: layers.Conv1DTranspose(4, 3, strides=2, output_padding=2), r"output_padding=2, strides=2"),
        (lambda: layers.Conv2DTranspose(4, 3, strides=2, output_padding=-1), r"output_padding must be at least 0"),
        (lambda: layers.DepthwiseConv1D(3, depth_multiplier=0), r"depth_multiplier=0"),
        (lambda: layers.SeparableConv1D(4, 3, depth_multiplier=0), r"depth_multiplier=0"),
        (lambda: layers.SeparableConv2D(0, 3), r"filters=0"),
        (lambda: layers.SeparableConv2D(1, 3, pointwise_initializer="glo"), r"Unknown initializer 'glo'"),
    ],
)
def test_arguments_that_some_refuse(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (layers.Conv1D(2, 3, name="a"), (2, 5), r"Layer 'a' \(Conv1D\): expected an input of rank 3"),
        (layers.Conv1D(2, 7, name="b"), (2, 5, 1), r"Layer 'b' \(Conv1D\): the window \(7,\) is larger .* \(5,\)"),
        (layers.Conv1D(2, 3, dilation_rate=3, name="c"), (2, 6, 1), r"Layer 'c'.*the window \(7,\)"),
        (layers.Conv1D(2, 3, groups=2, name="d"), (1, 5, 3), r"Layer 'd'.*3 input channels.*groups=2"),
        (layers.DepthwiseConv1D(7, name="e"), (2, 5, 1), r"Layer 'e'.*the window \(7,\)"),
        (layers.SeparableConv2D(2, (2, 7), name="f"), (2, 5, 5, 1), r"Layer 'f'.*the window \(2, 7\)"),
        (layers.Conv1DTranspose(2, 3, name="g"), (2, 5, 5, 1), r"Layer 'g'.*rank 3"),
    ],
)
def test_inputs_that_do_not_fit(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer(np.zeros(shape, np.float32))
    with pytest.raises(ValueError, match=message):
        layer(layers.Input(shape[1:]))
    assert not layer.built


def test_a_transposed_convolution_is_the_gradient_of_the_convolution_that_it_transposes(rng):
    """<conv(x), y> = <x, conv_transpose(y)> where the output has the size of x."""
    kernel = rng.standard_normal((4, 2, 3, 5))
    x, y = rng.standard_normal((1, 6, 4, 3)), rng.standard_normal((1, 3, 2, 5))
    back = ops.conv2d_transpose(y, kernel, strides=2, padding="same").numpy()
    ahead = ops.conv2d(x, kernel, strides=2, padding="same").numpy()
    assert (ahead * y).sum() == pytest.approx((x * back).sum())
