"""Hot paths on raw arrays: one package a kind of device, the same files and the same functions in each.

A backend knows arrays, never gradients. The functions of ``deepcore/backend/numpy/`` are the contract: every other
backend has the same files with the same signatures, and a test holds them to it.
"""

from __future__ import annotations

import functools
import importlib
from types import ModuleType
from typing import Any

FILES = (
    "activation",
    "cast",
    "conv",
    "embedding",
    "matmul",
    "norm",
    "optimizer",
    "pool",
    "random",
    "reduction",
    "softmax",
)


class Backend:
    """Every function of one backend package under one name, and ``xp``, its array namespace.

    Attributes:
        name: ``"numpy"`` or ``"cuda"``.
        xp: ``numpy``, or what stands for it on the device: elementwise operations, indexing, shapes.
    """

    def __init__(self, name: str, xp: ModuleType) -> None:
        self.name = name
        self.xp = xp
        for file in FILES:
            module = importlib.import_module(f"deepcore.backend.{name}.{file}")
            for function in module.__all__:
                setattr(self, function, self._placed(getattr(module, function), file))

    def _placed(self, function: Any, file: str) -> Any:
        """``function`` itself; where its arrays follow from no argument, they are made by this backend's ``xp``."""
        if self.name == "numpy" or file != "random":
            return function
        from deepcore.backend.cuda.array import allocating_in

        @functools.wraps(function)
        def placed(*args: Any, **kwargs: Any) -> Any:
            with allocating_in(self.xp):
                return function(*args, **kwargs)

        return placed

    def __getattr__(self, function: str) -> Any:  # only reached where __init__ set nothing of that name
        raise AttributeError(f"the {self.name} backend has no function {function!r}")

    def __repr__(self) -> str:
        return f"<Backend {self.name}>"


@functools.cache
def numpy_backend() -> Backend:
    import numpy

    return Backend("numpy", numpy)


@functools.cache
def emulated_backend() -> Backend:
    """The CUDA backend on NumPy arrays: its kernels run on the emulator."""
    import numpy

    return Backend("cuda", numpy)
