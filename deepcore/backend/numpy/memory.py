"""Memory of large arrays, kept for the next one of its size when an array dies.

What the system gives to a large array it takes back with the array, and gives again page by page, zeroed: for the
arrays of a training step, the same in every step, that costs more than some of the kernels that fill them.

So as much is kept as was in use at once, and ``LIMIT``, which hardly raises the most memory that the process has. What
of it is more than ``LIMIT`` is lent to the system: it stays where it is until the system runs short of memory.

Where that is less than all sizes of a step need, the size that was asked for last is given up: it is the one that comes
last in the next step. To give up the one of longest ago would give up each shortly before it is asked for.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from deepcore.kernels.cpu.pages import ADVISES, LINE, Pages
from deepcore.kernels.cpu.record import address
from deepcore.kernels.forks import free_in_children

__all__ = ["LARGE", "LIMIT", "aligned", "empty"]

LARGE = 1 << 20  # bytes; the system serves smaller arrays from memory that the process has
LIMIT = 1 << 27  # bytes that are kept beyond what was in use at once, and that are not lent
STALE = 10_000  # requests after which a size counts as not needed any more; a step makes some hundred

# The C library takes arrays of more than 128 KB from the system each time, and gives free memory back soon, until it
# has freed a large one: from then on it keeps arrays up to that size, and twice as much of free memory.
np.empty(1 << 24, np.uint8)

_lock = free_in_children(threading.Lock(), 2)
_free: OrderedDict[int, list[Pages]] = OrderedDict()  # by size, the one asked for last at the end
_asked: dict[int, int] = {}  # for each size the number of the last request
_requests = 0  # so far
_kept = 0  # bytes in ``_free``
_used = 0  # bytes of arrays that live
_most_used = 0  # at once
_returned: deque[Pages] = deque()  # not yet in ``_free``


class _Lease:
    """Memory in use: the base of the array, and of all views of it, so that it ends with the last of them."""

    __slots__ = ("__array_interface__", "block")

    def __init__(self, block: Pages, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.block = block
        self.__array_interface__ = {"version": 3, "shape": shape, "typestr": dtype.str, "data": (block.address, False)}

    def __del__(self) -> None:
        # An object may die at any instruction, of a thread that holds the lock, too.
        _returned.append(self.block)
        if _lock.acquire(blocking=False):
            try:
                _settle()
            finally:
                _lock.release()


def empty(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """``np.empty(shape, dtype)``, C-contiguous; a large one begins at a multiple of 64 bytes.

    Its memory is used again once neither it nor a view of it, a tensor or a buffer of another library that shares it,
    is referred to any more. Safe to call from several threads.
    """
    shape, kind = tuple(shape), np.dtype(dtype)
    wanted = math.prod(shape) * kind.itemsize
    if wanted < LARGE or kind.kind not in "fiub":
        return np.empty(shape, kind)
    # Sizes in steps of an eighth or less, so that batches of nearly one size share memory.
    step = 1 << (wanted.bit_length() - 4)
    size = -(-wanted // step) * step
    with _lock:
        _settle()
        block = _taken(size)
        _make_room()
    if block is None:
        block = Pages(size)
    return np.asarray(_Lease(block, shape, kind))


def aligned(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """``empty(shape, dtype)`` that begins at a multiple of 64 bytes whatever its size: no vector of it is in two lines.

    >>> aligned((3, 5), np.float32).ctypes.data % 64
    0
    """
    shape, kind = tuple(shape), np.dtype(dtype)
    wanted = math.prod(shape) * kind.itemsize
    if wanted >= LARGE:
        return empty(shape, kind)
    memory = np.empty(wanted + LINE, np.uint8)
    start = -address(memory) % LINE
    return memory[start : start + wanted].view(kind).reshape(shape)


def _taken(size: int) -> Pages | None:
    """A block that was kept, if there is one of this size, which is in use from now on."""
    global _kept, _used, _most_used, _requests
    _used += size
    _most_used = max(_most_used, _used)
    _requests += 1
    _asked[size] = _requests
    _forget()
    blocks = _free.setdefault(size, [])
    _free.move_to_end(size)
    if not blocks:
        return None
    _kept -= size
    return blocks.pop()


def _settle() -> None:
    """Puts what was returned with the rest; under the lock."""
    global _kept, _used
    while _returned:
        block = _returned.popleft()
        _used -= block.size
        _kept += block.size
        if _kept > LIMIT:
            block.lend()
        _free.setdefault(block.size, []).append(block)
    _make_room()


def _make_room() -> None:
    """Gives to the system what is too much to keep: of a stale size, else of that which was asked for last."""
    global _kept
    most = LIMIT + (_most_used - _used if ADVISES else 0)
    while _kept > most:
        size = next(size for size, blocks in _free.items() if blocks)
        if not _is_stale(size):
            size = next(size for size, blocks in reversed(_free.items()) if blocks)
        _free[size].pop()
        _kept -= size


def _is_stale(size: int) -> bool:
    return _requests - _asked.get(size, 0) > STALE


def _forget() -> None:
    """Gives up the size that was asked for longest ago if it is stale: a program may ask for ever other ones."""
    global _kept
    oldest = next(iter(_free), None)
    if oldest is not None and _is_stale(oldest):
        _kept -= oldest * len(_free.pop(oldest))
        _asked.pop(oldest, None)
