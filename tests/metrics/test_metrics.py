"""Metrics gathered over batches against NumPy over everything at once."""

from __future__ import annotations

import numpy as np
import pytest

from deepcore import metrics
from deepcore.autograd.graph import is_recording
from deepcore.variable import Variable

# Every test runs on the CPU, on the emulator, and on a GPU where there is one.
pytestmark = pytest.mark.usefixtures("device")


@pytest.fixture
def batches(rng):
    """Scores [n, 4], one-hot and sparse targets, and weights, in batches of different sizes."""
    made = []
    for n in (5, 1, 7):
        labels = rng.integers(0, 4, n)
        made.append(
            (rng.uniform(0.01, 0.99, (n, 4)).astype(np.float32), labels, rng.uniform(0.1, 2, n).astype(np.float32))
        )
    return made


def gathered(metric, batches, target, weighted):
    for scores, labels, weight in batches:
        metric.update_state(target(labels), scores, sample_weight=weight if weighted else None)
    return float(metric.result())


def hot(labels):
    return np.eye(4, dtype=np.float32)[labels]


CASES = {
    "sparse": (metrics.SparseCategoricalAccuracy, lambda y: y, lambda y, p: p.argmax(1) == y),
    "sparse column": (metrics.SparseCategoricalAccuracy, lambda y: y[:, None], lambda y, p: p.argmax(1) == y),
    "categorical": (metrics.CategoricalAccuracy, hot, lambda y, p: p.argmax(1) == y),
    "binary": (metrics.BinaryAccuracy, hot, lambda y, p: ((p > 0.5) == hot(y)).mean(1)),
    "binary above": (
        lambda: metrics.BinaryAccuracy(threshold=0.8),
        hot,
        lambda y, p: ((p > 0.8) == hot(y)).mean(1),
    ),
    "squared": (metrics.MeanSquaredError, hot, lambda y, p: ((p - hot(y)) ** 2).mean(1)),
    "absolute": (metrics.MeanAbsoluteError, hot, lambda y, p: np.abs(p - hot(y)).mean(1)),
    "crossentropy": (
        metrics.SparseCategoricalCrossentropy,
        lambda y: y,
        lambda y, p: -np.log(p / p.sum(1, keepdims=True))[np.arange(len(y)), y],
    ),
    "one-hot crossentropy": (
        metrics.CategoricalCrossentropy,
        hot,
        lambda y, p: -np.log(p / p.sum(1, keepdims=True))[np.arange(len(y)), y],
    ),
    "binary crossentropy": (
        metrics.BinaryCrossentropy,
        hot,
        lambda y, p: -(hot(y) * np.log(p) + (1 - hot(y)) * np.log(1 - p)).mean(1),
    ),
    "percentage": (
        metrics.MeanAbsolutePercentageError,
        lambda y: hot(y) + 2,
        lambda y, p: 100 * np.abs((hot(y) + 2 - p) / (hot(y) + 2)).mean(1),
    ),
    "squared logarithms": (
        metrics.MeanSquaredLogarithmicError,
        hot,
        lambda y, p: ((np.log1p(hot(y)) - np.log1p(p)) ** 2).mean(1),
    ),
    "log cosh": (metrics.LogCoshError, hot, lambda y, p: np.log(np.cosh(p - hot(y))).mean(1)),
    "divergence": (
        metrics.KLDivergence,
        lambda y: (hot(y) + 1) / 5,
        lambda y, p: ((hot(y) + 1) / 5 * np.log((hot(y) + 1) / 5 / p)).sum(1),
    ),
    "poisson": (metrics.Poisson, hot, lambda y, p: (p - hot(y) * np.log(p)).mean(1)),
    "hinge": (
        metrics.Hinge,
        lambda y: 2 * hot(y) - 1,
        lambda y, p: np.maximum(1 - (2 * hot(y) - 1) * p, 0).mean(1),
    ),
    "squared hinge": (
        metrics.SquaredHinge,
        lambda y: 2 * hot(y) - 1,
        lambda y, p: (np.maximum(1 - (2 * hot(y) - 1) * p, 0) ** 2).mean(1),
    ),
    "categorical hinge": (
        metrics.CategoricalHinge,
        hot,
        lambda y, p: np.maximum(1 + ((1 - hot(y)) * p).max(1) - (hot(y) * p).sum(1), 0),
    ),
    "cosine": (metrics.CosineSimilarity, hot, lambda y, p: (hot(y) * p).sum(1) / np.linalg.norm(p, axis=1)),
    "concordance": (
        metrics.ConcordanceCorrelation,
        hot,
        lambda y, p: (
            2
            * ((hot(y) - 0.25) * (p - p.mean(1, keepdims=True))).mean(1)
            / (3 / 16 + p.var(1) + (0.25 - p.mean(1)) ** 2)
        ),
    ),
    "the first two": (
        lambda: metrics.TopKCategoricalAccuracy(2),
        hot,
        lambda y, p: (p > p[np.arange(len(y)), y][:, None]).sum(1) < 2,
    ),
    "the first three of class numbers": (
        lambda: metrics.SparseTopKCategoricalAccuracy(3),
        lambda y: y,
        lambda y, p: (p > p[np.arange(len(y)), y][:, None]).sum(1) < 3,
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("weighted", [False, True])
def test_means_over_all_examples(case, weighted, batches):
    make, target, each = CASES[case]
    values = np.concatenate([np.float64(each(labels, np.float64(scores))) for scores, labels, _ in batches])
    weights = np.concatenate([w for _, _, w in batches]) if weighted else np.ones(len(values))
    expected = (values * weights).sum() / weights.sum()
    assert gathered(make(), batches, target, weighted) == pytest.approx(expected, rel=1e-5)


def test_root_of_the_mean_square(batches):
    scores, labels, _ = (np.concatenate(part) for part in zip(*batches, strict=True))
    expected = np.sqrt(((np.float64(scores) - hot(labels)) ** 2).mean())
    assert gathered(metrics.RootMeanSquaredError(), batches, hot, False) == pytest.approx(expected, rel=1e-5)


def test_accuracy_counts_equal_values():
    metric = metrics.Accuracy()
    assert float(metric([[1], [2], [3], [4]], [[0], [2], [3], [4]])) == 0.75
    metric.reset_state()
    metric.update_state([[1], [2], [3], [4]], [[0], [2], [3], [4]], sample_weight=[1, 1, 0, 0])
    assert float(metric.result()) == 0.5


def test_mean_and_sum():
    mean, total = metrics.Mean(), metrics.Sum()
    assert float(mean.result()) == 0.0, "nothing yet"
    for metric in (mean, total):
        metric.update_state([1.0, 3.0])
        metric.update_state(8.0)
    assert float(mean.result()) == 4.0
    assert float(total.result()) == 12.0
    mean.reset_state()
    mean.update_state([1.0, 3.0], sample_weight=[3.0, 1.0])
    assert float(mean.result()) == 1.5


def test_sums_stay_on_the_device_and_off_the_tape(batches):
    metric = metrics.SparseCategoricalAccuracy()
    memory = [v.data for v in metric.variables]
    gathered(metric, batches, lambda y: y, False)
    assert is_recording()
    assert all(v.data is array for v, array in zip(metric.variables, memory, strict=True))
    assert not metric.result().requires_grad


@pytest.mark.parametrize(
    ("y", "p", "expected"),
    [
        ((8, 1), (8, 1), metrics.BinaryAccuracy),
        ((8,), (8, 1), metrics.BinaryAccuracy),
        ((8,), (8, 3), metrics.SparseCategoricalAccuracy),
        ((8, 1), (8, 3), metrics.SparseCategoricalAccuracy),
        ((8, 3), (8, 3), metrics.CategoricalAccuracy),
    ],
)
def test_accuracy_means_what_the_shapes_say(y, p, expected):
    for name in ("accuracy", "acc"):
        metric = metrics.metric_of(name, y, p)
        assert type(metric) is expected
        assert metric.name == name


def test_names_and_configurations():
    assert metrics.metric_of("mae", (8, 1), (8, 1)).name == "mae"
    assert metrics.metric_of(lambda a, b: b, (8,), (8,)).name == "<lambda>"
    metric = metrics.BinaryAccuracy(threshold=0.7, name="above")
    again = metrics.deserialize(metrics.serialize(metric))
    assert again.get_config() == {"name": "above", "dtype": "float32", "threshold": 0.7}
    with pytest.raises(ValueError, match=r"Unknown metric 'acuracy'. Did you mean 'accuracy'"):
        metrics.get("acuracy")
    with pytest.raises(ValueError, match=r"thresholds must be in .*; got \[2\]"):
        metrics.Precision(thresholds=2)


def test_variables_in_lists_and_dictionaries_are_reset_with_the_metric():
    metric = metrics.Mean()
    metric.more = {"a": [Variable(2.0), Variable(3.0)], "inner": [metrics.Sum()]}
    metric.alias = metric.total
    assert len(metric.variables) == 5
    metric.reset_state()
    assert [float(v) for v in metric.variables] == [0.0] * 5


def test_how_many_classes_may_be_first_is_known():
    assert metrics.TopKCategoricalAccuracy(k=3).k == 3
    assert metrics.SparseTopKCategoricalAccuracy(k=2, from_sorted_ids=True).from_sorted_ids
