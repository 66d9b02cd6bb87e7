"""How time is taken: fresh buffers, interleaved calls, quantiles.

What is compared is interleaved (A B A B), so that a drift of the machine falls on all alike. Single calls are timed,
because quantiles of single calls show the noise that a mean hides.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

FEWEST_ROUNDS = 3
_ALIGNMENT = 256


class Rotation:
    """Copies of a call's arrays, handed out in turn, so that no call finds its input in a cache.

    All copies lie in one buffer of at least ``spread`` bytes; ``spread`` zero keeps one copy, which stays warm.

    Args:
        arrays: host arrays of one call.
        spread: bytes to walk through before a copy comes round again: twice the last-level cache, say.
        to_device: moves a host array to where the call runs.
    """

    def __init__(
        self, arrays: Sequence[np.ndarray], spread: int, to_device: Callable[[np.ndarray], Any] = lambda array: array
    ) -> None:
        starts, end = [], 0
        for array in arrays:
            starts.append(end)
            end += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
        self.copies = -(-spread // end) + 1 if spread else 1
        one = np.zeros(end, np.uint8)
        for array, start in zip(arrays, starts, strict=True):
            one[start : start + array.nbytes] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        self._buffer = to_device(np.tile(one, (self.copies, 1)))
        self._layout = [
            (start, array.nbytes, array.dtype, array.shape) for array, start in zip(arrays, starts, strict=True)
        ]
        self._next = 0

    def take(self) -> list[Any]:
        """The next copy, as views of the buffer."""
        row = self._buffer[self._next % self.copies]
        self._next += 1
        return [row[start : start + size].view(dtype).reshape(shape) for start, size, dtype, shape in self._layout]


def interleave(
    trials: Sequence[Callable[[], float]],
    repeats: int,
    seconds: float,
    now: Callable[[], float] = time.perf_counter,
) -> list[list[float]]:
    """Calls every trial in turn and collects the seconds that each reports.

    Stops after ``repeats`` rounds, or once ``seconds`` have passed for every trial, but not before
    ``FEWEST_ROUNDS``. Garbage is collected before, not during.
    """
    samples: list[list[float]] = [[] for _ in trials]
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        deadline = now() + seconds * len(trials)
        for done in range(repeats):
            if done >= FEWEST_ROUNDS and now() >= deadline:
                break
            for trial, taken in zip(trials, samples, strict=True):
                taken.append(trial())
    finally:
        if collecting:
            gc.enable()
    return samples


def quantiles(samples: Sequence[float]) -> tuple[float, float, float]:
    """The 20th, 50th and 80th percentile, interpolated linearly.

    >>> quantiles([1.0, 2.0, 3.0, 4.0, 11.0])
    (1.8, 3.0, 5.4)
    """
    low, middle, high = (float(q) for q in np.quantile(np.asarray(samples, np.float64), (0.2, 0.5, 0.8)))
    return round(low, 12), round(middle, 12), round(high, 12)
