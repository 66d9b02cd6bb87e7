"""Config: named values, which can be frozen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from deepcore.errors import nearest


class Config:
    """Named values, as attributes and as items.

    Args:
        kwargs: the first of them.

    Changes of a frozen one raise ``ValueError``, names that it does not have ``AttributeError`` or ``KeyError``.

    >>> config = Config(rate=0.1)
    >>> config.momentum = 0.9
    >>> config["momentum"], config.to_json()
    (0.9, '{"rate": 0.1, "momentum": 0.9}')
    """

    _frozen = False

    def __init__(self, **kwargs: Any) -> None:
        object.__setattr__(self, "_config", kwargs)

    @property
    def frozen(self) -> bool:
        """Whether it cannot be changed."""
        return self._frozen

    def freeze(self) -> None:
        """Lets nobody change it."""
        object.__setattr__(self, "_frozen", True)

    def unfreeze(self) -> None:
        """Lets it be changed again."""
        object.__setattr__(self, "_frozen", False)

    def _changing(self) -> dict[str, Any]:
        if self._frozen:
            raise ValueError("The Config is frozen; unfreeze() lets it be changed.")
        return self._config

    def as_dict(self) -> dict[str, Any]:
        """The values in a dictionary of their own."""
        return dict(self._config)

    def to_json(self) -> str:
        """The values as JSON."""
        return json.dumps(self._config)

    def keys(self) -> Any:
        """The names."""
        return self._config.keys()

    def values(self) -> Any:
        """The values."""
        return self._config.values()

    def items(self) -> Any:
        """Names with their values."""
        return self._config.items()

    def get(self, keyname: str, value: Any = None) -> Any:
        """A value; ``value`` if there is none of that name."""
        return self._config.get(keyname, value)

    def pop(self, *args: Any) -> Any:
        """Takes a value out, as a dictionary does."""
        return self._changing().pop(*args)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Sets values, as a dictionary does."""
        self._changing().update(*args, **kwargs)

    def __setattr__(self, name: str, value: Any) -> None:
        self._changing()[name] = value

    def __getattr__(self, name: str) -> Any:
        values = self.__dict__.get("_config", {})
        if name not in values:
            raise AttributeError(f"The Config has no value {name!r}.{nearest(name, values)}")
        return values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._changing()[name] = value

    def __getitem__(self, name: str) -> Any:
        return self._config[name]

    def __delitem__(self, name: str) -> None:
        del self._changing()[name]

    def __contains__(self, name: object) -> bool:
        return name in self._config

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._config))

    def __len__(self) -> int:
        return len(self._config)

    def __repr__(self) -> str:
        return f"<Config {self._config}>"
