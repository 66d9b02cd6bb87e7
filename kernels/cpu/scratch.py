"""Memory that tasks write intermediate results to: kept between launches, so that its pages are there already.

There is no lock: a small launch takes hardly longer than to take one. What several threads do to the list at once are
single operations of it, each of which happens as a whole.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

from deepcore.kernels.cpu.pages import LINE, Pages

KEPT_BYTES = 256 << 20  # most that is kept for later

_free: list[Pages] = []  # what was used last comes last


class Room(NamedTuple):
    """``bytes`` for each worker from ``address`` on, one after the other."""

    address: int
    bytes: int


def take(size: int) -> Pages:
    """At least ``size`` bytes that nobody else has, until they are given back.

    What was used last, if it is large enough: a cache may still have it. Else the smallest that is; or new memory, in
    place of what is too small, so that there are never more pieces than were in use at once.
    """
    try:
        last = _free.pop()
    except IndexError:
        return Pages(size)
    return last if last.size >= size else _instead(last, size)


def give(pages: Pages) -> None:
    """Takes back what ``take`` gave."""
    _free.append(pages)
    if len(_free) > 1 or pages.size > KEPT_BYTES:
        while sum(each.size for each in list(_free)) > KEPT_BYTES:
            with contextlib.suppress(IndexError):  # another thread took the last one
                _free.pop(0)


def _instead(small: Pages, size: int) -> Pages:
    """What ``take`` gives where the last one is too small."""
    for found in sorted((each for each in list(_free) if each.size >= size), key=lambda each: each.size):
        with contextlib.suppress(ValueError):  # another thread took it
            _free.remove(found)
            _free.append(small)
            return found
    return Pages(size)


@contextlib.contextmanager
def borrow(workers: int, size: int) -> Iterator[Room]:
    """Room of at least ``size`` bytes for each worker, starting on a cache line, until the block ends."""
    each = -(-size // LINE) * LINE
    pages = take(workers * each)
    try:
        yield Room(pages.address, each)
    finally:
        give(pages)
