"""Functions of images against naive float64 formulas."""

from __future__ import annotations

import colorsys
import itertools
import math

import numpy as np
import pytest

from deepcore import Tensor, ops

# Every test runs on the CPU, on the emulator, and on a GPU where there is one.
pytestmark = pytest.mark.usefixtures("device")

image = ops.image


def close(tensor, expected, roundings=100):
    assert tensor.shape == np.shape(expected)
    allowed = roundings * np.finfo(tensor.dtype).eps * max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(tensor.numpy(), expected, rtol=0, atol=allowed)


# Resizing


def lanczos(radius):
    def kernel(d):
        if d == 0:
            return 1.0
        x = math.pi * d
        return radius * math.sin(x) * math.sin(x / radius) / (x * x) if d < radius else 0.0

    return kernel


def cubic(d):
    if d < 1:
        return 1.5 * d**3 - 2.5 * d**2 + 1
    return -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2 if d < 2 else 0.0


KERNELS = {"bilinear": lambda d: max(0.0, 1 - d), "bicubic": cubic, "lanczos3": lanczos(3), "lanczos5": lanczos(5)}


def naive_resize(row, target, name, antialias):
    """One line of numbers at another length: each result is the mean of its neighbours, weighted by distance."""
    size = len(row)
    scale = size / target
    result = []
    for p in range(target):
        middle = (p + 0.5) * scale
        if name == "nearest":
            result.append(row[min(int(middle), size - 1)])
            continue
        wide = max(scale, 1.0) if antialias else 1.0
        weights = [KERNELS[name](abs(i + 0.5 - middle) / wide) for i in range(size)]
        result.append(sum(w * v for w, v in zip(weights, row, strict=True)) / sum(weights))
    return np.array(result)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("name", ["nearest", *KERNELS])
def test_resize(name, antialias, rng):
    x = rng.standard_normal((2, 7, 5, 3))
    for size in ((14, 5), (3, 9), (7, 2), (5, 5)):
        expected = np.apply_along_axis(naive_resize, 1, x, size[0], name, antialias)
        expected = np.apply_along_axis(naive_resize, 2, expected, size[1], name, antialias)
        close(image.resize(x, size, name, antialias), expected)
        close(image.resize(x[0].astype(np.float32), size, name, antialias), expected[0])
        first = image.resize(np.moveaxis(x, -1, 1), size, name, antialias, data_format="channels_first")
        close(ops.moveaxis(first, 1, -1), expected)


def test_resized_integers_are_rounded_and_keep_their_range():
    x = np.array([0, 255, 255, 0, 0, 200], np.uint8).reshape(1, 6, 1)
    for name in ("bilinear", "bicubic"):
        y = image.resize(x, (1, 11), name)
        assert y.dtype == np.uint8
        exact = naive_resize(x.ravel().astype(float), 11, name, False)
        expected = np.clip(np.rint(exact), 0, 255)
        # A result that lies on a half may be rounded either way.
        assert (np.abs(y.numpy().ravel() - expected) <= (np.abs(exact % 1 - 0.5) < 1e-4)).all()
    assert image.resize(x, (2, 3), "nearest").dtype == np.uint8


def test_resize_in_proportion():
    x = np.arange(1.0, 25.0).reshape(4, 6, 1)
    close(image.resize(x, (2, 2), "nearest", crop_to_aspect_ratio=True), x[1::2, 2:5:2])
    padded = np.full((6, 6, 1), -1.0)
    padded[1:5] = x
    close(image.resize(x, (6, 6), "nearest", pad_to_aspect_ratio=True, fill_value=-1.0), padded)
    close(
        image.resize(x, (12, 12), "bilinear", pad_to_aspect_ratio=True, fill_value=-1.0)[::11],
        np.full((2, 12, 1), -1.0),
    )


# Sampling


def continued(i, n, mode):
    """The element that stands at position i of a line of n elements; None for the fill value."""
    if 0 <= i < n:
        return i
    if mode == "constant":
        return None
    if mode == "nearest":
        return 0 if i < 0 else n - 1
    if mode == "wrap":
        return i % n
    if mode == "mirror":
        line = [*range(n), *range(n - 2, 0, -1)]
        return line[i % len(line)]
    line = [*range(n), *range(n - 1, -1, -1)]
    return line[i % len(line)]


def naive_sample(x, coordinate, order, mode, fill):
    def at(index):
        place = [continued(i, n, mode) for i, n in zip(index, x.shape, strict=False)]
        return fill if None in place else x[tuple(place)]

    if order == 0:
        return at([int(np.rint(c)) for c in coordinate])
    total = 0.0
    for corner in itertools.product((0, 1), repeat=len(coordinate)):
        weight = 1.0
        for c, high in zip(coordinate, corner, strict=True):
            share = c - math.floor(c)
            weight *= share if high else 1 - share
        total = total + weight * at([math.floor(c) + high for c, high in zip(coordinate, corner, strict=True)])
    return total


MODES = ["constant", "nearest", "wrap", "mirror", "reflect"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", [0, 1])
def test_map_coordinates(order, mode, rng):
    x = rng.standard_normal((4, 3, 2))
    coordinates = rng.uniform(-7, 9, (3, 5, 6))
    expected = [naive_sample(x, c, order, mode, 0.3) for c in coordinates.reshape(3, -1).T]
    close(image.map_coordinates(x, coordinates, order, mode, 0.3), np.reshape(expected, (5, 6)))
    whole = (10 * x).astype(np.int32)
    found = image.map_coordinates(whole, coordinates, order, mode, 3)
    assert found.dtype == np.int32
    exact = [naive_sample(whole, c, order, mode, 3) for c in coordinates.reshape(3, -1).T]
    np.testing.assert_array_equal(found.numpy().ravel(), np.rint(exact))


def test_a_line_of_one_element_mirrors_itself():
    assert image.map_coordinates([5.0], [[-2.0, 0.5, 3.0]], 1, "mirror").tolist() == [5, 5, 5]


MAPS = np.array(
    [[0.91, 0.13, 0.27, -0.17, 1.07, 0.31, 0.013, -0.021], [1.12, -0.07, -0.43, 0.09, 0.83, 0.57, 0.0, 0.017]]
)


def naive_map(x, matrix, order, mode, fill):
    y = np.empty(x.shape)
    for row, column in itertools.product(range(x.shape[0]), range(x.shape[1])):
        across, down, depth = matrix @ [column, row, 1]
        y[row, column] = naive_sample(x, (down / depth, across / depth), order, mode, fill)
    return y


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_affine_transform(interpolation, mode, rng):
    x = rng.standard_normal((2, 5, 6, 3))
    order = ["nearest", "bilinear"].index(interpolation)
    expected = [naive_map(x[i], np.append(MAPS[i], 1).reshape(3, 3), order, mode, 0.3) for i in range(2)]
    close(image.affine_transform(x, MAPS, interpolation, mode, 0.3), np.stack(expected))
    close(image.affine_transform(x[0], MAPS[0], interpolation, mode, 0.3), expected[0])
    first = image.affine_transform(np.moveaxis(x, -1, 1), MAPS, interpolation, mode, 0.3, "channels_first")
    close(ops.moveaxis(first, 1, -1), np.stack(expected))


def test_one_map_for_all_images(rng):
    x = rng.standard_normal((3, 4, 5, 1)).astype(np.float32)
    shift = np.array([1, 0, 1, 0, 1, 0, 0, 0], np.float32)
    expected = np.concatenate([x[:, :, 1:], np.zeros((3, 4, 1, 1))], 2)
    np.testing.assert_array_equal(image.affine_transform(x, shift).numpy(), expected)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_perspective_transform(interpolation, rng):
    x = rng.standard_normal((5, 6, 2))
    start = np.array([[0.0, 0.3], [4.7, 0.1], [0.2, 4.0], [5.1, 3.8]])
    end = np.array([[0.6, 0.1], [4.9, 0.5], [0.1, 3.6], [4.4, 4.1]])
    rows = []
    for (x0, y0), (x1, y1) in zip(start, end, strict=True):
        rows.append([x1, y1, 1, 0, 0, 0, -x0 * x1, -x0 * y1])
        rows.append([0, 0, 0, x1, y1, 1, -y0 * x1, -y0 * y1])
    matrix = np.append(np.linalg.solve(np.array(rows), start.ravel()), 1).reshape(3, 3)
    order = ["nearest", "bilinear"].index(interpolation)
    expected = naive_map(x, matrix, order, "constant", 0.5)
    close(image.perspective_transform(x, start, end, interpolation, 0.5), expected, roundings=2000)
    both = image.perspective_transform(np.stack([x, x]), np.stack([start, end]), np.stack([end, end]), interpolation)
    close(both[1], x, roundings=2000)


# Colours


def test_colours(rng):
    rgb = rng.uniform(0, 1, (2, 3, 4, 3))
    rgb[0, 0] = [[0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.2], [0.1, 0.7, 0.7]]
    hsv = np.array([colorsys.rgb_to_hsv(*pixel) for pixel in rgb.reshape(-1, 3)]).reshape(rgb.shape)
    close(image.rgb_to_hsv(rgb), hsv)
    close(image.hsv_to_rgb(hsv), rgb)
    close(image.hsv_to_rgb(image.rgb_to_hsv(rgb.astype(np.float32))), rgb)
    first = image.rgb_to_hsv(np.moveaxis(rgb, -1, 1), "channels_first")
    close(ops.moveaxis(first, 1, -1), hsv)
    gray = rgb @ [0.2989, 0.587, 0.114]
    close(image.rgb_to_grayscale(rgb), gray[..., None])
    close(image.rgb_to_grayscale(np.moveaxis(rgb[0], -1, 0), "channels_first"), gray[0][None])
    assert image.rgb_to_grayscale(np.full((1, 1, 3), 200, np.uint8)).dtype == np.uint8
    np.testing.assert_array_equal(image.rgb_to_grayscale(gray[..., None]).numpy(), gray[..., None])


# Borders, patches, blur


def test_borders():
    x = np.arange(24.0).reshape(1, 4, 6, 1)
    padded = np.pad(x, ((0, 0), (1, 2), (0, 3), (0, 0)))
    close(image.pad_images(x, 1, 0, 2, 3), padded)
    close(image.pad_images(x, top_padding=1, left_padding=0, target_height=7, target_width=9), padded)
    close(image.pad_images(x, bottom_padding=2, right_padding=3, target_height=7, target_width=9), padded)
    close(image.crop_images(x, 1, 2, 0, 1), x[:, 1:, 2:5])
    close(image.crop_images(x, 1, 2, target_height=3, target_width=3), x[:, 1:, 2:5])
    first = image.crop_images(np.moveaxis(x, -1, 1), 1, 2, 0, 1, data_format="channels_first")
    close(ops.moveaxis(first, 1, -1), x[:, 1:, 2:5])
    close(image.crop_images(image.pad_images(x[0], 1, 0, 2, 3), 1, 0, 2, 3), x[0])


def test_patches(rng):
    x = rng.standard_normal((2, 5, 7, 3)).astype(np.float32)
    y = image.extract_patches(x, (2, 3)).numpy()
    assert y.shape == (2, 2, 2, 18)
    for p, q in itertools.product(range(2), range(2)):
        window = x[:, 2 * p : 2 * p + 2, 3 * q : 3 * q + 3]
        np.testing.assert_array_equal(y[:, p, q], window.reshape(2, 18))
    dense = image.extract_patches(x[0], 2, strides=1, dilation_rate=2, padding="same").numpy()
    wide = np.pad(x[0], ((1, 1), (1, 1), (0, 0)))
    for p, q in itertools.product(range(5), range(7)):
        np.testing.assert_array_equal(dense[p, q], wide[p : p + 3 : 2, q : q + 3 : 2].ravel())
    first = image.extract_patches(np.moveaxis(x, -1, 1), (2, 3), data_format="channels_first")
    np.testing.assert_array_equal(np.moveaxis(first.numpy(), 1, -1), y)


def test_blur(rng):
    x = rng.standard_normal((2, 5, 6, 3))
    across = np.exp(-0.5 * (np.arange(3) - 1.0) ** 2 / 0.8**2)
    down = np.exp(-0.5 * (np.arange(5) - 2.0) ** 2 / 1.5**2)
    kernel = np.outer(down / down.sum(), across / across.sum())
    padded = np.pad(x, ((0, 0), (2, 2), (1, 1), (0, 0)))
    expected = np.zeros(x.shape)
    for i, j in itertools.product(range(5), range(3)):
        expected += kernel[i, j] * padded[:, i : i + 5, j : j + 6]
    close(image.gaussian_blur(x, (3, 5), (0.8, 1.5)), expected)
    close(image.gaussian_blur(x, np.array([3, 5]), Tensor([0.8, 1.5], "float64")), expected)
    first = image.gaussian_blur(np.moveaxis(x, -1, 1), (3, 5), (0.8, 1.5), "channels_first")
    close(ops.moveaxis(first, 1, -1), expected)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: image.resize(x[0, 0], (2, 2)), ValueError, r"image \(rank 3\).*got shape \(4, 3\)"),
        (lambda x: image.resize(x, (2, 2, 2)), ValueError, r"size must be \(height, width\)"),
        (lambda x: image.resize(x, (0, 2)), ValueError, "both positive"),
        (lambda x: image.resize(x, (2, 2), "cubic"), ValueError, "Unknown interpolation 'cubic'.*'bicubic'"),
        (lambda x: image.resize(x, (2, 2), fill_mode="wrap"), ValueError, "only be 'constant'; got 'wrap'"),
        (
            lambda x: image.resize(x, (2, 2), crop_to_aspect_ratio=True, pad_to_aspect_ratio=True),
            ValueError,
            "only one of crop_to_aspect_ratio",
        ),
        (lambda x: image.resize(x, (2, 2), data_format="NHWC"), ValueError, "Unknown data_format 'NHWC'"),
        (lambda x: image.affine_transform(x, np.ones(6)), ValueError, r"transform \[8\].*got shape \(6,\)"),
        (lambda x: image.affine_transform(x, np.ones((3, 8))), ValueError, "2 images need one map, or 2; got 3"),
        (lambda x: image.affine_transform(x, np.ones(8), "bicubic"), ValueError, "Unknown interpolation"),
        (lambda x: image.affine_transform(x, np.ones(8), fill_mode="edge"), ValueError, "Unknown fill_mode 'edge'"),
        (lambda x: image.perspective_transform(x, np.ones((3, 2)), np.ones((4, 2))), ValueError, "start_points"),
        (lambda x: image.perspective_transform(x, np.ones((4, 2)), np.ones((2, 4, 2))), ValueError, "one shape"),
        (lambda x: image.map_coordinates(x, np.ones((2, 5)), 1), ValueError, r"coordinates \[4, ...\]"),
        (lambda x: image.map_coordinates(x, np.ones((4, 5)), 3), ValueError, "order must be 0 or 1; got 3"),
        (lambda x: image.rgb_to_grayscale(x[..., :2]), ValueError, "1 or 3 channels on axis -1; got 2"),
        (lambda x: image.rgb_to_hsv(x.astype(np.uint8)), ValueError, "floating images.*got uint8"),
        (lambda x: image.pad_images(x, 1, 1, 1), ValueError, "exactly two of left_padding, right_padding"),
        (lambda x: image.pad_images(x, 1, 1, target_height=2, target_width=9), ValueError, "bottom_padding must not"),
        (lambda x: image.crop_images(x, 1, 1, 9, 0), ValueError, "more than the height of 5"),
        (lambda x: image.crop_images(x, 1, 1, target_height=5, target_width=2), ValueError, "bottom_cropping must"),
        (lambda x: image.extract_patches(x, 2.5), TypeError, "int or a tuple; got 2.5"),
        (lambda x: image.extract_patches(x, 9), ValueError, "larger than the image"),
    ],
)
def test_refused(call, error, words):
    with pytest.raises(error, match=words):
        call(np.ones((2, 5, 4, 3), np.float32))


def test_images_are_drawn_into_functional_models():
    from deepcore import Input, Model

    x = Input((6, 4, 3))
    model = Model(x, image.rgb_to_grayscale(image.resize(x, (3, 8))))
    assert model.output.shape == (None, 3, 8, 1)
    given = np.random.default_rng(2).standard_normal((2, 6, 4, 3)).astype(np.float32)
    expected = image.rgb_to_grayscale(image.resize(Tensor(given), (3, 8)))
    np.testing.assert_array_equal(model(given).numpy(), expected.numpy())
