"""Scores of whole predictions: F-beta, R squared, correlations."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from deepcore import ops
from deepcore.autograd import no_grad
from deepcore.losses.loss import EPSILON, align, paired
from deepcore.metrics.metric import MeanMetricWrapper, Metric
from deepcore.tensor import Tensor
from deepcore.variable import Variable


def _rows(metric: Metric, y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
    prediction = ops.cast(ops.convert_to_tensor(y_pred), metric.dtype)
    target = ops.cast(ops.convert_to_tensor(y_true, like=prediction), metric.dtype)
    target, prediction = align(target, prediction)
    if target.ndim != 2 or prediction.ndim != 2:
        raise ValueError(
            f"{type(metric).__name__} expects targets and predictions [examples, outputs]; got shapes {target.shape} "
            f"and {prediction.shape}."
        )
    return target, prediction


def _check_float(name: str, value: Any, said: str, holds: Callable[[float], bool]) -> None:
    """Raises ``ValueError`` unless ``value`` is a float for which ``holds``."""
    if not isinstance(value, float):
        raise ValueError(
            f"Invalid `{name}` argument value: it should be a Python float; got {value!r} ({type(value).__name__})."
        )
    if not holds(value):
        raise ValueError(f"Invalid `{name}` argument value: it should {said}; got {value!r}.")


class FBetaScore(Metric):
    """(1 + beta^2) precision recall / (beta^2 precision + recall) of each class. van Rijsbergen 1979.

    Args:
        average: None for one score a class; ``"micro"`` counts all classes together, ``"macro"`` averages them,
            ``"weighted"`` by the number of their true examples.
        beta: how many times recall matters as much as precision.
        threshold: above which a class is predicted, from 0 to 1; by default the largest of the row is.
        name, dtype: see ``Metric``.

    Raises ``ValueError`` for another ``average``, and unless ``beta`` and ``threshold`` are floats in their range.
    """

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(dtype, name)
        if average not in (None, "micro", "macro", "weighted"):
            raise ValueError(
                f"Invalid `average` argument value: it is None, 'micro', 'macro' or 'weighted'; got {average!r}."
            )
        _check_float("beta", beta, "be > 0", lambda beta: beta > 0)
        if threshold is not None:
            _check_float("threshold", threshold, "verify 0 < threshold <= 1", lambda threshold: 0 < threshold <= 1)
        self.average, self.beta, self.threshold = average, beta, threshold
        self._built = False

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        with no_grad():
            target, prediction = _rows(self, y_true, y_pred)
            if not self._built:
                shape = () if self.average == "micro" else prediction.shape[1:]
                for name in ("true_positives", "false_positives", "false_negatives", "intermediate_weights"):
                    setattr(self, name, self.add_variable(shape, name=name))
                self._built = True
            if self.threshold is None:
                largest = ops.greater_equal(prediction, ops.max(prediction, -1, keepdims=True))
                chosen = ops.logical_and(largest, ops.greater(ops.abs(prediction), 1e-9))
            else:
                chosen = ops.greater(prediction, self.threshold)
            chosen = ops.cast(chosen, self.dtype)
            parts = [chosen * target, chosen * (1 - target), (1 - chosen) * target, target]
            if sample_weight is not None:
                weight = ops.cast(ops.convert_to_tensor(sample_weight, like=target), self.dtype)
                parts = [part * ops.expand_dims(weight, 1) for part in parts]
            for variable, part in zip(self._variables, parts, strict=True):
                variable.assign_add(ops.sum(part, None if self.average == "micro" else 0))

    def result(self) -> Tensor:
        with no_grad():
            right, wrong, missed, actual = self._variables
            precision, recall = right / (right + wrong + EPSILON), right / (right + missed + EPSILON)
            square = self.beta**2
            score = (1 + square) * (precision * recall / (square * precision + recall + EPSILON))
            if self.average == "weighted":
                return ops.sum(score * actual / (ops.sum(actual) + EPSILON))
            return score if self.average is None else ops.mean(score)

    def get_config(self) -> dict[str, Any]:
        own = {"average": self.average, "beta": self.beta, "threshold": self.threshold}
        return {**super().get_config(), **own}


class F1Score(FBetaScore):
    """``FBetaScore`` with a beta of 1: the harmonic mean of precision and recall."""

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)

    def get_config(self) -> dict[str, Any]:
        return {name: value for name, value in super().get_config().items() if name != "beta"}


class R2Score(Metric):
    """1 - sum((t - p)^2) / sum((t - mean t)^2) of each output.

    Args:
        class_aggregation: ``"uniform_average"`` over the outputs, ``"variance_weighted_average"``, or None for each.
        num_regressors: of the model, for the adjusted score; then the result waits for the number of samples.
        name, dtype: see ``Metric``.

    Raises ``ValueError`` for another ``class_aggregation`` and for ``num_regressors`` below 0.
    """

    squared_sum: Variable
    sum: Variable
    total_mse: Variable
    count: Variable

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(dtype, name)
        known = (None, "uniform_average", "variance_weighted_average")
        if class_aggregation not in known:
            raise ValueError(
                f"Invalid value for argument `class_aggregation`: it must be one of {known}; got {class_aggregation!r}."
            )
        if num_regressors < 0:
            raise ValueError(f"R2Score: `num_regressors` must be at least 0; got {num_regressors!r}.")
        self.class_aggregation, self.num_regressors = class_aggregation, num_regressors
        self.num_samples = self.add_variable(name="num_samples")
        self._built = False

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        with no_grad():
            target, prediction = _rows(self, y_true, y_pred)
            if not self._built:
                for name, label in (("squared_sum",) * 2, ("sum",) * 2, ("total_mse", "residual"), ("count",) * 2):
                    setattr(self, name, self.add_variable(prediction.shape[1:], name=label))
                self._built = True
            given = 1.0 if sample_weight is None else sample_weight
            weight = ops.cast(ops.convert_to_tensor(given, like=target), self.dtype)
            weight = ops.broadcast_to(ops.expand_dims(weight, 1) if weight.ndim == 1 else weight, target.shape)
            self.sum.assign_add(ops.sum(target * weight, 0))
            self.squared_sum.assign_add(ops.sum(target * target * weight, 0))
            self.total_mse.assign_add(ops.sum(ops.square(target - prediction) * weight, 0))
            self.count.assign_add(ops.sum(weight, 0))
            self.num_samples.assign_add(target.size)

    def result(self) -> Tensor:
        with no_grad():
            total = self.squared_sum - self.sum * self.sum / self.count
            scores = 1 - self.total_mse / total
            scores = ops.where(ops.isinf(scores), 0.0, scores)
            if self.class_aggregation == "uniform_average":
                scores = ops.mean(scores)
            elif self.class_aggregation == "variance_weighted_average":
                scores = ops.sum(total * scores) / ops.sum(total)
            if not self.num_regressors:
                return scores
            spare = float(self.num_samples) - self.num_regressors - 1
            if spare <= 0:
                warnings.warn(
                    f"R2Score: {self.num_regressors} regressors need more samples than {int(self.num_samples)} for an "
                    "adjusted score; this is the plain one.",
                    stacklevel=2,
                )
                return scores
            return 1 - (1 - scores) * ((float(self.num_samples) - 1) / spare)

    def get_config(self) -> dict[str, Any]:
        own = {"class_aggregation": self.class_aggregation, "num_regressors": self.num_regressors}
        return {**super().get_config(), **own}


def _centred(y_true: Any, y_pred: Any, axis: int) -> tuple[Tensor, Tensor, Tensor]:
    target, prediction = paired(y_true, y_pred)
    means = [ops.mean(t, axis, keepdims=True) for t in (target, prediction)]
    return target - means[0], prediction - means[1], ops.squeeze(means[0] - means[1], axis)


def pearson_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """cov(t, p) / (std(t) std(p)) along ``axis``: [..., n] -> [...]. Pearson 1895."""
    t, p, _ = _centred(y_true, y_pred, axis)
    spread = ops.sqrt(ops.mean(ops.square(t), axis)) * ops.sqrt(ops.mean(ops.square(p), axis))
    return ops.mean(t * p, axis) / spread


def concordance_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """2 cov(t, p) / (var(t) + var(p) + (mean t - mean p)^2) along ``axis``. Lin 1989."""
    t, p, apart = _centred(y_true, y_pred, axis)
    spread = ops.mean(ops.square(t), axis) + ops.mean(ops.square(p), axis) + ops.square(apart)
    return 2 * ops.mean(t * p, axis) / (spread + EPSILON)


class PearsonCorrelation(MeanMetricWrapper):
    """The mean of ``pearson_correlation`` over all examples."""

    def __init__(self, name: str | None = "pearson_correlation", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(pearson_correlation, name, dtype, axis=axis)


class ConcordanceCorrelation(MeanMetricWrapper):
    """The mean of ``concordance_correlation`` over all examples."""

    def __init__(self, name: str | None = "concordance_correlation", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(concordance_correlation, name, dtype, axis=axis)
