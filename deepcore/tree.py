"""Nested structures by Keras's names: lists, tuples, named tuples, deques and dictionaries of anything.

The values of a dictionary come in the order of its sorted keys, those of an ``OrderedDict`` in its own. Everything
else, None too, is a leaf. See ``deepcore.structure`` for what the library itself uses.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from typing import Any

from deepcore.errors import explain_missing
from deepcore.structure import is_shape

__all__ = [
    "MAP_TO_NONE",
    "assert_same_paths",
    "assert_same_structure",
    "flatten",
    "flatten_with_path",
    "is_nested",
    "lists_to_tuples",
    "map_shape_structure",
    "map_structure",
    "map_structure_up_to",
    "pack_sequence_as",
    "traverse",
]

_DICTIONARIES = (dict, OrderedDict, defaultdict)
_SEQUENCES = (list, tuple, deque)


class MAP_TO_NONE:  # noqa: N801 (the name that scripts use)
    """What the function of ``traverse`` gives to put None in place of a part; None itself means: go on within it."""


def is_nested(structure: Any) -> bool:
    """Whether ``structure`` holds leaves, and is none.

    >>> is_nested({"a": 1}), is_nested("a")
    (True, False)
    """
    kind = type(structure)
    return kind in _SEQUENCES or kind in _DICTIONARIES or (isinstance(structure, tuple) and hasattr(kind, "_fields"))


def flatten(structure: Any) -> list[Any]:
    """The leaves, one after the other.

    >>> flatten([1, {"b": 3, "a": (2, None)}])
    [1, 2, None, 3]
    """
    return [leaf for _, leaf in flatten_with_path(structure)]


def flatten_with_path(structure: Any) -> list[tuple[tuple[Any, ...], Any]]:
    """The leaves, each with the indices and keys that lead to it.

    >>> flatten_with_path([{"foo": 42}])
    [((0, 'foo'), 42)]
    """
    if not is_nested(structure):
        return [((), structure)]
    return [((key, *path), leaf) for key, part in _parts(structure).items() for path, leaf in flatten_with_path(part)]


def map_structure(func: Callable[..., Any], *structures: Any, none_is_leaf: bool = True) -> Any:
    """The nesting of the first structure, with ``func`` of the leaves that stand at each place.

    ``none_is_leaf=False`` leaves None as it is. Raises ``TypeError`` if ``func`` cannot be called, ``ValueError``
    without structures, and for structures that are nested in different ways.

    >>> map_structure(lambda x, y: x * y, [1, (2,)], [3, (4,)])
    [3, (8,)]
    """
    _need(func, structures)

    def of_leaves(*leaves: Any) -> Any:
        if none_is_leaf or leaves[0] is not None:
            return func(*leaves)
        if any(leaf is not None for leaf in leaves):
            raise ValueError(f"Some of the leaves at one place are None, and some are not: {leaves}.")
        return None

    return _map(of_leaves, structures)


def map_structure_up_to(shallow_structure: Any, func: Callable[..., Any], *structures: Any) -> Any:
    """As ``map_structure``, but nested only as deep as ``shallow_structure``; ``func`` is given what lies below.

    >>> map_structure_up_to([None, None], len, [[1, 1], [2, 2, 2]])
    [2, 3]
    """
    _need(func, structures)
    return _map(lambda _, *parts: func(*parts), (shallow_structure, *structures))


def assert_same_structure(a: Any, b: Any, check_types: bool | None = None) -> None:
    """Raises ``ValueError`` unless both are nested in the same way, in the same types.

    Dictionaries of all kinds are the same type. ``check_types`` has no effect any more, see ``assert_same_paths``.
    """
    if check_types is not None:
        warnings.warn(
            "check_types has no effect; for a comparison that takes lists and tuples for the same, see "
            "tree.assert_same_paths.",
            DeprecationWarning,
            stacklevel=2,
        )

    def check(x: Any, y: Any) -> None:
        if is_nested(y):
            raise _unlike(x, y)

    _map(check, (a, b))


def assert_same_paths(a: Any, b: Any) -> None:
    """Raises ``ValueError`` unless the same indices and keys lead to the leaves of both.

    >>> assert_same_paths([0, 1], (2, 3))
    """
    of_a, of_b = ({path for path, _ in flatten_with_path(each)} for each in (a, b))
    if of_a != of_b:
        raise ValueError(
            f"a and b don't have the same paths: only a has {sorted(of_a - of_b, key=str)}, only b has "
            f"{sorted(of_b - of_a, key=str)}."
        )


def pack_sequence_as(structure: Any, flat_sequence: Iterable[Any]) -> Any:
    """The nesting of ``structure`` with the leaves ``flat_sequence``, in the order of ``flatten``.

    Raises ``TypeError`` if ``flat_sequence`` is not iterable, ``ValueError`` if it has too few or too many elements.

    >>> pack_sequence_as({"b": 0, "a": [0, 0]}, [1, 2, 3])
    {'b': 3, 'a': [1, 2]}
    """
    if not isinstance(flat_sequence, Iterable):
        raise TypeError(f"flat_sequence must be an iterable of leaves; got {flat_sequence!r}.")
    leaves, places = list(flat_sequence), len(flatten(structure))
    if len(leaves) != places:
        raise ValueError(
            f"Too {'few' if len(leaves) < places else 'many'} leaves: the structure holds {places}, flat_sequence "
            f"{len(leaves)}."
        )
    values = iter(leaves)
    return _map(lambda _: next(values), (structure,))


def lists_to_tuples(structure: Any) -> Any:
    """The same with every list a tuple.

    >>> lists_to_tuples({"a": [1, [2]]})
    {'a': (1, (2,))}
    """
    return traverse(lambda part: tuple(part) if isinstance(part, list) else None, structure, top_down=False)


def map_shape_structure(func: Callable[[Any], Any], structure: Any) -> Any:
    """The same nesting with ``func`` of each shape, a tuple or list of whole numbers and None.

    >>> map_shape_structure(len, [(2, None), {"a": (3,)}])
    [2, {'a': 1}]
    """
    _need(func, (structure,))
    return _map(func, (structure,), is_leaf=is_shape)


def traverse(func: Callable[[Any], Any], structure: Any, top_down: bool = True) -> Any:
    """``structure`` with every part for which ``func`` gives something but None replaced by that.

    ``func`` is asked for the whole, then, unless that was replaced, for its parts, depth first; with
    ``top_down=False`` for the parts before the whole. It gives ``MAP_TO_NONE`` to put None there.
    """
    _need(func, (structure,))
    if top_down and (replaced := func(structure)) is not None:
        return None if replaced is MAP_TO_NONE else replaced
    if is_nested(structure):
        parts = _parts(structure)
        structure = _like(structure, {key: traverse(func, part, top_down) for key, part in parts.items()})
    if not top_down and (replaced := func(structure)) is not None:
        return None if replaced is MAP_TO_NONE else replaced
    return structure


def _need(func: Any, structures: tuple[Any, ...]) -> None:
    if not callable(func):
        raise TypeError(f"func must be callable; got {func!r} ({type(func).__name__}).")
    if not structures:
        raise ValueError("Give at least one structure; got none.")


def _map(func: Callable[..., Any], structures: tuple[Any, ...], is_leaf: Callable[[Any], bool] | None = None) -> Any:
    first, *others = structures
    if not is_nested(first) or (is_leaf is not None and is_leaf(first)):
        return func(*structures)
    parts = _parts(first)
    for other in others:
        if not _alike(first, other):
            raise _unlike(first, other)
    all_parts = [parts, *map(_parts, others)]
    return _like(first, {key: _map(func, tuple(each[key] for each in all_parts), is_leaf) for key in parts})


def _parts(structure: Any) -> dict[Any, Any]:
    """What a structure holds, by index or key, in the order of ``flatten``."""
    if isinstance(structure, OrderedDict):
        return dict(structure)
    if isinstance(structure, dict):
        return {key: structure[key] for key in sorted(structure)}
    return dict(enumerate(structure))


def _like(structure: Any, parts: dict[Any, Any]) -> Any:
    """``parts`` in the type, and for a dictionary in the order, of ``structure``."""
    kind = type(structure)
    if kind is defaultdict:
        return defaultdict(structure.default_factory, {key: parts[key] for key in structure})
    if isinstance(structure, dict):
        return kind({key: parts[key] for key in structure})
    if kind is deque:
        return deque(parts.values(), structure.maxlen)
    return kind(*parts.values()) if hasattr(kind, "_fields") else kind(parts.values())


def _alike(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return type(b) in _DICTIONARIES and a.keys() == b.keys()
    return type(a) is type(b) and len(a) == len(b)


def _unlike(a: Any, b: Any) -> ValueError:
    mismatch = "arity mismatch, " if type(a) is type(b) and len(a) != len(b) else ""
    return ValueError(
        f"The structures don't have the same nested structure: {mismatch}expected {_kind(a)}, got {_kind(b)}."
    )


def _kind(x: Any) -> str:
    name = type(x).__name__
    if not is_nested(x):
        return f"a leaf ({name})"
    if isinstance(x, dict):
        return f"a {name} with the keys {list(x)}"
    return f"a {'namedtuple ' if hasattr(x, '_fields') else ''}{name} with a number of {len(x)} elements"


explain_missing(__name__)
