"""Steps that repeat the calls of an earlier step give what steps give that call the layers: to the bit."""

from __future__ import annotations

import contextlib
import copy

import numpy as np
import pytest

import deepcore
from deepcore import layers, losses, optimizers, regularizers
from deepcore.autograd.trace import Program
from deepcore.callbacks import Callback, LambdaCallback
from deepcore.layers import Dense, Dropout, Input
from deepcore.models import Model, Sequential

BATCH = 16


@pytest.fixture
def repeated(monkeypatch):
    """A list that grows with each step that repeats an earlier one."""
    found = []
    run = Program.run
    monkeypatch.setattr(Program, "run", lambda self, *args: (found.append(self), run(self, *args))[1])
    return found


@pytest.fixture
def images(rng):
    """40 images, so that the third batch is a short one, and their classes."""
    return rng.standard_normal((40, 8, 8, 1)).astype(np.float32), rng.integers(0, 3, 40)


def convolutional():
    x = Input((8, 8, 1))
    y = layers.Conv2D(4, 3, use_bias=False, padding="same")(x)
    y = layers.BatchNormalization()(y)
    y = layers.ReLU()(y)
    y = layers.Add()([y, layers.Conv2D(4, 1)(x)])
    y = layers.MaxPooling2D()(y)
    y = Dropout(0.3)(y)
    y = layers.Concatenate()([layers.Flatten()(y), layers.GlobalAveragePooling2D()(y)])
    return Model(x, Dense(3, activation="softmax", name="last")(y)), "sparse_categorical_crossentropy"


def fused():
    stack = [
        Input((8, 8, 1)),
        layers.Conv2D(4, 3, activation="relu"),
        layers.MaxPooling2D(),
        Dropout(0.2, name="thin"),
        layers.Flatten(),
        Dense(9, activation="relu", name="hidden"),
        Dropout(0.5),
        Dense(3, name="last"),
    ]
    return Sequential(stack), losses.SparseCategoricalCrossentropy(from_logits=True)


def nested():
    inner = Sequential([Input((64,)), Dense(5, activation="tanh"), layers.LayerNormalization()])
    stack = [Input((8, 8, 1)), layers.Flatten(), inner, Dense(3, name="last")]
    return Sequential(stack), losses.SparseCategoricalCrossentropy(from_logits=True)


def state(model):
    """All that training changes."""
    streams = [layer.seed_generator for layer in model._family().layers if hasattr(layer, "seed_generator")]
    return [
        *model.get_weights(),
        *(variable.numpy() for variable in model.optimizer.variables),
        *(np.array([stream.seed, stream.offset], np.uint64) for stream in streams),
        np.array([deepcore.random.default_generator().offset]),
    ]


def trained(make, data, eagerly, callbacks=lambda: None, optimizer=lambda: "adam", **fit):
    """A model, and what it has logged."""
    deepcore.random.set_seed(11)
    model, loss = make()
    model.compile(optimizer(), loss, metrics=["accuracy"], run_eagerly=eagerly)
    history = model.fit(*data, batch_size=BATCH, epochs=5, verbose=0, callbacks=callbacks(), **fit)
    return model, history.history


def assert_same(make, data, repeated, **options):
    """Training gives the same in both ways, and the second one does repeat steps."""
    (one, logs), before = trained(make, data, True, **options), len(repeated)
    assert not repeated
    other, other_logs = trained(make, data, False, **options)
    assert len(repeated) > before
    assert logs == other_logs
    for a, b in zip(state(one), state(other), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("make", [convolutional, fused, nested])
def test_training_is_the_same_to_the_bit(make, images, repeated):
    assert_same(make, images, repeated)
    # Of five epochs of two full batches and a short one, the first two steps of each kind are ordinary ones.
    assert len(repeated) == 10 - 2 + 5 - 2


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: optimizers.SGD(optimizers.schedules.ExponentialDecay(0.1, 3, 0.5), momentum=0.9, nesterov=True),
        lambda: optimizers.RMSprop(global_clipnorm=0.5, weight_decay=0.01),
        lambda: optimizers.Adam(use_ema=True, ema_overwrite_frequency=4, gradient_accumulation_steps=2),
    ],
)
def test_optimizers_do_what_they_do(optimizer, images, repeated):
    assert_same(fused, images, repeated, optimizer=optimizer)


def test_weights_of_samples_and_validation(images, rng, repeated):
    given = {"sample_weight": rng.uniform(0, 2, 40).astype(np.float32)}
    assert_same(convolutional, images, repeated, **given, validation_data=images)
    repeated.clear()
    assert_same(fused, images, repeated, class_weight={0: 2.0}, shuffle=False)


def _freeze(model):
    model.get_layer("last").trainable = False


def _freeze_a_weight(model):
    model.get_layer("last").bias.trainable = False


def _thicken(model):
    model.get_layer("thin").rate = 0.7


def _no_dropout(model):
    model.get_layer("thin").rate = 0.0


def _bend(model):
    model.get_layer("hidden").activation = deepcore.activations.tanh


def _assign(model):
    model.get_layer("hidden").kernel.assign(np.ones((36, 9), np.float32))


def _slow(model):
    model.optimizer.learning_rate = 1e-4


def _other_optimizer(model):
    model.optimizer = optimizers.SGD(0.1)


def _sum(model):
    model._compile_loss.terms[0].loss.reduction = "sum"


def _ignore(model):
    model._compile_loss.terms[0].loss.kwargs["ignore_class"] = 1


def _weigh(model):
    (term,) = model._compile_loss.terms
    model._compile_loss.terms[0] = term._replace(weight=0.1)


def _penalise(model):
    model.get_layer("hidden").kernel.regularizer = regularizers.L2(0.1)


def _penalise_the_output(model):
    model.activity_regularizer = regularizers.L2(0.1)


def _own_call(model):
    call = model.call
    model.call = lambda *args, **options: call(*args, **options) * 0.5


def _own_loss(model):
    model.compute_loss = _squares


def _rewind(model):
    model.get_layer("thin").seed_generator.offset = 0


def _deepen(model):
    model.add(Dense(3, kernel_initializer="ones"))
    model.optimizer = optimizers.SGD(0.1)


@pytest.mark.parametrize(
    "change",
    [
        _freeze,
        _freeze_a_weight,
        _thicken,
        _no_dropout,
        _bend,
        _assign,
        _slow,
        _other_optimizer,
        _sum,
        _ignore,
        _weigh,
        _penalise,
        _penalise_the_output,
        _own_call,
        _own_loss,
        _rewind,
        _deepen,
    ],
)
def test_what_a_callback_changes_counts_from_the_next_step_on(change, images, repeated):
    class Change(Callback):
        steps = 0

        def on_train_batch_end(self, batch, logs=None):
            self.steps += 1
            if self.steps == 8:
                change(self.model)

    assert_same(fused, images, repeated, callbacks=lambda: [Change()])


def test_a_weight_that_is_no_longer_recorded_is_refused_as_ever(images, repeated):
    model, _ = trained(fused, images, False)
    assert repeated
    model.get_layer("hidden").kernel.requires_grad = False
    with pytest.raises(RuntimeError, match="does not require a gradient"):
        model.train_on_batch(images[0][:BATCH], images[1][:BATCH])


def test_other_ways_of_products_count_from_the_next_step_on(images, repeated):
    def stack():
        return Sequential(
            [Input((8, 8, 1)), layers.Conv2D(8, 3), layers.Flatten(), Dense(3)]
        ), losses.MeanSquaredError()

    x, y = images
    data = np.repeat(x, 4, 0), np.eye(3, dtype=np.float32)[np.repeat(y, 4)]

    def callbacks():
        def switch(epoch, logs):
            deepcore.set_winograd(0 if epoch >= 2 else 4)

        return [LambdaCallback(on_epoch_begin=switch)]

    try:
        assert_same(stack, data, repeated, callbacks=callbacks)
    finally:
        deepcore.set_winograd(4)


def test_an_error_leaves_what_an_ordinary_step_leaves(images, repeated):
    x, y = images
    wrong = y.copy()
    wrong[20] = 7
    models = []
    for eagerly in (True, False):
        deepcore.random.set_seed(5)
        model, loss = fused()
        model.compile("adam", loss, run_eagerly=eagerly)
        told = []
        for _ in range(4):
            model.train_on_batch(x, y)
        for _ in range(2):
            data = deepcore.Tensor(x), deepcore.Tensor(wrong)
            with pytest.raises(ValueError, match=r"Class numbers must be from 0 to 2.*got 0 to 7") as error:
                model.train_step(data)
            told.append(str(error.value))
            model.train_on_batch(x, y)
        models.append((told, state(model)))
    assert len(repeated) == 2 + 2 + 2
    (told, one), (other_told, other) = models
    assert told == other_told
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_training_goes_on_after_an_interruption(error, images, repeated):
    class Stop(Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1 and self.model.optimizer.iterations == 8:
                raise error

    models = []
    for eagerly in (True, False):
        deepcore.random.set_seed(5)
        model, loss = convolutional()
        model.compile("adam", loss, run_eagerly=eagerly)
        for callbacks in ([Stop()], None):
            with contextlib.suppress(error):
                model.fit(*images, batch_size=BATCH, epochs=4, verbose=0, callbacks=callbacks)
        models.append(state(model))
    assert repeated
    for a, b in zip(*models, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_copy_trains_by_itself(images, repeated):
    model, _ = trained(fused, images, False)
    other = copy.deepcopy(model)
    weights = model.get_weights()
    other.fit(*images, batch_size=BATCH, epochs=3, verbose=0)
    for a, b in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(weights, other.get_weights(), strict=True))


def assert_same_steps(make, batches, repeated):
    """Steps on ``batches``, pairs of tensors, give the same in both ways; returns how many were repeated."""
    models = []
    for eagerly in (True, False):
        deepcore.random.set_seed(5)
        model, loss = make()
        model.compile("adam", loss, run_eagerly=eagerly)
        for batch in batches:
            model.train_step(batch)
        models.append(state(model))
    for a, b in zip(*models, strict=True):
        np.testing.assert_array_equal(a, b)
    return len(repeated)


def test_batches_of_other_sizes_and_dtypes_are_of_another_kind(rng, repeated):
    def sized():
        stack = [Input((None, None, 1)), layers.Conv2D(4, 3), layers.GlobalAveragePooling2D(), Dense(3)]
        return Sequential(stack), losses.MeanSquaredError()

    batches = []
    for side, dtype in ((8, "float32"), (6, "float32"), (8, "int32")):
        x = rng.standard_normal((4, side, side, 1)).astype(np.float32)
        batches.append((deepcore.Tensor(x), deepcore.Tensor(rng.integers(0, 9, (4, 3)), dtype=dtype)))
    assert assert_same_steps(sized, batches * 4, repeated) == 3 * 2


@pytest.mark.parametrize("setting", ["mask", "requires_grad"])
def test_batches_that_say_more_than_their_numbers_are_not_repeated(setting, images, repeated):
    def make():
        return Sequential([Input((64,)), Dense(3)]), losses.SparseCategoricalCrossentropy(from_logits=True)

    x, y = images[0][:4].reshape(4, 64), deepcore.Tensor(images[1][:4])
    plain, telling = deepcore.Tensor(x), deepcore.Tensor(x)
    setattr(telling, setting, deepcore.Tensor([True, False, True, True]) if setting == "mask" else True)
    assert assert_same_steps(make, [(plain, y)] * 3 + [(telling, y)] * 2, repeated) == 1


class _Scale(layers.Layer):
    """A layer whose calls are others each time."""

    calls = 0

    def call(self, x):
        type(self).calls += 1
        return x * float(self.calls)


class _Wide(Dense):
    pass


class _Trained(Sequential):
    pass


def _hinge(y_true, y_pred):
    return deepcore.ops.mean(deepcore.ops.square(y_pred), -1)


class _Hinge(losses.Loss):
    def call(self, y_true, y_pred):
        return _hinge(y_true, y_pred)


def _last(**options):
    return [Input((8, 8, 1)), layers.Flatten(), Dense(3, **options)]


def _multiplied():
    x = Input((8, 8, 1))
    return Model(x, Dense(3)(layers.Flatten()(x)) * 2.0)


def _with(thing, name, value):
    setattr(thing, name, value)
    return thing


def _squares(x, y, y_pred, sample_weight, training):
    return deepcore.ops.mean(deepcore.ops.square(y_pred))


@pytest.mark.parametrize(
    "make",
    [
        lambda: (Sequential([*_last(), _Scale()]), losses.SparseCategoricalCrossentropy(from_logits=True)),
        lambda: (Sequential([*_last(), _Wide(3)]), losses.SparseCategoricalCrossentropy(from_logits=True)),
        lambda: (_Trained(_last()), losses.SparseCategoricalCrossentropy(from_logits=True)),
        lambda: (_multiplied(), losses.SparseCategoricalCrossentropy(from_logits=True)),
        lambda: (
            _with(Sequential(_last()), "compute_loss", _squares),
            losses.SparseCategoricalCrossentropy(from_logits=True),
        ),
        lambda: (
            Sequential([*_last(), _with(layers.ReLU(), "call", lambda x: deepcore.ops.relu(x))]),
            losses.SparseCategoricalCrossentropy(from_logits=True),
        ),
        lambda: (Sequential(_last()), _hinge),
        lambda: (Sequential(_last()), _Hinge()),
        lambda: (
            Sequential(_last()),
            _with(losses.SparseCategoricalCrossentropy(from_logits=True), "call", _hinge),
        ),
        lambda: (Sequential(_last(activation=lambda x: x * 2.0)), "sparse_categorical_crossentropy"),
        lambda: (Sequential(_last(kernel_regularizer="l2")), losses.SparseCategoricalCrossentropy(from_logits=True)),
        lambda: (Sequential(_last(activity_regularizer="l2")), losses.SparseCategoricalCrossentropy(from_logits=True)),
        lambda: (
            Sequential([Input((8, 8, 1)), layers.GaussianNoise(0.1), *_last()[1:]]),
            losses.SparseCategoricalCrossentropy(from_logits=True),
        ),
    ],
)
def test_nothing_is_repeated_where_calls_may_be_others(make, images, repeated):
    trained(make, images, False)
    assert not repeated


def test_losses_whose_settings_can_change_in_place_are_not_repeated(images, repeated):
    x, y = images
    data = x, np.eye(3, dtype=np.float32)[y]
    trained(lambda: (Sequential(_last(activation="softmax")), losses.CategoricalCrossentropy()), data, False)
    assert repeated
    repeated.clear()
    weighted = losses.CategoricalFocalCrossentropy(alpha=[0.2, 0.3, 0.5])
    trained(lambda: (Sequential(_last(activation="softmax")), weighted), data, False)
    assert not repeated


def test_scaled_losses_are_not_repeated(images, repeated):
    trained(fused, images, False, optimizer=lambda: optimizers.LossScaleOptimizer(optimizers.Adam()))
    trained(fused, images, False, optimizer=lambda: optimizers.SGD(0.1, loss_scale_factor=8.0))
    assert not repeated


def test_only_so_many_kinds_of_batches_are_kept(images, repeated):
    x, y = images
    model, loss = fused()
    model.compile("adam", loss)
    for _ in range(3):
        for size in range(1, 21):
            model.train_on_batch(x[:size], y[:size])
    assert not repeated
