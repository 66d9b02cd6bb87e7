"""Progbar, Config, and the names that utils shares with other modules."""

from __future__ import annotations

import json
import re
import sys

import pytest

import deepcore
from deepcore import config, layers, saving, utils
from deepcore.utils import Config, Progbar, get_source_inputs


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass only when told to."""
    clock = Clock()
    monkeypatch.setattr("deepcore.utils.progbar.time.time", clock)
    return clock


def in_terminal(monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)


def test_a_bar_outside_of_a_terminal_is_one_line(clock, capsys):
    bar = Progbar(4, width=4)
    for step in range(1, 5):
        clock.now += 2
        bar.update(step, [("loss", float(step))])
    # The last value is shown as it comes with the end.
    assert capsys.readouterr().out == "4/4 [====] - 8s - 2s/step - loss: 4.0000\n"


def test_values_are_averaged_over_the_steps(clock, capsys, monkeypatch):
    in_terminal(monkeypatch)
    bar = Progbar(10, width=10, interval=0, stateful_metrics=["rate"])
    bar.update(1, [("loss", 4.0), ("rate", 0.5)])
    capsys.readouterr()
    clock.now += 3
    bar.add(3, [("loss", 8.0), ("rate", 0.0001)])  # three steps of 8, one of 4: 7
    out = capsys.readouterr().out
    assert out == "\r4/10 [====......] - 6s - 1s/step - loss: 7.0000 - rate: 1.0000e-04"


def test_values_that_are_named_are_averaged_and_others_not(clock, capsys, monkeypatch):
    in_terminal(monkeypatch)
    bar = Progbar(None, interval=0, stateless_metrics=["loss"], unit_name="batch")
    bar.update(1, [("loss", 1.0), ("count", 1.0)])
    clock.now += 0.5
    bar.update(2, [("loss", 2.0), ("count", 2.0)])
    assert capsys.readouterr().out.endswith("2/Unknown - 0s - 500ms/batch - loss: 1.5000 - count: 2.0000")
    bar.update(2, finalize=True)
    assert capsys.readouterr().out.endswith("loss: 1.5000 - count: 2.0000\n")


def test_drawings_keep_an_interval(clock, capsys, monkeypatch):
    in_terminal(monkeypatch)
    bar = Progbar(100, interval=1)
    drawn = 0
    for step in range(1, 21):
        clock.now += 0.25
        bar.update(step)
        drawn += bool(capsys.readouterr().out)
    assert drawn == 5


def test_a_shorter_line_wipes_out_the_longer_one(clock, capsys, monkeypatch):
    in_terminal(monkeypatch)
    bar = Progbar(2, interval=0)
    bar.update(1, [("a", 1e-9)])
    first = capsys.readouterr().out
    bar.update(2, [("a", 1.0)])
    last = capsys.readouterr().out
    assert len(last.strip("\r\n")) >= len(first.strip("\r"))


@pytest.mark.parametrize(("verbose", "expected"), [(0, ""), (2, "2/2 - 0s - 0s/step\n")])
def test_quiet_bars(clock, capsys, verbose, expected):
    bar = Progbar(2, verbose=verbose)
    bar.update(1)
    bar.update(2)
    assert capsys.readouterr().out == expected


def test_both_kinds_of_values_cannot_be_named():
    with pytest.raises(ValueError, match="stateful_metrics or stateless_metrics, not both"):
        Progbar(1, stateful_metrics=["a"], stateless_metrics=["b"])


def test_a_config_is_a_dictionary_with_attributes():
    values = Config(rate=0.1)
    values.momentum = 0.9
    values["seed"] = 3
    values.update(steps=4)
    assert (values.rate, values["momentum"], values.get("seed"), values.get("none", 7)) == (0.1, 0.9, 3, 7)
    assert values.pop("steps") == 4
    assert values.as_dict() == dict(values.items()) == json.loads(values.to_json())
    assert list(values) == ["momentum", "rate", "seed"]
    assert (list(values.keys()), list(values.values()), len(values)) == (["rate", "momentum", "seed"], [0.1, 0.9, 3], 3)
    del values["seed"]
    assert "seed" not in values
    assert repr(values) == "<Config {'rate': 0.1, 'momentum': 0.9}>"
    with pytest.raises(AttributeError, match=r"no value 'momentu'\. Did you mean 'momentum'"):
        _ = values.momentu
    with pytest.raises(KeyError):
        _ = values["seed"]


def test_a_frozen_config_does_not_change():
    values = Config(rate=0.1)
    values.freeze()
    assert values.frozen

    def delete():
        del values["rate"]

    for change in (
        lambda: setattr(values, "rate", 1),
        lambda: values.__setitem__("rate", 1),
        lambda: values.update(rate=1),
        lambda: values.pop("rate"),
        delete,
    ):
        with pytest.raises(ValueError, match="is frozen"):
            change()
    assert values.rate == 0.1
    values.unfreeze()
    values.rate = 2
    assert values.rate == 2


def test_sources_of_a_symbolic_tensor():
    a, b, unused = (layers.Input((2,)) for _ in range(3))
    x = layers.Dense(2)(a)
    for _ in range(12):  # 2**12 paths lead back
        x = x + x
    y = layers.concatenate([b, x * 2, a])
    found = get_source_inputs(y)
    assert [source is each for source, each in zip(found, (b, a), strict=True)] == [True, True]
    assert get_source_inputs(unused)[0] is unused
    assert get_source_inputs(3) == 3


def test_names_that_other_modules_share():
    for name in saving.__all__:
        if name in utils.__all__:
            assert getattr(utils, name) is getattr(saving, name)
    assert {"CustomObjectScope", "register_keras_serializable", "serialize_keras_object"} <= set(utils.__all__)
    for name in ("enable_interactive_logging", "disable_interactive_logging", "is_interactive_logging_enabled"):
        assert getattr(utils, name) is getattr(config, name)
    assert deepcore.backend.clear_session is utils.clear_session


@pytest.mark.parametrize(
    ("given", "shape", "said"),
    [
        ({"ndim": 2}, (3, 4), None),
        ({"ndim": 2}, (3,), "expected an input of rank 2"),
        ({"min_ndim": 2, "max_ndim": 3}, (1,), "rank 2 or more"),
        ({"min_ndim": 2, "max_ndim": 3}, (1, 1, 1, 1), "rank 3 or less"),
        ({"axes": {-1: 5}}, (2, 5), None),
        ({"axes": {"1": 5}}, (2, 4), "expected size 5 on axis 1 of its input, got 4"),
        ({"shape": (None, 28, 28)}, (9, 28, 27), "expected size 28 on axis 2"),
        ({"shape": (None, 28, 28, 1)}, (9, 28, 28), "rank 4"),
        ({"shape": (None, 28, 28, 1), "allow_last_axis_squeeze": True}, (9, 28, 28), None),
        ({"shape": (None, 28, 28), "allow_last_axis_squeeze": True}, (9, 28, 28, 1), None),
        ({"shape": (None, 28, 28, 1), "allow_last_axis_squeeze": True}, (9, 28, 27), "expected size 28 on axis 2"),
    ],
)
def test_input_specs(given, shape, said):
    spec = layers.InputSpec(**given)
    again = layers.InputSpec.from_config(spec.get_config())
    assert vars(again) == {**vars(spec), "allow_last_axis_squeeze": False}
    if said is None:
        spec.check(shape)
    else:
        with pytest.raises(ValueError, match=re.escape(said)):
            spec.check(shape)


def test_input_specs_of_a_dtype():
    class Whole(layers.Layer):
        def __init__(self):
            super().__init__()
            self.input_spec = layers.InputSpec("int32")

        def call(self, x):
            return x

    assert Whole()(deepcore.ops.ones((2,), "int32")).tolist() == [1, 1]
    with pytest.raises(ValueError, match="expected an input of int32, got float32"):
        Whole()(deepcore.ops.ones((2,)))


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        ({"axes": {"last": 3}}, TypeError, "whole numbers and sizes"),
        ({"axes": [1, 2]}, TypeError, "whole numbers and sizes"),
        ({"ndim": 2, "axes": {2: 3}}, ValueError, "axis 2 of axes is none of an input of rank 2"),
        ({"dtype": "float31"}, ValueError, "Invalid dtype"),
    ],
)
def test_input_specs_that_make_no_sense(given, kind, said):
    with pytest.raises(kind, match=said):
        layers.InputSpec(**given)
