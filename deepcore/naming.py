"""Names of layers, metrics and variables: ``dense``, ``dense_1``, and where in a model something was made."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

_used: Counter[str] = Counter()
_scope: ContextVar[tuple[str, ...]] = ContextVar("deepcore_name_scope", default=())


def snake_case(name: str) -> str:
    """A class's name as Keras spells it in names of objects.

    >>> snake_case("MaxPooling2D"), snake_case("ReLU")
    ('max_pooling2d', 're_lu')
    """
    words = re.sub(r"(?<=.)(?=[A-Z][a-z]+)", "_", re.sub(r"\W", "", name))
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", words).lower()


def unique_name(prefix: str) -> str:
    """``prefix`` the first time, then ``prefix_1``, ``prefix_2``, ..."""
    count = _used[prefix]
    _used[prefix] += 1
    return f"{prefix}_{count}" if count else prefix


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


def current_scope() -> tuple[str, ...]:
    """Names of the layers that are being built, the outermost first."""
    return _scope.get()


@contextlib.contextmanager
def name_scope(path: tuple[str, ...]) -> Iterator[None]:
    """Within the block, what is made lies under ``path``."""
    token = _scope.set(path)
    try:
        yield
    finally:
        _scope.reset(token)
