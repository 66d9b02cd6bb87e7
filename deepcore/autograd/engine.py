"""The backward pass: walks the tape from newest to oldest and adds up what arrives.

A node has a larger number than every node that it came from, so taking the largest number first visits each node when
all of its gradients have arrived; no sorting pass over the graph is needed, and nodes are let go of as they are
visited. Reverse-mode accumulation: Griewank and Walther, Evaluating Derivatives, 2nd ed., chapter 3.
"""

from __future__ import annotations

import functools
import heapq
from collections.abc import Callable, Sequence
from typing import Any

from deepcore.autograd.graph import Node, edge_of, is_recording, recording
from deepcore.autograd.trace import tracing
from deepcore.tensor import Tensor


class _Sums:
    """The gradients on their way: one sum for each output of each node, and one for each leaf."""

    def __init__(self) -> None:
        self.heap: list[tuple[int, Node]] = []
        self.cotangents: dict[int, list[Tensor | None]] = {}
        self.leaves: dict[int, tuple[Tensor, Tensor]] = {}

    def add(self, edge: Any, gradient: Tensor) -> None:
        if isinstance(edge, Tensor):
            held = self.leaves.get(id(edge))
            self.leaves[id(edge)] = (edge, gradient if held is None else held[1] + gradient)
            return
        node, index = edge
        slots = self.cotangents.get(node.number)
        if slots is None:
            slots = self.cotangents[node.number] = [None] * len(node.output_like)
            heapq.heappush(self.heap, (-node.number, node))
        slots[index] = gradient if slots[index] is None else slots[index] + gradient

    def pop(self) -> tuple[Node, list[Tensor | None]]:
        _, node = heapq.heappop(self.heap)
        return node, self.cotangents.pop(node.number)


def backward(
    outputs: Sequence[Tensor],
    output_gradients: Sequence[Tensor | None] | None = None,
    *,
    create_graph: bool = False,
    retain_graph: bool | None = None,
) -> None:
    """Adds to ``.grad`` of every leaf with ``requires_grad`` the gradient of the sum of ``outputs``.

    Args:
        outputs: tensors of any shape.
        output_gradients: for each output the gradient that arrives there, of its shape; ones for scalars by default.
        create_graph: record the backward pass itself, so that its results can be differentiated again.
        retain_graph: keep what was recorded for another pass; default ``create_graph``.

    Raises ``RuntimeError`` if an output was not recorded or the graph was already released, ``ValueError`` if a
    gradient is missing for an output that is not a scalar, or has another shape.
    """
    retain = create_graph if retain_graph is None else retain_graph
    sums = _seed(outputs, output_gradients)
    with recording(create_graph):
        _walk(sums, retain, None)
        for leaf, gradient in sums.leaves.values():
            leaf.grad = gradient.computed() if leaf.grad is None else leaf.grad + gradient


def gradients(
    outputs: Tensor | Sequence[Tensor],
    inputs: Sequence[Tensor],
    output_gradients: Sequence[Tensor | None] | None = None,
    *,
    create_graph: bool = False,
    retain_graph: bool | None = None,
    unused: str | None = "zeros",
) -> tuple[Any, ...]:
    """The gradients of the sum of ``outputs`` with respect to ``inputs``, leaving every ``.grad`` as it is.

    Only the part of the graph between the two is walked. An input that the outputs do not depend on has zeros,
    or None if ``unused`` is None. Arguments and errors otherwise as for ``backward``.
    """
    outputs = (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)
    retain = create_graph if retain_graph is None else retain_graph
    edges = []
    for position, tensor in enumerate(inputs):
        edge = edge_of(tensor)
        if edge is None:
            raise RuntimeError(
                f"gradients: input {position} (shape {tensor.shape}) does not require a gradient. Make it with "
                "requires_grad=True before computing the outputs."
            )
        edges.append(edge)
    sums = _seed(outputs, output_gradients)
    targets = _Targets(edges, outputs)
    with recording(create_graph):
        _walk(sums, retain, targets)
    results = []
    for tensor, edge in zip(inputs, edges, strict=True):
        if isinstance(edge, Tensor):
            gradient = sums.leaves[id(edge)][1] if id(edge) in sums.leaves else None
        else:
            gradient = targets.points[edge[0].number, edge[1]]
        if gradient is None and unused is not None:
            gradient = Tensor.wrap(tensor.device.backend.xp.zeros(tensor.shape, tensor.dtype), tensor.device)
        # One that is still to be computed is computed now.
        results.append(None if gradient is None else gradient.computed())
    return tuple(results)


def _seed(outputs: Sequence[Tensor], output_gradients: Sequence[Tensor | None] | None) -> _Sums:
    sums = _Sums()
    given: Sequence[Tensor | None] = [None] * len(outputs) if output_gradients is None else output_gradients
    if len(given) != len(outputs):
        raise ValueError(f"{len(outputs)} outputs need as many output gradients; got {len(given)}.")
    for output, gradient in zip(outputs, given, strict=True):
        if not output.requires_grad:
            raise RuntimeError(
                f"This tensor (shape {output.shape}) was not recorded: none of its inputs requires a gradient, or it "
                "was computed under no_grad()."
            )
        if gradient is None:
            if output.size != 1:
                raise ValueError(
                    f"Only a scalar has an implied gradient; this tensor has shape {output.shape}. Sum it, or pass "
                    "the gradient that arrives at it."
                )
            gradient = Tensor.wrap(output.device.backend.xp.ones(output.shape, output.dtype), output.device)
            trace = tracing()
            if trace is not None:
                trace.constant(gradient)
        elif gradient.shape != output.shape:
            raise ValueError(
                f"The gradient of an output must have its shape {output.shape}; got shape {gradient.shape}."
            )
        sums.add(edge_of(output), gradient)
    return sums


def _walk(sums: _Sums, retain: bool, targets: _Targets | None) -> None:
    """Visits every node that gradients arrive at, newest first; with ``targets`` only those on the way to one."""
    while sums.heap:
        node, cotangents = sums.pop()
        if targets is None:
            wanted = tuple([i for i, edge in enumerate(node.edges) if edge is not None])
        else:
            if targets.points:
                targets.collect(node, cotangents)
            wanted = targets.ways.get(node.number, ())
            if not wanted:
                continue
        if node.released:
            raise RuntimeError(
                f"The graph behind {node.primitive.name} was released by an earlier backward pass. "
                "Pass retain_graph=True to the first one, or compute the output again."
            )
        for i, gradient in node.primitive.backward(node, cotangents, wanted).items():
            sums.add(node.edges[i], gradient)
        if not retain:
            node.release()


class _Targets:
    """What ``gradients`` looks for, and the way there.

    Attributes:
        points: outputs of nodes that are asked for, by (number, output index), and the gradient found there.
        ways: for each node, by its number, from which a target can be reached the inputs that lead to one.
    """

    def __init__(self, edges: Sequence[Any], outputs: Sequence[Tensor]) -> None:
        leaves = {id(edge) for edge in edges if isinstance(edge, Tensor)}
        self.points: dict[tuple[int, int], Tensor | None] = {
            (edge[0].number, edge[1]): None for edge in edges if not isinstance(edge, Tensor)
        }
        self.ways: dict[int, tuple[int, ...]] = {}
        behind = _nodes_behind(outputs)
        for number in sorted(behind):  # each after those that it came from
            found = []
            for i, edge in enumerate(behind[number].edges):
                if edge is None:
                    continue
                if isinstance(edge, Tensor):
                    leads = id(edge) in leaves
                else:
                    source = edge[0].number
                    leads = source in self.ways or (source, edge[1]) in self.points
                if leads:
                    found.append(i)
            if found:
                self.ways[number] = tuple(found)

    def collect(self, node: Node, cotangents: list[Tensor | None]) -> None:
        for index, cotangent in enumerate(cotangents):
            if (node.number, index) in self.points:
                self.points[node.number, index] = cotangent


def _nodes_behind(outputs: Sequence[Tensor]) -> dict[int, Node]:
    """The nodes that ``outputs`` were computed by, by their numbers; without recursion, as networks are deep."""
    found: dict[int, Node] = {}
    pending = [output.node for output in outputs if output.node is not None]
    while pending:
        node = pending.pop()
        if node.number not in found:
            found[node.number] = node
            pending += [edge[0] for edge in node.edges if type(edge) is tuple]
    return found


def vjp(function: Callable[..., Any], inputs: Sequence[Tensor], cotangents: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The vector-Jacobian product: what ``cotangents`` at ``function(*inputs)`` give at each input.

    Inside a recorded backward pass it is recorded, too: this is how a primitive whose gradient runs as one fused
    kernel has a second derivative, as that of the same formula written with elementary operations.
    """
    create_graph = is_recording()
    with recording(True):
        points = [x.alias() if x.requires_grad else Tensor(x.detach(), requires_grad=True) for x in inputs]
        outputs = function(*points)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        return gradients(outputs, points, cotangents, create_graph=create_graph)


def value_and_grad(function: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Any:
    """A function that gives ``function``'s value and its gradient with respect to the arguments ``argnums``.

    ``function`` takes tensors (or arrays) and returns a scalar tensor, or (scalar, anything) with ``has_aux``. The
    gradient is a tensor, or a tuple of tensors where ``argnums`` is a sequence; it can be differentiated again when
    the call is itself inside ``grad`` or ``value_and_grad``, or is recorded.

    >>> value, slope = value_and_grad(lambda x: (x * x).sum())(Tensor([3.0]))
    >>> float(value), float(slope[0])
    (9.0, 6.0)
    """
    many = not isinstance(argnums, int)
    positions: tuple[int, ...] = tuple(argnums) if many else (argnums,)  # type: ignore[arg-type,assignment]

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        arguments = list(args)
        differentiable = []
        for position in positions:
            given = arguments[position]
            if isinstance(given, Tensor) and given.requires_grad:
                tensor = given.alias()  # a point of its own on the tape, so that only this call's uses are counted
            else:
                tensor = Tensor(given, requires_grad=True)
            arguments[position] = tensor
            differentiable.append(tensor)
        outer = any(isinstance(a, Tensor) and a.requires_grad for a in args)
        with recording(True):
            result = function(*arguments, **kwargs)
            value, aux = result if has_aux else (result, None)
            if not isinstance(value, Tensor) or value.size != 1:
                raise ValueError(f"grad needs a function with a scalar result; got {value!r}.")
            found = gradients(value, differentiable, create_graph=outer)
        if not outer:
            value = value.detach()
        gradient = found if many else found[0]
        return ((value, aux), gradient) if has_aux else (value, gradient)

    return run


def grad(function: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Any:
    """A function that gives the gradient of ``function``; see ``value_and_grad``. ``grad(grad(f))`` works.

    >>> float(grad(grad(lambda x: x * x * x))(Tensor(2.0)))
    12.0
    """
    if not callable(function):
        raise TypeError(
            f"grad takes a function and returns one; got {type(function).__name__}. For tensors already computed use "
            "deepcore.autograd.gradients(outputs, inputs)."
        )
    both = value_and_grad(function, argnums)

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        return both(*args, **kwargs)[1]

    return run
