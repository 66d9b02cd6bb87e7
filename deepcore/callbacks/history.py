"""History: loss and metrics of every epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deepcore.callbacks.callback import Callback


class History(Callback):
    """What ``fit`` returns.

    Attributes:
        epoch: numbers of the finished epochs.
        history: for each name, such as ``loss`` and ``val_loss``, the values of the finished epochs.
    """

    def __init__(self) -> None:
        super().__init__()
        self.epoch: list[int] = []
        self.history: dict[str, list[float]] = {}

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self.epoch = []
        self.history = {}

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)

    def get_state(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "history": self.history}
