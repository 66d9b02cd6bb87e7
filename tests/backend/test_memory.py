"""The memory of a large array serves another one, and never while anybody can still reach it."""

from __future__ import annotations

import gc
import platform
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest

from deepcore.backend.numpy import memory
from deepcore.backend.numpy.memory import LARGE, empty
from deepcore.tensor import Tensor

COUNT = LARGE // 4  # of float32


def address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch):
    gc.collect()
    for name in ("_kept", "_used", "_most_used", "_requests"):
        monkeypatch.setattr(memory, name, 0)
    for name in ("_free", "_asked", "_returned"):
        monkeypatch.setattr(memory, name, type(getattr(memory, name))())


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32", "uint8", "bool"])
@pytest.mark.parametrize("shape", [(), (0, 3), (7,), (3, LARGE), (LARGE + 1,)])
def test_an_array_like_any_other(shape, dtype):
    array = empty(shape, dtype)
    assert (type(array), array.shape, array.dtype) == (np.ndarray, shape, np.dtype(dtype))
    assert array.flags.c_contiguous
    assert array.flags.writeable
    array[...] = 1
    assert (array == 1).all()


def test_large_arrays_begin_at_a_cache_line():
    assert all(address(empty((COUNT + i,), "float32")) % 64 == 0 for i in range(50))


@pytest.mark.parametrize("shape", [(3, 5), (7, 1, 9), (LARGE,)])
def test_every_size_can_begin_at_a_cache_line(shape):
    arrays = [memory.aligned(shape, np.float32) for _ in range(5)]
    assert all(array.shape == shape and array.dtype == np.float32 and array.flags.c_contiguous for array in arrays)
    assert not any(address(array) % 64 for array in arrays)
    for number, array in enumerate(arrays):
        array[...] = number
    assert all((array == number).all() for number, array in enumerate(arrays))


def test_memory_is_used_again():
    first = empty((COUNT,), "float32")
    where = address(first)
    del first
    again = empty((COUNT // 2,), "float64")
    assert address(again) == where


HOLDERS = {
    "itself": lambda a: a,
    "a part": lambda a: a[5:9],
    "a part of a part": lambda a: a[5:][1:3],
    "another shape": lambda a: a.reshape(2, -1),
    "transposed": lambda a: a.reshape(2, -1).T,
    "another dtype": lambda a: a.view("int32")[::2],
    "asarray": lambda a: np.asarray(a.view()),
    "broadcast": lambda a: np.broadcast_to(a, (2, a.size)),
    "a subclass": lambda a: a.view(type("Mine", (np.ndarray,), {})),
    "memoryview": lambda a: memoryview(a),
    "frombuffer": lambda a: np.frombuffer(a, np.float32),
    "frombuffer of a part": lambda a: np.frombuffer(a[4:100], np.float32),
    "dlpack": np.from_dlpack,
    "iterator": lambda a: a.flat,
    "tensor": Tensor,
    "ctypes": lambda a: np.ctypeslib.as_ctypes(a),
    "as_strided": lambda a: np.lib.stride_tricks.as_strided(a, (3, 3), (4, 4)),
}


@pytest.mark.parametrize("name", HOLDERS)
def test_nothing_is_used_again_that_is_still_held(name):
    array = empty((COUNT,), "float32")
    where = address(array)
    holder = HOLDERS[name](array)
    del array
    gc.collect()
    for _ in range(3):
        others = [empty((COUNT,), "float32") for _ in range(3)]
        assert where not in map(address, others)
    del holder
    gc.collect()
    assert where in [address(other) for other in [empty((COUNT,), "float32") for _ in range(4)]]


def test_an_array_in_a_cycle_is_held_until_the_cycle_is_collected():
    class Node:
        pass

    node = Node()
    node.me, node.array = node, empty((COUNT,), "float32")
    where, gone = address(node.array), weakref.ref(node)
    gc.disable()
    try:
        del node
        assert address(empty((COUNT,), "float32")) != where
    finally:
        gc.enable()
    gc.collect()
    assert gone() is None


def kept() -> int:
    """Bytes that are kept, counted."""
    assert memory._kept == sum(size * len(blocks) for size, blocks in memory._free.items())
    return memory._kept


@pytest.mark.parametrize("advises", [False, True])
def test_no_more_is_kept_than_the_limit_beyond_what_was_in_use_at_once(monkeypatch, advises):
    monkeypatch.setattr(memory, "LIMIT", 2 * LARGE)
    monkeypatch.setattr(memory, "ADVISES", advises)
    arrays = [empty((COUNT,), "float32") for _ in range(5)]
    arrays.append(empty((2 * COUNT,), "float32"))
    del arrays
    assert kept() == (7 if advises else 2) * LARGE
    arrays = [empty((4 * COUNT,), "float32"), empty((COUNT,), "float32")]
    assert kept() <= (4 if advises else 2) * LARGE
    del arrays
    assert kept() <= (9 if advises else 2) * LARGE


def sizes_of_steps(monkeypatch, steps: int, stale: int) -> list[int]:
    """How many new blocks each step takes: it asks for three sizes in turn, of which two may be kept."""
    made = []
    monkeypatch.setattr(memory, "LIMIT", 3 * LARGE)
    monkeypatch.setattr(memory, "ADVISES", False)
    monkeypatch.setattr(memory, "STALE", stale)
    pages = memory.Pages
    monkeypatch.setattr(memory, "Pages", lambda size: (made.append(size), pages(size))[1])
    counts = []
    for _ in range(steps):
        before = len(made)
        for size in (COUNT, COUNT + COUNT // 4, COUNT + COUNT // 2):
            empty((size,), "float32")
        counts.append(len(made) - before)
    return counts


def test_the_size_that_was_asked_for_last_is_given_up_first(monkeypatch):
    first, *later = sizes_of_steps(monkeypatch, 6, stale=100)
    assert first == 3
    assert max(later) <= 2, "what comes first in a step is still there"


@pytest.mark.parametrize(("stale", "left"), [(100, 1), (5, 0)])
def test_a_size_that_is_needed_no_more_is_given_up(monkeypatch, stale, left):
    empty((2 * COUNT,), "float32")
    sizes_of_steps(monkeypatch, 6, stale)
    assert len(memory._free.get(2 * LARGE, ())) == left


@pytest.mark.skipif(not memory.ADVISES, reason="the system takes no advice about memory")
def test_what_is_kept_beyond_the_limit_is_lent_to_the_system(monkeypatch):
    lent = []
    monkeypatch.setattr(memory.Pages, "lend", lambda block: lent.append(block.size))
    monkeypatch.setattr(memory, "LIMIT", 8 * LARGE)
    arrays = [empty((4 * COUNT,), "float32") for _ in range(4)]
    del arrays
    assert kept() == 16 * LARGE
    assert lent == [4 * LARGE] * 2


@pytest.mark.skipif(not memory.ADVISES, reason="the system takes no advice about memory")
def test_memory_that_was_lent_is_used_again(monkeypatch):
    monkeypatch.setattr(memory, "LIMIT", 0)
    array = empty((9 * COUNT + 7,), "float32")
    array[...] = 1
    where = address(array)
    del array
    again = empty((9 * COUNT + 7,), "float32")
    assert address(again) == where
    again[...] = np.arange(again.size)
    np.testing.assert_array_equal(again, np.arange(again.size, dtype=np.float32))


def test_small_arrays_are_left_to_the_system():
    array = empty((COUNT - 1,), "float32")
    del array
    assert memory._kept == 0


def test_many_threads_never_share():
    wrong = []

    def work(number):
        held = []
        for i in range(200):
            array = empty((COUNT + 64 * (i % 3),), "float32")
            array[:100] = number * 1000 + i
            held.append((array, number * 1000 + i))
            if len(held) > 4:
                old, value = held.pop(0)
                if (old[:100] != value).any():
                    wrong.append(value)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_sizes_that_nobody_asks_for_again_are_forgotten(monkeypatch):
    monkeypatch.setattr(memory, "STALE", 5)
    for extra in range(16):
        empty((LARGE * (1 + extra),), "int8")
    assert len(memory._free) <= 7
    assert len(memory._asked) <= 7
    assert kept() == sum(size * len(blocks) for size, blocks in memory._free.items())


FAULTS = """
import resource
import numpy as np
import deepcore.backend.numpy.memory
def rounds(count):
    for _ in range(count):
        held = [np.ones(size, np.uint8) for size in (200_000, 700_000, 1_000_000, 300_000)]
        del held
rounds(3)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
rounds(20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has other habits")
def test_smaller_arrays_come_from_memory_that_the_process_has():
    pages = 20 * 2_200_000 // 4096
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    assert int(done.stdout) < pages / 10
