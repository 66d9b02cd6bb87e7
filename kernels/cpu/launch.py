"""Launches whose sizes are known: what a plan keeps, so that a call has only addresses to fill in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deepcore.kernels.cpu import library, scratch, threads
from deepcore.kernels.cpu.pages import LINE
from deepcore.kernels.cpu.record import PARTS, REQUEST, SCRATCH, address


class Launch:
    """``count`` shares of a task, which is told the sizes ``fixed``; calling it gives the rest and runs it.

    Args:
        record: dtype of what the task is told, of ``record.py``.
        task: file and name of the task.
        given: the fields that a call gives, in its order.
        count: how many indices there are.
        scratch_bytes: memory of its own that each worker needs, if any.
        keep: arrays whose addresses are among ``fixed``.
        fixed: every other field but those of the scratch memory.

    Attributes:
        count: as given.
        fixed: the request and, behind it, what the task is told, where calls give nothing.
        places: in ``fixed``, of what calls give.
        scratch_bytes: as given, to whole lines of the cache.

    Raises:
        ValueError: a field of the record is missing, or is none.
    """

    def __init__(
        self,
        record: np.dtype,
        task: tuple[str, str],
        given: Sequence[str],
        count: int,
        scratch_bytes: int = 0,
        keep: Sequence[np.ndarray] = (),
        **fixed: Any,
    ) -> None:
        names = record.names or ()
        odd = set(names).symmetric_difference({*fixed, *given, *(SCRATCH if SCRATCH[0] in names else ())})
        if odd:
            raise ValueError(
                f"The record of task {task[1]} has other fields; missing or unknown: {', '.join(sorted(odd))}."
            )
        # In front of the record lies the request: both are made by one copy.
        front = len(REQUEST.names or ())
        self.fixed = np.zeros(front + len(names), np.int64)
        self.fixed[0], self.fixed[2] = library.task(*task), count
        for name, value in fixed.items():
            self.fixed[front + names.index(name)] = value
        self.places = tuple(front + names.index(name) for name in given)
        self.count = count
        self.scratch_bytes = -(-scratch_bytes // LINE) * LINE
        self._given = tuple(enumerate(self.places))
        self._rooms = (len(self.fixed) - len(SCRATCH),)
        self._keep = tuple(keep)

    @property
    def told(self) -> int:
        """The address of what the task is told, where calls give nothing; it lives as long as ``fixed``."""
        return address(self.fixed) + len(REQUEST.names or ()) * self.fixed.itemsize

    def __call__(self, *given: int) -> None:
        """Runs the task for every index; ``given`` are the fields that the launch was made to be given."""
        told = self.fixed.copy()
        assert len(given) == len(self.places)
        for number, place in self._given:
            told[place] = given[number]
        _run(told, self._rooms, self.scratch_bytes)


class Parts:
    """Several launches that need nothing of each other, as one: their indices are handed out in turn.

    Args:
        parts: the launches, each of which is given some of the fields that a call gives.
        offsets: for each part, what is added to every address that a call gives, in bytes; None where the part is not
            given it.
    """

    def __init__(self, parts: Sequence[Launch], offsets: Sequence[Sequence[int | None]]) -> None:
        whole = Launch(PARTS, ("pool", "part"), (), sum(part.count for part in parts), order=0)
        front = len(REQUEST.names or ())
        *begins, _ = np.cumsum([len(whole.fixed), *(len(part.fixed) for part in parts)]).tolist()
        turns = sorted(
            (index / part.count, (begin - front) * whole.fixed.itemsize, index)
            for begin, part in zip(begins, parts, strict=True)
            for index in range(part.count)
        )
        self._order = np.array([turn[1:] for turn in turns], np.int64)
        self._fixed = np.concatenate([whole.fixed, *(part.fixed for part in parts)])
        self._fixed[front] = address(self._order)
        self._places = tuple(
            (begin + place, number, offset)
            for begin, part, moved in zip(begins, parts, offsets, strict=True)
            for place, (number, offset) in zip(part.places, _given(moved), strict=True)
        )
        self._rooms = tuple(
            begin + len(part.fixed) - len(SCRATCH)
            for begin, part in zip(begins, parts, strict=True)
            if part.scratch_bytes
        )
        self._scratch_bytes = max((part.scratch_bytes for part in parts), default=0)
        self._parts = tuple(parts)  # whose arrays must live

    def __call__(self, *given: int) -> None:
        """Runs all of them; ``given`` are the fields that they were made to be given, before their offsets."""
        told = self._fixed.copy()
        for place, number, offset in self._places:
            told[place] = given[number] + offset
        _run(told, self._rooms, self._scratch_bytes)


def _given(offsets: Sequence[int | None]) -> list[tuple[int, int]]:
    """Which of the fields that a call gives a part is given, and what is added to each."""
    return [(number, offset) for number, offset in enumerate(offsets) if offset is not None]


def _run(told: np.ndarray, rooms: Sequence[int], scratch_bytes: int) -> None:
    """Runs what ``told`` begins with; ``rooms``: where it is to say where each worker's own memory lies."""
    pool = threads.pool()
    if not scratch_bytes:
        pool.run(told)
        return
    pages = scratch.take(pool.threads * scratch_bytes)
    try:
        for place in rooms:
            told[place], told[place + 1] = pages.address, scratch_bytes
        pool.run(told)
    finally:
        scratch.give(pages)
