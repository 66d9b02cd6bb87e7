"""ReduceLROnPlateau: smaller steps when a number no longer gets better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from deepcore.callbacks.monitor import MonitorCallback


class ReduceLROnPlateau(MonitorCallback):
    """Multiplies the learning rate by ``factor`` after ``patience`` epochs in which ``monitor`` did not get better.

    Args:
        monitor: a name in the logs.
        factor: below 1.
        patience: epochs that are waited for.
        verbose: 1 to print what is done.
        mode: ``"min"``, ``"max"`` or ``"auto"``.
        min_delta: the least change that counts as better.
        cooldown: epochs after a reduction in which none is counted.
        min_lr: the least learning rate.

    The learning rate of the epoch is added to its logs. Raises ``ValueError`` for a factor of 1 or more.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        if factor >= 1:
            raise ValueError(f"ReduceLROnPlateau: factor must be below 1; got factor={factor!r}.")
        self.factor, self.min_lr, self.patience = factor, min_lr, patience
        self.verbose, self.cooldown = verbose, cooldown
        self.cooldown_counter = self.wait = 0

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self.best = None
        self.cooldown_counter = self.wait = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.check_mode()
        logs = {} if logs is None else logs
        logs["learning_rate"] = rate = float(self.model.optimizer.learning_rate)
        value = self.value_of(logs)
        if value is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.is_better(value, self.best):
            self.best, self.wait = value, 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and rate > np.float32(self.min_lr):
                smaller = max(rate * self.factor, self.min_lr)
                self.model.optimizer.learning_rate = smaller
                if self.verbose:
                    print(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {smaller}.")
                self.cooldown_counter, self.wait = self.cooldown, 0

    def in_cooldown(self) -> bool:
        """Whether epochs are not counted now."""
        return self.cooldown_counter > 0

    def get_state(self) -> dict[str, Any]:
        return {"best": self.best, "wait": self.wait, "cooldown_counter": self.cooldown_counter}
