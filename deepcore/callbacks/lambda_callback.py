"""LambdaCallback: a callback of functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deepcore.callbacks.callback import Callback
from deepcore.errors import unknown_name


class LambdaCallback(Callback):
    """Calls the functions given: ``LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))``.

    Args:
        on_epoch_begin, on_epoch_end: f(epoch, logs).
        on_train_begin, on_train_end: f(logs).
        on_train_batch_begin, on_train_batch_end: f(batch, logs).
        **others: functions for the other methods of ``Callback`` that begin with ``on_``.

    Raises ``ValueError`` for a name that no callback has.
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **others: Any,
    ) -> None:
        super().__init__()
        known = [name for name in dir(Callback) if name.startswith("on_")]
        given = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **others,
        }
        for name, function in given.items():
            if name.startswith("on_") and name not in known:
                raise unknown_name("method of a callback", name, known)
            if function is not None:
                setattr(self, name, function)
