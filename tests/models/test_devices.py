"""A network trains alike on every device: same seed, same masks, loss curves equal to float32 rounding."""

from __future__ import annotations

import numpy as np
import pytest

import deepcore
from deepcore import layers
from deepcore.datasets import digits
from deepcore.device import describe_devices, use_device

AVAILABLE = {name: ok for name, ok, _ in describe_devices()}
REASONS = {name: reason for name, _, reason in describe_devices()}
DEVICES = ["emulator", "cuda"] if AVAILABLE["cuda"] else ["emulator"]


@pytest.fixture(params=DEVICES)
def device(request):
    if not AVAILABLE[request.param]:
        pytest.skip(f"NOT TESTED: {REASONS[request.param]}")
    return request.param


def lenet_losses(device, steps=6):
    """Losses of LeNet on 32 digits, step by step, and its predictions at the end."""
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


def test_lenet_trains_alike(device):
    ours, ours_at_end = lenet_losses(device)
    theirs, theirs_at_end = lenet_losses("cpu")
    assert theirs[-1] < theirs[0]
    # Rounding errors of a step, some tens of eps, grow with the steps that follow.
    np.testing.assert_allclose(ours, theirs, rtol=2e-5)
    np.testing.assert_allclose(ours_at_end, theirs_at_end, atol=2e-4)
