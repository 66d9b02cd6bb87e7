"""A primitive: one differentiable operation, forward on raw arrays, gradients written with other operations.

::

    @primitive
    def exp(backend, x):
        return backend.xp.exp(x)

    @exp.gradient("x")
    def exp_gradient(dy, y):
        return dy * y

A gradient function says by the names of its parameters what it reads, and only that is kept alive:

- the name of an input or an output: that tensor;
- ``d`` and the name of an output: the gradient that arrives there (zeros if none does, or None if that is the
  parameter's default);
- the name of an input and ``_shape``: its shape, which costs nothing to keep;
- the name of an attribute (a keyword of the forward function): its value;
- ``needed``: the set of inputs whose gradient is asked for, where one function serves several.

Inputs that need no gradient ask for nothing. A function that serves several inputs may keep less than all it names,
depending on which are needed and on the attributes; it says so by ``keeps``, a function that names ``needed`` and
attributes as its parameters, and what is not kept arrives as None. So a convolution with a frozen kernel does not keep
its input, and one without an activation does not keep its result.

A primitive of any number of tensors takes ``*xs``; its gradient function reads ``xs`` and ``xs_shape`` as tuples and
returns one gradient for each. One of any number of results says ``outputs=("*ys",)``; its gradient function reads
``dys`` as a tuple.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from deepcore.autograd.graph import Node, edge_of, is_recording
from deepcore.autograd.trace import tracing
from deepcore.device import is_silent, quietly
from deepcore.errors import DeviceMismatchError
from deepcore.tensor import Tensor

Forward = Callable[..., Any]
Keeps = Callable[..., set[str]]


class Gradient:
    """A gradient function, the inputs that it serves, and what its parameters say that it reads."""

    def __init__(
        self, owner: Primitive, function: Callable[..., Any], serves: tuple[str, ...], keeps: Keeps | None
    ) -> None:
        self.function = function
        self.serves = serves
        self.positions = [owner.inputs.index(name) for name in serves if name != owner.variadic]
        self.keeps = keeps
        self.asks = () if keeps is None else tuple(inspect.signature(keeps).parameters)
        self.reads: list[tuple[str, str, int]] = []  # (parameter, kind, index)
        for name, parameter in inspect.signature(function).parameters.items():
            kind, index = owner.meaning(name)
            if kind == "cotangent" and parameter.default is None:
                kind = "cotangent or None"
            self.reads.append((name, kind, index))

    def kept(self, needed: frozenset[str], attributes: dict[str, Any]) -> set[str]:
        """Names of the inputs and outputs that must be kept for it."""
        names = {name for name, kind, _ in self.reads if kind in ("input", "inputs", "output")}
        if self.keeps is None:
            return names
        return names & self.keeps(**{name: needed if name == "needed" else attributes[name] for name in self.asks})


class _WayBack(NamedTuple):
    """A gradient function to call for certain inputs of a call.

    Attributes:
        function: it.
        reads: what its parameters stand for: (parameter, kind, index).
        needed: names of the inputs that are asked for.
        serves: indices of the inputs that it gives gradients of.
        several: whether it gives a tuple of them.
    """

    function: Callable[..., Any]
    reads: Sequence[tuple[str, str, int]]
    needed: frozenset[str]
    serves: Sequence[int]
    several: bool


class Primitive:
    """A differentiable operation; see the module's text.

    Attributes:
        name: the forward function's name.
        forward: ``forward(backend, *arrays, **attributes)`` -> an array, or a tuple of arrays.
        inputs: names of the array arguments.
        outputs: names of the results.
        single: whether there is one result, and not a tuple of them.
    """

    def __init__(self, forward: Forward, outputs: Sequence[str]) -> None:
        self.name = forward.__name__
        self.forward = forward
        self.many = outputs[0].removeprefix("*") if outputs[0].startswith("*") else None
        self.outputs = () if self.many else tuple(outputs)
        self.single = len(self.outputs) == 1
        parameters = list(inspect.signature(forward).parameters.values())[1:]
        self.inputs = tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD)
        self.variadic = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), None)
        self.attributes = tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
        self.gradients: dict[str, Gradient] = {}
        self._asked: tuple[str, ...] = ()  # attributes that have a say in what is kept
        self._known_kept: dict[tuple[Any, ...], frozenset[str]] = {}
        self._ways_back: dict[tuple[int, tuple[int, ...]], list[_WayBack]] = {}
        self.__doc__ = forward.__doc__

    def meaning(self, parameter: str) -> tuple[str, int]:
        """What a gradient function's parameter of that name stands for: a kind and an index."""
        if parameter in self.inputs:
            return "input", self.inputs.index(parameter)
        if self.variadic and parameter in (self.variadic, f"{self.variadic}_shape"):
            return "inputs" if parameter == self.variadic else "shapes", 0
        if parameter in self.outputs:
            return "output", self.outputs.index(parameter)
        if parameter in self.attributes:
            return "attribute", 0
        if self.many and parameter == f"d{self.many}":
            return "cotangents", 0
        if parameter.startswith("d") and parameter[1:] in self.outputs:
            return "cotangent", self.outputs.index(parameter[1:])
        if parameter.endswith("_shape") and parameter.removesuffix("_shape") in self.inputs:
            return "shape", self.inputs.index(parameter.removesuffix("_shape"))
        if parameter == "needed":
            return "needed", 0
        raise TypeError(
            f"{self.name}: a gradient function cannot have the parameter {parameter!r}. It may name an input "
            f"{self.inputs}, an output {self.outputs or self.many}, an attribute {self.attributes}, 'd' and an output, "
            "an input and '_shape', or 'needed'."
        )

    def gradient(self, *inputs: str, keeps: Keeps | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorator: the function that gives the gradients of ``inputs``: one tensor, or a tuple for several.

        ``keeps`` gives the names, among those that the function reads, that are worth keeping; its parameters are
        ``needed`` and attributes, which must be hashable.
        """
        for name in inputs:
            if name not in self.inputs and name != self.variadic:
                raise TypeError(f"{self.name} has no input {name!r}; its inputs are {self.inputs}.")

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            gradient = Gradient(self, function, inputs, keeps)
            self._asked += tuple(name for name in gradient.asks if name != "needed")
            for name in inputs:
                self.gradients[name] = gradient
            return function

        return register

    def __call__(self, *inputs: Tensor | None, **attributes: Any) -> Any:
        device: Any = None
        requires_grad = False
        arrays: list[Any] = []
        for tensor in inputs:
            if tensor is None:
                arrays.append(None)
                continue
            if device is None:
                device = tensor.device
            elif tensor.device is not device and tensor.device != device:
                raise device_mismatch(self.name, inputs)
            requires_grad = requires_grad or tensor.node is not None or tensor._leaf_requires_grad
            arrays.append(tensor._array)
        if device.kind == "cuda":
            result = device.run(self.forward, device.backend, *arrays, **attributes)
        elif is_silent():
            result = self.forward(device.backend, *arrays, **attributes)
        else:
            result = quietly(self.forward, device.backend, *arrays, **attributes)
        results: Any
        if requires_grad and is_recording():
            results = self._record(inputs, attributes, result, device)
        elif self.single:
            results = Tensor.wrap(result, device)
        else:
            results = tuple([Tensor.wrap(array, device) for array in result])
        trace = tracing()
        if trace is not None:
            trace.call(self.forward, inputs, attributes, results)
        return results

    def _record(self, inputs: tuple[Tensor | None, ...], attributes: dict[str, Any], result: Any, device: Any) -> Any:
        # Written as loops, because comprehensions and generators cost more than the few elements here.
        names, gradients = self._names(len(inputs)), self.gradients
        edges: list[Any] = []
        asked = []
        for name, tensor in zip(names, inputs, strict=True):
            edge = edge_of(tensor) if tensor is not None and name in gradients else None
            edges.append(edge)
            if edge is not None:
                asked.append(name)
        arrays = (result,) if self.single else tuple(result)
        if not asked:
            tensors = tuple(Tensor.wrap(array, device) for array in arrays)
            return tensors[0] if self.single else tensors
        kept = self._kept(asked, attributes)
        kept_inputs: list[Any] = []
        shapes = []
        for name, tensor in zip(names, inputs, strict=True):
            shapes.append(None if tensor is None else tensor._array.shape)
            kept_inputs.append((tensor, tensor.version) if tensor is not None and name in kept else None)
        node = Node(self, attributes, tuple(edges), tuple(kept_inputs), tuple(shapes))
        if self.single:
            node.outputs = (result if self.outputs[0] in kept else None,)
            node.output_like = ((result.shape, result.dtype, device),)
            return Tensor.wrap(result, device, node if result.dtype.kind == "f" else None)
        node.outputs = tuple(
            [array if name in kept else None for name, array in zip(self.outputs, arrays, strict=not self.many)]
        )
        node.output_like = tuple([(array.shape, array.dtype, device) for array in arrays])
        return tuple(
            [Tensor.wrap(array, device, node if array.dtype.kind == "f" else None, i) for i, array in enumerate(arrays)]
        )

    def _kept(self, asked: list[str], attributes: dict[str, Any]) -> frozenset[str]:
        """Names of the inputs and outputs that the gradients of the inputs ``asked`` read."""
        key = (*asked, *map(attributes.__getitem__, self._asked))
        found = self._known_kept.get(key)
        if found is None:
            needed = frozenset(asked)
            gradients = [self.gradients[name] for name in asked]
            found = frozenset().union(*(gradient.kept(needed, attributes) for gradient in gradients))
            self._known_kept[key] = found
        return found

    def backward(self, node: Node, cotangents: list[Tensor | None], wanted: tuple[int, ...]) -> dict[int, Tensor]:
        """The gradients of the inputs ``wanted`` (by index, in order), given those of the outputs."""
        count = len(node.edges)
        ways = self._ways_back.get((count, wanted))
        if ways is None:
            ways = self._ways_back[count, wanted] = self._find_ways(self._names(count), wanted)
        results: dict[int, Tensor] = {}
        for way in ways:
            arguments = {}
            for name, kind, i in way.reads:
                if kind == "attribute":
                    arguments[name] = node.attributes.get(name)
                elif kind == "cotangent" and cotangents[i] is not None:
                    arguments[name] = cotangents[i]
                else:
                    arguments[name] = self._argument(node, kind, i, name, cotangents, way.needed)
            values = way.function(**arguments)
            found = zip(way.serves, values if way.several else (values,), strict=True)
            results.update([(i, value) for i, value in found if value is not None and i in wanted])
        return results

    def _find_ways(self, names: Sequence[str], wanted: tuple[int, ...]) -> list[_WayBack]:
        """The gradient functions to call for the inputs ``wanted`` of those called ``names``."""
        needed = frozenset(names[i] for i in wanted)
        found = []
        serves: Sequence[int]
        for gradient in dict.fromkeys(self.gradients[names[i]] for i in wanted):
            if gradient.serves == (self.variadic,):
                serves, several = range(len(names)), True
            else:
                serves, several = gradient.positions, len(gradient.serves) > 1
            found.append(_WayBack(gradient.function, gradient.reads, needed, serves, several))
        return found

    def _names(self, count: int) -> Sequence[str]:
        """For each of ``count`` given inputs its name."""
        return self.inputs[:count] if self.variadic is None else (self.variadic,) * count

    def _argument(
        self, node: Node, kind: str, i: int, name: str, cotangents: list[Tensor | None], needed: frozenset[str]
    ) -> Any:
        if kind == "attribute":
            return node.attributes.get(name)
        if kind == "cotangent" or kind == "cotangent or None":
            cotangent = cotangents[i]
            if cotangent is None and kind == "cotangent":
                shape, dtype, device = node.output_like[i]
                cotangent = Tensor.wrap(device.backend.xp.zeros(shape, dtype), device)
            return cotangent
        if kind == "input":
            return self._unchanged(node.inputs[i], name)
        if kind == "output":
            if node.outputs[i] is None:
                return None
            shape, dtype, device = node.output_like[i]
            return Tensor.wrap(node.outputs[i], device, node=node if dtype.kind == "f" else None, index=i)
        if kind == "shape":
            return node.input_shapes[i]
        if kind == "inputs":
            return tuple(self._unchanged(kept, name) for kept in node.inputs)
        if kind == "shapes":
            return node.input_shapes
        if kind == "cotangents":
            return tuple(self._argument(node, "cotangent", j, name, cotangents, needed) for j in range(len(cotangents)))
        return needed

    def _unchanged(self, kept: tuple[Tensor, int] | None, name: str) -> Tensor | None:
        if kept is None:
            return None
        tensor, version = kept
        if tensor.version != version:
            raise RuntimeError(
                f"{self.name}: its input {name!r} (shape {tensor.shape}) was assigned a new value between the forward "
                "and the backward pass. Call backward() before assigning, or assign to a copy."
            )
        return tensor

    def __repr__(self) -> str:
        return f"<primitive {self.name}({', '.join(self.inputs)}) -> {', '.join(self.outputs)}>"


def primitive(forward: Forward | None = None, *, outputs: Sequence[str] = ("y",)) -> Any:
    """Decorator: makes a forward function ``forward(backend, *arrays, **attributes)`` a ``Primitive``."""
    if forward is None:
        return lambda function: Primitive(function, outputs)
    return Primitive(forward, outputs)


def device_mismatch(name: str, inputs: Sequence[Tensor | None]) -> DeviceMismatchError:
    """The error for tensors of several devices, which says where each one is."""
    places = ", ".join(
        f"{tensor.dtype}{list(tensor.shape)} on {tensor.device}" for tensor in inputs if tensor is not None
    )
    return DeviceMismatchError(
        f"{name}: its tensors must be on one device; got {places}. Move one with tensor.to(device); nothing is copied "
        "between devices unasked."
    )
