"""Conversion between floating dtypes; the contract is that of ``backend/numpy/cast.py``."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepcore.backend.cuda.array import c_type, contiguous, empty
from deepcore.backend.cuda.cost import THREADS, gpu_or_emulator, grid_for, memory_cost, supports_floating
from deepcore.backend.cuda.launcher import kernel
from deepcore.backend.dispatch import choose, implementation
from deepcore.backend.dtype import floating
from deepcore.backend.geometry import FlatGeometry

__all__ = ["cast"]


def cast(x: Any, dtype: Any) -> Any:
    """``x`` in another floating dtype; see the NumPy backend."""
    dtype = floating(dtype)
    run = choose("cast", x.dtype, FlatGeometry(x.size), "cuda").function
    return contiguous(x) if x.dtype == dtype else run(contiguous(x), dtype)


@implementation(
    "cast",
    "cuda",
    device="cuda",
    supports=supports_floating,
    cost=memory_cost(passes=2),
    available=gpu_or_emulator,
)
def _cast(x: Any, dtype: np.dtype) -> Any:
    y = empty(x.shape, dtype, x)
    code = kernel("cast", "cast", T=c_type(x.dtype), R=c_type(dtype))
    threads = -(-x.size * min(x.dtype.itemsize, dtype.itemsize) // 16)
    code.launch(grid_for(threads), THREADS, x, y, x.size)
    return y
