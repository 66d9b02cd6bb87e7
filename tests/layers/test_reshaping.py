"""Layers that arrange, repeat, cut, pad and enlarge, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from layer_checks import check, check_gradients

from deepcore import config, layers
from deepcore.models import Model
from deepcore.tensor import Tensor

# Every test runs on the CPU, on the emulator, and on a GPU where there is one.
pytestmark = pytest.mark.usefixtures("device")


@pytest.fixture
def image(rng):
    return rng.standard_normal((2, 4, 5, 3)).astype(np.float32)


@pytest.fixture
def sequence(rng):
    return rng.standard_normal((2, 5, 3)).astype(np.float32)


def test_permute_and_repeat(image, rng):
    check(layers.Permute((3, 1, 2)), image, image.transpose(0, 3, 1, 2))
    check(layers.Permute([1, 2, 3]), image, image)
    x = rng.standard_normal((2, 3)).astype(np.float32)
    check(layers.RepeatVector(4), x, np.repeat(x[:, None], 4, 1))


def test_identity_keeps_what_it_is_given(sequence):
    check(layers.Identity(), sequence, sequence)
    x, y = Tensor(sequence), Tensor(sequence * 2)
    x.mask = Tensor(np.ones((2, 5), bool))
    first, second = layers.Identity()({"a": x, "b": y}).values()
    assert first.mask is x.mask
    assert second.mask is None
    np.testing.assert_array_equal(second.numpy(), y.numpy())


@pytest.mark.parametrize(
    ("target", "symbolic"),
    [((6, -1), (6, 10)), ([-1], (60,)), ((3, 4, 5), (3, 4, 5)), ((None, 6), (None, 6)), ((60, 1), (60, 1))],
)
def test_reshape(target, symbolic, image):
    layer = layers.Reshape(target)
    y = layer(image)
    np.testing.assert_array_equal(y.numpy(), image.reshape(2, *(-1 if n is None else n for n in target)))
    assert layer.compute_output_shape((None, 4, 5, 3)) == (None, *symbolic)
    assert layers.deserialize(layers.serialize(layer))(image).shape == y.shape


def test_reshape_of_sizes_that_are_not_known(image):
    x = layers.Input((None, None, 3))
    y = layers.Reshape((-1, 6))(x)
    assert y.shape == (None, None, 6)
    np.testing.assert_array_equal(Model(x, y)(image).numpy(), image.reshape(2, 10, 6))
    assert layers.Reshape((-1,)).compute_output_shape((None, None, 3)) == (None, None)
    assert layers.Reshape((2, 5)).compute_output_shape((None, None)) == (None, 2, 5)


@pytest.mark.parametrize("form", ["channels_last", "channels_first"])
@pytest.mark.parametrize("ends", [0, 1, (1, 0), ((0, 1), (2, 0)), [[1, 2], [0, 3]]])
def test_cropping_and_zero_padding_of_images(ends, form, image):
    rows, columns = (
        (((ends,) * 2,) * 2) if isinstance(ends, int) else ((n, n) if isinstance(n, int) else n for n in ends)
    )
    cut = image[:, rows[0] : 4 - rows[1], columns[0] : 5 - columns[1]]
    padded = np.pad(image, ((0, 0), rows, columns, (0, 0)))
    x = image
    if form == "channels_first":
        x, cut, padded = (np.ascontiguousarray(a.transpose(0, 3, 1, 2)) for a in (image, cut, padded))
    check(layers.Cropping2D(ends, form), x, cut)
    check(layers.ZeroPadding2D(ends, form), x, padded)


@pytest.mark.parametrize("ends", [0, 1, (2, 0), [0, 3]])
def test_cropping_and_zero_padding_of_sequences(ends, sequence):
    first, last = (ends, ends) if isinstance(ends, int) else ends
    check(layers.Cropping1D(ends), sequence, sequence[:, first : 5 - last])
    padded = np.pad(sequence, ((0, 0), (first, last), (0, 0)))
    check(layers.ZeroPadding1D(ends), sequence, padded)
    turned = np.ascontiguousarray(sequence.swapaxes(1, 2))
    check(layers.ZeroPadding1D(ends, "channels_first"), turned, padded.swapaxes(1, 2))


def test_the_defaults_of_cropping_and_padding(image, sequence):
    check(layers.Cropping1D(), sequence, sequence[:, 1:-1])
    check(layers.Cropping2D(), image, image)
    check(layers.ZeroPadding1D(), sequence, np.pad(sequence, ((0, 0), (1, 1), (0, 0))))
    check(layers.ZeroPadding2D(), image, np.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0))))


def test_repeated_steps_and_pixels(image, sequence):
    check(layers.UpSampling1D(), sequence, np.repeat(sequence, 2, 1))
    check(layers.UpSampling1D(3), sequence, np.repeat(sequence, 3, 1))
    check(layers.UpSampling2D(), image, np.repeat(np.repeat(image, 2, 1), 2, 2))
    check(layers.UpSampling2D((1, 3)), image, np.repeat(image, 3, 2))
    turned = np.ascontiguousarray(image.transpose(0, 3, 1, 2))
    check(layers.UpSampling2D((2, 1), "channels_first"), turned, np.repeat(turned, 2, 2))


def test_what_the_program_calls_channels_first_is_turned_once(image, sequence):
    turned = np.ascontiguousarray(image.transpose(0, 3, 1, 2))
    config.set_image_data_format("channels_first")
    try:
        check(layers.UpSampling1D(2), sequence, np.repeat(sequence, 2, 1))
        check(layers.Cropping1D(1), sequence, sequence[:, 1:-1])
        check(layers.UpSampling2D((3, 1)), turned, np.repeat(turned, 3, 2))
        check(layers.UpSampling2D((3, 1), "channels_last"), image, np.repeat(image, 3, 1))
    finally:
        config.set_image_data_format("channels_last")


KERNELS = {
    "bilinear": lambda d: np.maximum(1 - d, 0),
    "bicubic": lambda d: np.where(
        d < 1, 1.5 * d**3 - 2.5 * d**2 + 1, np.where(d < 2, -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2, 0)
    ),
    "lanczos3": lambda d: np.where(d < 3, np.sinc(d) * np.sinc(d / 3), 0),
    "lanczos5": lambda d: np.where(d < 5, np.sinc(d) * np.sinc(d / 5), 0),
}


def enlarged(x, axis, factor, kernel):
    """Each new pixel is the mean of the old ones, weighed by their distance."""
    x = np.moveaxis(np.float64(x), axis, 0)
    rows = []
    for i in range(len(x) * factor):
        weights = kernel(np.abs((i + 0.5) / factor - (np.arange(len(x)) + 0.5)))
        rows.append(np.tensordot(weights / weights.sum(), x, 1))
    return np.moveaxis(np.stack(rows), 0, axis)


@pytest.mark.parametrize("name", KERNELS)
def test_interpolated_pixels(name, image):
    expected = enlarged(enlarged(image, 1, 3, KERNELS[name]), 2, 2, KERNELS[name])
    check(layers.UpSampling2D((3, 2), interpolation=name.upper()), image, expected)
    turned = np.ascontiguousarray(image.transpose(0, 3, 1, 2))
    check(layers.UpSampling2D((3, 2), "channels_first", name), turned, expected.transpose(0, 3, 1, 2))


def test_integers_stay_integers():
    x = np.arange(12, dtype=np.int32).reshape(2, 3, 2)
    for layer in (layers.Cropping1D(1), layers.ZeroPadding1D(2), layers.UpSampling1D(2), layers.Permute((2, 1))):
        assert layer(x).dtype == np.int32
    np.testing.assert_array_equal(layers.UpSampling1D(2)(x).numpy(), np.repeat(x, 2, 1))


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.Permute((2, 1)), (2, 3, 2)),
        (layers.RepeatVector(3), (2, 3)),
        (layers.Reshape((3, -1)), (2, 2, 3)),
        (layers.Cropping1D((1, 2)), (2, 5, 2)),
        (layers.Cropping2D(((1, 0), (0, 2)), "channels_first"), (1, 2, 3, 4)),
        (layers.ZeroPadding1D((2, 1)), (2, 2, 2)),
        (layers.ZeroPadding2D((1, 2)), (1, 2, 2, 2)),
        (layers.UpSampling1D(3), (2, 2, 2)),
        (layers.UpSampling2D((2, 3)), (1, 2, 2, 2)),
        (layers.UpSampling2D(2, "channels_first", "bilinear"), (1, 2, 2, 3)),
        (layers.UpSampling2D(2, interpolation="bicubic"), (1, 3, 2, 1)),
    ],
)
def test_gradients(layer, shape, rng):
    check_gradients(layer, rng.standard_normal(shape))


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (layers.Permute((2, 1)), (None, None, 3), (None, 3, None)),
        (layers.RepeatVector(4), (None, 3), (None, 4, 3)),
        (layers.Cropping1D(2), (None, None, 3), (None, None, 3)),
        (layers.Cropping2D(1, "channels_first"), (None, 3, None, 5), (None, 3, None, 3)),
        (layers.ZeroPadding1D(2, "channels_first"), (None, 3, None), (None, 3, None)),
        (layers.ZeroPadding2D(2), (None, None, 3, 1), (None, None, 7, 1)),
        (layers.UpSampling1D(2), (None, None, 3), (None, None, 3)),
        (layers.UpSampling2D(2, "channels_first"), (None, 3, None, 4), (None, 3, None, 8)),
    ],
)
def test_sizes_that_are_not_known(layer, shape, expected):
    assert tuple(layer.compute_output_shape(shape)) == expected


def test_a_functional_model_of_images_of_any_size(image):
    x = layers.Input((None, None, 3))
    y = layers.Cropping2D(1)(layers.UpSampling2D(2)(layers.ZeroPadding2D(1)(x)))
    y = layers.Permute((3, 1, 2))(y)
    assert y.shape == (None, 3, None, None)
    padded = np.repeat(np.repeat(np.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0))), 2, 1), 2, 2)
    np.testing.assert_array_equal(Model(x, y)(image).numpy(), padded[:, 1:-1, 1:-1].transpose(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: layers.Permute((1, 3)), ValueError, r"each axis from 1 to 2 once; got dims=\(1, 3\)"),
        (lambda: layers.Permute((0, 1)), ValueError, r"dims=\(0, 1\)"),
        (lambda: layers.Permute(2), TypeError, r"dims must be a list or tuple.*got 2"),
        (lambda: layers.RepeatVector(2.0), TypeError, "n must be an integer; got n=2.0"),
        (lambda: layers.RepeatVector(True), TypeError, r"n=True"),
        (lambda: layers.RepeatVector(0), ValueError, "n must be a positive integer; got n=0"),
        (lambda: layers.UpSampling1D("2"), TypeError, "size must be an integer; got size='2'"),
        (lambda: layers.UpSampling1D(-1), ValueError, "size must be a positive integer; got size=-1"),
        (lambda: layers.UpSampling1D(2, data_format="channels_last"), ValueError, r"UpSampling1D has no data_format"),
        (lambda: layers.UpSampling2D((1, 2, 3)), ValueError, r"size must be an int or two ints.*\(1, 2, 3\)"),
        (lambda: layers.UpSampling2D(0), ValueError, r"size must be at least 1"),
        (lambda: layers.UpSampling2D(2, interpolation="bilinaer"), ValueError, r"Did you mean 'bilinear'"),
        (lambda: layers.Reshape(4), TypeError, r"target_shape must be a list or tuple.*got 4"),
        (lambda: layers.Reshape((-1, None)), ValueError, r"one -1"),
        (lambda: layers.Reshape((2, -2)), ValueError, r"not negative, or -1; got \(2, -2\)"),
        (lambda: layers.Cropping1D((1,)), ValueError, r"cropping must be an int or two ints.*\(1,\)"),
        (lambda: layers.Cropping1D((1, 2, 3)), ValueError, r"\(1, 2, 3\)"),
        (lambda: layers.Cropping1D("1"), ValueError, r"cropping='1'"),
        (lambda: layers.Cropping1D(-1), ValueError, r"cropping must be at least 0"),
        (lambda: layers.Cropping1D(1, data_format="channels_first"), ValueError, r"Cropping1D has no data_format"),
        (lambda: layers.Cropping2D(-1), ValueError, r"must not be negative; got cropping=-1"),
        (lambda: layers.Cropping2D((1, -1)), ValueError, r"must not be negative; got cropping=\(1, -1\)"),
        (lambda: layers.Cropping2D((1, 2, 3)), ValueError, r"\(1, 2, 3\)"),
        (lambda: layers.Cropping2D(((1, 2, 3), 1)), ValueError, r"each entry of cropping.*\(1, 2, 3\)"),
        (lambda: layers.Cropping2D("1"), ValueError, r"cropping='1'"),
        (lambda: layers.ZeroPadding1D((1, -2)), ValueError, r"padding must be at least 0"),
        (lambda: layers.ZeroPadding1D(1.5), ValueError, r"padding=1.5"),
        (lambda: layers.ZeroPadding2D((1, 2, 3)), ValueError, r"\(1, 2, 3\)"),
        (lambda: layers.ZeroPadding2D(None), ValueError, r"padding=None"),
        (lambda: layers.ZeroPadding2D(1, "first"), ValueError, r"Unknown data_format 'first'"),
    ],
)
def test_arguments_that_are_refused(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (layers.Permute((2, 1), name="a"), (2, 3), r"Layer 'a' \(Permute\): expected an input of rank 3"),
        (layers.RepeatVector(2, name="b"), (2, 3, 4), r"Layer 'b'.*rank 2"),
        (layers.Cropping1D((2, 3), name="c"), (2, 5, 1), r"Layer 'c'.*leaves nothing of an input of \(5,\)"),
        (layers.Cropping2D((0, 3), name="d"), (2, 5, 6, 1), r"Layer 'd'.*leaves nothing of an input of \(5, 6\)"),
        (layers.Reshape((7,), name="e"), (2, 6), r"Layer 'e'.*6 elements, which do not fill \(7,\)"),
        (layers.Reshape((4, -1), name="f"), (2, 6), r"Layer 'f'.*6 elements, which do not fill \(4, -1\)"),
        (layers.UpSampling2D(2, name="g"), (2, 6, 3), r"Layer 'g'.*rank 4"),
        (layers.ZeroPadding1D(2, name="h"), (2, 6), r"Layer 'h'.*rank 3"),
    ],
)
def test_inputs_that_do_not_fit(layer, shape, message):
    for x in (np.zeros(shape, np.float32), layers.Input(shape[1:])):
        with pytest.raises(ValueError, match=message):
            layer(x)
