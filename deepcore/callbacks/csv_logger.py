"""CSVLogger: a line of a file for every epoch."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from typing import Any, TextIO

import numpy as np

from deepcore.callbacks.callback import Callback


class CSVLogger(Callback):
    """Writes the logs of each epoch to a file, which is whole after each line.

    Args:
        filename: of the file.
        separator: between the columns.
        append: whether to go on with a file that exists, rather than to write it anew.

    The columns are ``epoch`` and the names in the logs of the first epoch in alphabetical order, and where none is of
    a validation, the same again with ``val_``. What an epoch does not have is ``NA``.
    """

    def __init__(self, filename: Any, separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename, self.separator, self.append = os.fspath(filename), separator, append
        self._file: TextIO | None = None
        self._names: list[str] | None = None

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self._close()
        self._has_header = self.append and os.path.exists(self.filename) and os.path.getsize(self.filename) > 0
        self._file = open(self.filename, "a" if self.append else "w", newline="")  # noqa: SIM115
        self._names = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        assert self._file is not None
        logs = logs or {}
        writer = csv.writer(self._file, delimiter=self.separator)
        if self._names is None:
            self._names = sorted(logs)
            if not any(name.startswith("val_") for name in self._names):
                self._names += [f"val_{name}" for name in self._names]
            if not self._has_header:
                writer.writerow(["epoch", *self._names])
        writer.writerow([epoch, *(_cell(logs.get(name, "NA")) for name in self._names)])
        self._file.flush()

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        self.release()

    def release(self) -> None:
        self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _cell(value: Any) -> Any:
    """Several numbers in one cell.

    >>> _cell(np.array([1, 2])), _cell(0.5)
    ('"[1, 2]"', 0.5)
    """
    if isinstance(value, str) or np.ndim(value) == 0:
        return value
    return f'"[{", ".join(map(str, value))}]"'
