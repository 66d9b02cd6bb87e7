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
from deepcore.benchmarks.clock import Copies, Rotation
from deepcore.benchmarks.machine import machine
from deepcore.errors import unknown_name

# What the clocks of the CPU read. The processor time of all threads is steady where others use the cores as well, but
# it is the time of a call only where one thread works.
NOW: dict[str, Callable[[], float]] = {"call": time.perf_counter, "cpu": time.process_time}


class Device:
    """The processor that Python runs on; also the interface of every other device.

    Attributes:
        name: what the command line calls it.
        kind: what dispatch calls it.
        clocks: those of its clocks that are read, the most telling first.
    """

    name = "cpu"
    kind = "cpu"
    clocks: tuple[str, ...] = ("call",)
    driver = ""
    gpu = ""

    def __init__(self, clock: str | None = None) -> None:
        if clock is not None:
            self.clocks = (clock,)
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

    def seconds(self, clock: str, call: Callable[[Sequence[Any]], Any], rotation: Rotation | Copies) -> float:
        """Seconds of one call on the next copy of its arrays. The result is released after the clock has stopped."""
        now = NOW.get(clock, time.perf_counter)
        arrays = rotation.take()
        self.synchronize()
        begin = now()
        result = call(arrays)
        self.synchronize()
        taken = now() - begin
        del result
        return taken

    def transfer_bytes(self, clock: str, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> int:
        """Bytes that one call moves between host and device while ``clock`` runs."""
        return 0


# Keeps the GPU at work while the host queues what is to be timed.
_BUSY = """
extern "C" __global__ void busy(long long cycles) {
    long long start = clock64();
    while (clock64() - start < cycles) {
    }
}
"""
_HEAD_START = 1e-3  # seconds that the GPU is kept at work at first
_LONGEST_HEAD_START = 1.0


class Cuda(Device):
    """The first GPU, by CuPy. Its clocks answer three questions about one call:

    - ``kernel``: what the GPU does, by events on the GPU. The host queues the call while the GPU is busy with something
      else, so that no gap between launches counts.
    - ``launch``: what a layer waits for whose arrays are on the GPU, by the host's clock: dispatch, launches, kernels.
    - ``transfer``: what a caller waits for whose arrays are in (pinned) host memory, and who wants the results there.
    """

    name = "cuda"
    kind = "cuda"
    clocks = ("kernel", "launch", "transfer")

    def __init__(self) -> None:
        from deepcore.device import as_device

        self.backend = as_device("cuda").backend
        import cupy

        self._cupy = cupy
        runtime = cupy.cuda.runtime
        self._properties = runtime.getDeviceProperties(0)
        self.gpu = self._properties["name"].decode()
        self.driver = _driver(runtime.driverGetVersion())
        self._cycles = 1e3 * runtime.deviceGetAttribute(13, 0)  # cudaDevAttrClockRate, in kHz
        self._busy = cupy.RawKernel(_BUSY, "busy")
        self._head_start = _HEAD_START
        self._staged: tuple[Rotation | Copies | None, list[Any], list[Any]] = (None, [], [])

    @property
    def cache_bytes(self) -> int:
        """Bytes of the second-level cache."""
        return int(self._properties["l2CacheSize"])

    def to_device(self, array: np.ndarray) -> Any:
        return self._cupy.asarray(array)

    def to_host(self, array: Any) -> np.ndarray:
        host: np.ndarray = self._cupy.asnumpy(array)
        return host

    def synchronize(self) -> None:
        self._cupy.cuda.Device(0).synchronize()

    def seconds(self, clock: str, call: Callable[[Sequence[Any]], Any], rotation: Rotation | Copies) -> float:
        if clock == "kernel":
            return self._on_the_gpu(call, rotation)
        if clock == "transfer":
            return self._with_transfers(call, rotation)
        return super().seconds(clock, call, rotation)

    def transfer_bytes(self, clock: str, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> int:
        return sum(array.nbytes for array in (*inputs, *outputs)) if clock == "transfer" else 0

    def _on_the_gpu(self, call: Callable[[Sequence[Any]], Any], rotation: Rotation | Copies) -> float:
        begin, end = self._cupy.cuda.Event(), self._cupy.cuda.Event()
        while True:
            arrays = rotation.take()
            self.synchronize()
            started = time.perf_counter()
            self._busy((1,), (1,), (np.int64(self._head_start * self._cycles),))
            begin.record()
            result = call(arrays)
            end.record()
            queued = time.perf_counter() - started
            end.synchronize()
            del result
            # Queued too late, the call found the GPU idle, and the events saw the host's pace. At full clock rate the
            # head start is the shortest, and that is what it is computed for.
            if queued < self._head_start or self._head_start >= _LONGEST_HEAD_START:
                return float(self._cupy.cuda.get_elapsed_time(begin, end)) / 1e3
            self._head_start = min(2 * max(queued, self._head_start), _LONGEST_HEAD_START)

    def _with_transfers(self, call: Callable[[Sequence[Any]], Any], rotation: Rotation | Copies) -> float:
        staged, sources, targets = self._staged
        arrays = rotation.take()
        if staged is not rotation:
            sources = [self._pinned(self.to_host(array)) for array in arrays]
            targets = [self._pinned(self.to_host(part)) for part in _parts(call(arrays))]
            self._staged = rotation, sources, targets
        self.synchronize()
        begin = time.perf_counter()
        for array, source in zip(arrays, sources, strict=True):
            array.set(source)
        result = call(arrays)
        for part, target in zip(_parts(result), targets, strict=True):
            part.get(out=target)
        self.synchronize()
        taken = time.perf_counter() - begin
        del result
        return taken

    def _pinned(self, array: np.ndarray) -> np.ndarray:
        """A copy in host memory that the GPU can reach by itself."""
        memory = self._cupy.cuda.alloc_pinned_memory(max(1, array.nbytes))
        copy: np.ndarray = np.frombuffer(memory, array.dtype, array.size).reshape(array.shape)
        copy[...] = array
        return copy


def _parts(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)


def _driver(version: int) -> str:
    """The driver's own version where NVML tells it, and the CUDA version that it supports."""
    cuda = f"CUDA {version // 1000}.{version % 1000 // 10}"
    try:
        import pynvml

        pynvml.nvmlInit()
        found = pynvml.nvmlSystemGetDriverVersion()
    except Exception:  # no NVML, or none that answers
        return cuda
    return f"{found.decode() if isinstance(found, bytes) else found}, {cuda}"


DEVICES: dict[str, type[Device]] = {Device.name: Device, Cuda.name: Cuda}


def known_clock(name: str) -> str:
    """``name``, if it is one of the clocks in ``NOW``; raises ``ValueError`` otherwise."""
    if name not in NOW:
        raise unknown_name("clock", name, NOW)
    return name


def open_device(name: str, clock: str = "call") -> Device:
    """The device called ``name``; a CPU on one of the clocks in ``NOW``, another device on all of its own.

    Raises ``ValueError`` for a device that nothing here measures, and for a clock that it does not have.
    """
    if name == "emulator":
        raise ValueError(
            "The emulator is not timed: its seconds say nothing about a GPU. Measure --device cpu, or cuda on a "
            "machine with a GPU; `deepcore emulate --check` counts the memory traffic of a kernel."
        )
    if name not in DEVICES:
        raise unknown_name("benchmark device", name, DEVICES)
    if name == "cpu":
        return Device(known_clock(clock))
    if clock != "call":
        raise ValueError(f"--clock is for the CPU; {name} is measured by all of its clocks.")
    return DEVICES[name]()
