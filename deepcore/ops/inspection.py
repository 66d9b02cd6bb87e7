"""What a tensor is: its shape, its dtype, its values; conversions that hold at the edge of a dtype."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from deepcore.ops.elementwise import clip
from deepcore.ops.operand import cast, tensor_of
from deepcore.symbolic import SymbolicTensor
from deepcore.tensor import Tensor


def convert_to_numpy(x: Any) -> np.ndarray[Any, Any]:
    """The values of a tensor, or of anything that makes one, as a NumPy array: a copy from a GPU."""
    return np.asarray(x) if isinstance(x, SymbolicTensor) else np.asarray(tensor_of(x).numpy())


def is_tensor(x: Any) -> bool:
    """Whether ``x`` is a tensor with values; an array, a number and a symbolic tensor are none."""
    return isinstance(x, Tensor)


def shape(x: Any) -> tuple[int | None, ...]:
    """The sizes of the axes of ``x``; None where those of a symbolic tensor are open."""
    return tuple(x.shape) if hasattr(x, "shape") else tensor_of(x).shape


def dtype(x: Any) -> str:
    """The name of the dtype of ``x``, as ``"float32"``."""
    return str(np.dtype(x.dtype) if hasattr(x, "dtype") else tensor_of(x).dtype)


def ndim(x: Any) -> int:
    """How many axes ``x`` has."""
    return len(shape(x))


def size(x: Any) -> int | None:
    """How many elements ``x`` has; None where an axis of a symbolic tensor is open."""
    sizes = shape(x)
    return None if None in sizes else math.prod(sizes)  # type: ignore[arg-type]


def saturate_cast(x: Any, dtype: Any) -> Tensor:
    """``x`` as elements of ``dtype``, with the ends of its range for what lies outside of it.

    >>> saturate_cast([-3.0, 300.0], "uint8")
    Tensor([  0, 255], dtype=uint8)
    """
    tensor, target = tensor_of(x), np.dtype(dtype)
    if tensor.dtype == target or tensor.dtype.kind == "b":
        return cast(tensor, target)
    low, high = _limits(target)
    own_low, own_high = _limits(tensor.dtype)
    low, high = max(low, own_low), min(high, own_high)
    if tensor.dtype.kind == "f":  # the nearest number of the tensor's dtype that is not outside
        kind = tensor.dtype.type
        first, last = kind(low), kind(high)
        low = first if float(first) >= low else np.nextafter(first, kind(0))
        high = last if float(last) <= high else np.nextafter(last, kind(0))
        return cast(clip(tensor, float(low), float(high)), target)
    return cast(clip(tensor, int(low), int(high)), target)


def _limits(dtype: np.dtype[Any]) -> tuple[Any, Any]:
    if dtype.kind == "b":
        return 0, 1
    if dtype.kind == "f":
        return float(np.finfo(dtype).min), float(np.finfo(dtype).max)
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
