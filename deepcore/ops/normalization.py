"""Normalisation over any axes, by the names and arguments of ``keras.ops``."""

from __future__ import annotations

from typing import Any

from deepcore.backend.dtype import is_half
from deepcore.ops.elementwise import abs, log10, maximum, ones_like, power, rsqrt, square, where, zeros_like
from deepcore.ops.logic import equal
from deepcore.ops.norm import batch_norm_inference, layer_norm
from deepcore.ops.operand import cast, floating, floating_beside, operands
from deepcore.ops.reduction import Axis, axes_of, mean, sum, var
from deepcore.ops.shape import expand_dims, reshape
from deepcore.tensor import Tensor

EPSILON = 1e-7  # Keras's


def batch_normalization(
    x: Any, mean: Any, variance: Any, axis: int, offset: Any = None, scale: Any = None, epsilon: float = 1e-3
) -> Tensor:
    """(x - mean) / sqrt(variance + epsilon) * scale + offset, with all statistics [channels] on ``axis``.

    Raises ``ValueError`` for statistics of another length. Ioffe and Szegedy 2015.
    """
    tensor = floating(x)
    (at,) = axes_of(axis, tensor.ndim, "batch_normalization")
    statistics = [None if value is None else _of(tensor, value) for value in (mean, variance, offset, scale)]
    for name, value in zip(("mean", "variance", "offset", "scale"), statistics, strict=True):
        if value is not None and value.shape != (tensor.shape[at],):
            raise ValueError(
                f"batch_normalization: {name} must have shape {(tensor.shape[at],)}, one value for each element of "
                f"axis {axis} of x {tensor.shape}; got {value.shape}."
            )
    center, spread, beta, gamma = statistics
    assert center is not None
    assert spread is not None
    if at == tensor.ndim - 1 and tensor.size:
        gamma = ones_like(center) if gamma is None else gamma
        beta = zeros_like(center) if beta is None else beta
        return batch_norm_inference(tensor, gamma, beta, center, spread, epsilon)
    shape = tuple(size if i == at else 1 for i, size in enumerate(tensor.shape))
    factor = rsqrt(spread + epsilon) if gamma is None else rsqrt(spread + epsilon) * gamma
    y = (tensor - reshape(center, shape)) * reshape(factor, shape)
    return y if beta is None else y + reshape(beta, shape)


def moments(x: Any, axes: Axis, keepdims: bool = False, synchronized: bool = False) -> tuple[Tensor, Tensor]:
    """The mean and the variance of ``x`` over ``axes``, of the dtype of ``x``; those of 16 bits by way of float32.

    Raises ``NotImplementedError`` for ``synchronized``: nothing is averaged over several devices.
    """
    if synchronized:
        raise NotImplementedError("moments: synchronized=True is not supported; use synchronized=False.")
    tensor = floating(x)
    wide = cast(tensor, "float32") if is_half(tensor.dtype) else tensor
    return tuple(cast(f(wide, axes, keepdims), tensor.dtype) for f in (mean, var))  # type: ignore[return-value]


def psnr(x1: Any, x2: Any, max_val: float) -> Tensor:
    """The peak signal-to-noise ratio in decibels, 10 log10(max_val^2 / mean((x1 - x2)^2)); infinite for equal signals.

    Raises ``ValueError`` for signals of different shapes.
    """
    a, b = map(floating, operands(x1, x2))
    if a.shape != b.shape:
        raise ValueError(f"psnr: x1 and x2 must have the same shape; got {a.shape} and {b.shape}.")
    return 20 * log10(floating_beside(max_val, a)) - 10 * log10(mean(square(a - b)))


def layer_normalization(
    x: Any, gamma: Any = None, beta: Any = None, axis: Axis = -1, epsilon: float | None = None
) -> Tensor:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, the statistics over ``axis``, an axis or several.

    ``gamma`` and ``beta`` have the sizes of these axes, or broadcast to x. epsilon is 1e-7 by default. Ba et al. 2016.
    """
    tensor = floating(x)
    axes = axes_of(axis, tensor.ndim, "layer_normalization")
    sizes = tuple(tensor.shape[a] for a in axes)
    gain, shift = (None if value is None else _of(tensor, value) for value in (gamma, beta))
    small = EPSILON if epsilon is None else epsilon
    plain = all(value is None or value.shape == sizes for value in (gain, shift))
    if axes == (tensor.ndim - 1,) and tensor.size and plain:
        template = tensor.detach()[(0,) * (tensor.ndim - 1)]
        gain = ones_like(template) if gain is None else gain
        shift = zeros_like(template) if shift is None else shift
        return layer_norm(tensor, gain, shift, small)
    centered = tensor - mean(tensor, axes, keepdims=True)
    y = centered * rsqrt(mean(square(centered), axes, keepdims=True) + small)
    y = y if gain is None else y * _broadcast(gain, tensor, axes)
    return y if shift is None else y + _broadcast(shift, tensor, axes)


def rms_normalization(x: Any, scale: Any = None, axis: Axis = -1, epsilon: float | None = None) -> Tensor:
    """x / sqrt(mean(x^2) + epsilon) * scale, the mean over ``axis``; epsilon is 1e-7 by default.

    Zhang and Sennrich 2019.
    """
    tensor = _not_scalar(x)
    axes = axes_of(axis, tensor.ndim, "rms_normalization")
    y = tensor * rsqrt(mean(square(tensor), axes, keepdims=True) + (EPSILON if epsilon is None else epsilon))
    return y if scale is None else y * _broadcast(_of(tensor, scale), tensor, axes)


def normalize(x: Any, axis: Axis = -1, order: int = 2, epsilon: float | None = None) -> Tensor:
    """x divided by its norm over ``axis``, (sum |x|^order)^(1/order), which counts at least ``epsilon``, 1e-7.

    Raises ``ValueError`` unless ``order`` is a whole number above zero.

    >>> normalize([3.0, 4.0])
    Tensor([0.6, 0.8], dtype=float32)
    """
    if not isinstance(order, int) or order < 1:
        raise ValueError(f"normalize: order must be a whole number above zero; got {order!r}.")
    tensor = _not_scalar(x)
    small = EPSILON if epsilon is None else epsilon
    if order == 2:
        return tensor * rsqrt(maximum(sum(square(tensor), axis, keepdims=True), small * small))
    size = abs(tensor)
    total = sum(size if order == 1 else power(size, order), axis, keepdims=True)
    nothing = equal(total.detach(), 0)  # whose root has no finite slope
    norm = where(nothing, 0.0, power(where(nothing, 1.0, total), 1 / order))
    return tensor / maximum(norm, small)


def _of(tensor: Tensor, value: Any) -> Tensor:
    return cast(floating_beside(value, tensor), tensor.dtype)


def _not_scalar(x: Any) -> Tensor:
    tensor = floating(x)
    return tensor if tensor.ndim else expand_dims(tensor, 0)


def _broadcast(parameter: Tensor, x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """A parameter over ``axes``, shaped to meet x."""
    if parameter.shape != tuple(x.shape[a] for a in axes):
        return parameter
    return reshape(parameter, tuple(size if i in axes else 1 for i, size in enumerate(x.shape)))
