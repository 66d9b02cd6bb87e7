"""In which dtype a layer keeps its weights, and in which it computes."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepcore import serialization
from deepcore.config import dtype_of, floatx
from deepcore.errors import explain_missing

__all__ = ["DTypePolicy", "FloatDTypePolicy", "deserialize", "get", "serialize"]

_KNOWN = ("float32", "float64")


class DTypePolicy:
    """float32 or float64, for weights and computation alike.

    Args:
        name: ``"float32"`` or ``"float64"``; that of the whole program by default, see ``dtype_policy``.

    Raises ``ValueError`` for another name, ``TypeError`` for what is none.

    >>> DTypePolicy("float64").compute_dtype
    dtype('float64')
    """

    name: str
    quantization_mode = None

    def __init__(self, name: str | None = None) -> None:
        if name is None:
            name = dtype_policy().name
        if not isinstance(name, str):
            raise TypeError(f"The name of a dtype policy is a string, {' or '.join(_KNOWN)}; got {name!r}.")
        if name not in _KNOWN:
            raise ValueError(
                f"a layer computes in float32 or float64; got dtype={name}."
                + (" Mixed precision is not there yet." if name.startswith("mixed") else "")
            )
        self.name = name
        self.compute_dtype = self.variable_dtype = np.dtype(name)

    @classmethod
    def of(cls, dtype: Any) -> DTypePolicy:
        """The policy that a layer's argument ``dtype`` means: a policy, its configuration, a dtype, or its name."""
        if dtype is None:
            return dtype_policy()
        if isinstance(dtype, DTypePolicy):
            return dtype
        if isinstance(dtype, dict):
            dtype = dtype.get("config", {}).get("name", dtype)
        return cls(dtype if isinstance(dtype, str) else dtype_of(dtype).name)

    def get_config(self) -> dict[str, Any]:
        """The argument that makes it anew."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> DTypePolicy:
        """The policy of ``get_config``'s dictionary."""
        return cls(**config)

    def serialize(self) -> dict[str, Any]:
        """Its configuration, as model files hold it."""
        return {
            "module": "keras",
            "class_name": "DTypePolicy",
            "config": self.get_config(),
            "registered_name": None,
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicy) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self.name}">'


class FloatDTypePolicy(DTypePolicy):
    """``DTypePolicy`` by an older name."""


for _policy in (DTypePolicy, FloatDTypePolicy):
    serialization.export("keras.dtype_policies", _policy)
    serialization.export("keras", _policy)  # the last one is what is written

_of_the_program: list[DTypePolicy] = []  # empty where floatx says it


def dtype_policy() -> DTypePolicy:
    """The policy of layers that are given none: that of ``set_dtype_policy``, else of ``config.floatx()``."""
    return _of_the_program[0] if _of_the_program else DTypePolicy(floatx())


def set_dtype_policy(policy: str | DTypePolicy) -> None:
    """Sets it. Raises ``ValueError`` for what is neither a policy nor the name of one.

    >>> set_dtype_policy("float64")
    >>> dtype_policy()
    <DTypePolicy "float64">
    >>> set_dtype_policy("float32")
    """
    if not isinstance(policy, str | DTypePolicy):
        raise ValueError(f"A dtype policy is a DTypePolicy, or {' or '.join(_KNOWN)}; got {policy!r}.")
    _of_the_program[:] = [DTypePolicy(policy) if isinstance(policy, str) else policy]


def get(identifier: Any) -> DTypePolicy:
    """The policy that ``identifier`` stands for: its name, its configuration, a dtype, or itself; that of the whole
    program for None.

    Raises ``ValueError`` for anything else.
    """
    if isinstance(identifier, dict):
        return deserialize(identifier)
    try:
        return DTypePolicy.of(identifier)
    except TypeError:
        raise ValueError(f"Expected a dtype policy, its name, or a dtype; got {identifier!r}.") from None


def serialize(dtype_policy: DTypePolicy) -> dict[str, Any]:
    """The configuration of a policy."""
    return dtype_policy.serialize()


def deserialize(config: dict[str, Any], custom_objects: Any = None) -> DTypePolicy:
    """The policy of a configuration."""
    with serialization.CustomObjectScope(custom_objects):
        return serialization.deserialize(
            config, kinds={each.__name__: each for each in (DTypePolicy, FloatDTypePolicy)}
        )


explain_missing(__name__)
