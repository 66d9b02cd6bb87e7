"""Functional models: a graph of layers from inputs to outputs."""

from __future__ import annotations

from typing import Any

from deepcore import layers as layers_module
from deepcore import serialization
from deepcore.models import replay
from deepcore.models.model import Model


class Functional(Model):
    """What ``Model(inputs, outputs)`` makes.

    Args:
        inputs, outputs: symbolic tensors, or nested lists and dictionaries of them.
        name: ``functional``, ``functional_1``, ... by default.
        trainable: whether an optimizer may change its weights.

    >>> from deepcore.layers import Dense, Input
    >>> x = Input((3,))
    >>> y = Dense(3, activation="relu")(x)
    >>> model = Functional(x, x + y)
    >>> model.output_shape, model.count_params()
    ((None, 3), 12)
    """

    def __init__(
        self,
        inputs: Any = None,
        outputs: Any = None,
        name: str | None = None,
        trainable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        for what, given in (("inputs", inputs), ("outputs", outputs)):
            if given is None:
                raise ValueError(f"A model is drawn from inputs= to outputs=; {what} was not given.")
        super().__init__(name=name, **kwargs)
        self.set_graph(inputs, outputs)
        if trainable is not None:
            self.trainable = trainable


replay.KINDS.add(Functional)
layers_module.registry.register("Model")(Functional)
for _home in ("keras", "keras.models"):
    serialization.export(_home, Functional, alias="Model")
    serialization.export(_home, Functional)
serialization.export("keras.src.models.functional", Functional, registered_name="Functional")
