"""Callback: what is told of the progress of fit, evaluate and predict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from deepcore.absent import Explaining


class Logs(dict[str, Any]):
    """Loss and metrics by name in alphabetical order, fetched from the device when they are first read.

    Values are numbers, tensors of one element, or functions that give one; dictionaries among them are spread out
    where their own name stands.
    What is no single number is kept as it is, on the host.

    >>> Logs({"loss": lambda: 0.5, "all": {"b": 1.0, "a": 2}})
    {'a': 2.0, 'b': 1.0, 'loss': 0.5}
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(_spread(values))
        self._pending = set(self.keys())

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        if name in self._pending:
            value = _number(value() if callable(value) else value)
            super().__setitem__(name, value)
            self._pending.discard(name)
        return value

    def __setitem__(self, name: str, value: Any) -> None:
        self._pending.discard(name)
        super().__setitem__(name, value)

    def __iter__(self) -> Iterator[str]:  # makes dict(logs) ask for each value, and not take them as they lie
        return super().__iter__()

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self else default  # noqa: SIM401

    def items(self) -> Any:
        return [(name, self[name]) for name in self]

    def values(self) -> Any:
        return [self[name] for name in self]

    def copy(self) -> dict[str, Any]:
        return dict(self.items())

    def pop(self, name: str, *default: Any) -> Any:
        value = self.get(name, *default)
        super().pop(name, *default)
        return value

    def __eq__(self, other: object) -> bool:
        return self.copy() == (other.copy() if isinstance(other, Logs) else other)

    __hash__ = None

    def __repr__(self) -> str:
        return repr(self.copy())


def _spread(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in sorted(values):
        # The values of other logs are taken as they lie, not fetched.
        value = dict.__getitem__(values, name) if isinstance(values, Logs) else values[name]
        if isinstance(value, Mapping):
            yield from _spread(value)
        else:
            yield name, value


def _number(value: Any) -> Any:
    if hasattr(value, "numpy") and getattr(value, "size", 1) != 1:
        return value.numpy()
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


class Callback(Explaining):
    """The base of all callbacks: implement what you want to be told of.

    ``logs`` holds loss and metrics by name, nothing at the beginning of anything. At the end of a batch it is fetched
    from the device only when it is read: a callback that does not look costs nothing.

    Attributes:
        model: the model; set before anything else happens.
        params: ``epochs`` and ``steps`` (None where unknown), and ``verbose``.
    """

    comes_last = False  # whether it is told after all callbacks that do not

    def __init__(self) -> None:
        self.model: Any = None
        self.params: dict[str, Any] = {}

    def get_state(self) -> dict[str, Any]:
        """What it remembers and a training that is taken up again needs: numbers, text, and lists of arrays, each
        under the name of an attribute."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Remembers what ``get_state`` gave."""
        for name, value in state.items():
            setattr(self, name, value)

    def set_model(self, model: Any) -> None:
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params

    def release(self) -> None:
        """Gives back files and terminals where an error ends training, of which ``on_train_end`` is not told."""

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """After the last epoch, also when Ctrl-C ended training, but not when an error did."""

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Before epoch ``epoch``, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """After epoch ``epoch``; ``logs`` is a dictionary, with ``val_`` names after validation."""

    def on_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Before a training batch; the older name of ``on_train_batch_begin``."""

    def on_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """After a training batch; the older name of ``on_train_batch_end``."""

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Before training batch ``batch`` of the epoch, counted from 0."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """After training batch ``batch`` of the epoch."""
        self.on_batch_end(batch, logs)

    def on_test_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Before evaluation or validation."""

    def on_test_end(self, logs: Mapping[str, float] | None = None) -> None:
        """After evaluation or validation."""

    def on_test_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Before a batch of evaluation or validation."""

    def on_test_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """After a batch of evaluation or validation."""

    def on_predict_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Before prediction."""

    def on_predict_end(self, logs: Mapping[str, float] | None = None) -> None:
        """After prediction."""

    def on_predict_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Before a batch of prediction."""

    def on_predict_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """After a batch of prediction."""


class CallbackList(Callback):
    """Passes everything on to several callbacks, in order.

    Args:
        callbacks: the callbacks, or one.
        add_history: append a ``History``, unless there is one; it is then the attribute ``history``.
        add_progbar: append a ``ProgbarLogger``, unless there is one.
        model: given to all.
        params: given to all, as keywords.

    Raises ``TypeError`` for what is no callback.
    """

    def __init__(
        self,
        callbacks: Callback | Sequence[Callback] | None = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ) -> None:
        from deepcore.callbacks.history import History
        from deepcore.callbacks.progress import ProgbarLogger

        super().__init__()
        given = [] if callbacks is None else [callbacks] if isinstance(callbacks, Callback) else list(callbacks)
        for callback in given:
            if not isinstance(callback, Callback):
                raise TypeError(
                    f"callbacks must be instances of Callback; got {callback!r} ({type(callback).__name__})."
                )
        if add_progbar and not any(isinstance(callback, ProgbarLogger) for callback in given):
            given.append(ProgbarLogger())
        history = next((callback for callback in given if isinstance(callback, History)), None)
        if add_history and history is None:
            history = History()
            given.append(history)
        self.callbacks = sorted(given, key=lambda callback: callback.comes_last)
        self.history = history
        if model is not None:
            self.set_model(model)
        self.set_params(params)

    def append(self, callback: Callback) -> None:
        """Adds a callback."""
        self.callbacks = sorted([*self.callbacks, callback], key=lambda callback: callback.comes_last)

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        if self.history is not None:
            model.history = self.history
        for callback in self.callbacks:
            callback.set_model(model)

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        for callback in self.callbacks:
            callback.set_params(params)

    def release(self) -> None:
        for callback in self.callbacks:
            callback.release()


def _pass_on(hook: str) -> Any:
    numbered = "batch" in hook or "epoch" in hook

    def method(self: CallbackList, *args: Any, logs: Mapping[str, Any] | None = None) -> None:
        *number, told = args if len(args) > numbered else (*args, logs)
        for callback in self.callbacks:
            getattr(callback, hook)(*number, {} if told is None else told)

    method.__name__ = method.__qualname__ = hook
    method.__doc__ = getattr(Callback, hook).__doc__
    return method


for _hook in [name for name in vars(Callback) if name.startswith("on_")]:
    setattr(CallbackList, _hook, _pass_on(_hook))
