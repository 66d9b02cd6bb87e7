"""Comparisons, logic and bits of each element. What comes out is true or false, or whole: no gradients."""

from __future__ import annotations

from typing import Any

from deepcore.ops.operand import floating, operands, tensor_of, without_gradient
from deepcore.tensor import Tensor


def _of_two(name: str, doc: str) -> Any:
    def function(x1: Any, x2: Any) -> Tensor:
        return without_gradient(name, *operands(x1, x2))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


def _of_one(name: str, doc: str) -> Any:
    def function(x: Any) -> Tensor:
        return without_gradient(name, tensor_of(x))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


def _of_floating(name: str, doc: str) -> Any:
    def function(x: Any) -> Tensor:
        return without_gradient(name, floating(x))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


equal = _of_two("equal", "Whether x1 == x2, element by element.")
not_equal = _of_two("not_equal", "Whether x1 != x2, element by element.")
less = _of_two("less", "Whether x1 < x2, element by element.")
less_equal = _of_two("less_equal", "Whether x1 <= x2, element by element.")
greater = _of_two("greater", "Whether x1 > x2, element by element.")
greater_equal = _of_two("greater_equal", "Whether x1 >= x2, element by element.")
logical_and = _of_two("logical_and", "Whether both are true (not zero), element by element.")
logical_or = _of_two("logical_or", "Whether either is true (not zero), element by element.")
logical_xor = _of_two("logical_xor", "Whether exactly one is true (not zero), element by element.")
logical_not = _of_one("logical_not", "Whether x is false (zero), element by element.")

isnan = _of_one("isnan", "Whether each element is NaN.")
isfinite = _of_one("isfinite", "Whether each element is neither NaN nor infinite.")
isinf = _of_one("isinf", "Whether each element is infinite, of either sign.")
isposinf = _of_floating("isposinf", "Whether each element is infinite and positive.")
isneginf = _of_floating("isneginf", "Whether each element is infinite and negative.")
signbit = _of_floating("signbit", "Whether each element has its sign set; so -0.0 has.")
isreal = _of_one("isreal", "Whether each element is real, which every element of a tensor is.")


def isclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether |x1 - x2| <= atol + rtol * |x2|, element by element; NaN equals NaN with ``equal_nan`` only.

    >>> isclose([1.0, 2.0], [1.0, 2.1])
    Tensor([ True, False], dtype=bool)
    """
    a, b = operands(x1, x2)
    return without_gradient("isclose", a, b, rtol=rtol, atol=atol, equal_nan=equal_nan)


def allclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether all elements are close, as one boolean; see ``isclose``."""
    return without_gradient("all", isclose(x1, x2, rtol, atol, equal_nan))


def isin(x1: Any, x2: Any, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each element of ``x1`` is one of ``x2``, or is none of them with ``invert``."""
    a, b = operands(x1, x2)
    return without_gradient("isin", a, b, assume_unique=assume_unique, invert=invert)


def _bits_of_two(name: str, function: str, doc: str) -> Any:
    def operation(x: Any, y: Any) -> Tensor:
        a, b = operands(x, y)
        _require_bits(name, a)
        return without_gradient(function, a, b)

    operation.__name__ = operation.__qualname__ = name
    operation.__doc__ = doc
    return operation


def _require_bits(name: str, x: Tensor) -> None:
    if x.dtype.kind == "f":
        raise TypeError(f"{name} works on the bits of integers or booleans; got {x.dtype}. Cast it to integers first.")


bitwise_and = _bits_of_two("bitwise_and", "bitwise_and", "The bits that x and y both have.")
bitwise_or = _bits_of_two("bitwise_or", "bitwise_or", "The bits that x or y has.")
bitwise_xor = _bits_of_two("bitwise_xor", "bitwise_xor", "The bits that exactly one of x and y has.")
bitwise_left_shift = _bits_of_two("bitwise_left_shift", "left_shift", "The bits of x moved up by y places.")
bitwise_right_shift = _bits_of_two("bitwise_right_shift", "right_shift", "The bits of x moved down by y places.")
left_shift = bitwise_left_shift
right_shift = bitwise_right_shift


def bitwise_invert(x: Any) -> Tensor:
    """The bits that x does not have; of booleans, not x."""
    tensor = tensor_of(x)
    _require_bits("bitwise_invert", tensor)
    return without_gradient("invert", tensor)


bitwise_not = bitwise_invert
