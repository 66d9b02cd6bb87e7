"""Gives ``Tensor`` its operators and methods, which are the functions of this package."""

from __future__ import annotations

from typing import Any

from deepcore.device import DeviceLike, as_device
from deepcore.ops import elementwise, indexing, matmul, operand, reduction, shape
from deepcore.tensor import Tensor


def _swapped(function: Any) -> Any:
    return lambda x, y: function(y, x)


_OPERATORS = {
    "__add__": elementwise.add,
    "__radd__": _swapped(elementwise.add),
    "__sub__": elementwise.subtract,
    "__rsub__": _swapped(elementwise.subtract),
    "__mul__": elementwise.multiply,
    "__rmul__": _swapped(elementwise.multiply),
    "__truediv__": elementwise.divide,
    "__rtruediv__": _swapped(elementwise.divide),
    "__floordiv__": elementwise.floor_divide,
    "__rfloordiv__": _swapped(elementwise.floor_divide),
    "__mod__": elementwise.mod,
    "__rmod__": _swapped(elementwise.mod),
    "__pow__": elementwise.power,
    "__rpow__": _swapped(elementwise.power),
    "__matmul__": matmul.matmul,
    "__rmatmul__": _swapped(matmul.matmul),
    "__neg__": elementwise.negative,
    "__abs__": elementwise.abs,
    "__eq__": elementwise.equal,
    "__ne__": elementwise.not_equal,
    "__lt__": elementwise.less,
    "__le__": elementwise.less_equal,
    "__gt__": elementwise.greater,
    "__ge__": elementwise.greater_equal,
    "__getitem__": shape.getitem,
    "sum": reduction.sum,
    "mean": reduction.mean,
    "max": reduction.max,
    "min": reduction.min,
    "argmax": reduction.argmax,
    "argmin": reduction.argmin,
    "any": reduction.any,
    "all": reduction.all,
    "reshape": shape.reshape,
    "transpose": shape.transpose,
    "squeeze": shape.squeeze,
    "astype": operand.cast,
    "take": indexing.take,
    "alias": elementwise.identity,
}


def _to(self: Tensor, device: DeviceLike) -> Tensor:
    """The tensor on ``device``; itself if it is there already. The copy is cut from the tape."""
    target = as_device(device)
    return self if target == self.device else Tensor(self, device=target)


def install() -> None:
    """Sets the operators and methods on ``Tensor``."""
    for name, function in _OPERATORS.items():
        setattr(Tensor, name, function)
    # == compares elements, so that identity is what makes a tensor a key.
    setattr(Tensor, "__hash__", object.__hash__)  # noqa: B010
    setattr(Tensor, "T", property(shape.transpose))  # noqa: B010
    setattr(Tensor, "to", _to)  # noqa: B010
