"""EarlyStopping, ReduceLROnPlateau and ModelCheckpoint: which epochs they act on, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from telling import Told, tell

from deepcore import metrics
from deepcore.callbacks import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from deepcore.layers import Dense, Input
from deepcore.models import Model


@pytest.mark.parametrize(
    ("arguments", "values", "epochs"),
    [
        ({}, [3, 2, 2, 1], 3),
        ({"patience": 2}, [3, 2, 2.5, 1.9, 2, 2, 1], 6),
        ({"patience": 1, "min_delta": 0.5}, [3, 2.4, 2, 1.8], 3),
        ({"mode": "max"}, [1, 2, 3, 2.9, 4], 4),
        ({"patience": 2, "baseline": 1.0}, [3, 2, 2.5, 1], 3),
        ({"start_from_epoch": 3}, [1, 2, 3, 4, 5], 5),
        ({}, [1, 2], 2),
    ],
)
def test_when_training_stops(arguments, values, epochs):
    _, logs = tell(EarlyStopping(**arguments), values)
    assert len(logs) == epochs


def test_the_best_weights_are_restored(capsys):
    stopping = EarlyStopping(patience=2, restore_best_weights=True, verbose=1)
    model, logs = tell(stopping, [3, 1, 2, 2, 0])
    assert (len(logs), model.weights_now, stopping.stopped_epoch, stopping.best) == (4, 1, 3, 1)
    assert capsys.readouterr().out.splitlines() == [
        "Epoch 4: early stopping",
        "Going back to the weights of the best epoch, 2.",
    ]
    model, _ = tell(EarlyStopping(patience=9, restore_best_weights=True), [3, 1, 2])
    assert model.weights_now == 1, "also when all epochs were trained"


def test_it_stops_a_fit(problem, model):
    model.optimizer.learning_rate = 0.0
    told = model.fit(*problem, epochs=9, verbose=0, callbacks=[EarlyStopping("loss", patience=2)])
    assert told.epoch == [0, 1, 2]


def test_which_way_is_better():
    x = Input((3,))
    model = Model(x, [Dense(1, name="a")(x), Dense(2, activation="softmax", name="b")(x)])
    model.compile("sgd", ["mse", "sparse_categorical_crossentropy"], metrics=["mae", "accuracy"])
    model.train_on_batch(np.ones((2, 3)), [np.ones((2, 1)), np.ones(2, int)])
    for name, mode in (("val_loss", "min"), ("a_loss", "min"), ("val_a_mae", "min"), ("b_accuracy", "max")):
        callback = EarlyStopping(name)
        callback.set_model(model)
        callback.check_mode()
        assert callback.mode == mode, name


def test_a_number_of_nobody_knows_which_way():
    class Own(metrics.Mean):
        pass

    own = Told(metrics=[Own(name="own")])
    with pytest.raises(ValueError, match=r"cannot tell whether 'val_own' .* pass mode='max'"):
        tell(EarlyStopping("val_own"), [1.0], own, "val_own")
    tell(EarlyStopping("val_own", mode="max"), [1.0], own, "val_own")
    with pytest.warns(UserWarning, match="mode is 'auto', 'min' or 'max'; 'minimum' is taken as 'auto'"):
        EarlyStopping(mode="minimum")
    with pytest.warns(UserWarning, match="watches 'val_loss', which the logs do not have; they have loss"):
        tell(EarlyStopping(), [1.0], name="loss")


@pytest.mark.parametrize(
    ("arguments", "values", "rates"),
    [
        ({"patience": 1}, [1, 1, 1, 0.5], [1, 1, 0.1, 0.01]),
        ({"patience": 2, "factor": 0.5}, [1, 1, 1, 1, 1], [1, 1, 1, 0.5, 0.5]),
        ({"patience": 1, "cooldown": 2, "factor": 0.5}, [1, 1, 1, 1, 1], [1, 1, 0.5, 0.5, 0.25]),
        ({"patience": 1, "min_lr": 0.05}, [1] * 5, [1, 1, 0.1, 0.05, 0.05]),
        ({"patience": 1, "min_delta": 0.5}, [2, 1.7, 1.4], [1, 1, 0.1]),
        ({"patience": 1, "mode": "max"}, [1, 2, 2, 3], [1, 1, 1, 0.1]),
    ],
)
def test_rates_on_a_plateau(arguments, values, rates):
    _, logs = tell(ReduceLROnPlateau(**arguments), values)
    assert [log["learning_rate"] for log in logs] == pytest.approx(rates, rel=1e-6)


def test_a_factor_must_be_below_one():
    with pytest.raises(ValueError, match=r"factor must be below 1; got factor=1.0"):
        ReduceLROnPlateau(factor=1.0)


# Checkpoints


def test_files_of_each_epoch(tmp_path, capsys):
    path = str(tmp_path / "runs" / "{epoch:02d}-{val_loss:.2f}.keras")
    model, _ = tell(ModelCheckpoint(path, verbose=1), [0.5, 0.25])
    assert model.saved == [(str(tmp_path / "runs" / name), True) for name in ("01-0.50.keras", "02-0.25.keras")]
    assert (tmp_path / "runs").is_dir()
    assert "Epoch 2: saving model to" in capsys.readouterr().out


def test_files_of_the_best_epochs(tmp_path, capsys):
    path = str(tmp_path / "{epoch}.weights.h5")
    model, _ = tell(ModelCheckpoint(path, save_best_only=True, save_weights_only=True, verbose=1), [3, 2, 2.5, 1])
    assert model.saved == [(str(tmp_path / f"{epoch}.weights.h5"), True, "weights") for epoch in (1, 2, 4)]
    out = capsys.readouterr().out
    assert "Epoch 3: val_loss did not improve from 2.00000" in out
    assert "Epoch 4: val_loss improved from 2.00000 to 1.00000, saving model to" in out
    threshold = ModelCheckpoint(path, save_best_only=True, save_weights_only=True, initial_value_threshold=1.5)
    assert len(tell(threshold, [3, 2, 1])[0].saved) == 1


def test_files_every_few_batches(tmp_path, problem, model):
    saved = []
    type(model).save = lambda self, path, overwrite: saved.append(path.removeprefix(str(tmp_path)))
    try:
        checkpoint = ModelCheckpoint(str(tmp_path / "{epoch}-{batch}.h5"), save_freq=3)
        model.fit(*problem, batch_size=5, epochs=2, verbose=0, callbacks=[checkpoint])
    finally:
        del type(model).save
    assert saved == ["/1-3.h5", "/2-2.h5"]


def test_checkpoints_that_are_refused(tmp_path):
    for name, arguments in (("a.h5", {"save_weights_only": True}), ("a.weights.txt", {}), ("a", {})):
        with pytest.raises(ValueError, match=f"filepath ends in .*; got '{name}'"):
            ModelCheckpoint(name, **arguments)
    with pytest.raises(ValueError, match="save_freq is 'epoch' or a number of batches; got 'batch'"):
        ModelCheckpoint("a.keras", save_freq="batch")
    with pytest.raises(KeyError, match="names 'accuracy', which the logs do not have; they have val_loss"):
        tell(ModelCheckpoint(str(tmp_path / "{accuracy}.keras")), [1.0])
    (tmp_path / "there.keras").mkdir()
    with pytest.raises(OSError, match="is a directory"):
        tell(ModelCheckpoint(tmp_path / "there.keras"), [1.0])
