"""Distances between numbers."""

from __future__ import annotations

import math
from typing import Any

from deepcore import ops
from deepcore.losses.loss import EPSILON, LossFunction, check_same_shape, checked_by, paired
from deepcore.tensor import Tensor


@checked_by(check_same_shape)
def mean_squared_error(y_true: Any, y_pred: Any) -> Tensor:
    """mean((y_true - y_pred)^2) over the last axis: [..., n] -> [...].

    >>> mean_squared_error([[0.0, 2.0]], [[1.0, 1.0]])
    Tensor([1.], dtype=float32)
    """
    target, prediction = paired(y_true, y_pred)
    return ops.mean(ops.square(target - prediction), -1)


@checked_by(check_same_shape)
def mean_absolute_error(y_true: Any, y_pred: Any) -> Tensor:
    """mean(|y_true - y_pred|) over the last axis: [..., n] -> [...]."""
    target, prediction = paired(y_true, y_pred)
    return ops.mean(ops.abs(target - prediction), -1)


@checked_by(check_same_shape)
def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Tensor:
    """Half the squared error up to ``delta``, then linear, averaged over the last axis. Huber 1964."""
    target, prediction = paired(y_true, y_pred)
    distance = ops.abs(target - prediction)
    quadratic = ops.minimum(distance, delta)
    return ops.mean(0.5 * ops.square(quadratic) + delta * (distance - quadratic), -1)


@checked_by(check_same_shape)
def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Tensor:
    """100 mean(|t - p| / |t|) over the last axis; a target counts at least 1e-7.

    >>> mean_absolute_percentage_error([[2.0, 4.0]], [[1.0, 5.0]])
    Tensor([37.5], dtype=float32)
    """
    target, prediction = paired(y_true, y_pred)
    return 100 * ops.mean(ops.abs(target - prediction) / ops.maximum(ops.abs(target), EPSILON), -1)


@checked_by(check_same_shape)
def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Tensor:
    """mean((log(1 + p) - log(1 + t))^2) over the last axis; both count at least 1e-7."""
    target, prediction = paired(y_true, y_pred)
    logarithms = [ops.log1p(ops.maximum(x, EPSILON)) for x in (prediction, target)]
    return ops.mean(ops.square(logarithms[0] - logarithms[1]), -1)


@checked_by(check_same_shape)
def log_cosh(y_true: Any, y_pred: Any) -> Tensor:
    """mean(log(cosh(p - t))) over the last axis: half the square of a small error, the size of a large one."""
    target, prediction = paired(y_true, y_pred)
    error = prediction - target
    return ops.mean(error + ops.softplus(-2 * error) - math.log(2), -1)


class MeanSquaredError(LossFunction):
    """The mean squared error of each example, reduced over the batch."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "mean_squared_error", dtype: Any = None
    ) -> None:
        super().__init__(mean_squared_error, reduction, name, dtype)


class MeanAbsoluteError(LossFunction):
    """The mean absolute error of each example, reduced over the batch."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "mean_absolute_error", dtype: Any = None
    ) -> None:
        super().__init__(mean_absolute_error, reduction, name, dtype)


class MeanAbsolutePercentageError(LossFunction):
    """The mean absolute error of each example in percent of its targets, reduced over the batch."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_percentage_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_absolute_percentage_error, reduction, name, dtype)


class MeanSquaredLogarithmicError(LossFunction):
    """The mean squared error of the logarithms of each example, reduced over the batch."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_logarithmic_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_squared_logarithmic_error, reduction, name, dtype)


class LogCosh(LossFunction):
    """``log_cosh`` of each example, reduced over the batch."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "log_cosh", dtype: Any = None
    ) -> None:
        super().__init__(log_cosh, reduction, name, dtype)


class Huber(LossFunction):
    """Half the squared error up to ``delta``, then linear. Huber 1964."""

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype: Any = None,
    ) -> None:
        super().__init__(huber, reduction, name, dtype, delta=delta)
