"""Functions of this package as steps of a functional model."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from deepcore.naming import unique_name
from deepcore.symbolic import CallNode, infer, is_symbolic

FUNCTIONS: dict[str, Callable[..., Any]] = {}


class Operation:
    """A function of ``deepcore.ops`` that a functional model calls between its layers.

    Attributes:
        function: its name in ``deepcore.ops``.
        name: the function's, made unique.
    """

    def __init__(self, function: str, name: str | None = None) -> None:
        self.function = function
        self.name = unique_name(function) if name is None else name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if is_symbolic(args, kwargs):
            return self.record(args, kwargs)
        return FUNCTIONS[self.function](*args, **kwargs)

    def record(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The symbolic result of a call, which is noted in it."""
        return CallNode(self, args, kwargs, infer(FUNCTIONS[self.function], args, kwargs)).structure

    def __repr__(self) -> str:
        return f"<Operation {self.name}>"


def recordable(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, which with symbolic tensors gives symbolic ones."""
    name = function.__name__
    FUNCTIONS[name] = function

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        if is_symbolic(args, kwargs):
            return Operation(name).record(args, kwargs)
        return function(*args, **kwargs)

    return run
