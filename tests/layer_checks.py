"""What the tests of layers share: a layer filled with random weights, its values and shapes, its gradients."""

from __future__ import annotations

import numpy as np

from deepcore.autograd import gradcheck
from deepcore.variable import Variable

TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


def filled(layer, shape, rng):
    """The layer built for ``shape`` with random weights, and these in float64."""
    layer.build(shape)
    weights = [rng.uniform(0.3, 1.2, v.shape) for v in layer.weights]
    layer.set_weights([w.astype(np.float32) for w in weights])
    return [np.float64(np.float32(w)) for w in weights]


def check(layer, x, expected, **call):
    """The layer's values and dtype, and the shape that it foretells for a batch of any size."""
    y = layer(x, **call)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.numpy(), expected, **TOLERANCE)
    several = isinstance(x, list)
    shapes = [(None, *a.shape[1:]) for a in x] if several else (None, *x.shape[1:])
    assert tuple(layer.compute_output_shape(shapes)) == (None, *expected.shape[1:])


def check_gradients(layer, *inputs):
    """With respect to every input and every weight, against finite differences; for several inputs they are a list."""
    several = len(inputs) > 1
    layer = type(layer).from_config({**layer.get_config(), "dtype": "float64"})
    layer(list(inputs) if several else inputs[0])
    weights = {name: value for name, value in vars(layer).items() if isinstance(value, Variable)}

    def run(*values):
        try:
            for name, value in zip(weights, values[len(inputs) :], strict=True):
                setattr(layer, name, value)
            return layer(list(values[: len(inputs)]) if several else values[0])
        finally:
            vars(layer).update(weights)

    starts = [v.numpy() + np.linspace(0.1, 0.4, v.size).reshape(v.shape) for v in weights.values()]
    assert gradcheck(run, [*inputs, *starts])
