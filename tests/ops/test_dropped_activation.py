"""What dropout kept follows from its result where it comes behind a relu: the backward pass draws no mask."""

from __future__ import annotations

import numpy as np
import pytest

from deepcore import ops
from deepcore.autograd import gradients
from deepcore.device import CPU
from deepcore.tensor import Tensor

BETWEEN = {
    "nothing": lambda z: z,
    "pooling": lambda z: ops.max_pool2d(z, 2),
    "reshape": lambda z: ops.reshape(z, (2, -1)),
}


@pytest.fixture
def tensors(rng):
    shapes = (2, 8, 6, 3), (3, 3, 3, 4), (4,)
    return [Tensor(rng.standard_normal(shape).astype(np.float32), requires_grad=True) for shape in shapes]


def _loss(tensors, activation="relu", between="nothing", after=lambda y: y):
    z = BETWEEN[between](ops.conv2d(*tensors[:2], tensors[2], padding="same", activation=activation))
    y = after(ops.dropout(z, 0.3, seed=5))
    return ops.sum(y * y * 0.5 + y)


@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize("activation", ["linear", "relu", "relu6", "tanh"])
def test_gradients_are_those_of_the_mask(tensors, activation, between):
    """They are compared with those of a pass that is recorded, in which the mask is drawn."""
    found = gradients(_loss(tensors, activation, between), tensors)
    expected = gradients(_loss(tensors, activation, between), tensors, create_graph=True)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-5, atol=1e-5)


def test_no_mask_is_drawn_behind_a_relu(tensors, monkeypatch):
    drawn = []
    original = CPU.backend.dropout
    monkeypatch.setattr(CPU.backend, "dropout", lambda *args: (drawn.append(1), original(*args))[1])
    losses = [_loss(tensors), _loss(tensors, between="pooling"), _loss(tensors, "tanh")]
    assert len(drawn) == 3
    for loss, more in zip(losses, (0, 0, 1), strict=True):
        before = len(drawn)
        gradients(loss, tensors)
        assert len(drawn) == before + more


def test_pooling_behind_dropout(tensors):
    pooled = gradients(_loss(tensors, after=lambda y: ops.max_pool2d(y, 2)), tensors)
    recorded = gradients(_loss(tensors, after=lambda y: ops.max_pool2d(y, 2)), tensors, create_graph=True)
    for one, other in zip(pooled, recorded, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-5, atol=1e-5)


def test_a_result_that_is_used_twice(tensors):
    """The gradients of both uses are added before the slope of the activation is taken."""

    def loss():
        z = ops.conv2d(*tensors[:2], tensors[2], activation="relu")
        return ops.sum(ops.dropout(z, 0.5, seed=1) * 2.0) + ops.sum(z * z)

    found, expected = gradients(loss(), tensors), gradients(loss(), tensors, create_graph=True)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-5, atol=1e-4)


def test_nan_is_dropped_or_handed_on():
    x = Tensor(np.full((4, 64), np.nan, np.float32), requires_grad=True)
    y = ops.dropout(ops.relu(x), 0.5, seed=3)
    (dx,) = gradients(ops.sum(y * 0.0 + y * 1.0), [x])
    kept = np.isnan(y.numpy())
    assert 0 < kept.sum() < kept.size
    np.testing.assert_array_equal(dx.numpy()[~kept], 0)
    np.testing.assert_array_equal(dx.numpy()[kept], 2)
