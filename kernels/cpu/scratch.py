"""Memory that tasks write intermediate results to: kept between launches, so that its pages are there already."""

from __future__ import annotations

import contextlib
import mmap
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from deepcore.kernels.cpu.record import address

HUGE_PAGE = 2 << 20
LINE = 64  # bytes: a vector of AVX-512, and a cache line
KEPT_BYTES = 256 << 20  # most that is kept for later

_free: list[np.ndarray] = []
_lock = threading.Lock()


@dataclass(frozen=True)
class Room:
    """``bytes`` for each worker from ``address`` on, one after the other."""

    address: int
    bytes: int


@contextlib.contextmanager
def borrow(workers: int, size: int) -> Iterator[Room]:
    """Room of at least ``size`` bytes for each worker, starting on a cache line, until the block ends."""
    size = -(-size // LINE) * LINE
    if not size:
        yield Room(0, 0)
        return
    memory = _take(workers * size + LINE)
    try:
        yield Room(-(-address(memory) // LINE) * LINE, size)
    finally:
        with _lock:
            _free.append(memory)
            while sum(array.nbytes for array in _free) > KEPT_BYTES:
                _free.pop(0)


def _take(size: int) -> np.ndarray:
    """The smallest free memory that is large enough, or new."""
    with _lock:
        fitting = [i for i, array in enumerate(_free) if array.nbytes >= size]
        if fitting:
            return _free.pop(min(fitting, key=lambda i: _free[i].nbytes))
    return _huge(size) if size >= HUGE_PAGE // 2 else np.empty(size, np.uint8)


def _huge(size: int) -> np.ndarray:
    """New memory in huge pages, where the system has them: tasks walk over it in strides of many small pages."""
    memory = mmap.mmap(-1, -(-size // HUGE_PAGE) * HUGE_PAGE + HUGE_PAGE)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a system that was built without them
            memory.madvise(mmap.MADV_HUGEPAGE)
    array = np.frombuffer(memory, np.uint8)
    return array[-address(array) % HUGE_PAGE :]
