"""What is shown while a model trains."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from rich.console import Console

from deepcore.callbacks import CallbackList, History, ProgbarLogger, progress
from deepcore.callbacks.callback import Logs
from deepcore.layers import Dense
from deepcore.models import Sequential
from deepcore.tensor import Tensor

X, Y = np.linspace(-1, 1, 64, dtype=np.float32).reshape(32, 2), np.ones((32, 1), np.float32)


@pytest.fixture
def model():
    made = Sequential([Dense(1)])
    made.compile("sgd", "mse", metrics=["mae"])
    return made


@pytest.mark.parametrize("verbose", ["auto", 1, 2])
def test_a_line_an_epoch_where_output_is_no_terminal(verbose, model, capsys):
    model.fit(X, Y, epochs=2, batch_size=8, verbose=verbose, validation_split=0.25)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    number = r"\d\.\d{4}(e[-+]\d+)?"
    for i, line in enumerate(lines, 1):
        assert re.fullmatch(
            rf"Epoch {i}/2 - 3/3 steps - [\d,]+ samples/s - [\d.]+ s - loss: {number} - mae: {number} - "
            rf"val_loss: {number} - val_mae: {number}",
            line,
        )
    model.evaluate(X, Y, verbose=verbose)
    assert re.match(r"Evaluate - 1/1 steps - .* - loss: ", capsys.readouterr().out)
    model.predict(X, verbose=verbose)
    assert re.match(r"Predict - 1/1 steps - ", capsys.readouterr().out)


def test_nothing_at_verbose_0(model, capsys):
    model.fit(X, Y, verbose=0)
    model.evaluate(X, Y, verbose=0)
    model.predict(X, verbose=0)
    assert capsys.readouterr() == ("", "")


@pytest.fixture(autouse=True)
def terminal(monkeypatch):
    """One that can go back in a line, whatever the tests run in."""
    monkeypatch.setenv("TERM", "xterm-256color")


def drawn(model, width, **fit):
    """What remains on a terminal of that width."""
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=width, color_system=None, legacy_windows=False)
    model.fit(X, Y, batch_size=8, verbose=1, callbacks=[ProgbarLogger(console)], **fit)
    return stream.getvalue()


def test_the_bar_shows_steps_speed_time_and_values(model, monkeypatch):
    monkeypatch.setattr(progress, "INTERVAL", 0.0)
    shown = drawn(model, 140, epochs=2)
    assert "Epoch 1/2" in shown
    assert "Epoch 2/2" in shown
    assert "1/4" in shown
    assert "4/4" in shown
    assert "left" in shown
    assert re.search(r"[\d,]+ samples/s  \d\.\d s  loss \d\.\d{4}  mae \d\.\d{4}", shown)


@pytest.mark.parametrize("width", [60, 80, 140])
def test_no_line_is_longer_than_the_terminal(width, model, monkeypatch):
    monkeypatch.setattr(progress, "INTERVAL", 0.0)
    shown = drawn(model, width, epochs=1, validation_split=0.5)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert max(len(line) for line in re.split(r"[\r\n]", plain)) <= width
    assert "val_mae" in plain


def test_the_device_is_asked_only_when_the_bar_is_drawn(model):
    asked = []

    class Counted(Tensor):
        def item(self):
            asked.append(1)
            return super().item()

    bar = ProgbarLogger(Console(file=io.StringIO(), force_terminal=True, width=100))
    bar.set_params({"verbose": 1, "epochs": 1, "steps": 1000, "batch_size": 8, "samples": 8000})
    bar.on_train_begin()
    bar.on_epoch_begin(0)
    for step in range(1000):
        bar.on_train_batch_end(step, Logs({"loss": lambda: Counted(1.0)}))
    drawn_while_running = len(asked)
    bar.on_epoch_end(0, {"loss": 1.0})
    bar.on_train_end()
    assert drawn_while_running < 20


def test_logs_are_read_once_and_as_floats():
    calls = []
    logs = Logs({"loss": lambda: calls.append(1) or Tensor(2.0), "lr": 0.5})
    assert len(logs) == 2
    assert calls == []
    assert (logs["loss"], logs["loss"], dict(logs)) == (2.0, 2.0, {"loss": 2.0, "lr": 0.5})
    assert calls == [1]
    assert repr(logs) == "{'loss': 2.0, 'lr': 0.5}"


def test_a_list_adds_what_is_missing_only_once():
    history, bar = History(), ProgbarLogger()
    told = CallbackList([history, bar], add_history=True, add_progbar=True)
    assert told.callbacks == [history, bar]
    assert told.history is history
    assert [type(c) for c in CallbackList(None, add_history=True, add_progbar=True).callbacks] == [
        ProgbarLogger,
        History,
    ]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (9.96, "10.0 s"), (59.4, "59 s"), (61, "1:01"), (7325, "2:02:05")]
)
def test_durations(seconds, text):
    assert progress._duration(seconds) == text
