"""Variables keep their memory."""

from __future__ import annotations

import numpy as np
import pytest

from deepcore import ops
from deepcore.tensor import Tensor
from deepcore.variable import Variable

# Every test runs on the CPU, on the emulator, and on a GPU where there is one.
pytestmark = pytest.mark.usefixtures("device")


def test_assigning_writes_in_place_and_casts():
    variable = Variable(np.zeros((2, 2), np.float32))
    memory = variable.data
    assert variable.assign(np.ones((2, 2), np.float64)) is variable
    variable.assign_add(1).assign_sub([[0.5, 0.5]])
    assert variable.data is memory
    assert variable.dtype == np.float32
    assert variable.tolist() == [[1.5, 1.5], [1.5, 1.5]]


def test_the_starting_value_is_copied():
    array = np.zeros(2, np.float32)
    Variable(array).assign_add(1)
    assert array.tolist() == [0, 0]


def test_gradients_arrive_at_trainable_variables_and_through_value():
    variable, frozen = Variable([2.0, 3.0]), Variable([5.0, 7.0], trainable=False)
    ops.sum(variable * frozen + variable.value).backward()
    assert variable.grad.tolist() == [6, 8]
    assert frozen.grad is None
    assert not Variable([1, 2]).requires_grad, "integers have no gradients"


def test_assigning_between_forward_and_backward_is_noticed():
    variable = Variable([2.0])
    y = ops.sum(variable * variable)
    variable.assign([3.0])
    with pytest.raises(RuntimeError, match="assigned a new value"):
        y.backward()


def test_an_initializer_needs_a_shape():
    variable = Variable(lambda shape, dtype: np.full(shape, 2, dtype), (3,), "float64")
    assert variable.tolist() == [2, 2, 2]
    assert variable.dtype == np.float64
    with pytest.raises(ValueError, match="needs a shape"):
        Variable(lambda shape, dtype: np.zeros(shape, dtype))
    with pytest.raises(ValueError, match=r"shape \(2,\) was given a starting value of shape \(3,\)"):
        Variable(np.zeros(3), (2,))


def test_shapes_that_misfit_are_said_with_the_path():
    variable = Variable([1.0, 2.0], name="w")
    with pytest.raises(ValueError, match=r"'w' has shape \(2,\); got a value of shape \(3,\)"):
        variable.assign([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"'w' has shape \(2,\); a change of shape \(2, 1\)"):
        variable.assign_add(Tensor([[1.0], [2.0]]))
    assert variable.tolist() == [1, 2]
