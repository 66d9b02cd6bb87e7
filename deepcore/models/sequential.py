"""Sequential: layers, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepcore import layers as layers_module
from deepcore.layers.input import InputLayer
from deepcore.layers.layer import Layer
from deepcore.layers.symbolic import SymbolicTensor, is_shape
from deepcore.models.model import Model


class Sequential(Model):
    """A model of layers, each of which is given the output of the one before.

    Args:
        layers: the layers; an ``Input(shape)`` as the first one lets the model be built at once, otherwise it is
            built when it first sees data.
        trainable: whether an optimizer may change its weights.
        name: ``sequential``, ``sequential_1``, ... by default.

    Raises ``TypeError`` for what is no layer, and ``ValueError`` for two layers of one name and for a layer that does
    not fit the one before, naming it.

    >>> from deepcore.layers import Dense, Input
    >>> model = Sequential([Input((3,)), Dense(2), Dense(1)])
    >>> model.output_shape, model.count_params()
    ((None, 1), 11)
    """

    def __init__(
        self, layers: Sequence[Any] | None = None, trainable: bool = True, name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(trainable=trainable, name=name, **kwargs)
        self._stack: list[Layer] = []
        self._input: InputLayer | None = None
        self._shape: Any = None  # of the input, once it is known
        for layer in layers or ():
            self.add(layer, rebuild=False)
        self._build_if_known()

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Puts ``layer`` at the end."""
        if isinstance(layer, SymbolicTensor):
            if layer.history is not None:
                raise ValueError(f"Only an Input may start a Sequential; {layer!r} is the output of a layer.")
            layer = InputLayer(layer.shape[1:], layer.shape[0], layer.dtype, layer.name)
        if not isinstance(layer, Layer):
            hint = f" Did you mean {layer.__name__}()?" if isinstance(layer, type) and issubclass(layer, Layer) else ""
            raise TypeError(f"A Sequential is made of layers; got {layer!r} ({type(layer).__name__}).{hint}")
        if isinstance(layer, InputLayer):
            if self._stack or self._input is not None:
                raise ValueError(f"{self.name}: an Input can only be the first of a Sequential's layers.")
            self._input = layer
            self._shape = layer.batch_shape
            return
        if any(layer.name == other.name for other in self._stack):
            raise ValueError(
                f"{self.name} has a layer called {layer.name!r} already; give one of the two another name=..."
            )
        if not self._stack and self._shape is None and layer.given_input_shape is not None:
            self._shape = (None, *layer.given_input_shape)
        self._stack.append(layer)
        if not self._trainable:
            layer.trainable = False
        self.built = False
        if rebuild:
            try:
                self._build_if_known()
            except (TypeError, ValueError):
                self._stack.pop()
                self._build_if_known()
                raise

    def pop(self) -> Layer:
        """Takes the last layer away, and gives it. Raises ``ValueError`` if there is none."""
        if not self._stack:
            raise ValueError(f"{self.name} has no layers to pop.")
        layer = self._stack.pop()
        self.built = False
        self._build_if_known()
        return layer

    def _build_if_known(self) -> None:
        if self._shape is not None and self._stack:
            self.build(self._shape)

    @property
    def layers(self) -> list[Layer]:
        """The layers in order, without the ``Input``."""
        return list(self._stack)

    @property
    def input_shape(self) -> Any:
        """With None for the batch axis; None while it is not known."""
        return self._shape

    @property
    def output_shape(self) -> Any:
        """With None for the batch axis. Raises ``ValueError`` while it is not known."""
        if self._shape is None:
            raise ValueError(f"{self.name} does not know its shapes yet: call it with data, or put an Input first.")
        return self.compute_output_shape(self._shape)

    def build(self, input_shape: Any = None) -> None:
        """Builds the layers that are not built yet for inputs of ``input_shape``."""
        shape = self._shape if input_shape is None else input_shape
        if shape is None or not is_shape(shape):
            raise ValueError(f"a Sequential is built for one input shape; got {input_shape!r}.")
        if not self._stack:
            raise ValueError("a Sequential without layers cannot be built; add() a layer first.")
        if self._shape is None:
            self._shape = (None, *shape[1:])
        for layer in self._stack:
            shape = layer(SymbolicTensor(shape, self.compute_dtype)).shape

    def call(self, x: Any) -> Any:
        for layer in self._stack:
            x = layer(x)
        return x

    def compute_output_shape(self, input_shape: Any) -> Any:
        shape = tuple(input_shape)
        for layer in self._stack:
            shape = layer(SymbolicTensor(shape, self.compute_dtype, "shape")).shape
        return shape

    def get_config(self) -> dict[str, Any]:
        first = [] if self._input is None else [layers_module.serialize(self._input)]
        return {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": self.dtype.name,
            "layers": [*first, *(layers_module.serialize(layer) for layer in self._stack)],
            "build_input_shape": self._shape,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        arguments = dict(config)
        shape = arguments.pop("build_input_shape", None)
        model = cls(**{**arguments, "layers": [layers_module.deserialize(layer) for layer in arguments["layers"]]})
        if shape is not None and not model.built:
            model.build(tuple(shape))
        return model


layers_module.registry.register()(Sequential)
