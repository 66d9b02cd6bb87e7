"""How time is taken: fresh buffers, interleaved calls, quantiles, ratios.

What is compared is interleaved (A B A B), so that a drift of the machine falls on all alike. Single calls are timed,
because quantiles of single calls show the noise that a mean hides.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

FEWEST_ROUNDS = 3
_ALIGNMENT = 256
_LOOK = 0.5e-3  # seconds between two looks at whether threads still spin
_PATIENCE = 0.25  # seconds; OpenBLAS's threads were seen to spin for half of that
_TASKS = Path("/proc/self/task")


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
        self.copies = copies_for(end, spread)
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


class Copies:
    """Arguments of a call that are made anew for each turn of a rotation, as whatever ``make`` returns."""

    def __init__(self, make: Callable[[], list[Any]], count: int) -> None:
        self._made = [make() for _ in range(count)]
        self._next = 0

    def take(self) -> list[Any]:
        """The next arguments."""
        self._next += 1
        return self._made[(self._next - 1) % len(self._made)]


def copies_for(size: int, spread: int) -> int:
    """How many copies of ``size`` bytes walk through ``spread`` bytes before the first comes round again.

    >>> copies_for(100, 0), copies_for(100, 250)
    (1, 4)
    """
    return -(-spread // size) + 1 if spread else 1


def settle() -> None:
    """Waits until no other thread of this process computes any more, a quarter of a second at the most.

    Threads of one library's pool may spin for a while after their work is done, and would do so on the cores, and in
    the time, of the library that is measured next.
    """
    deadline = time.perf_counter() + _PATIENCE
    while _others_compute() and time.perf_counter() < deadline:
        time.sleep(_LOOK)


def _others_compute() -> bool:
    """Whether another thread of this process runs, or would if it had a core; False where the system does not tell.

    The system adds up a process's time by the tick, four milliseconds or so, which is as long as many threads spin.
    """
    own = str(threading.get_native_id())
    for task in _TASKS.glob("*"):
        try:
            state = (task / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:  # it has ended
            continue
        if task.name != own and state == "R":
            return True
    return False


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


def ratios(theirs: Sequence[float], ours: Sequence[float]) -> tuple[float, float, float]:
    """The 20th, 50th and 80th percentile of theirs / ours, each round of an interleaved run giving one ratio.

    >>> ratios([2.0, 4.0, 6.0], [1.0, 1.0, 2.0])
    (2.4, 3.0, 3.6)
    """
    low, middle, high = np.quantile(np.asarray(theirs, np.float64) / np.asarray(ours, np.float64), (0.2, 0.5, 0.8))
    return round(float(low), 6), round(float(middle), 6), round(float(high), 6)
