"""What stands for a tensor before there is one: a shape, a dtype, and which call made it from what.

A functional model is drawn with symbolic tensors: every layer, and every function of ``deepcore.ops``, that is called
with one gives another, and notes the call as a ``CallNode``.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
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

    def sizes(self, leading: int, other: int) -> tuple[int, ...]:
        """This shape, where any size will do of these sizes: ``leading`` for the first axis."""
        return tuple(size if size is not None else (other if i else leading) for i, size in enumerate(self.shape))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise ValueError(
            f"{self!r} has a shape but no values, so NumPy cannot compute with it; use a layer, or a function of "
            "deepcore.ops."
        )

    def __bool__(self) -> bool:
        raise TypeError(
            f"{self!r} has a shape but no values, so Python cannot decide by it; use ops.where, or a layer of your "
            "own that decides in call()."
        )

    def __float__(self) -> float:
        raise ValueError(f"{self!r} has a shape but no values.")

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


def is_symbolic(args: Iterable[Any], kwargs: Mapping[Any, Any]) -> bool:
    """Whether a call is given a symbolic tensor, by itself or in a list. Made to cost little where it is not."""
    for value in (*args, *kwargs.values()) if kwargs else args:
        if isinstance(value, _NESTED):
            if is_symbolic((), value) if isinstance(value, dict) else is_symbolic(value, {}):
                return True
        elif isinstance(value, SymbolicTensor):
            return True
    return False


_NESTED = (list, tuple, dict)  # a union of them, written where it is asked for, would be made anew each time


# Two sizes for axes where any size will do: what changes between them in the result may be of any size, too. Axes other
# than the first may be images or sequences, which windows must fit into.
_SAMPLES = ((2, 32), (3, 40))
_CHOICES = 64  # tried at most where these do not fit


def _sample(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Tensor:
    """Ones; of floating numbers those on diagonals are two, so that matrices have an inverse."""
    values = np.ones(shape, dtype)
    if dtype.kind == "f" and len(shape) > 1:
        values += np.eye(*shape[-2:], dtype=dtype)
    return Tensor(values)


# What the variables held that were written to since a function is called with ones; None where none is.
_before: ContextVar[dict[int, tuple[Any, Any]] | None] = ContextVar("deepcore_values_before", default=None)


def remember(variable: Any) -> None:
    """Notes what a variable holds before it is written to, if that is to be undone."""
    before = _before.get()
    if before is not None and id(variable) not in before:
        before[id(variable)] = (variable, variable.numpy().copy())


@contextlib.contextmanager
def for_good() -> Iterator[None]:
    """Within the block, as in ``build``, what is written to variables stays, also where ones are the data."""
    token = _before.set(None)
    try:
        yield
    finally:
        _before.reset(token)


@contextlib.contextmanager
def _undone() -> Iterator[None]:
    before: dict[int, tuple[Any, Any]] = {}
    token = _before.set(before)
    try:
        yield
    finally:
        _before.reset(token)
        with for_good():
            for variable, value in before.values():
                variable.assign(value)


def infer(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What ``function`` gives, symbolic: it is called with ones, twice where some sizes are open.

    Where open sizes have to fit others, which these two do not, sizes are looked for that do.
    What it writes to variables, such as statistics and counters, is undone.
    """
    symbols = symbolic_leaves((args, kwargs))
    open_axes = [(i, j) for i, symbol in enumerate(symbols) for j, size in enumerate(symbol.shape) if size is None]
    shapes = [[symbol.sizes(leading, other) for symbol in symbols] for leading, other in _SAMPLES]

    def results(shapes: list[tuple[int, ...]]) -> Any:
        given = iter(shapes)

        def sample(x: Any) -> Any:
            return _sample(next(given), x.dtype) if isinstance(x, SymbolicTensor) else x

        filled = map_leaves(sample, (args, kwargs))
        with no_grad(), np.errstate(all="ignore"), _undone():
            return function(*filled[0], **filled[1])

    if not open_axes:
        found = [results(shapes[0])]
    else:
        try:
            found = [results(each) for each in shapes]
        except (ValueError, IndexError):
            found = _fitted(results, symbols, open_axes)
            if not found:
                raise
    flat = [leaves(result) for result in found]
    if len(set(map(len, flat))) > 1:
        raise ValueError(
            f"How many tensors come of {', '.join(map(repr, symbols))} depends on a size that is not known. Give that "
            "size, or say how many there are to be."
        )
    outputs = []
    for first, *others in zip(*flat, strict=True):
        if not isinstance(first, Tensor):
            outputs.append(first)
            continue
        sizes = [a if all(a == b.shape[i] for b in others) else None for i, a in enumerate(first.shape)]
        outputs.append(SymbolicTensor(sizes, first.dtype))
    return pack_as(found[0], outputs)


def _fitted(
    results: Callable[[list[tuple[int, ...]]], Any], symbols: list[SymbolicTensor], open_axes: list[tuple[int, int]]
) -> list[Any]:
    """What comes of open sizes that fit each other, and of larger ones, one by one and axis by axis, where they fit.

    Sizes that may fit are one, which broadcasts, those that are known, and one that many numbers divide. Nothing if
    none of them does.
    """
    known = sorted({size for symbol in symbols for size in symbol.shape if size is not None} - {1, 2, 12})

    def tried(sizes: dict[tuple[int, int], int]) -> list[Any]:
        shapes = [
            tuple(sizes.get((i, j), size) for j, size in enumerate(symbol.shape)) for i, symbol in enumerate(symbols)
        ]
        with contextlib.suppress(ValueError, IndexError):
            return [results(shapes)]  # type: ignore[arg-type]
        return []

    groups = [[axis] for axis in open_axes] + [[axis for axis in open_axes if axis[1] == j] for _, j in open_axes]
    for choice in itertools.islice(itertools.product((1, *known, 2, 12), repeat=len(open_axes)), _CHOICES):
        sizes = dict(zip(open_axes, choice, strict=True))
        found = tried(sizes)
        if found:
            for group in groups:
                more = tried({**sizes, **{axis: sizes[axis] + 1 for axis in group}})
                found += more or tried({**sizes, **{axis: sizes[axis] * 2 for axis in group}})
            return found
    return []
