"""A network drawn with symbolic tensors: the calls between its inputs and its outputs, in order."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from deepcore.layers.input import InputLayer
from deepcore.layers.layer import Layer
from deepcore.models.inference import Step, is_fusing, steps
from deepcore.models.outputs import flat
from deepcore.structure import leaves, map_leaves
from deepcore.symbolic import CallNode, SymbolicTensor
from deepcore.tensor import Tensor

Plan = list[tuple[Step, list[int]]]


class Graph:
    """The calls that lead from ``inputs`` to ``outputs``.

    Args:
        inputs, outputs: symbolic tensors, or nested lists and dictionaries of them. Inputs may be any tensors of a
            network that lies before the outputs.

    Attributes:
        nodes: the calls, each after those that it depends on.
        operations: layers and functions, in Keras's order: by their longest distance from the outputs, then as met.

    Raises ``ValueError`` if an output depends on an ``Input`` that is not among the inputs, naming it.
    """

    def __init__(self, inputs: Any, outputs: Any) -> None:
        for what, structure in (("inputs", inputs), ("outputs", outputs)):
            for leaf in leaves(structure):
                if not isinstance(leaf, SymbolicTensor):
                    raise ValueError(
                        f"A model's {what} are what Input() gives and what layers make of it; got {leaf!r} "
                        f"({type(leaf).__name__})."
                    )
        self.inputs, self.outputs = inputs, outputs
        self._first = {id(tensor) for tensor in leaves(inputs)}
        self._indices: dict[int, int] = {}  # of operations, in the order in which they are met
        self._met: list[Any] = []
        self.input_layers = [self._input_layer(tensor) for tensor in leaves(inputs)]
        self.nodes = self._ordered()
        self.operations = self._by_depth()
        self._plans: dict[bool, Plan] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_plans": {}}  # a copy has tensors, layers and weights of its own

    @property
    def layers(self) -> list[Layer]:
        """The layers among the operations."""
        return [operation for operation in self.operations if isinstance(operation, Layer)]

    def _input_layer(self, tensor: SymbolicTensor) -> InputLayer:
        """The layer that stands for an input: its own, or a new one where a network is cut."""
        if tensor.node is not None and isinstance(tensor.node.operation, InputLayer):
            return tensor.node.operation
        return InputLayer(batch_shape=tensor.shape, dtype=tensor.dtype, name=f"{tensor.name}_input")

    def _ordered(self) -> list[CallNode]:
        """All nodes, each after its sources; without recursion, because networks may be hundreds of calls deep."""
        ordered: list[CallNode] = []
        done: set[int] = set()
        pending: list[tuple[SymbolicTensor, bool]] = [(tensor, False) for tensor in reversed(flat(self.outputs))]
        while pending:
            tensor, sources_done = pending.pop()
            node = tensor.node
            if id(tensor) in self._first or (node is not None and id(node) in done):
                continue
            if node is None or isinstance(node.operation, InputLayer):
                known = ", ".join(repr(x.name) for x in leaves(self.inputs))
                raise ValueError(
                    f"The outputs depend on the input {tensor.name!r} (shape {tensor.shape}), which is not among the "
                    f"model's inputs ({known}). Add it to inputs=."
                )
            if sources_done:
                done.add(id(node))
                ordered.append(node)
                continue
            if id(node.operation) not in self._indices:
                self._indices[id(node.operation)] = len(self._indices)
                self._met.append(node.operation)
            pending.append((tensor, True))
            pending.extend((source, False) for source in reversed(node.inputs))
        return ordered

    def _by_depth(self) -> list[Any]:
        makers = {id(output): node for node in self.nodes for output in node.outputs}
        depth: dict[int, int] = defaultdict(int)  # of nodes
        layer_depth: dict[int, int] = defaultdict(int)
        for node in reversed(self.nodes):
            own = max(depth[id(node)], layer_depth[id(node.operation)])
            depth[id(node)] = layer_depth[id(node.operation)] = own
            for source in node.inputs:
                maker = makers.get(id(source))
                if maker is not None:
                    depth[id(maker)] = max(depth[id(maker)], own + 1)
        deepest = max(layer_depth.values(), default=0) + 1
        # Inputs come first; Keras lists each where its first consumer asks for it.
        consumers: dict[int, int] = {}
        for node in self.nodes:
            for source in node.inputs:
                if id(source) in self._first:
                    at = layer_depth[id(node.operation)] + 1
                    consumers[id(source)] = max(consumers.get(id(source), 0), at)
        placed: list[tuple[int, int, Any]] = []
        for i, (tensor, layer) in enumerate(zip(leaves(self.inputs), self.input_layers, strict=True)):
            placed.append((consumers.get(id(tensor), deepest), i - len(self.input_layers), layer))
        placed.extend((layer_depth[id(met)], self._indices[id(met)], met) for met in self._met)
        return [operation for _, _, operation in sorted(placed, key=lambda item: (-item[0], item[1]))]

    def run(self, values: list[Any]) -> Any:
        """The outputs for tensors ``values``, one for each input in the order of ``leaves(inputs)``."""
        known: dict[int, Any] = {id(tensor): value for tensor, value in zip(leaves(self.inputs), values, strict=True)}
        del values

        def value_of(x: Any) -> Any:
            return known[id(x)] if isinstance(x, SymbolicTensor) else x

        for step, last_read in self.plan(is_fusing()):
            if step.is_simple:
                result = step.operation(known[id(step.args[0])])
            else:
                result = step.operation(*map_leaves(value_of, step.args), **map_leaves(value_of, step.kwargs))
            if type(result) is Tensor and len(step.outputs) == 1:
                known[id(step.outputs[0])] = result
            else:
                for output, value in zip(step.outputs, _tensors(leaves(result), step.node), strict=True):
                    known[id(output)] = value
            del result
            for tensor in last_read:
                del known[tensor]
        return map_leaves(value_of, self.outputs)

    def plan(self, fuse: bool) -> Plan:
        """The calls in order, each with the tensors, by ``id``, that nothing reads after it; with ``fuse`` layers that
        can be are called together."""
        if fuse not in self._plans:
            outputs = flat(self.outputs)
            found = steps(self.nodes, outputs, fuse)
            last: dict[int, int] = {}
            for i, step in enumerate(found):
                last.update((id(tensor), i) for tensor in step.inputs)
            for tensor in outputs:
                last.pop(id(tensor), None)
            self._plans[fuse] = [
                (step, [tensor for tensor in dict.fromkeys(map(id, step.inputs)) if last.get(tensor) == i])
                for i, step in enumerate(found)
            ]
        return self._plans[fuse]


def _tensors(results: list[Any], node: CallNode) -> list[Any]:
    """Those of a call's results that were symbolic when it was drawn."""
    if len(results) == len(node.outputs):
        return results
    flat = leaves(node.structure)
    return [value for value, drawn in zip(results, flat, strict=True) if isinstance(drawn, SymbolicTensor)]
