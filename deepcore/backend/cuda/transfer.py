"""Copies between host and device: through pinned memory, and counted by the audit.

The driver copies from pinned memory while the host goes on; from other memory it first copies to a buffer of its own
and makes the host wait. So arrays pass through pinned buffers that are used again and again. A copy to the device is
in order with everything else on the current stream; the host may change its array as soon as the call returns.

On the emulator, whose memory is the host's, nothing is copied, and the audit counts as if it were.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from deepcore.backend import audit
from deepcore.backend.cuda import memory

CHUNK = 16 << 20  # bytes of the largest buffer; longer arrays go in several pieces, one filled while another travels
MOST_PINNED = 8 * CHUNK


class _Pinned(NamedTuple):
    """A buffer of pinned memory, and what tells that the device is done with it."""

    bytes: np.ndarray
    owner: Any
    event: Any


class Staging:
    """Pinned buffers of one GPU. None is used again before the copy that it took part in is done."""

    def __init__(self) -> None:
        self._free: list[_Pinned] = []
        self._travelling: list[_Pinned] = []
        self.held = 0

    def take(self, count: int) -> _Pinned:
        """A buffer of at least ``count`` bytes; new ones are made until ``MOST_PINNED`` are held, then one waits."""
        for buffer in [buffer for buffer in self._travelling if buffer.event.done]:
            self._travelling.remove(buffer)
            self._free.append(buffer)
        while True:
            fitting = [buffer for buffer in self._free if buffer.bytes.nbytes >= count]
            if fitting:
                best = min(fitting, key=lambda buffer: buffer.bytes.nbytes)
                self._free = [buffer for buffer in self._free if buffer is not best]
                return best
            length = 1 << max(count - 1, 4095).bit_length()
            if self.held + length <= MOST_PINNED or not (self._free or self._travelling):
                return self._make(length)
            if self._free:  # too small ones go back to CuPy
                self.held -= self._free.pop().bytes.nbytes
                continue
            oldest = self._travelling.pop(0)
            oldest.event.synchronize()
            self._free.append(oldest)

    def travels(self, buffer: _Pinned) -> None:
        """The current stream has been told to copy from or to ``buffer``."""
        buffer.event.record()
        self._travelling.append(buffer)

    def back(self, buffer: _Pinned) -> None:
        """Nobody uses ``buffer`` any longer."""
        self._travelling = [other for other in self._travelling if other is not buffer]
        self._free.append(buffer)

    def _make(self, length: int) -> _Pinned:
        import cupy

        owner = cupy.cuda.alloc_pinned_memory(length)
        self.held += length
        return _Pinned(np.frombuffer(owner, np.uint8, length), owner, cupy.cuda.Event(disable_timing=True))


_staging: dict[int, Staging] = {}
_turn = threading.Lock()


def to_device(host: np.ndarray, index: int | None) -> Any:
    """``host`` on GPU ``index``; itself on the emulator, whose index is None.

    Raises ``OutOfMemoryError``.
    """
    audit.copied_to_device(host.nbytes)
    if index is None:
        return host
    import cupy

    with cupy.cuda.Device(index):
        array = memory.allocate(
            lambda: cupy.empty(host.shape, host.dtype), memory.described(host.shape, host.dtype), index
        )
        memory.note_allocation(index)
        source = np.ascontiguousarray(host).reshape(-1).view(np.uint8)
        with _turn:
            staging = _staging.setdefault(index, Staging())
            for start, stop in _pieces(host.nbytes):
                buffer = staging.take(stop - start)
                buffer.bytes[: stop - start] = source[start:stop]
                (array.data + start).copy_from_host_async(buffer.bytes.ctypes.data, stop - start)
                staging.travels(buffer)
    return array


def to_host(array: Any) -> np.ndarray:
    """The values of ``array`` in a new NumPy array, once the device has them; on the emulator the array itself."""
    audit.copied_to_host(array.nbytes)
    if isinstance(array, np.ndarray):
        return array
    import cupy

    index = array.device.id
    with cupy.cuda.Device(index):
        if not array.flags.c_contiguous:
            array = cupy.ascontiguousarray(array)
        host = np.empty(array.shape, array.dtype)
        target = host.reshape(-1).view(np.uint8)
        with _turn:
            staging = _staging.setdefault(index, Staging())
            waiting: list[tuple[_Pinned, int, int]] = []
            for start, stop in _pieces(array.nbytes):
                buffer = staging.take(stop - start)
                (array.data + start).copy_to_host_async(buffer.bytes.ctypes.data, stop - start)
                buffer.event.record()
                waiting.append((buffer, start, stop))
                if len(waiting) == 2:  # one arrives while the other is read
                    _read(target, staging, *waiting.pop(0))
            for piece in waiting:
                _read(target, staging, *piece)
    return host


def _read(target: np.ndarray, staging: Staging, buffer: _Pinned, start: int, stop: int) -> None:
    buffer.event.synchronize()
    target[start:stop] = buffer.bytes[: stop - start]
    staging.back(buffer)


def _pieces(count: int) -> Iterator[tuple[int, int]]:
    for start in range(0, count, CHUNK):
        yield start, min(start + CHUNK, count)


def between(array: Any, index: int) -> Any:
    """A CuPy array of one GPU, copied to GPU ``index``; itself if it is there."""
    if array.device.id == index:
        return array
    import cupy

    with cupy.cuda.Device(index):
        copy = memory.allocate(array.copy, memory.described(array.shape, array.dtype), index)
        memory.note_allocation(index)
    return copy
