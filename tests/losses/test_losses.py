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
    assert losses.get("mse") is losses.get("MSE") is losses.mean_squared_error
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
    with pytest.raises(ValueError, match=r"argument `reduction`.*got 'avg'"):
        losses.MeanSquaredError(reduction="avg")
    with pytest.raises(ValueError, match=r"label_smoothing must be from 0 to 1"):
        losses.BinaryCrossentropy(label_smoothing=2)


def sigmoid(x):
    return 1 / (1 + np.exp(-np.float64(x)))


def softmax(x):
    return np.exp(log_softmax(x))


def focal_binary(t, p, gamma, alpha):
    of_target = np.where(t == 1, p, 1 - p)
    return (np.where(t == 1, alpha, 1 - alpha) * (1 - of_target) ** gamma * -np.log(of_target)).mean(-1)


def focal_categorical(t, p, gamma, alpha):
    return (-alpha * (1 - p) ** gamma * t * np.log(p)).sum(-1)


def circle(labels, z, gamma, margin):
    """The formula of the paper with similarities: log(1 + sum(exp(pull)) sum(exp(push))) of each example."""
    found = []
    for i, mine in enumerate(labels):
        pull, push = 0.0, 0.0
        for j, other in enumerate(labels):
            similarity = z[i] @ z[j]
            if mine == other and i != j:
                pull += np.exp(gamma * max(1 + margin - similarity, 0) * (1 - margin - similarity))
            elif mine != other:
                push += np.exp(gamma * max(similarity + margin, 0) * (similarity - margin))
        found.append(np.log1p(pull * push))
    return np.array(found)


LABELS = np.array([0, 3, 1, 1, 2, 0])
HOT = np.eye(4)[LABELS]
BITS = np.array([[0, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1], [1, 0, 1, 1], [0, 1, 0, 0], [1, 1, 1, 1]], np.float64)
NUMBERS = np.array([[0.5, -1.5, 2.5, 0.1]] * 6) * np.arange(1, 7)[:, None]
Z = 0.011 + 1.03 * np.array(
    [[0.3, -2.0, 1.5, 0.2], [4, -3, 0.5, 2], [0, 0, 1, -1], [-6, 2, 3, 1], [1, 2, 3, 4], [2.5, -1, 0.6, -0.7]]
)
P = softmax(Z / 4)
UNIT = Z / np.linalg.norm(Z, axis=1, keepdims=True)

# A loss, targets, predictions, and the value of each example by an independent formula.
FORMULAS = {
    "binary focal": (
        losses.BinaryFocalCrossentropy(True, alpha=0.3, gamma=1.5),
        BITS,
        P,
        focal_binary(BITS, P, 1.5, 0.3),
    ),
    "binary focal, logits": (
        losses.BinaryFocalCrossentropy(True, alpha=0.3, gamma=1.5, from_logits=True),
        BITS,
        Z,
        focal_binary(BITS, sigmoid(Z), 1.5, 0.3),
    ),
    "categorical focal": (
        losses.CategoricalFocalCrossentropy(alpha=0.4, gamma=3),
        HOT,
        P,
        focal_categorical(HOT, P, 3, 0.4),
    ),
    "categorical focal, a weight each": (
        losses.CategoricalFocalCrossentropy(alpha=[0.1, 0.2, 0.3, 0.4]),
        HOT,
        P,
        focal_categorical(HOT, P, 2, np.array([0.1, 0.2, 0.3, 0.4])),
    ),
    "categorical focal, logits, smoothed": (
        losses.CategoricalFocalCrossentropy(from_logits=True, label_smoothing=0.2),
        HOT,
        Z,
        focal_categorical(HOT * 0.8 + 0.05, softmax(Z), 2, 0.25),
    ),
    "generalized": (
        losses.CategoricalGeneralizedCrossEntropy(0.7),
        LABELS,
        P,
        (1 - P[np.arange(6), LABELS] ** 0.7) / 0.7,
    ),
    "categorical hinge": (
        losses.CategoricalHinge(),
        HOT,
        Z,
        np.maximum(0, np.where(HOT == 1, 0, Z).max(1) - Z[np.arange(6), LABELS] + 1),
    ),
    "circle": (losses.Circle(gamma=4, margin=0.25), LABELS, UNIT, circle(LABELS, UNIT, 4, 0.25)),
    "cosine": (
        losses.CosineSimilarity(),
        NUMBERS,
        Z,
        -(NUMBERS * Z).sum(1) / np.sqrt((NUMBERS**2).sum(1) * (Z**2).sum(1)),
    ),
    "cosine, axis 0": (
        losses.CosineSimilarity(axis=0),
        NUMBERS,
        Z,
        -(NUMBERS * Z).sum(0) / np.sqrt((NUMBERS**2).sum(0) * (Z**2).sum(0)),
    ),
    "dice": (losses.Dice(axis=-1), BITS, P, 1 - 2 * (BITS * P).sum(1) / (BITS.sum(1) + P.sum(1))),
    "dice of all": (losses.Dice(), BITS, P, 1 - 2 * (BITS * P).sum() / (BITS.sum() + P.sum())),
    "tversky": (
        losses.Tversky(0.3, 0.9, axis=1),
        BITS,
        P,
        1 - (BITS * P).sum(1) / ((BITS * P).sum(1) + 0.3 * (BITS - BITS * P).sum(1) + 0.9 * (P - BITS * P).sum(1)),
    ),
    "hinge": (losses.Hinge(), 2 * BITS - 1, Z, np.maximum(0, 1 - (2 * BITS - 1) * Z).mean(1)),
    "hinge of 0 and 1": (losses.Hinge(), BITS, Z, np.maximum(0, 1 - (2 * BITS - 1) * Z).mean(1)),
    "hinge of other numbers": (losses.Hinge(), NUMBERS, Z, np.maximum(0, 1 - NUMBERS * Z).mean(1)),
    "squared hinge": (losses.SquaredHinge(), BITS, Z, (np.maximum(0, 1 - (2 * BITS - 1) * Z) ** 2).mean(1)),
    "divergence": (losses.KLDivergence(), P[::-1], P, (P[::-1] * np.log(P[::-1] / P)).sum(1)),
    "log cosh": (losses.LogCosh(), NUMBERS, Z, np.log(np.cosh(Z - NUMBERS)).mean(1)),
    "percentage": (
        losses.MeanAbsolutePercentageError(),
        NUMBERS,
        Z,
        100 * np.abs((NUMBERS - Z) / NUMBERS).mean(1),
    ),
    "logarithmic": (
        losses.MeanSquaredLogarithmicError(),
        np.abs(NUMBERS),
        P,
        ((np.log1p(np.abs(NUMBERS)) - np.log1p(P)) ** 2).mean(1),
    ),
    "poisson": (losses.Poisson(), 3 * BITS, P, (P - 3 * BITS * np.log(P)).mean(1)),
}


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_of_each_example_follow_the_formula(name, dtype):
    loss, y, p, expected = FORMULAS[name]
    found = loss.call(Tensor(y.astype(dtype)), Tensor(p.astype(dtype)))
    assert found.dtype == dtype
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", FORMULAS)
def test_gradients_of_every_loss(name):
    loss, y, p, _ = FORMULAS[name]
    assert gradcheck(lambda x: loss(Tensor(y), x, sample_weight=Tensor(2.0)), [np.array(p)])


@pytest.mark.parametrize("name", FORMULAS)
def test_configurations_make_the_same_loss_again(name):
    loss = FORMULAS[name][0]
    config = losses.serialize(loss)
    again = losses.deserialize(config)
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()
    assert again.kwargs == loss.kwargs


def test_alone_and_ignored_examples_leave_finite_gradients():
    alone = Tensor(np.array([[1.0, 0.0], [0.0, 1.0]]), requires_grad=True)  # neither has another of its class
    loss = losses.Circle()(np.array([0, 1]), alone)
    loss.backward()
    assert float(loss) == 0.0
    assert alone.grad.numpy().tolist() == [[0, 0], [0, 0]]
    broken = Tensor(np.array([[np.nan, 0.5], [0.25, 0.75]]), requires_grad=True)
    loss = losses.SparseCategoricalCrossentropy(ignore_class=-1)(np.array([-1, 0]), broken)
    loss.backward()
    assert float(loss) == pytest.approx(np.log(4))
    assert broken.grad.numpy() == pytest.approx(np.array([[0, 0], [-3.0, 1.0]]))


WEIGHTS = [(), (1,), (4, 1), (4, 3), (4, 3, 1), (1, 3), (3,), (4,)]


@pytest.mark.parametrize("shape", WEIGHTS)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("reduction", ["sum", "mean", "mean_with_sample_weight", None])
def test_weights_of_every_shape_and_masks(shape, masked, reduction, rng):
    """Values [4, 3]: weights broadcast, [4] weighs the examples, and masked values do not count."""
    y, p, w = rng.normal(size=(4, 3, 2)), rng.normal(size=(4, 3, 2)), rng.uniform(0.5, 2, shape)
    mask = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1], [0, 0, 0]], bool) if masked else np.ones((4, 3), bool)
    wide = w[..., 0] if shape == (4, 3, 1) else w[:, None] if shape == (4,) else w
    values = ((y - p) ** 2).mean(-1) * wide * mask
    weights_sum = (wide * mask if masked else wide).sum()
    expected = {
        "sum": values.sum(),
        "mean": values.sum() / mask.sum(),
        "mean_with_sample_weight": values.sum() / weights_sum,
        None: values,
    }[reduction]
    prediction = Tensor(p)
    prediction.mask = Tensor(mask) if masked else None
    found = losses.MeanSquaredError(reduction=reduction)(Tensor(y), prediction, sample_weight=Tensor(w))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-10)


def test_a_mask_that_leaves_nothing_gives_zero():
    prediction = Tensor([[1.0, 2.0]])
    prediction.mask = Tensor([False])
    assert float(losses.MeanSquaredError()([[0.0, 0.0]], prediction)) == 0.0


def test_zero_one_counts_wrong_answers():
    assert losses.zero_one([[1, 0], [0, 1]], [[0.9, 0.1], [0.8, 0.2]]).tolist() == [0, 1]
    assert losses.zero_one([1, 0, 1], [[0.9], [0.8], [0.1]]).tolist() == [0, 1, 1]
    assert float(losses.ZeroOne()([0, 1, 1, 0], [[2, 1], [2, 1], [1, 2], [1, 2]])) == 0.5
    with pytest.raises(ValueError, match=r"zero_one: targets for predictions of shape \(2, 3\)"):
        losses.zero_one([0, 1, 2], np.ones((2, 3)))


def test_the_dtype_that_is_asked_for():
    loss = losses.MeanSquaredError(dtype="float64")
    assert loss.dtype == "float64"
    assert losses.MeanSquaredError().dtype == "float32"
    assert loss([1.0], np.float32([2.0])).dtype == np.float64


def test_arguments_that_are_refused():
    with pytest.raises(ValueError, match="q must be between 0 and 1; got 1"):
        losses.CategoricalGeneralizedCrossEntropy(1)
    for function in (losses.categorical_crossentropy, losses.categorical_focal_crossentropy):
        with pytest.raises(ValueError, match="axis is the number of an axis; got True"):
            function([[1.0, 0.0]], [[0.5, 0.5]], axis=True)
        with pytest.warns(SyntaxWarning, match="more than one class"):
            function([[1.0]], [[0.5]])
