"""Optimizers by Keras's names."""

from __future__ import annotations

from typing import Any

from deepcore.errors import explain_missing
from deepcore.optimizers import schedules
from deepcore.optimizers.adaptive import Adagrad, Adam, AdamW, RMSprop
from deepcore.optimizers.expressions import Adadelta, Adamax, Ftrl, Lion, Nadam
from deepcore.optimizers.optimizer import Optimizer
from deepcore.optimizers.sgd import SGD
from deepcore.registry import Registry

registry = Registry("optimizer", "keras.optimizers", base=Optimizer)
for _class in (SGD, Adadelta, Adagrad, Adam, AdamW, Adamax, Ftrl, Lion, Nadam, RMSprop):
    registry.register(_class.__name__.lower())(_class)


def get(identifier: Any) -> Optimizer:
    """The optimizer of a name, a configuration or a class."""
    return registry.get(identifier.lower() if isinstance(identifier, str) else identifier)


def serialize(optimizer: Optimizer) -> Any:
    """The configuration of an optimizer."""
    return registry.serialize(optimizer)


def deserialize(config: Any, custom_objects: Any = None) -> Optimizer:
    """The optimizer of a configuration."""
    return registry.deserialize(config, custom_objects)


__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lion",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]

explain_missing(__name__)
