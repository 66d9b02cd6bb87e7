"""Steps that a script writes itself, in the shapes that scripts for Keras have."""

from __future__ import annotations

import numpy as np
import pytest

import deepcore as keras
from deepcore import layers, ops
from deepcore.layers import Dense, Input


def regression(kind=keras.Model):
    x = Input((6,))
    return kind(x, Dense(1, name="out")(x))


@pytest.fixture
def problem(data):
    x, y = data
    return x, np.float32(y)[:, None]


class ByTape(keras.Model):
    def train_step(self, data):
        x, y = data
        with keras.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(y=y, y_pred=y_pred)
        variables = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
            else:
                metric.update_state(y, y_pred)
        return {metric.name: metric.result() for metric in self.metrics}


class ByBackward(keras.Model):
    def train_step(self, data):
        x, y = data
        self.zero_grad()
        y_pred = self(x, training=True)
        loss = self.compute_loss(y=y, y_pred=y_pred)
        loss.backward()
        weights = list(self.trainable_weights)
        gradients = [v.value.grad for v in weights]
        with keras.no_grad():
            self.optimizer.apply(gradients, weights)
        for metric in self.metrics:
            metric.update_state(loss) if metric.name == "loss" else metric.update_state(y, y_pred)
        return {metric.name: metric.result() for metric in self.metrics}


@pytest.mark.parametrize("kind", [ByTape, ByBackward])
def test_a_step_by_hand_is_the_built_in_one(kind, problem):
    plain, own = regression(), regression(kind)
    own.set_weights(plain.get_weights())
    for model in (plain, own):
        model.compile(keras.optimizers.SGD(0.05), "mse", metrics=["mae"])
    told = [m.fit(*problem, batch_size=10, epochs=3, shuffle=False, verbose=0).history for m in (plain, own)]
    assert list(told[1]) == list(told[0]) == ["loss", "mae"]
    for name in ("loss", "mae"):
        assert told[1][name] == pytest.approx(told[0][name], rel=1e-5)
    for a, b in zip(plain.get_weights(), own.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_weights_of_examples_arrive_as_the_third_part(problem):
    seen = []

    class Own(keras.Model):
        def train_step(self, data):
            _, _, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
            seen.append((len(data), sample_weight))
            return super().train_step(data)

    x, y = problem
    model = regression(Own)
    model.compile("sgd", "mse")
    model.fit(x, y, sample_weight=np.arange(50.0), batch_size=50, shuffle=False, verbose=0)
    model.fit(x, y, batch_size=50, verbose=0)
    assert [length for length, _ in seen] == [3, 2]
    np.testing.assert_array_equal(seen[0][1].numpy(), np.arange(50))
    assert seen[1][1] is None


def test_a_gan_with_metrics_of_its_own():
    class GAN(keras.Model):
        def __init__(self, discriminator, generator):
            super().__init__()
            self.discriminator, self.generator = discriminator, generator
            self.d_loss = keras.metrics.Mean(name="d_loss")
            self.g_loss = keras.metrics.Mean(name="g_loss")

        @property
        def metrics(self):
            return [self.d_loss, self.g_loss]

        def compile(self, d_optimizer, g_optimizer, loss_fn):
            super().compile()
            self.d_optimizer, self.g_optimizer, self.loss_fn = d_optimizer, g_optimizer, loss_fn

        def train_step(self, real):
            size = real.shape[0]
            noise = keras.random.normal((size, 2))
            fake = self.generator(noise)
            ones, zeros = (keras.Tensor(np.full((size, 1), value, np.float32)) for value in (1, 0))
            labels = ops.concatenate([ones, zeros], 0)
            with keras.GradientTape() as tape:
                d_loss = self.loss_fn(labels, self.discriminator(ops.concatenate([fake.detach(), real], 0)))
            found = tape.gradient(d_loss, self.discriminator.trainable_weights)
            self.d_optimizer.apply(found, self.discriminator.trainable_weights)
            with keras.GradientTape() as tape:
                scores = self.discriminator(self.generator(keras.random.normal((size, 2))))
                g_loss = self.loss_fn(zeros, scores)
            found = tape.gradient(g_loss, self.generator.trainable_weights)
            self.g_optimizer.apply(found, self.generator.trainable_weights)
            self.d_loss.update_state(d_loss)
            self.g_loss.update_state(g_loss)
            return {"d_loss": self.d_loss.result(), "g_loss": self.g_loss.result()}

    keras.utils.set_random_seed(0)
    generator = keras.Sequential([Input((2,)), Dense(8, activation="relu"), Dense(1)])
    discriminator = keras.Sequential([Input((1,)), Dense(8, activation="relu"), Dense(1, activation="sigmoid")])
    gan = GAN(discriminator, generator)
    gan.compile(keras.optimizers.Adam(0.01), keras.optimizers.Adam(0.01), keras.losses.BinaryCrossentropy())
    real = np.random.default_rng(0).normal(3.0, 0.1, (128, 1)).astype(np.float32)
    noise = np.random.default_rng(1).standard_normal((200, 2)).astype(np.float32)
    before = generator.predict(noise, verbose=0)
    told = gan.fit(real, batch_size=32, epochs=30, verbose=0).history
    assert list(told) == ["d_loss", "g_loss"]
    assert len(told["d_loss"]) == 30
    made = generator.predict(noise, verbose=0)
    assert made.mean() > before.mean() + 1.0, "the generator has moved towards the data"


def test_a_loss_and_a_metric_of_the_class(problem):
    class Own(keras.Model):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.tracker = keras.metrics.Mean(name="distance")

        def compute_loss(self, x, y, y_pred, sample_weight):
            loss = ops.mean(ops.abs(y - y_pred))
            self.tracker.update_state(loss)
            return loss

        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            return {**self.get_metrics_result(), "extra": ops.max(y_pred)}

    x, y = problem
    model = regression(Own)
    model.compile(keras.optimizers.SGD(0.0))
    w, b = (np.float64(v) for v in model.get_weights())
    told = model.evaluate(x, y, batch_size=50, verbose=0, return_dict=True)
    assert told == pytest.approx(
        {"distance": abs(x @ w + b - y).mean(), "extra": (x @ w + b).max(), "loss": abs(x @ w + b - y).mean()}, rel=1e-5
    )
    assert model.metrics == [model._loss_tracker, model.tracker]
    first = model.fit(x, y, verbose=0, batch_size=50, epochs=2).history["distance"]
    assert first[0] == pytest.approx(first[1]), "metrics of the model begin anew with each epoch"


def test_metrics_of_layers_are_the_models():
    class Watching(layers.Layer):
        def __init__(self):
            super().__init__()
            self.mean = keras.metrics.Mean(name="activity")

        def call(self, x):
            self.mean.update_state(x)
            return x

    x = Input((2,))
    model = keras.Model(x, Dense(1)(Watching()(x)))
    model.compile("sgd", "mse")
    given = np.arange(8, dtype=np.float32).reshape(4, 2)
    told = model.evaluate(given, np.zeros((4, 1)), batch_size=4, verbose=0, return_dict=True)
    assert told["activity"] == pytest.approx(3.5)


def test_predict_and_test_steps():
    class Own(keras.Model):
        def predict_step(self, data):
            return {"twice": self(data) * 2}

        def test_step(self, data):
            x, y = data
            return {"largest": ops.max(self(x, training=False) - y)}

    model = regression(Own)
    model.compile("sgd", "mse")
    x = np.ones((5, 6), np.float32)
    w, b = model.get_weights()
    np.testing.assert_allclose(model.predict(x, batch_size=2, verbose=0)["twice"], 2 * (x @ w + b), rtol=1e-5)
    assert model.evaluate(x, np.zeros((5, 1)), verbose=0) == pytest.approx((x @ w + b).max(), rel=1e-5)


def test_a_step_must_give_a_dictionary(problem):
    class Own(keras.Model):
        def train_step(self, data):
            return 3.0

    model = regression(Own)
    model.compile("sgd", "mse")
    with pytest.raises(TypeError, match=r"train_step must return a dictionary .* got float"):
        model.fit(*problem, verbose=0)


def test_steps_that_are_taken_together(problem):
    told = []

    class Teller(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            told.append(("begin", batch))

        def on_train_batch_end(self, batch, logs=None):
            told.append(("end", batch))

    model = regression()
    model.compile(keras.optimizers.SGD(0.0), "mse", steps_per_execution=2)
    model.fit(*problem, batch_size=10, verbose=0, callbacks=[Teller()])
    assert told == [("begin", 0), ("end", 1), ("begin", 2), ("end", 3), ("begin", 4), ("end", 4)]
    assert int(model.optimizer.iterations) == 5
