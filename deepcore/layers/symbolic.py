"""What stands for a tensor before there is one: a shape, a dtype, and which layer made it from what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deepcore.naming import unique_name
from deepcore.tensor import FLOATX

Shape = tuple[int | None, ...]


class SymbolicTensor:
    """A tensor without values; layers called with it are built, and give another.

    Attributes:
        shape: sizes, None where any size will do.
        dtype: a NumPy dtype.
        history: (layer, arguments, keywords) of the call that made it; None for an ``Input``.
    """

    def __init__(self, shape: Sequence[int | None], dtype: Any = FLOATX, name: str | None = None) -> None:
        self.shape: Shape = tuple(None if size is None else int(size) for size in shape)
        self.dtype = np.dtype(dtype)
        self.name = unique_name("keras_tensor") if name is None else name
        self.history: tuple[Any, tuple[Any, ...], dict[str, Any]] | None = None

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise TypeError(f"{self!r} has a shape but no values; call a layer or a model with it.")

    def __repr__(self) -> str:
        return f"<SymbolicTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"


def leaves(structure: Any) -> list[Any]:
    """What nested lists, tuples and dictionaries hold."""
    if isinstance(structure, dict):
        structure = list(structure.values())
    if isinstance(structure, list | tuple):
        return [leaf for part in structure for leaf in leaves(part)]
    return [structure]


def map_leaves(function: Callable[[Any], Any], structure: Any) -> Any:
    """The same nesting with ``function`` of each leaf."""
    if isinstance(structure, dict):
        return {key: map_leaves(function, part) for key, part in structure.items()}
    if isinstance(structure, list | tuple):
        return type(structure)([map_leaves(function, part) for part in structure])
    return function(structure)


def is_shape(value: Any) -> bool:
    """Whether ``value`` is one shape, and not a structure of several."""
    return isinstance(value, list | tuple) and all(size is None or hasattr(size, "__index__") for size in value)
