"""ModelCheckpoint: the model, or its weights, in a file every so often."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from deepcore.callbacks.monitor import MonitorCallback


class ModelCheckpoint(MonitorCallback):
    """Saves the model after every epoch, or after a number of batches.

    Args:
        filepath: of the file, in which ``{epoch}``, ``{batch}`` and names in the logs are filled in:
            ``"{epoch:02d}-{val_loss:.2f}.keras"``. It ends in ``.keras`` or ``.h5``, with ``save_weights_only`` in
            ``.weights.h5``.
        monitor: the number that says what is best.
        verbose: 1 to print what is done.
        save_best_only: save only when ``monitor`` got better than ever before.
        save_weights_only: call ``model.save_weights`` and not ``model.save``.
        mode: ``"min"``, ``"max"`` or ``"auto"``.
        save_freq: ``"epoch"``, or a number of batches.
        initial_value_threshold: what ``monitor`` must be better than to be saved at all.

    Raises ``ValueError`` for another ending or frequency.
    """

    def __init__(
        self,
        filepath: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: int | str = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode, initial_value_threshold)
        self.filepath = os.fspath(filepath)
        self.verbose, self.save_best_only, self.save_weights_only = verbose, save_best_only, save_weights_only
        self.save_freq = save_freq
        check_frequency(save_freq)
        endings = (".weights.h5",) if save_weights_only else (".keras", ".h5")
        if not self.filepath.endswith(endings):
            raise ValueError(
                f"ModelCheckpoint: with save_weights_only={save_weights_only} filepath ends in "
                f"{' or '.join(endings)}; got {self.filepath!r}."
            )
        self._epoch = self._batches = 0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._epoch, self._seen = epoch, -1

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        if self.save_freq != "epoch":
            self._batches += batch - self._seen
            self._seen = batch
            if self._batches >= int(self.save_freq):
                self._batches = 0
                self._save(self._epoch, batch, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch, None, logs)

    def _save(self, epoch: int, batch: int | None, logs: Mapping[str, float] | None) -> None:
        path = self._path(epoch, batch, dict(logs or {}))
        if not self._is_wanted(epoch, logs, path):
            return
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        if os.path.isdir(path):
            raise OSError(f"ModelCheckpoint: filepath is a directory: {path!r}. Give the path of a file.")
        save = self.model.save_weights if self.save_weights_only else self.model.save
        save(path, overwrite=True)

    def _is_wanted(self, epoch: int, logs: Mapping[str, float] | None, path: str) -> bool:
        told = f"Epoch {epoch + 1}: "
        if not self.save_best_only:
            self._tell(f"{told}saving model to {path}")
            return True
        value = self.value_of(logs)
        if value is None:
            return True
        before = "None" if self.best is None else f"{self.best:.5f}"
        if not self.is_better(value, self.best):
            self._tell(f"{told}{self.monitor} did not improve from {before}")
            return False
        self._tell(f"{told}{self.monitor} improved from {before} to {value:.5f}, saving model to {path}")
        self.best = value
        return True

    def _tell(self, text: str) -> None:
        if self.verbose:
            print("\n" + text)

    def _path(self, epoch: int, batch: int | None, logs: dict[str, Any]) -> str:
        if batch is not None:
            logs.setdefault("batch", batch + 1)
        try:
            return self.filepath.format(epoch=epoch + 1, **logs)
        except KeyError as error:
            raise KeyError(
                f"ModelCheckpoint: filepath {self.filepath!r} names {error}, which the logs do not have; they have "
                f"{', '.join(logs)}."
            ) from None

    def get_state(self) -> dict[str, Any]:
        return {"best": self.best, "_batches": self._batches}


def check_frequency(save_freq: Any) -> None:
    """Raises ``ValueError`` unless it is ``"epoch"`` or a number of batches."""
    if save_freq != "epoch" and (isinstance(save_freq, bool) or not isinstance(save_freq, int) or save_freq <= 0):
        raise ValueError(f"save_freq is 'epoch' or a number of batches; got {save_freq!r}.")
