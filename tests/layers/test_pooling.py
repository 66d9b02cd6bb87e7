"""Pooling of sequences, with masks, and what pooling refuses."""

from __future__ import annotations

import numpy as np
import pytest
from layer_checks import check, check_gradients

from deepcore import layers, ops
from deepcore.models import Model
from deepcore.tensor import Tensor

# Every test runs on the CPU, on the emulator, and on a GPU where there is one.
pytestmark = pytest.mark.usefixtures("device")


@pytest.mark.parametrize(
    ("window", "stride", "padding", "ends"),
    [
        (2, None, "valid", (0, 0)),
        (3, 2, "valid", (0, 0)),
        (3, 2, "same", (1, 1)),
        (4, 3, "SAME", (1, 2)),
        (2, 1, "same", (0, 1)),
    ],
)
@pytest.mark.parametrize("kind", ["max", "mean"])
@pytest.mark.parametrize("form", ["channels_last", "channels_first"])
def test_pooling_of_sequences(kind, window, stride, padding, ends, form, rng):
    x = rng.standard_normal((2, 7, 3)).astype(np.float32) - 3  # below zero, so that padding would win
    padded = np.pad(np.float64(x), ((0, 0), ends, (0, 0)), constant_values=np.nan)
    step = stride or window
    starts = range(0, padded.shape[1] - window + 1, step)
    pick = np.nanmax if kind == "max" else np.nanmean
    expected = np.stack([pick(padded[:, s : s + window], axis=1) for s in starts], 1)
    layer = (layers.MaxPooling1D if kind == "max" else layers.AveragePooling1D)(window, stride, padding, form)
    if form == "channels_first":
        x, expected = np.ascontiguousarray(x.swapaxes(1, 2)), expected.swapaxes(1, 2)
    check(layer, x, expected)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("form", ["channels_last", "channels_first"])
def test_global_pooling_of_sequences(keepdims, form, rng):
    x = rng.standard_normal((2, 7, 3)).astype(np.float32)
    axis = 1 if form == "channels_last" else 2
    check(layers.GlobalMaxPooling1D(form, keepdims), x, x.max(axis, keepdims=keepdims))
    check(layers.GlobalAveragePooling1D(form, keepdims), x, np.float64(x).mean(axis, keepdims=keepdims))


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("form", ["channels_last", "channels_first"])
def test_a_mask_says_which_steps_a_mean_counts(keepdims, form, rng):
    x = rng.standard_normal((2, 5, 3)).astype(np.float32)
    mask = np.array([[True, False, True, True, False], [False, True, False, False, False]])
    expected = np.stack([x[0][mask[0]].mean(0), x[1][mask[1]].mean(0)])
    x[~mask] = np.nan
    axis = 1
    if form == "channels_first":
        x, axis = np.ascontiguousarray(x.swapaxes(1, 2)), 2
    expected = np.expand_dims(expected, axis) if keepdims else expected
    layer = layers.GlobalAveragePooling1D(form, keepdims)
    check(layer, x, expected, mask=mask)
    masked = Tensor(x)
    masked.mask = Tensor(mask)
    y = layer(masked)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-6)
    assert y.mask is None


def test_a_mask_reaches_the_mean_through_a_functional_model(rng):
    class Marked(layers.Layer):
        def compute_mask(self, inputs, previous_mask):
            return ops.any(ops.not_equal(inputs, 0), -1)

        def call(self, x):
            return x

    x = layers.Input((None, 2))
    model = Model(x, layers.GlobalAveragePooling1D()(Marked()(x)))
    data = np.array([[[1, 2], [3, 4], [0, 0]], [[5, 6], [0, 0], [0, 0]]], np.float32)
    np.testing.assert_allclose(model(data).numpy(), [[2, 3], [5, 6]])


def test_other_pooling_says_that_it_drops_a_mask(rng):
    x = Tensor(rng.standard_normal((2, 4, 3)).astype(np.float32))
    x.mask = Tensor(np.ones((2, 4), bool))
    with pytest.warns(UserWarning, match="does not support"):
        assert layers.MaxPooling1D()(x).mask is None


@pytest.mark.parametrize(
    "layer",
    [
        layers.MaxPooling1D(2, 1, "same"),
        layers.AveragePooling1D(3, 2, "same", "channels_first"),
        layers.GlobalMaxPooling1D(),
        layers.GlobalAveragePooling1D(keepdims=True),
    ],
)
def test_gradients(layer, rng):
    check_gradients(layer, rng.standard_normal((2, 4, 3)))


def test_gradients_of_a_masked_mean_leave_out_what_is_masked():
    layer = layers.GlobalAveragePooling1D()
    x = Tensor(np.ones((1, 3, 2), np.float32), requires_grad=True)
    ops.sum(layer(x, mask=np.array([[True, False, True]]))).backward()
    np.testing.assert_allclose(x.grad.numpy(), [[[0.5, 0.5], [0, 0], [0.5, 0.5]]])


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (layers.MaxPooling1D(), (None, None, 3), (None, None, 3)),
        (layers.AveragePooling1D(3, 2, "same", "channels_first"), (None, 3, 8), (None, 3, 4)),
        (layers.GlobalMaxPooling1D(), (None, None, 3), (None, 3)),
        (layers.GlobalAveragePooling1D("channels_first", True), (None, None, 3), (None, None, 1)),
    ],
)
def test_sizes_that_are_not_known(layer, shape, expected):
    assert layer.compute_output_shape(shape) == expected


def test_an_average_has_no_window_by_default():
    for kind in (layers.AveragePooling1D, layers.AveragePooling2D):
        with pytest.raises(TypeError, match="pool_size"):
            kind()
    assert layers.MaxPooling1D().pool_size == (2,)
    assert layers.AveragePooling1D(2, 1, "same", None, "mean").name == "mean"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.MaxPooling1D(0), r"pool_size must be at least 1"),
        (lambda: layers.MaxPooling1D((2, 2)), r"pool_size must be an int; got pool_size=\(2, 2\)"),
        (lambda: layers.AveragePooling1D(2, strides=-1), r"strides must be at least 1"),
        (lambda: layers.AveragePooling2D(2, padding="causal"), r"Unknown padding 'causal'"),
        (lambda: layers.GlobalMaxPooling1D(data_format="first"), r"Unknown data_format 'first'"),
    ],
)
def test_arguments_that_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            layers.MaxPooling1D(5, name="a"),
            (2, 4, 1),
            r"Layer 'a' .*the window \(.*5,?\) is larger than the .*input \(.*4,?\)",
        ),
        (layers.AveragePooling1D(2, name="b"), (2, 4), r"Layer 'b' \(AveragePooling1D\): expected an input of rank 3"),
        (layers.GlobalMaxPooling1D(name="c"), (2, 4), r"Layer 'c' .*rank 3"),
    ],
)
def test_inputs_that_do_not_fit(layer, shape, message):
    for x in (np.zeros(shape, np.float32), layers.Input(shape[1:])):
        with pytest.raises(ValueError, match=message):
            layer(x)


@pytest.mark.parametrize(
    ("rank", "sizes", "windows"), [(1, (7,), 3), (1, (4,), (6,)), (2, (5, 8), (2, 3)), (2, (4, 3), 3)]
)
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("kind", ["Max", "Average"])
def test_as_many_windows_as_are_asked_for(rank, sizes, windows, data_format, kind, rng):
    x = rng.standard_normal((2, *sizes, 3)).astype(np.float32)
    wanted = (windows,) * rank if isinstance(windows, int) else windows
    expected = np.zeros((2, *wanted, 3))
    for index in np.ndindex(*wanted):
        spans = zip(index, sizes, wanted, strict=True)
        part = x[(slice(None), *(slice(int(np.floor(i * n / k)), int(np.ceil((i + 1) * n / k))) for i, n, k in spans))]
        expected[(slice(None), *index)] = getattr(part, "max" if kind == "Max" else "mean")(tuple(range(1, rank + 1)))
    if data_format == "channels_first":
        x, expected = np.moveaxis(x, -1, 1), np.moveaxis(expected, -1, 1)
    layer = getattr(layers, f"Adaptive{kind}Pooling{rank}D")(windows, data_format=data_format)
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-5, atol=1e-6)
    assert layer.compute_output_shape((None, *x.shape[1:])) == (None, *expected.shape[1:])
    assert type(layer).from_config(layer.get_config()).output_size == wanted


@pytest.mark.parametrize(
    ("layer", "output_size", "error"),
    [
        (layers.AdaptiveMaxPooling1D, (2, 2), ValueError),
        (layers.AdaptiveMaxPooling1D, "2", TypeError),
        (layers.AdaptiveAveragePooling2D, (2,), TypeError),
        (layers.AdaptiveAveragePooling2D, 2.5, TypeError),
        (layers.AdaptiveAveragePooling2D, 0, ValueError),
    ],
)
def test_windows_that_cannot_be(layer, output_size, error):
    with pytest.raises(error, match="output_size must be"):
        layer(output_size)
