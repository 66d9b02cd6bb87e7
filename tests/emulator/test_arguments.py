"""What is wrong with a call is said before anything runs."""

from __future__ import annotations

import numpy as np
import pytest

X = np.ones(64, np.float32)


def refuse(module, error, says, name="saxpy", grid=1, block=64, args=None, **options):
    y = np.full(64, 3, np.float32)
    with pytest.raises(error, match=says):
        module.launch(name, grid, block, [X, y, 1.0, 64] if args is None else args, **options)
    assert (y == 3).all()


def test_kernel(values):
    refuse(values, ValueError, "Unknown kernel 'saxpi'. Did you mean 'saxpy'", name="saxpi")


@pytest.mark.parametrize(
    ("args", "error", "says"),
    [
        ([X, X], TypeError, r"takes 4 arguments, 2 were passed. It is declared as saxpy\(const float\* x, float\* y"),
        ({"x": X, "y": X}, TypeError, "missing: a, n"),
        ({"x": X, "y": X, "a": 1, "n": 1, "m": 2}, TypeError, "unknown: m"),
        ([X.astype(np.float64), X, 1, 64], TypeError, r"argument 'x' \(const float\* x\): an array of float64"),
        ([X[::2], X, 1, 64], ValueError, r"argument 'x'.*shape \(32,\) with strides \(8,\).*ascontiguousarray"),
        ([X, [1.0], 1, 64], TypeError, r"argument 'y' \(float\* y\): list was passed; a NumPy array of float32"),
        ([X, X, 1, 64.0], TypeError, "argument 'n'.*the float 64.0 was passed; a whole number"),
        ([X[:40], X[20:], 1, 64], ValueError, "the arrays 'x' and 'y' overlap without being the same"),
    ],
)
def test_arguments(values, args, error, says):
    refuse(values, error, says, args=args)


def test_read_only_output(values):
    y = np.ones(64, np.float32)
    y.flags.writeable = False
    refuse(values, ValueError, "argument 'y'.*a read-only array was passed", args=[X, y, 1, 64])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"grid": 0}, "grid 0 was passed; one to three whole numbers are expected"),
        ({"grid": (1, 65536)}, "from 1 to"),
        ({"block": (1, 1, 65)}, "block"),
        ({"block": (64, 32)}, "a block of 2048 threads was asked for; a block has at most 1024"),
        ({"shared": 240_000}, "240000 bytes of dynamic shared memory"),
        ({"schedule": "fastest"}, "Unknown schedule 'fastest'"),
        ({"uninitialized": {"x"}}, "Unknown output of kernel 'saxpy' in uninitialized 'x'"),
    ],
)
def test_sizes_and_options(values, options, says):
    refuse(values, ValueError, says, **options)


def test_launch_bounds(values):
    y = np.zeros(1, np.int32)
    args = [np.zeros(1, np.int32), y, 1]
    refuse(values, ValueError, "__launch_bounds__ promise at most 128", name="sum_of_blocks", block=160, args=args)


def test_one_array_for_two_parameters(values):
    x = np.arange(64, dtype=np.float32)
    values.launch("saxpy", 1, 64, [x, x, 1.0, 64])
    np.testing.assert_array_equal(x, 2 * np.arange(64))


def test_arrays_of_any_alignment_are_written_in_place(values):
    raw = np.zeros(67, np.float32)
    for start in range(3):
        y = raw[start : start + 64]
        y[:] = 1
        values.launch("saxpy", 1, 64, [X, y, 1.0, 64])
        assert (y == 2).all()
    assert (raw[66:] == 0).all()


def test_empty_arrays(values):
    empty = np.zeros(0, np.float32)
    assert values.launch("saxpy", 1, 64, [empty, empty.copy(), 1.0, 0]).findings == ()
