"""Functional models: a graph of layers from inputs to outputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepcore import layers as layers_module
from deepcore import ops
from deepcore.layers.input import InputLayer
from deepcore.layers.layer import Layer
from deepcore.models.model import Model
from deepcore.structure import leaves, like, map_leaves
from deepcore.symbolic import CallNode, SymbolicTensor
from deepcore.tensor import Tensor


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

    def get_config(self) -> dict[str, Any]:
        if type(self) is not Functional:  # a class of its own makes its graph itself
            return Layer.get_config(self)
        return graph_config(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        if "layers" not in config:
            return cls(**config)
        return graph_from_config(cls, config)


def graph_config(model: Model) -> dict[str, Any]:
    """A functional model as a dictionary: each operation with the calls that belong to the model."""
    graph = model.graph
    assert graph is not None
    calls: dict[int, list[CallNode]] = {}
    for node in graph.nodes:
        calls.setdefault(id(node.operation), []).append(node)
    # Calls are numbered in the order in which they were made, as they are when they are made again.
    for nodes in calls.values():
        own = getattr(nodes[0].operation, "_inbound_nodes", nodes)
        order = {id(node): i for i, node in enumerate(own)}
        nodes.sort(key=lambda node: order.get(id(node), 0))
    stand_ins = {
        id(tensor): (layer.name, 0, 0) for tensor, layer in zip(leaves(graph.inputs), graph.input_layers, strict=True)
    }

    def place(tensor: SymbolicTensor) -> tuple[str, int, int]:
        if id(tensor) in stand_ins:
            return stand_ins[id(tensor)]
        node = tensor.node
        assert node is not None
        index = next(i for i, n in enumerate(calls[id(node.operation)]) if n is node)
        return node.operation.name, index, tensor.index

    def value(x: Any) -> Any:
        if not isinstance(x, SymbolicTensor):
            return _value_config(x)
        return {
            "class_name": "__keras_tensor__",
            "config": {"shape": x.shape, "dtype": x.dtype.name, "keras_history": list(place(x))},
        }

    listed = []
    for operation in graph.operations:
        made = [
            {"args": map_leaves(value, list(node.args)), "kwargs": map_leaves(value, node.kwargs)}
            for node in calls.get(id(operation), ())
        ]
        entry = layers_module.serialize(operation) if isinstance(operation, Layer) else _function_config(operation)
        listed.append({**entry, "name": operation.name, "inbound_nodes": made})
    return {
        "name": model.name,
        "trainable": model.trainable,
        "layers": listed,
        "input_layers": map_leaves(lambda x: list(place(x)), graph.inputs),
        "output_layers": map_leaves(lambda x: list(place(x)), graph.outputs),
    }


def graph_from_config(cls: type[Functional], config: dict[str, Any]) -> Functional:
    """The model of ``graph_config``'s dictionary: its operations are made, then called as they were."""
    made: dict[str, Any] = {}
    results: dict[tuple[str, int], list[Any]] = {}
    waiting: list[tuple[str, int, Any]] = []
    for entry in config["layers"]:
        name = entry["name"]
        is_function = entry["class_name"] == "Operation"
        made[name] = ops.Operation(**entry["config"]) if is_function else layers_module.deserialize(entry)
        if isinstance(made[name], InputLayer):
            results[name, 0] = [made[name].output]
        waiting.extend((name, i, call) for i, call in enumerate(entry["inbound_nodes"]))

    def tensor(place: Any) -> SymbolicTensor:
        name, call, index = place
        return results[name, call][index]

    def value(x: Any) -> Any:
        if isinstance(x, dict):
            if x.get("class_name") == "__keras_tensor__":
                return tensor(x["config"]["keras_history"])
            if "class_name" in x:
                return _value_from_config(x)
            return {key: value(part) for key, part in x.items()}
        if isinstance(x, list | tuple):
            return like(x, [value(part) for part in x])
        return x

    while waiting:
        later = []
        for name, i, call in waiting:
            if i and (name, i - 1) not in results:
                later.append((name, i, call))
                continue
            try:
                args, kwargs = value(call["args"]), value(call["kwargs"])
            except KeyError:
                later.append((name, i, call))
                continue
            results[name, i] = leaves(made[name](*args, **kwargs))
        if len(later) == len(waiting):
            names = ", ".join(sorted({name for name, _, _ in later}))
            raise ValueError(f"The configuration of {config.get('name')!r} is not whole: {names} lack their inputs.")
        waiting = later

    def places(structure: Any) -> Any:
        if isinstance(structure, dict):
            return {key: places(part) for key, part in structure.items()}
        if isinstance(structure, list | tuple) and len(structure) == 3 and isinstance(structure[0], str):
            return tensor(structure)
        return [places(part) for part in structure]

    arguments = {key: config[key] for key in ("name", "trainable") if key in config}
    return cls(places(config["input_layers"]), places(config["output_layers"]), **arguments)


def _function_config(operation: Any) -> dict[str, Any]:
    return {
        "module": "deepcore.ops",
        "class_name": "Operation",
        "config": {"function": operation.function, "name": operation.name},
        "registered_name": None,
    }


def _value_config(x: Any) -> Any:
    """A value among the arguments of a call, as files hold it."""
    if isinstance(x, slice):
        return {"class_name": "slice", "config": {"start": x.start, "stop": x.stop, "step": x.step}}
    if x is Ellipsis:
        return {"class_name": "Ellipsis", "config": {}}
    if isinstance(x, Tensor):
        return {"class_name": "__tensor__", "config": {"value": x.tolist(), "dtype": x.dtype.name}}
    if hasattr(x, "tolist"):
        return {"class_name": "__numpy__", "config": {"value": x.tolist(), "dtype": x.dtype.name}}
    return x


def _value_from_config(x: dict[str, Any]) -> Any:
    config = x["config"]
    kind = x["class_name"]
    if kind == "slice":
        return slice(config["start"], config["stop"], config["step"])
    if kind == "Ellipsis":
        return Ellipsis
    if kind == "__tensor__":
        return Tensor(np.array(config["value"], config["dtype"]))
    if kind == "__numpy__":
        return np.array(config["value"], config["dtype"])
    raise ValueError(f"A call in a model's configuration has an argument of the unknown kind {kind!r}.")


layers_module.registry.register("Model")(Functional)
