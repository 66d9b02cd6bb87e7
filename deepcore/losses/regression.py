"""Distances between numbers."""

from __future__ import annotations

from typing import Any

from deepcore import ops
from deepcore.losses.loss import LossFunction, check_same_shape, checked_by, paired
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
