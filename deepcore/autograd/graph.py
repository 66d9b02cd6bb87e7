"""The tape: which operation made a tensor, from what, and what its gradient will need.

A node does not hold the tensors that it came from, only their nodes, and of the arrays only those that a gradient
function has asked for by the name of its parameter. So the forward pass keeps no array that the backward pass does
not read, and the backward pass lets go of each as soon as it is used.
"""

from __future__ import annotations

import contextlib
import itertools
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deepcore.autograd.primitive import Primitive
    from deepcore.tensor import Tensor

_numbers = itertools.count()
_recording: ContextVar[bool] = ContextVar("deepcore_recording", default=True)


class Node:
    """One recorded call of a primitive.

    Attributes:
        number: grows with every node, so that a node always has a larger number than those that it came from.
        edges: where the gradient of each input goes: a leaf tensor, a (node, output index) pair, or None.
        inputs: for each input (tensor, version) if a gradient function reads it, else its shape.
        outputs: for each output its array if a gradient function reads it, else None.
    """

    __slots__ = ("attributes", "edges", "input_shapes", "inputs", "number", "output_like", "outputs", "primitive")

    def __init__(
        self,
        primitive: Primitive,
        attributes: dict[str, Any],
        edges: tuple[Any, ...] = (),
        inputs: tuple[Any, ...] = (),
        input_shapes: tuple[Any, ...] = (),
    ) -> None:
        self.number = next(_numbers)
        self.primitive = primitive
        self.attributes = attributes
        self.edges = edges
        self.inputs = inputs
        self.input_shapes = input_shapes
        self.outputs: tuple[Any, ...] = ()
        self.output_like: tuple[Any, ...] = ()

    def release(self) -> None:
        """Lets go of every array; the node cannot be walked again."""
        self.edges = self.inputs = self.outputs = ()
        self.attributes = {}

    @property
    def released(self) -> bool:
        return not self.edges

    def __repr__(self) -> str:
        return f"<{self.primitive.name}>"


def edge_of(tensor: Tensor | None) -> Any:
    """Where a gradient with respect to ``tensor`` goes."""
    if tensor is None:
        return None
    if tensor.node is not None:
        return tensor.node, tensor.output_index
    return tensor if tensor._leaf_requires_grad else None


def is_recording() -> bool:
    """Whether operations are recorded for a backward pass."""
    return _recording.get()


class recording(contextlib.ContextDecorator):  # noqa: N801 (a context manager, cheaper than one made of a generator)
    """Within the block, or the decorated function, operations are recorded, or not."""

    def __init__(self, on: bool) -> None:
        self.on = on
        self._tokens: list[Token[bool]] = []  # a decorated function may call itself

    def _recreate_cm(self) -> recording:
        return recording(self.on)

    def __enter__(self) -> None:
        self._tokens.append(_recording.set(self.on))

    def __exit__(self, *error: object) -> None:
        _recording.reset(self._tokens.pop())


def no_grad() -> recording:
    """Within the block (or the decorated function) nothing is recorded and nothing is kept for a backward pass."""
    return recording(False)
