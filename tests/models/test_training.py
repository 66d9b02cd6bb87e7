"""fit, evaluate and predict: what they compute, what they return, what they refuse, and that they repeat."""

from __future__ import annotations

import signal
import warnings

import numpy as np
import pytest

from deepcore import config, losses, optimizers, random
from deepcore.autograd import primitive as primitive_module
from deepcore.callbacks import Callback
from deepcore.datasets import digits
from deepcore.layers import BatchNormalization, Conv2D, Dense, Dropout, Flatten, Input, MaxPooling2D, Reshape
from deepcore.models import Sequential
from deepcore.tensor import Tensor


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def linear(x, classes=3, loss="sparse_categorical_crossentropy", **compile):
    model = Sequential([Input(x.shape[1:]), Dense(classes, activation="softmax")])
    model.compile(optimizers.SGD(0.5), loss, **compile)
    return model


def by_hand(model, x, y, batch, weight=None, rate=0.5, epochs=1):
    """Weights, losses and accuracies of softmax regression in float64, in batches, in order."""
    w, b = (np.float64(a) for a in model.get_weights())
    hot = np.eye(w.shape[1])[y]
    weight = np.ones(len(x)) if weight is None else weight
    told = []
    for _ in range(epochs):
        total = hits = 0.0
        for start in range(0, len(x), batch):
            part = slice(start, start + batch)
            p = softmax(np.float64(x[part]) @ w + b)
            n = len(p)
            total += -(np.log(p) * hot[part] * weight[part, None]).sum()
            hits += (p.argmax(1) == y[part]).sum()
            dz = (p - hot[part]) * weight[part, None] / n
            w, b = w - rate * x[part].T.astype(np.float64) @ dz, b - rate * dz.sum(0)
        told.append((total / len(x), hits / len(x)))
    return (w, b), told


def test_an_epoch_is_what_it_is_by_hand(data):
    x, y = data
    model = linear(x, metrics=["accuracy"])
    (w, b), told = by_hand(model, x, y, batch=16, epochs=3)
    history = model.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0)
    np.testing.assert_allclose(history.history["loss"], [loss for loss, _ in told], rtol=1e-5)
    np.testing.assert_allclose(history.history["accuracy"], [hits for _, hits in told], rtol=1e-6)
    np.testing.assert_allclose(model.get_weights()[0], w, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.get_weights()[1], b, rtol=1e-4, atol=1e-5)
    assert history.epoch == [0, 1, 2]
    assert model.history is history


@pytest.mark.parametrize("kind", ["sample", "class"])
def test_weights_of_samples_and_classes(kind, data, rng):
    x, y = data
    weight = rng.uniform(0, 2, 50) if kind == "sample" else np.array([2.0, 0.5, 1.0])[y]
    model = linear(x)
    (w, _), told = by_hand(model, x, y, 16, weight)
    given = {"sample_weight": weight} if kind == "sample" else {"class_weight": {0: 2.0, 1: 0.5}}
    history = model.fit(x, y, batch_size=16, shuffle=False, verbose=0, **given)
    assert history.history["loss"] == pytest.approx([told[0][0]], rel=1e-5)
    np.testing.assert_allclose(model.get_weights()[0], w, rtol=1e-4, atol=1e-5)


def test_metrics_are_weighted_only_where_asked(data):
    x, y = data
    model = linear(x, metrics=["accuracy"], weighted_metrics=["sparse_categorical_accuracy"])
    hits = model.predict(x, verbose=0).argmax(1) == y
    weight = np.where(hits, 3.0, 1.0)
    _, plain, weighted = model.evaluate(x, y, sample_weight=weight, verbose=0)
    assert plain == pytest.approx(hits.mean())
    assert weighted == pytest.approx((hits * weight).sum() / weight.sum())


def test_validation_takes_the_last_examples_before_shuffling(data):
    x, y = data
    model, other = linear(x), linear(x)
    other.set_weights(model.get_weights())
    split = model.fit(x, y, validation_split=0.2, epochs=2, shuffle=False, verbose=0).history
    given = other.fit(x[:40], y[:40], validation_data=(x[40:], y[40:]), epochs=2, shuffle=False, verbose=0).history
    assert split == given
    assert list(split) == ["loss", "val_loss"]
    assert split["val_loss"][-1] == pytest.approx(model.evaluate(x[40:], y[40:], verbose=0))


def test_validation_may_be_rare(data):
    x, y = data
    history = linear(x).fit(x, y, validation_split=0.2, epochs=4, validation_freq=2, verbose=0).history
    assert (len(history["loss"]), len(history["val_loss"])) == (4, 2)


def test_the_same_seed_gives_the_same_losses(data):
    x, y = data

    def losses_of(seed):
        random.set_seed(seed)
        model = Sequential([Dense(8, activation="relu"), Dropout(0.3), Dense(3, activation="softmax")])
        model.compile("adam", "sparse_categorical_crossentropy")
        return model.fit(x, y, epochs=3, verbose=0).history["loss"]

    assert losses_of(3) == losses_of(3)
    assert losses_of(3) != losses_of(4)


def test_each_epoch_is_shuffled_anew_and_completely(data):
    seen = []

    class Spy(Sequential):
        def train_step(self, batch):
            seen.append(batch[1].numpy())
            return super().train_step(batch)

    x, _ = data
    model = Spy([Input((6,)), Dense(50, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(x, np.arange(50), epochs=2, verbose=0, batch_size=8)
    first, second = np.concatenate(seen[:7]), np.concatenate(seen[7:])
    assert sorted(first) == sorted(second) == list(range(50))
    assert (first != np.arange(50)).any()
    assert (first != second).any()
    assert [len(batch) for batch in seen[:7]] == [8] * 6 + [2]


def test_steps_per_epoch_goes_on_where_it_stopped(data):
    seen = []

    class Spy(Sequential):
        def train_step(self, batch):
            seen.append(batch[1].numpy()[0])
            return super().train_step(batch)

    x, _ = data
    model = Spy([Input((6,)), Dense(50, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.warns(UserWarning, match="ran out after 1 of steps_per_epoch=2"):
        model.fit(x, np.arange(50), batch_size=10, steps_per_epoch=2, epochs=4, shuffle=False, verbose=0)
    assert seen == [0, 10, 20, 30, 40, 0, 10], "the epoch that has no more data is short, and the next starts anew"


def test_initial_epoch_counts_epochs_already_done(data):
    x, y = data
    assert linear(x).fit(x, y, initial_epoch=3, epochs=5, verbose=0).epoch == [3, 4]


def test_evaluate_predict_and_single_batches_agree(data, model):
    x, y = data
    loss, accuracy = model.evaluate(x, y, batch_size=7, verbose=0)
    p = np.float64(model.predict(x, batch_size=9, verbose=0))
    assert loss == pytest.approx(-np.log(p[np.arange(50), y]).mean(), rel=1e-5)
    assert accuracy == pytest.approx((p.argmax(1) == y).mean())
    assert model.test_on_batch(x, y) == pytest.approx([loss, accuracy], rel=1e-5)
    assert model.evaluate(x, y, verbose=0, return_dict=True) == pytest.approx(
        {"loss": loss, "accuracy": accuracy}, rel=1e-5
    )
    np.testing.assert_allclose(model.predict_on_batch(x), p, rtol=1e-5)
    before = model.get_weights()
    assert model.train_on_batch(x, y) == pytest.approx([loss, accuracy], rel=1e-5)
    assert all((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))


def test_penalties_are_part_of_the_loss(data):
    x, y = data
    model = Sequential([Input((6,)), Dense(3, activation="softmax", kernel_regularizer="l2")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    plain = linear(x)
    plain.set_weights(model.get_weights())
    penalty = 0.01 * (np.float64(model.get_weights()[0]) ** 2).sum()
    assert model.evaluate(x, y, verbose=0) == pytest.approx(plain.evaluate(x, y, verbose=0) + penalty, rel=1e-5)


@pytest.mark.parametrize(
    ("outputs", "loss", "targets", "expected"),
    [
        (1, "binary_crossentropy", lambda y: y > 0, "BinaryAccuracy"),
        (3, "sparse_categorical_crossentropy", lambda y: y[:, None], "SparseCategoricalAccuracy"),
        (3, "categorical_crossentropy", lambda y: np.eye(3)[y], "CategoricalAccuracy"),
    ],
)
def test_accuracy_means_what_the_model_does(outputs, loss, targets, expected, data):
    x, y = data
    model = Sequential([Input((6,)), Dense(outputs, activation="sigmoid" if outputs == 1 else "softmax")])
    model.compile("sgd", loss, metrics=["accuracy"])
    model.fit(x, targets(y), verbose=0)
    assert [type(metric).__name__ for metric in model.metrics] == ["Mean", "CompileMetrics"]
    assert [type(metric).__name__ for metric in model.metrics[1].metrics] == [expected]
    assert model.metrics_names == ["loss", "compile_metrics"]
    assert list(model.history.history) == ["accuracy", "loss"]


def test_generators_of_batches(data):
    x, y = data
    model, other = linear(x), linear(x)
    other.set_weights(model.get_weights())
    batches = [(x[i : i + 16], y[i : i + 16]) for i in range(0, 50, 16)]
    expected = model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0).history["loss"]
    assert other.fit(Batches(batches), epochs=2, verbose=0).history["loss"] == pytest.approx(expected)
    assert other.evaluate(iter(batches), verbose=0) == pytest.approx(other.evaluate(x, y, verbose=0), rel=1e-6)

    def endless():
        while True:
            yield from batches

    assert len(other.fit(endless(), steps_per_epoch=3, epochs=2, verbose=0).epoch) == 2
    with pytest.warns(UserWarning, match="ran out after 4 of steps_per_epoch=6"):
        other.fit(iter(batches), steps_per_epoch=6, verbose=0, epochs=1)


class Batches:
    """An iterable that starts anew every time and has no length."""

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        return iter(self.batches)


# What training must never do


def test_no_float64_in_a_float32_fit(data, monkeypatch):
    """Every array that an operation is given, makes, or that a tensor wraps is looked at."""
    found = set()

    def note(where, *arrays):
        found.update((where, a.dtype.name) for a in arrays if hasattr(a, "dtype") and a.dtype.itemsize == 8)

    original_wrap, original_init = Tensor.wrap.__func__, Tensor.__init__
    original_call = primitive_module.Primitive.__call__

    def wrap(cls, array, *args, **kwargs):
        note("wrap", array)
        return original_wrap(cls, array, *args, **kwargs)

    def init(self, *args, **kwargs):
        original_init(self, *args, **kwargs)
        note("tensor", self.data)

    def call(self, *inputs, **attributes):
        result = original_call(self, *inputs, **attributes)
        note(self.name, *(t.data for t in inputs if t is not None), *(getattr(t, "data", None) for t in [result]))
        return result

    monkeypatch.setattr(Tensor, "wrap", classmethod(wrap))
    monkeypatch.setattr(Tensor, "__init__", init)
    monkeypatch.setattr(primitive_module.Primitive, "__call__", call)
    x, y = data
    for optimizer in ("sgd", "adam", "rmsprop", optimizers.SGD(momentum=0.9, clipnorm=1.0, weight_decay=0.1)):
        model = Sequential(
            [
                Input((6,)),
                Dense(8, activation="selu", kernel_regularizer="l1_l2"),
                Reshape((2, 4, 1)),
                Conv2D(3, 2, activation="relu"),
                BatchNormalization(),
                Dropout(0.2),
                MaxPooling2D((1, 2)),
                Flatten(),
                Dense(3, activation="softmax"),
            ]
        )
        model.compile(optimizer, losses.SparseCategoricalCrossentropy(), metrics=["accuracy"], weighted_metrics=["ce"])
        weight = np.linspace(0.5, 1.5, 50)
        model.fit(
            x.astype(np.float64), y.astype(np.int32), sample_weight=weight, epochs=2, validation_split=0.2, verbose=0
        )
        assert model.predict(x.astype(np.float64), verbose=0).dtype == np.float32
        assert {v.dtype.name for v in model.weights} == {"float32"}
    assert {kind for _, kind in found if kind == "float64"} == set(), found


def test_batch_logs_are_fetched_only_when_they_are_read(data, monkeypatch):
    x, y = data
    fetched = []
    original = Tensor.item
    monkeypatch.setattr(Tensor, "item", lambda self: fetched.append(1) or original(self))
    model = linear(x, metrics=["accuracy"])
    model.optimizer.learning_rate = 0.1
    model.fit(x, y, batch_size=1, epochs=1, verbose=0)
    host = 2 * 50  # the learning rate and the step, which are kept on the host
    assert len(fetched) <= host + 8


def test_the_loss_falls_and_digits_are_learned():
    (x, y), (x_test, y_test) = digits.load_data()
    random.set_seed(0)
    model = Sequential(
        [
            Input((8, 8)),
            Reshape((8, 8, 1)),
            Conv2D(16, 3, padding="same", activation="relu"),
            MaxPooling2D(),
            Flatten(),
            Dense(32, activation="relu"),
            Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizers.Adam(5e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x / 16, y, epochs=10, verbose=0).history
    assert all(after < before for before, after in zip(history["loss"][:4], history["loss"][1:5], strict=True))
    assert model.evaluate(x_test / 16, y_test, verbose=0)[1] >= 0.95


def test_images_of_bytes_and_labels_of_bytes_are_taken_as_they_are():
    (x, y), _ = digits.load_data()
    random.set_seed(0)
    model = Sequential([Flatten(), Dense(10, activation="softmax")])
    model.compile(optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    assert model.fit(x, y, epochs=3, verbose=0).history["accuracy"][-1] > 0.8


# Callbacks


def test_bytes_of_either_order_are_the_same_data(data):
    x, y = data
    losses_of = []
    for kind in ("<", ">"):
        random.set_seed(3)
        model = linear(x)
        losses_of.append(model.fit(x.astype(f"{kind}f4"), y.astype(f"{kind}i8"), verbose=0).history["loss"])
    assert losses_of[0] == losses_of[1]


def test_callbacks_are_told_everything_in_order(data, model):
    told = []

    class Teller(Callback):
        pass

    for hook in [name for name in dir(Callback) if "_batch_" in name or "epoch" in name]:
        if hook.startswith("on_"):
            setattr(Teller, hook, lambda self, *args, hook=hook, **kwargs: told.append(hook))
    for hook in ("on_train_begin", "on_train_end", "on_test_begin", "on_test_end"):
        setattr(Teller, hook, lambda self, *args, hook=hook, **kwargs: told.append(hook))
    x, y = data
    model.fit(x[:4], y[:4], batch_size=4, validation_data=(x[:4], y[:4]), verbose=0, callbacks=[Teller()])
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


def test_stop_training_ends_after_the_step(data, model):
    class Stop(Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                self.model.stop_training = True

    x, y = data
    assert model.fit(x, y, batch_size=10, epochs=5, verbose=0, callbacks=[Stop()]).epoch == [0]
    assert int(model.optimizer.iterations) == 2


@pytest.fixture
def listening():
    """Ctrl-C raises KeyboardInterrupt, as in a terminal: a shell's background jobs begin with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("listening")
@pytest.mark.parametrize("how", ["signal", "exception"])
def test_ctrl_c_finishes_the_step_and_keeps_the_history(how, data, model):
    ended = []

    class Interrupt(Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if how == "signal" and self.epoch == 1 and batch == 2:
                signal.raise_signal(signal.SIGINT)  # in the middle of a step, as far as fit can tell

        def on_train_batch_end(self, batch, logs=None):
            if how == "exception" and self.epoch == 1 and batch == 2:
                raise KeyboardInterrupt

        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

        def on_train_end(self, logs=None):
            ended.append(True)

    x, y = data
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, batch_size=10, epochs=5, verbose=0, callbacks=[Interrupt()])
    assert signal.getsignal(signal.SIGINT) is handler
    assert ended == [True]
    assert model.history.epoch == [0]
    assert len(model.history.history["loss"]) == 1
    assert int(model.optimizer.iterations) == 5 + 3, "the step in progress was finished"
    assert np.isfinite(model.evaluate(x, y, verbose=0)[0])
    assert len(model.fit(x, y, epochs=1, verbose=0).epoch) == 1


@pytest.mark.usefixtures("listening")
def test_a_second_ctrl_c_does_not_wait(data, model):
    class Insist(Callback):
        def on_train_batch_begin(self, batch, logs=None):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        model.fit(*data, verbose=0, callbacks=[Insist()])
    assert int(model.optimizer.iterations) == 0


def test_nan_is_warned_of_once_with_epoch_and_step(data):
    x, y = data
    x = x.copy()
    x[25] = np.nan
    model = linear(x)
    with pytest.warns(RuntimeWarning, match=r"The loss is nan in epoch 1, step 3,") as caught:
        model.fit(x, y, batch_size=10, epochs=3, shuffle=False, verbose=0)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        linear(x[:20]).fit(x[:20], y[:20], verbose=0)


def test_frozen_models_say_that_nothing_will_change(data, model):
    model.trainable = False
    before = model.get_weights()
    with pytest.warns(UserWarning, match="no trainable weights"):
        model.fit(*data, verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


# What is refused before any work


X, Y = np.ones((8, 6), np.float32), np.zeros(8, np.int64)


@pytest.mark.parametrize(
    ("x", "y", "arguments", "error", "message"),
    [
        (X, Y[:5], {}, ValueError, "x has 8, y has 5"),
        (X, Y, {"sample_weight": np.ones(3)}, ValueError, "sample_weight has 3"),
        (X[:0], Y[:0], {}, ValueError, r"x is empty: its shape is \(0, 6\)"),
        (None, None, {}, ValueError, "x is None"),
        (X, Y, {"batch_size": 0}, ValueError, "batch_size must be a positive integer; got 0"),
        (X, Y, {"batch_size": 2.5}, ValueError, "batch_size must be a positive integer; got 2.5"),
        (X, Y, {"epochs": -1}, ValueError, "epochs must be an integer that is not negative; got -1"),
        (X, Y, {"steps_per_epoch": -1}, ValueError, "steps_per_epoch must be a positive integer"),
        (X, Y, {"initial_epoch": -1}, ValueError, "initial_epoch"),
        (X, Y, {"verbose": 3}, ValueError, "verbose must be 0, 1, 2 or 'auto'"),
        (X, np.where(np.arange(8) == 3, np.nan, 0.0), {}, ValueError, "y holds NaN in 1 of 8.*first at index 3"),
        (X, Y, {"sample_weight": np.full(8, np.nan)}, ValueError, "sample_weight holds NaN"),
        (X, Y + 3, {}, ValueError, "Class numbers must be from 0 to 2.*got 3 to 3"),
        (X, Y - 1, {}, ValueError, "Class numbers must be from 0 to 2.*got -1 to -1"),
        (X, Y + 0.5, {}, ValueError, "class numbers; got fractions"),
        (X, np.zeros((8, 3)), {}, ValueError, "'categorical_crossentropy'"),
        (X.astype(object), Y, {}, TypeError, "x must be an array of numbers; got dtype object"),
        (X, np.array(["a"] * 8), {}, TypeError, "y must be an array of numbers; got dtype <U1, such as"),
        ([[1, 2], [3]], Y[:2], {}, ValueError, "rows of different lengths"),
        (3.0, Y, {}, ValueError, "must have a batch axis"),
        (np.ones((8, 5)), Y, {}, ValueError, r"Layer 'hidden' \(Dense\): expected size 6 on axis -1.*got 5"),
        (np.ones(8), Y, {}, ValueError, r"Layer 'hidden' \(Dense\): expected an input of rank 2"),
        (X, Y, {"validation_split": 1.0}, ValueError, "validation_split must lie between 0 and 1; got 1.0"),
        (X, Y, {"validation_split": -0.1}, ValueError, "validation_split must lie between 0 and 1"),
        (X[:1], Y[:1], {"validation_split": 0.5}, ValueError, "leaves one of the two parts empty"),
        (X, Y, {"validation_data": X}, ValueError, r"validation_data is \(x, y\)"),
        (X, Y, {"validation_data": (X, Y[:3])}, ValueError, "x has 8, y has 3"),
        (X, Y, {"validation_data": (X, Y + 9)}, ValueError, "Class numbers"),
        (X, Y, {"class_weight": {0: 1.0}, "sample_weight": np.ones(8)}, ValueError, "cannot be used together"),
        (X, Y, {"class_weight": {0: -1.0}}, ValueError, "class_weight must not be negative"),
        (iter([(X, Y)]), Y, {}, ValueError, "leave y out"),
        (iter([]), None, {}, ValueError, "has no batches"),
        (iter([(X, Y, Y, Y)]), None, {}, ValueError, "got 4 parts"),
        (X, Y, {"callbacks": [3]}, TypeError, "callbacks must be instances of Callback; got 3"),
    ],
)
def test_bad_data_is_refused_before_the_first_step(x, y, arguments, error, message, model):
    before = model.get_weights()
    with pytest.raises(error, match=message):
        model.fit(x, y, **{"verbose": 0, **arguments})
    assert int(model.optimizer.iterations) == 0
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_images_of_no_size_and_channels_that_misfit_are_refused():
    model = Sequential([Conv2D(2, 3, name="conv"), Flatten(), Dense(2)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"x is empty: its shape is \(4, 0, 8, 1\)"):
        model.fit(np.zeros((4, 0, 8, 1)), np.zeros((4, 2)), verbose=0)
    with pytest.raises(ValueError, match=r"Layer 'conv' \(Conv2D\): the window \(3, 3\) is larger"):
        model.fit(np.zeros((4, 2, 8, 1)), np.zeros((4, 2)), verbose=0)
    model.fit(np.zeros((4, 8, 8, 1)), np.zeros((4, 2)), verbose=0)
    with pytest.raises(ValueError, match=r"Layer 'conv' \(Conv2D\): expected size 1 on axis -1.*got 3"):
        model.predict(np.zeros((4, 8, 8, 3)), verbose=0)


@pytest.mark.parametrize(
    ("loss", "outputs", "y", "message"),
    [
        ("mse", 2, np.zeros((8, 3)), r"targets have shape \(8, 3\).*output has shape \(None, 2\)"),
        ("binary_crossentropy", 1, np.full(8, 2.0), "expects targets from 0 to 1; got 2.0 to 2.0"),
        ("categorical_crossentropy", 1, np.zeros((8, 1)), "needs an output for each class"),
        ("categorical_crossentropy", 3, np.zeros(8, int), "sparse_categorical_crossentropy"),
    ],
)
def test_targets_that_the_loss_cannot_take(loss, outputs, y, message):
    model = Sequential([Dense(outputs)])
    model.compile("sgd", loss)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y, verbose=0)
    assert int(model.optimizer.iterations) == 0


@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_before_compile(method):
    with pytest.raises(ValueError, match=rf"not compiled. Call compile\(.*before {method}\(\)"):
        getattr(Sequential([Dense(2)]), method)(X, Y)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"optimizer": "adma"}, ValueError, "Unknown optimizer 'adma'. Did you mean .*'adam'"),
        ({"loss": "mean_square_error"}, ValueError, "Unknown loss.*'mean_squared_error'"),
        ({"metrics": ["acuracy"]}, ValueError, "Unknown metric 'acuracy'. Did you mean 'accuracy'"),
        ({"metrics": "accuracy"}, ValueError, r"metrics is a list such as \['accuracy'\]"),
        ({"optimizer": 3}, ValueError, "known optimizer"),
        ({"loss": "mse", "loss_weights": 2}, ValueError, "loss_weights is a float .* got loss_weights=2"),
        ({"loss": ["mse", {"a": "mea"}]}, ValueError, "Unknown loss 'mea'"),
        ({"metrics": {"a": ["mae", "rsme"]}}, ValueError, "Unknown metric 'rsme'"),
        ({"steps_per_execution": 0}, ValueError, "steps_per_execution must be a positive integer; got 0"),
    ],
)
def test_unknown_names_are_refused_by_compile(arguments, error, message):
    with pytest.raises(error, match=message):
        Sequential([Dense(2)]).compile(**arguments)


def test_without_an_optimizer_a_model_can_only_be_evaluated(data):
    x, y = data
    model, other = linear(x), linear(x)
    other.set_weights(model.get_weights())
    other.compile(None, "sparse_categorical_crossentropy")
    assert other.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)
    with pytest.raises(ValueError, match="compiled with optimizer=None"):
        other.fit(x, y, verbose=0)


def test_no_epochs_are_no_training(data, model):
    before = model.get_weights()
    assert model.fit(*data, epochs=0, verbose=0).history == {}
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_validation_goes_on_with_a_generator_without_end(data, model):
    x, y = data

    def endless():
        while True:
            for i in range(0, 50, 10):
                yield x[i : i + 10], y[i : i + 10]

    told = model.fit(x, y, validation_data=endless(), validation_steps=5, epochs=2, verbose=0, shuffle=False).history
    assert told["val_loss"][1] == pytest.approx(model.evaluate(x, y, verbose=0)[0], rel=1e-5)
    with pytest.raises(ValueError, match="validation_freq is an integer or a list of epochs; got 'often'"):
        model.fit(x, y, validation_split=0.2, validation_freq="often", verbose=0)


def test_without_a_loss_there_is_nothing_to_train(data):
    model = Sequential([Dense(2)])
    model.compile("sgd")
    with pytest.raises(ValueError, match="no loss to compute"):
        model.fit(*data, verbose=0)


@pytest.fixture
def limits():
    """The setters of the limits of the program, which are taken away in the end."""
    yield config.set_max_epochs, config.set_max_steps_per_epoch
    config.set_max_epochs(None)
    config.set_max_steps_per_epoch(None)


class _Counts(Callback):
    def __init__(self):
        super().__init__()
        self.steps = {"train": 0, "test": 0, "predict": 0}

    def on_train_batch_end(self, batch, logs=None):
        self.steps["train"] += 1

    def on_test_batch_end(self, batch, logs=None):
        self.steps["test"] += 1

    def on_predict_batch_end(self, batch, logs=None):
        self.steps["predict"] += 1


def test_limits_of_the_program(limits):
    model = Sequential([Input((2,)), Dense(1)])
    model.compile("sgd", "mse")
    x, y, counts = np.ones((12, 2), np.float32), np.ones((12, 1), np.float32), _Counts()
    options = {"batch_size": 2, "callbacks": [counts], "verbose": 0}
    limits[0](2)
    limits[1](3)
    assert (config.max_epochs(), config.max_steps_per_epoch()) == (2, 3)
    with pytest.warns(UserWarning, match="Limiting (epochs to 2|steps_per_epoch to 3|validation_steps to 3)") as told:
        history = model.fit(x, y, epochs=5, validation_data=(x, y), **options)
    assert len(told) == 3
    assert history.epoch == [0, 1]
    assert counts.steps == {"train": 6, "test": 6, "predict": 0}
    with pytest.warns(UserWarning, match="Limiting steps to 3"):
        model.evaluate(x, y, **options)
    with pytest.warns(UserWarning, match="Limiting steps to 3"):
        assert model.predict(x, **options).shape == (6, 1)
    assert counts.steps == {"train": 6, "test": 9, "predict": 3}
    # What is less than the limits is left alone.
    model.fit(x, y, epochs=2, batch_size=6, verbose=0)
    for setter in limits:
        with pytest.raises(ValueError, match="positive integer, or None for no limit; got -1"):
            setter(-1)
