"""Losses of a margin: nothing once the right answer is far enough ahead; and how often the answer is wrong."""

from __future__ import annotations

from typing import Any

from deepcore import ops
from deepcore.losses.loss import LossFunction, check_same_shape, checked_by, paired
from deepcore.tensor import Tensor


def _shortfall(y_true: Any, y_pred: Any) -> Tensor:
    """max(1 - t p, 0) with targets of -1 and 1; where all are 0 or 1, a 0 is taken for -1."""
    target, prediction = paired(y_true, y_pred)
    binary = ops.all(ops.logical_or(ops.equal(target, 0), ops.equal(target, 1)))
    return ops.relu(1 - ops.where(binary, 2 * target - 1, target) * prediction)


@checked_by(check_same_shape)
def hinge(y_true: Any, y_pred: Any) -> Tensor:
    """mean(max(1 - t p, 0)) over the last axis, with targets t of -1 and 1, or of 0 and 1."""
    return ops.mean(_shortfall(y_true, y_pred), -1)


@checked_by(check_same_shape)
def squared_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """mean(max(1 - t p, 0)^2) over the last axis, with targets t of -1 and 1, or of 0 and 1."""
    return ops.mean(ops.square(_shortfall(y_true, y_pred)), -1)


@checked_by(check_same_shape)
def categorical_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """max(1 + largest wrong score - right score, 0) over the last axis, for one-hot targets."""
    target, prediction = paired(y_true, y_pred)
    right, wrong = ops.sum(target * prediction, -1), ops.max((1 - target) * prediction, -1)
    return ops.relu(wrong - right + 1)


def zero_one(y_true: Any, y_pred: Any) -> Tensor:
    """1 where the predicted class is wrong, else 0; it has no slope, so it measures, and does not train.

    Args:
        y_true: class numbers [...] or [..., 1], or one-hot targets [..., classes]; 0 and 1 for a single output.
        y_pred: scores [..., classes], whose largest is the prediction, or probabilities [..., 1] above or below 0.5.

    Raises ``ValueError`` if the shapes do not match.

    >>> zero_one([0, 1], [[0.9, 0.1], [0.8, 0.2]])
    Tensor([0., 1.], dtype=float32)
    """
    prediction = ops.convert_to_tensor(y_pred)
    target = ops.convert_to_tensor(y_true, like=prediction)
    if prediction.ndim and prediction.shape[-1] > 1:
        chosen = ops.argmax(prediction, -1)
        if target.shape == prediction.shape:
            target = ops.argmax(target, -1)
    else:
        chosen = ops.greater(prediction, 0.5)
        chosen = ops.squeeze(chosen, -1) if chosen.ndim > 1 else chosen
    if target.ndim == chosen.ndim + 1 and target.shape[-1] == 1:
        target = ops.squeeze(target, -1)
    if target.shape != chosen.shape:
        raise ValueError(
            f"zero_one: targets for predictions of shape {prediction.shape} must have that shape or {chosen.shape}; "
            f"got {target.shape}."
        )
    dtype = prediction.dtype if prediction.dtype.kind == "f" else "float32"
    return ops.cast(ops.not_equal(target, ops.cast(chosen, target.dtype)), dtype)


class Hinge(LossFunction):
    """``hinge`` of each example, reduced over the batch."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "hinge", dtype: Any = None
    ) -> None:
        super().__init__(hinge, reduction, name, dtype)


class SquaredHinge(LossFunction):
    """``squared_hinge`` of each example, reduced over the batch."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "squared_hinge", dtype: Any = None
    ) -> None:
        super().__init__(squared_hinge, reduction, name, dtype)


class CategoricalHinge(LossFunction):
    """``categorical_hinge`` of each example, reduced over the batch."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "categorical_hinge", dtype: Any = None
    ) -> None:
        super().__init__(categorical_hinge, reduction, name, dtype)


class ZeroOne(LossFunction):
    """``zero_one`` of each example: with the default reduction the share of wrong answers."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "zero_one", dtype: Any = None
    ) -> None:
        super().__init__(zero_one, reduction, name, dtype)
