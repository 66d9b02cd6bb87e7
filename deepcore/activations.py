"""Activation functions by Keras's names and arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deepcore import ops
from deepcore.registry import Registry
from deepcore.tensor import Tensor

Activation = Callable[[Any], Tensor]
registry = Registry("activation", "deepcore.activations", callables=True)
_register = registry.register


@_register()
def linear(x: Any) -> Tensor:
    """x itself."""
    return ops.convert_to_tensor(x)


@_register()
def relu(x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Tensor:
    """x above ``threshold``, held to ``max_value``; below it ``negative_slope`` * (x - threshold).

    >>> relu([-4.0, 1.0, 9.0], negative_slope=0.5, max_value=6.0)
    Tensor([-2.,  1.,  6.], dtype=float32)
    """
    if (negative_slope, max_value, threshold) == (0.0, None, 0.0):
        return ops.relu(x)
    x = ops.convert_to_tensor(x)
    below = negative_slope * (x - threshold) if negative_slope else ops.zeros_like(x)
    above = x if max_value is None else ops.minimum(x, max_value)
    return ops.where(x >= threshold, above, below)


@_register()
def leaky_relu(x: Any, negative_slope: float = 0.2) -> Tensor:
    """x where positive, else ``negative_slope`` * x."""
    return ops.leaky_relu(x) if negative_slope == 0.2 else relu(x, negative_slope)


@_register()
def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """x where positive, else ``alpha`` * (exp(x) - 1)."""
    if alpha == 1.0:
        return ops.elu(x)
    return ops.relu(x) + alpha * ops.minimum(ops.elu(x), 0.0)


@_register()
def softmax(x: Any, axis: int = -1) -> Tensor:
    """Probabilities over ``axis``."""
    return ops.softmax(x, axis)


@_register()
def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """Logarithms of the probabilities over ``axis``."""
    return ops.log_softmax(x, axis)


@_register("swish")
def silu(x: Any) -> Tensor:
    """x * sigmoid(x). Elfwing et al. 2018."""
    return ops.silu(x)


@_register("hard_swish")
def hard_silu(x: Any) -> Tensor:
    """x * hard_sigmoid(x). Howard et al. 2019."""
    return ops.convert_to_tensor(x) * ops.hard_sigmoid(x)


@_register()
def exponential(x: Any) -> Tensor:
    """e to the power x."""
    return ops.exp(x)


@_register()
def log_sigmoid(x: Any) -> Tensor:
    """log(sigmoid(x)), stable at both ends."""
    return -ops.softplus(-ops.convert_to_tensor(x))


@_register()
def mish(x: Any) -> Tensor:
    """x * tanh(softplus(x)). Misra 2019."""
    return ops.convert_to_tensor(x) * ops.tanh(ops.softplus(x))


relu6, selu, sigmoid, hard_sigmoid = map(_register(), (ops.relu6, ops.selu, ops.sigmoid, ops.hard_sigmoid))
tanh, softplus, softsign = map(_register(), (ops.tanh, ops.softplus, ops.softsign))

_FUSED: dict[Any, str] = {
    function: function.__name__
    for function in (
        linear,
        relu,
        relu6,
        leaky_relu,
        elu,
        selu,
        sigmoid,
        hard_sigmoid,
        tanh,
        exponential,
        softplus,
    )
    if function.__name__ in ops.EPILOGUES
}


def epilogue_of(activation: Activation) -> str | None:
    """The name under which a product or a convolution can run ``activation`` in one pass with it; None if it cannot."""
    return _FUSED.get(activation)


def get(identifier: Any) -> Activation:
    """The function of a name; None is ``linear``, and a function (or a layer) is itself.

    >>> get("relu") is relu
    True
    """
    return linear if identifier is None else registry.get(identifier)


def serialize(activation: Activation) -> Any:
    """The name of an activation function; the configuration of a function of one's own, or of a layer."""
    name = getattr(activation, "__name__", None)
    return name if registry.entries.get(name) is activation else registry.serialize(activation)


def deserialize(config: Any, custom_objects: Any = None) -> Activation:
    """The function of a name or a configuration."""
    return registry.deserialize(config, custom_objects) if config is not None else linear
