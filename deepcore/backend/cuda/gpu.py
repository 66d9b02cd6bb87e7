"""One of several GPUs: CuPy acts on whichever is current, deepcore on the one where a tensor's device is."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


def device(index: int) -> Any:
    """A context in which GPU ``index`` is the current one."""
    import cupy

    return cupy.cuda.Device(index)


def placed(function: Callable[..., Any], index: int) -> Callable[..., Any]:
    """``function``, which runs with GPU ``index`` as the current one."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        with device(index):
            return function(*args, **kwargs)

    return run


class _Placed:
    """A function of CuPy, which runs with one GPU as the current one; its attributes, as ``add.at``, as they are."""

    def __init__(self, function: Any, index: int) -> None:
        self._function, self._index = function, index

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with device(self._index):
            return self._function(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._function, name)


class Namespace:
    """CuPy, whose functions make their arrays on one GPU."""

    def __init__(self, index: int) -> None:
        import cupy

        self.index = index
        self._cupy = cupy

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._cupy, name)
        if callable(value) and not isinstance(value, type):
            value = _Placed(value, self.index)
        setattr(self, name, value)  # found at once the next time
        return value

    def __repr__(self) -> str:
        return f"<CuPy on cuda:{self.index}>"
