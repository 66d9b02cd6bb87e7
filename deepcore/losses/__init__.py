"""Losses by Keras's names, each as a class and as a function."""

from __future__ import annotations

from typing import Any

from deepcore.errors import explain_missing
from deepcore.losses.crossentropy import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
    binary_crossentropy,
    categorical_crossentropy,
    sparse_categorical_crossentropy,
)
from deepcore.losses.loss import Loss, LossFunction
from deepcore.losses.regression import (
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
    huber,
    mean_absolute_error,
    mean_squared_error,
)
from deepcore.registry import Registry

registry = Registry("loss", "deepcore.losses", base=Loss, callables=True)
for _class in (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
    SparseCategoricalCrossentropy,
):
    registry.register()(_class)
# After the classes: a name in snake case stands for the function, as in Keras.
for _function, _aliases in (
    (binary_crossentropy, ("bce", "BCE")),
    (categorical_crossentropy, ()),
    (huber, ()),
    (mean_absolute_error, ("mae", "MAE")),
    (mean_squared_error, ("mse", "MSE")),
    (sparse_categorical_crossentropy, ()),
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


def deserialize(config: Any) -> Any:
    """The loss of a configuration."""
    return registry.deserialize(config)


__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "Huber",
    "Loss",
    "LossFunction",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "SparseCategoricalCrossentropy",
    "binary_crossentropy",
    "categorical_crossentropy",
    "deserialize",
    "get",
    "huber",
    "loss_of",
    "mean_absolute_error",
    "mean_squared_error",
    "serialize",
    "sparse_categorical_crossentropy",
]

explain_missing(__name__)
