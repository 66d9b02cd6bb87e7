"""Every operation on every device: values, gradients and second derivatives are the CPU's, to rounding."""

from __future__ import annotations

import numpy as np
import pytest
from test_gradients import CASES

from deepcore import Tensor, ops
from deepcore.autograd import gradients
from deepcore.backend.cuda import probe
from deepcore.device import describe_devices, use_device

AVAILABLE = {name: ok for name, ok, _ in describe_devices()}
REASONS = {name: reason for name, _, reason in describe_devices()}
DEVICES = ["emulator", "cuda"] if probe()[0] else ["emulator"]


@pytest.fixture(params=DEVICES)
def device(request):
    if not AVAILABLE[request.param]:
        pytest.skip(f"NOT TESTED: {REASONS[request.param]}")
    return request.param


def everything(name, dtype, device):
    """Results, gradients and second derivatives of a case, as NumPy arrays."""
    function, *inputs = CASES[name]
    with use_device(device):
        leaves = [Tensor(x.astype(dtype), requires_grad=True) for x in inputs]
        outputs = function(*leaves)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        first = gradients(outputs, leaves, [ops.cos(y.detach()) for y in outputs], create_graph=True)
        recorded = [g for g in first if g.requires_grad]
        weights = [ops.sin(g.detach() + 1) for g in recorded]
        second = gradients(recorded, leaves, weights) if recorded else ()
        tensors = (*outputs, *first, *second)
        assert {str(t.device) for t in tensors} == {device}
        return [np.array(t.numpy()) for t in tensors]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_every_operation(name, dtype, device):
    ours, theirs = everything(name, dtype, device), everything(name, dtype, "cpu")
    assert len(ours) == len(theirs)
    for position, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        assert a.dtype == b.dtype
        # Some hundred roundings of the largest element: the sums here have fewer than a hundred terms, and second
        # derivatives are weighed by the sine of first ones, which adds their error as it stands.
        tolerance = 300 * np.finfo(b.dtype).eps
        np.testing.assert_allclose(
            a, b, rtol=tolerance, atol=tolerance * max(1.0, np.abs(b).max(initial=0)), err_msg=f"result {position}"
        )


def test_dropout_masks_are_the_same_bits(device):
    x = np.ones(1001, np.float32)
    with use_device(device):
        ours = ops.dropout(x, 0.3, seed=5).numpy()
    np.testing.assert_array_equal(ours, ops.dropout(x, 0.3, seed=5).numpy())
