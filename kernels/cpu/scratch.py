"""Memory that tasks write intermediate results to: kept between launches, so that its pages are there already."""

from __future__ import annotations

import contextlib
import mmap
import threading
from typing import NamedTuple

import numpy as np

from deepcore.kernels.cpu.record import address

HUGE_PAGE = 2 << 20
LINE = 64  # bytes: a vector of AVX-512, and a cache line
KEPT_BYTES = 256 << 20  # most that is kept for later

_free: list[np.ndarray] = []  # what was used last comes last
_kept = 0  # bytes in ``_free``
_lock = threading.Lock()


class Room(NamedTuple):
    """``bytes`` for each worker from ``address`` on, one after the other."""

    address: int
    bytes: int


class borrow:  # noqa: N801 (a context manager, read as a verb)
    """Room of at least ``size`` bytes for each worker, starting on a cache line, until the block ends."""

    __slots__ = ("_memory", "_room")

    def __init__(self, workers: int, size: int) -> None:
        size = -(-size // LINE) * LINE
        self._memory = _take(workers * size + LINE)
        self._room = Room(-(-address(self._memory) // LINE) * LINE, size)

    def __enter__(self) -> Room:
        return self._room

    def __exit__(self, *raised: object) -> None:
        global _kept
        with _lock:
            _free.append(self._memory)
            _kept += self._memory.nbytes
            while _kept > KEPT_BYTES:
                _kept -= _free.pop(0).nbytes


def _take(size: int) -> np.ndarray:
    """The smallest free memory that is large enough, of several the one used last; or new."""
    global _kept
    with _lock:
        fitting = [(array.nbytes, -i) for i, array in enumerate(_free) if array.nbytes >= size]
        if fitting:
            nbytes, i = min(fitting)
            _kept -= nbytes
            return _free.pop(-i)
    return _huge(size) if size >= HUGE_PAGE // 2 else np.empty(size, np.uint8)


def _huge(size: int) -> np.ndarray:
    """New memory in huge pages, where the system has them: tasks walk over it in strides of many small pages."""
    memory = mmap.mmap(-1, -(-size // HUGE_PAGE) * HUGE_PAGE + HUGE_PAGE)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a system that was built without them
            memory.madvise(mmap.MADV_HUGEPAGE)
    array = np.frombuffer(memory, np.uint8)
    return array[-address(array) % HUGE_PAGE :]
