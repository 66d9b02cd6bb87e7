"""A drawn model as data and back: its operations, and the calls between them, as Keras 3 writes them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from deepcore import layers as layers_module
from deepcore import ops, serialization
from deepcore.layers.input import InputLayer
from deepcore.layers.layer import Layer
from deepcore.models.graph import Graph
from deepcore.models.sequential import Sequential
from deepcore.ops.symbolic import FUNCTIONS
from deepcore.structure import leaves, like, map_leaves
from deepcore.symbolic import CallNode, SymbolicTensor, symbolic_leaves

# Where Keras has the operation of a function, if not in ops.numpy, and how it is called, if not like the function.
_HOMES = {
    "nn": "average_pool batch_norm binary_crossentropy categorical_crossentropy celu conv conv_transpose "
    "depthwise_conv elu gelu glu hard_shrink hard_sigmoid hard_silu hard_tanh leaky_relu log_sigmoid log_softmax "
    "max_pool moments multi_hot normalize one_hot relu relu6 selu separable_conv sigmoid silu soft_shrink softmax "
    "softplus softsign sparse_categorical_crossentropy sparse_plus sparse_sigmoid sparsemax squareplus tanh_shrink "
    "threshold",
    "core": "cast convert_to_tensor saturate_cast scatter scatter_update slice slice_update stop_gradient unstack",
    "math": "erf erfinv extract_sequences in_top_k logdet logsumexp rsqrt segment_max segment_sum top_k",
    "linalg": "cholesky det eig eigh inv lu_factor norm qr solve solve_triangular svd lstsq",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}
_SPELLED = {"getitem": "GetItem", "layer_normalization": "LayerNorm", "rms_normalization": "RMSNorm", "svd": "SVD"}
# Parameters that Keras gives an operation in each call; what else a function takes belongs to the operation itself.
_CALLED_WITH = (
    " x y x1 x2 xs inputs kernel depthwise_kernel pointwise_kernel condition index key indices values updates "
    "start_indices target output weights fill_value constant_values bins q data segment_ids a b "
)
_FUNCTION_OF: dict[str, str] = {}


def _has_own_node(operation: Any) -> bool:
    """Whether Keras counts a model's own drawing as its first call, as it does where outputs are listed."""
    return isinstance(getattr(operation, "graph", None), Graph) and not isinstance(operation, Sequential)


def graph_config(model: Any) -> dict[str, Any]:
    """A functional model as a dictionary: each operation with the calls that belong to the model."""
    graph = model.graph
    calls: dict[int, list[CallNode]] = {}
    for node in graph.nodes:
        calls.setdefault(id(node.operation), []).append(node)
    # Calls are numbered in the order in which they were made, as they are when they are made again.
    for nodes in calls.values():
        own = getattr(nodes[0].operation, "_inbound_nodes", nodes)
        order = {id(node): i for i, node in enumerate(own)}
        nodes.sort(key=lambda node: order.get(id(node), 0))
    stand_ins = {
        id(tensor): [layer.name, 0, 0] for tensor, layer in zip(leaves(graph.inputs), graph.input_layers, strict=True)
    }

    def place(tensor: SymbolicTensor) -> list[Any]:
        if id(tensor) in stand_ins:
            return stand_ins[id(tensor)]
        node = tensor.node
        assert node is not None
        index = next(i for i, n in enumerate(calls[id(node.operation)]) if n is node)
        return [node.operation.name, index, tensor.index]

    def end(tensor: SymbolicTensor) -> list[Any]:
        name, index, output = place(tensor)
        own = id(tensor) not in stand_ins and tensor.node is not None and _has_own_node(tensor.node.operation)
        return [name, index + own, output]

    def value(x: Any) -> Any:
        config = serialization.serialize(x)
        if isinstance(x, SymbolicTensor):
            config["config"]["keras_history"] = place(x)
        return config

    listed = []
    for operation in graph.operations:
        nodes = calls.get(id(operation), [])
        if isinstance(operation, Layer):
            entry = serialization.serialize(operation)
            made: list[Any] = [(node.args, node.kwargs) for node in nodes]
        else:
            entry, args, kwargs = _operation_config(operation, nodes[0])
            made = [(args, kwargs)]
        calls_made = [
            {"args": map_leaves(value, list(a)), "kwargs": map_leaves(value, k), **_fixed(k)} for a, k in made
        ]
        entry.update(name=operation.name, inbound_nodes=calls_made)  # the same dictionary: it may get a shared id yet
        listed.append(entry)
    return {
        "name": model.name,
        "trainable": model.trainable,
        "layers": listed,
        "input_layers": map_leaves(end, graph.inputs),
        "output_layers": map_leaves(end, graph.outputs),
    }


def _fixed(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Says that ``training`` was given with a call: Keras writes every layer's default there, too."""
    return {"fixed": ["training"]} if kwargs.get("training") is not None else {}


def _operation_config(operation: ops.Operation, node: CallNode) -> tuple[dict[str, Any], list[Any], dict[str, Any]]:
    """A function's step as Keras's operation: its configuration, and what it is called with."""
    name = operation.function
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    config: dict[str, Any] = {"name": operation.name}
    signature = inspect.signature(FUNCTIONS[name])
    given = signature.bind(*node.args, **node.kwargs).arguments
    in_order = True
    for parameter in signature.parameters.values():
        if parameter.name not in given:
            in_order = False
            continue
        part = given[parameter.name]
        if name == "getitem" and isinstance(part, list):  # in a file, a list stands for a tuple
            part = np.asarray(part)
        if parameter.kind is parameter.VAR_POSITIONAL:
            args.extend(part)
        elif parameter.kind is parameter.VAR_KEYWORD:
            config.update(part)
        elif f" {parameter.name} " in _CALLED_WITH or symbolic_leaves(part):
            if in_order and parameter.kind is not parameter.KEYWORD_ONLY:
                args.append(part)
            else:
                kwargs[parameter.name] = part
        else:
            config[parameter.name] = serialization.serialize(part)
    class_name = _SPELLED.get(name) or "".join(word.capitalize() for word in name.split("_"))
    entry = {
        "module": f"keras.src.ops.{_HOME_OF.get(name, 'numpy')}",
        "class_name": class_name,
        "config": config,
        "registered_name": class_name,
    }
    return entry, args, kwargs


class _Step:
    """A function's step that is to be drawn again, with what belongs to the operation itself."""

    def __init__(self, entry: Mapping[str, Any]) -> None:
        self.config = {key: serialization.deserialize(value) for key, value in entry["config"].items() if key != "name"}
        name = self.config.pop("function", None) or _function_of(entry["class_name"])
        self.operation = ops.Operation(name, entry["config"].get("name") or entry.get("name"))
        self.signature = inspect.signature(FUNCTIONS[name])
        names = self.signature.parameters
        if not any(p.kind is p.VAR_KEYWORD for p in names.values()):
            unknown = {key: part for key, part in self.config.items() if key not in names}
            for key, part in unknown.items():
                if part is not None and part is not False:
                    raise ValueError(
                        f"The operation {entry['class_name']} in the model's configuration has {key}={part!r}, which "
                        f"deepcore.ops.{name} does not take; it takes {', '.join(names)}."
                    )
                del self.config[key]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        rest, config = list(args), dict(self.config)
        placed: list[Any] = []
        for parameter in self.signature.parameters.values():
            if not rest or parameter.kind is parameter.VAR_POSITIONAL:
                break
            placed.append(config.pop(parameter.name) if parameter.name in config else rest.pop(0))
        if self.operation.function == "getitem":
            placed = [tuple(part) if isinstance(part, list) else part for part in placed]
        return self.operation(*placed, *rest, **config, **kwargs)


def _function_of(class_name: str) -> str:
    """The function of ``deepcore.ops`` that does what Keras's operation does. Raises ``TypeError`` if there is none."""
    if len(_FUNCTION_OF) != len(FUNCTIONS):
        _FUNCTION_OF.update((name.replace("_", ""), name) for name in FUNCTIONS)
        _FUNCTION_OF.update((c.lower(), name) for name, c in _SPELLED.items() if name in FUNCTIONS)
    try:
        return _FUNCTION_OF[class_name.lower()]
    except KeyError:
        raise TypeError(
            f"The model's configuration has the operation {class_name!r}, and deepcore.ops has no such function."
        ) from None


def _is_function(entry: Mapping[str, Any]) -> bool:
    module = str(entry.get("module") or "")
    return module.split(".")[0] in ("keras", "deepcore") and "ops" in module.split(".")


def graph_from_config(cls: Any, config: Mapping[str, Any]) -> Any:
    """The model of ``graph_config``'s dictionary: its operations are made, then called as they were.

    Raises ``ValueError`` where a call's inputs are made nowhere.
    """
    made: dict[str, Any] = {}
    results: dict[tuple[str, int], list[Any]] = {}
    waiting: list[tuple[str, int, Any]] = []
    for entry in config["layers"]:
        operation: Any = _Step(entry) if _is_function(entry) else layers_module.deserialize(entry)
        name = entry["name"] if "name" in entry else operation.name  # noqa: SIM401  # a step has none of its own
        made[name] = operation
        if isinstance(operation, InputLayer):
            results[name, 0] = [operation.output]
        waiting.extend((name, i, call) for i, call in enumerate(entry["inbound_nodes"]))

    def value(x: Any) -> Any:
        if isinstance(x, dict):
            if x.get("class_name") == "__keras_tensor__":
                name, index, output = x["config"]["keras_history"]
                return results[name, index][output]
            if "class_name" in x:
                return serialization.deserialize(x)
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
                args, kwargs = _old_call(call, results, made) if isinstance(call, list) else _call(call, value)
            except (KeyError, IndexError):
                later.append((name, i, call))
                continue
            results[name, i] = leaves(made[name](*args, **_taken(made[name], call, kwargs)))
        if len(later) == len(waiting):
            names = ", ".join(sorted({name for name, _, _ in later}))
            raise ValueError(f"The configuration of {config.get('name')!r} is not whole: {names} lack their inputs.")
        waiting = later

    def places(structure: Any) -> Any:
        if isinstance(structure, dict):
            return {key: places(part) for key, part in structure.items()}
        if len(structure) == 3 and isinstance(structure[0], str):
            name, index, output = structure
            index -= _has_own_node(made.get(name))
            if (name, index) not in results or output >= len(results[name, index]):
                raise ValueError(f"The configuration of {config.get('name')!r} lists {structure}, which no call gives.")
            return results[name, index][output]
        parts = [places(part) for part in structure]
        return tuple(parts) if isinstance(structure, tuple) else parts

    known = ("layers", "input_layers", "output_layers")
    arguments = {key: part for key, part in config.items() if key not in known}
    return cls(places(config["input_layers"]), places(config["output_layers"]), **arguments)


def _call(call: Mapping[str, Any], value: Any) -> tuple[list[Any], dict[str, Any]]:
    return value(call["args"]), value(call["kwargs"])


def _taken(operation: Any, call: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call without those that a file of Keras repeats.

    These are masks where there is none or where the layer takes none (they travel with the tensors), and a ``training``
    that is the layer's default, which must not stand against the model's.
    """
    if not isinstance(operation, Layer):
        return kwargs
    parameters = inspect.signature(operation.call).parameters
    idle = set()
    if kwargs.get("mask") is None or "mask" not in parameters:
        idle.add("mask")
    fixed = isinstance(call, Mapping) and "training" in call.get("fixed", ())
    if "training" not in parameters or (not fixed and parameters["training"].default == kwargs.get("training")):
        idle.add("training")
    return {name: value for name, value in kwargs.items() if name not in idle}


def _old_call(
    call: list[Any], results: Mapping[tuple[str, int], list[Any]], made: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """A call as Keras 2 wrote it: ``[[name, call, output, arguments], ...]``, one for each input."""
    inputs = []
    for name, index, output, *_ in call:
        own_node = isinstance(getattr(made.get(name), "graph", None), Graph)
        inputs.append(results[name, index - own_node][output])
    kwargs = call[-1][3] if call and len(call[-1]) > 3 else {}
    return [inputs if len(inputs) > 1 else inputs[0]], kwargs
