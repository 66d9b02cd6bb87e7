"""Losses against formulas in float64, their reductions, their gradients, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from deepcore import losses
from deepcore.autograd import gradcheck
from deepcore.tensor import Tensor

# Every test runs on the CPU, on the emulator, and on a GPU where there is one.
pytestmark = pytest.mark.usefixtures("device")

EPSILON = np.float64(np.float32(1e-7))


def log_softmax(x):
    x = np.float64(x)
    return x - x.max(-1, keepdims=True) - np.log(np.exp(x - x.max(-1, keepdims=True)).sum(-1, keepdims=True))


def log_normalized(p):
    p = np.float64(p)
    return np.log(np.clip(p / p.sum(-1, keepdims=True), EPSILON, 1 - EPSILON))


def binary(t, x, logits, smoothing):
    t, x = np.float64(t) * (1 - smoothing) + smoothing / 2, np.float64(x)
    p = 1 / (1 + np.exp(-x)) if logits else np.clip(x, EPSILON, 1 - EPSILON)
    return -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean(-1)


def categorical(t, x, logits, smoothing):
    t = np.float64(t) * (1 - smoothing) + smoothing / t.shape[-1]
    return -(t * (log_softmax(x) if logits else log_normalized(x))).sum(-1)


@pytest.fixture
def scores(rng):
    return rng.uniform(0.05, 0.95, (6, 4)).astype(np.float32)


@pytest.mark.parametrize("logits", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_crossentropies_follow_their_formulas(scores, logits, smoothing, rng):
    labels = rng.integers(0, 4, 6)
    hot = np.eye(4, dtype=np.float32)[labels]
    bits = rng.integers(0, 2, (6, 4))
    arguments = {"from_logits": logits, "label_smoothing": smoothing}
    found = losses.categorical_crossentropy(hot, scores, **arguments)
    np.testing.assert_allclose(found.numpy(), categorical(hot, scores, logits, smoothing), rtol=1e-5)
    found = losses.binary_crossentropy(bits, scores, **arguments)
    np.testing.assert_allclose(found.numpy(), binary(bits, scores, logits, smoothing), rtol=1e-5)
    if not smoothing:
        for given in (labels, labels[:, None], labels.astype(np.uint8), labels.astype(np.float32)):
            found = losses.sparse_categorical_crossentropy(given, scores, from_logits=logits)
            np.testing.assert_allclose(found.numpy(), categorical(hot, scores, logits, 0.0), rtol=1e-5)
            assert found.dtype == np.float32


def test_regression_losses_follow_their_formulas(scores, rng):
    y = rng.standard_normal((6, 4)).astype(np.float32) * 2
    distance = np.abs(np.float64(y) - scores)
    np.testing.assert_allclose(losses.mean_squared_error(y, scores).numpy(), (distance**2).mean(-1), rtol=1e-5)
    np.testing.assert_allclose(losses.mean_absolute_error(y, scores).numpy(), distance.mean(-1), rtol=1e-5)
    huber = np.where(distance <= 0.7, distance**2 / 2, 0.7 * distance - 0.7**2 / 2).mean(-1)
    np.testing.assert_allclose(losses.huber(y, scores, delta=0.7).numpy(), huber, rtol=1e-5)


def test_certain_and_wrong_probabilities_stay_finite():
    loss = losses.sparse_categorical_crossentropy([0], [[0.0, 1.0]])
    assert loss.numpy() == pytest.approx([-np.log(EPSILON)], rel=1e-5)
    assert losses.binary_crossentropy([[1.0]], [[0.0]]).numpy() == pytest.approx([-np.log(EPSILON)], rel=1e-5)
    extreme = losses.sparse_categorical_crossentropy([0], [[-500.0, 500.0]], from_logits=True)
    assert extreme.tolist() == [1000.0]
    assert losses.binary_crossentropy([[1.0]], [[-500.0]], from_logits=True).tolist() == [500.0]


def test_classes_may_be_on_another_axis(scores):
    stacked = np.stack([scores, scores**2])  # [2, 6, 4]
    hot = np.eye(4, dtype=np.float32)[[[0, 1, 2, 3, 0, 1], [3, 2, 1, 0, 3, 2]]]
    expected = categorical(hot, stacked, False, 0.0)
    found = losses.categorical_crossentropy(hot.swapaxes(1, 2), stacked.swapaxes(1, 2), axis=1)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)
    found = losses.sparse_categorical_crossentropy(hot.argmax(-1), stacked.swapaxes(1, 2), axis=1)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("weights", [None, "examples", "column"])
def test_reductions(scores, weights, rng):
    y = rng.standard_normal((6, 4)).astype(np.float32)
    each = ((np.float64(y) - scores) ** 2).mean(-1)
    w = None if weights is None else rng.uniform(0.5, 2, 6).astype(np.float32)
    weighted = each if w is None else each * w
    expected = {
        "sum": weighted.sum(),
        "sum_over_batch_size": weighted.mean(),
        "mean": weighted.mean(),
        "mean_with_sample_weight": weighted.sum() / (6 if w is None else w.sum()),
        "none": weighted,
        None: weighted,
    }
    given = w[:, None] if weights == "column" else w
    for reduction, value in expected.items():
        found = losses.MeanSquaredError(reduction=reduction)(y, scores, sample_weight=given)
        column = weights == "column" and reduction in ("none", None)  # each loss has its weight's shape, as in Keras
        np.testing.assert_allclose(found.numpy(), value[:, None] if column else value, rtol=1e-5)


def test_weights_of_examples_weigh_every_step_of_theirs():
    y_pred = np.ones((2, 2, 3), np.float32)  # two examples of two steps
    found = losses.MeanAbsoluteError(reduction="sum")(0 * y_pred, y_pred, sample_weight=[1.0, 10.0])
    assert float(found) == 22.0


@pytest.mark.parametrize(
    "loss",
    [
        losses.MeanSquaredError(),
        losses.Huber(delta=0.5),
        losses.BinaryCrossentropy(label_smoothing=0.1),
        losses.BinaryCrossentropy(from_logits=True),
        losses.CategoricalCrossentropy(label_smoothing=0.1),
        losses.CategoricalCrossentropy(from_logits=True),
    ],
    ids=lambda loss: f"{type(loss).__name__}-{loss.kwargs}",
)
def test_gradients(loss, rng):
    y = np.eye(4)[rng.integers(0, 4, 3)]
    w = rng.uniform(0.5, 2, 3)
    assert gradcheck(lambda p: loss(Tensor(y), p, sample_weight=Tensor(w)), [rng.uniform(0.2, 0.8, (3, 4))])


@pytest.mark.parametrize("logits", [False, True])
def test_gradients_of_sparse_crossentropy(logits, rng):
    loss = losses.SparseCategoricalCrossentropy(from_logits=logits)
    assert gradcheck(lambda p: loss(np.array([0, 3, 1]), p), [rng.uniform(0.2, 0.8, (3, 4))])


def test_targets_and_predictions_may_differ_by_a_last_axis_of_one():
    flat, column = np.array([1.0, 2.0], np.float32), np.array([[2.0], [4.0]], np.float32)
    assert float(losses.MeanSquaredError()(flat, column)) == 2.5
    assert float(losses.MeanSquaredError()(column, flat)) == 2.5


@pytest.mark.parametrize(
    ("function", "y", "p", "message"),
    [
        (losses.mean_squared_error, np.zeros((2, 3)), np.zeros((2, 4)), r"targets have shape \(2, 3\)"),
        (
            losses.sparse_categorical_crossentropy,
            np.zeros((3,)),
            np.ones((2, 4)),
            r"must have shape \(2,\); got \(3,\)",
        ),
        (
            lambda y, p: losses.sparse_categorical_crossentropy(y, p, from_logits=True),
            np.array([0, 4]),
            np.ones((2, 4)),
            r"from 0 to 3.*got 0 to 4",
        ),
    ],
)
def test_shapes_and_labels_that_do_not_fit(function, y, p, message):
    with pytest.raises(ValueError, match=message):
        function(y, p)


def test_names_configurations_and_functions():
    assert losses.get("mse") is losses.mean_squared_error
    assert losses.get("sparse_categorical_crossentropy") is losses.sparse_categorical_crossentropy
    assert isinstance(losses.get("BinaryCrossentropy"), losses.BinaryCrossentropy)
    loss = losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2, reduction="sum")
    again = losses.deserialize(losses.serialize(loss))
    assert again.get_config() == loss.get_config()
    assert again.kwargs == {"from_logits": True, "label_smoothing": 0.2, "axis": -1}
    own = losses.loss_of(lambda y_true, y_pred: (y_pred - y_true) ** 2)
    assert float(own(Tensor([1.0]), Tensor([3.0]))) == 4.0


def test_what_is_no_loss():
    with pytest.raises(ValueError, match=r"Unknown loss 'sparse_crossentropy'. Did you mean"):
        losses.get("sparse_crossentropy")
    with pytest.raises(ValueError, match=r"Unknown reduction 'avg'"):
        losses.MeanSquaredError(reduction="avg")
    with pytest.raises(ValueError, match=r"label_smoothing must be from 0 to 1"):
        losses.BinaryCrossentropy(label_smoothing=2)
