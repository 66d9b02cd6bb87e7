"""What a layer's ``call`` takes, as its signature says."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from deepcore.structure import map_leaves


@dataclass(frozen=True)
class CallSpec:
    """What a class's ``call`` takes.

    Attributes:
        names: of its parameters.
        needs_input: whether the first of them has no default.
        training: the position of ``training`` among them, None if it is not taken.
        training_default: its default.
        masks: (position of a parameter, name of the parameter for its mask), besides ``mask``.
    """

    names: tuple[str, ...]
    needs_input: bool
    training: int | None
    training_default: bool | None
    masks: tuple[tuple[int, str], ...]

    def shapes_for(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """What ``build`` or ``compute_output_shape`` takes for a call with these arguments.

        The shape of the first input, or an ``x_shape`` for each ``x``. Raises ``ValueError`` where it takes several,
        and one is not that of an argument of ``call``.
        """
        names = _parameters(function)
        if len(names) <= 1:
            return [map_leaves(shape_of, args[0]) if args else None]
        given = {**dict(zip(self.names, args, strict=False)), **kwargs}
        for name in names:
            if not name.endswith("_shape") or name.removesuffix("_shape") not in self.names:
                raise ValueError(
                    f"{function.__name__}() takes {', '.join(names)}, of which {name!r} is not an argument of call() "
                    f"with '_shape' behind it; call() takes {', '.join(self.names)}."
                )
        values = (given.get(name.removesuffix("_shape")) for name in names)
        return [None if value is None else map_leaves(shape_of, value) for value in values]


@functools.cache
def call_spec(layer_class: type[Any]) -> CallSpec:
    """Of a class of layers."""
    parameters = inspect.signature(layer_class.call).parameters
    names = _parameters(layer_class.call)
    default = parameters["training"].default if "training" in names else None
    return CallSpec(
        names,
        bool(names) and parameters[names[0]].default is inspect.Parameter.empty,
        names.index("training") if "training" in names else None,
        None if default in (None, inspect.Parameter.empty) else bool(default),
        tuple((i, f"{name}_mask") for i, name in enumerate(names) if f"{name}_mask" in names),
    )


@functools.cache
def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    """Names of what a method takes besides ``self``, ``*args`` and ``**kwargs``."""
    parameters = inspect.signature(function).parameters.values()
    return tuple(p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD))[1:]


def shape_of(x: Any) -> Any:
    """The shape of a tensor or an array; None of anything else."""
    return tuple(x.shape) if hasattr(x, "shape") else None
