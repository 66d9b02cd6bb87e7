"""Model: a layer that can be trained, measured and shown."""

from __future__ import annotations

import inspect
import json
import warnings
from pathlib import Path
from typing import Any

from deepcore import serialization
from deepcore.layers.input import InputLayer
from deepcore.layers.layer import Layer
from deepcore.models.graph import Graph
from deepcore.models.inference import Fused, FusedSum
from deepcore.models.outputs import flat, shape_of
from deepcore.models.trainer import Trainer
from deepcore.structure import leaves, map_leaves, shape_leaves
from deepcore.symbolic import SymbolicTensor
from deepcore.tensor import Tensor


class Model(Trainer, Layer):
    """A layer with ``compile``, ``fit``, ``evaluate`` and ``predict``.

    ``Model(inputs, outputs)`` is the network drawn from one to the other with symbolic tensors. A subclass implements
    ``call``, or gives ``inputs`` and ``outputs`` to ``super().__init__``.

    >>> from deepcore.layers import Dense
    >>> class Double(Model):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.dense = Dense(1, kernel_initializer="ones")
    ...
    ...     def call(self, x):
    ...         return self.dense(x) * 2
    >>> Double().predict([[3.0]], verbose=0)
    array([[6.]], dtype=float32)
    """

    graph: Graph | None = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is Model and (args or "inputs" in kwargs or "outputs" in kwargs):
            from deepcore.models.functional import Functional

            return super().__new__(Functional, *args, **kwargs)
        return super().__new__(cls, *args, **kwargs)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        drawn = dict(zip(("inputs", "outputs"), args, strict=False))
        if len(args) > 2:
            raise TypeError(f"Model takes inputs and outputs, and the rest by name; got {len(args)} arguments.")
        drawn.update((key, kwargs.pop(key)) for key in ("inputs", "outputs") if key in kwargs)
        super().__init__(**kwargs)
        if drawn:
            if set(drawn) != {"inputs", "outputs"}:
                raise ValueError(f"A model is drawn from inputs= to outputs=; got only {next(iter(drawn))}.")
            self.set_graph(drawn["inputs"], drawn["outputs"])

    # A model that is drawn

    def set_graph(self, inputs: Any, outputs: Any) -> None:
        """Makes the model the network from ``inputs`` to ``outputs``; it is built then."""
        self.graph = Graph(inputs, outputs)
        names = [operation.name for operation in self.graph.operations]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"Two operations of a model cannot have one name; {', '.join(map(repr, twice))} "
                f"{'is' if len(twice) == 1 else 'are'} used twice. Give one of the layers another name=..."
            )
        self.built = True
        self.supports_masking = True
        if not self._trainable:
            self.trainable = False

    @property
    def inputs(self) -> list[SymbolicTensor]:
        """The symbolic inputs. Raises ``AttributeError`` for a model that is not drawn."""
        return leaves(self._graph_of("inputs").inputs)

    @property
    def outputs(self) -> list[SymbolicTensor]:
        """The symbolic outputs, of a dictionary in the order of its sorted keys. Raises ``AttributeError`` for a model
        that is not drawn."""
        return flat(self._graph_of("outputs").outputs)

    @property
    def input(self) -> Any:
        """The symbolic input, or inputs nested as they were given."""
        return self._graph_of("input").inputs

    @property
    def output(self) -> Any:
        """The symbolic output, or outputs nested as they were given."""
        return self._graph_of("output").outputs

    @property
    def input_shape(self) -> Any:
        """Of the input, or of each in a list; None for a batch axis of any size."""
        return map_leaves(lambda x: x.shape, self._graph_of("input_shape").inputs)

    @property
    def output_shape(self) -> Any:
        """Of the output, or of each in a list; None for a batch axis of any size."""
        return map_leaves(lambda x: x.shape, self._graph_of("output_shape").outputs)

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs, as ``fit`` takes them in a dictionary."""
        return [layer.output.name for layer in self._graph_of("input_names").input_layers]

    @property
    def output_names(self) -> list[str]:
        """Names of the operations that the outputs come from, as ``compile`` takes them in a dictionary."""
        return [x.node.operation.name if x.node is not None else x.name for x in self.outputs]

    @property
    def operations(self) -> list[Any]:
        """Layers and functions of a drawn model, in order."""
        return list(self._graph_of("operations").operations)

    @property
    def fused_layers(self) -> list[list[str]]:
        """Names of the layers that run as one where nothing is recorded or trained, as in ``predict``; in order.

        ``deepcore.models.use_fusion(False)`` lets all of them run by themselves.
        """
        operations = [step.operation for step, _ in self._graph_of("fused_layers").plan(True)]
        together = [one for one in operations if isinstance(one, Fused | FusedSum) and one.is_one]
        return [[layer.name for layer in one.layers] for one in together]

    def _graph_of(self, wanted: str) -> Graph:
        if self.graph is None:
            raise AttributeError(
                f"{self.name} has no {wanted} yet: it is not drawn with Input() and Model(inputs, outputs), and was "
                "not built for a shape."
            )
        return self.graph

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """The outputs of a drawn model. A subclass that is not drawn implements it."""
        if self.graph is None:
            raise NotImplementedError(f"{type(self).__name__} must implement call(x).")
        values = self._arranged(inputs)
        for value, one_mask in zip(values, leaves(mask), strict=False) if mask is not None else ():
            if isinstance(value, Tensor) and one_mask is not None:
                value.mask = one_mask
        return self.graph.run(values)

    def _arranged(self, inputs: Any) -> list[Any]:
        """What the model was called with, in the order of its inputs, checked and in their ranks and dtypes."""
        graph = self._graph_of("inputs")
        names = self.input_names
        expected = leaves(graph.inputs)
        named = isinstance(graph.inputs, dict)
        keys = list(graph.inputs) if named else names
        if isinstance(inputs, dict):
            optional = {name for name, layer in zip(names, graph.input_layers, strict=True) if layer.optional}
            missing = [key for key in keys if key not in inputs and key not in optional]
            if missing:
                raise ValueError(
                    f"the model takes the inputs {', '.join(map(repr, keys))}; got {', '.join(map(repr, inputs))}, "
                    f"without {', '.join(map(repr, missing))}."
                )
            unused = [key for key in inputs if key not in keys]
            if unused and named:
                self._warn_of_nesting(f"it leaves {', '.join(map(repr, unused))} out, which it does not know")
            values = [leaf for key in keys for leaf in leaves(inputs.get(key))]
        else:
            values = leaves(inputs)
            if named and keys != sorted(keys, key=str):
                raise ValueError(
                    f"the model takes a dictionary of inputs, {', '.join(map(repr, keys))}; got "
                    f"{type(inputs).__name__}, which does not say which is which."
                )
            one = len(expected) == 1 and not isinstance(inputs, list | tuple)
            if not one and len(values) == len(expected) and shape_of(inputs) != shape_of(graph.inputs):
                self._warn_of_nesting(f"it takes {shape_of(inputs)} in the order of {', '.join(map(repr, keys))}")
        if len(values) != len(expected):
            raise ValueError(
                f"the model takes {len(expected)} input{'s' * (len(expected) != 1)} "
                f"({', '.join(names)}); it was given {len(values)}."
            )
        return [
            _fitted(value, symbol, layer)
            for value, symbol, layer in zip(values, expected, graph.input_layers, strict=True)
        ]

    def _warn_of_nesting(self, what: str) -> None:
        warnings.warn(
            f"{self.name} was drawn with the inputs {shape_of(self.input)}, and is given others: {what}.", stacklevel=6
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self.graph is None:
            return Layer.compute_output_shape(self, input_shape)
        inputs, shapes = leaves(self.graph.inputs), shape_leaves(input_shape)
        if all(x.shape == shape for x, shape in zip(inputs, shapes, strict=False)):
            return map_leaves(lambda x: x.shape, self.graph.outputs)
        if all((None, *x.shape[1:]) == shape for x, shape in zip(inputs, shapes, strict=False)):  # drawn for one batch
            return map_leaves(lambda x: (None, *x.shape[1:]), self.graph.outputs)
        return Layer.compute_output_shape(self, input_shape)

    def build(self, input_shape: Any) -> None:
        """Builds all layers, by one call with ones."""
        if self.graph is None and type(self).call is not Model.call:
            self.built = True
            Layer.compute_output_shape(self, input_shape)

    # What it is made of

    @property
    def layers(self) -> list[Layer]:
        """The layers directly within the model, in order."""
        if self.graph is None:
            return self.sublayers()
        drawn = self.graph.layers
        known = {id(layer) for layer in drawn}
        return [*drawn, *(layer for layer in super().sublayers() if id(layer) not in known)]

    def sublayers(self) -> list[Layer]:
        return super().sublayers() if self.graph is None else self.layers

    def _members(self) -> Any:
        weights, layers = super()._members()
        if self.graph is None:
            return weights, layers
        drawn = {id(layer): layer for layer in self.graph.layers}
        drawn.update((id(layer), layer) for layer in layers)
        return weights, list(drawn.values())

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of that name, or at that place. Raises ``ValueError`` if there is none."""
        if (name is None) == (index is None):
            raise ValueError(f"get_layer takes a name or an index; got name={name!r}, index={index!r}.")
        layers = self.layers
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ValueError(f"The model has {len(layers)} layers; got index={index}.")
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        raise ValueError(f"The model has no layer {name!r}; it has {', '.join(repr(layer.name) for layer in layers)}.")

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Any = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
    ) -> None:
        """Prints each layer with its output shape and number of parameters.

        Args:
            line_length: width in characters; that of the terminal by default.
            positions: accepted as Keras has it; the columns find their widths themselves.
            print_fn: called with the text instead of printing it.
            expand_nested: whether to show layers within layers.
            show_trainable: whether to say which layers are trainable.
            layer_range: names of the first and the last layer to show.
        """
        from deepcore.models.summary import show

        show(self, line_length, print_fn, expand_nested, show_trainable, layer_range)

    # Files

    def save(self, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any) -> None:
        """Writes the model to a file: how it is made, its weights, and how it is trained, with the optimizer's state.

        Args:
            filepath: ends in ``.keras``; ``.h5`` writes the older format.
            overwrite: whether a file that is there is replaced; otherwise that is an error.
            zipped: False writes a folder instead of one file.

        ``deepcore.saving.load_model`` reads it, and so does Keras. The file is written beside the old one, which it
        replaces when it is whole. Raises ``ValueError`` for another ending, ``FileExistsError`` without ``overwrite``.
        """
        from deepcore.saving import save_model

        save_model(self, filepath, overwrite=overwrite, zipped=zipped, **kwargs)

    def save_weights(self, filepath: str | Path, overwrite: bool = True) -> None:
        """Writes all weights, and the optimizer's state, to a file ending in ``.weights.h5`` or ``.safetensors``."""
        from deepcore.saving import save_weights

        save_weights(self, filepath, overwrite=overwrite)

    def load_weights(self, filepath: str | Path, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Reads weights from a file of ``save_weights`` or ``save``, of Keras or of its older applications.

        Args:
            filepath: ends in ``.weights.h5``, ``.safetensors``, ``.keras``, ``.h5`` or ``.hdf5``.
            skip_mismatch: whether layers that do not fit are left as they are, with a warning.
            by_name: for ``.h5`` of the older format: whether layers are found by name instead of by order.

        Raises ``ValueError``, which lists them, for layers that do not fit, and changes nothing then.
        """
        from deepcore.saving import load_weights

        load_weights(self, filepath, skip_mismatch=skip_mismatch, **kwargs)

    def to_json(self, **kwargs: Any) -> str:
        """How the model is made, without its weights; ``deepcore.models.model_from_json`` makes it anew.

        Args:
            **kwargs: for ``json.dumps``.
        """
        return json.dumps(serialization.serialize(self), **kwargs)

    def get_config(self) -> dict[str, Any]:
        """The operations and calls of a drawn model; otherwise the constructor's arguments, as of any layer."""
        from deepcore.models.graph_config import graph_config

        if self.graph is not None and _made_like_functional(type(self)):
            return graph_config(self)
        automatic = self._own_arguments() if type(self).get_config is Model.get_config else {}
        return {**super().get_config(), **automatic}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """The model of ``get_config``'s dictionary, which may name ``custom_objects``."""
        from deepcore.models.graph_config import graph_from_config

        with serialization.CustomObjectScope(custom_objects):
            if {"layers", "input_layers", "output_layers"} <= set(config) and _made_like_functional(cls):
                return graph_from_config(cls, config)
            return cls(**config)

    def get_build_config(self) -> dict[str, Any] | None:
        """The shapes that the model was built for; a drawn model says them in its configuration."""
        return super().get_build_config() if self.graph is None else {"input_shape": None}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Builds the model for the shapes of ``get_build_config``; warns where that is not possible."""
        try:
            super().build_from_config(config)
        except (NotImplementedError, TypeError, ValueError) as error:
            warnings.warn(
                f"{self.name} was built for {config}, but cannot be built for it now, so it has no weights yet: "
                f"{error} Implement build_from_config(config), and get_build_config() if it needs more to know.",
                stacklevel=2,
            )

    def get_compile_config(self) -> dict[str, Any]:
        """What ``compile`` was given, as data; empty before."""
        return serialization.serialize(self._compile_arguments)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """``compile`` with ``get_compile_config``'s dictionary; the optimizer knows the weights then.

        A class with a ``compile`` of its own overrides both; otherwise a warning says that it is not compiled.
        """
        if type(self).compile is not Trainer.compile:
            warnings.warn(
                "`compile()` was not called as part of model loading because the model's `compile()` method is custom. "
                f"Call {type(self).__name__}.compile after loading, or implement get_compile_config() and "
                "compile_from_config(config).",
                stacklevel=2,
            )
            return
        self.compile(**serialization.deserialize(config))
        if self.built and not self.optimizer.built and self.trainable_weights:
            self.optimizer.build(self.trainable_weights)


def _made_like_functional(cls: Any) -> bool:
    """Whether the class is made with ``cls(inputs, outputs, name=..., trainable=...)``."""
    parameters = inspect.signature(cls.__init__).parameters.values()
    kinds = {parameter.kind for parameter in parameters}
    takes_anything = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD} <= kinds
    return takes_anything or [p.name for p in parameters][1:5] == ["inputs", "outputs", "name", "trainable"]


def _fitted(value: Any, symbol: SymbolicTensor, layer: InputLayer) -> Any:
    """``value`` in the rank of ``symbol``: an axis of length one at the end is added or taken away.

    A batch may have another size than the one that was drawn.
    """
    if value is None:
        if not layer.optional and symbol.node is not None and symbol.node.operation is layer:
            raise ValueError(
                f"the input {layer.output.name!r} is not optional, but None was passed for it. Make it with "
                "Input(..., optional=True) where the model can do without."
            )
        return None
    shape = tuple(value.shape)
    if len(shape) == len(symbol.shape) + 1 and shape[-1] == 1:
        value = value.reshape(shape[:-1])
    elif len(shape) == len(symbol.shape) - 1 and symbol.shape[-1] == 1:
        value = value.reshape((*shape, 1))
    shape = tuple(value.shape)
    fits = len(shape) == len(symbol.shape) and all(
        want in (None, have) for have, want in zip(shape[1:], symbol.shape[1:], strict=True) if have is not None
    )
    if not fits:
        raise ValueError(f"expected the input {layer.output.name!r} to have shape {symbol.shape}, got shape {shape}.")
    if isinstance(value, Tensor) and value.dtype != symbol.dtype and symbol.dtype.kind in "iub":
        value = value.astype(symbol.dtype)
    return value
