"""Arguments as a GPU would see them: aligned buffers for arrays, bytes for the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from deepcore.kernels.emulator.tensor_map import TensorMap
from deepcore.kernels.signature import Parameter, check_array

ALIGNMENT = 256
"""Bytes: what cudaMalloc promises of every address."""

_RED_ZONE = 1 << 16


@dataclass
class Buffer:
    """One array as the kernel sees it; ``copy`` is ``None`` where the kernel works in the caller's array itself."""

    name: str
    original: np.ndarray
    copy: np.ndarray | None
    poisoned: bool = False
    written: bool = False

    @property
    def nbytes(self) -> int:
        return self.original.nbytes

    @property
    def itemsize(self) -> int:
        return self.original.itemsize

    @property
    def address(self) -> int:
        return (self.original if self.copy is None else self.copy).ctypes.data


class DeviceMemory:
    """The arrays of one launch.

    An array is used in place if its address is aligned as a GPU's would be, otherwise through a copy. With
    ``separate``, every array is copied to a place of its own with unused memory around it, so that an access that
    leaves one array does not land in another.
    """

    def __init__(self, kernel: str, separate: bool) -> None:
        self.kernel = kernel
        self.buffers: list[Buffer] = []
        self._separate = separate

    def pointer(self, parameter: Parameter, value: Any, poison: bool) -> np.ndarray:
        """The word to pass for an array, or for ``None``."""
        if value is None:
            return np.zeros(1, np.uint64)
        array = check_array(self.kernel, parameter, value)
        buffer = self._buffer(array, parameter.name)
        buffer.written = buffer.written or not parameter.is_const
        if poison:
            buffer.poisoned = True
            target = array if buffer.copy is None else buffer.copy
            target.reshape(-1).view(np.uint8)[...] = 0xFF
        return np.array([buffer.address], np.uint64)

    def structure(self, parameter: Parameter, value: Any) -> np.ndarray:
        """The bytes of a structure that is passed by value, as a tensor map, bytes or an array."""
        if isinstance(value, TensorMap):
            return value.encode(self._buffer(value.array, parameter.name).address)
        if isinstance(value, (bytes, bytearray)):
            return np.frombuffer(bytes(value), np.uint8)
        if isinstance(value, np.ndarray) and value.flags.c_contiguous:
            return value
        raise TypeError(
            f"Kernel '{self.kernel}', argument '{parameter.name}': {type(value).__name__} was passed for the structure "
            f"'{parameter.type}'. Pass its bytes, or a C-contiguous array that holds them."
        )

    def add_in_place(self, array: np.ndarray, name: str) -> Buffer:
        """An array that the kernel may use at the address where it is."""
        buffer = Buffer(name, array, None, written=True)
        self.buffers.append(buffer)
        return buffer

    def copy_back(self) -> None:
        """Puts what the kernel wrote into the caller's arrays."""
        for buffer in self.buffers:
            if buffer.copy is not None and buffer.written:
                buffer.original[...] = buffer.copy

    def _buffer(self, array: np.ndarray, name: str) -> Buffer:
        start, end = array.ctypes.data, array.ctypes.data + array.nbytes
        for known in self.buffers:
            first = known.original.ctypes.data
            if (first, known.nbytes) == (start, array.nbytes) and known.original.dtype == array.dtype:
                known.name += f"={name}"
                return known
            if first < end and start < first + known.nbytes:
                raise ValueError(
                    f"Kernel '{self.kernel}': the arrays '{known.name}' and '{name}' overlap without being the same. "
                    "Pass separate arrays, or one array twice."
                )
        in_place = not self._separate and start % ALIGNMENT == 0
        buffer = Buffer(name, array, None if in_place else self._aligned(array))
        self.buffers.append(buffer)
        return buffer

    def _aligned(self, array: np.ndarray) -> np.ndarray:
        zone = _RED_ZONE if self._separate else 0
        raw = np.empty(array.nbytes + ALIGNMENT + 2 * zone, np.uint8)
        start = -(raw.ctypes.data + zone) % ALIGNMENT + zone
        copy = raw[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
        copy[...] = array
        return copy
