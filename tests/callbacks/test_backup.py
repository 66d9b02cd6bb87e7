"""BackupAndRestore: a program that is killed again and again ends with the weights of one that never was."""

from __future__ import annotations

import os
import random as python_random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import deepcore
from deepcore import layers
from deepcore.callbacks import BackupAndRestore, Callback, LearningRateScheduler, ReduceLROnPlateau

X = np.random.default_rng(0).standard_normal((60, 5)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 3, 60)


class Jitter(Callback):
    """Draws from the streams of Python and NumPy, as augmentation would, and counts what it saw."""

    def on_train_batch_begin(self, batch, logs=None):
        change = python_random.random() * np.random.random()  # noqa: NPY002
        self.model.weights[1].assign_add(np.full(8, 1e-3 * change, np.float32))


def network():
    model = deepcore.Sequential(
        [
            layers.Input((5,)),
            layers.Dense(8, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.4),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def callbacks(*more):
    return [
        ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=0.05),
        LearningRateScheduler(lambda epoch, rate: rate * 0.9),
        Jitter(),
        *more,
    ]


def train(*more, seed=0, data=None, **arguments):
    """A model, and its history, after training with these callbacks."""
    deepcore.utils.set_random_seed(seed)
    model = network()
    data = (X, Y) if data is None else (data(),)
    arguments = {"epochs": 4, "batch_size": None if len(data) == 1 else 10, "verbose": 0, **arguments}
    told = model.fit(*data, validation_data=(X[:20], Y[:20]), callbacks=callbacks(*more), **arguments)
    return model, told


class KilledError(Exception):
    pass


class Kill(Callback):
    def __init__(self, epoch, batch=None):
        super().__init__()
        self.at = epoch, batch

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            raise KilledError

    def on_epoch_end(self, epoch, logs=None):
        if (epoch, None) == self.at:
            raise KilledError


class Rows:
    """Batches that start anew with each epoch."""

    def __iter__(self):
        return ((X[i : i + 10], Y[i : i + 10]) for i in range(0, 60, 10))


class Shuffled(deepcore.utils.PyDataset):
    def __len__(self):
        return 6

    def __getitem__(self, index):
        return X[10 * index : 10 * index + 10], Y[10 * index : 10 * index + 10]


@pytest.mark.parametrize(
    ("at", "options"),
    [
        ((0, 3), {}),
        ((2, 0), {}),
        ((2, 5), {}),
        ((1, None), {}),
        ((1, 2), {"data": Rows}),
        ((2, 1), {"data": lambda: Shuffled(workers=2)}),
        ((2, 3), {"data": lambda: iter([(X[:10], Y[:10]), (X[10:], Y[10:])] * 20), "steps_per_epoch": 4}),
        ((2, 1), {"steps_per_epoch": 4, "epochs": 3}),
    ],
)
@pytest.mark.parametrize("save_freq", ["epoch", 1, 4])
@pytest.mark.filterwarnings("ignore:The data ran out:UserWarning")
def test_the_same_to_the_bit(at, options, save_freq, tmp_path):
    expected, whole = train(**options)
    backup = {"backup_dir": tmp_path / "backup", "save_freq": save_freq}
    with pytest.raises(KilledError):
        train(Kill(*at), BackupAndRestore(**backup), **options)
    seed = 5 if (tmp_path / "backup").exists() else 0  # nothing is saved yet: it begins anew
    resumed, told = train(Kill(99), BackupAndRestore(**backup), seed=seed, **options)
    for a, b in zip(expected.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert told.history == whole.history
    assert told.epoch == whole.epoch
    assert not (tmp_path / "backup").exists(), "training is done"


PROGRAM = """
import sys, time
sys.path.insert(0, {tests!r})
import numpy as np
from test_backup import BackupAndRestore, Callback, train

class Slow(Callback):
    def on_train_batch_end(self, batch, logs=None):
        time.sleep(0.01)

model, told = train(Slow(), BackupAndRestore({backup!r}, save_freq=1), seed=int(sys.argv[1]))
np.savez({result!r}, *model.get_weights(), loss=told.history["loss"])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="NOT TESTED: there is no SIGKILL")
def test_killed_at_random_moments(tmp_path):
    expected, whole = train(Kill(99))
    result, backup = tmp_path / "result.npz", tmp_path / "backup"
    saved = backup / "training.npz"
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(tests=os.path.dirname(__file__), backup=str(backup), result=str(result)))
    moments = np.random.default_rng()
    kills = 0
    for attempt in range(40):
        process = subprocess.Popen(
            [sys.executable, str(program), str(attempt)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        if kills < 4:
            end = time.monotonic() + 60
            before = saved.stat().st_mtime_ns if saved.exists() else None
            while process.poll() is None and time.monotonic() < end:  # until it has saved something
                if saved.exists() and saved.stat().st_mtime_ns != before:
                    break
                time.sleep(0.002)
            time.sleep(moments.uniform(0, 0.05))
            process.send_signal(signal.SIGKILL)
        output, _ = process.communicate(timeout=120)
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, output.decode()
        kills += 1
    assert kills, "it was never killed"
    with np.load(result) as file:
        found = [file[f"arr_{i}"] for i in range(len(file.files) - 1)]
        np.testing.assert_array_equal(file["loss"], whole.history["loss"])
    for a, b in zip(expected.get_weights(), found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_file_of_another_model(tmp_path):
    with pytest.raises(KilledError):
        train(Kill(1, 0), BackupAndRestore(tmp_path))
    other = deepcore.Sequential([layers.Input((5,)), layers.Dense(3, activation="softmax")])
    other.compile("adam", "sparse_categorical_crossentropy")
    before = other.get_weights()
    with pytest.raises(ValueError, match="belongs to another model"):
        other.fit(X, Y, verbose=0, callbacks=[BackupAndRestore(tmp_path)])
    for a, b in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_when_the_directory_stays(tmp_path):
    train(BackupAndRestore(tmp_path / "kept", delete_checkpoint=False))
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["training.npz"]
    assert train(BackupAndRestore(tmp_path / "kept"), epochs=4)[1].epoch == [0, 1, 2, 3], "nothing is left to do"


def test_what_is_refused():
    with pytest.raises(ValueError, match="needs a directory; got backup_dir=''"):
        BackupAndRestore("")
    with pytest.raises(ValueError, match="save_freq is 'epoch' or a number of batches; got 'step'"):
        BackupAndRestore("backup", save_freq="step")
