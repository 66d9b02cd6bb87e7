"""What fit does for the options of an optimizer."""

from __future__ import annotations

import numpy as np

import deepcore
from deepcore import layers, optimizers


def fitted(**options):
    model = deepcore.Sequential([layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    model.compile(optimizers.SGD(0.25, **options), "mse")
    model.fit(np.ones((3, 1), np.float32), np.zeros((3, 1), np.float32), batch_size=1, epochs=1, verbose=0)
    return float(model.weights[0].numpy()[0, 0])


def test_the_loss_is_scaled_before_its_gradient_is_scaled_back():
    assert fitted() == fitted(loss_scale_factor=16.0) == 0.125


def test_the_weights_end_as_their_averages():
    assert fitted(use_ema=True, ema_momentum=0.5) == 0.5 * (0.5 * 0.5 + 0.5 * 0.25) + 0.5 * 0.125
