"""What crosses between host and device in training, prediction and single calls; on the emulator as on a GPU."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest
from emulated import needs_compiler

import deepcore
from deepcore import Tensor, layers, losses, ops, optimizers
from deepcore.backend.audit import TransferError
from deepcore.callbacks import loss_watch
from deepcore.device import use_device
from deepcore.models.data import Batch

pytestmark = needs_compiler


@pytest.fixture(autouse=True)
def _on_the_emulator():
    with use_device("emulator"):
        yield


def line():
    """The place of the caller, as the audit shows it."""
    frame = inspect.currentframe().f_back
    return f"{Path(frame.f_code.co_filename).relative_to(Path.cwd())}:{frame.f_lineno}"


def test_moves_and_looks_are_counted_with_their_line():
    host = Tensor(np.ones((3, 5), "float32"), device="cpu")
    with deepcore.audit() as log:
        x, moved = host.to("emulator"), line()
        values, read = x.numpy(), line()
    assert log.host_to_device == (1, 60)
    assert log.device_to_host == (1, 60)
    assert log.synchronisations == 1
    assert [event.place for event in log.events] == [moved, read, read]
    np.testing.assert_array_equal(values, host.numpy())


@pytest.mark.parametrize(
    "look",
    [float, int, bool, Tensor.item, Tensor.tolist, Tensor.numpy, np.asarray, repr],
    ids=lambda look: look.__name__,
)
def test_every_look_at_a_value_waits(look):
    x = Tensor(2.0)
    with deepcore.audit() as log:
        look(x)
    assert (log.device_to_host, log.synchronisations, log.host_to_device.number) == ((1, 4), 1, 0)
    assert {event.place.rpartition(":")[0] for event in log.events} == {"tests/test_audit.py"}


def test_what_stays_is_not_counted():
    x, y = Tensor([1.0, 2.0], requires_grad=True), Tensor([3.0, 4.0])
    with deepcore.audit() as log:
        z = ops.sum(ops.maximum(x * 2 + y / 3.5, 1.0) ** 2)
        z.backward()
        Tensor(1.5)
        ops.where(x > y, x, 0.0)
        ops.one_hot(ops.argmax(x, keepdims=True), 3)
        Tensor([1.0], device="cpu").numpy()
        deepcore.grad(lambda t: ops.sum(t * t))(y)
        deepcore.Variable("zeros", (), device="cpu").assign_add(1.0).numpy()
    log.assert_none()
    assert str(log) == "no transfers, no synchronisation"


def test_lists_arrays_and_indices_are_copied():
    with deepcore.audit() as log:
        x = Tensor([[1.0, 2.0], [3.0, 4.0]])
        x + np.ones(2, "float32")
        x[np.array([0, 1, 1])]
        x[[0]]
    assert (log.host_to_device.number, log.device_to_host.number, log.synchronisations) == (4, 0, 0)
    with deepcore.audit() as log:
        x[x > 2]
    assert (log.host_to_device.number, log.device_to_host.number, log.synchronisations) == (0, 0, 1)


def test_blocks_nest_and_a_promise_is_held():
    with deepcore.audit() as outer:
        Tensor([1.0])
        with deepcore.audit() as inner:
            ops.sum(Tensor(1.0)).item()
    assert (len(inner.events), len(outer.events)) == (2, 3)
    with pytest.raises(TransferError, match=r"(?s)there were\nwhat.*device to host +1 +4  tests/test_audit\.py:\d"):
        inner.assert_none()
    Tensor([1.0])
    assert len(outer.events) == 3, "a log ends with its block"


def test_a_table_has_a_row_for_each_place():
    x = Tensor([1.0, 2.0])
    with deepcore.audit() as log:
        for _ in range(3):
            x.numpy()
        x.tolist()
    rows = [row.split() for row in str(log).splitlines()]
    assert rows[0] == ["what", "count", "bytes", "where", "by"]
    assert [row[:5] for row in rows if row[0] == "device"] == [
        ["device", "to", "host", "3", "24"],
        ["device", "to", "host", "1", "8"],
    ]


# Training

OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.01, momentum=0.9, nesterov=True),
    "adam, decay": lambda: optimizers.Adam(weight_decay=1e-3),
    "rmsprop": lambda: optimizers.RMSprop(momentum=0.9, centered=True),
    "adagrad, clipped together": lambda: optimizers.Adagrad(global_clipnorm=1.0),
    "sgd, clipped each": lambda: optimizers.SGD(clipnorm=1.0),
}


def network(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=("accuracy",)):
    model = deepcore.Sequential(
        [
            layers.Conv2D(4, 3, activation="relu", kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(2),
            layers.Dropout(0.3),
            layers.Flatten(),
            layers.LayerNormalization(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer, loss, metrics=list(metrics))
    return model


@pytest.fixture
def data(rng):
    x = Tensor(rng.standard_normal((16, 6, 6, 1)).astype("float32"))
    return x, Tensor(rng.integers(0, 10, 16).astype("int32"))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_training_step_transfers_nothing_and_waits_for_nothing(optimizer, data):
    model = network(OPTIMIZERS[optimizer]())
    model.train_on_batch(*data)
    with deepcore.audit() as log:
        model.train_step(Batch(*data))
        model.test_step(Batch(*data))
        model.reset_metrics()
    log.assert_none()


@pytest.mark.parametrize(
    ("loss", "metrics"),
    [
        (lambda: losses.SparseCategoricalCrossentropy(from_logits=True), ["sparse_categorical_crossentropy"]),
        (lambda: losses.CategoricalCrossentropy(label_smoothing=0.1), ["accuracy", "categorical_crossentropy"]),
        (lambda: "binary_crossentropy", ["binary_accuracy", "mse"]),
        (lambda: "mse", ["mae", deepcore.metrics.RootMeanSquaredError]),
    ],
)
def test_losses_and_metrics_stay_on_the_device(loss, metrics, data):
    x, y = data
    loss = loss()
    target = y if isinstance(loss, losses.SparseCategoricalCrossentropy) else ops.one_hot(y, 10)
    weights = ops.cast(y, "float32") * 0.1
    model = network("sgd", loss, [metric() if isinstance(metric, type) else metric for metric in metrics])
    model.train_on_batch(x, target)
    with deepcore.audit() as log:
        model.train_step(Batch(x, target, weights))
    log.assert_none()


def test_a_step_with_many_outputs_stays_on_the_device(data):
    x, y = data
    inputs = layers.Input((6, 6, 1))
    flat = layers.Flatten()(inputs)
    heads = [layers.Dense(10, activation="softmax", name="digit")(flat), layers.Dense(1, name="size")(flat)]
    model = deepcore.Model(inputs, heads)
    model.compile("adam", ["sparse_categorical_crossentropy", "mse"], [1.0, 0.5], [["accuracy"], ["mae"]])
    targets = [y, ops.cast(y, "float32")]
    model.train_on_batch(x, targets)
    weights = [targets[1] * 0.1, targets[1] * 0.2]
    with deepcore.audit() as log:
        model.train_step((x, targets, weights))
        model.test_step((x, targets))
    log.assert_none()
    with deepcore.audit() as log:
        told = model.test_on_batch(x, targets, return_dict=True)
    assert len(told) == 5
    assert (log.host_to_device.number, log.device_to_host.number) == (0, 5), "each number once, when it is asked for"


def test_a_tape_stays_on_the_device(data):
    x, y = data
    model = network()
    model.train_on_batch(x, y)
    loss_of = losses.SparseCategoricalCrossentropy()
    with deepcore.audit() as log:
        with deepcore.GradientTape() as tape:
            loss = loss_of(y, model(x, training=True))
        model.optimizer.apply(tape.gradient(loss, model.trainable_weights), model.trainable_weights)
    log.assert_none()


@pytest.mark.parametrize("steps", [2, 8])
def test_an_epoch_reads_its_results_once_however_many_steps_it_has(steps, data, monkeypatch):
    monkeypatch.setattr(loss_watch, "INTERVAL", float("inf"))  # looks in between are of the clock
    model = network()
    model.train_on_batch(*data)
    with deepcore.audit() as log:
        model.fit(*data, batch_size=16 // steps, epochs=1, verbose=0)
    by = {}
    for event in log.events:
        by.setdefault(event.kind, []).append(event.inside.partition(":")[0])
    assert by["host to device"] == ["models/data.py"], "the order of the examples, for x and y together"
    # The loss and the accuracy, for the history; the losses of all steps, to warn of NaN.
    assert sorted(by["device to host"]) == ["callbacks/callback.py"] * 2 + ["callbacks/loss_watch.py"]
    assert log.synchronisations == 3


def test_batches_of_the_host_are_copied_once_each(data):
    x, y = (tensor.numpy() for tensor in data)
    model = network()
    model.train_on_batch(x, y)
    with deepcore.audit() as log:
        model.fit(x, y, batch_size=4, epochs=1, verbose=0)
    assert log.host_to_device == (8, x.nbytes + y.nbytes)
    with deepcore.audit() as log:
        model.predict(x, batch_size=4, verbose=0)
    assert log.host_to_device == (4, x.nbytes)
    assert log.device_to_host == (4, 16 * 10 * 4)


# Memory of the emulator


def test_memory_of_arrays_that_kernels_write_to():
    import gc

    gc.collect()
    deepcore.reset_peak_memory()
    before = deepcore.memory_stats()
    bits = deepcore.random.uniform((1000,))
    assert deepcore.memory_stats().in_use - before.in_use == 4000 + 256, "aligned as device memory is"
    assert deepcore.memory_stats().allocations == before.allocations + 1
    view = bits[10:]
    del bits
    assert deepcore.memory_stats().in_use - before.in_use == 4256, "a part keeps the whole"
    del view
    gc.collect()
    after = deepcore.memory_stats()
    assert (after.in_use, after.peak - before.in_use) == (before.in_use, 4256)
    assert after.total >= after.free > 0


def test_too_much_memory_says_what_was_asked():
    from deepcore.backend.cuda.array import empty
    from deepcore.errors import OutOfMemoryError

    with pytest.raises(OutOfMemoryError, match=r"emulator is out of memory: asked for an array of float32 and shape "):
        empty((1 << 40, 1 << 20), "float32")


def test_the_cpu_counts_nothing():
    with use_device("cpu"), pytest.raises(ValueError, match="device='cuda' or 'emulator'"):
        deepcore.memory_stats()
