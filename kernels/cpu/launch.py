"""A launch whose sizes are known: what a plan keeps, so that a call has only addresses to fill in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deepcore.kernels.cpu import library, scratch, threads
from deepcore.kernels.cpu.record import REQUEST, SCRATCH


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
        self._fixed = np.zeros(front + len(names), np.int64)
        self._fixed[0], self._fixed[2] = library.task(*task), count
        for name, value in fixed.items():
            self._fixed[front + names.index(name)] = value
        self._places = tuple(front + names.index(name) for name in given)
        self._scratch_bytes = scratch_bytes
        self._keep = tuple(keep)

    def __call__(self, *given: int) -> None:
        """Runs the task for every index; ``given`` are the fields that the launch was made to be given."""
        told = self._fixed.copy()
        for place, value in zip(self._places, given, strict=True):
            told[place] = value
        pool = threads.pool()
        if not self._scratch_bytes:
            pool.run(told)
            return
        with scratch.borrow(pool.threads, self._scratch_bytes) as room:
            told[-2], told[-1] = room.address, room.bytes
            pool.run(told)
