"""Objects found by name or by configuration: initializers, losses, metrics, optimizers, layers, regularizers.

A configuration is Keras's dictionary, see ``deepcore.serialization``. Only registered classes are made from one, so
that a file cannot call anything else.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from deepcore import serialization
from deepcore.errors import unknown_name
from deepcore.naming import snake_case

C = TypeVar("C")
_NOT_IN_KERAS = {"LocalResponseNormalization"}


class Registry:
    """The known classes and functions of one kind.

    Args:
        kind: what they are, for messages: ``"initializer"``.
        module: where they live, ``"deepcore.initializers"``; configurations say ``"keras.initializers"``.
        base: the class that ready-made objects are instances of; anything callable counts, too, where ``callables``.
    """

    def __init__(self, kind: str, module: str, base: type | None = None, callables: bool = False) -> None:
        self.kind = kind
        self.place = module.partition(".")[2]
        self.module = f"keras.{self.place}"
        self.base = base
        self.callables = callables
        self.entries: dict[str, Any] = {}
        self._spelled: list[str] = []  # one name for each entry, to offer

    def register(self, *aliases: str) -> Callable[[C], C]:
        """Decorator: the class or function is known by its own name, in snake case, and by ``aliases``."""

        def add(entry: C) -> C:
            name = entry.__name__  # type: ignore[attr-defined]
            for spelling in (name, snake_case(name), *aliases):
                self.entries[spelling] = entry
            serialization.export(self.module if name not in _NOT_IN_KERAS else f"deepcore.{self.place}", entry)
            self._spelled.append(snake_case(name))
            return entry

        return add

    def get(self, identifier: Any) -> Any:
        """The object that ``identifier`` stands for: a name, a configuration, a class, or the object itself.

        Raises ``ValueError`` for anything else; for an unknown name with the nearest known ones.
        """
        if identifier is None:
            return None
        if isinstance(identifier, str):
            entry = self.find(identifier)
            return entry() if inspect.isclass(entry) else entry
        if isinstance(identifier, dict):
            return self.deserialize(identifier)
        if inspect.isclass(identifier) and (self.base is None or issubclass(identifier, self.base)):
            return identifier()
        if (self.base is not None and isinstance(identifier, self.base)) or (
            self.callables and callable(identifier) and not inspect.isclass(identifier)
        ):
            return identifier
        expected = f"an instance of {self.base.__name__}" if self.base is not None else "a function"
        raise ValueError(
            f"Expected the name of a known {self.kind}, its configuration, or {expected}; "
            f"got {identifier!r} ({type(identifier).__name__})."
        )

    def find(self, name: str) -> Any:
        """The class or function called ``name``, a custom one first. Raises ``ValueError`` with the nearest names."""
        custom = serialization.get_registered_object(name)
        if custom is not None:
            return custom
        try:
            return self.entries[name]
        except KeyError:
            raise unknown_name(self.kind, name, set(self._spelled)) from None

    def serialize(self, thing: Any) -> Any:
        """The configuration of ``thing``: a dictionary. None stays None."""
        return serialization.serialize(thing)

    def deserialize(self, config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
        """The object of a configuration, which may name ``custom_objects``, too."""
        with serialization.CustomObjectScope(custom_objects):
            if isinstance(config, str):
                return self.get(config)
            if not isinstance(config, dict) or not {"class_name", "config"} <= set(config):
                raise ValueError(
                    f"The configuration of a {self.kind} is a dictionary with 'class_name' and 'config'; got "
                    f"{config!r}."
                )
            if isinstance(config["config"], str) and config["class_name"] == "function":
                return self.find(config["config"])
            return serialization.deserialize(config, kinds=self.entries)


class Configurable:
    """What its own arguments can make anew."""

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this object anew."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The object of ``get_config``'s dictionary."""
        return cls(**config)
