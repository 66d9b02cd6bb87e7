"""Device memory: how much is used, and what to say when it does not suffice.

On a GPU, CuPy's pool holds what was allocated once and hands it out again. On the emulator the arrays that kernels
write to are counted as long as they live.
"""

from __future__ import annotations

import gc
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepcore.errors import OutOfMemoryError


@dataclass(frozen=True)
class MemoryStats:
    """Memory of a device, in bytes.

    Attributes:
        device: its name.
        in_use: of arrays that live. On the emulator, of those that were made for kernels to write to.
        peak: the most that was in use; on a GPU None until ``reset_peak_memory`` starts to look.
        held: what the pool keeps: ``in_use``, and what it will hand out again without asking the driver.
        total, free: of the device, for all programs.
        allocations: arrays that were made for kernels to write to, since the program began.
    """

    device: str
    in_use: int
    peak: int | None
    held: int
    total: int
    free: int
    allocations: int

    def __str__(self) -> str:
        peak = "" if self.peak is None else f" (at most {size(self.peak)})"
        return (
            f"{self.device}: {size(self.in_use)} in use{peak}, {size(self.held)} held by the pool, "
            f"{size(self.free)} of {size(self.total)} free, {self.allocations} allocations"
        )


def size(count: int) -> str:
    """Bytes as a reader wants them.

    >>> size(12), size(3 << 20), size(5 << 30)
    ('12 bytes', '3.0 MiB', '5.0 GiB')
    """
    for name, unit in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} bytes"


class Ledger:
    """Arrays that live, and their bytes."""

    def __init__(self) -> None:
        self.in_use = self.peak = self.allocations = 0
        self._living: dict[int, Any] = {}
        # A weak reference may be called while this thread is inside add: the collector runs anywhere.
        self._lock = threading.RLock()

    def add(self, array: Any) -> None:
        """Counts ``array`` until it dies."""
        key, count = id(array), array.nbytes

        def dies(_: Any) -> None:
            with self._lock:
                self.in_use -= count
                self._living.pop(key, None)

        with self._lock:
            self._living[key] = weakref.ref(array, dies)
            self.in_use += count
            self.allocations += 1
            self.peak = max(self.peak, self.in_use)

    def reset_peak(self) -> None:
        """Starts the peak anew from what is in use."""
        with self._lock:
            self.peak = self.in_use


EMULATED = Ledger()
_gpu_allocations: dict[int, int] = {}
_peaks: dict[int, Any] = {}


def note_allocation(index: int) -> None:
    """Counts an array that was made on GPU ``index``."""
    _gpu_allocations[index] = _gpu_allocations.get(index, 0) + 1


def stats(kind: str, index: int) -> MemoryStats:
    """Memory of the emulator, or of GPU ``index``."""
    if kind == "emulator":
        page = os.sysconf("SC_PAGE_SIZE")
        total, free = (page * os.sysconf(name) for name in ("SC_PHYS_PAGES", "SC_AVPHYS_PAGES"))
        ledger = EMULATED
        return MemoryStats("emulator", ledger.in_use, ledger.peak, ledger.in_use, total, free, ledger.allocations)
    import cupy

    with cupy.cuda.Device(index) as device:
        pool = cupy.get_default_memory_pool()
        free, total = device.mem_info
        used, held = pool.used_bytes(), pool.total_bytes()
    peak = _peaks[index].peak if index in _peaks else None
    return MemoryStats(f"cuda:{index}", used, peak, held, total, free, _gpu_allocations.get(index, 0))


def reset_peak(kind: str, index: int) -> None:
    """Starts the peak anew from what is in use; on a GPU, of the allocations of this thread."""
    if kind == "emulator":
        EMULATED.reset_peak()
        return
    if index not in _peaks:
        _peaks[index] = _peak_hook(index)
        _peaks[index].__enter__()
    _peaks[index].peak = stats(kind, index).in_use


def _peak_hook(index: int) -> Any:
    import cupy

    class Peak(cupy.cuda.MemoryHook):  # type: ignore[misc]
        name = f"deepcore peak of cuda:{index}"
        peak = 0

        def malloc_postprocess(self, **what: Any) -> None:
            if what["device_id"] == index:
                self.peak = max(self.peak, cupy.get_default_memory_pool().used_bytes())

    return Peak()


def allocate(make: Callable[[], Any], asked: str, index: int) -> Any:
    """``make()``; if memory does not suffice, once more after the pool has given back what it does not use.

    Raises ``OutOfMemoryError``, which says what was ``asked`` for, what there is, and what to try.
    """
    import cupy

    try:
        return make()
    except cupy.cuda.memory.OutOfMemoryError:
        pass
    # Outside of the handler, whose traceback keeps the arrays of the failed call alive.
    gc.collect()
    with cupy.cuda.Device(index):
        cupy.get_default_memory_pool().free_all_blocks()
    try:
        return make()
    except cupy.cuda.memory.OutOfMemoryError as error:
        raise OutOfMemoryError(_exhausted(f"{asked} ({error})", stats("cuda", index))) from None


def described(shape: Sequence[int] | int, dtype: Any) -> str:
    """An array of this shape and dtype, in words."""
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    kind = np.dtype(dtype)
    count = kind.itemsize
    for length in sizes:
        count *= int(length)
    return f"an array of {kind.name} and shape {sizes}, {size(count)}"


def exhausted_host(shape: Sequence[int] | int, dtype: Any) -> OutOfMemoryError:
    """The error for an array that the emulator cannot have."""
    return OutOfMemoryError(_exhausted(described(shape, dtype), stats("emulator", 0)))


def _exhausted(asked: str, now: MemoryStats) -> str:
    return (
        f"{now.device} is out of memory: asked for {asked}. {size(now.in_use)} are in use, the pool holds "
        f"{size(now.held)}, and {size(now.free)} of {size(now.total)} are free. Try a smaller batch, delete tensors "
        "that are no longer needed, end other programs that use the device, or run on another device."
    )
