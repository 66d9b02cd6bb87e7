import gc
import itertools
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

from deepcore.benchmarks import clock
from deepcore.benchmarks.clock import FEWEST_ROUNDS, Copies, Rotation, interleave, quantiles


def test_quantiles_interpolate_and_ignore_order():
    assert quantiles([5.0, 1.0, 4.0, 2.0, 3.0, 6.0]) == pytest.approx((2.0, 3.5, 5.0))
    assert quantiles([0.25]) == (0.25, 0.25, 0.25)


def test_what_is_compared_is_interleaved():
    order = []
    trials = [lambda name=name: order.append(name) or 1.0 for name in "ab"]
    samples = interleave(trials, repeats=4, seconds=100.0)
    assert "".join(order) == "abababab"
    assert samples == [[1.0] * 4] * 2


def test_the_budget_ends_the_rounds_but_never_before_the_fewest():
    time = iter(range(1000))
    samples = interleave([lambda: 0.5, lambda: 0.5], repeats=50, seconds=3.0, now=lambda: next(time))
    assert len(samples[0]) == len(samples[1]) == FEWEST_ROUNDS + 5  # 2 x 3 s, less the first look
    assert len(interleave([lambda: 0.5], repeats=50, seconds=0.0)[0]) == FEWEST_ROUNDS


def test_repeats_are_the_most():
    assert len(interleave([lambda: 0.5], repeats=2, seconds=100.0)[0]) == 2


def test_a_rotation_hands_out_equal_copies_that_do_not_overlap(rng):
    arrays = [rng.standard_normal((3, 5)).astype(np.float32), rng.integers(0, 9, (7,)).astype(np.uint8)]
    rotation = Rotation(arrays, spread=5000)
    assert rotation.copies * sum(array.nbytes for array in arrays) <= 10 * 5000
    taken = [rotation.take() for _ in range(rotation.copies)]
    for copy in taken:
        for got, array in zip(copy, arrays, strict=True):
            assert got.dtype == array.dtype
            assert got.flags.c_contiguous
            np.testing.assert_array_equal(got, array)
    addresses = {copy[0].ctypes.data for copy in taken}
    assert len(addresses) == rotation.copies > 5000 // 512
    assert max(addresses) - min(addresses) >= 5000 - 512
    assert rotation.take()[0].ctypes.data == taken[0][0].ctypes.data


def test_a_warm_rotation_is_one_copy(rng):
    rotation = Rotation([rng.standard_normal(4)], spread=0)
    assert rotation.copies == 1
    assert rotation.take()[0].ctypes.data == rotation.take()[0].ctypes.data


def test_arrays_of_a_rotation_are_aligned_and_lie_where_the_call_runs(rng):
    moved = []
    arrays = [np.zeros(7, np.uint8), rng.standard_normal(3)]
    rotation = Rotation(arrays, spread=0, to_device=lambda array: (moved.append(array.copy()), moved[0])[1])
    for got, array in zip(rotation.take(), arrays, strict=True):
        assert got.flags.aligned
        assert np.shares_memory(got, moved[0])
        np.testing.assert_array_equal(got, array)


def test_copies_are_made_once_and_handed_out_in_turn():
    names = iter("abc")
    copies = Copies(lambda: [next(names)], 3)
    assert [copies.take() for _ in range(4)] == [["a"], ["b"], ["c"], ["a"]]


def test_interleave_leaves_garbage_collection_as_it_was():
    def fail():
        raise KeyboardInterrupt

    assert gc.isenabled()
    with pytest.raises(KeyboardInterrupt):
        interleave([fail], 3, 1.0)
    assert gc.isenabled()
    gc.disable()
    try:
        interleave([lambda: 0.5], 3, 1.0)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_garbage_is_collected_before_the_rounds_and_not_during_them(monkeypatch):
    collections, seen = [], []
    monkeypatch.setattr(gc, "collect", lambda: collections.append(True))
    interleave([lambda: seen.append((len(collections), gc.isenabled())) or 0.5], 3, 100.0)
    assert seen == [(1, False)] * 3


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="only Linux tells what threads do")
def test_threads_that_compute_are_waited_for():
    # Compressing holds no lock of Python's, like the threads of a library that spin.
    worker = threading.Thread(target=zlib.compress, args=(np.random.default_rng(0).bytes(1 << 25),))
    worker.start()
    seen = False
    while worker.is_alive() and not seen:
        seen = clock._others_compute()
    worker.join()
    assert seen

    def idle():
        time.sleep(1e-3)
        return not clock._others_compute()

    assert any(idle() for _ in range(1000))


@pytest.mark.parametrize(
    ("stat", "computes"),
    [
        ("7 (worker) R 1 1", True),
        ("7 (worker) S 1 1", False),
        ("7 (a) S (b) R 1 1", True),
        ("7 (a) R (b) S 1 1", False),
    ],
)
def test_the_state_of_a_thread_follows_its_name(stat, computes, monkeypatch, tmp_path):
    for name, text in {"7": stat, str(threading.get_native_id()): "1 (python) R 1 1"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "stat").write_text(text)
    (tmp_path / "8").mkdir()  # has ended between two looks
    monkeypatch.setattr(clock, "_TASKS", tmp_path)
    assert clock._others_compute() is computes


def test_settling_ends_with_the_last_look(monkeypatch):
    looks, pauses = iter([True, True, False, True]), []
    monkeypatch.setattr(clock, "_others_compute", lambda: next(looks))
    monkeypatch.setattr(time, "sleep", pauses.append)
    clock.settle()
    assert list(looks) == [True]
    assert len(pauses) == 2


def test_settling_is_given_up_in_time(monkeypatch):
    looks, passed = [], itertools.count()
    monkeypatch.setattr(clock, "_others_compute", lambda: looks.append(True) or True)
    monkeypatch.setattr(time, "perf_counter", lambda: next(passed) * 0.1)
    clock.settle()
    assert len(looks) == 3  # after 0.1, 0.2 and 0.3 s
