"""Names of layers, metrics and variables: ``dense``, ``dense_1``, and where in a model something was made."""

from __future__ import annotations

import contextlib
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

_used: Counter[str] = Counter()
_counting = threading.Lock()
_scope: ContextVar[tuple[str, ...]] = ContextVar("deepcore_name_scope", default=())
_caller: ContextVar[tuple[int, str] | None] = ContextVar("deepcore_name_scope_caller", default=None)


def snake_case(name: str) -> str:
    """A class's name as Keras spells it in names of objects.

    >>> snake_case("MaxPooling2D"), snake_case("ReLU")
    ('max_pooling2d', 're_lu')
    """
    words = re.sub(r"(?<=.)(?=[A-Z][a-z]+)", "_", re.sub(r"\W", "", name))
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", words).lower()


def unique_name(prefix: str) -> str:
    """``prefix`` the first time, then ``prefix_1``, ``prefix_2``, ..."""
    with _counting:
        count = _used[prefix]
        _used[prefix] += 1
    return f"{prefix}_{count}" if count else prefix


def get_uid(prefix: str = "") -> int:
    """How often a number was asked for ``prefix`` so far, by a name of its own or here: 1 the first time."""
    with _counting:
        _used[prefix] += 1
        return _used[prefix]


def given_name(thing: object, name: Any) -> str:
    """``name``, or one made of the class of ``thing`` where it is None. Raises ``ValueError`` for other than text."""
    if name is None:
        return unique_name(snake_case(type(thing).__name__))
    if not isinstance(name, str) or not name:
        raise ValueError(f"A {type(thing).__name__}'s name must be a string, not empty; got name={name!r}.")
    return name


def reset_names() -> None:
    """Counts names from the beginning again."""
    _used.clear()


@contextlib.contextmanager
def names_apart() -> Iterator[None]:
    """Within the block names are counted from the beginning; afterwards they go on as if it had not been."""
    with _counting:
        before = Counter(_used)
        _used.clear()
    try:
        yield
    finally:
        with _counting:
            _used.clear()
            _used.update(before)


def current_scope() -> tuple[str, ...]:
    """Names of the layers that are being built, the outermost first."""
    return _scope.get()


enter_scope = _scope.set  # what is made lies under a path from now on, until leave_scope(what this gave)
leave_scope = _scope.reset


class scope_at:  # noqa: N801 (a context manager, entered in every call of a layer: a class costs half a generator)
    """Within the block, what is made lies under ``path``."""

    __slots__ = ("_token", "path")

    def __init__(self, path: tuple[str, ...]) -> None:
        self.path = path

    def __enter__(self) -> None:
        self._token = _scope.set(self.path)

    def __exit__(self, *error: object) -> None:
        _scope.reset(self._token)


def name_scope(
    name: str, caller: Any = None, deduplicate: bool = True, override_parent: str | None = None
) -> contextlib.AbstractContextManager[None]:
    """Within the block, what is made lies under ``name``, one level deeper than around it.

    Args:
        name: of the level.
        caller: whose level it is; a block of the same caller and name within it is no level of its own.
        deduplicate: whether that is so.
        override_parent: the levels above it, ``"a/b"``, in place of those around the block.

    Raises ``ValueError`` for a name that is no string, or has a ``"/"`` in it.

    >>> with name_scope("encoder"):
    ...     current_scope()
    ('encoder',)
    """
    if not isinstance(name, str) or "/" in name:
        raise ValueError(f"The name of a scope is a string without '/'; got {name!r}.")
    parents = current_scope() if override_parent is None else tuple(filter(None, override_parent.split("/")))
    return _level(name, parents, caller if deduplicate else None)


@contextlib.contextmanager
def _level(name: str, parents: tuple[str, ...], caller: Any) -> Iterator[None]:
    if caller is not None and _caller.get() == (id(caller), name):
        yield
        return
    token = _caller.set((id(caller), name))
    try:
        with scope_at((*parents, name)):
            yield
    finally:
        _caller.reset(token)
