"""What layers say they expect of their inputs."""

from __future__ import annotations

import numpy as np
import pytest

from deepcore.layers import InputSpec, Layer

# Every test runs on the CPU, on the emulator, and on a GPU where there is one.
pytestmark = pytest.mark.usefixtures("device")


def zeros(*shape, dtype="float32"):
    return np.zeros(shape, dtype)


class Expecting(Layer):
    def __init__(self, spec):
        super().__init__()
        self.input_spec = spec

    def call(self, inputs):
        return inputs


@pytest.mark.parametrize(
    ("given", "good", "bad", "message"),
    [
        ({"ndim": 2}, zeros(2, 3), zeros(2, 3, 1), "rank 2, got"),
        ({"min_ndim": 3}, zeros(2, 3, 1), zeros(2, 3), "rank 3 or more"),
        ({"max_ndim": 2}, zeros(2, 3), zeros(2, 3, 1), "rank 2 or less"),
        ({"dtype": "int32"}, zeros(2, dtype="int32"), zeros(2), "of int32, got float32"),
        ({"shape": (None, 3)}, zeros(5, 3), zeros(5, 4), r"shape \(None, 3\), got \(5, 4\)"),
        ({"shape": (None, 3)}, zeros(5, 3), zeros(5, 3, 1), "rank 2, got"),
        ({"axes": {-1: 3, 1: None}}, zeros(5, 2, 3), zeros(5, 3, 2), "size 3 on axis -1"),
        ({"axes": {2: 3}}, zeros(5, 2, 3), zeros(5, 3), "no such axis"),
        ({"shape": (None, 3, 1), "allow_last_axis_squeeze": True}, zeros(5, 3), zeros(5, 2), "shape .None, 3, 1."),
        ({"shape": (None, 3), "allow_last_axis_squeeze": True}, zeros(5, 3, 1), zeros(5, 3, 2), "shape .None, 3."),
    ],
)
def test_an_input_is_held_to_it(given, good, bad, message):
    layer = Expecting(InputSpec(**given))
    assert layer(good).shape == good.shape
    with pytest.raises(ValueError, match=message):
        layer(bad)
    again = InputSpec.from_config(InputSpec(**given).get_config())
    assert vars(again) == vars(InputSpec(**given))


class Second(Layer):
    """Gives the second of its inputs."""

    def call(self, inputs):
        return inputs["b"] if isinstance(inputs, dict) else inputs[1]


def test_several_inputs_are_held_to_several():
    layer = Second()
    layer.input_spec = [InputSpec(ndim=2), InputSpec(ndim=1)]
    assert layer([zeros(2, 3), zeros(4)]).shape == (4,)
    with pytest.raises(ValueError, match="expected 2 inputs; got 3"):
        layer([zeros(2, 3), zeros(4), zeros(4)])
    with pytest.raises(ValueError, match="rank 1, got"):
        layer([zeros(2, 3), zeros(4, 1)])
    layer.input_spec = [InputSpec(ndim=1, name="b"), InputSpec(ndim=2, name="a", optional=True)]
    assert layer({"a": zeros(2, 3), "b": zeros(4)}).shape == (4,)
    assert layer({"b": zeros(4)}).shape == (4,)
    with pytest.raises(ValueError, match="rank 1, got"):
        layer({"a": zeros(4), "b": zeros(2, 3)})
    layer.input_spec = [None, InputSpec(ndim=1)]
    assert layer([zeros(2, 3, 4), zeros(4)]).shape == (4,)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"axes": {"a": 3}}, TypeError, "axes must be a dictionary"),
        ({"axes": [3]}, TypeError, "axes must be a dictionary"),
        ({"ndim": 2, "axes": {2: 3}}, ValueError, "rank 2 at most"),
        ({"max_ndim": 2, "axes": {4: 3}}, ValueError, "rank 2 at most"),
        ({"dtype": "floaty"}, ValueError, "dtype must be"),
    ],
)
def test_what_cannot_be_expected(given, error, message):
    with pytest.raises(error, match=message):
        InputSpec(**given)
