"""Gradients of every layer by its inputs and by its weights, out of training, against finite differences in float64."""

from __future__ import annotations

import numpy as np
import pytest
from layer_cases import CASES, arrays_of, layer_of

from deepcore import DTypePolicy, config, dtype_policies, layers
from deepcore.autograd import gradcheck, gradients
from deepcore.structure import leaves
from deepcore.tensor import Tensor


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """float64, whatever policy another test has set for the program."""
    monkeypatch.setattr(dtype_policies, "_of_the_program", [DTypePolicy("float64")])
    config.set_floatx("float64")
    yield
    config.set_floatx("float32")


def outputs_of(layer, inputs):
    given = list(inputs) if len(inputs) > 1 else inputs[0]
    arguments = {"training": False} if "training" in layer.call.__code__.co_varnames else {}
    return tuple(leaves(layer(given, **arguments)))


@pytest.mark.parametrize("name", CASES)
def test_by_inputs_and_weights(name, rng):
    layer, arrays = layer_of(layers, name), arrays_of(rng, name)
    of_numbers = CASES[name][1] == "integers"  # of rows or classes, by which nothing is differentiated
    inputs = [Tensor(x if of_numbers else x.astype(float)) for x in arrays]
    outputs_of(layer, inputs)
    assert of_numbers or gradcheck(lambda *given: outputs_of(layer, given), [x.numpy() for x in inputs])
    layer.set_weights([rng.uniform(0.3, 1.2, w.shape) if w.dtype.kind == "f" else w.numpy() for w in layer.weights])
    for weight in layer.trainable_weights:
        found = gradients(_scalar(outputs_of(layer, inputs)), [weight])[0].numpy()
        start = weight.numpy()
        for place in {tuple(rng.integers(0, size) for size in start.shape) for _ in range(3)}:
            moved = []
            for step in (1e-6, -1e-6):
                changed = start.copy()
                changed[place] += step
                weight.assign(changed)
                moved.append(float(_scalar(outputs_of(layer, inputs))))
            weight.assign(start)
            slope = (moved[0] - moved[1]) / 2e-6
            assert found[place] == pytest.approx(slope, rel=1e-5, abs=1e-6), weight.path


def _scalar(outputs):
    """A sum in which every element has a weight of its own."""
    total = 0.0
    for y in outputs:
        total = total + (y * Tensor(np.cos(np.arange(y.size)).reshape(y.shape))).sum()
    return total
