"""What an operation is given: tensors, arrays or Python numbers, made tensors of one device and one dtype.

The rule for dtypes: Python numbers take the dtype of the tensor that they meet; integers take the dtype of the
floating tensor that they meet; two floating dtypes, or two integer dtypes, become the wider one, but 64 bits only where
one of them has 64. So float32 stays float32 unless a float64 array is brought in.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from deepcore.autograd.primitive import device_mismatch, primitive
from deepcore.autograd.trace import tracing
from deepcore.backend.dtype import floating as named_floating
from deepcore.backend.dtype import is_float_dtype, standardize_dtype
from deepcore.config import floatx
from deepcore.symbolic import SymbolicTensor
from deepcore.tensor import FLOATX, Tensor


def tensor_of(x: Any, like: Tensor | None = None) -> Tensor:
    """``x`` as a tensor; what is none yet goes to the device of ``like``."""
    if isinstance(x, Tensor):
        return x
    return Tensor(x, device=None if like is None else like.device)


def convert_to_tensor(x: Any, dtype: Any = None, *, like: Tensor | None = None) -> Any:
    """``x`` as a tensor, of ``dtype`` if one is given, on the device of ``like``; symbolic tensors stay what they are.

    >>> convert_to_tensor([1, 2], "float32")
    Tensor([1., 2.], dtype=float32)
    """
    if isinstance(x, SymbolicTensor):
        return x
    tensor = tensor_of(x, like)
    return tensor if dtype is None else cast(tensor, dtype)


def floating(x: Any) -> Tensor:
    """``x`` as a floating tensor: integers and booleans become float32."""
    tensor = tensor_of(x)
    return tensor if tensor.dtype.kind == "f" else cast(tensor, FLOATX)


def floating_beside(x: Any, like: Tensor) -> Tensor:
    """``x`` as a floating tensor on the device of ``like``; Python numbers, also in lists, take its dtype."""
    if isinstance(x, Tensor | np.ndarray):
        return floating(tensor_of(x, like))
    return Tensor(x, like.dtype if like.dtype.kind == "f" else FLOATX, like.device)


def result_dtype(a: np.dtype[Any], b: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype that two tensors become when they meet.

    >>> result_dtype(np.dtype("int32"), np.dtype("float32"))
    dtype('float32')
    """
    if a == b:
        return a
    if (a.kind == "f") != (b.kind == "f"):
        return a if a.kind == "f" else b
    wide = np.promote_types(a, b)
    return np.dtype("int32") if wide == np.int64 and a.itemsize < 8 and b.itemsize < 8 else wide


def result_type(*dtypes: Any) -> str:
    """The name of the dtype that tensors of these become when they meet; ``int`` and ``float`` stand for Python's
    numbers, which take the dtype of what they meet.

    >>> result_type("int32", "float32"), result_type("float64", float), result_type("int8", float), result_type()
    ('float32', 'float64', 'float32', 'float32')
    """
    tensors = [_dtype(each) for each in dtypes if each is not int and each is not float]
    kinds = {each.kind for each in tensors}
    tensors += [_dtype(each) for each in dtypes if each is float and "f" not in kinds]
    tensors += [_dtype(each) for each in dtypes if each is int and not kinds & set("fiu")]
    return functools.reduce(result_dtype, tensors).name if tensors else floatx()


def _dtype(dtype: Any) -> np.dtype[Any]:
    name = standardize_dtype(dtype)
    return named_floating(name) if is_float_dtype(name) else np.dtype(name)


def operands(x: Any, y: Any) -> tuple[Tensor, Tensor]:
    """Two operands as tensors of one dtype."""
    if not isinstance(x, Tensor):
        if not isinstance(y, Tensor):
            x, y = tensor_of(x), tensor_of(y)
        else:
            x = _meet(x, y)
    elif not isinstance(y, Tensor):
        y = _meet(y, x)
    if x._array.dtype != y._array.dtype:
        dtype = result_dtype(x.dtype, y.dtype)
        x = x if x.dtype == dtype else cast(x, dtype)
        y = y if y.dtype == dtype else cast(y, dtype)
    return x, y


def _meet(value: Any, tensor: Tensor) -> Tensor:
    if isinstance(value, bool | int | float) or (isinstance(value, np.generic) and value.dtype.kind in "fiub"):
        fits = tensor.dtype.kind == "f" or (isinstance(value, int | np.integer) and tensor.dtype.kind in "iu")
        kind = "int32" if isinstance(value, int) and not isinstance(value, bool) else None
        dtype = tensor.dtype if fits else (FLOATX if isinstance(value, float | np.floating) else kind)
        number = Tensor.wrap(tensor.device.backend.scalar(np.asarray(value, dtype)), tensor.device)
        trace = tracing()
        if trace is not None:
            trace.constant(number)
        return number
    return Tensor(value, device=tensor.device)


@primitive
def _cast(backend: Any, x: Any, *, dtype: Any, source: Any) -> Any:
    return x.astype(dtype)


@_cast.gradient("x")
def _(dy: Tensor, dtype: Any, source: Any) -> Tensor:
    return _cast(dy, dtype=source, source=dtype)


def cast(x: Any, dtype: Any) -> Tensor:
    """``x`` with elements of ``dtype``. The gradient is cast back; none flows through integers.

    >>> cast(Tensor([1.7]), "int32")
    Tensor([1], dtype=int32)
    """
    tensor = tensor_of(x)
    target = np.dtype(dtype)
    if tensor.dtype == target:
        return tensor
    if target.kind not in "fiub":
        raise TypeError(f"cast: a tensor holds numbers; got dtype {target}.")
    if target.kind != "f":
        tensor = tensor.detach()
    return _cast(tensor, dtype=target, source=tensor.dtype)


def without_gradient(function: str, *tensors: Tensor, **options: Any) -> Tensor:
    """A function of the array namespace, of that name, of tensors on one device; no gradient flows through it."""
    if any(tensor.device != tensors[0].device for tensor in tensors):
        raise device_mismatch(function, tensors)

    def forward(backend: Any, *arrays: Any, **given: Any) -> Any:
        return getattr(backend.xp, function)(*arrays, **given)

    return off_the_tape(forward, *tensors, **options)


def off_the_tape(forward: Callable[..., Any], *tensors: Tensor, **attributes: Any) -> Tensor:
    """The result of ``forward(backend, *arrays, **attributes)``, for tensors on one device; no gradient flows through
    it."""
    device = tensors[0].device
    found = device.run(forward, device.backend, *(tensor._array for tensor in tensors), **attributes)
    result = Tensor.wrap(found, device)
    trace = tracing()
    if trace is not None:
        trace.call(forward, tensors, attributes, result)
    return result


def whole_axis(axis: int, ndim: int, op: str) -> int:
    """``axis`` counted from the front. Raises ``ValueError`` if a tensor of rank ``ndim`` has none such."""
    if not isinstance(axis, int | np.integer) or not -ndim <= axis < ndim:
        raise ValueError(f"{op}: axis {axis!r} is not one of a tensor of rank {ndim}; use {-ndim} to {ndim - 1}.")
    return int(axis) % ndim
