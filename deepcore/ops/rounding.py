"""Signs and whole numbers. Constant almost everywhere, so no gradient flows through them."""

from __future__ import annotations

from typing import Any

from deepcore.ops.operand import floating, operands, tensor_of, without_gradient
from deepcore.tensor import Tensor


def sign(x: Any) -> Tensor:
    """-1, 0 or 1."""
    tensor = tensor_of(x)
    return tensor if tensor.dtype.kind == "b" else without_gradient("sign", tensor)


def floor(x: Any) -> Tensor:
    """The largest whole number not above x, as a floating number: integers become float32."""
    return without_gradient("floor", floating(x))


def ceil(x: Any) -> Tensor:
    """The smallest whole number not below x, as a floating number: integers become float32."""
    return without_gradient("ceil", floating(x))


def trunc(x: Any) -> Tensor:
    """x without what follows the point; integers stay what they are."""
    tensor = tensor_of(x)
    return without_gradient("trunc", tensor) if tensor.dtype.kind == "f" else tensor


def round(x: Any, decimals: int = 0) -> Tensor:
    """x to ``decimals`` places after the point (before it, if negative), halves to the even neighbour."""
    tensor = tensor_of(x)
    if decimals == 0:
        return without_gradient("rint", tensor) if tensor.dtype.kind == "f" else tensor
    return without_gradient("around", tensor, decimals=decimals)


def nextafter(x1: Any, x2: Any) -> Tensor:
    """The floating number next to x1 in the direction of x2."""
    a, b = operands(x1, x2)
    return without_gradient("nextafter", floating(a), floating(b))


def heaviside(x1: Any, x2: Any) -> Tensor:
    """0 where x1 is negative, 1 where it is positive, x2 where it is zero; floating."""
    a, b = operands(x1, x2)
    return without_gradient("heaviside", floating(a), floating(b))


def gcd(x1: Any, x2: Any) -> Tensor:
    """The greatest common divisor of integers, not negative."""
    return without_gradient("gcd", *operands(x1, x2))


def lcm(x1: Any, x2: Any) -> Tensor:
    """The least common multiple of integers, not negative."""
    return without_gradient("lcm", *operands(x1, x2))
