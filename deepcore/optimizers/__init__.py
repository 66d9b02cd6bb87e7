"""Optimizers by Keras's names."""

from __future__ import annotations

from typing import Any

from deepcore.errors import explain_missing
from deepcore.optimizers import schedules
from deepcore.optimizers.adafactor import Adafactor
from deepcore.optimizers.adaptive import Adadelta, Adagrad, Ftrl, RMSprop
from deepcore.optimizers.loss_scale import LossScaleOptimizer
from deepcore.optimizers.moments import Adam, Adamax, AdamW, Lamb, Lion, Nadam
from deepcore.optimizers.optimizer import Optimizer
from deepcore.optimizers.sgd import SGD
from deepcore.registry import Registry

registry = Registry("optimizer", "keras.optimizers", base=Optimizer)
for _class in (
    SGD,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    AdamW,
    Adamax,
    Ftrl,
    Lamb,
    Lion,
    LossScaleOptimizer,
    Nadam,
    RMSprop,
):
    registry.register(_class.__name__.lower())(_class)


def get(identifier: Any) -> Any:
    """The optimizer of a name, a configuration or a class; an optimizer and None as they are.

    Raises ``ValueError`` for anything else.
    """
    try:
        return registry.get(identifier.lower() if isinstance(identifier, str) else identifier)
    except TypeError as error:
        raise ValueError(str(error)) from error


def serialize(optimizer: Optimizer) -> Any:
    """The configuration of an optimizer."""
    return registry.serialize(optimizer)


def deserialize(config: Any, custom_objects: Any = None) -> Optimizer:
    """The optimizer of a configuration."""
    return registry.deserialize(config, custom_objects)


__all__ = [
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lamb",
    "Lion",
    "LossScaleOptimizer",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]

explain_missing(__name__)
