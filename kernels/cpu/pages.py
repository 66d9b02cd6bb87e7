"""Memory from the system: on cache lines, in huge pages where it has them, and for this process alone."""

from __future__ import annotations

import contextlib
import mmap

import numpy as np

from deepcore.kernels.cpu.record import address

__all__ = ["ADVISES", "HUGE_PAGE", "LINE", "Pages"]

LINE = 64  # bytes: a cache line, and a vector of AVX-512
HUGE_PAGE = 2 << 20  # bytes, for which a table of addresses has one entry instead of 512
ADVISES = hasattr(mmap, "MADV_HUGEPAGE") and hasattr(mmap, "MADV_FREE")  # whether the system knows both


class Pages:
    """``size`` bytes from ``address`` on, a multiple of ``LINE``, for as long as this object lives.

    They are in huge pages as far as these would be three quarters full. A forked child has a copy of its own.
    """

    __slots__ = ("_advised", "_memory", "_room", "address", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self._advised = (size + HUGE_PAGE // 4) // HUGE_PAGE * HUGE_PAGE if ADVISES else 0
        if not self._advised:
            self._memory = np.empty(size + LINE, np.uint8)
            self.address = _multiple(LINE, self._memory)
            return
        # What the system maps for nobody in particular is shared with forked children unless it is told otherwise.
        self._room = mmap.mmap(-1, size + 2 * HUGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._memory = np.frombuffer(self._room, np.uint8)
        self.address = _multiple(HUGE_PAGE, self._memory)
        self._advise(mmap.MADV_HUGEPAGE)

    def lend(self) -> None:
        """Lets the system take the pages when it needs them, until they are written to again."""
        if self._advised:
            self._advise(mmap.MADV_FREE)

    def _advise(self, advice: int) -> None:
        with contextlib.suppress(OSError):  # a system that was built without it
            self._room.madvise(advice, self.address - address(self._memory), self._advised)


def _multiple(of: int, memory: np.ndarray) -> int:
    """The first address in ``memory`` that is one."""
    first = address(memory)
    return first + -first % of
