"""Counts, areas, intersections and scores over two batches against float64 NumPy over everything at once."""

from __future__ import annotations

import numpy as np
import pytest

from deepcore import metrics

# Every test runs on the CPU, on the emulator, and on a GPU where there is one.
pytestmark = pytest.mark.usefixtures("device")

RNG = np.random.default_rng(5)
SCORES = RNG.uniform(0, 1, (24, 3)).astype(np.float32)
BITS = RNG.integers(0, 2, (24, 3))
WEIGHT = RNG.uniform(0.5, 2, 24)
W = np.repeat(WEIGHT[:, None], 3, 1)
NUMBERS = RNG.normal(size=(24, 3))
CLASSES, GUESSES = RNG.integers(0, 3, 24), RNG.integers(0, 3, 24)


def result(metric, y, p):
    metric.update_state(y[:9], p[:9], sample_weight=WEIGHT[:9])
    metric.update_state(y[9:], p[9:], sample_weight=WEIGHT[9:])
    return metric.result().numpy()


def share(kind, above):
    tp = (W * BITS * above).sum()
    return tp / (W * (above if kind is metrics.Precision else BITS)).sum()


@pytest.mark.parametrize("thresholds", [0.3, [0.2, 0.7], [0.0, 0.25, 0.5, 0.75, 1.0]])
def test_counts_and_shares_at_thresholds(thresholds):
    bounds = np.atleast_1d(thresholds)
    above = np.stack([t < SCORES for t in bounds])
    kinds = {
        metrics.TruePositives: (W * BITS * above),
        metrics.FalsePositives: (W * (1 - BITS) * above),
        metrics.TrueNegatives: (W * (1 - BITS) * ~above),
        metrics.FalseNegatives: (W * BITS * ~above),
    }
    for kind, each in kinds.items():
        found = np.atleast_1d(result(kind(thresholds), BITS, SCORES))
        np.testing.assert_allclose(found, each.sum((1, 2)), rtol=1e-5, atol=1e-5)
    for kind in (metrics.Precision, metrics.Recall):
        expected = [share(kind, part) if part.any() else 0.0 for part in above]
        np.testing.assert_allclose(np.atleast_1d(result(kind(thresholds), BITS, SCORES)), expected, rtol=1e-5)


def test_the_top_k_and_one_class():
    best = np.sort(SCORES, 1)[:, 1:2] <= SCORES
    for kind in (metrics.Precision, metrics.Recall):
        assert result(kind(top_k=2), BITS, SCORES) == pytest.approx(share(kind, best), rel=1e-5)
    above, truth = SCORES[:, 1] > 0.5, BITS[:, 1]
    expected = (WEIGHT * truth * above).sum() / (WEIGHT * truth).sum()
    assert result(metrics.Recall(class_id=1), BITS, SCORES) == pytest.approx(expected, rel=1e-5)


def test_the_area_under_the_roc_curve_is_how_often_true_ones_score_higher():
    steps = np.float32(np.round(SCORES * 50) / 50)  # between thresholds, so that the sum is exact
    thresholds = ((np.arange(51) - 0.5) / 50)[1:].tolist()
    t, s, w = BITS.ravel(), np.float64(steps.ravel()), W.ravel()
    pairs = (s[t == 1][:, None] > s[t == 0]) + 0.5 * (s[t == 1][:, None] == s[t == 0])
    weights = w[t == 1][:, None] * w[t == 0]
    found = result(metrics.AUC(thresholds=thresholds), BITS, steps)
    assert found == pytest.approx((pairs * weights).sum() / weights.sum(), rel=1e-4)


def at_thresholds(n=21):
    """Recall, precision and specificity at evenly spaced thresholds."""
    bounds = np.array([-1e-7, *np.arange(1, n - 1) / (n - 1), 1 + 1e-7])
    tp, fp = ((W * part * (bounds[:, None, None] < SCORES)).sum((1, 2)) for part in (BITS, 1 - BITS))
    with np.errstate(invalid="ignore"):
        precision = np.nan_to_num(tp / (tp + fp))
    return tp / (W * BITS).sum(), precision, 1 - fp / (W * (1 - BITS)).sum()


def test_the_best_of_one_where_another_is_good_enough():
    recall, precision, specificity = at_thresholds()
    for metric, given, wanted in (
        (metrics.PrecisionAtRecall, recall, precision),
        (metrics.RecallAtPrecision, precision, recall),
        (metrics.SensitivityAtSpecificity, specificity, recall),
        (metrics.SpecificityAtSensitivity, recall, specificity),
    ):
        for bound in (0.3, 0.55, 0.8):
            expected = wanted[given >= bound].max(initial=0)
            assert result(metric(bound, num_thresholds=21), BITS, SCORES) == pytest.approx(expected, rel=1e-5)
    assert result(metrics.RecallAtPrecision(1.0, num_thresholds=5), BITS, 1 - BITS * 0.5) == 0


@pytest.mark.parametrize("method", ["majoring", "minoring", "interpolation"])
def test_sums_below_the_roc_curve(method):
    recall, _, specificity = at_thresholds()
    heights = {
        "majoring": np.maximum(recall[1:], recall[:-1]),
        "minoring": np.minimum(recall[1:], recall[:-1]),
        "interpolation": (recall[1:] + recall[:-1]) / 2,
    }[method]
    expected = (np.diff(specificity) * heights).sum()
    assert result(metrics.AUC(21, summation_method=method), BITS, SCORES) == pytest.approx(expected, rel=1e-5)


def test_intersection_over_union():
    each = [
        (WEIGHT * ((c == CLASSES) & (c == GUESSES))).sum() / (WEIGHT * ((c == CLASSES) | (c == GUESSES))).sum()
        for c in range(3)
    ]
    found = result(metrics.MeanIoU(3, dtype="float32"), CLASSES, GUESSES)
    assert found == pytest.approx(np.mean(each), rel=1e-5)
    hot = metrics.OneHotIoU(3, [0, 2], dtype="float32")
    assert result(hot, np.eye(3)[CLASSES], np.eye(3)[GUESSES]) == pytest.approx((each[0] + each[2]) / 2, rel=1e-5)


def test_scores():
    above = SCORES > 0.4
    tp, precise, true = ((W * part).sum(0) for part in (BITS * above, above, BITS))
    precision, recall = tp / precise, tp / true
    expected = 5 * precision * recall / (4 * precision + recall)
    found = result(metrics.FBetaScore(beta=2.0, threshold=0.4), BITS, SCORES)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    mean = (W * NUMBERS).sum(0) / W.sum(0)
    r2 = 1 - (W * (NUMBERS - SCORES) ** 2).sum(0) / (W * (NUMBERS - mean) ** 2).sum(0)
    np.testing.assert_allclose(result(metrics.R2Score(None), NUMBERS, SCORES), r2, rtol=1e-4)
    pearson = [np.corrcoef(a, b)[0, 1] for a, b in zip(NUMBERS, np.float64(SCORES), strict=True)]
    found = result(metrics.PearsonCorrelation(), NUMBERS, SCORES)
    assert found == pytest.approx((WEIGHT * pearson).sum() / WEIGHT.sum(), rel=1e-4)


@pytest.mark.parametrize(
    "metric",
    [
        metrics.AUC(7, "PR", "minoring", multi_label=True),
        metrics.Precision([0.2, 0.3], class_id=1),
        metrics.RecallAtPrecision(0.4, 9),
        metrics.OneHotMeanIoU(3, ignore_class=1),
        metrics.BinaryIoU([1], 0.3),
        metrics.F1Score("micro", 0.5),
        metrics.R2Score(num_regressors=2),
        metrics.SparseTopKCategoricalAccuracy(3),
    ],
    ids=lambda metric: type(metric).__name__,
)
def test_configurations_make_the_same_metric_again(metric):
    again = metrics.deserialize(metrics.serialize(metric))
    assert type(again) is type(metric)
    assert again.get_config() == metric.get_config()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: metrics.TruePositives([0.5, 1.5]), r"thresholds must be in .*; got \[1.5\]"),
        (lambda: metrics.AUC(1), "`num_thresholds` must be an integer > 1"),
        (lambda: metrics.AUC(num_labels=3), "num_labels is for multi_label"),
        (lambda: metrics.AUC(curve="ROCK"), "AUC curve value: 'ROCK'"),
        (lambda: metrics.PrecisionAtRecall(1.2), r"`recall` must be .* got 1.2"),
        (lambda: metrics.IoU(2, [2]), "target_class_ids must be from 0 to 1"),
        (lambda: metrics.FBetaScore(beta=1), "`beta` .* should be a Python float"),
        (lambda: metrics.F1Score("mean"), "got 'mean'"),
        (lambda: metrics.R2Score("sum"), "`class_aggregation`.* got 'sum'"),
        (lambda: metrics.Recall(class_id=0)([1, 0], [0.1, 0.9]), r"class_id picks .* shape \(2,\)"),
    ],
)
def test_arguments_that_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
