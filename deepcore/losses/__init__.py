"""Losses by Keras's names, each as a class and as a function."""

from __future__ import annotations

from typing import Any

from deepcore.errors import explain_missing
from deepcore.losses.crossentropy import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    KLDivergence,
    Poisson,
    SparseCategoricalCrossentropy,
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
    kl_divergence,
    poisson,
    sparse_categorical_crossentropy,
)
from deepcore.losses.hinge import (
    CategoricalHinge,
    Hinge,
    SquaredHinge,
    ZeroOne,
    categorical_hinge,
    hinge,
    squared_hinge,
    zero_one,
)
from deepcore.losses.loss import (
    Loss,
    LossFunction,
)
from deepcore.losses.regression import (
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    huber,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
)
from deepcore.losses.similarity import (
    Circle,
    CosineSimilarity,
    Dice,
    Tversky,
    circle,
    cosine_similarity,
    dice,
    tversky,
)
from deepcore.registry import Registry

registry = Registry("loss", "deepcore.losses", base=Loss, callables=True)
for _class in (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    CategoricalHinge,
    Circle,
    CosineSimilarity,
    Dice,
    Hinge,
    Huber,
    KLDivergence,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredHinge,
    Tversky,
    ZeroOne,
):
    registry.register()(_class)
# After the classes: a name in snake case stands for the function, as in Keras.
for _function, _aliases in (
    (binary_crossentropy, ("bce", "BCE")),
    (binary_focal_crossentropy, ()),
    (categorical_crossentropy, ()),
    (categorical_focal_crossentropy, ()),
    (categorical_generalized_cross_entropy, ()),
    (categorical_hinge, ()),
    (circle, ()),
    (cosine_similarity, ()),
    (dice, ()),
    (hinge, ()),
    (huber, ()),
    (kl_divergence, ("kld", "KLD", "kullback_leibler_divergence")),
    (log_cosh, ("logcosh",)),
    (mean_absolute_error, ("mae", "MAE")),
    (mean_absolute_percentage_error, ("mape", "MAPE")),
    (mean_squared_error, ("mse", "MSE")),
    (mean_squared_logarithmic_error, ("msle", "MSLE")),
    (poisson, ()),
    (sparse_categorical_crossentropy, ()),
    (squared_hinge, ()),
    (tversky, ()),
    (zero_one, ("zero_one_loss",)),
):
    registry.register(*_aliases)(_function)


def get(identifier: Any) -> Any:
    """The loss of a name (a function), a configuration or a class; any callable f(y_true, y_pred) is one itself."""
    return registry.get(identifier)


def loss_of(identifier: Any) -> Loss:
    """``get(identifier)`` as a ``Loss``."""
    loss = get(identifier)
    return loss if isinstance(loss, Loss) else LossFunction(loss)


def serialize(loss: Any) -> Any:
    """The configuration of a loss, or a function's name."""
    return registry.serialize(loss)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The loss of a configuration."""
    return registry.deserialize(config, custom_objects)


__all__ = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "CategoricalHinge",
    "Circle",
    "CosineSimilarity",
    "Dice",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "LossFunction",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "Tversky",
    "ZeroOne",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
    "circle",
    "cosine_similarity",
    "deserialize",
    "dice",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "loss_of",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "serialize",
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "tversky",
    "zero_one",
]

explain_missing(__name__)
