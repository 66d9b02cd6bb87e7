"""Memory that tasks write intermediate results to: kept between launches, so that its pages are there already."""

from __future__ import annotations

import threading
from typing import NamedTuple

from deepcore.kernels.cpu.pages import LINE, Pages
from deepcore.kernels.forks import free_in_children

KEPT_BYTES = 256 << 20  # most that is kept for later

_free: list[Pages] = []  # what was used last comes last
_kept = 0  # bytes in ``_free``
_lock = free_in_children(threading.Lock(), 2)


class Room(NamedTuple):
    """``bytes`` for each worker from ``address`` on, one after the other."""

    address: int
    bytes: int


class borrow:  # noqa: N801 (a context manager, read as a verb)
    """Room of at least ``size`` bytes for each worker, starting on a cache line, until the block ends."""

    __slots__ = ("_pages", "_room")

    def __init__(self, workers: int, size: int) -> None:
        size = -(-size // LINE) * LINE
        self._pages = _take(workers * size)
        self._room = Room(self._pages.address, size)

    def __enter__(self) -> Room:
        return self._room

    def __exit__(self, *raised: object) -> None:
        global _kept
        with _lock:
            _free.append(self._pages)
            _kept += self._pages.size
            while _kept > KEPT_BYTES:
                _kept -= _free.pop(0).size


def _take(size: int) -> Pages:
    """The smallest free memory that is large enough, of several the one used last; or new, in place of what is not."""
    global _kept
    with _lock:
        if _free:
            fitting = [(pages.size, -i) for i, pages in enumerate(_free) if pages.size >= size]
            # Of those that are too small the largest goes, so that there are never more than were in use at once.
            i = -min(fitting)[1] if fitting else max(range(len(_free)), key=lambda i: _free[i].size)
            found = _free.pop(i)
            _kept -= found.size
            if fitting:
                return found
    return Pages(size)
