"""Normalisation over the batch, over the features, and over neighbouring channels.

Each runs as one fused call forwards and one backwards. The second derivative is that of the same backward formula
written with elementary operations.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from deepcore.autograd.engine import vjp
from deepcore.autograd.primitive import primitive
from deepcore.ops.elementwise import power, rsqrt, square, sum_to
from deepcore.ops.matmul import matmul
from deepcore.ops.operand import floating, operands
from deepcore.ops.reduction import mean
from deepcore.ops.shape import reshape
from deepcore.tensor import Tensor

# Batch normalisation


@primitive(outputs=("y", "mean", "variance"))
def _batch_norm(backend: Any, x: Any, gamma: Any, beta: Any, *, epsilon: float) -> Any:
    return backend.batch_norm_fprop(x, gamma, beta, epsilon)


@_batch_norm.gradient("x", "gamma", "beta")
def _(
    dy: Tensor,
    x: Tensor,
    gamma: Tensor,
    mean: Tensor,
    variance: Tensor,
    epsilon: float,
    dmean: Tensor | None = None,
    dvariance: Tensor | None = None,
) -> tuple[Tensor, ...]:
    dx, dgamma, dbeta = _batch_norm_dgrad(dy, x, gamma, mean.detach(), variance.detach(), epsilon=epsilon)
    count = x.size // x.shape[-1]
    if dmean is not None:
        dx = dx + dmean * (1 / count)
    if dvariance is not None:
        dx = dx + dvariance * (x - mean) * (2 / count)
    return dx, dgamma, dbeta


@primitive(outputs=("dx", "dgamma", "dbeta"))
def _batch_norm_dgrad(backend: Any, dy: Any, x: Any, gamma: Any, mean: Any, variance: Any, *, epsilon: float) -> Any:
    return backend.batch_norm_dgrad(dy, x, gamma, mean, variance, epsilon)


@_batch_norm_dgrad.gradient("dy", "x", "gamma")
def _(
    ddx: Tensor, ddgamma: Tensor, ddbeta: Tensor, dy: Tensor, x: Tensor, gamma: Tensor, epsilon: float
) -> tuple[Tensor, ...]:
    formula = functools.partial(_normalized_dgrad, axes=tuple(range(x.ndim - 1)), epsilon=epsilon)
    return vjp(formula, (dy, x, gamma), (ddx, ddgamma, ddbeta))


def _normalized_dgrad(
    dy: Tensor, x: Tensor, gamma: Tensor, axes: tuple[int, ...], epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of gamma * (x - mean) / sqrt(variance + epsilon) + beta, statistics over ``axes``.

    Ioffe and Szegedy 2015, section 3; with axes=(-1,) Ba et al. 2016.
    """
    centered = x - mean(x, axes, keepdims=True)
    rstd = rsqrt(mean(square(centered), axes, keepdims=True) + epsilon)
    normalized = centered * rstd
    scaled = dy * gamma
    dx = rstd * (
        scaled - mean(scaled, axes, keepdims=True) - normalized * mean(scaled * normalized, axes, keepdims=True)
    )
    return dx, sum_to(dy * normalized, gamma.shape), sum_to(dy, gamma.shape)


def batch_norm(x: Any, gamma: Any, beta: Any, epsilon: float = 1e-3) -> tuple[Tensor, Tensor, Tensor]:
    """Normalises each channel over the batch: gamma * (x - mean) / sqrt(variance + epsilon) + beta.

    Args:
        x: floating [..., channels].
        gamma, beta: [channels].
        epsilon: added to the variance.

    Returns (y, mean, variance): y of x's shape, and the [channels] statistics of this batch (variance divided by the
    count, not the count less one). Raises ``ValueError`` for parameters of another length. Ioffe and Szegedy 2015.
    """
    x, gamma, beta = _with_parameters("batch_norm", x, gamma=gamma, beta=beta)
    return _batch_norm(x, gamma, beta, epsilon=float(epsilon))


@primitive
def _batch_norm_inference(
    backend: Any, x: Any, gamma: Any, beta: Any, mean: Any, variance: Any, *, epsilon: float
) -> Any:
    return backend.batch_norm_inference(x, gamma, beta, mean, variance, epsilon)


@_batch_norm_inference.gradient("x")
def _(dy: Tensor, gamma: Tensor, variance: Tensor, epsilon: float) -> Tensor:
    return dy * (gamma * rsqrt(variance + epsilon))


@_batch_norm_inference.gradient("gamma")
def _(dy: Tensor, x: Tensor, mean: Tensor, variance: Tensor, epsilon: float) -> Tensor:
    return sum_to(dy * (x - mean), mean.shape) * rsqrt(variance + epsilon)


@_batch_norm_inference.gradient("beta")
def _(dy: Tensor, beta_shape: tuple[int, ...]) -> Tensor:
    return sum_to(dy, beta_shape)


@_batch_norm_inference.gradient("mean")
def _(dy: Tensor, gamma: Tensor, variance: Tensor, epsilon: float) -> Tensor:
    return -(sum_to(dy, gamma.shape) * gamma * rsqrt(variance + epsilon))


@_batch_norm_inference.gradient("variance")
def _(dy: Tensor, x: Tensor, gamma: Tensor, mean: Tensor, variance: Tensor, epsilon: float) -> Tensor:
    return sum_to(dy * (x - mean), mean.shape) * gamma * power(variance + epsilon, -1.5) * -0.5


def batch_norm_inference(x: Any, gamma: Any, beta: Any, mean: Any, variance: Any, epsilon: float = 1e-3) -> Tensor:
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta with given statistics, all [channels]."""
    tensors = _with_parameters("batch_norm_inference", x, gamma=gamma, beta=beta, mean=mean, variance=variance)
    return _batch_norm_inference(*tensors, epsilon=float(epsilon))


# Layer normalisation


@primitive(outputs=("y", "mean", "rstd"))
def _layer_norm(backend: Any, x: Any, gamma: Any, beta: Any, *, epsilon: float) -> Any:
    return backend.layer_norm_fprop(x, gamma, beta, epsilon)


@_layer_norm.gradient("x", "gamma", "beta")
def _(dy: Tensor, x: Tensor, gamma: Tensor, mean: Tensor, rstd: Tensor, epsilon: float) -> tuple[Tensor, ...]:
    return _layer_norm_dgrad(dy, x, gamma, mean.detach(), rstd.detach(), epsilon=epsilon)


@primitive(outputs=("dx", "dgamma", "dbeta"))
def _layer_norm_dgrad(backend: Any, dy: Any, x: Any, gamma: Any, mean: Any, rstd: Any, *, epsilon: float) -> Any:
    return backend.layer_norm_dgrad(dy, x, gamma, mean, rstd)


@_layer_norm_dgrad.gradient("dy", "x", "gamma")
def _(
    ddx: Tensor, ddgamma: Tensor, ddbeta: Tensor, dy: Tensor, x: Tensor, gamma: Tensor, epsilon: float
) -> tuple[Tensor, ...]:
    formula = functools.partial(_normalized_dgrad, axes=(x.ndim - 1,), epsilon=epsilon)
    return vjp(formula, (dy, x, gamma), (ddx, ddgamma, ddbeta))


def layer_norm(x: Any, gamma: Any, beta: Any, epsilon: float = 1e-3) -> Tensor:
    """Normalises each example over its features: gamma * (x - mean) / sqrt(variance + epsilon) + beta.

    Args:
        x: floating [..., features].
        gamma, beta: [features].
        epsilon: added to the variance.

    Returns a tensor of x's shape. Raises ``ValueError`` for parameters of another length. Ba et al. 2016.
    """
    x, gamma, beta = _with_parameters("layer_norm", x, gamma=gamma, beta=beta)
    return _layer_norm(x, gamma, beta, epsilon=float(epsilon))[0]


# Local response normalisation


@primitive(outputs=("y", "scale"))
def _local_response_norm(backend: Any, x: Any, *, depth_radius: int, bias: float, alpha: float, beta: float) -> Any:
    return backend.local_response_norm_fprop(x, depth_radius, bias, alpha, beta)


@_local_response_norm.gradient("x")
def _(dy: Tensor, x: Tensor, scale: Tensor, depth_radius: int, bias: float, alpha: float, beta: float) -> Tensor:
    return _local_response_norm_dgrad(
        dy, x, scale.detach(), depth_radius=depth_radius, bias=bias, alpha=alpha, beta=beta
    )


@primitive(outputs=("dx",))
def _local_response_norm_dgrad(
    backend: Any, dy: Any, x: Any, scale: Any, *, depth_radius: int, bias: float, alpha: float, beta: float
) -> Any:
    return backend.local_response_norm_dgrad(dy, x, scale, depth_radius, alpha, beta)


@_local_response_norm_dgrad.gradient("dy", "x")
def _(
    ddx: Tensor, dy: Tensor, x: Tensor, depth_radius: int, bias: float, alpha: float, beta: float
) -> tuple[Tensor, ...]:
    distance = np.subtract.outer(np.arange(x.shape[-1]), np.arange(x.shape[-1]))
    neighbours = Tensor((np.abs(distance) <= depth_radius).astype(x.dtype), device=x.device)

    def formula(dy: Tensor, x: Tensor) -> Tensor:
        scale = matmul(reshape(square(x), (-1, x.shape[-1])), neighbours).reshape(x.shape) * alpha + bias
        inner = dy * x * power(scale, -beta - 1)
        spread = matmul(reshape(inner, (-1, x.shape[-1])), neighbours).reshape(x.shape)
        return dy * power(scale, -beta) - x * spread * (2 * alpha * beta)

    return vjp(formula, (dy, x), (ddx,))


def local_response_norm(
    x: Any, depth_radius: int = 5, bias: float = 1.0, alpha: float = 1.0, beta: float = 0.5
) -> Tensor:
    """x / (bias + alpha * sum of the squares of the channels within ``depth_radius``) ** beta.

    Args:
        x: floating [..., channels].
        depth_radius: channels on each side that count; AlexNet has 2 (5 channels in all), with alpha 1e-4, beta 0.75
            and bias 2.
        bias, alpha, beta: as in the formula.

    Returns a tensor of x's shape. Raises ``ValueError`` for a negative radius. Krizhevsky et al. 2012, section 3.3.
    """
    if depth_radius < 0:
        raise ValueError(f"local_response_norm: depth_radius must not be negative; got {depth_radius!r}.")
    return _local_response_norm(
        floating(x), depth_radius=int(depth_radius), bias=float(bias), alpha=float(alpha), beta=float(beta)
    )[0]


def _with_parameters(op: str, x: Any, **parameters: Any) -> list[Tensor]:
    tensor = floating(x)
    if tensor.ndim == 0 or tensor.size == 0:
        raise ValueError(f"{op} expects x [..., channels], not empty; got shape {tensor.shape}.")
    tensors = [tensor]
    for name, value in parameters.items():
        parameter = operands(value, tensor)[0]
        if parameter.shape != tensor.shape[-1:]:
            raise ValueError(
                f"{op}: {name} must have shape {tensor.shape[-1:]}, one value a channel of x {tensor.shape}; "
                f"got {parameter.shape}."
            )
        tensors.append(parameter)
    return tensors
