"""Sequential: layers, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepcore import layers as layers_module
from deepcore import ops, serialization
from deepcore.layers.input import InputLayer
from deepcore.layers.layer import Layer
from deepcore.models import replay
from deepcore.models.graph import Graph
from deepcore.models.inference import is_fusing
from deepcore.models.model import Model
from deepcore.structure import is_shape
from deepcore.symbolic import SymbolicTensor
from deepcore.tensor import Tensor


class Sequential(Model):
    """A model of layers, each of which is given the output of the one before.

    Args:
        layers: the layers; an ``Input(shape)`` as the first one lets the model be built at once, otherwise it is
            built when it first sees data.
        trainable: whether an optimizer may change its weights.
        name: ``sequential``, ``sequential_1``, ... by default.

    Raises ``ValueError`` for what is no layer, for two layers of one name and for a layer that does not fit the one
    before, naming it.

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
        self._drawn: list[SymbolicTensor] = []  # the input, and the output of each layer, once shapes are known
        for layer in layers or ():
            self.add(layer, rebuild=False)
        self._build_if_known()

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Puts ``layer`` at the end."""
        if isinstance(layer, SymbolicTensor):
            if layer.node is None or not isinstance(layer.node.operation, InputLayer):
                raise ValueError(f"Only an Input may start a Sequential; {layer!r} is the output of a layer.")
            layer = layer.node.operation
        if not isinstance(layer, Layer):
            hint = f" Did you mean {layer.__name__}()?" if isinstance(layer, type) and issubclass(layer, Layer) else ""
            raise ValueError(f"A Sequential is made of layers; got {layer!r} ({type(layer).__name__}).{hint}")
        if isinstance(layer, InputLayer):
            if self._stack or self._input is not None:
                raise ValueError(f"{self.name}: an Input can only be the first of a Sequential's layers.")
            self._input = layer
            return
        if any(layer.name == other.name for other in self._stack):
            raise ValueError(
                f"{self.name} has a layer called {layer.name!r} already; give one of the two another name=..."
            )
        if not self._stack and self._input is None:
            self._input = _input_of(layer)
        self._stack = [*self._stack, layer]
        if not self._trainable:
            layer.trainable = False
        if rebuild:
            try:
                self._build_if_known()
            except (TypeError, ValueError):
                self._stack = self._stack[:-1]
                raise

    def pop(self, rebuild: bool = True) -> Layer:
        """Takes the last layer away, and gives it. Raises ``ValueError`` if there is none."""
        if not self._stack:
            raise ValueError(f"{self.name} has no layers to pop.")
        layer, self._stack = self._stack[-1], self._stack[:-1]
        if self._drawn:
            node = self._drawn.pop().node
            layer._inbound_nodes = [other for other in layer._inbound_nodes if other is not node]
        self._close()
        return layer

    def _build_if_known(self) -> None:
        if self._input is not None and self._stack:
            self.build(self._input.batch_shape)

    @property
    def layers(self) -> list[Layer]:
        """The layers in order, without the ``Input``."""
        return list(self._stack)

    def _members(self) -> Any:
        return [], list(self._stack)

    @property
    def input_shape(self) -> Any:
        """With None for a batch axis of any size. Raises ``AttributeError`` while it is not known."""
        if self._input is None:
            self._graph_of("input_shape")
        return self._known_shape

    @property
    def _known_shape(self) -> Any:
        return None if self._input is None else self._input.batch_shape

    def build(self, input_shape: Any = None) -> None:
        """Builds the layers that are not built yet for inputs of ``input_shape``."""
        shape = self._known_shape if input_shape is None else input_shape
        if shape is None:
            raise ValueError("a Sequential is built for an input shape, such as build((None, 4)); none is known.")
        if not self._stack:
            raise ValueError("a Sequential without layers cannot be built; add() a layer first.")
        if not is_shape(shape):  # the first layer takes several inputs, and nothing is drawn
            self.built = True
            Layer.compute_output_shape(self, shape)
            return
        known = self._input
        if known is None:
            self._input = InputLayer(batch_shape=(None, *shape[1:]), dtype=self.compute_dtype)
        if not self._drawn and self._input is not None:
            self._drawn = [self._input.output]
        try:
            for layer in self._stack[len(self._drawn) - 1 :]:
                self._drawn.append(layer(self._drawn[-1]))
        except (TypeError, ValueError):
            if known is None:  # the next data may fit
                self._input, self._drawn = None, []
            raise
        self._close()

    def _close(self) -> None:
        """The network is what is drawn now; without layers there is none."""
        self.built = len(self._drawn) == len(self._stack) + 1 > 1
        self.graph = Graph(self._drawn[0], self._drawn[-1]) if self.built else None

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        x = inputs
        shape = tuple(x.shape) if hasattr(x, "shape") else None
        if shape is not None and (wanted := len(self._ranked(shape))) != len(shape):
            x = ops.expand_dims(x, -1) if wanted > len(shape) else ops.squeeze(x, -1)
        if mask is not None and isinstance(x, Tensor):
            x.mask = mask
        if self.graph is not None and len(self._drawn) == len(self._stack) + 1 and is_fusing():
            return self.graph.run([x])
        for layer in self._stack:
            x = layer(x)
        return x

    def _ranked(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """``shape`` in the rank of the input, where an axis of one at the end makes the difference."""
        wanted = self.input_shape
        if wanted is not None and len(shape) == len(wanted) - 1 and wanted[-1] == 1:
            return (*shape, 1)
        if wanted is not None and len(shape) == len(wanted) + 1 and shape[-1] == 1:
            return shape[:-1]
        return shape

    def compute_output_shape(self, input_shape: Any) -> Any:
        shape = self._ranked(tuple(input_shape)) if is_shape(input_shape) else input_shape
        if self.built and self._drawn and shape == self._drawn[0].shape:
            return self._drawn[-1].shape
        for layer in self._stack:
            shape = layer.checked_output_shape(shape)
        return shape

    @property
    def output_shape(self) -> Any:
        """With None for a batch axis of any size. Raises ``AttributeError`` while it is not known."""
        self._graph_of("output_shape")
        return self._drawn[-1].shape

    def get_build_config(self) -> dict[str, Any] | None:
        return None if self._known_shape is None else {"input_shape": self._known_shape}

    def get_config(self) -> dict[str, Any]:
        first = [] if self._input is None else [layers_module.serialize(self._input)]
        return {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": self.dtype_policy.serialize(),
            "layers": [*first, *(layers_module.serialize(layer) for layer in self._stack)],
            "build_input_shape": self._known_shape,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        if "layers" not in config:
            return cls(**config)
        if "name" not in config:
            raise ValueError(
                f"The configuration of a Sequential is a dictionary with 'name' and 'layers'; got {config!r}."
            )
        arguments = dict(config)
        shape = arguments.pop("build_input_shape", None)
        parts = [layers_module.deserialize(layer, custom_objects) for layer in arguments["layers"]]
        model = cls(**{**arguments, "layers": parts})
        if shape is not None and not model.built:
            model.build(tuple(shape))
        return model


def _input_of(layer: Layer) -> InputLayer | None:
    """What the first layer says of the model's input: by ``input_shape``, or as a model that was drawn."""
    if layer.given_input_shape is not None:
        return InputLayer(batch_shape=(None, *layer.given_input_shape), dtype=layer.compute_dtype)
    if isinstance(layer, Model) and layer.graph is not None:
        drawn = layer.graph.inputs
        only = drawn[0] if isinstance(drawn, list | tuple) and len(drawn) == 1 else drawn
        if isinstance(only, SymbolicTensor):
            return InputLayer(batch_shape=only.shape, dtype=only.dtype)
    return None


replay.KINDS.add(Sequential)
layers_module.registry.register()(Sequential)
for _home in ("keras.models", "keras"):
    serialization.export(_home, Sequential)
