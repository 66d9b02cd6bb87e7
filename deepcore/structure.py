"""Nested lists, tuples and dictionaries: what several inputs, outputs and states are given in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_LISTS = (list, tuple)  # a union of them, written where it is asked for, would be made anew each time


def leaves(structure: Any) -> list[Any]:
    """What nested lists, tuples and dictionaries hold.

    >>> leaves([1, {"a": 2, "b": (3, None)}])
    [1, 2, 3, None]
    """
    if isinstance(structure, dict):
        structure = list(structure.values())
    if isinstance(structure, _LISTS):
        return [leaf for part in structure for leaf in leaves(part)]
    return [structure]


def map_leaves(function: Callable[[Any], Any], structure: Any) -> Any:
    """The same nesting with ``function`` of each leaf.

    >>> map_leaves(lambda x: x + 1, {"a": [1, 2], "b": 3})
    {'a': [2, 3], 'b': 4}
    """
    if isinstance(structure, dict):
        return {key: map_leaves(function, part) for key, part in structure.items()}
    if isinstance(structure, _LISTS):
        return like(structure, [map_leaves(function, part) for part in structure])
    return function(structure)


def like(structure: Any, parts: list[Any]) -> Any:
    """``parts`` in a list, tuple or named tuple of the type of ``structure``."""
    return type(structure)(*parts) if hasattr(structure, "_fields") else type(structure)(parts)


def pack_as(structure: Any, flat: list[Any]) -> Any:
    """The nesting of ``structure`` with the leaves ``flat``, in the order of ``leaves``.

    >>> pack_as({"a": 0, "b": [0, 0]}, [1, 2, 3])
    {'a': 1, 'b': [2, 3]}
    """
    values = iter(flat)
    return map_leaves(lambda _: next(values), structure)


def is_shape(value: Any) -> bool:
    """Whether ``value`` is one shape, and not a structure of several."""
    return isinstance(value, _LISTS) and all(size is None or hasattr(size, "__index__") for size in value)


def map_shapes(function: Callable[[Any], Any], structure: Any) -> Any:
    """The same nesting with ``function`` of each shape.

    >>> map_shapes(len, [(2, 3), {"state": (4,)}])
    [2, {'state': 1}]
    """
    if structure is None or is_shape(structure):
        return function(structure)
    if isinstance(structure, dict):
        return {key: map_shapes(function, part) for key, part in structure.items()}
    return like(structure, [map_shapes(function, part) for part in structure])


def shape_leaves(structure: Any) -> list[tuple[int | None, ...]]:
    """The shapes of a structure, one after the other."""
    found: list[tuple[int | None, ...]] = []
    map_shapes(lambda shape: found.append(None if shape is None else tuple(shape)), structure)  # type: ignore[arg-type]
    return found
