"""Penalties on weights, added to the loss, by Keras's names."""

from __future__ import annotations

from typing import Any

from deepcore import ops
from deepcore.registry import Configurable, Registry
from deepcore.tensor import Tensor

registry = Registry("regularizer", "deepcore.regularizers", callables=True)
_register = registry.register


class Regularizer(Configurable):
    """A function of one weight that gives a scalar penalty."""

    def __call__(self, x: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} must implement __call__(x).")


registry.base = Regularizer


@_register("l1_l2")
class L1L2(Regularizer):
    """l1 * sum(|x|) + l2 * sum(x * x)."""

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        for name, value in (("l1", l1), ("l2", l2)):
            if not 0 <= value < float("inf"):
                raise ValueError(f"{type(self).__name__}: {name} must be finite and not negative; got {value!r}.")
        self.l1, self.l2 = float(l1), float(l2)

    def __call__(self, x: Tensor) -> Tensor:
        terms = []
        if self.l1:
            terms.append(self.l1 * ops.sum(ops.abs(x)))
        if self.l2:
            terms.append(self.l2 * ops.sum(ops.square(x)))
        if not terms:
            return Tensor(0.0, x.dtype, x.device)
        return terms[0] if len(terms) == 1 else terms[0] + terms[1]

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}


@_register("l1")
class L1(L1L2):
    """l1 * sum(|x|). Tibshirani 1996."""

    def __init__(self, l1: float = 0.01) -> None:
        super().__init__(l1=l1)

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1}


@_register("l2")
class L2(L1L2):
    """l2 * sum(x * x). Hoerl and Kennard 1970."""

    def __init__(self, l2: float = 0.01) -> None:
        super().__init__(l2=l2)

    def get_config(self) -> dict[str, Any]:
        return {"l2": self.l2}


def get(identifier: Any) -> Any:
    """The regularizer of a name, a configuration or a class; any callable is one itself."""
    return registry.get(identifier)


def serialize(regularizer: Any) -> Any:
    """The configuration of a regularizer."""
    return registry.serialize(regularizer)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The regularizer of a configuration."""
    return registry.deserialize(config, custom_objects)
