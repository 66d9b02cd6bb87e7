"""The slope of an activation in front of max pooling is taken behind it, where there are fewer elements."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from deepcore import ops
from deepcore.autograd import gradients
from deepcore.device import CPU
from deepcore.tensor import Tensor

POOLS = {
    "apart": lambda z: ops.max_pool2d(z, 2),
    "overlapping": lambda z: ops.max_pool2d(z, 3, 1),
    "padded": lambda z: ops.max_pool2d(z, 3, 2, "same"),
    "gaps": lambda z: ops.max_pool2d(z, 2, 3),
    "global": lambda z: ops.reshape(ops.global_max_pool2d(z), (2, 1, 1, 4)),
}


def _network(x, w, b, activation, pool):
    z = ops.conv2d(x, w, b, activation=activation)
    return z, POOLS[pool](z)


@pytest.fixture
def tensors(rng):
    shapes = (2, 9, 8, 3), (3, 3, 3, 4), (4,)
    return [Tensor(rng.standard_normal(shape), requires_grad=True) for shape in shapes]


def _both_ways(loss, inputs):
    """Gradients as they are for a step, and as they are where the backward pass itself is recorded, element by element
    at the input of the pooling."""
    return gradients(loss(), inputs()), gradients(loss(), inputs(), create_graph=True)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("activation", ops.EPILOGUES)
def test_gradients_are_those_of_the_slope_at_every_pixel(tensors, activation, pool):
    def loss():
        _, y = _network(*tensors, activation, pool)
        return ops.sum(y * y * 0.5 + y)

    found, expected = _both_ways(loss, lambda: tensors)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-11, atol=1e-11)


def test_by_finite_differences(tensors, rng):
    weight = Tensor(rng.standard_normal((2, 4, 3, 4)))

    def loss(bias):
        return ops.sum(_network(tensors[0], tensors[1], bias, "tanh", "overlapping")[1][:, :4, :3] * weight)

    (found,) = gradients(loss(tensors[2]), [tensors[2]])
    step = 1e-6
    for i in range(4):
        unit = np.eye(4)[i] * step
        slope = (loss(tensors[2] + unit).item() - loss(tensors[2] - unit).item()) / (2 * step)
        np.testing.assert_allclose(found.numpy()[i], slope, rtol=1e-6)


def test_whoever_asks_for_the_gradient_at_the_activation_gets_that_of_the_pooling(tensors):
    z, y = _network(*tensors, "relu", "apart")
    (found,) = gradients(ops.sum(y), [z])
    # In a window of zeros the first has the gradient, though the activation lets nothing through.
    positions = (z.numpy()[:, :6].reshape(2, 3, 2, 3, 2, 4).transpose(0, 1, 3, 5, 2, 4).reshape(-1, 4)).argmax(1)
    expected = np.eye(4)[positions].reshape(2, 3, 3, 4, 2, 2).transpose(0, 1, 4, 2, 5, 3).reshape(2, 6, 6, 4)
    assert found.shape == z.shape
    np.testing.assert_array_equal(found.numpy()[:, :6], expected)
    assert type(found) is Tensor
    np.testing.assert_array_equal(copy.deepcopy(found).numpy(), found.numpy())


def test_a_second_use_of_the_activation_is_added(tensors):
    def loss():
        z, y = _network(*tensors, "relu", "overlapping")
        return ops.sum(y * y) + ops.sum(z * z)

    found, expected = _both_ways(loss, lambda: tensors)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("constant", [0.0, 1.0, -1.0])
def test_ties_give_the_gradient_to_the_first(constant):
    x = Tensor(np.full((1, 4, 4, 1), constant), requires_grad=True)

    def loss():
        return ops.sum(ops.max_pool2d(ops.relu(x), 2))

    found, expected = _both_ways(loss, lambda: [x])
    np.testing.assert_array_equal(found[0].numpy(), expected[0].numpy())


def test_the_slope_is_not_taken_at_every_pixel(tensors, monkeypatch):
    sizes = []
    original = CPU.backend.bias_activation_dgrad
    monkeypatch.setattr(
        CPU.backend, "bias_activation_dgrad", lambda dy, y, *rest: (sizes.append(y.shape), original(dy, y, *rest))[1]
    )
    _, y = _network(*tensors, "relu", "apart")
    gradients(ops.sum(y), tensors)
    assert sizes == [y.shape]
