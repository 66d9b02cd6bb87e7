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
