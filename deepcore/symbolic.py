"""What stands for a tensor before there is one: a shape, a dtype, and which call made it from what.

A functional model is drawn with symbolic tensors: every layer, and every function of ``deepcore.ops``, that is called
with one gives another, and notes the call as a ``CallNode``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from deepcore.absent import Explaining
from deepcore.autograd import no_grad
from deepcore.naming import unique_name
from deepcore.structure import leaves, map_leaves, pack_as
from deepcore.tensor import FLOATX, Tensor

Shape = tuple[int | None, ...]


class SymbolicTensor(Explaining):
    """A tensor without values; layers called with it are built, and give another.

    Attributes:
        shape: sizes, None where any size will do.
        dtype: a NumPy dtype.
        name: ``keras_tensor``, ``keras_tensor_1``, ... by default.
        node: the call that made it, that of an ``InputLayer`` for an ``Input``; None if it was made by hand.
        index: which of the node's outputs it is.
    """

    # NumPy must leave array * tensor to __rmul__.
    __array_priority__ = 1000
    __array_ufunc__ = None

    if TYPE_CHECKING:  # with all other operators installed by deepcore/ops/operators.py

        def __add__(self, other: Any) -> SymbolicTensor: ...
        def __mul__(self, other: Any) -> SymbolicTensor: ...
        def __getitem__(self, index: Any) -> SymbolicTensor: ...

    def __init__(self, shape: Sequence[int | None], dtype: Any = FLOATX, name: str | None = None) -> None:
        self.shape: Shape = tuple(None if size is None else int(size) for size in shape)
        self.dtype = np.dtype(dtype)
        self.name = unique_name("keras_tensor") if name is None else name
        self.node: CallNode | None = None
        self.index = 0
        self.mask: Any = None

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def sample(self, leading: int, other: int) -> Tensor:
        """Ones of this shape, where any size will do of these sizes: ``leading`` for the first axis."""
        sizes = [size if size is not None else (other if i else leading) for i, size in enumerate(self.shape)]
        return Tensor(np.ones(sizes, self.dtype))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise TypeError(
            f"{self!r} has a shape but no values, so NumPy cannot compute with it; use a layer, or a function of "
            "deepcore.ops."
        )

    def __bool__(self) -> bool:
        raise TypeError(
            f"{self!r} has a shape but no values, so Python cannot decide by it; use ops.where, or a layer of your "
            "own that decides in call()."
        )

    def __float__(self) -> float:
        raise TypeError(f"{self!r} has a shape but no values.")

    __int__ = __float__

    def __len__(self) -> int:
        if not self.shape or self.shape[0] is None:
            raise TypeError(f"{self!r} has no known length.")
        return self.shape[0]

    def __iter__(self) -> Iterator[SymbolicTensor]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"<SymbolicTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"


KerasTensor = SymbolicTensor  # as Keras names it


class CallNode:
    """One call of a layer, or of a function, with symbolic tensors.

    Attributes:
        operation: what was called.
        args, kwargs: with what; symbolic tensors are anywhere within.
        outputs: the symbolic tensors that came out, in a list.
        structure: the outputs as they came, nested.
        inputs: the symbolic tensors among the arguments, in order.
    """

    def __init__(self, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any], structure: Any) -> None:
        self.operation = operation
        self.args, self.kwargs = args, kwargs
        self.structure = structure
        self.inputs = symbolic_leaves((args, kwargs))
        self.outputs = [leaf for leaf in leaves(structure) if isinstance(leaf, SymbolicTensor)]
        for index, output in enumerate(self.outputs):
            output.node, output.index = self, index

    def __repr__(self) -> str:
        return f"<CallNode {self.operation!r}: {self.inputs} -> {self.outputs}>"


def symbolic_leaves(structure: Any) -> list[SymbolicTensor]:
    """The symbolic tensors within nested lists, tuples and dictionaries."""
    return [leaf for leaf in leaves(structure) if isinstance(leaf, SymbolicTensor)]


def is_keras_tensor(x: Any) -> bool:
    """Whether ``x`` is a symbolic tensor, that a functional model can be drawn with."""
    return isinstance(x, SymbolicTensor)


def is_symbolic(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a call is given a symbolic tensor, by itself or in a list. Made to cost little where it is not."""
    for value in (*args, *kwargs.values()) if kwargs else args:
        kind = type(value)
        if kind is SymbolicTensor or (kind in (list, tuple, dict) and symbolic_leaves(value)):
            return True
    return False


# Two sizes for axes where any size will do: what changes between them in the result may be of any size, too. Axes other
# than the first may be images or sequences, which windows must fit into.
_SAMPLES = ((2, 32), (3, 40))


def infer(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What ``function`` gives, symbolic: it is called with ones, twice where some sizes are open."""
    symbols = symbolic_leaves((args, kwargs))
    samples = _SAMPLES if any(None in symbol.shape for symbol in symbols) else _SAMPLES[:1]
    results = []
    for leading, other in samples:

        def sample(x: Any, leading: int = leading, other: int = other) -> Any:
            return x.sample(leading, other) if isinstance(x, SymbolicTensor) else x

        with no_grad(), np.errstate(all="ignore"):
            results.append(function(*map_leaves(sample, args), **map_leaves(sample, kwargs)))
    outputs = []
    for first, *others in zip(*map(leaves, results), strict=True):
        if not isinstance(first, Tensor):
            outputs.append(first)
            continue
        sizes = [a if all(a == b.shape[i] for b in others) else None for i, a in enumerate(first.shape)]
        outputs.append(SymbolicTensor(sizes, first.dtype))
    return pack_as(results[0], outputs)
