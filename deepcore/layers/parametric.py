"""What the layers share whose weights are each given an initializer, a regularizer and a constraint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepcore import constraints, initializers, regularizers, serialization
from deepcore.layers.layer import Layer, constructor_arguments
from deepcore.variable import Variable

_KINDS = {"initializer": initializers, "regularizer": regularizers, "constraint": constraints}


def arguments_of(scope: dict[str, Any], *without: str) -> dict[str, Any]:
    """The arguments of a constructor from its ``locals()``, so that it need not list them a second time."""
    given = {name: value for name, value in scope.items() if name not in ("self", "__class__", "kwargs", *without)}
    return {**given, **scope.get("kwargs", {})}


class ParametricLayer(Layer):
    """A layer with arguments such as ``kernel_initializer``, ``kernel_regularizer`` and ``kernel_constraint``.

    Those that the constructor of a class takes become attributes, and part of the configuration.
    """

    def __init__(self, **kwargs: Any) -> None:
        known = constructor_arguments(type(self)) - {"activity_regularizer"}  # type: ignore[arg-type]
        given = {name: kwargs[name] for name in kwargs if name in known and name.rpartition("_")[2] in _KINDS}
        super().__init__(**{name: value for name, value in kwargs.items() if name not in given})
        for name, value in given.items():
            setattr(self, name, _KINDS[name.rpartition("_")[2]].get(value))
        self._weight_arguments = tuple(given)

    def weight(
        self, name: str, shape: Sequence[int], role: str = "", trainable: bool = True, initializer: Any = None
    ) -> Variable:
        """The weight ``name``, with what the layer was given for its ``role``, by default its name."""
        role = role or name
        return self.add_weight(
            shape,
            initializer or getattr(self, f"{role}_initializer"),
            trainable=trainable,
            regularizer=getattr(self, f"{role}_regularizer", None),
            constraint=getattr(self, f"{role}_constraint", None),
            name=name,
        )

    def get_config(self) -> dict[str, Any]:
        given = {argument: serialization.serialize(getattr(self, argument)) for argument in self._weight_arguments}
        return {**super().get_config(), **given}
