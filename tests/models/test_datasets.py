"""Where batches come from: PyDataset with threads and processes, loaders and tensors of other libraries, tables."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pytest

import deepcore as keras
from deepcore.callbacks import Callback
from deepcore.layers import Dense, Input
from deepcore.models.dataset import ahead

X = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)
Y = np.random.default_rng(1).standard_normal((20, 1)).astype(np.float32)


class Rows(keras.utils.PyDataset):
    """Batches of four rows; slow ones first, so that workers finish in another order than they began."""

    def __init__(self, slow=False, broken=None, weight=False, **kwargs):
        super().__init__(**kwargs)
        self.slow, self.broken, self.weight = slow, broken, weight
        self.seen = []

    def __len__(self):
        return 5

    def __getitem__(self, index):
        if index == self.broken:
            raise OSError(f"file {index} is gone")
        if self.slow:
            time.sleep(0.02 * (5 - index))
        part = slice(4 * index, 4 * index + 4)
        return (X[part], Y[part], np.ones(4)) if self.weight else (X[part], Y[part])

    def on_epoch_begin(self):
        self.seen.append("begin")

    def on_epoch_end(self):
        self.seen.append("end")


class Recorder(keras.Model):
    """Notes the first target of every batch."""

    def train_step(self, data):
        self.noted.append(float(data[1][0, 0]))
        return super().train_step(data)


def network():
    x = Input((3,))
    model = Recorder(x, Dense(1, kernel_initializer="ones")(x))
    model.noted = []
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


FIRST = [float(y) for y in Y[::4, 0]]


@pytest.mark.parametrize("options", [{}, {"workers": 3}, {"workers": 2, "use_multiprocessing": True}])
def test_batches_come_in_order_whoever_makes_them(options):
    arrays, dataset = network(), network()
    told = arrays.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0).history
    rows = Rows(slow=True, max_queue_size=3, **options)
    assert dataset.fit(rows, epochs=2, shuffle=False, verbose=0).history == told
    assert dataset.noted == FIRST * 2
    assert rows.seen == ["begin", "end"] * 2
    assert dataset.evaluate(Rows(**options), verbose=0) == pytest.approx(arrays.evaluate(X, Y, verbose=0), rel=1e-6)
    np.testing.assert_allclose(dataset.predict(Rows(**options), verbose=0), arrays.predict(X, verbose=0), rtol=1e-6)


def test_the_order_of_batches_is_shuffled_and_each_comes_once():
    model = network()
    keras.utils.set_random_seed(1)
    model.fit(Rows(workers=2), epochs=3, verbose=0)
    epochs = [model.noted[i : i + 5] for i in (0, 5, 10)]
    assert all(sorted(epoch) == sorted(FIRST) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


@pytest.mark.parametrize("options", [{}, {"workers": 3}, {"workers": 2, "use_multiprocessing": True}])
def test_an_error_of_a_worker_arrives_with_its_batch(options):
    model = network()
    with pytest.raises(OSError, match="file 3 is gone"):
        model.fit(Rows(broken=3, **options), shuffle=False, verbose=0)
    assert model.noted == FIRST[:3]
    assert len(model.fit(X, Y, verbose=0).epoch) == 1


def threads():
    return [t for t in threading.enumerate() if t.name.startswith("batches-")]


def no_threads_within(seconds):
    end = time.monotonic() + seconds
    while threads() and time.monotonic() < end:
        time.sleep(0.01)
    return not threads()


def test_threads_end_with_the_data_and_with_an_error():
    network().fit(Rows(workers=3), verbose=0)
    assert no_threads_within(5)

    class Stop(Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyError("stop")

    with pytest.raises(KeyError):
        network().fit(Rows(workers=3), verbose=0, callbacks=[Stop()])
    assert no_threads_within(5)


def test_ctrl_c_does_not_wait_for_a_batch_that_never_comes():
    class Stuck(Rows):
        def __getitem__(self, index):
            if index == 2:
                threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
                released.wait(60)
            return super().__getitem__(index)

    released = threading.Event()
    model = network()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    began = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            model.fit(Stuck(workers=2), shuffle=False, verbose=0)
        assert time.monotonic() - began < 30, "the batch would have taken a minute"
    finally:
        signal.signal(signal.SIGINT, before)
        released.set()
    assert model.noted == FIRST[:2]
    assert no_threads_within(5)


def test_no_more_is_made_ahead_than_was_asked_for():
    made = []
    numbers = ahead(lambda i: made.append(i) or i, range(100), workers=2, max_queue_size=4)
    assert next(numbers) == 0
    time.sleep(0.1)
    assert len(made) <= 4
    assert list(numbers) == list(range(1, 100))


def test_a_dataset_without_end_needs_steps():
    class Endless(Rows):
        num_batches = None

        def __getitem__(self, index):
            return super().__getitem__(index % 5)

    model = network()
    model.fit(Endless(workers=2), steps_per_epoch=3, epochs=2, shuffle=False, verbose=0)
    assert model.noted == [*FIRST, FIRST[0]]
    assert no_threads_within(5)


def test_super_init_that_was_forgotten():
    class Forgetful(Rows):
        def __init__(self):
            self.slow, self.broken, self.weight, self.seen = False, None, False, []

    with pytest.warns(UserWarning, match=r"Forgetful.__init__ should call super\(\).__init__"):
        network().fit(Forgetful(), verbose=0)


def test_weights_of_classes_for_batches():
    class Classes(Rows):
        def __getitem__(self, index):
            x, y = super().__getitem__(index)[:2]
            return (x, y > 0, np.ones(4)) if self.weight else (x, y > 0)

    arrays, dataset = network(), network()
    told = arrays.fit(X, Y > 0, batch_size=4, shuffle=False, class_weight={1: 3.0}, verbose=0).history["loss"]
    assert dataset.fit(Classes(), shuffle=False, class_weight={1: 3.0}, verbose=0).history["loss"] == told
    with pytest.raises(ValueError, match="cannot be used together"):
        dataset.fit(Classes(weight=True), class_weight={1: 3.0}, verbose=0)
    with pytest.raises(ValueError, match="does not go with a generator"):
        dataset.fit(((X, Y) for _ in range(2)), class_weight={1: 3.0}, verbose=0)


class ForeignTensor:
    """What PyTorch's tensors have."""

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, "foreign"

    def detach(self):
        return self

    cpu = detach

    def numpy(self):
        return self.array

    def __getitem__(self, index):
        raise AssertionError("a foreign tensor is converted whole")


class Loader:
    """What PyTorch's DataLoader and TensorFlow's Dataset have: a length, and lists of tensors."""

    def __len__(self):
        return 5

    def __iter__(self):
        for i in range(0, 20, 4):
            yield [ForeignTensor(X[i : i + 4]), ForeignTensor(Y[i : i + 4])]


def test_loaders_and_tensors_of_other_libraries():
    arrays, loaded, whole = network(), network(), network()
    told = arrays.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0).history
    assert loaded.fit(Loader(), epochs=2, verbose=0, validation_data=Loader()).history["loss"] == told["loss"]
    given = ForeignTensor(X), ForeignTensor(Y)
    assert whole.fit(*given, batch_size=4, epochs=2, shuffle=False, verbose=0).history == told


class Table:
    """What a pandas table has; a column of one, with ``ndim`` 1, is a Series."""

    def __init__(self, array):
        self.array, self.shape, self.ndim = array, array.shape, array.ndim

    def to_numpy(self):
        return self.array

    def __getitem__(self, column):
        raise KeyError(column)


def test_tables():
    arrays, table = network(), network()
    told = arrays.fit(X, Y, batch_size=4, shuffle=False, verbose=0).history
    assert table.fit(Table(X), Table(Y[:, 0]), batch_size=4, shuffle=False, verbose=0).history == told


def test_an_iterator_that_has_ended_ends_training():
    model = network()
    with pytest.warns(UserWarning, match="has no more batches, which ends training"):
        told = model.fit(iter([(X, Y)] * 3), epochs=4, verbose=0)
    assert told.epoch == [0]
    assert len(told.history["loss"]) == 1


def test_dictionaries_of_inputs_and_targets_in_batches():
    a, b = Input((3,), name="a"), Input((3,), name="b")
    model = keras.Model({"a": a, "b": b}, {"sum": Dense(1)(a + b)})
    model.compile("sgd", "mse")
    whole = {"a": X, "b": 2 * X}, {"sum": Y}
    batches = [({k: v[i : i + 5] for k, v in whole[0].items()}, {"sum": Y[i : i + 5]}) for i in range(0, 20, 5)]
    assert model.evaluate(batches_of_list(batches), verbose=0) == pytest.approx(
        model.evaluate(*whole, verbose=0), rel=1e-6
    )


def batches_of_list(batches):
    yield from batches


@pytest.mark.parametrize(
    ("packed", "parts"), [(("x",), ("x", None, None)), (["x", "y"], ("x", "y", None)), ("xyz", ("xyz", None, None))]
)
def test_unpacking(packed, parts):
    assert keras.utils.unpack_x_y_sample_weight(packed) == parts


def test_packing():
    pack = keras.utils.pack_x_y_sample_weight
    assert (pack("x"), pack(("a", "b")), pack("x", "y"), pack("x", "y", "w")) == (
        "x",
        (("a", "b"),),
        ("x", "y"),
        ("x", "y", "w"),
    )
    with pytest.raises(ValueError, match="got 4 parts"):
        keras.utils.unpack_x_y_sample_weight((1, 2, 3, 4))
