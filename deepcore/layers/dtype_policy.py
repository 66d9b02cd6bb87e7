"""In which dtype a layer keeps its weights, and in which it computes."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepcore.config import dtype_of

_KNOWN = ("float32", "float64")


class DTypePolicy:
    """float32 or float64, for weights and computation alike.

    Args:
        name: ``"float32"`` or ``"float64"``.

    Raises ``ValueError`` for another name.

    >>> DTypePolicy("float64").compute_dtype
    dtype('float64')
    """

    def __init__(self, name: str = "float32") -> None:
        if name not in _KNOWN:
            raise ValueError(
                f"a layer computes in float32 or float64; got dtype={name}."
                + (" Mixed precision is not there yet." if str(name).startswith("mixed") else "")
            )
        self.name = name
        self.compute_dtype = self.variable_dtype = np.dtype(name)

    @classmethod
    def of(cls, dtype: Any) -> DTypePolicy:
        """The policy that a layer's argument ``dtype`` means: a policy, its configuration, a dtype, or its name."""
        if isinstance(dtype, cls):
            return dtype
        if isinstance(dtype, dict):
            dtype = dtype.get("config", {}).get("name", dtype)
        return cls(dtype if isinstance(dtype, str) else dtype_of(dtype).name)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}

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
        return f"<DTypePolicy {self.name}>"
