"""Where a case runs: how arrays get there and back, when work is done, and what its clocks measure.

A device with a queue and memory of its own overrides ``to_device``, ``to_host``, ``synchronize`` and ``seconds``, and
names more clocks: the kernel alone, the kernel with its launch, the call with transfers in and out. Nothing above
knows which device it is on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deepcore.backend import Backend, numpy_backend
from deepcore.benchmarks.clock import Rotation
from deepcore.benchmarks.machine import machine
from deepcore.errors import unknown_name


class Device:
    """The processor that Python runs on; also the interface of every other device.

    Attributes:
        name: what the command line calls it.
        kind: what dispatch calls it.
        clocks: the clocks that ``seconds`` understands, the most telling first.
    """

    name = "cpu"
    kind = "cpu"
    clocks: tuple[str, ...] = ("call",)
    driver = ""
    gpu = ""

    def __init__(self) -> None:
        self.backend: Backend = numpy_backend()

    @property
    def cache_bytes(self) -> int:
        """Bytes of the largest cache between memory and arithmetic."""
        return machine().last_level_cache

    def precision(self, dtype: str) -> str:
        """In which precision products are formed, where that is less than ``dtype`` says."""
        return dtype

    def to_device(self, array: np.ndarray) -> Any:
        """A host array as an array of the device."""
        return array

    def to_host(self, array: Any) -> np.ndarray:
        """An array of the device as a NumPy array."""
        return np.asarray(array)

    def synchronize(self) -> None:
        """Returns when everything that was asked of the device is done."""

    def seconds(self, clock: str, call: Callable[[Sequence[Any]], Any], rotation: Rotation) -> float:
        """Seconds of one call on the next copy of its arrays. The result is released after the clock has stopped."""
        arrays = rotation.take()
        self.synchronize()
        begin = time.perf_counter()
        result = call(arrays)
        self.synchronize()
        taken = time.perf_counter() - begin
        del result
        return taken

    def transfer_bytes(self, clock: str, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> int:
        """Bytes that one call moves between host and device while ``clock`` runs."""
        return 0


DEVICES: dict[str, type[Device]] = {Device.name: Device}


def open_device(name: str) -> Device:
    """The device called ``name``. Raises ``ValueError`` for one that nothing here measures."""
    if name not in DEVICES:
        raise unknown_name("benchmark device", name, DEVICES)
    return DEVICES[name]()
