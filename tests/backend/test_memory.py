"""The memory of a large array serves another one, and never while anybody can still reach it."""

from __future__ import annotations

import gc
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
    for name, value in (("_free", type(memory._free)()), ("_kept", 0), ("_returned", type(memory._returned)())):
        monkeypatch.setattr(memory, name, value)


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


def test_no_more_is_kept_than_the_limit(monkeypatch):
    monkeypatch.setattr(memory, "LIMIT", 2 * LARGE)
    arrays = [empty((COUNT,), "float32") for _ in range(5)]
    arrays.append(empty((2 * COUNT,), "float32"))
    del arrays
    assert memory._kept <= 2 * LARGE
    assert memory._kept == sum(size * len(blocks) for size, blocks in memory._free.items())
    small = empty((COUNT,), "float32")
    large = empty((2 * COUNT,), "float32")
    del large, small  # which is given back last, and stays
    assert memory._free[LARGE]
    assert not memory._free.get(2 * LARGE)


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
