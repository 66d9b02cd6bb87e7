"""The outputs of a model by their place: losses, metrics, targets and weights are given for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

Path = tuple[Any, ...]

_NESTED = (list, tuple, dict)  # a union of them, written where it is asked for, would be made anew each time


def is_nested(value: Any) -> bool:
    """Whether ``value`` is a list, tuple or dictionary of parts."""
    return isinstance(value, _NESTED)


def places(structure: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """What a structure holds, each with the keys that lead there; dictionaries in the order of their sorted keys.

    >>> list(places({"b": [1, 2], "a": 3}))
    [(('a',), 3), (('b', 0), 1), (('b', 1), 2)]
    """
    if isinstance(structure, dict):
        for key in _sorted(structure):
            yield from places(structure[key], (*path, key))
    elif isinstance(structure, list | tuple):
        for i, part in enumerate(structure):
            yield from places(part, (*path, i))
    else:
        yield path, structure


def flat(structure: Any) -> list[Any]:
    """What a structure holds, in the order of ``places``."""
    return [leaf for _, leaf in places(structure)]


def at(structure: Any, path: Path) -> Any:
    """What lies at ``path``."""
    for key in path:
        structure = structure[key]
    return structure


def shape_of(structure: Any) -> str:
    """A structure as messages show it, with ``*`` for each part."""
    if isinstance(structure, dict):
        return "{" + ", ".join(f"{key!r}: {shape_of(structure[key])}" for key in _sorted(structure)) + "}"
    if isinstance(structure, list | tuple):
        return "[" + ", ".join(map(shape_of, structure)) + "]"
    return "*"


def by_place(
    given: Any, outputs: Any, names: Callable[[], Sequence[str] | None], wanted: Sequence[Path] | None = None
) -> Any:
    """What is given for the outputs, such as targets, as a dictionary by the place of the output; None if it misfits.

    Args:
        given: nested like the outputs; or flat, in their order; or a dictionary by their names, for a list of outputs.
        outputs: of the model.
        names: gives the names of the outputs, in the order of ``places``; None where they have none.
        wanted: the places that something must be given for, where it is not all of them.
    """
    if not is_nested(given) and not is_nested(outputs):
        return {(): given}
    paths = [path for path, _ in places(outputs)]
    if isinstance(given, dict) and isinstance(outputs, list | tuple):
        known = names()
        if known and set(given) <= set(known):
            return {path: given[name] for path, name in zip(paths, known, strict=True) if name in given}
    parts = dict(places(given))
    if set(parts) == set(paths):
        return parts
    if len(parts) == len(paths):
        return dict(zip(paths, parts.values(), strict=True))
    for some in (wanted, [path for path in paths if path in parts]):
        if some and len(parts) == len(some):
            return dict(zip(some, parts.values(), strict=True))
    return None


def _sorted(mapping: dict[Any, Any]) -> list[Any]:
    try:
        return sorted(mapping)
    except TypeError:  # keys of several types have no order
        return list(mapping)
