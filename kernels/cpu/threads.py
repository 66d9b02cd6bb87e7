"""All cores: a pool of threads that hands out the indices of a launch, and sleeps when there is none.

The threads run native code alone, and never come back from it, so that they never wait for Python. One launch at a
time has the pool; a launch that finds it taken, by another Python thread, runs in the thread that asked, so that two
training loops share the cores instead of waiting for each other. What a task does must not depend on who does it:
results are the same bits with any number of threads.
"""

from __future__ import annotations

import ctypes
import os
import threading

import numpy as np

from deepcore.kernels.cores import cores
from deepcore.kernels.cpu import library
from deepcore.kernels.cpu.record import CORE_SET, POOL, REQUEST, address
from deepcore.kernels.forks import free_in_children

# Looks before a thread goes to sleep, some 2 ms: between two launches of a training step lie microseconds, and a thread
# that sleeps may be given a core only after a millisecond.
PATIENCE = 40_000
_SPACE = 128  # bytes that hold a mutex or a condition of any C library

# A task, whose result nobody reads. Its integers go as pointers, which ctypes makes in half the time.
_Native = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 5)


class Pool:
    """``threads`` threads, the calling one among them.

    Attributes:
        threads: how many.
        entry: the address of ``run`` of ``tasks/pool.py``, for native code that launches.
        told: the address of what that is told first.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._space = np.zeros((3, _SPACE), np.uint8)
        self._record = np.zeros((), POOL)
        self.told = address(self._record)
        self._threads = np.zeros(threads, np.int64)
        self._cores = np.zeros(CORE_SET, np.uint8)
        self._results = np.zeros(2 * threads, np.int64)  # where tasks put a result that nobody reads
        self._room = address(self._results)
        self.entry = library.task("pool", "run")
        self._run = _Native(self.entry)
        self.start()

    def start(self) -> None:
        """Starts the other threads, none of which may be running."""
        self._record["taken"] = self._record["launch"] = self._record["ticket"] = 0
        if self.threads == 1:
            return
        # Threads never end, so what they look at must not, either, not even with the interpreter.
        for looked_at in (self._space, self._record, self._results, self._threads, self._cores):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(looked_at))
        libc = ctypes.CDLL(None)
        mutex, work, done = (address(row) for row in self._space)
        libc.pthread_mutex_init(ctypes.c_void_p(mutex), None)
        for condition in (work, done):
            libc.pthread_cond_init(ctypes.c_void_p(condition), None)
        self._record["mutex"], self._record["work"], self._record["done"] = mutex, work, done
        self._record["workers"], self._record["patience"] = self.threads - 1, PATIENCE
        worker = _Native(library.task("pool", "worker"))
        for number in range(1, self.threads):
            arguments = (self._room, self._room, self.told, number, 0)
            thread = threading.Thread(target=worker, args=arguments, name="deepcore", daemon=True)
            thread.start()
            self._threads[number - 1] = thread.native_id or -1  # 0 would be the thread that launches
        self._record["threads"], self._record["allowed"] = address(self._threads), address(self._cores)
        self._record["core"], self._record["parted"] = -1, -(1 << 40)

    def run(self, request: np.ndarray) -> None:
        """Runs a task for every index: ``request`` is a ``REQUEST``, and behind it what the task is told, as int64."""
        at = address(request)
        request[1] = at + REQUEST.itemsize
        self._run(self._room, self._room, self.told, at, 0)

    def rest(self) -> None:
        """Sends the threads that wait to sleep now: another library's threads are about to want their cores."""
        self._record["looks"] = 0


_pool: Pool | None = None
_pools: dict[int, Pool] = {}
_making = free_in_children(threading.Lock(), 0)


def set_threads(count: int) -> None:
    """From now on, the pool of this process has ``count`` threads, whatever the environment says."""
    global _pool
    with _making:
        if count not in _pools:
            _pools[count] = Pool(count)
        _pool = _pools[count]


def count() -> int:
    """Threads of the pool, without starting it."""
    return cores() if _pool is None else _pool.threads


def rest() -> None:
    """Leaves the cores to the threads of another library until the next launch, which wakes the pool."""
    if _pool is not None:
        _pool.rest()


def pool() -> Pool:
    """The pool of this process, started when first needed."""
    if _pool is None:
        set_threads(cores())
    assert _pool is not None
    return _pool


def _start_again() -> None:
    """A forked child has no threads but the one that forked; its pool is where it was, as launches know it."""
    for each in _pools.values():
        each.start()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_again)
