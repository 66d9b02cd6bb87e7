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


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Tensor:
    """1 where the class of the one-hot target is among the ``k`` largest predictions: [..., classes] -> [...]."""
    target, prediction = _tensors(y_true, y_pred)
    return sparse_top_k_categorical_accuracy(ops.argmax(target, -1), prediction, k)


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False) -> Tensor:
    """1 where the class number is among the ``k`` largest predictions: [..., classes] -> [...].

    With ``from_sorted_ids`` the predictions are class numbers, best first, of which the first ``k`` count.
    """
    target, prediction = _tensors(y_true, y_pred)
    rows = ops.reshape(prediction, (-1, prediction.shape[-1]))
    numbers = ops.reshape(target, (-1,))
    if from_sorted_ids:
        found = ops.any(ops.equal(ops.cast(ops.expand_dims(numbers, 1), rows.dtype), rows[:, :k]), 1)
    else:
        found = ops.in_top_k(ops.cast(numbers, "int32"), rows, k)
    return ops.reshape(ops.cast(found, FLOATX), target.shape)


class Accuracy(MeanMetricWrapper):
    """How often predictions equal targets."""

    def __init__(self, name: str | None = "accuracy", dtype: Any = None) -> None:
        super().__init__(accuracy, name, dtype)


class BinaryAccuracy(MeanMetricWrapper):
    """How often predictions lie on the target's side of ``threshold``."""

    def __init__(self, name: str | None = "binary_accuracy", dtype: Any = None, threshold: float = 0.5) -> None:
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)


class CategoricalAccuracy(MeanMetricWrapper):
    """How often the largest prediction is that of the one-hot target."""

    def __init__(self, name: str | None = "categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(categorical_accuracy, name, dtype)


class SparseCategoricalAccuracy(MeanMetricWrapper):
    """How often the largest prediction is that of the class number."""

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(sparse_categorical_accuracy, name, dtype)


class TopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the class of the one-hot target is among the ``k`` largest predictions."""

    def __init__(self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(top_k_categorical_accuracy, name, dtype, k=k)
        self.k = k


class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the class number is among the ``k`` largest predictions; see ``sparse_top_k_categorical_accuracy``."""

    def __init__(
        self,
        k: int = 5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ) -> None:
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, k=k, from_sorted_ids=from_sorted_ids)
        self.k, self.from_sorted_ids = k, from_sorted_ids
