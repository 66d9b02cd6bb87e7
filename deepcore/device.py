"""Where arrays live, and which backend serves them.

``"cpu"`` is NumPy; ``"cuda"`` and ``"cuda:1"`` are GPUs; ``"emulator"`` runs the CUDA kernels on NumPy arrays;
``"auto"`` is a GPU where there is one, else the CPU, and says so once. New tensors go to the current device, which
``use_device`` sets for a block and ``DEEPCORE_DEVICE`` for a process; operations go where their tensors are.
"""

from __future__ import annotations

import contextlib
import functools
import os
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeAlias

from deepcore.backend import Backend, cuda, emulated_backend, numpy_backend
from deepcore.errors import DeviceUnavailableError, unknown_name

KINDS = ("cpu", "emulator", "cuda")


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
        cuda.require(str(self))
        raise AssertionError("cuda.require accepts no device before the CUDA backend exists")


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
    return _from_environment(os.environ.get("DEEPCORE_DEVICE") or "cpu")


@contextlib.contextmanager
def use_device(name: DeviceLike) -> Iterator[Device]:
    """Within the block new tensors and layers live on ``name``. Per thread and per asynchronous task.

    >>> with use_device("cpu") as device:
    ...     print(device)
    cpu
    """
    token = _current.set(as_device(name))
    try:
        yield current_device()
    finally:
        _current.reset(token)


def describe_devices() -> list[tuple[str, bool, str]]:
    """Every kind of device: its name, whether it can be used here, and why."""
    return [
        ("cpu", True, "NumPy, and Numba's compiled loops"),
        ("emulator", *cuda.emulator_probe()),
        ("cuda", *cuda.probe()),
    ]
