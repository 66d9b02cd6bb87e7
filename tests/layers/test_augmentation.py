"""Images resized, cropped and changed at random: values, streams, what happens outside training, and files.

Random layers get a range of one number where the formula is held to values, so that nothing is left to chance; where
the draw itself is what is tested, it is read back from the result.
"""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import deepcore
from deepcore import Sequential, layers
from deepcore.device import use_device

pytestmark = pytest.mark.usefixtures("device")

TOLERANCE = {"rtol": 1e-4, "atol": 1e-3}
WIDE = (-1e6, 1e6)


def pictures(rng, *shape):
    return rng.uniform(0, 255, shape).astype(np.float32)


def train(layer, x):
    y = layer(x, training=True)
    assert y.dtype == np.float32
    return y.numpy()


# An independent sampler, one pixel after the other


def neighbour(i, size, fill_mode):
    """The place that i stands for on an axis of ``size``; None outside, where the mode is constant."""
    if 0 <= i < size:
        return i
    if fill_mode == "constant":
        return None
    if fill_mode == "nearest":
        return min(max(i, 0), size - 1)
    if fill_mode == "wrap":
        return i % size
    i %= 2 * size  # reflect: d c b a | a b c d | d c b a
    return i if i < size else 2 * size - 1 - i


def pixel(image, y, x, interpolation, fill_mode, fill_value):
    if interpolation == "nearest":
        corners = [(round(y), round(x), 1.0)]
    else:
        top, left = math.floor(y), math.floor(x)
        corners = [
            (top + i, left + j, (1 - abs(y - top - i)) * (1 - abs(x - left - j))) for i in (0, 1) for j in (0, 1)
        ]
    total = np.zeros(image.shape[-1])
    for i, j, share in corners:
        i, j = neighbour(i, image.shape[0], fill_mode), neighbour(j, image.shape[1], fill_mode)
        total += share * (fill_value if i is None or j is None else np.float64(image[i, j]))
    return total


def seen_through(image, place, interpolation="bilinear", fill_mode="reflect", fill_value=0.0):
    """The image whose pixel (y, x) is the given image's at ``place(y, x)``."""
    height, width, _ = image.shape
    return np.array(
        [
            [pixel(image, *place(y, x), interpolation, fill_mode, fill_value) for x in range(width)]
            for y in range(height)
        ]
    )


def resized(image, height, width):
    """Bilinear, pixels being squares whose middles are the samples."""
    down, across = image.shape[0] / height, image.shape[1] / width
    return np.array(
        [
            [
                pixel(image, (y + 0.5) * down - 0.5, (x + 0.5) * across - 0.5, "bilinear", "nearest", 0)
                for x in range(width)
            ]
            for y in range(height)
        ]
    )


# Sizes


@pytest.mark.parametrize("size", [(4, 3), (9, 7), (6, 5), (1, 1)])
def test_resizing(size, rng):
    x = pictures(rng, 2, 6, 5, 3)
    y = layers.Resizing(*size)(x)
    np.testing.assert_allclose(y.numpy(), [resized(image, *size) for image in x], **TOLERANCE)


def test_resizing_by_the_nearest_pixel(rng):
    x = pictures(rng, 1, 4, 6, 2)
    y = layers.Resizing(2, 9, "nearest")(x)
    rows, columns = (np.arange(2) * 2 + 1), np.floor((np.arange(9) + 0.5) * 6 / 9).astype(int)
    np.testing.assert_array_equal(y.numpy(), x[:, rows][:, :, columns])


def test_resizing_within_the_proportions(rng):
    x = pictures(rng, 1, 4, 8, 2)
    cropped = layers.Resizing(2, 2, crop_to_aspect_ratio=True)(x)
    np.testing.assert_allclose(cropped.numpy()[0], resized(x[0, :, 2:6], 2, 2), **TOLERANCE)
    padded = layers.Resizing(4, 4, pad_to_aspect_ratio=True, fill_value=7.0)(x).numpy()[0]
    square = np.full((8, 8, 2), 7.0)
    square[2:6] = x[0]
    np.testing.assert_allclose(padded, resized(square, 4, 4), **TOLERANCE)


@pytest.mark.parametrize("size", [(4, 3), (6, 5), (1, 4)])
def test_center_crop(size, rng):
    x = pictures(rng, 2, 6, 5, 3)
    top, left = (6 - size[0]) // 2, (5 - size[1]) // 2
    expected = x[:, top : top + size[0], left : left + size[1]]
    np.testing.assert_array_equal(layers.CenterCrop(*size)(x).numpy(), expected)


def test_center_crop_of_smaller_images(rng):
    x = pictures(rng, 1, 4, 6, 2)
    # 8 by 4 is twice as high as wide: of 4 by 6, the two columns in the middle.
    expected = resized(x[0, :, 2:4], 8, 4)
    np.testing.assert_allclose(layers.CenterCrop(8, 4)(x).numpy()[0], expected, **TOLERANCE)


# Flips


@pytest.mark.parametrize(
    ("mode", "axes"), [("horizontal", (2,)), ("vertical", (1,)), ("horizontal_and_vertical", (1, 2))]
)
def test_half_of_the_images_are_flipped(mode, axes, rng):
    x = pictures(rng, 400, 2, 3, 1)
    y = train(layers.RandomFlip(mode, seed=4), x)
    flipped = np.flip(x, axes)
    is_flipped = (y == flipped).all((1, 2, 3))
    np.testing.assert_array_equal(y[~is_flipped], x[~is_flipped])
    assert abs(is_flipped.sum() - 200) < 6 * math.sqrt(100)


# Maps of the pixels

MODES = [("bilinear", "reflect"), ("bilinear", "constant"), ("bilinear", "wrap"), ("nearest", "nearest")]


@pytest.mark.parametrize(("interpolation", "fill_mode"), MODES)
@pytest.mark.parametrize("turn", [0.1, -0.3])
def test_rotation(turn, interpolation, fill_mode, rng):
    x = pictures(rng, 1, 5, 6, 2)
    layer = layers.RandomRotation((turn, turn), fill_mode, interpolation, fill_value=9.0)
    angle, middle_y, middle_x = 2 * math.pi * turn, 2.0, 2.5

    def place(y, x):
        up, right = y - middle_y, x - middle_x
        return (
            math.sin(angle) * right + math.cos(angle) * up + middle_y,
            math.cos(angle) * right - math.sin(angle) * up + middle_x,
        )

    expected = seen_through(x[0], place, interpolation, fill_mode, 9.0)
    np.testing.assert_allclose(train(layer, x)[0], expected, rtol=1e-3, atol=0.05)


@pytest.mark.parametrize("quarters", [1, 2, -1])
def test_whole_quarters_of_a_turn_against_the_clock(quarters, rng):
    x = pictures(rng, 2, 5, 5, 1)
    y = train(layers.RandomRotation((quarters / 4, quarters / 4)), x)
    np.testing.assert_allclose(y, np.rot90(x, quarters, (1, 2)), rtol=1e-3, atol=0.05)


@pytest.mark.parametrize(("interpolation", "fill_mode"), MODES)
def test_translation(interpolation, fill_mode, rng):
    x = pictures(rng, 1, 5, 4, 2)
    layer = layers.RandomTranslation((0.3, 0.3), (-0.4, -0.4), fill_mode, interpolation, fill_value=3.0)
    expected = seen_through(x[0], lambda y, x: (y - 1.5, x + 1.6), interpolation, fill_mode, 3.0)
    if interpolation == "nearest":  # 1.5 rows are as near to 1 as to 2
        layer = layers.RandomTranslation((0.25, 0.25), (-0.4, -0.4), fill_mode, interpolation)
        expected = seen_through(x[0], lambda y, x: (y - 1.25, x + 1.6), interpolation, fill_mode)
    np.testing.assert_allclose(train(layer, x)[0], expected, **TOLERANCE)


def test_translation_by_whole_pixels_moves_down_and_right(rng):
    x = pictures(rng, 1, 4, 5, 1)
    y = train(layers.RandomTranslation((0.25, 0.25), (0.4, 0.4), "constant", fill_value=-1.0), x)
    np.testing.assert_allclose(y[:, 1:, 2:], x[:, :-1, :-2], **TOLERANCE)
    np.testing.assert_allclose(y[:, 0], -1, **TOLERANCE)
    np.testing.assert_allclose(y[:, :, :2], -1, **TOLERANCE)


@pytest.mark.parametrize(
    ("factors", "scales"), [(((0.5, 0.5), (-0.2, -0.2)), (1.5, 0.8)), (((-0.4, -0.4),), (0.6,) * 2)]
)
def test_zoom(factors, scales, rng):
    x = pictures(rng, 1, 5, 4, 2)
    down, across = scales
    place = lambda y, x: (2 + (y - 2) * down, 1.5 + (x - 1.5) * across)  # noqa: E731
    expected = seen_through(x[0], place)
    np.testing.assert_allclose(train(layers.RandomZoom(*factors), x)[0], expected, rtol=1e-3, atol=0.02)


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.RandomRotation(0.3, seed=5),
        lambda: layers.RandomTranslation(0.3, 0.2, seed=5),
        lambda: layers.RandomZoom(0.3, seed=5),
    ],
)
def test_every_image_has_a_draw_of_its_own(make, rng):
    x = np.repeat(pictures(rng, 1, 4, 4, 1), 5, axis=0)
    y = train(make(), x)
    assert all(not np.allclose(y[i], y[j], atol=1e-3) for i in range(5) for j in range(i))


# Colours


def test_contrast_spreads_each_channel_about_its_mean(rng):
    x = pictures(rng, 60, 3, 4, 2)
    y = np.float64(train(layers.RandomContrast((0.5, 0.9), WIDE, seed=6), x))
    middle = np.float64(x).mean((1, 2), keepdims=True)
    factors = ((y - middle) * (x - middle)).sum((1, 2, 3)) / ((x - middle) ** 2).sum((1, 2, 3))
    np.testing.assert_allclose(y, (x - middle) * factors[:, None, None, None] + middle, rtol=1e-4, atol=1e-2)
    assert 0.5 <= factors.min() < 0.75
    assert 1.6 < factors.max() <= 1.9


def test_one_contrast_factor_means_as_much_more(rng):
    x = pictures(rng, 60, 3, 3, 1)
    y = np.float64(train(layers.RandomContrast(0.4, WIDE, seed=6), x))
    spread = y.std((1, 2)) / np.float64(x).std((1, 2))
    assert 1 - 1e-4 <= spread.min() < 1.1
    assert 1.3 < spread.max() <= 1.4 + 1e-4


@pytest.mark.parametrize(
    ("factor", "low", "high"), [(0.2, -0.2, 0.2), ((0.1, 0.4), 0.1, 0.4), ((0.3, -0.5), -0.5, 0.3)]
)
def test_brightness_adds_one_number_to_each_image(factor, low, high, rng):
    x = pictures(rng, 60, 3, 2, 2)
    y = np.float64(train(layers.RandomBrightness(factor, (-1500, 1500), seed=7), x)) - x
    assert np.ptp(y, axis=(1, 2, 3)).max() < 1e-3
    share = y.mean((1, 2, 3)) / 3000
    assert low - 1e-6 <= share.min() < low + 0.2 * (high - low)
    assert high - 0.2 * (high - low) < share.max() <= high + 1e-6


@pytest.mark.parametrize("cls", [layers.RandomContrast, layers.RandomBrightness])
def test_colours_stay_in_their_range(cls, rng):
    x = pictures(rng, 20, 3, 3, 1) / 255
    y = train(cls(0.9, value_range=(0, 1), seed=3), x)
    assert y.min() == 0
    assert y.max() == 1


# Crops


def test_a_random_crop_is_the_same_place_of_every_image(rng):
    x = pictures(rng, 3, 5, 4, 2)
    layer = layers.RandomCrop(3, 3, seed=8)
    places = set()
    for _ in range(60):
        y = train(layer, x)
        found = [(i, j) for i in range(3) for j in range(2) if (y == x[:, i : i + 3, j : j + 3]).all()]
        assert len(found) == 1
        places.update(found)
    assert places == {(i, j) for i in range(3) for j in range(2)}


@pytest.mark.parametrize(
    ("size", "part"),
    [
        ((8, 7), (slice(0, 6), slice(0, 5))),  # all of it
        ((8, 3), (slice(0, 6), slice(1, 4))),  # of 6 by 5, 6 by 2 has these proportions, and begins at column 1
        ((3, 9), (slice(2, 5), slice(0, 5))),  # 1 by 5 has them, and begins at row 2
        ((6, 4), (slice(0, 6), slice(0, 4))),  # as high: nothing is left to chance
    ],
)
def test_random_crop_of_images_that_are_not_larger(size, part, rng):
    x = pictures(rng, 2, 6, 5, 3)
    y = train(layers.RandomCrop(*size), x)
    np.testing.assert_allclose(y, [resized(image[part], *size) for image in x], **TOLERANCE)


# What all share

LAYERS = {
    "center crop": lambda **k: layers.CenterCrop(3, 2, **k),
    "resizing": lambda **k: layers.Resizing(3, 2, **k),
    "brightness": lambda **k: layers.RandomBrightness(0.3, seed=1, **k),
    "contrast": lambda **k: layers.RandomContrast(0.3, seed=1, **k),
    "crop": lambda **k: layers.RandomCrop(3, 2, seed=1, **k),
    "flip": lambda **k: layers.RandomFlip(seed=2, **k),
    "rotation": lambda **k: layers.RandomRotation(0.2, seed=1, **k),
    "translation": lambda **k: layers.RandomTranslation(0.2, 0.3, seed=1, **k),
    "zoom": lambda **k: layers.RandomZoom(0.3, 0.2, seed=1, **k),
}
RANDOM = {name: make for name, make in LAYERS.items() if name not in ("center crop", "resizing")}
each = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
each_random = pytest.mark.parametrize("make", RANDOM.values(), ids=RANDOM)


@each_random
def test_outside_training_images_stay_as_they_are(make, rng):
    x = pictures(rng, 2, 5, 4, 3)
    np.testing.assert_array_equal(make()(x, training=False).numpy(), x)
    pixels = x.astype(np.uint8)
    y = make()(pixels, training=False)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y.numpy(), pixels)


@each_random
def test_a_call_that_says_nothing_is_one_of_training(make, rng):
    x = pictures(rng, 3, 5, 4, 3)
    np.testing.assert_array_equal(make()(x).numpy(), train(make(), x))


@pytest.mark.parametrize("name", ["center crop", "resizing"])
def test_training_changes_nothing_where_nothing_is_random(name, rng):
    x = pictures(rng, 2, 5, 4, 3)
    layer = LAYERS[name]()
    np.testing.assert_array_equal(train(layer, x), layer(x, training=False).numpy())


@each_random
def test_a_seed_makes_the_draws(make, rng):
    x = pictures(rng, 8, 5, 4, 3)
    layer = make()
    first, second = train(layer, x), train(layer, x)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(train(make(), x), first)
    again = type(layer).from_config({**layer.get_config(), "seed": 12345})
    assert not np.array_equal(train(again, x), first)


@each_random
def test_draws_are_the_same_on_every_device(make, rng):
    x = pictures(rng, 3, 5, 4, 3)
    here = train(make(), x)
    with use_device("cpu"):
        there = train(make(), x)
    np.testing.assert_allclose(here, there, rtol=1e-5, atol=0.02)


@each
def test_channels_first(make, rng):
    x = pictures(rng, 3, 5, 4, 2)
    last = train(make(), x)
    first = train(make(data_format="channels_first"), np.ascontiguousarray(np.moveaxis(x, -1, 1)))
    np.testing.assert_allclose(np.moveaxis(first, 1, -1), last, rtol=1e-5, atol=0.02)


@each
def test_one_image_is_a_batch_of_one(make, rng):
    x = pictures(rng, 1, 5, 4, 2)
    np.testing.assert_array_equal(train(make(), x[0]), train(make(), x)[0])


@each
def test_a_dictionary_keeps_what_belongs_to_the_images(make, rng):
    x, labels = pictures(rng, 2, 5, 4, 2), np.array([3, 4])
    y = make()({"images": x, "labels": labels}, training=True)
    np.testing.assert_array_equal(y["images"].numpy(), train(make(), x))
    np.testing.assert_array_equal(y["labels"].numpy(), labels)


@each
def test_what_is_told_of_the_shape_is_so(make, rng):
    x = pictures(rng, 2, 5, 4, 3)
    layer = make()
    assert tuple(layer.compute_output_shape((None, 5, 4, 3))) == (None, *train(layer, x).shape[1:])
    assert layer(layers.Input((5, 4, 3))).shape == (None, *train(layer, x).shape[1:])


@each
def test_images_of_other_ranks_and_dictionaries_without_images_are_refused(make):
    for shape in ((4,), (5, 4), (1, 1, 5, 4, 3)):
        with pytest.raises(ValueError, match="one image of rank 3, or a batch of rank 4"):
            make()(np.ones(shape, np.float32))
    with pytest.raises(ValueError, match=r"a dictionary with 'images'; got \['labels'\]"):
        make()({"labels": np.ones(2, np.float32)})
    with pytest.raises(ValueError, match=r"\['bounding_boxes'\] would have to be changed"):
        make()({"images": np.ones((5, 4, 3), np.float32), "bounding_boxes": np.ones((1, 4), np.float32)})


@each
def test_from_a_file(make, rng, tmp_path):
    x = pictures(rng, 2, 5, 4, 3)
    layer = make()
    Sequential([layers.Input((5, 4, 3)), layer]).save(tmp_path / "model.keras")
    again = deepcore.saving.load_model(tmp_path / "model.keras").layers[-1]
    assert json.dumps(again.get_config()) == json.dumps(layer.get_config())  # lists and tuples are one there
    np.testing.assert_array_equal(train(again, x), train(make(), x))
