"""EarlyStopping: training ends when a number no longer gets better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deepcore.callbacks.monitor import MonitorCallback


class EarlyStopping(MonitorCallback):
    """Ends training after ``patience`` epochs in which ``monitor`` did not get better.

    Args:
        monitor: a name in the logs.
        min_delta: the least change that counts as better.
        patience: epochs without one that are waited for.
        verbose: 1 to print when training ends.
        mode: ``"min"``, ``"max"`` or ``"auto"``.
        baseline: a value that must be bettered for the waiting to begin anew.
        restore_best_weights: go back to the weights of the best epoch when training ends.
        start_from_epoch: epochs that are not looked at.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights, self.start_from_epoch = restore_best_weights, start_from_epoch
        self._forget()

    def _forget(self) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = None
        self.best_weights: list[Any] | None = None

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self._forget()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.check_mode()
        value = self.value_of(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        better = self.is_better(value, self.best)
        if self.restore_best_weights and (better or self.best_weights is None):
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if better:
            self.best, self.best_epoch = value, epoch
            if self.baseline is None or self.is_better(value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        if self.stopped_epoch and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose:
                print(f"Going back to the weights of the best epoch, {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)

    def get_state(self) -> dict[str, Any]:
        names = ("wait", "stopped_epoch", "best_epoch", "best", "best_weights")
        return {name: getattr(self, name) for name in names}
