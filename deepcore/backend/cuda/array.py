"""Arrays for kernels: allocated where the inputs are, contiguous, aligned as device memory is."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np

from deepcore.backend.cuda import memory

ALIGNMENT = 256  # bytes: what cudaMalloc gives, and what kernels may count on

# C names of the dtypes that kernels are built for.
C_TYPES = {
    "float16": "__half",
    "float32": "float",
    "float64": "double",
    "int32": "int",
    "int64": "long long",
    "uint8": "unsigned char",
    "uint32": "unsigned int",
}

# The namespace in which functions without an array argument (random numbers) make theirs.
_namespace: ContextVar[Any] = ContextVar("deepcore_cuda_namespace", default=np)


@contextlib.contextmanager
def allocating_in(namespace: Any) -> Iterator[None]:
    """Within the block, arrays that follow no other are made by ``namespace``: NumPy (the emulator) or CuPy."""
    token = _namespace.set(namespace)
    try:
        yield
    finally:
        _namespace.reset(token)


def c_type(dtype: Any) -> str:
    """The C name of ``dtype``. Raises ``TypeError`` for one that no kernel is built for."""
    name = np.dtype(dtype).name
    if name not in C_TYPES:
        raise TypeError(f"No CUDA kernel is built for {name}; there are kernels for {', '.join(C_TYPES)}.")
    return C_TYPES[name]


def empty(shape: Sequence[int] | int, dtype: Any, like: Any = None) -> Any:
    """An array whose values are not set, where ``like`` is.

    Raises ``OutOfMemoryError`` with what was asked for, what there is, and what to try.
    """
    if like is not None and not isinstance(like, np.ndarray):
        return _empty_on_gpu(shape, dtype, like.device.id)
    if like is None and _namespace.get() is not np:
        return _empty_on_gpu(shape, dtype, _namespace.get().index)
    dtype = np.dtype(dtype)
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    count = math.prod(map(int, sizes)) * dtype.itemsize
    try:
        raw = np.empty(count + ALIGNMENT, np.uint8)
    except (MemoryError, ValueError):  # NumPy raises ValueError for more than an address can count
        raise memory.exhausted_host(sizes, dtype) from None
    memory.EMULATED.add(raw)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + count].view(dtype).reshape(sizes)


def _empty_on_gpu(shape: Sequence[int] | int, dtype: Any, index: int) -> Any:
    import cupy

    with cupy.cuda.Device(index):
        try:
            array = cupy.empty(shape, dtype)
        except cupy.cuda.memory.OutOfMemoryError:
            asked = memory.described(shape, dtype)
            array = memory.allocate(lambda: cupy.empty(shape, dtype), asked, index)
    memory.note_allocation(index)
    return array


def zeros(shape: Sequence[int] | int, dtype: Any, like: Any = None) -> Any:
    """An array of zeros, where ``like`` is."""
    array = empty(shape, dtype, like)
    array.fill(0)
    return array


def contiguous(array: Any) -> Any:
    """``array`` itself where it is C-contiguous, else a copy that is."""
    if array.flags.c_contiguous:
        return array
    copy = empty(array.shape, array.dtype, array)
    copy[...] = array
    return copy


def address(array: Any) -> int:
    """Where the first byte of ``array`` is."""
    return array.ctypes.data if isinstance(array, np.ndarray) else int(array.data.ptr)
