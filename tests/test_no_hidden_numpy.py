"""Above the kernels nothing computes on a GPU's arrays with NumPy, and nothing reads them unasked.

Everything runs on arrays that NumPy cannot read (``stand_in.py``), with the kernels on the emulator: what would break
on a GPU, or copy to the CPU behind one's back, raises here.
"""

from __future__ import annotations

import numpy as np
import pytest
from catalogue import USES
from devices import skip_unless_there
from stand_in import GpuArray, HiddenNumpyError, stand_in
from test_gradients import CASES

import deepcore
from deepcore import layers, ops
from deepcore.autograd import gradients
from deepcore.device import use_device
from deepcore.tensor import Tensor


@pytest.fixture
def xp():
    skip_unless_there("emulator")
    with stand_in() as namespace:
        yield namespace


def test_the_stand_in_notices(xp):
    x = Tensor([1.0, 2.0])
    assert isinstance(x.data, GpuArray)
    host = np.ones(2, np.float32)
    for hidden in (
        lambda: np.exp(x.data),
        lambda: np.sum(x.data),
        lambda: np.asarray(x.data),
        lambda: np.full(2, x.data),
        lambda: x.data * host,
        lambda: host * x.data,
        lambda: xp.maximum(x.data, host),
        lambda: x.data.__setitem__(..., host),
        lambda: float(x.data[0]),
        lambda: bool((x.data > 0)[0]),
    ):
        with pytest.raises(HiddenNumpyError):
            hidden()
    np.testing.assert_array_equal((x.data * 2 + xp.asarray(host)).get(), [3, 5])


@pytest.mark.parametrize("name", CASES)
def test_operations(name, xp):
    function, *inputs = CASES[name]
    leaves = [Tensor(x.astype(np.float32), requires_grad=True) for x in inputs]
    outputs = function(*leaves)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    first = gradients(outputs, leaves, [ops.cos(y.detach()) for y in outputs], create_graph=True)
    recorded = [g for g in first if g.requires_grad]
    second = gradients(recorded, leaves, [ops.sin(g.detach() + 1) for g in recorded]) if recorded else ()
    for tensor in (*outputs, *first, *second):
        assert isinstance(tensor.data, GpuArray)
        assert np.isfinite(tensor.numpy()).all()


@pytest.mark.parametrize("name", USES)
def test_everything_that_can_be_made_by_name(name, xp):
    ours = USES[name]("float32")
    with use_device("cpu"):
        theirs = USES[name]("float32")
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * max(1.0, np.abs(b).max(initial=0)))


def trained(x, y):
    """A model of layers of many kinds, and what ``fit``, ``evaluate`` and ``predict`` gave for data on the CPU."""
    deepcore.random.set_seed(3)
    model = deepcore.Sequential(
        [
            layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(3, activation="softmax", kernel_regularizer="l2"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, batch_size=8, epochs=2, verbose=0, validation_split=0.2, class_weight={1: 2.0}).history
    return model, [*history.values(), model.evaluate(x, y, verbose=0), model.predict(x, verbose=0)]


def test_training(xp, rng):
    x, y = rng.standard_normal((20, 8, 8, 1)).astype(np.float32), rng.integers(0, 3, 20)
    model, ours = trained(x, y)
    assert all(isinstance(v.data, GpuArray) for v in model.weights)
    with use_device("cpu"):
        _, theirs = trained(x, y)
    assert all(isinstance(value, float) for value in ours[0])
    assert isinstance(ours[-1], np.ndarray)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
