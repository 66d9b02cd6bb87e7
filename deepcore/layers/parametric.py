"""What the layers share whose weights are each given an initializer, a regularizer and a constraint."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from deepcore import serialization
from deepcore.layers.layer import Layer
from deepcore.variable import Variable


class ParametricLayer(Layer):
    """A layer with arguments such as ``kernel_initializer``, ``kernel_regularizer`` and ``kernel_constraint``."""

    _weight_arguments: tuple[str, ...] = ()

    def take_weight_arguments(self, **given: Any) -> None:
        """Makes attributes of arguments that end in ``_initializer``, ``_regularizer`` or ``_constraint``."""
        for argument, value in given.items():
            kinds = f"deepcore.{argument.rsplit('_', 1)[1]}s"
            setattr(self, argument, None if value is None else importlib.import_module(kinds).get(value))
        self._weight_arguments = (*self._weight_arguments, *given)

    def weight(self, name: str, shape: Sequence[int], trainable: bool = True, initializer: Any = None) -> Variable:
        """The weight ``name``, with what the layer was given for it."""
        return self.add_weight(
            shape,
            initializer or getattr(self, f"{name}_initializer"),
            trainable=trainable,
            regularizer=getattr(self, f"{name}_regularizer", None),
            constraint=getattr(self, f"{name}_constraint", None),
            name=name,
        )

    def get_config(self) -> dict[str, Any]:
        given = {argument: serialization.serialize(getattr(self, argument)) for argument in self._weight_arguments}
        return {**super().get_config(), **given}
