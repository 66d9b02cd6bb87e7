"""Arithmetic and mathematical functions of each element; operands broadcast as in NumPy."""

from __future__ import annotations

import operator
from typing import Any

from deepcore.autograd.primitive import Primitive, primitive
from deepcore.ops.operand import cast, floating, operands, tensor_of
from deepcore.tensor import Tensor


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
    return backend.xp.broadcast_to(x, shape)


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


def add(x: Any, y: Any) -> Tensor:
    """x + y."""
    return _add(*operands(x, y))


def subtract(x: Any, y: Any) -> Tensor:
    """x - y."""
    return _subtract(*operands(x, y))


def multiply(x: Any, y: Any) -> Tensor:
    """x * y."""
    return _multiply(*operands(x, y))


def divide(x: Any, y: Any) -> Tensor:
    """x / y; integers are divided as float32."""
    a, b = operands(x, y)
    return _divide(floating(a), floating(b))


def negative(x: Any) -> Tensor:
    """-x."""
    return _negative(tensor_of(x))


def power(x: Any, y: Any) -> Tensor:
    """x to the power y. Negative bases need whole exponents, as in NumPy."""
    if isinstance(y, int | float) and isinstance(x, Tensor) and x.dtype.kind == "f":
        return x if y == 1 else _constant_power(x, exponent=y)
    return _power(*operands(x, y))


def floor_divide(x: Any, y: Any) -> Tensor:
    """The largest whole number not above x / y. Has no gradient."""
    a, b = operands(x, y)
    return Tensor.wrap(a.device.run(operator.floordiv, a.data, b.data), a.device)


def mod(x: Any, y: Any) -> Tensor:
    """x - y * floor(x / y), with the sign of y."""
    a, b = operands(x, y)
    return subtract(a, multiply(b, floor_divide(a.detach(), b.detach())))


# Functions of one argument


def _function(primitive_: Primitive, doc: str) -> Any:
    """The public function of a primitive that takes one floating argument."""

    def function(x: Any) -> Tensor:
        return primitive_(floating(x))

    function.__name__ = function.__qualname__ = primitive_.name.lstrip("_")
    function.__doc__ = doc
    return function


@primitive
def _exp(backend: Any, x: Any) -> Any:
    return backend.xp.exp(x)


@_exp.gradient("x")
def _(dy: Tensor, y: Tensor) -> Tensor:
    return dy * y


@primitive
def _expm1(backend: Any, x: Any) -> Any:
    return backend.xp.expm1(x)


@_expm1.gradient("x")
def _(dy: Tensor, y: Tensor) -> Tensor:
    return dy * (y + 1)


@primitive
def _log(backend: Any, x: Any) -> Any:
    return backend.xp.log(x)


@_log.gradient("x")
def _(dy: Tensor, x: Tensor) -> Tensor:
    return dy / x


@primitive
def _log1p(backend: Any, x: Any) -> Any:
    return backend.xp.log1p(x)


@_log1p.gradient("x")
def _(dy: Tensor, x: Tensor) -> Tensor:
    return dy / (x + 1)


@primitive
def _sqrt(backend: Any, x: Any) -> Any:
    return backend.xp.sqrt(x)


@_sqrt.gradient("x")
def _(dy: Tensor, y: Tensor) -> Tensor:
    return dy / (y * 2)


@primitive
def _square(backend: Any, x: Any) -> Any:
    return backend.xp.square(x)


@_square.gradient("x")
def _(dy: Tensor, x: Tensor) -> Tensor:
    return dy * x * 2


@primitive
def _sin(backend: Any, x: Any) -> Any:
    return backend.xp.sin(x)


@_sin.gradient("x")
def _(dy: Tensor, x: Tensor) -> Tensor:
    return dy * cos(x)


@primitive
def _cos(backend: Any, x: Any) -> Any:
    return backend.xp.cos(x)


@_cos.gradient("x")
def _(dy: Tensor, x: Tensor) -> Tensor:
    return -(dy * sin(x))


@primitive
def _abs(backend: Any, x: Any) -> Any:
    return backend.xp.abs(x)


@_abs.gradient("x")
def _(dy: Tensor, x: Tensor) -> Tensor:
    return dy * sign(x)


exp = _function(_exp, "e to the power x.")
expm1 = _function(_expm1, "exp(x) - 1, exact for small x.")
log = _function(_log, "The natural logarithm of x.")
log1p = _function(_log1p, "log(1 + x), exact for small x.")
sqrt = _function(_sqrt, "The square root of x.")
square = _function(_square, "x * x.")
sin = _function(_sin, "The sine of x radians.")
cos = _function(_cos, "The cosine of x radians.")


def abs(x: Any) -> Tensor:
    """The magnitude of x; its gradient at zero is zero."""
    return _abs(tensor_of(x))


def rsqrt(x: Any) -> Tensor:
    """1 / sqrt(x)."""
    return power(floating(x), -0.5)


def _without_gradient(x: Any, function: str) -> Tensor:
    tensor = tensor_of(x)
    return Tensor.wrap(getattr(tensor.device.backend.xp, function)(tensor.data), tensor.device)


def sign(x: Any) -> Tensor:
    """-1, 0 or 1. Constant almost everywhere: no gradient flows."""
    return _without_gradient(x, "sign")


def floor(x: Any) -> Tensor:
    """The largest whole number not above x. No gradient flows."""
    return _without_gradient(x, "floor")


def ceil(x: Any) -> Tensor:
    """The smallest whole number not below x. No gradient flows."""
    return _without_gradient(x, "ceil")


def round(x: Any) -> Tensor:
    """The nearest whole number, halves to even. No gradient flows."""
    return _without_gradient(x, "rint")


def isnan(x: Any) -> Tensor:
    """Whether each element is NaN."""
    return _without_gradient(x, "isnan")


def isfinite(x: Any) -> Tensor:
    """Whether each element is neither NaN nor infinite."""
    return _without_gradient(x, "isfinite")


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


def where(condition: Any, x: Any, y: Any) -> Tensor:
    """x where ``condition`` is true, else y."""
    a, b = operands(x, y)
    return _where(cast(tensor_of(condition, like=a), bool), a, b)


def maximum(x: Any, y: Any) -> Tensor:
    """The larger of x and y; NaN where either is. Where both are equal each gets half of the gradient."""
    return _maximum(*operands(x, y))


def minimum(x: Any, y: Any) -> Tensor:
    """The smaller of x and y; NaN where either is. Where both are equal each gets half of the gradient."""
    return _minimum(*operands(x, y))


@primitive
def _clip(backend: Any, x: Any, *, low: float, high: float) -> Any:
    return backend.xp.clip(x, x.dtype.type(low), x.dtype.type(high))


@_clip.gradient("x")
def _(dy: Tensor, x: Tensor, low: float, high: float) -> Tensor:
    return dy * cast(logical_and(x >= low, x <= high), dy.dtype)


def clip(x: Any, x_min: float, x_max: float) -> Tensor:
    """x held between two numbers; the gradient is zero outside."""
    return _clip(tensor_of(x), low=x_min, high=x_max)


# Comparisons and logic: no gradients


def _comparison(name: str, doc: str) -> Any:
    def function(x: Any, y: Any) -> Tensor:
        a, b = operands(x, y)
        return Tensor.wrap(getattr(a.device.backend.xp, name)(a.data, b.data), a.device)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


equal = _comparison("equal", "Whether x == y, element by element.")
not_equal = _comparison("not_equal", "Whether x != y, element by element.")
less = _comparison("less", "Whether x < y, element by element.")
less_equal = _comparison("less_equal", "Whether x <= y, element by element.")
greater = _comparison("greater", "Whether x > y, element by element.")
greater_equal = _comparison("greater_equal", "Whether x >= y, element by element.")
logical_and = _comparison("logical_and", "Whether both are true, element by element.")
logical_or = _comparison("logical_or", "Whether either is true, element by element.")


def logical_not(x: Any) -> Tensor:
    """Whether x is false, element by element."""
    return _without_gradient(x, "logical_not")


# Constants


def zeros_like(x: Any, dtype: Any = None) -> Tensor:
    """Zeros of the shape, dtype and device of ``x``."""
    tensor = tensor_of(x)
    return Tensor.wrap(tensor.device.backend.xp.zeros(tensor.shape, dtype or tensor.dtype), tensor.device)


def ones_like(x: Any, dtype: Any = None) -> Tensor:
    """Ones of the shape, dtype and device of ``x``."""
    tensor = tensor_of(x)
    return Tensor.wrap(tensor.device.backend.xp.ones(tensor.shape, dtype or tensor.dtype), tensor.device)


@primitive
def _identity(backend: Any, x: Any) -> Any:
    return x


@_identity.gradient("x")
def _(dy: Tensor) -> Tensor:
    return dy


def identity(x: Any) -> Tensor:
    """``x`` itself, as a new point on the tape."""
    return _identity(tensor_of(x))
