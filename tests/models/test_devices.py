"""A network trains alike on every device: same seed, same masks, loss curves equal to float32 rounding."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from devices import ACCELERATORS, skip_unless_there

import deepcore
from deepcore import layers
from deepcore.datasets import digits
from deepcore.device import use_device

BATCH = 32


@pytest.fixture(params=ACCELERATORS)
def accelerator(request):
    skip_unless_there(request.param)
    return request.param


def example():
    """``examples/lenet_digits.py``, which is no part of the package."""
    file = Path(__file__).parents[2] / "examples" / "lenet_digits.py"
    spec = importlib.util.spec_from_file_location("lenet_digits", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def one_epoch(module, device, dtype="float32"):
    """The loss of every step of one epoch of the example's LeNet-5, and its predictions for digits it has not seen."""
    deepcore.random.set_seed(1)
    (x, y), (x_test, _) = module.load()
    with use_device(device):
        model = module.lenet()
        if dtype != "float32":
            weights = model.get_weights()
            made = [type(layer).from_config({**layer.get_config(), "dtype": dtype}) for layer in model.layers]
            model = deepcore.Sequential([layers.Input((16, 16, 1), dtype=dtype), *made], dtype=dtype)
            model.set_weights(weights)
        model.compile("adam", "sparse_categorical_crossentropy")
        starts = range(0, len(x), BATCH)
        losses = [model.train_on_batch(x[i : i + BATCH], y[i : i + BATCH], return_dict=True)["loss"] for i in starts]
        assert {str(weight.device) for weight in model.weights} == {device}
        assert {str(weight.dtype) for weight in model.trainable_weights} == {dtype}
        return np.array(losses, np.float64), np.float64(model.predict(x_test, verbose=0))


def test_lenet_trains_alike_for_an_epoch(accelerator):
    """What rounding does to this very curve is measured: by how far the CPU's float32 strays from its float64.

    Two ways to round stray independently, so that another device may be as far from float64 as the CPU is, give or take
    how lucky each was: four times the furthest so far, and at least a few roundings of the loss itself.
    """
    module = example()
    ours, ours_at_end = one_epoch(module, accelerator)
    theirs, theirs_at_end = one_epoch(module, "cpu")
    exact, exact_at_end = one_epoch(module, "cpu", "float64")
    assert theirs[-5:].mean() < 0.7 * theirs[:5].mean(), "it does not learn"
    floor = 8 * np.finfo(np.float32).eps
    strayed = np.maximum.accumulate(np.abs(theirs - exact) / exact)
    allowed = 4 * np.maximum(strayed, floor)
    assert allowed.max() < 1e-4, "it would hide a mistake"
    error = np.abs(ours - exact) / exact
    assert (error <= allowed).all(), f"step {np.argmax(error / allowed)}: {(error / allowed).max():.1f} times too much"
    np.testing.assert_allclose(
        ours_at_end, exact_at_end, rtol=0, atol=4 * max(np.abs(theirs_at_end - exact_at_end).max(), floor)
    )


def small_network_losses(device, steps=6):
    """Losses of a network of all that LeNet-5 has not, step by step, and its predictions at the end."""
    (x, y), (x_test, _) = digits.load_data()
    x, x_test = (images[..., None].astype(np.float32) / 16 for images in (x, x_test))
    deepcore.random.set_seed(7)
    with use_device(device):
        model = deepcore.Sequential(
            [
                layers.Conv2D(6, 3, padding="same", activation="relu"),
                layers.MaxPooling2D(2),
                layers.Conv2D(16, 3, padding="same"),
                layers.BatchNormalization(),
                layers.ReLU(),
                layers.AveragePooling2D(2),
                layers.Flatten(),
                layers.Dense(32, activation="tanh"),
                layers.Dropout(0.3),
                layers.Dense(10, activation="softmax"),
            ]
        )
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        losses = [model.train_on_batch(x[:32], y[:32], return_dict=True)["loss"] for _ in range(steps)]
        assert {str(weight.device) for weight in model.weights} == {device}
        return np.array(losses), model.predict(x_test[:16], verbose=0)


def test_dropout_and_normalization_train_alike(accelerator):
    ours, ours_at_end = small_network_losses(accelerator)
    theirs, theirs_at_end = small_network_losses("cpu")
    assert theirs[-1] < theirs[0]
    # Rounding errors of a step, some tens of eps, grow with the steps that follow.
    np.testing.assert_allclose(ours, theirs, rtol=2e-5)
    np.testing.assert_allclose(ours_at_end, theirs_at_end, atol=2e-4)


def masks(device, dtype):
    """What a network's dropout layers keep, call by call: sizes that do and do not fill a block of random numbers."""
    deepcore.random.set_seed(21)
    with use_device(device):
        dropouts = [
            layers.Dropout(0.3, dtype=dtype),
            layers.Dropout(0.5, seed=9, dtype=dtype),
            layers.Dropout(0.9, noise_shape=(None, 1, 1, 3), dtype=dtype),
        ]
        shapes = [(1, 1, 1, 1), (3, 5, 7, 3), (32, 8, 8, 6), (5, 1, 2, 3)]
        return [
            dropout(np.ones(shape, dtype), training=True).numpy() != 0
            for shape in shapes
            for dropout in (dropouts if shape[-1] == 3 else dropouts[:2])
        ]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dropout_masks_are_the_same_bits(accelerator, dtype):
    ours, theirs = masks(accelerator, dtype), masks("cpu", dtype)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)
    assert 0 < np.concatenate([b.ravel() for b in theirs]).mean() < 1
