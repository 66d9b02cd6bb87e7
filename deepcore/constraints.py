"""What a weight is held to after every step of an optimizer, by Keras's names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepcore import ops
from deepcore.errors import explain_missing
from deepcore.registry import Configurable, Registry
from deepcore.tensor import Tensor

registry = Registry("constraint", "deepcore.constraints", callables=True)
_register = registry.register

EPSILON = 1e-7  # added to norms before dividing by them, as in Keras
Axis = int | Sequence[int]


class Constraint(Configurable):
    """A function of a weight that gives an allowed one; this one allows them all."""

    def __call__(self, w: Any) -> Tensor:
        return ops.convert_to_tensor(w)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.get_config().items())})"


registry.base = Constraint


def _norms(w: Tensor, axis: Axis) -> Tensor:
    return ops.sqrt(ops.sum(ops.square(w), axis, keepdims=True))


@_register()
class MaxNorm(Constraint):
    """Norms over ``axis`` of at most ``max_value``. Srebro and Shraibman 2005.

    Args:
        max_value: the largest norm.
        axis: of the inputs of one unit: 0 for the kernel of ``Dense``, [0, 1, 2] for that of ``Conv2D``.
    """

    def __init__(self, max_value: float = 2, axis: Axis = 0) -> None:
        self.max_value, self.axis = max_value, axis

    def __call__(self, w: Any) -> Tensor:
        weight = ops.convert_to_tensor(w)
        norms = _norms(weight, self.axis)
        return weight * (ops.clip(norms, 0, self.max_value) / (norms + EPSILON))

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, "axis": self.axis}


@_register()
class NonNeg(Constraint):
    """No element below zero.

    >>> NonNeg()([-1.0, 2.0])
    Tensor([0., 2.], dtype=float32)
    """

    def __call__(self, w: Any) -> Tensor:
        return ops.maximum(ops.convert_to_tensor(w), 0)


@_register()
class UnitNorm(Constraint):
    """Norms over ``axis`` of one; see ``MaxNorm``."""

    def __init__(self, axis: Axis = 0) -> None:
        self.axis = axis

    def __call__(self, w: Any) -> Tensor:
        weight = ops.convert_to_tensor(w)
        return weight / (_norms(weight, self.axis) + EPSILON)

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis}


@_register()
class MinMaxNorm(Constraint):
    """Norms over ``axis`` between two bounds.

    Args:
        min_value, max_value: the smallest and the largest norm.
        rate: how much of the way there is gone at each step, from 0 to 1.
        axis: see ``MaxNorm``.
    """

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Axis = 0) -> None:
        self.min_value, self.max_value, self.rate, self.axis = min_value, max_value, rate, axis

    def __call__(self, w: Any) -> Tensor:
        weight = ops.convert_to_tensor(w)
        norms = _norms(weight, self.axis)
        wanted = ops.clip(norms, self.min_value, self.max_value) * self.rate + norms * (1 - self.rate)
        return weight * (wanted / (norms + EPSILON))

    def get_config(self) -> dict[str, Any]:
        return {
            "min_value": self.min_value,
            "max_value": self.max_value,
            "rate": self.rate,
            "axis": self.axis,
        }


max_norm, non_neg, unit_norm, min_max_norm = MaxNorm, NonNeg, UnitNorm, MinMaxNorm


def get(identifier: Any) -> Any:
    """The constraint of a name, a configuration or a class; any callable is one itself."""
    return registry.get(identifier)


def serialize(constraint: Any) -> Any:
    """The configuration of a constraint."""
    return registry.serialize(constraint)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The constraint of a configuration."""
    return registry.deserialize(config, custom_objects)


explain_missing(__name__)
