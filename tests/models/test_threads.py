"""Two threads that train at the same time do not disturb each other."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import deepcore
from deepcore import layers, naming, optimizers
from deepcore.autograd import is_recording, no_grad


def _dense():
    return deepcore.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Flatten(),
            layers.Dense(300, activation="relu", kernel_initializer=deepcore.initializers.GlorotUniform(1)),
            layers.Dropout(0.3, seed=4),
            layers.BatchNormalization(),
            layers.Dense(3, kernel_initializer=deepcore.initializers.GlorotUniform(2)),
        ]
    ), optimizers.RMSprop(0.01, use_ema=True)


def _convolutional():
    return deepcore.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(6, 3, activation="relu", kernel_initializer=deepcore.initializers.GlorotUniform(3)),
            layers.MaxPooling2D(),
            layers.SpatialDropout2D(0.2, seed=9),
            layers.Flatten(),
            layers.Dense(3, kernel_initializer=deepcore.initializers.GlorotUniform(5)),
        ]
    ), optimizers.Adam(0.01, global_clipnorm=1.0)


def _train(make, failures=None):
    try:
        model, optimizer = make()
        loss = deepcore.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer, loss, metrics=["accuracy"])
        rng = np.random.default_rng(0)
        x, y = rng.standard_normal((96, 8, 8, 1)).astype(np.float32), rng.integers(0, 3, 96)
        history = model.fit(x, y, 16, epochs=4, shuffle=False, verbose=0).history
        state = [v.numpy() for v in model.optimizer.variables]
        return history, model.get_weights(), state, model.predict(x, verbose=0)
    except BaseException as error:
        if failures is None:
            raise
        failures.append(error)
        return None


@pytest.mark.parametrize("pair", [(_dense, _dense), (_dense, _convolutional), (_convolutional, _convolutional)])
def test_two_trainings_at_once_give_what_they_give_one_after_the_other(pair):
    alone = [_train(make) for make in pair]
    failures, together = [], [None, None]

    def run(i):
        together[i] = _train(pair[i], failures)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    for expected, found in zip(alone, together, strict=True):
        assert found[0] == expected[0]
        for before, after in zip(
            [*expected[1], *expected[2], expected[3]], [*found[1], *found[2], found[3]], strict=True
        ):
            np.testing.assert_array_equal(after, before)


def test_a_thread_records_whatever_another_does():
    seen = []
    with no_grad():
        thread = threading.Thread(target=lambda: seen.append(is_recording()))
        thread.start()
        thread.join()
        assert not is_recording()
    assert seen == [True]


def test_names_are_given_once_whatever_the_number_of_threads():
    names = []
    barrier = threading.Barrier(4)

    def draw():
        barrier.wait()
        names.extend([naming.unique_name("thread_test") for _ in range(500)])

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(names)) == 2000
