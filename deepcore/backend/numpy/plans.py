"""What the plans of all tiled kernels share.

A plan says how sizes are cut into blocks, tiles and tasks. It depends on sizes alone and is made once.
"""

from __future__ import annotations

import functools

import numpy as np

from deepcore.kernels.cpu import threads
from deepcore.kernels.cpu.host import host
from deepcore.kernels.cpu.pages import LINE
from deepcore.kernels.cpu.record import address

PLANS = 1000  # kept
TASKS_OF_A_THREAD = 4  # at least: some cores are faster than others
STREAMED_BYTES = 24 << 20  # of an output that is larger than what a cache would keep of it
PIECES = 16  # partial sums at most: a number that follows from sizes alone keeps results the same on all machines

CLAMPS = {"linear": (-np.inf, np.inf), "relu": (0.0, np.inf), "relu6": (0.0, 6.0)}


def tasks_wanted() -> int:
    """Tasks among which work is divided where that changes no result."""
    count = threads.pool().threads
    return 1 if count == 1 else count * TASKS_OF_A_THREAD


@functools.lru_cache(PLANS)
def zeros(size: int) -> np.ndarray:
    """What stands for no bias: so many zeros, and those that a whole vector reads beyond."""
    return np.zeros(size + host().lanes, np.float32)


def streams(out: np.ndarray) -> bool:
    """Whether to write [N, P, Q, K] past the caches: it is larger than what they would keep, and pixels begin lines."""
    return out.nbytes > STREAMED_BYTES and begin_lines(out)


def begin_lines(out: np.ndarray) -> bool:
    """Whether all pixels of [N, P, Q, K] begin lines of the cache."""
    return not any(start % LINE for start in (address(out), *out.strides[:3]))


def even(rows: int, most: int) -> int:
    """How many rows to take at a time, at most ``most`` but one at least, so that the last time is not much shorter."""
    return -(-rows // -(-rows // max(1, min(rows, most))))


def up(value: int, step: int) -> int:
    """The next multiple of ``step``."""
    return -(-value // step) * step
