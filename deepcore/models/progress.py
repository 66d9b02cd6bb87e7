"""Where a training is: its epoch, its step, and its place in the data."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from deepcore.callbacks.callback import CallbackList
from deepcore.models.data import ArrayData, Batch, IterableData
from deepcore.random import Generator


class Feed:
    """The batches of epoch after epoch.

    Args:
        batches: gives one pass over the data, ``batches(shuffle, skip)``.
        data: what it goes over.
        shuffle: the stream that orders are drawn from; None for the order of the data.
        steps: of an epoch, which then goes on where the last one stopped; None for a pass an epoch.

    Attributes:
        exhausted: whether an iterator that cannot start anew has ended.
    """

    def __init__(
        self,
        batches: Callable[..., Iterator[Batch]],
        data: ArrayData | IterableData,
        shuffle: Generator | None,
        steps: int | None,
    ) -> None:
        self.batches, self.data, self.shuffle, self.steps = batches, data, shuffle, steps
        self.length = data.steps if isinstance(data, ArrayData) else data.length
        self.exhausted = False
        self._pass: Iterator[Batch] | None = None
        self._taken = 0  # batches of this pass
        self._before = self._position()

    def epoch(self, done: int = 0) -> Iterator[Batch]:
        """The batches of an epoch of which ``done`` steps are done."""
        if isinstance(self.data, IterableData):
            self.data.on_epoch_begin()
        given = done
        while self.steps is None or given < self.steps:
            if self._pass is None:
                self._begin()
            batch = next(self._pass, None)  # type: ignore[arg-type]
            if batch is None:
                self._ran_out(given)
                break
            self._taken += 1
            given += 1
            yield batch
        if self._taken == self.length:
            self.close()
        if isinstance(self.data, IterableData):
            self.data.on_epoch_end()

    def _begin(self, skip: int = 0) -> None:
        self._before, self._taken = self._position(), skip
        self._pass = self.batches(self.shuffle, skip)

    def _ran_out(self, given: int) -> None:
        endless = isinstance(self.data, IterableData) and self.data.endless
        if self.steps is not None:
            warnings.warn(
                f"The data ran out after {given} of steps_per_epoch={self.steps} steps, which ends the epoch. Give "
                "data for steps_per_epoch * epochs steps, or leave steps_per_epoch out.",
                stacklevel=6,
            )
        elif endless and not given:
            warnings.warn("The iterator has no more batches, which ends training; it cannot start anew.", stacklevel=6)
        self.exhausted = endless
        if not endless:
            self.close()

    def close(self) -> None:
        """Ends the pass, and workers that make batches for it."""
        if self._pass is not None:
            self._pass.close()  # type: ignore[attr-defined]
        self._pass, self._taken = None, 0

    def _position(self) -> tuple[int, int]:
        return (0, 0) if self.shuffle is None else (self.shuffle.seed, self.shuffle.offset)

    def state(self) -> dict[str, int]:
        """Where it is: the numbers that ``restore`` takes."""
        seed, offset = self._position() if self._pass is None else self._before
        return {"seed": seed, "offset": offset, "taken": self._taken}

    def restore(self, state: dict[str, int]) -> None:
        """Goes where another feed of the same data was."""
        self.close()
        if self.shuffle is not None:
            self.shuffle.seed, self.shuffle.offset = state["seed"], state["offset"]
        if state["taken"]:
            self._begin(state["taken"])


@dataclass
class Progress:
    """Where ``fit`` is.

    Attributes:
        epoch: that is in progress; within ``on_epoch_end`` the next one.
        feed: the batches.
        callbacks: that are told.
        step: steps of the epoch that are done.
    """

    epoch: int
    feed: Feed
    callbacks: CallbackList
    step: int = 0

    def state(self) -> dict[str, Any]:
        """What ``restore`` takes."""
        return {"epoch": self.epoch, "step": self.step, **self.feed.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from where another training was."""
        self.epoch, self.step = state["epoch"], state["step"]
        self.feed.restore(state)
