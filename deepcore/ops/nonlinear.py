"""Activation functions that are written with other functions, by the names and arguments of ``keras.ops``."""

from __future__ import annotations

import math
from typing import Any

from deepcore.autograd.primitive import primitive
from deepcore.ops.activation import hard_sigmoid, sigmoid, softplus, tanh
from deepcore.ops.elementwise import abs, cast, clip, expm1, maximum, minimum, sqrt, square, where, zeros_like
from deepcore.ops.operand import floating
from deepcore.ops.reduction import sum
from deepcore.ops.shape import moveaxis, split
from deepcore.ops.special import erfc
from deepcore.tensor import Tensor


def celu(x: Any, alpha: float = 1.0) -> Tensor:
    """x where positive, else alpha * (exp(x / alpha) - 1). Barron 2017."""
    tensor = floating(x)
    return maximum(tensor, 0.0) + alpha * expm1(minimum(tensor, 0.0) / alpha)


def gelu(x: Any, approximate: bool = True) -> Tensor:
    """x times the probability that a standard normal number is below x. Hendrycks and Gimpel 2016.

    Args:
        x: floating tensor.
        approximate: by a hyperbolic tangent, within 5e-4 of the exact one, rather than by the error function.

    >>> gelu([-1.0, 0.0, 1.0], approximate=False)
    Tensor([-0.15865526,  0.        ,  0.8413447 ], dtype=float32)
    """
    tensor = floating(x)
    if not approximate:
        return tensor * erfc(tensor * -math.sqrt(0.5)) * 0.5
    inner = (tensor + 0.044715 * tensor * square(tensor)) * math.sqrt(2 / math.pi)
    return tensor * (1 + tanh(inner)) * 0.5


def glu(x: Any, axis: int = -1) -> Tensor:
    """The first half of ``axis`` times the sigmoid of the second. Dauphin et al. 2017.

    Raises ``ValueError`` if the axis has an odd size.
    """
    tensor = floating(x)
    if tensor.shape[axis] % 2:
        raise ValueError(
            f"glu: axis {axis} must have an even size, for two halves; got size {tensor.shape[axis]} in shape "
            f"{tensor.shape}."
        )
    values, gates = split(tensor, 2, axis)
    return values * sigmoid(gates)


def hard_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    """x where |x| is above ``threshold``, else 0."""
    tensor = floating(x)
    return where(abs(tensor) > threshold, tensor, zeros_like(tensor))


def hard_silu(x: Any) -> Tensor:
    """x * hard_sigmoid(x), also called hard swish. Howard et al. 2019."""
    tensor = floating(x)
    return tensor * hard_sigmoid(tensor)


def hard_tanh(x: Any) -> Tensor:
    """x held between -1 and 1. Collobert 2004."""
    return clip(floating(x), -1.0, 1.0)


def log_sigmoid(x: Any) -> Tensor:
    """log(sigmoid(x)), stable at both ends."""
    return -softplus(-floating(x))


def soft_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    """x moved towards 0 by ``threshold``, and 0 where it is nearer. Donoho 1995."""
    tensor = floating(x)
    return where(
        tensor > threshold,
        tensor - threshold,
        where(tensor < -threshold, tensor + threshold, zeros_like(tensor)),
    )


def sparse_plus(x: Any) -> Tensor:
    """0 up to -1, x from 1 on, and (x + 1)^2 / 4 between; the integral of ``sparse_sigmoid``. Keras."""
    tensor = floating(x)
    between = 0.25 * square(tensor + 1)
    return where(tensor <= -1, zeros_like(tensor), where(tensor < 1, between, tensor))


def sparse_sigmoid(x: Any) -> Tensor:
    """(x + 1) / 2 held between 0 and 1; sparsemax's sigmoid. Martins and Astudillo 2016."""
    return clip(0.5 * (floating(x) + 1), 0.0, 1.0)


def squareplus(x: Any, b: float = 4) -> Tensor:
    """(x + sqrt(x^2 + b)) / 2: a smooth relu without an exponential. Barron 2021."""
    tensor = floating(x)
    return (tensor + sqrt(square(tensor) + b)) * 0.5


def tanh_shrink(x: Any) -> Tensor:
    """x - tanh(x)."""
    tensor = floating(x)
    return tensor - tanh(tensor)


def threshold(x: Any, threshold: float, default_value: float) -> Tensor:
    """x where it is above ``threshold``, else ``default_value``."""
    tensor = floating(x)
    return where(tensor > threshold, tensor, default_value)


@primitive
def _sparsemax(backend: Any, x: Any) -> Any:
    xp = backend.xp
    descending = -xp.sort(-x, axis=-1)
    excess = xp.cumsum(descending, axis=-1) - 1
    ranks = xp.arange(1, x.shape[-1] + 1, dtype=x.dtype)
    size = (descending * ranks > excess).sum(axis=-1, keepdims=True)
    tau = xp.take_along_axis(excess, size - 1, axis=-1) / size.astype(x.dtype)
    return xp.maximum(x - tau, x.dtype.type(0))


@_sparsemax.gradient("x")
def _(dy: Tensor, y: Tensor) -> Tensor:
    support = cast(y.detach() > 0, y.dtype)
    return support * (dy - sum(dy * support, -1, keepdims=True) / sum(support, -1, keepdims=True))


def sparsemax(x: Any, axis: int = -1) -> Tensor:
    """The nearest point to x among the probabilities over ``axis``; unlike softmax's, many of them are 0.

    Martins and Astudillo 2016, algorithm 1.

    >>> sparsemax([2.0, 1.5, -1.0])
    Tensor([0.75, 0.25, 0.  ], dtype=float32)
    """
    tensor = floating(x)
    if axis % tensor.ndim == tensor.ndim - 1:
        return _sparsemax(tensor)
    return moveaxis(_sparsemax(moveaxis(tensor, axis, -1)), -1, axis)
