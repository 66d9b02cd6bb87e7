"""Where arrays live, and which backend serves them.

``"cpu"`` is NumPy; ``"cuda"`` and ``"cuda:1"`` are GPUs; ``"emulator"`` runs the CUDA kernels on NumPy arrays;
``"auto"`` is a GPU where there is one, else the CPU, and says so once. New tensors go to the current device, which
``use_device`` sets for a block and ``DEEPCORE_DEVICE`` for a process; operations go where their tensors are.
``deepcore.device("gpu:0")`` is Keras's name for ``use_device("cuda:0")``.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import types
import warnings
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from deepcore.backend import Backend, cuda, emulated_backend, gpu_backend, numpy_backend
from deepcore.backend.cuda import gpu, memory
from deepcore.backend.numpy.rows import silent
from deepcore.errors import DeviceUnavailableError, unknown_name

KINDS = ("cpu", "emulator", "cuda")


_NOTHING = contextlib.nullcontext()


@dataclass(frozen=True)
class Device:
    """A place for arrays.

    Attributes:
        kind: ``"cpu"``, ``"emulator"`` or ``"cuda"``.
        index: which GPU; 0 elsewhere.
    """

    kind: str
    index: int = 0

    def __str__(self) -> str:
        return f"{self.kind}:{self.index}" if self.index else self.kind

    def __reduce__(self) -> tuple[Any, ...]:
        return Device, (self.kind, self.index)  # a copy, or another process, asks for its own backend

    @functools.cached_property
    def backend(self) -> Backend:
        """The functions that run here. Raises ``DeviceUnavailableError`` with the reason if there are none."""
        if self.kind == "cpu":
            return numpy_backend()
        if self.kind == "emulator":
            ok, reason = cuda.emulator_probe()
            if not ok:
                raise DeviceUnavailableError(f"device 'emulator' was asked for, but {reason} device='cpu' needs none.")
            return emulated_backend()
        cuda.require(str(self), self.index)
        return gpu_backend(self.index)

    def active(self) -> contextlib.AbstractContextManager[Any]:
        """A context in which this GPU is the current one of CuPy; elsewhere one that does nothing."""
        return gpu.device(self.index) if self.kind == "cuda" else _NOTHING

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """``function(*args, **kwargs)``, which makes its arrays here. Raises ``OutOfMemoryError`` with advice."""
        if self.kind != "cuda":
            return quietly(function, *args, **kwargs)
        with gpu.device(self.index):
            return memory.allocate(lambda: function(*args, **kwargs), "the result of an operation", self.index)


is_silent = silent.get  # whether the block is one of ``silence``


class silence:  # noqa: N801 (a context manager, entered in every step)
    """Within the block NumPy does not warn, so that not every operation has to see to it by itself."""

    __slots__ = ("_errstate", "_token")

    def __enter__(self) -> None:
        self._errstate = np.errstate(all="ignore")
        self._errstate.__enter__()
        self._token = silent.set(True)

    def __exit__(self, *error: Any) -> None:
        silent.reset(self._token)
        self._errstate.__exit__(*error)


def quietly(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """``function(*args, **kwargs)`` without warnings of log(0) and its like, of which a GPU does not tell, either."""
    if is_silent():
        return function(*args, **kwargs)
    with np.errstate(all="ignore"):
        return function(*args, **kwargs)


DeviceLike: TypeAlias = Device | str
CPU = Device("cpu")
_current: ContextVar[Device | None] = ContextVar("deepcore_device", default=None)


def as_device(name: DeviceLike) -> Device:
    """The device called ``name``: ``"cpu"``, ``"emulator"``, ``"cuda"``, ``"cuda:1"`` or ``"auto"``.

    Raises ``ValueError`` for a name that nobody knows and ``DeviceUnavailableError`` for a device that this machine
    cannot offer.

    >>> as_device("cpu")
    Device(kind='cpu', index=0)
    """
    if isinstance(name, Device):
        return name
    if not isinstance(name, str):
        raise TypeError(f"A device is a name such as 'cpu' or 'cuda:1', or a Device; got {name!r}.")
    if name == "auto":
        return _auto()
    kind, colon, index = name.partition(":")
    if kind not in KINDS or (colon and (kind != "cuda" or not index.isdecimal())):
        raise unknown_name("device", name, (*KINDS, "cuda:1", "auto"))
    device = Device(kind, int(index) if colon else 0)
    assert device.backend is not None  # raises here, not at the first operation, if the device cannot be had
    return device


@functools.cache
def _auto() -> Device:
    ok, reason = cuda.probe()
    if ok:
        return as_device("cuda")
    warnings.warn(f"device 'auto' runs on the CPU: {reason}.", stacklevel=4)
    return CPU


@functools.cache
def _from_environment(name: str) -> Device:
    try:
        return as_device(name)
    except ValueError as error:
        raise ValueError(f"The environment variable DEEPCORE_DEVICE is {name!r}. {error}") from None


def current_device() -> Device:
    """The device of new tensors: that of the innermost ``use_device``, else ``DEEPCORE_DEVICE``, else the CPU."""
    device = _current.get()
    if device is not None:
        return device
    name = os.environ.get("DEEPCORE_DEVICE")
    return _from_environment(name) if name else CPU


class use_device(contextlib.ContextDecorator):  # noqa: N801 (a context manager, entered in every step)
    """Within the block, or the decorated function, new tensors and layers live on ``name``. Per thread and per
    asynchronous task.

    >>> with use_device("cpu") as device:
    ...     print(device)
    cpu
    """

    def __init__(self, name: DeviceLike) -> None:
        self.name = name

    def _recreate_cm(self) -> use_device:
        return use_device(self.name)

    def __enter__(self) -> Device:
        device = as_device(self.name)
        self._token = _current.set(device)
        return device

    def __exit__(self, *error: object) -> None:
        _current.reset(self._token)


def memory_stats(device: DeviceLike | None = None) -> memory.MemoryStats:
    """What is used of the memory of ``device``, the current one by default.

    Raises ``ValueError`` for the CPU, whose arrays nobody counts.

    >>> import deepcore
    >>> if deepcore.backend.cuda.emulator_probe()[0]:  # there is a C++ compiler
    ...     stats = deepcore.memory_stats("emulator")
    ...     assert 0 <= stats.in_use <= stats.peak
    """
    where = _counted(device)
    return memory.stats(where.kind, where.index)


def reset_peak_memory(device: DeviceLike | None = None) -> None:
    """Starts ``memory_stats(device).peak`` anew from what is in use now. On a GPU this is what starts to look, at the
    allocations of the calling thread. Raises ``ValueError`` for the CPU."""
    where = _counted(device)
    memory.reset_peak(where.kind, where.index)


def _counted(device: DeviceLike | None) -> Device:
    where = current_device() if device is None else as_device(device)
    if where.kind == "cpu":
        raise ValueError(
            "Memory is counted on a GPU and on the emulator; arrays on the CPU are NumPy's. Ask for "
            "device='cuda' or 'emulator', or use tracemalloc."
        )
    return where


def describe_devices() -> list[tuple[str, bool, str]]:
    """Every kind of device: its name, whether it can be used here, and why."""
    return [
        ("cpu", True, "NumPy, and Numba's compiled loops"),
        ("emulator", *cuda.emulator_probe()),
        ("cuda", *cuda.probe()),
    ]


class _DeviceModule(types.ModuleType):
    """This module, which scripts call as Keras's function of its name: ``with keras.device("gpu:0"):``."""

    def __call__(self, device_name: str) -> contextlib.AbstractContextManager[Device]:
        """``use_device``, of a name as Keras or deepcore spells it."""
        if not isinstance(device_name, str):
            raise ValueError(f"A device is a name such as 'cpu', 'gpu' or 'cuda:1'; got {device_name!r}.")
        kind, colon, index = device_name.lower().partition(":")
        kind = "cuda" if kind == "gpu" else kind
        return use_device(kind if kind == "cpu" and index == "0" else f"{kind}{colon}{index}")


sys.modules[__name__].__class__ = _DeviceModule
