"""Integers that kernels read: class labels, rows of a table."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepcore.backend.cuda.array import contiguous

_BUILT_FOR = ("int32", "int64", "uint8")


def indices(name: str, array: Any) -> Any:
    """``array``, contiguous and of a dtype that the kernels are built for; the rarer ones become int64.

    Raises ``TypeError`` for anything but integers.
    """
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers; got dtype {array.dtype}.")
    if array.dtype.name not in _BUILT_FOR:
        array = array.astype(np.int64)
    return contiguous(array)
