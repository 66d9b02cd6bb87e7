"""LearningRateScheduler, CSVLogger, TerminateOnNaN, LambdaCallback, and the logs that all are given."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from telling import tell

from deepcore import Tensor
from deepcore.callbacks import Callback, CSVLogger, LambdaCallback, LearningRateScheduler, TerminateOnNaN
from deepcore.callbacks.callback import Logs


def test_a_rate_for_every_epoch(problem, model, capsys):
    seen = []
    scheduler = LearningRateScheduler(lambda epoch, rate: seen.append((epoch, rate)) or rate / 2, verbose=1)
    told = model.fit(*problem, epochs=3, verbose=0, callbacks=[scheduler]).history
    assert told["learning_rate"] == pytest.approx([0.05, 0.025, 0.0125])
    assert [epoch for epoch, _ in seen] == [0, 1, 2]
    assert [rate for _, rate in seen] == pytest.approx([0.1, 0.05, 0.025])
    assert "Epoch 2: LearningRateScheduler setting learning rate to 0.025" in capsys.readouterr().out
    model.fit(*problem, epochs=1, verbose=0, callbacks=[LearningRateScheduler(lambda epoch: 0.75)])
    assert float(model.optimizer.learning_rate) == 0.75
    with pytest.raises(ValueError, match=r"must give a float; got '0.1' in epoch 0"):
        model.fit(*problem, verbose=0, callbacks=[LearningRateScheduler(lambda epoch, rate: "0.1")])


def read(path, separator=","):
    return list(csv.reader(path.read_text().splitlines(), delimiter=separator))


def test_a_line_for_every_epoch(tmp_path, problem, model):
    path = tmp_path / "log.csv"
    told = model.fit(*problem, epochs=2, verbose=0, validation_split=0.2, callbacks=[CSVLogger(path)]).history
    rows = read(path)
    assert rows[0] == ["epoch", "loss", "mae", "val_loss", "val_mae"]
    assert rows[1:] == [[str(i), *(str(told[name][i]) for name in rows[0][1:])] for i in range(2)]
    model.fit(*problem, epochs=1, verbose=0, callbacks=[CSVLogger(path, append=True)])
    assert [row[0] for row in read(path)] == ["epoch", "0", "1", "0"]
    assert read(path)[3][3:] == ["NA", "NA"]
    tell(CSVLogger(path, separator=";"), [np.array([1, 2])])
    assert read(path, ";") == [["epoch", "val_loss"], ["0", '"[1, 2]"']]


@pytest.mark.filterwarnings("ignore:The loss is:RuntimeWarning")
def test_training_ends_with_a_loss_that_is_no_number(problem, model, capsys):
    x, y = problem
    y = y.copy()
    x[7] = np.inf
    with np.errstate(all="ignore"):
        model.fit(x, y, batch_size=5, shuffle=False, epochs=3, verbose=0, callbacks=[TerminateOnNaN()])
        assert int(model.optimizer.iterations) == 2
        assert "Batch 1: invalid loss" in capsys.readouterr().out
        with pytest.raises(RuntimeError, match="The loss of batch 0 is nan"):
            model.fit(x, y, shuffle=False, verbose=0, callbacks=[TerminateOnNaN(raise_error=True)])


def test_a_callback_of_functions(problem, model):
    told = []
    functions = {
        name: lambda *args, name=name, **kwargs: told.append(name) for name in dir(Callback) if name[:3] == "on_"
    }
    model.fit(*problem, batch_size=20, verbose=0, validation_split=0.5, callbacks=[LambdaCallback(**functions)])
    assert told == [
        "on_train_begin",
        "on_epoch_begin",
        "on_train_batch_begin",
        "on_train_batch_end",
        "on_test_begin",
        "on_test_batch_begin",
        "on_test_batch_end",
        "on_test_end",
        "on_epoch_end",
        "on_train_end",
    ]
    told.clear()
    model.predict(problem[0], verbose=0, callbacks=[LambdaCallback(**functions)])
    assert told == ["on_predict_begin", "on_predict_batch_begin", "on_predict_batch_end", "on_predict_end"]
    with pytest.raises(ValueError, match="Unknown method of a callback 'on_epoch_start'"):
        LambdaCallback(on_epoch_start=print)


def test_outputs_of_a_batch_are_told_in_prediction(problem, model):
    outputs = []
    watch = LambdaCallback(on_predict_batch_end=lambda batch, logs: outputs.append(logs["outputs"]))
    whole = model.predict(problem[0], batch_size=8, verbose=0, callbacks=[watch])
    np.testing.assert_array_equal(np.concatenate(outputs), whole)


def test_callbacks_can_end_evaluation_and_prediction(problem, model):
    class Stop(Callback):
        def on_test_batch_end(self, batch, logs=None):
            self.model.stop_evaluating = True

        def on_predict_batch_end(self, batch, logs=None):
            self.model.stop_predicting = True

    x, y = problem
    first = model.evaluate(x[:5], y[:5], verbose=0)
    assert model.evaluate(x, y, batch_size=5, verbose=0, callbacks=[Stop()]) == first
    assert len(model.predict(x, batch_size=5, verbose=0, callbacks=[Stop()])) == 5


def test_logs_are_a_dictionary_whose_numbers_come_when_they_are_read():
    read = []

    def number(name, value):
        return lambda: read.append(name) or Tensor(value)

    logs = Logs({"loss": number("loss", 0.5), "b": {"d": 2, "c": number("c", 1.0)}})
    assert isinstance(logs, dict)
    assert list(logs) == ["c", "d", "loss"]
    assert read == []
    assert logs["loss"] == logs.get("loss") == 0.5
    assert read == ["loss"], "once"
    logs["lr"] = 0.1
    assert (logs.get("none"), logs.get("none", 3)) == (None, 3)
    assert dict(logs) == {**logs} == {"c": 1.0, "d": 2.0, "loss": 0.5, "lr": 0.1}
    assert read == ["loss", "c"]
    assert repr(logs) == "{'c': 1.0, 'd': 2.0, 'loss': 0.5, 'lr': 0.1}"
    again = Logs({"x": number("x", 1.0)})
    assert dict(Logs(again)) == {"x": 1.0}
    assert read[2:] == ["x"], "taking them over reads nothing"
    assert again.pop("x") == 1.0
    assert Logs({"matrix": Tensor([1.0, 2.0])})["matrix"].tolist() == [1, 2]


def test_logs_are_an_empty_dictionary_where_nothing_is_known_yet(problem, model):
    begun, ended = {}, {}

    class Keep(Callback):
        pass

    for hook in [name for name in dir(Callback) if name.startswith("on_") and not name.startswith("on_batch")]:

        def keep(self, *args, logs=None, hook=hook):
            (begun if hook.endswith("begin") else ended)[hook] = list(args[-1] if logs is None else logs)

        setattr(Keep, hook, keep)
    x, y = problem
    model.fit(x, y, verbose=0, validation_split=0.5, callbacks=[Keep()])
    model.predict(x, verbose=0, callbacks=[Keep()])
    assert len(begun) == 7
    assert all(names == [] for names in begun.values())
    names = sorted(model.evaluate(x, y, verbose=0, return_dict=True))
    assert ended["on_test_end"] == ended["on_train_batch_end"] == names
    assert ended["on_train_end"] == ended["on_epoch_end"] == [*names, *(f"val_{name}" for name in names)]
    assert (ended["on_predict_batch_end"], ended["on_predict_end"]) == (["outputs"], [])


def test_an_error_is_no_end_of_training_but_ctrl_c_is(problem, model, tmp_path):
    told = []

    def fail(error):
        def raise_it(batch, logs):
            raise error

        watch = LambdaCallback(on_train_end=lambda logs: told.append(error), on_train_batch_end=raise_it)
        with pytest.raises(type(error)):
            model.fit(*problem, verbose=0, callbacks=[watch, CSVLogger(tmp_path / "log.csv")])

    fail(RuntimeError("no"))
    assert told == []
    fail(KeyboardInterrupt())
    assert len(told) == 1
    assert np.isfinite(model.fit(*problem, verbose=0).history["loss"]).all()
