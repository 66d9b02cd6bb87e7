"""Metrics by Keras's names."""

from __future__ import annotations

from typing import Any

from deepcore.errors import explain_missing
from deepcore.losses import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from deepcore.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    accuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from deepcore.metrics.auc import (
    AUC,
)
from deepcore.metrics.confusion import (
    FalseNegatives,
    FalsePositives,
    Precision,
    PrecisionAtRecall,
    Recall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
    TrueNegatives,
    TruePositives,
)
from deepcore.metrics.iou import (
    BinaryIoU,
    IoU,
    MeanIoU,
    OneHotIoU,
    OneHotMeanIoU,
)
from deepcore.metrics.loss import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    Hinge,
    KLDivergence,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    RootMeanSquaredError,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from deepcore.metrics.metric import (
    Mean,
    MeanMetricWrapper,
    Metric,
    Sum,
)
from deepcore.metrics.score import (
    ConcordanceCorrelation,
    F1Score,
    FBetaScore,
    PearsonCorrelation,
    R2Score,
    concordance_correlation,
    pearson_correlation,
)
from deepcore.registry import Registry
from deepcore.serialization import export

registry = Registry("metric", "deepcore.metrics", base=Metric, callables=True)
for _class, _aliases in (
    (AUC, ()),
    (Accuracy, ("acc",)),
    (BinaryAccuracy, ()),
    (BinaryCrossentropy, ("bce", "BCE")),
    (BinaryIoU, ()),
    (CategoricalAccuracy, ()),
    (CategoricalCrossentropy, ()),
    (CategoricalHinge, ()),
    (ConcordanceCorrelation, ()),
    (CosineSimilarity, ()),
    (F1Score, ()),
    (FBetaScore, ()),
    (FalseNegatives, ()),
    (FalsePositives, ()),
    (Hinge, ()),
    (IoU, ()),
    (KLDivergence, ()),
    (LogCoshError, ()),
    (Mean, ()),
    (MeanAbsoluteError, ("mae", "MAE")),
    (MeanAbsolutePercentageError, ("mape", "MAPE")),
    (MeanIoU, ()),
    (MeanSquaredError, ("mse", "MSE")),
    (MeanSquaredLogarithmicError, ("msle", "MSLE")),
    (OneHotIoU, ()),
    (OneHotMeanIoU, ()),
    (PearsonCorrelation, ()),
    (Poisson, ()),
    (Precision, ()),
    (PrecisionAtRecall, ()),
    (R2Score, ()),
    (Recall, ()),
    (RecallAtPrecision, ()),
    (RootMeanSquaredError, ("rmse", "RMSE")),
    (SensitivityAtSpecificity, ()),
    (SparseCategoricalAccuracy, ()),
    (SparseCategoricalCrossentropy, ()),
    (SparseTopKCategoricalAccuracy, ()),
    (SpecificityAtSensitivity, ()),
    (SquaredHinge, ()),
    (Sum, ()),
    (TopKCategoricalAccuracy, ()),
    (TrueNegatives, ()),
    (TruePositives, ()),
):
    registry.register(*_aliases)(_class)

# Files may name these, too; as a name given to ``compile`` or ``get`` each of them stands for its class.
for _named in (
    MeanMetricWrapper,
    accuracy,
    binary_accuracy,
    categorical_accuracy,
    concordance_correlation,
    pearson_correlation,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
):
    export(registry.module, _named)

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


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The metric of a configuration."""
    return registry.deserialize(config, custom_objects)


__all__ = [
    "AUC",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "BinaryIoU",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "ConcordanceCorrelation",
    "CosineSimilarity",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "Hinge",
    "IoU",
    "KLDivergence",
    "LogCoshError",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanIoU",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "OneHotIoU",
    "OneHotMeanIoU",
    "PearsonCorrelation",
    "Poisson",
    "Precision",
    "PrecisionAtRecall",
    "R2Score",
    "Recall",
    "RecallAtPrecision",
    "RootMeanSquaredError",
    "SensitivityAtSpecificity",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SpecificityAtSensitivity",
    "SquaredHinge",
    "Sum",
    "TopKCategoricalAccuracy",
    "TrueNegatives",
    "TruePositives",
    "accuracy",
    "binary_accuracy",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "concordance_correlation",
    "deserialize",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "metric_of",
    "pearson_correlation",
    "poisson",
    "serialize",
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
    "squared_hinge",
    "top_k_categorical_accuracy",
]

explain_missing(__name__)
