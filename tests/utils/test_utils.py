"""Helps for scripts: sequences, pictures, normalisation, and what a missing name says."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import deepcore
from deepcore import config, utils
from deepcore.preprocessing import image, sequence


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [[0, 0, 1], [0, 0, 0], [2, 3, 4]]),
        ({"padding": "post", "value": 9}, [[1, 9, 9], [9, 9, 9], [2, 3, 4]]),
        ({"maxlen": 2}, [[0, 1], [0, 0], [3, 4]]),
        ({"maxlen": 2, "truncating": "post"}, [[0, 1], [0, 0], [2, 3]]),
        ({"maxlen": 4, "padding": "post"}, [[1, 0, 0, 0], [0, 0, 0, 0], [2, 3, 4, 0]]),
    ],
)
def test_sequences_are_filled_and_cut_on_the_side_asked_for(options, expected):
    padded = sequence.pad_sequences([[1], [], [2, 3, 4]], **options)
    np.testing.assert_array_equal(padded, expected)
    assert padded.dtype == np.int32


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sequences": [1, 2]}, "number 0 is 1"),
        ({"sequences": 3}, "list of sequences"),
        ({"sequences": [[1]], "padding": "left"}, "padding must be"),
        ({"sequences": [[1]], "truncating": "left"}, "truncating must be"),
        ({"sequences": [[1]], "value": "x"}, "dtype=object"),
        ({"sequences": [[[1, 2]], [[1, 2, 3]]]}, "sequence 1 has steps of shape"),
    ],
)
def test_wrong_sequences_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        utils.pad_sequences(**arguments)


def test_a_picture_survives_its_file(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    image.save_img(tmp_path / "a.png", pixels, scale=False)
    read = image.img_to_array(image.load_img(tmp_path / "a.png"))
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, pixels)
    first = utils.img_to_array(utils.load_img(tmp_path / "a.png"), data_format="channels_first", dtype="uint8")
    np.testing.assert_array_equal(first, pixels.transpose(2, 0, 1))


def test_scaling_takes_the_least_to_0_and_the_most_to_255():
    grey = np.asarray(utils.array_to_img(np.array([[[-1.0], [0.0]], [[1.0], [3.0]]])))
    np.testing.assert_array_equal(grey, [[0, 63], [127, 255]])


def test_keeping_the_proportions_cuts_the_middle_out(tmp_path):
    pixels = np.zeros((2, 6, 3), np.uint8)
    pixels[:, 2:4] = 200
    utils.save_img(tmp_path / "a.png", pixels, scale=False)
    cut = utils.load_img(tmp_path / "a.png", target_size=(1, 1), keep_aspect_ratio=True)
    np.testing.assert_array_equal(np.asarray(cut), np.full((1, 1, 3), 200))


def test_pictures_without_pillow_name_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"pip install 'deepcore\[data\]'"):
        utils.load_img("a.png")


def test_wrong_pictures_are_refused():
    with pytest.raises(TypeError, match="must be a path"):
        utils.load_img(3)
    with pytest.raises(ValueError, match="color_mode"):
        utils.load_img("a.png", color_mode="cmyk")
    with pytest.raises(ValueError, match="rank 3"):
        utils.array_to_img(np.zeros(4))
    with pytest.raises(ValueError, match="1, 3 or 4 channels"):
        utils.array_to_img(np.zeros((2, 2, 2)))


@pytest.mark.parametrize("order", [1, 2, np.inf])
def test_normalize_divides_by_the_norm(order):
    x = np.random.default_rng(1).normal(size=(3, 4))
    expected = x / (np.abs(x) ** order).sum(0) ** (1 / order) if order != np.inf else x / np.abs(x).max(0)
    np.testing.assert_allclose(utils.normalize(x, axis=0, order=order), expected)


@pytest.mark.parametrize("module", ["layers", "ops", "losses", "metrics", "optimizers", "callbacks", "utils", "models"])
def test_a_name_that_is_not_there_is_named_however_it_is_asked_for(module):
    with pytest.raises(AttributeError, match=f"deepcore has no {module}.Unheard yet"):
        getattr(getattr(deepcore, module), "Unheard")  # noqa: B009
    with pytest.raises(ImportError, match=f"deepcore has no {module}.Unheard yet"):
        exec(f"from deepcore.{module} import Unheard")
    assert not hasattr(getattr(deepcore, module), "Unheard")


def test_the_nearest_name_is_offered():
    with pytest.raises(ImportError, match="Did you mean 'Dense'"):
        from deepcore.layers import Dence  # noqa: F401


def test_the_default_dtype_is_that_of_new_layers():
    config.set_floatx("float64")
    try:
        layer = deepcore.layers.Dense(2)
        layer.build((None, 3))
        assert layer.kernel.dtype == np.float64
    finally:
        config.set_floatx("float32")
    with pytest.raises(ValueError, match="float32 or float64"):
        config.set_floatx("float8")


def test_settings_of_the_program_are_kept_and_checked():
    config.set_epsilon(1e-5)
    try:
        assert config.epsilon() == 1e-5
    finally:
        config.set_epsilon(1e-7)
    with pytest.raises(ValueError, match="channels_last"):
        config.set_image_data_format("sideways")
