"""A launch whose sizes are known: what a plan keeps, so that a call has only addresses to fill in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deepcore.kernels.cpu import library, scratch, threads
from deepcore.kernels.cpu.record import address


class Launch:
    """``count`` shares of a task, told the sizes ``fixed``; ``record`` names their dtype, a function of ``record.py``.

    Args:
        record: dtype of what the task is told.
        task: file and name of the task.
        count: how many indices there are.
        scratch_bytes: memory of its own that each worker needs; the record then has ``scratch`` and ``scratch_bytes``.
        keep: arrays whose addresses are among ``fixed``.
        fixed: every field but the addresses that a call gives.
    """

    def __init__(
        self,
        record: np.dtype,
        task: tuple[str, str],
        count: int,
        scratch_bytes: int = 0,
        keep: Sequence[np.ndarray] = (),
        **fixed: Any,
    ) -> None:
        names = record.names or ()
        self._places = {name: i for i, name in enumerate(names)}
        unknown = set(fixed) - set(names)
        if unknown:
            raise ValueError(f"The record of task {task[1]} has no field {', '.join(sorted(unknown))}.")
        self._fixed = np.zeros(len(names), np.int64)
        for name, value in fixed.items():
            self._fixed[self._places[name]] = value
        self._given = {*names} - set(fixed) - {"scratch", "scratch_bytes"}
        self._task = library.task(*task)
        self._count = count
        self._scratch_bytes = scratch_bytes
        self._keep = tuple(keep)

    def __call__(self, **addresses: int) -> None:
        """Runs the task for every index. Raises ``TypeError`` if a field that is not fixed is missing."""
        if addresses.keys() != self._given:
            raise TypeError(f"The launch needs {', '.join(sorted(self._given))}; got {', '.join(sorted(addresses))}.")
        told = self._fixed.copy()
        places = self._places
        for name, value in addresses.items():
            told[places[name]] = value
        pool = threads.pool()
        if not self._scratch_bytes:
            pool.run(self._task, address(told), self._count)
            return
        with scratch.borrow(pool.threads, self._scratch_bytes) as room:
            told[places["scratch"]], told[places["scratch_bytes"]] = room.address, room.bytes
            pool.run(self._task, address(told), self._count)
