"""All cores: a pool of threads that hands out the indices of a launch, and sleeps when there is none.

The threads are started by the C library and run native code alone, so that they never wait for Python. One launch at a
time has the pool; a launch that finds it taken, by another Python thread, runs in the thread that asked, so that two
training loops share the cores instead of waiting for each other. What a task does must not depend on who does it:
results are the same bits with any number of threads.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import threading
from collections.abc import Iterator

import numpy as np

from deepcore.kernels.cpu import library, scratch
from deepcore.kernels.cpu.record import POOL, address

PATIENCE = 2000  # looks before a thread goes to sleep, some 100 microseconds: waking takes nearly as long
VARIABLES = ("DEEPCORE_NUM_THREADS", "OMP_NUM_THREADS")
_SPACE = 128  # bytes that hold a mutex or a condition of any C library

_Native = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_int64] * 5)
_limit = threading.local()


@functools.cache
def cores() -> int:
    """Threads to use: what ``DEEPCORE_NUM_THREADS`` or else ``OMP_NUM_THREADS`` says, or else the cores there are.

    Raises ``ValueError`` if the variable is not a positive integer.
    """
    for variable in VARIABLES:
        value = os.environ.get(variable, "").split(",")[0].strip()
        if value:
            if not value.isdecimal() or int(value) < 1:
                raise ValueError(f"{variable} must be a positive integer; got {value!r}.")
            return int(value)
    with contextlib.suppress(AttributeError):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Pool:
    """``threads`` threads, the calling one among them."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._taken = threading.Lock()
        self._results = np.zeros(2 * threads, np.int64)  # where tasks put a result that nobody reads
        self._room = address(self._results)
        self._alone = _Native(library.task("pool", "alone"))
        if threads > 1:
            self._start()

    def _start(self) -> None:
        libc = ctypes.CDLL(None)
        self._space = np.zeros((3, _SPACE), np.uint8)
        mutex, work, done = (address(row) for row in self._space)
        libc.pthread_mutex_init(ctypes.c_void_p(mutex), None)
        for condition in (work, done):
            libc.pthread_cond_init(ctypes.c_void_p(condition), None)
        record = np.zeros((), POOL)
        record["mutex"], record["work"], record["done"] = mutex, work, done
        record["workers"], record["patience"] = self.threads - 1, PATIENCE
        self._numbers = record.reshape(1).view(np.int64)
        self._launch = _Native(library.task("pool", "launch"))
        worker = _Native(library.task("pool", "worker"))
        self._told = address(self._numbers)
        for number in range(1, self.threads):
            arguments = (self._room, self._room, self._told, number, 0)
            threading.Thread(target=worker, args=arguments, name="deepcore", daemon=True).start()

    def run(self, task: int, told: np.ndarray, count: int, scratch_bytes: int = 0) -> None:
        """Runs a task for every index below ``count``.

        Args:
            task: its address.
            told: its record, as int64 [fields]; the fields of the scratch memory, at its end, are filled in here.
            count: indices.
            scratch_bytes: memory of its own that each worker needs; 0 if the record has no fields for it.
        """
        if self.threads == 1 or count == 1 or not self._taken.acquire(blocking=False):
            with _borrowed(scratch_bytes, 1, told):
                self._alone(self._room, self._room, task, address(told), count)
            return
        try:
            with _borrowed(scratch_bytes, self.threads, told):
                numbers = self._numbers
                numbers[_TASK], numbers[_TOLD], numbers[_COUNT] = task, address(told), count
                self._launch(self._room, self._room, self._told, 0, 0)
        finally:
            self._taken.release()


_NOTHING = contextlib.nullcontext()
_TASK, _TOLD, _COUNT = ((POOL.names or ()).index(name) for name in ("task", "told", "count"))


def _borrowed(size: int, workers: int, told: np.ndarray) -> contextlib.AbstractContextManager[object]:
    return _scratch(size, workers, told) if size else _NOTHING


@contextlib.contextmanager
def _scratch(size: int, workers: int, told: np.ndarray) -> Iterator[None]:
    with scratch.borrow(workers, size) as room:
        told[-2], told[-1] = room.address, room.bytes
        yield


_pool: Pool | None = None
_making = threading.Lock()


def pool() -> Pool:
    """The pool of this process, started when first needed."""
    global _pool
    if _pool is None:
        with _making:
            if _pool is None:
                _pool = Pool(cores())
    return _pool


def _forget() -> None:
    """A forked child has no threads but its own."""
    global _pool, _making
    _pool = None
    _making = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
