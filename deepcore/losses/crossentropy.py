"""Cross-entropies: how unlikely the targets are under the predicted probabilities.

From logits they run fused and lose no accuracy; from probabilities they follow Keras's formula, which holds each
probability between 1e-7 and 1 - 1e-7.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from deepcore import ops
from deepcore.losses.loss import LossFunction, check_same_shape, checked_by, paired
from deepcore.tensor import Tensor

EPSILON = 1e-7


def _check_smoothing(label_smoothing: float) -> None:
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must be from 0 to 1; got {label_smoothing!r}.")


def _log_probabilities(y_pred: Tensor) -> Tensor:
    """Logarithms of probabilities over the last axis, made to sum to one and held away from 0 and 1."""
    normalized = y_pred / ops.sum(y_pred, -1, keepdims=True)
    return ops.log(ops.clip(normalized, EPSILON, 1 - EPSILON))


def _check_binary(y: np.ndarray[Any, Any], output_shape: tuple[Any, ...]) -> None:
    check_same_shape(y, output_shape)
    low, high = y.min(), y.max()
    if low < 0 or high > 1:
        raise ValueError(f"binary_crossentropy expects targets from 0 to 1; got {low} to {high}.")


@checked_by(_check_binary)
def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Tensor:
    """-(t log(p) + (1 - t) log(1 - p)), averaged over ``axis``.

    Args:
        y_true: targets t from 0 to 1, of the shape of ``y_pred``.
        y_pred: probabilities p, or logits log(p / (1 - p)) with ``from_logits``.
        label_smoothing: how far the targets are moved towards 0.5, from 0 to 1.
        axis: averaged over.

    >>> binary_crossentropy([[1.0]], [[0.0]], from_logits=True)
    Tensor([0.6931472], dtype=float32)
    """
    target, prediction = paired(y_true, y_pred)
    if label_smoothing:
        target = target * (1.0 - label_smoothing) + 0.5 * label_smoothing
    if from_logits:
        values = ops.softplus(prediction) - prediction * target
    else:
        p = ops.clip(prediction, EPSILON, 1 - EPSILON)
        values = -(target * ops.log(p) + (1 - target) * ops.log(1 - p))
    return ops.mean(values, axis)


def _check_distribution(y: np.ndarray[Any, Any], output_shape: tuple[Any, ...]) -> None:
    if output_shape[-1] == 1:
        raise ValueError(
            "categorical_crossentropy needs an output for each class, but the model has 1; use 'binary_crossentropy', "
            "or a last layer with as many units as there are classes."
        )
    check_same_shape(y, output_shape)


@checked_by(_check_distribution)
def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Tensor:
    """-sum(t log(p)) over the classes, on ``axis``.

    Args:
        y_true: one-hot targets, or other distributions t, of the shape of ``y_pred``.
        y_pred: probabilities p, or logits with ``from_logits``.
        label_smoothing: the share of each target that is spread evenly over the classes, from 0 to 1.
        axis: of the classes.

    Returns one value an example: the shape without ``axis``.
    """
    target, prediction = paired(y_true, y_pred)
    if axis not in (-1, prediction.ndim - 1):
        target, prediction = ops.moveaxis(target, axis, -1), ops.moveaxis(prediction, axis, -1)
    if label_smoothing:
        target = target * (1.0 - label_smoothing) + label_smoothing / target.shape[-1]
    if from_logits:
        return ops.softmax_cross_entropy(prediction, target)
    return -ops.sum(target * _log_probabilities(prediction), -1)


def _check_classes(y: np.ndarray[Any, Any], output_shape: tuple[Any, ...]) -> None:
    classes = output_shape[-1]
    if len(y.shape) == len(output_shape) and y.shape[-1] != 1:
        raise ValueError(
            "sparse_categorical_crossentropy expects class numbers of shape [batch], one an "
            f"example; got targets of shape {y.shape}. For one-hot rows use 'categorical_crossentropy'."
        )
    check_same_shape(y[..., None] if len(y.shape) < len(output_shape) else y, (*output_shape[:-1], 1))
    low, high = y.min(), y.max()
    if y.dtype.kind == "f" and (y != np.floor(y)).any():
        raise ValueError(f"sparse_categorical_crossentropy expects class numbers; got fractions, from {low} to {high}.")
    if low < 0 or (classes is not None and high >= classes):
        raise ValueError(
            f"Class numbers must be from 0 to {classes - 1}, one for each of the model's {classes} outputs; got "
            f"{low} to {high}. Give the last layer as many units as there are classes, or number them from 0."
        )


@checked_by(_check_classes)
def sparse_categorical_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False, axis: int = -1) -> Tensor:
    """-log(p of the target's class), with the classes on ``axis``.

    Args:
        y_true: class numbers [...], or [..., 1].
        y_pred: probabilities p, or logits with ``from_logits``, [..., classes].
        axis: of the classes.

    Returns one value an example. Raises ``ValueError`` for shapes that do not match and numbers out of range.

    >>> sparse_categorical_crossentropy([1], [[0.5, 0.5]])
    Tensor([0.6931472], dtype=float32)
    """
    prediction = ops.convert_to_tensor(y_pred)
    labels = ops.cast(ops.convert_to_tensor(y_true, like=prediction), "int32")
    if axis not in (-1, prediction.ndim - 1):
        prediction = ops.moveaxis(prediction, axis, -1)
    if labels.ndim == prediction.ndim and labels.shape[-1] == 1:
        labels = ops.squeeze(labels, -1)
    if from_logits:
        return ops.softmax_cross_entropy(prediction, labels)
    if labels.shape != prediction.shape[:-1]:
        raise ValueError(
            f"Class numbers for predictions of shape {prediction.shape} must have shape {prediction.shape[:-1]}; got "
            f"{labels.shape}."
        )
    target = ops.one_hot(labels, prediction.shape[-1], dtype=prediction.dtype)
    return -ops.sum(target * _log_probabilities(prediction), -1)


class BinaryCrossentropy(LossFunction):
    """``binary_crossentropy`` of each example, reduced over the batch."""

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
    ) -> None:
        _check_smoothing(label_smoothing)
        arguments = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(binary_crossentropy, reduction, name, dtype, **arguments)


class CategoricalCrossentropy(LossFunction):
    """``categorical_crossentropy`` of each example, reduced over the batch."""

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        _check_smoothing(label_smoothing)
        arguments = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(categorical_crossentropy, reduction, name, dtype, **arguments)


class SparseCategoricalCrossentropy(LossFunction):
    """``sparse_categorical_crossentropy`` of each example, reduced over the batch."""

    def __init__(
        self,
        from_logits: bool = False,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(sparse_categorical_crossentropy, reduction, name, dtype, from_logits=from_logits, axis=axis)
