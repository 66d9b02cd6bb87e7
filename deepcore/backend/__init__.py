"""Hot paths on raw arrays: one package a kind of device, the same files and the same functions in each.

A backend knows arrays, never gradients. The functions of ``deepcore/backend/numpy/`` are the contract: every other
backend has the same files with the same signatures, and a test holds them to it.
"""

from __future__ import annotations

import functools
import importlib
import os
from typing import Any

from deepcore.errors import explain_missing

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
        index: which GPU; None where arrays are NumPy's.
    """

    def __init__(self, name: str, xp: Any, index: int | None = None) -> None:
        self.name = name
        self.xp = xp
        self.index = index
        for file in FILES:
            module = importlib.import_module(f"deepcore.backend.{name}.{file}")
            for function in module.__all__:
                setattr(self, function, self._placed(getattr(module, function), file))

    def _placed(self, function: Any, file: str) -> Any:
        """``function`` itself; on a GPU, one that runs with that GPU as the current one; where its arrays follow from
        no argument, they are made by this backend's ``xp``."""
        if self.index is not None:
            from deepcore.backend.cuda.gpu import placed as on_gpu

            function = on_gpu(function, self.index)
        if self.name == "numpy" or file != "random":
            return function
        from deepcore.backend.cuda.array import allocating_in

        @functools.wraps(function)
        def placed(*args: Any, **kwargs: Any) -> Any:
            with allocating_in(self.xp):
                return function(*args, **kwargs)

        return placed

    def from_host(self, array: Any) -> Any:
        """A NumPy array, as an array of this backend: a copy on a GPU, counted by ``deepcore.audit``."""
        if self.name == "numpy":
            return array
        from deepcore.backend.cuda.transfer import to_device

        return to_device(array, self.index)

    def to_host(self, array: Any) -> Any:
        """An array of this backend as a NumPy array: a copy from a GPU, counted by ``deepcore.audit``."""
        if self.name == "numpy":
            return array
        from deepcore.backend.cuda.transfer import to_host

        return to_host(array)

    def scalar(self, value: Any) -> Any:
        """A NumPy array of one number and no axes, as an array of this backend: no copy, for a number travels to a
        GPU in the arguments of the kernel that writes it."""
        return value if self.index is None else self.xp.full((), value[()], value.dtype)

    def __getattr__(self, function: str) -> Any:  # only reached where __init__ set nothing of that name
        raise AttributeError(f"the {self.name} backend has no function {function!r}")

    def __repr__(self) -> str:
        return f"<Backend {self.name}>"


@functools.cache
def numpy_backend() -> Backend:
    import numpy

    if os.environ.get("DEEPCORE_NUM_THREADS"):
        _limit_blas()
    return Backend("numpy", numpy)


def _limit_blas() -> None:
    """Matrix products take no more threads than loops do; the BLAS itself knows ``OMP_NUM_THREADS`` alone."""
    from threadpoolctl import threadpool_limits

    from deepcore.kernels.cores import cores

    threadpool_limits(cores(), user_api="blas")


@functools.cache
def emulated_backend() -> Backend:
    """The CUDA backend on NumPy arrays: its kernels run on the emulator."""
    import numpy

    return Backend("cuda", numpy)


@functools.cache
def gpu_backend(index: int) -> Backend:
    """The CUDA backend on the CuPy arrays of GPU ``index``."""
    from deepcore.backend.cuda.gpu import Namespace

    return Backend("cuda", Namespace(index), index)


# Keras's module of this name, for scripts: ``from keras import backend``.
explain_missing(
    __name__,
    late={
        **dict.fromkeys(
            (
                "backend",
                "epsilon",
                "floatx",
                "image_data_format",
                "set_epsilon",
                "set_floatx",
                "set_image_data_format",
            ),
            "deepcore.config",
        ),
        **dict.fromkeys(("is_float_dtype", "is_int_dtype", "standardize_dtype"), "deepcore.backend.dtype"),
        "clear_session": "deepcore.utils",
        "get_uid": "deepcore.naming",
        "is_keras_tensor": "deepcore.symbolic",
        "result_type": "deepcore.ops.operand",
    },
)
