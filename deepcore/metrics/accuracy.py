"""How often the prediction is right."""

from __future__ import annotations

from typing import Any

from deepcore import ops
from deepcore.losses.loss import align
from deepcore.metrics.metric import MeanMetricWrapper
from deepcore.tensor import FLOATX, Tensor


def _tensors(y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
    prediction = ops.convert_to_tensor(y_pred)
    return ops.convert_to_tensor(y_true, like=prediction), prediction


def _equal(a: Tensor, b: Tensor) -> Tensor:
    if a.shape != b.shape:
        raise ValueError(f"The targets have shape {a.shape}, the predictions {b.shape}; they must be the same.")
    return ops.cast(ops.equal(a, b), FLOATX)


def accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where both are equal, else 0."""
    return _equal(*align(*_tensors(y_true, y_pred)))


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Tensor:
    """1 where the prediction lies on the target's side of ``threshold``, else 0."""
    target, prediction = align(*_tensors(y_true, y_pred))
    return _equal(target, ops.cast(ops.greater(prediction, threshold), target.dtype))


def categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where the largest prediction is that of the one-hot target: [..., classes] -> [...]."""
    target, prediction = _tensors(y_true, y_pred)
    return _equal(ops.argmax(target, -1), ops.argmax(prediction, -1))


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where the largest prediction is that of the class number: [..., classes] -> [...]."""
    target, prediction = _tensors(y_true, y_pred)
    if target.ndim == prediction.ndim and target.shape[-1] == 1:
        target = ops.squeeze(target, -1)
    return _equal(target, ops.cast(ops.argmax(prediction, -1), target.dtype))


class Accuracy(MeanMetricWrapper):
    """How often predictions equal targets."""

    def __init__(self, name: str | None = "accuracy", dtype: Any = None) -> None:
        super().__init__(accuracy, name, dtype)


class BinaryAccuracy(MeanMetricWrapper):
    """How often predictions lie on the target's side of ``threshold``."""

    def __init__(self, name: str | None = "binary_accuracy", dtype: Any = None, threshold: float = 0.5) -> None:
        if not 0 <= threshold <= 1:
            raise ValueError(f"BinaryAccuracy: threshold must be from 0 to 1; got {threshold!r}.")
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)


class CategoricalAccuracy(MeanMetricWrapper):
    """How often the largest prediction is that of the one-hot target."""

    def __init__(self, name: str | None = "categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(categorical_accuracy, name, dtype)


class SparseCategoricalAccuracy(MeanMetricWrapper):
    """How often the largest prediction is that of the class number."""

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(sparse_categorical_accuracy, name, dtype)
