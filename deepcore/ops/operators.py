"""Gives ``Tensor`` its operators and methods, which are the functions of this package."""

from __future__ import annotations

import functools
from typing import Any

from deepcore.device import DeviceLike, as_device
from deepcore.ops import elementwise, indexing, logic, matmul, operand, reduction, shape
from deepcore.ops.symbolic import recordable
from deepcore.symbolic import SymbolicTensor
from deepcore.tensor import Tensor

_BINARY: dict[str, Any] = {
    "add": elementwise.add,
    "sub": elementwise.subtract,
    "mul": elementwise.multiply,
    "truediv": elementwise.divide,
    "floordiv": elementwise.floor_divide,
    "mod": elementwise.mod,
    "pow": elementwise.power,
    "matmul": matmul.matmul,
}
_COMPARISONS: dict[str, Any] = {
    "__eq__": logic.equal,
    "__ne__": logic.not_equal,
    "__lt__": logic.less,
    "__le__": logic.less_equal,
    "__gt__": logic.greater,
    "__ge__": logic.greater_equal,
}
_METHODS: dict[str, Any] = {
    "__neg__": elementwise.negative,
    "__abs__": elementwise.abs,
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
    "alias": elementwise.alias,
}


def _left(function: Any) -> Any:
    def operator(x: Any, y: Any) -> Any:
        return NotImplemented if type(y) is SymbolicTensor else function(x, y)

    return operator


def _right(function: Any) -> Any:
    return lambda x, y: function(y, x)


def _reduction(function: Any) -> Any:
    """The method that ``np.sum(tensor)`` and the like find, which pass on arguments of theirs."""

    @functools.wraps(function)
    def method(x: Any, *args: Any, dtype: Any = None, out: Any = None, **options: Any) -> Any:
        if dtype is not None or out is not None:
            raise TypeError(f"{function.__name__} of a tensor takes neither dtype nor out; got {dtype=}, {out=}.")
        return function(x, *args, **options)

    return method


def _to(self: Tensor, device: DeviceLike) -> Tensor:
    """The tensor on ``device``; itself if it is there already. The copy is cut from the tape."""
    target = as_device(device)
    return self if target == self.device else Tensor(self, device=target)


def install() -> None:
    """Sets the operators and methods on ``Tensor`` and ``SymbolicTensor``."""
    for name, function in _BINARY.items():
        setattr(Tensor, f"__{name}__", _left(function))
        setattr(Tensor, f"__r{name}__", _right(function))
        setattr(SymbolicTensor, f"__{name}__", recordable(function))
        setattr(SymbolicTensor, f"__r{name}__", _right(recordable(function)))
    for name, function in _COMPARISONS.items():
        setattr(Tensor, name, _left(function))
        setattr(SymbolicTensor, name, recordable(function))
    for name, function in _METHODS.items():
        setattr(Tensor, name, _reduction(function) if name in ("sum", "mean", "max", "min", "any", "all") else function)
        setattr(SymbolicTensor, name, recordable(function))
    for kind in (Tensor, SymbolicTensor):
        # == compares elements, so that identity is what makes a tensor a key.
        setattr(kind, "__hash__", object.__hash__)  # noqa: B010
    setattr(Tensor, "T", property(shape.transpose))  # noqa: B010
    setattr(SymbolicTensor, "T", property(recordable(shape.transpose)))  # noqa: B010
    setattr(Tensor, "to", _to)  # noqa: B010
