"""Copies of models with new weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deepcore import serialization
from deepcore.layers.input import Input, InputLayer
from deepcore.layers.layer import Layer
from deepcore.models.functional import Functional
from deepcore.models.model import Model
from deepcore.models.outputs import shape_of
from deepcore.models.sequential import Sequential
from deepcore.structure import leaves, map_leaves, pack_as
from deepcore.symbolic import SymbolicTensor


def clone_model(
    model: Model,
    input_tensors: Any = None,
    clone_function: Callable[[Layer], Layer] | None = None,
    call_function: Callable[..., Any] | None = None,
    recursive: bool = False,
) -> Any:
    """The same network with layers, and weights, of its own; compiled like it, with a new optimizer.

    Args:
        model: a drawn model or a ``Sequential``; another one is made anew from its configuration.
        input_tensors: the symbolic inputs of the new model; new ones by default.
        clone_function: gives the new layer for a layer; by default one of the same configuration. A layer that is used
            twice is cloned once.
        call_function: ``f(layer, *args, **kwargs)``, which gives the output of a new layer; it may add others.
        recursive: whether models within are cloned in the same way, and not by ``clone_function``.

    Raises ``ValueError`` for arguments that a model of this kind cannot be cloned with.

    >>> from deepcore.layers import Dense
    >>> model = Sequential([Input((3,)), Dense(2)])
    >>> clone_model(model).count_params()
    8
    """
    clone = _clone(model, input_tensors, clone_function, call_function, recursive, {})
    if model.compiled and type(model).compile is Model.compile:
        clone.compile_from_config(model.get_compile_config())
    return clone


def _clone(
    model: Model,
    input_tensors: Any,
    clone_function: Callable[[Layer], Layer] | None,
    call_function: Callable[..., Any] | None,
    recursive: bool,
    clones: dict[int, Any],
) -> Any:
    def clone_of(layer: Layer) -> Any:
        if id(layer) not in clones:
            if recursive and isinstance(layer, Model) and (layer.graph is not None or isinstance(layer, Sequential)):
                inner = None if isinstance(layer, Sequential) else call_function
                clones[id(layer)] = _clone(layer, None, clone_function, inner, True, clones)
            else:
                make = clone_function or (lambda one: type(one).from_config(one.get_config()))
                clones[id(layer)] = make(layer)
        return clones[id(layer)]

    if isinstance(model, Sequential):
        if call_function is not None:
            raise ValueError("call_function is for drawn models: the layers of a Sequential are listed, not called.")
        return _clone_sequential(model, input_tensors, clone_of)
    if model.graph is not None and (clone_function or input_tensors is not None or call_function or _is_drawn(model)):
        return _clone_drawn(model, input_tensors, clone_of, call_function or (lambda layer, *a, **k: layer(*a, **k)))
    if clone_function is not None or input_tensors is not None or call_function is not None:
        raise ValueError(
            "clone_function, input_tensors and call_function are for drawn models and Sequentials; "
            f"{type(model).__name__} computes in a call() of its own."
        )
    return serialization.deserialize(serialization.serialize(model), {type(model).__name__: type(model)})


def _is_drawn(model: Model) -> bool:
    return type(model).get_config in (Model.get_config, Functional.get_config)


def _clone_sequential(model: Sequential, input_tensors: Any, clone_of: Callable[[Layer], Any]) -> Sequential:
    layers = [clone_of(layer) for layer in model.layers]
    known = model._input
    if input_tensors is not None:
        given = leaves(input_tensors)
        if len(given) != 1 or not isinstance(given[0], SymbolicTensor):
            raise ValueError(f"A Sequential is cloned onto one symbolic tensor; got input_tensors={input_tensors!r}.")
        layers.insert(
            0,
            InputLayer(
                batch_shape=given[0].shape, dtype=given[0].dtype, name=known.name if known is not None else None
            ),
        )
    elif known is not None:
        layers.insert(0, InputLayer.from_config(known.get_config()))
    return type(model)(layers, name=model.name, trainable=model.trainable)


def _clone_drawn(model: Model, input_tensors: Any, clone_of: Callable[[Layer], Any], call: Callable[..., Any]) -> Model:
    graph = model.graph
    assert graph is not None
    old = leaves(graph.inputs)
    if input_tensors is None:
        inputs = map_leaves(lambda x: x, graph.inputs)
        new = [
            Input(batch_shape=x.shape, dtype=x.dtype, name=layer.name, optional=layer.optional)
            for x, layer in zip(old, graph.input_layers, strict=True)
        ]
    else:
        if isinstance(graph.inputs, dict) != isinstance(input_tensors, dict):
            raise ValueError(
                f"input_tensors must be nested like the model's inputs, {shape_of(graph.inputs)}; got "
                f"{shape_of(input_tensors)}."
            )
        inputs = input_tensors
        new = leaves(input_tensors)
        if len(new) != len(old) or not all(isinstance(x, SymbolicTensor) for x in new):
            raise ValueError(
                f"{model.name} has {len(old)} inputs; input_tensors must be as many symbolic tensors, got {new!r}."
            )
    made: dict[int, Any] = {id(x): y for x, y in zip(old, new, strict=True)}

    def value_of(x: Any) -> Any:
        return made[id(x)] if isinstance(x, SymbolicTensor) else x

    for node in graph.nodes:
        args, kwargs = map_leaves(value_of, node.args), map_leaves(value_of, node.kwargs)
        operation = node.operation
        if isinstance(operation, Layer):
            results = call(clone_of(operation), *args, **kwargs)
        else:
            results = type(operation)(operation.function, operation.name)(*args, **kwargs)
        made.update((id(x), y) for x, y in zip(node.outputs, leaves(results), strict=True))
    outputs = map_leaves(value_of, graph.outputs)
    cls: Any = type(model)
    return cls(pack_as(inputs, new), outputs, name=model.name, trainable=model.trainable)
