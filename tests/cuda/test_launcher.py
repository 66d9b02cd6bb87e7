"""What does not fit a kernel's declaration is refused before the launch, whatever the carrier."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from deepcore.backend.cuda import carrier
from deepcore.backend.cuda.carrier import compile_options
from deepcore.backend.cuda.launcher import FOLDER, kernel
from deepcore.errors import DeviceMismatchError

X = np.ones((6, 4), np.float32)
B = np.ones(4, np.float32)


def on_gpu(array, index=0):
    """As much of a CuPy array on a GPU as the checks before a launch look at."""
    fields = {
        "dtype": array.dtype,
        "shape": array.shape,
        "strides": array.strides,
        "flags": array.flags,
        "data": SimpleNamespace(ptr=0x7000_0000),
        "device": SimpleNamespace(id=index),
    }
    return type("ndarray", (), {"__module__": "cupy", **fields})()


@pytest.fixture
def launches(monkeypatch):
    """Records launches instead of running them."""
    seen = []
    for kind in (carrier.EmulatorCarrier, carrier.CupyCarrier):
        monkeypatch.setattr(kind, "launch", lambda self, kernel, *rest: seen.append((self, kernel.name, rest)))
    return seen


@pytest.fixture
def bias_activation():
    return kernel("activation", "bias_activation", T="float")


def good():
    return [X, B, np.empty_like(X), 4, 1, X.size]


def test_a_good_call_is_launched_with_numbers_of_the_declared_types(bias_activation, launches):
    bias_activation.launch((2, 3), 256, *good(), shared=64)
    ((where, name, (grid, block, values, shared, *_)),) = launches
    assert where is carrier.EMULATOR
    assert (name, grid, block, shared) == ("bias_activation", (2, 3, 1), (256, 1, 1), 64)
    assert values[0] is X
    assert [type(v) for v in values[3:]] == [np.int32, np.int32, np.int64]


def test_where_it_runs_follows_from_the_arrays(bias_activation, launches):
    bias_activation.launch(1, 32, *[on_gpu(a) if isinstance(a, np.ndarray) else a for a in good()])
    assert launches[0][0] is carrier.CUPY


def test_a_null_pointer_is_none(bias_activation, launches):
    bias_activation.launch(1, 32, X, None, X, 4, 1, X.size)
    assert launches[0][2][2][1] is None


def changed(position, value):
    args = good()
    args[position] = value
    return args


@pytest.mark.parametrize(
    ("args", "error", "words"),
    [
        (changed(0, X.astype("float64")), TypeError, r"x is declared const float\* x, which is float32.*float64"),
        (changed(0, X.T), ValueError, r"x must be C-contiguous.*shape \(4, 6\) with strides"),
        (changed(0, X[:, ::2]), ValueError, "C-contiguous"),
        (changed(3, 4.0), TypeError, r"'columns'.*float 4.0 was passed; a whole number"),
        (changed(3, np.float32(4)), TypeError, "columns"),
        (changed(3, 2**31), ValueError, "columns.*2147483648"),
        (changed(3, X), TypeError, "columns"),
        (changed(3, None), TypeError, "columns"),
        (changed(0, [1.0, 2.0]), TypeError, "expected NumPy or CuPy arrays; got list"),
        (changed(0, 1.0), TypeError, "expected NumPy or CuPy arrays; got float"),
        (good()[:-1], TypeError, "takes 6 arguments; got 5"),
        ([*good(), 1], TypeError, "takes 6 arguments; got 7"),
        (changed(1, on_gpu(B)), DeviceMismatchError, "NumPy arrays and CuPy arrays together"),
    ],
)
def test_wrong_arguments(args, error, words, bias_activation, launches):
    with pytest.raises(error, match=words):
        bias_activation.launch(1, 256, *args)
    assert launches == []


def test_arrays_of_two_gpus(bias_activation, launches):
    with pytest.raises(DeviceMismatchError, match="one GPU; got cuda:0, cuda:1"):
        bias_activation.launch(1, 32, on_gpu(X), on_gpu(B, 1), on_gpu(X), 4, 1, 24)
    assert launches == []


@pytest.mark.parametrize(
    ("grid", "block", "shared", "words"),
    [
        (0, 256, 0, "grid 0 was passed; one to three whole numbers"),
        ((1, 65536), 256, 0, "grid"),
        ((1, 1, 1, 1), 256, 0, "grid"),
        (1.5, 256, 0, "grid"),
        (True, 256, 0, "grid"),
        (1, 0, 0, "block"),
        (1, 512, 0, "512 threads was asked for; its __launch_bounds__ promise at most 256"),
        (1, (16, 16, 2), 0, "512 threads"),
        (1, (1, 1, 65), 0, "block"),
        (1, 256, -1, "bytes of dynamic shared memory"),
        (1, 256, (227 << 10) + 1, "bytes of dynamic shared memory"),
    ],
)
def test_wrong_sizes(grid, block, shared, words, bias_activation, launches):
    with pytest.raises(ValueError, match=words):
        bias_activation.launch(grid, block, *good(), shared=shared)
    assert launches == []


def test_unknown_kernels_and_files():
    with pytest.raises(ValueError, match=r"declares no kernel 'bias_activatoin'; it declares .*bias_activation"):
        kernel("activation", "bias_activatoin", T="float")
    with pytest.raises(FileNotFoundError):
        kernel("activatoin", "bias_activation", T="float")


def test_a_kernel_is_made_once():
    assert kernel("activation", "bias_activation", T="float") is kernel("activation", "bias_activation", T="float")
    assert kernel("activation", "bias_activation", T="double") is not kernel("activation", "bias_activation", T="float")


def test_options_of_an_architecture(tmp_path):
    assert compile_options(tmp_path / "a.cu", 80) == ("-std=c++17", "-arch=sm_80", f"-I{tmp_path}")
    assert "-arch=sm_90a" in compile_options(tmp_path / "a.cu", 90)


def test_every_file_of_kernels_has_one():
    from deepcore.kernels.signature import parse_signatures

    for file in FOLDER.glob("*.cu"):
        assert parse_signatures(file.read_text(encoding="utf-8"), {"T": "float"}), f"{file.name} declares no kernel"
