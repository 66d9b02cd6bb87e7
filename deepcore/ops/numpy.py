"""The functions of ``keras.ops.numpy``, by that name: those of this package that NumPy has, too."""

import inspect
from typing import Any

from deepcore import ops

_FILES = (
    "arithmetic",
    "arrangement",
    "creation",
    "cumulative",
    "elementwise",
    "indexing",
    "inspection",
    "logic",
    "matmul",
    "products",
    "reduction",
    "rounding",
    "shape",
    "sorting",
    "spacing",
    "statistics",
    "trigonometry",
)
_NOT_OF_NUMPY = {
    "embedding",
    "one_hot",
    "top_k",
    "in_top_k",
    "unstack",
    "rsqrt",
    "logsumexp",
    "alias",
    "getitem",
    "cdist",
}


def _of_numpy(name: str) -> bool:
    function = getattr(ops, name)
    file = getattr(function, "__module__", "").removeprefix("deepcore.ops.")
    return inspect.isfunction(function) and file in _FILES and name not in _NOT_OF_NUMPY


__all__: list[str] = [name for name in ops.__all__ if _of_numpy(name)]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(ops, name)
    raise AttributeError(f"module 'deepcore.ops.numpy' has no attribute {name!r}; other functions are in deepcore.ops.")


def __dir__() -> list[str]:
    return __all__
