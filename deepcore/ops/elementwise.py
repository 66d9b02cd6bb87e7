"""Arithmetic, powers and logarithms of each element; operands broadcast as in NumPy."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from deepcore.autograd.primitive import Primitive, primitive
from deepcore.ops.creation import ones_like, zeros_like
from deepcore.ops.logic import logical_and
from deepcore.ops.operand import cast, floating, operands, tensor_of
from deepcore.ops.rounding import sign
from deepcore.tensor import Tensor

_FEW = 1024  # elements of an array that is filled in, and not a view


@primitive
def _sum_to(backend: Any, x: Any, *, shape: tuple[int, ...]) -> Any:
    extra = x.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(
        i + extra for i, size in enumerate(shape) if size == 1 and x.shape[i + extra] != 1
    )
    return backend.reduce_sum(x, axes).reshape(shape)


@_sum_to.gradient("x")
def _(dy: Tensor, x_shape: tuple[int, ...]) -> Tensor:
    return _broadcast(dy, shape=x_shape)


@primitive
def _broadcast(backend: Any, x: Any, *, shape: tuple[int, ...]) -> Any:
    return repeated(backend.xp, x, shape)


def repeated(xp: Any, x: Any, shape: tuple[int, ...]) -> Any:
    """An array broadcast to ``shape``: a view, but for few numbers, which NumPy fills in faster than it makes one."""
    if xp is not np or math.prod(shape) > _FEW:
        return xp.broadcast_to(x, shape)
    y = np.empty(shape, x.dtype)
    y[...] = x
    return y


@_broadcast.gradient("x")
def _(dy: Tensor, x_shape: tuple[int, ...]) -> Tensor:
    return sum_to(dy, x_shape)


def sum_to(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Sums ``x`` over the axes that broadcasting ``shape`` to ``x.shape`` repeats; the gradient of broadcasting."""
    return x if x.shape == shape else _sum_to(x, shape=shape)


def broadcast_to(x: Any, shape: tuple[int, ...]) -> Tensor:
    """``x`` repeated along axes of length one, and along new leading axes, to ``shape``."""
    tensor = tensor_of(x)
    return tensor if tensor.shape == tuple(shape) else _broadcast(tensor, shape=tuple(shape))


# Arithmetic


@primitive
def _add(backend: Any, a: Any, b: Any) -> Any:
    return a + b


@_add.gradient("a")
def _(dy: Tensor, a_shape: tuple[int, ...]) -> Tensor:
    return sum_to(dy, a_shape)


@_add.gradient("b")
def _(dy: Tensor, b_shape: tuple[int, ...]) -> Tensor:
    return sum_to(dy, b_shape)


@primitive
def _subtract(backend: Any, a: Any, b: Any) -> Any:
    return a - b


@_subtract.gradient("a")
def _(dy: Tensor, a_shape: tuple[int, ...]) -> Tensor:
    return sum_to(dy, a_shape)


@_subtract.gradient("b")
def _(dy: Tensor, b_shape: tuple[int, ...]) -> Tensor:
    return sum_to(_negative(dy), b_shape)


@primitive
def _multiply(backend: Any, a: Any, b: Any) -> Any:
    return a * b


@_multiply.gradient("a")
def _(dy: Tensor, b: Tensor, a_shape: tuple[int, ...]) -> Tensor:
    return sum_to(_multiply(dy, b), a_shape)


@_multiply.gradient("b")
def _(dy: Tensor, a: Tensor, b_shape: tuple[int, ...]) -> Tensor:
    return sum_to(_multiply(dy, a), b_shape)


@primitive
def _divide(backend: Any, a: Any, b: Any) -> Any:
    return a / b


@_divide.gradient("a")
def _(dy: Tensor, b: Tensor, a_shape: tuple[int, ...]) -> Tensor:
    return sum_to(_divide(dy, b), a_shape)


@_divide.gradient("b")
def _(dy: Tensor, y: Tensor, b: Tensor, b_shape: tuple[int, ...]) -> Tensor:
    return sum_to(_negative(_divide(_multiply(dy, y), b)), b_shape)


@primitive
def _power(backend: Any, a: Any, b: Any) -> Any:
    return a**b


@_power.gradient("a")
def _(dy: Tensor, a: Tensor, b: Tensor, a_shape: tuple[int, ...]) -> Tensor:
    return sum_to(dy * b * _power(a, b - 1), a_shape)


@_power.gradient("b")
def _(dy: Tensor, y: Tensor, a: Tensor, b_shape: tuple[int, ...]) -> Tensor:
    # 0**b is constant for b > 0; its logarithm must not turn that zero into NaN.
    return sum_to(dy * y * log(where(a > 0, a, ones_like(a))), b_shape)


@primitive
def _constant_power(backend: Any, x: Any, *, exponent: float) -> Any:
    return x**exponent


@_constant_power.gradient("x")
def _(dy: Tensor, x: Tensor, exponent: float) -> Tensor:
    if exponent == 0:
        return zeros_like(x)
    return dy * exponent * power(x, exponent - 1)


@primitive
def _negative(backend: Any, x: Any) -> Any:
    return -x


@_negative.gradient("x")
def _(dy: Tensor) -> Tensor:
    return _negative(dy)


def add(x1: Any, x2: Any) -> Tensor:
    """x1 + x2."""
    return _add(*operands(x1, x2))


def subtract(x1: Any, x2: Any) -> Tensor:
    """x1 - x2."""
    return _subtract(*operands(x1, x2))


def multiply(x1: Any, x2: Any) -> Tensor:
    """x1 * x2."""
    return _multiply(*operands(x1, x2))


def divide(x1: Any, x2: Any) -> Tensor:
    """x1 / x2; integers are divided as float32."""
    a, b = operands(x1, x2)
    return _divide(floating(a), floating(b))


true_divide = divide


def negative(x: Any) -> Tensor:
    """-x."""
    return _negative(tensor_of(x))


def power(x1: Any, x2: Any) -> Tensor:
    """x1 to the power x2. Negative bases need whole exponents, as in NumPy."""
    if isinstance(x2, int | float) and isinstance(x1, Tensor) and x1.dtype.kind == "f":
        return x1 if x2 == 1 else _constant_power(x1, exponent=x2)
    return _power(*operands(x1, x2))


def floor_divide(x1: Any, x2: Any) -> Tensor:
    """The largest whole number not above x1 / x2. Has no gradient."""
    a, b = operands(x1, x2)
    return Tensor.wrap(a.device.run(operator.floordiv, a.data, b.data), a.device)


def mod(x1: Any, x2: Any) -> Tensor:
    """x1 - x2 * floor(x1 / x2), with the sign of x2."""
    a, b = operands(x1, x2)
    return subtract(a, multiply(b, floor_divide(a.detach(), b.detach())))


# Functions of one argument


def function_of_one(name: str, gradient: Callable[..., Tensor], doc: str) -> Any:
    """The public function of one floating argument: that of the array namespace of that ``name``, with a gradient."""

    def forward(backend: Any, x: Any) -> Any:
        return getattr(backend.xp, name)(x)

    forward.__name__ = f"_{name}"
    differentiable: Primitive = primitive(forward)
    differentiable.gradient("x")(gradient)

    def function(x: Any) -> Tensor:
        return differentiable(floating(x))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


exp = function_of_one("exp", lambda dy, y: dy * y, "e to the power x.")
exp2 = function_of_one("exp2", lambda dy, y: dy * y * math.log(2), "2 to the power x.")
expm1 = function_of_one("expm1", lambda dy, y: dy * (y + 1), "exp(x) - 1, exact for small x.")
log = function_of_one("log", lambda dy, x: dy / x, "The natural logarithm of x.")
log1p = function_of_one("log1p", lambda dy, x: dy / (x + 1), "log(1 + x), exact for small x.")
log2 = function_of_one("log2", lambda dy, x: dy / (x * math.log(2)), "The logarithm of x to base 2.")
log10 = function_of_one("log10", lambda dy, x: dy / (x * math.log(10)), "The logarithm of x to base 10.")
sqrt = function_of_one("sqrt", lambda dy, y: dy / (y * 2), "The square root of x.")
cbrt = function_of_one("cbrt", lambda dy, y: dy / (y * y * 3), "The cube root of x, which may be negative.")


@primitive
def _square(backend: Any, x: Any) -> Any:
    return backend.xp.square(x)


@_square.gradient("x")
def _(dy: Tensor, x: Tensor) -> Tensor:
    return dy * x * 2


@primitive
def _abs(backend: Any, x: Any) -> Any:
    return backend.xp.abs(x)


@_abs.gradient("x")
def _(dy: Tensor, x: Tensor) -> Tensor:
    return dy * sign(x)


def square(x: Any) -> Tensor:
    """x * x."""
    tensor = tensor_of(x)
    return _square(cast(tensor, "int32") if tensor.dtype.kind == "b" else tensor)


def abs(x: Any) -> Tensor:
    """The magnitude of x; its gradient at zero is zero."""
    return _abs(tensor_of(x))


absolute = abs


def fabs(x: Any) -> Tensor:
    """The magnitude of x as a floating number: integers become float32."""
    return _abs(floating(x))


def rsqrt(x: Any) -> Tensor:
    """1 / sqrt(x)."""
    return power(floating(x), -0.5)


def reciprocal(x: Any) -> Tensor:
    """1 / x; integers become float32."""
    return divide(1.0, floating(x))


# Choosing between two


@primitive
def _where(backend: Any, condition: Any, a: Any, b: Any) -> Any:
    return backend.xp.where(condition, a, b)


@_where.gradient("a")
def _(dy: Tensor, condition: Tensor, a_shape: tuple[int, ...]) -> Tensor:
    return sum_to(where(condition, dy, zeros_like(dy)), a_shape)


@_where.gradient("b")
def _(dy: Tensor, condition: Tensor, b_shape: tuple[int, ...]) -> Tensor:
    return sum_to(where(condition, zeros_like(dy), dy), b_shape)


@primitive
def _maximum(backend: Any, a: Any, b: Any) -> Any:
    return backend.xp.maximum(a, b)


@primitive
def _minimum(backend: Any, a: Any, b: Any) -> Any:
    return backend.xp.minimum(a, b)


def _share_of(chosen: Tensor, other: Tensor, y: Tensor) -> Tensor:
    """1 where ``chosen`` alone is the result, 1/2 where both are equal: the symmetric subgradient."""
    return cast(chosen == y, y.dtype) * (1 - 0.5 * cast(chosen == other, y.dtype))


for _extremum in (_maximum, _minimum):

    @_extremum.gradient("a")
    def _(dy: Tensor, a: Tensor, b: Tensor, y: Tensor, a_shape: tuple[int, ...]) -> Tensor:
        return sum_to(dy * _share_of(a, b, y), a_shape)

    @_extremum.gradient("b")
    def _(dy: Tensor, a: Tensor, b: Tensor, y: Tensor, b_shape: tuple[int, ...]) -> Tensor:
        return sum_to(dy * _share_of(b, a, y), b_shape)


def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """``x1`` where ``condition`` is true, else ``x2``; all three broadcast.

    With neither, where it is true: for each axis the positions, as ``nonzero`` gives them. Raises ``ValueError`` for
    one without the other.
    """
    if x1 is None and x2 is None:
        return nonzero(condition)
    if x1 is None or x2 is None:
        raise ValueError("where: expected both x1 and x2, or neither; got one of them. Give the other, too.")
    a, b = operands(x1, x2)
    return _where(cast(tensor_of(condition, like=a), bool), a, b)


def maximum(x1: Any, x2: Any) -> Tensor:
    """The larger of x1 and x2; NaN where either is. Where both are equal each gets half of the gradient."""
    return _maximum(*operands(x1, x2))


def minimum(x1: Any, x2: Any) -> Tensor:
    """The smaller of x1 and x2; NaN where either is. Where both are equal each gets half of the gradient."""
    return _minimum(*operands(x1, x2))


@primitive
def _clip(backend: Any, x: Any, *, low: float, high: float) -> Any:
    return backend.xp.clip(x, x.dtype.type(low), x.dtype.type(high))


@_clip.gradient("x")
def _(dy: Tensor, x: Tensor, low: float, high: float) -> Tensor:
    return dy * cast(logical_and(x >= low, x <= high), dy.dtype)


def clip(x: Any, x_min: Any, x_max: Any) -> Tensor:
    """x held between two numbers, or two tensors that broadcast; the gradient is zero outside."""
    tensor = tensor_of(x)
    if tensor.dtype.kind == "f" and isinstance(x_min, int | float) and isinstance(x_max, int | float):
        return _clip(tensor, low=x_min, high=x_max)
    return minimum(maximum(cast(tensor, "int32") if tensor.dtype.kind == "b" else tensor, x_min), x_max)


def nonzero(x: Any) -> tuple[Tensor, ...]:
    """For each axis the positions, int32, of the elements that are not zero. Waits for the device to count them."""
    tensor = tensor_of(x)
    found = tensor.device.backend.xp.nonzero(tensor.data)
    return tuple(Tensor.wrap(positions.astype("int32"), tensor.device) for positions in found)


@primitive
def _alias(backend: Any, x: Any) -> Any:
    return x


@_alias.gradient("x")
def _(dy: Tensor) -> Tensor:
    return dy


def alias(x: Any) -> Tensor:
    """``x`` itself, as a new point on the tape."""
    return _alias(tensor_of(x))
