"""Cross-entropies: how unlikely the targets are under the predicted probabilities.

From logits they lose no accuracy, however certain and wrong the prediction is; from probabilities they follow Keras's
formulas, which hold each probability between 1e-7 and 1 - 1e-7.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from deepcore import ops
from deepcore.losses.loss import EPSILON, LossFunction, check_same_shape, checked_by, paired
from deepcore.tensor import Tensor


def _check_smoothing(label_smoothing: float) -> None:
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must be from 0 to 1; got {label_smoothing!r}.")


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
    target, prediction = _smoothed_bits(y_true, y_pred, label_smoothing)
    return ops.mean(ops.binary_crossentropy(target, prediction, from_logits), axis)


def _smoothed_bits(y_true: Any, y_pred: Any, label_smoothing: float) -> tuple[Tensor, Tensor]:
    target, prediction = paired(y_true, y_pred)
    return (target * (1.0 - label_smoothing) + 0.5 * label_smoothing if label_smoothing else target), prediction


@checked_by(_check_binary)
def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """Binary cross-entropy that counts (1 - probability of the target)^gamma, averaged over ``axis``. Lin et al. 2017.

    Args:
        y_true, y_pred, from_logits, label_smoothing, axis: see ``binary_crossentropy``.
        apply_class_balancing: whether ones weigh ``alpha`` and zeros 1 - ``alpha``.
        alpha: see there.
        gamma: the larger, the less an example counts that is right already.
    """
    target, prediction = _smoothed_bits(y_true, y_pred, label_smoothing)
    p = ops.sigmoid(prediction) if from_logits else prediction
    of_target = target * p + (1 - target) * (1 - p)
    values = ops.power(1 - of_target, gamma) * ops.binary_crossentropy(target, prediction, from_logits)
    if apply_class_balancing:
        values = values * (target * alpha + (1 - target) * (1 - alpha))
    return ops.mean(values, axis)


def _check_distribution(y: np.ndarray[Any, Any], output_shape: tuple[Any, ...]) -> None:
    if output_shape[-1] == 1:
        raise ValueError(
            "categorical_crossentropy needs an output for each class, but the model has 1; use 'binary_crossentropy', "
            "or a last layer with as many units as there are classes."
        )
    check_same_shape(y, output_shape)


def _smoothed_classes(name: str, y_true: Any, y_pred: Any, label_smoothing: float, axis: int) -> tuple[Tensor, Tensor]:
    """Targets and predictions of classes, which are moved from ``axis`` to the last one."""
    if isinstance(axis, bool):
        raise ValueError(f"{name}: axis is the number of an axis; got {axis!r}.")
    target, prediction = paired(y_true, y_pred)
    if prediction.shape[-1] == 1:
        warnings.warn(
            f"{name} expects predictions [..., classes] with more than one class; got shape {prediction.shape}. For "
            "two classes and one output use 'binary_crossentropy'.",
            SyntaxWarning,
            stacklevel=3,
        )
    target, prediction = ops.moveaxis(target, axis, -1), ops.moveaxis(prediction, axis, -1)
    if label_smoothing:
        target = target * (1.0 - label_smoothing) + label_smoothing / target.shape[-1]
    return target, prediction


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
    target, prediction = _smoothed_classes("categorical_crossentropy", y_true, y_pred, label_smoothing, axis)
    return ops.categorical_crossentropy(target, prediction, from_logits)


@checked_by(_check_distribution)
def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """-sum(alpha (1 - p)^gamma t log(p)) over the classes, on ``axis``. Lin et al. 2017.

    Args:
        y_true, y_pred, from_logits, label_smoothing, axis: see ``categorical_crossentropy``.
        alpha: weighs all classes, or a list one each.
        gamma: the larger, the less an example counts that is right already.
    """
    target, prediction = _smoothed_classes("categorical_focal_crossentropy", y_true, y_pred, label_smoothing, axis)
    if from_logits:
        log_p = ops.log_softmax(prediction)
        p = ops.exp(log_p)
    else:
        p = ops.clip(prediction / ops.sum(prediction, -1, keepdims=True), EPSILON, 1 - EPSILON)
        log_p = ops.log(p)
    weight = ops.cast(ops.convert_to_tensor(alpha, like=p), p.dtype)
    return -ops.sum(weight * ops.power(1 - p, gamma) * target * log_p, -1)


def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float) -> Tensor:
    """(1 - p^q) / q with p the probability of the target's class: [..., classes] -> [...]. Zhang and Sabuncu 2018.

    Args:
        y_true: class numbers [...], or [..., 1].
        y_pred: probabilities [..., classes].
        q: between 0, which is the cross-entropy, and 1, which is the mean absolute error.
    """
    prediction = ops.convert_to_tensor(y_pred)
    hot = ops.one_hot(_class_numbers(y_true, prediction, -1), prediction.shape[-1], dtype=prediction.dtype)
    return (1 - ops.power(ops.sum(prediction * hot, -1), q)) / q


def _class_numbers(y_true: Any, prediction: Tensor, axis: int) -> Tensor:
    labels = ops.convert_to_tensor(y_true, like=prediction)
    labels = labels if labels.dtype.kind in "iu" else ops.cast(labels, "int32")
    return ops.squeeze(labels, axis) if labels.ndim == prediction.ndim and labels.shape[axis] == 1 else labels


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
def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Tensor:
    """-log(p of the target's class), with the classes on ``axis``.

    Args:
        y_true: class numbers [...], or [..., 1].
        y_pred: probabilities p, or logits with ``from_logits``, [..., classes].
        ignore_class: a number in ``y_true`` that stands for no class, such as -1 or 255; its examples give 0, and the
            mask of the result is false there.
        axis: of the classes.

    Returns one value an example. Raises ``ValueError`` for shapes that do not match and numbers out of range.

    >>> sparse_categorical_crossentropy([1], [[0.5, 0.5]])
    Tensor([0.6931472], dtype=float32)
    """
    prediction = ops.convert_to_tensor(y_pred)
    labels = _class_numbers(y_true, prediction, axis)
    if axis != -1:
        prediction = ops.moveaxis(prediction, axis, -1)
    if labels.shape != prediction.shape[:-1]:
        raise ValueError(
            f"Class numbers for predictions of shape {prediction.shape} must have shape {prediction.shape[:-1]}; got "
            f"{labels.shape}."
        )
    if ignore_class is None:
        return ops.sparse_categorical_crossentropy(labels, prediction, from_logits)
    counts = ops.not_equal(labels, ignore_class)
    # Whatever was predicted where nothing counts, even NaN, must not reach the gradient.
    prediction = ops.where(ops.expand_dims(counts, -1), prediction, 1.0)
    values = ops.sparse_categorical_crossentropy(ops.where(counts, labels, 0), prediction, from_logits)
    values = ops.where(counts, values, 0.0)
    values.mask = counts
    return values


@checked_by(check_same_shape)
def kl_divergence(y_true: Any, y_pred: Any) -> Tensor:
    """sum(t log(t / p)) over the last axis, with both held between 1e-7 and 1. Kullback and Leibler 1951."""
    target, prediction = paired(y_true, y_pred)
    t, p = ops.clip(target, EPSILON, 1.0), ops.clip(prediction, EPSILON, 1.0)
    return ops.sum(t * ops.log(t / p), -1)


@checked_by(check_same_shape)
def poisson(y_true: Any, y_pred: Any) -> Tensor:
    """mean(p - t log(p + 1e-7)) over the last axis: what counts t say about predicted rates p."""
    target, prediction = paired(y_true, y_pred)
    return ops.mean(prediction - target * ops.log(prediction + EPSILON), -1)


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


class BinaryFocalCrossentropy(LossFunction):
    """``binary_focal_crossentropy`` of each example, reduced over the batch."""

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        _check_smoothing(label_smoothing)
        arguments = {"apply_class_balancing": apply_class_balancing, "alpha": alpha, "gamma": gamma}
        arguments |= {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(binary_focal_crossentropy, reduction, name, dtype, **arguments)


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


class CategoricalFocalCrossentropy(LossFunction):
    """``categorical_focal_crossentropy`` of each example, reduced over the batch."""

    def __init__(
        self,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        _check_smoothing(label_smoothing)
        arguments = {"alpha": alpha, "gamma": gamma, "from_logits": from_logits}
        arguments |= {"label_smoothing": label_smoothing, "axis": axis}
        super().__init__(categorical_focal_crossentropy, reduction, name, dtype, **arguments)


class CategoricalGeneralizedCrossEntropy(LossFunction):
    """``categorical_generalized_cross_entropy`` of each example. Raises ``ValueError`` unless 0 < ``q`` < 1."""

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_generalized_cross_entropy",
        dtype: Any = None,
    ) -> None:
        if not 0 < q < 1:
            raise ValueError(f"CategoricalGeneralizedCrossEntropy: q must be between 0 and 1; got {q!r}.")
        super().__init__(categorical_generalized_cross_entropy, reduction, name, dtype, q=q)


class SparseCategoricalCrossentropy(LossFunction):
    """``sparse_categorical_crossentropy`` of each example, reduced over the batch."""

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        arguments = {"from_logits": from_logits, "ignore_class": ignore_class, "axis": axis}
        super().__init__(sparse_categorical_crossentropy, reduction, name, dtype, **arguments)

    def check_targets(self, y: np.ndarray[Any, Any], output_shape: tuple[Any, ...]) -> None:
        ignored, axis = self.kwargs["ignore_class"], self.kwargs["axis"]
        if ignored is not None:
            y = np.where(y == ignored, 0, y)
        if axis in (-1, len(output_shape) - 1):
            _check_classes(y, output_shape)


class KLDivergence(LossFunction):
    """``kl_divergence`` of each example, reduced over the batch."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "kl_divergence", dtype: Any = None
    ) -> None:
        super().__init__(kl_divergence, reduction, name, dtype)


class Poisson(LossFunction):
    """``poisson`` of each example, reduced over the batch."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "poisson", dtype: Any = None
    ) -> None:
        super().__init__(poisson, reduction, name, dtype)
