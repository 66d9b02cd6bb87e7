"""NumPy's warnings of log(0) and its like stay away; what the caller set for NumPy stays as it was."""

from __future__ import annotations

import threading
import warnings

import numpy as np
import pytest

from deepcore import ops
from deepcore.tensor import Tensor


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda: ops.log([0.0, -1.0]), [-np.inf, np.nan]),
        (lambda: ops.divide([1.0, 0.0], [0.0, 0.0]), [np.inf, np.nan]),
        (lambda: ops.floor_divide([1.0], [0.0]), [np.inf]),
        (lambda: ops.exp([1000.0]), [np.inf]),
        (lambda: Tensor([np.inf]) - np.inf, [np.nan]),
        (lambda: ops.fmod([1.0], [0.0]), [np.nan]),
    ],
)
def test_no_warning(function, expected):
    with warnings.catch_warnings(), np.errstate(all="warn"):
        warnings.simplefilter("error")
        np.testing.assert_array_equal(function().numpy(), np.array(expected, np.float32))


def test_gradients_do_not_warn():
    x = Tensor([0.0], requires_grad=True)
    with warnings.catch_warnings(), np.errstate(all="warn"):
        warnings.simplefilter("error")
        ops.sqrt(x).sum().backward()
    assert np.isinf(x.grad.numpy()).all()


def test_the_callers_setting_is_kept():
    seen = []

    def work():
        for _ in range(200):
            ops.log([0.0])
        seen.append(np.geterr())

    before = np.geterr()
    with np.errstate(divide="raise", over="warn"):
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        ops.log(ops.log([1.0]))
        for thread in threads:
            thread.join()
        assert np.geterr()["divide"] == "raise"
    assert np.geterr() == before
    assert len(seen) == 3
    assert all(state == before for state in seen)
