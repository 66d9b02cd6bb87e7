"""Models of many outputs: what loss and metrics are, how logs name them, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from deepcore import losses, metrics, ops
from deepcore.layers import Dense, Input, Layer
from deepcore.models import Model
from deepcore.optimizers import SGD

X = np.random.default_rng(3).standard_normal((10, 3)).astype(np.float32)
A = np.random.default_rng(4).standard_normal((10, 2)).astype(np.float32)
B = np.random.default_rng(5).integers(0, 4, 10)
HOT = np.eye(4, dtype=np.float32)[B]
W1, W2 = (np.random.default_rng(seed).uniform(0, 2, 10).astype(np.float32) for seed in (6, 7))
SPARSE = "sparse_categorical_crossentropy"


def network(kind="list"):
    x = Input((3,))
    a, b = Dense(2, name="head_a")(x), Dense(4, activation="softmax", name="head_b")(x)
    return Model(x, {"list": [a, b], "tuple": (a, b), "dict": {"zeta": a, "alpha": b}, "nested": {"p": [a, b]}}[kind])


def numbers(model):
    """Mean squared error, mean absolute error, cross-entropy and accuracy of the two heads, one for each example."""
    wa, ba, wb, bb = (np.float64(w) for name in ("head_a", "head_b") for w in model.get_layer(name).get_weights())
    a = X @ wa + ba
    e = np.exp(X @ wb + bb)
    p = e / e.sum(1, keepdims=True)
    return ((a - A) ** 2).mean(1), abs(a - A).mean(1), -np.log(p[np.arange(10), B]), p.argmax(1) == B


def test_an_epoch_of_two_heads_is_what_it_is_by_hand():
    model = network()
    model.compile(SGD(0.0), ["mse", SPARSE], [2.0, 0.5], ["mae", "accuracy"])
    squares, distances, entropies, hits = numbers(model)
    told = model.fit(X, [A, B], batch_size=4, verbose=0, validation_data=(X[:5], [A[:5], B[:5]])).history
    expected = {
        "head_a_loss": squares.mean(),
        "head_a_mae": distances.mean(),
        "head_b_accuracy": hits.mean(),
        "head_b_loss": entropies.mean(),
        "loss": 2 * squares.mean() + 0.5 * entropies.mean(),
        "val_head_a_loss": squares[:5].mean(),
        "val_head_a_mae": distances[:5].mean(),
        "val_head_b_accuracy": hits[:5].mean(),
        "val_head_b_loss": entropies[:5].mean(),
        "val_loss": 2 * squares[:5].mean() + 0.5 * entropies[:5].mean(),
    }
    assert list(told) == list(expected)
    assert {name: value for name, (value,) in told.items()} == pytest.approx(expected, rel=1e-5)
    assert model.metrics_names == ["loss", "compile_metrics", "head_a_loss", "head_b_loss"]
    order = ["loss", "head_a_loss", "head_b_loss", "head_a_mae", "head_b_accuracy"]
    assert model.evaluate(X, [A, B], verbose=0) == pytest.approx([expected[name] for name in order], rel=1e-5)


def test_a_step_follows_the_weighted_sum():
    model = network()
    model.compile(SGD(0.5), {"head_a": "mse", "head_b": SPARSE}, {"head_a": 3.0, "head_b": 0.25})
    wa, _, wb, _ = (np.float64(w) for w in model.get_weights())
    a = X @ wa
    e = np.exp(X @ wb)
    p = e / e.sum(1, keepdims=True)
    model.train_on_batch(X, {"head_a": A, "head_b": B})
    after = model.get_weights()
    np.testing.assert_allclose(after[0], wa - 0.5 * 3 * X.T @ (2 * (a - A) / 20), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(after[2], wb - 0.5 * 0.25 * X.T @ ((p - HOT) / 10), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("weight", ["one", "each"])
def test_weights_of_examples(weight):
    model = network()
    model.compile(SGD(0.0), ["mse", SPARSE], weighted_metrics=["mae", "accuracy"])
    squares, distances, entropies, hits = numbers(model)
    given, (wa, wb) = (W1, (W1, W1)) if weight == "one" else ([W1, W2], (W1, W2))
    told = model.evaluate(X, [A, B], sample_weight=given, verbose=0, return_dict=True)
    assert told["head_a_loss"] == pytest.approx((squares * wa).mean(), rel=1e-5)
    assert told["head_b_loss"] == pytest.approx((entropies * wb).mean(), rel=1e-5)
    assert told["head_a_mae"] == pytest.approx((distances * wa).sum() / wa.sum(), rel=1e-5)
    assert told["head_b_accuracy"] == pytest.approx((hits * wb).sum() / wb.sum(), rel=1e-5)


NAMES = [
    (
        "tuple",
        (A, B),
        ["mse", SPARSE],
        [["mae", "mse"], ["accuracy"]],
        "head_a_mae head_a_mse head_b_accuracy",
        "head_",
    ),
    ("list", {"head_a": A, "head_b": B}, {"head_a": "mse", "head_b": SPARSE}, {"head_b": "acc"}, "head_b_acc", "head_"),
    ("list", [A, HOT], "mse", None, "", "head_"),
    ("dict", {"zeta": A, "alpha": B}, {"zeta": "mse", "alpha": SPARSE}, {"zeta": "mae"}, "zeta_mae", "dict"),
    ("dict", {"zeta": A, "alpha": B}, [SPARSE, "mse"], ["accuracy", "mae"], "alpha_accuracy zeta_mae", "dict"),
    ("nested", {"p": [A, HOT]}, {"p": ["mse", "mae"]}, {"p": ["mae", "mse"]}, "head_a_mae head_b_mse", "p/head_"),
]


@pytest.mark.parametrize(("kind", "y", "loss", "wanted", "measured", "prefix"), NAMES)
def test_names_in_logs(kind, y, loss, wanted, measured, prefix):
    model = network(kind)
    model.compile("sgd", loss, metrics=wanted)
    heads = ["alpha_loss", "zeta_loss"] if prefix == "dict" else [f"{prefix}a_loss", f"{prefix}b_loss"]
    assert list(model.fit(X, y, verbose=0).history) == sorted(["loss", *heads, *measured.split()])


def test_names_where_the_model_has_none():
    class Two(Model):
        def __init__(self):
            super().__init__()
            self.a, self.b = Dense(2), Dense(4)

        def call(self, x):
            return [self.a(x), self.b(x)]

    model = Two()
    model.compile("sgd", ["mse", losses.MeanAbsoluteError(name="far")], metrics=["mae", "mse"])
    assert list(model.fit(X, [A, HOT], verbose=0).history) == ["far_loss", "loss", "mae", "mse", "mse_loss"]


def test_names_that_would_be_twice():
    model = Model(*(lambda x: (x, Dense(2, name="out")(x)))(Input((3,))))
    model.compile("sgd", "mse", metrics=["mae", "mae"], weighted_metrics=["mae", "mse"])
    names = ["loss", "mae", "mae_1", "mse", "weighted_mae"]
    assert list(model.fit(X, A, verbose=0).history) == names
    validated = model.fit(X, A, validation_split=0.2, verbose=0).history
    assert list(validated) == sorted([*names, *(f"val_{name}" for name in names)])


def test_an_output_without_a_loss_does_not_train():
    model = network("dict")
    model.compile(SGD(0.5, weight_decay=0.1), {"zeta": "mse"}, metrics={"alpha": ["accuracy"]})
    before = model.get_layer("head_b").get_weights()
    with pytest.warns(UserWarning, match=r"no gradients for \['head_b/kernel', 'head_b/bias'\]"):
        told = model.fit(X, {"zeta": A, "alpha": B}, verbose=0).history
    assert list(told) == ["alpha_accuracy", "loss"]
    for a, b in zip(before, model.get_layer("head_b").get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    partial = network()
    partial.compile("sgd", ["mse", None])
    assert partial.evaluate(X, [A], verbose=0) == pytest.approx(numbers(partial)[0].mean(), rel=1e-5)


def test_an_output_without_targets():
    model = network()
    model.compile("sgd", ["mse", None])
    assert model.evaluate(X, [A, None], verbose=0) == pytest.approx(numbers(model)[0].mean(), rel=1e-5)
    with pytest.warns(UserWarning, match="no gradients for"):
        told = model.fit(X, [A, None], sample_weight=[W1, None], batch_size=3, validation_split=0.2, verbose=0).history
    assert list(told) == ["loss", "val_loss"]
    model.compile("sgd", ["mse", None], metrics=[None, "accuracy"])
    with pytest.raises(ValueError, match=r"metrics has \['accuracy'\] for an output that has no targets"):
        model.fit(X, [A, None], verbose=0)


def test_crossentropy_is_the_one_that_fits():
    model = network()
    model.compile("sgd", ["mse", "crossentropy"])
    entropy = numbers(model)[2].mean()
    assert model.evaluate(X, [A, B], verbose=0)[2] == pytest.approx(entropy, rel=1e-5)
    other = network()
    other.set_weights(model.get_weights())
    other.compile("sgd", ["mse", "crossentropy"])
    assert other.evaluate(X, [A, HOT], verbose=0)[2] == pytest.approx(entropy, rel=1e-5)


@pytest.mark.parametrize("kind", ["list", "tuple", "dict", "nested"])
def test_predictions_are_nested_like_the_outputs(kind):
    model = network(kind)
    found, whole = model.predict(X, batch_size=3, verbose=0), model.predict_on_batch(X)
    parts = {"dict": ("zeta", "alpha")}.get(kind, (0, 1))
    if kind == "nested":
        assert list(found) == ["p"]
        found, whole = found["p"], whole["p"]
    assert isinstance(found, {"tuple": tuple, "dict": dict}.get(kind, list))
    for key, layer in zip(parts, ("head_a", "head_b"), strict=True):
        w, b = (np.float64(v) for v in model.get_layer(layer).get_weights())
        expected = X @ w + b
        if layer == "head_b":
            expected = np.exp(expected) / np.exp(expected).sum(1, keepdims=True)
        np.testing.assert_allclose(found[key], expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(whole[key], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "y", "arguments", "error", "message"),
    [
        ("list", [A, B], {"loss": {"head_a": "mse"}}, ValueError, r"keys \['head_a', 'head_b'\].*got \['head_a'\]"),
        ("list", [A, HOT, A], {"loss": "mse"}, ValueError, r"y is \[\*, \*, \*\], the outputs are \[\*, \*\]"),
        ("list", A, {"loss": ["mse", "mse"]}, ValueError, r"y is \*, the outputs are"),
        ("list", [A, HOT], {"loss": ["mse", "mse"], "loss_weights": [1.0]}, ValueError, "2 losses and 1 weights"),
        ("list", [A, HOT], {"loss": ["mse"] * 3}, KeyError, r"loss names the output \(2,\)"),
        ("list", [A, HOT], {"loss": "mse", "metrics": ["mae"]}, ValueError, "metrics needs a metric .* each output"),
        ("list", [A, HOT], {"loss": "mse", "metrics": {"head_c": "mae"}}, ValueError, "head_a, head_b"),
        ("dict", {"zeta": A, "alpha": B}, {"loss": {"beta": "mse"}}, KeyError, "loss names the output"),
        (
            "list",
            [A, HOT],
            {"loss": {"head_a": "mse", "head_b": "mse"}, "loss_weights": {"head_a": 1.0}},
            KeyError,
            "loss_weights has nothing for 'head_b'",
        ),
        ("list", [A, B + 9], {"loss": ["mse", SPARSE]}, ValueError, "Class numbers must be from 0 to 3"),
    ],
)
def test_what_does_not_match_the_outputs(kind, y, arguments, error, message):
    model = network(kind)
    model.compile(SGD(0.1), **arguments)
    with pytest.raises(error, match=message):
        model.fit(X, y, verbose=0)
    assert int(model.optimizer.iterations) == 0


def test_one_output_has_one_loss():
    model = Model(*(lambda x: (x, Dense(2, name="out")(x)))(Input((3,))))
    model.compile("sgd", ["mse", "mae"])
    with pytest.raises(ValueError, match="loss has 2 entries for 1 output;"):
        model.fit(X, A, verbose=0)
    model.compile("sgd", ["mse"])
    assert list(model.fit(X, A, verbose=0).history) == ["loss"]


def test_class_weight_is_for_one_output():
    model = network()
    model.compile("sgd", ["mse", SPARSE])
    with pytest.raises(ValueError, match="model of one output"):
        model.fit(X, [A, B], class_weight={0: 1.0}, verbose=0)


class Padded(Layer):
    """A Dense layer for sequences, of which steps of zeros do not count."""

    def __init__(self):
        super().__init__()
        self.dense = Dense(2)

    def call(self, x):
        return self.dense(x)

    def compute_mask(self, inputs, previous_mask):
        return ops.any(ops.not_equal(inputs, 0), -1)


def test_what_is_masked_does_not_count():
    x = np.random.default_rng(0).standard_normal((4, 5, 3)).astype(np.float32)
    x[0, 3:] = x[2, 1:] = 0
    y = np.ones((4, 5, 2), np.float32)
    inputs = Input((5, 3))
    model = Model(inputs, Padded()(inputs))
    model.compile("sgd", "mse", metrics=["mae"], weighted_metrics=[metrics.MeanSquaredError(name="weighted")])
    w, b = (np.float64(v) for v in model.get_weights())
    mask = (x != 0).any(-1)
    squares = ((x @ w + b - y) ** 2).mean(-1)
    distances = abs(x @ w + b - y).mean(-1)
    told = model.evaluate(x, y, verbose=0, return_dict=True)
    assert told["loss"] == pytest.approx(squares[mask].mean(), rel=1e-5)
    assert told["mae"] == pytest.approx(distances[mask].mean(), rel=1e-5)
    steps = np.random.default_rng(1).uniform(0, 1, (4, 5)).astype(np.float32)
    told = model.evaluate(x, y, sample_weight=steps, verbose=0, return_dict=True)
    assert told["loss"] == pytest.approx((squares * steps)[mask].sum() / mask.sum(), rel=1e-5)
    assert told["weighted"] == pytest.approx((squares * steps)[mask].sum() / steps[mask].sum(), rel=1e-5)


def test_what_compile_was_given_makes_it_again():
    model = network()
    measured = {"head_a": [metrics.RootMeanSquaredError()], "head_b": ["accuracy"]}
    model.compile(SGD(0.3), {"head_a": losses.Huber(delta=0.5), "head_b": SPARSE}, [1.0, 0.5], measured)
    other = network()
    other.set_weights(model.get_weights())
    other.compile_from_config(model.get_compile_config())
    assert float(other.optimizer.learning_rate) == pytest.approx(0.3)
    assert other.optimizer.built
    assert other.evaluate(X, [A, B], verbose=0) == model.evaluate(X, [A, B], verbose=0)
    assert network().get_compile_config() == {}


@pytest.mark.parametrize("loss", [["mse"], {"only": "mse"}, {"only": ["mse"]}])
@pytest.mark.parametrize("listed", [False, True])
def test_a_list_of_one_loss_is_that_loss(loss, listed):
    x = Input((3,))
    y = Dense(2, name="only")(x)
    model = Model(x, [y] if listed else y)
    model.compile("sgd", loss)
    w, b = (np.float64(v) for v in model.get_weights())
    expected = ((X @ w + b - A) ** 2).mean()
    assert model.evaluate(X, A, verbose=0) == pytest.approx(expected, rel=1e-5)
