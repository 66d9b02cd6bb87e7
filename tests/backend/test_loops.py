"""How compiled loops are run: on all cores, or on the calling thread alone where they move little."""

import numpy as np
import pytest

from deepcore.backend.numpy import loops
from deepcore.backend.numpy.loops import numba_available

pytestmark = pytest.mark.skipif(not numba_available()[0], reason="NO COMPILED LOOPS ARE TESTED: Numba is not there")


def test_a_small_loop_stays_on_its_thread(monkeypatch):
    monkeypatch.setattr(loops, "_one_thread", lambda: False)
    parallel = loops.loops("softmax").softmax_fprop
    assert loops.loop("softmax", "softmax_fprop", loops.SERIAL_WORK - 1) is parallel.serial
    assert loops.loop("softmax", "softmax_fprop", loops.SERIAL_WORK) is parallel


def test_no_loop_is_handed_out_to_a_single_thread(monkeypatch):
    monkeypatch.setattr(loops, "_one_thread", lambda: True)
    assert loops.loop("softmax", "softmax_fprop", 1e12) is loops.loops("softmax").softmax_fprop.serial


def test_both_ways_give_the_same(rng):
    x = rng.standard_normal((37, 11)).astype("float32")
    together, alone = np.full_like(x, np.nan), np.full_like(x, np.nan)
    run = loops.loops("softmax").softmax_fprop
    run(x, together)
    run.serial(x, alone)
    np.testing.assert_array_equal(alone, together)
    np.testing.assert_allclose(alone.sum(axis=1), 1, rtol=1e-6)


def test_both_have_names_of_their_own():
    """Numba's cache tells functions apart by their names, and not by how they were compiled."""
    run = loops.loops("softmax").softmax_fprop
    assert run.launch.py_func.__qualname__ != run.body.py_func.__qualname__


def test_pieces_make_the_whole():
    """Every index once, however many pieces there are, more than indices among them."""
    from deepcore.kernels.numba.jit import part_of

    for total in (0, 1, 5, 64):
        for pieces in (1, 3, 8, 70):
            found = [i for piece in range(pieces) for i in part_of.py_func((piece, pieces), total)]
            assert found == list(range(total))


def test_a_loop_takes_what_a_function_takes(rng):
    """Arrays of any strides, nothing, numbers, flags and tuples reach every piece as they are."""
    from deepcore.kernels.numba.jit import parallel, part_of

    @parallel
    def gather(piece, x, scale, nothing, flag, order, y):
        for i in part_of(piece, y.shape[0]):
            if nothing is None and flag:
                y[i] = scale * x[i, order[0]] + order[1][i % 2]

    x, y = rng.standard_normal((1000, 6))[::-1, ::2], np.full(1000, np.nan)
    gather(x, 0.5, None, True, (2, (10, 20)), y)
    np.testing.assert_array_equal(y, 0.5 * x[:, 2] + np.where(np.arange(1000) % 2, 20, 10))


def test_without_posix_threads_python_hands_a_loop_out(rng, monkeypatch):
    from deepcore.kernels.numba import jit

    x = rng.standard_normal((37, 11)).astype("float32")
    expected, found = np.full_like(x, np.nan), np.full_like(x, np.nan)
    run = loops.loops("softmax").softmax_fprop
    run(x, expected)
    monkeypatch.setattr(jit.os, "name", "nt")
    run(x, found)
    np.testing.assert_array_equal(found, expected)
