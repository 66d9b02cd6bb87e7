"""Metrics by Keras's names."""

from __future__ import annotations

from typing import Any

from deepcore.errors import explain_missing
from deepcore.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    accuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
)
from deepcore.metrics.loss import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    MeanAbsoluteError,
    MeanSquaredError,
    RootMeanSquaredError,
    SparseCategoricalCrossentropy,
)
from deepcore.metrics.metric import Mean, MeanMetricWrapper, Metric, Sum
from deepcore.registry import Registry

registry = Registry("metric", "deepcore.metrics", base=Metric, callables=True)
for _class, _aliases in (
    (Accuracy, ("acc",)),
    (BinaryAccuracy, ()),
    (BinaryCrossentropy, ("bce", "BCE")),
    (CategoricalAccuracy, ()),
    (CategoricalCrossentropy, ()),
    (Mean, ()),
    (MeanAbsoluteError, ("mae", "MAE")),
    (MeanSquaredError, ("mse", "MSE")),
    (RootMeanSquaredError, ("rmse", "RMSE")),
    (SparseCategoricalAccuracy, ()),
    (SparseCategoricalCrossentropy, ()),
    (Sum, ()),
):
    registry.register(*_aliases)(_class)

_BY_OUTPUT = {
    "accuracy": (BinaryAccuracy, SparseCategoricalAccuracy, CategoricalAccuracy),
    "crossentropy": (BinaryCrossentropy, SparseCategoricalCrossentropy, CategoricalCrossentropy),
}
_BY_OUTPUT["acc"] = _BY_OUTPUT["accuracy"]
_BY_OUTPUT["ce"] = _BY_OUTPUT["crossentropy"]


def get(identifier: Any) -> Any:
    """The metric of a name, a configuration or a class; any callable f(y_true, y_pred) is one itself."""
    return registry.get(identifier)


def check(identifier: Any) -> None:
    """Raises ``ValueError`` or ``TypeError`` if ``identifier`` stands for no metric."""
    if not (isinstance(identifier, str) and identifier in _BY_OUTPUT):
        get(identifier)


def metric_of(identifier: Any, y_true_shape: tuple[int, ...], y_pred_shape: tuple[int, ...]) -> Metric:
    """``get(identifier)`` as a ``Metric``; ``"accuracy"`` and ``"crossentropy"`` as the shapes of a batch say.

    One output is binary; targets of a rank less than the output's, or of one element where it has several, are class
    numbers; all else is one-hot.
    """
    if isinstance(identifier, str) and identifier in _BY_OUTPUT:
        binary, sparse, categorical = _BY_OUTPUT[identifier]
        if y_pred_shape[-1] == 1:
            return binary(name=identifier)
        if len(y_true_shape) < len(y_pred_shape) or (y_true_shape[-1] == 1 and y_pred_shape[-1] > 1):
            return sparse(name=identifier)
        return categorical(name=identifier)
    metric = get(identifier)
    if not isinstance(metric, Metric):
        return MeanMetricWrapper(metric)
    if isinstance(identifier, str):
        metric.name = identifier
    return metric


def serialize(metric: Any) -> Any:
    """The configuration of a metric."""
    return registry.serialize(metric)


def deserialize(config: Any) -> Any:
    """The metric of a configuration."""
    return registry.deserialize(config)


__all__ = [
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "Mean",
    "MeanAbsoluteError",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "Metric",
    "RootMeanSquaredError",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "Sum",
    "accuracy",
    "binary_accuracy",
    "categorical_accuracy",
    "deserialize",
    "get",
    "metric_of",
    "serialize",
    "sparse_categorical_accuracy",
]

explain_missing(__name__)
