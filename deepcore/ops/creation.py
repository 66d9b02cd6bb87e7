"""Tensors made from sizes and numbers. They are made on the current device, those like another tensor beside it."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from deepcore.config import floatx
from deepcore.device import Device, current_device
from deepcore.ops.operand import cast, result_dtype, tensor_of
from deepcore.ops.symbolic import Operation
from deepcore.symbolic import SymbolicTensor
from deepcore.tensor import FLOATX, Tensor


def _shape(shape: Any) -> tuple[int, ...]:
    if isinstance(shape, Tensor):
        shape = shape.tolist()
    return (int(shape),) if isinstance(shape, int | np.integer) else tuple(int(size) for size in shape)


def _dtype(dtype: Any) -> np.dtype[Any]:
    return np.dtype(floatx() if dtype is None else dtype)


def _made(function: str, *args: Any, **options: Any) -> Tensor:
    device = current_device()
    return Tensor.wrap(getattr(device.backend.xp, function)(*args, **options), device)


def zeros(shape: int | Sequence[int], dtype: Any = None) -> Tensor:
    """Zeros of ``shape``, float32 by default.

    >>> zeros((2, 1))
    Tensor([[0.],
            [0.]], dtype=float32)
    """
    return _made("zeros", _shape(shape), _dtype(dtype))


def ones(shape: int | Sequence[int], dtype: Any = None) -> Tensor:
    """Ones of ``shape``, float32 by default."""
    return _made("ones", _shape(shape), _dtype(dtype))


def empty(shape: int | Sequence[int], dtype: Any = None) -> Tensor:
    """A tensor of ``shape``, float32 by default, whose values are whatever the memory holds."""
    return _made("empty", _shape(shape), _dtype(dtype))


def full(shape: int | Sequence[int], fill_value: Any, dtype: Any = None) -> Tensor:
    """``fill_value``, a number or a tensor that broadcasts, everywhere; float32 by default."""
    return _filled(_shape(shape), fill_value, _dtype(dtype), current_device())


def _filled(shape: tuple[int, ...], value: Any, dtype: np.dtype[Any], device: Device) -> Tensor:
    xp = device.backend.xp
    filling = value.data if isinstance(value, Tensor) else value
    return Tensor.wrap(xp.full(shape, filling, dtype), device)


def zeros_like(x: Any, dtype: Any = None) -> Tensor:
    """Zeros of the shape, dtype and device of ``x``."""
    tensor = tensor_of(x)
    return Tensor.wrap(tensor.device.backend.xp.zeros(tensor.shape, dtype or tensor.dtype), tensor.device)


def ones_like(x: Any, dtype: Any = None) -> Tensor:
    """Ones of the shape, dtype and device of ``x``."""
    tensor = tensor_of(x)
    return Tensor.wrap(tensor.device.backend.xp.ones(tensor.shape, dtype or tensor.dtype), tensor.device)


def empty_like(x: Any, dtype: Any = None) -> Tensor:
    """A tensor of the shape, dtype and device of ``x``, whose values are whatever the memory holds."""
    tensor = tensor_of(x)
    return Tensor.wrap(tensor.device.backend.xp.empty(tensor.shape, dtype or tensor.dtype), tensor.device)


def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Tensor:
    """``fill_value`` in the shape and dtype of ``x``, beside it."""
    tensor = tensor_of(x)
    return _filled(tensor.shape, fill_value, np.dtype(dtype or tensor.dtype), tensor.device)


def array(x: Any, dtype: Any = None) -> Any:
    """``x`` as a tensor, of ``dtype`` if one is given."""
    if isinstance(x, SymbolicTensor):
        return x if dtype is None else Operation("cast").record((x, dtype), {})
    tensor = tensor_of(x)
    return tensor if dtype is None else cast(tensor, dtype)


def _number(x: Any) -> Any:
    return x.item() if isinstance(x, Tensor | np.generic | np.ndarray) else x


def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Tensor:
    """The numbers from ``start`` (0 if it stands alone) up to, but without, ``stop``, in steps of 1 or ``step``.

    The dtype is that of the numbers: int32, float32 if one is floating, or that of given tensors.

    >>> arange(2, 8, 2)
    Tensor([2, 4, 6], dtype=int32)
    """
    given = [value for value in (start, stop, step) if value is not None]
    if dtype is None:
        dtype = tensor_of(given[0]).dtype
        for value in given[1:]:
            dtype = result_dtype(dtype, tensor_of(value).dtype)
    first, last = (0, _number(start)) if stop is None else (_number(start), _number(stop))
    return _made("arange", first, last, 1 if step is None else _number(step), np.dtype(dtype))


def _size(name: str, value: Any, function: str) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{function}: {name} must be an integer; got {value!r}.") from None


def eye(N: Any, M: Any = None, k: int = 0, dtype: Any = None) -> Tensor:
    """A matrix [N, M], M = N by default, of ones on diagonal ``k`` (0 the main one, 1 above it) and zeros elsewhere.

    Raises ``TypeError`` for sizes that are not integers.
    """
    rows = _size("N", N, "eye")
    columns = rows if M is None else _size("M", M, "eye")
    return _made("eye", rows, columns, _size("k", k, "eye"), dtype=_dtype(dtype))


def identity(n: Any, dtype: Any = None) -> Tensor:
    """The identity matrix [n, n].

    >>> identity(2)
    Tensor([[1., 0.],
            [0., 1.]], dtype=float32)
    """
    return eye(n, dtype=dtype)


def tri(N: Any, M: Any = None, k: int = 0, dtype: Any = None) -> Tensor:
    """A matrix [N, M] of ones on and below diagonal ``k``, zeros above."""
    rows = _size("N", N, "tri")
    columns = rows if M is None else _size("M", M, "tri")
    return _made("tri", rows, columns, _size("k", k, "tri"), dtype=_dtype(dtype))


def _window(name: str, doc: str) -> Any:
    def function(x: Any) -> Tensor:
        return cast(_made(name, int(_number(x))), FLOATX)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


bartlett = _window("bartlett", "The triangular window of ``x`` float32 values, zero at both ends.")
blackman = _window("blackman", "The Blackman window of ``x`` float32 values.")
hamming = _window("hamming", "The Hamming window of ``x`` float32 values.")
hanning = _window("hanning", "The Hann window of ``x`` float32 values, zero at both ends.")


def kaiser(x: Any, beta: float) -> Tensor:
    """The Kaiser window of ``x`` float32 values; the larger ``beta``, the narrower. Kaiser and Schafer 1980."""
    return cast(_made("kaiser", int(_number(x)), float(_number(beta))), FLOATX)
