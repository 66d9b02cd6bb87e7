"""Activation functions by Keras's names and arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deepcore import ops
from deepcore.errors import explain_missing
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
    if (negative_slope, max_value, threshold) == (0.0, 6.0, 0.0):
        return ops.relu6(x)
    x = ops.convert_to_tensor(x)
    below = negative_slope * (x - threshold) if negative_slope else ops.zeros_like(x)
    above = x if max_value is None else ops.minimum(x, max_value)
    return ops.where(x > threshold, above, below)


@_register()
def gelu(x: Any, approximate: bool = False) -> Tensor:
    """x times the probability that a standard normal number is below x; ``approximate`` by a hyperbolic tangent.

    Hendrycks and Gimpel 2016.
    """
    return ops.gelu(x, approximate=approximate)


@_register()
def exponential(x: Any) -> Tensor:
    """e to the power x."""
    return ops.exp(x)


@_register()
def mish(x: Any) -> Tensor:
    """x * tanh(softplus(x)). Misra 2019."""
    return ops.convert_to_tensor(x) * ops.tanh(ops.softplus(x))


@_register("step")
def heaviside(x: Any) -> Tensor:
    """1 where x is not negative, else 0: the threshold of the first neurons. Its gradient is zero.

    McCulloch and Pitts 1943.

    >>> heaviside([-0.5, 0.0, 2.0])
    Tensor([0., 1., 1.], dtype=float32)
    """
    return ops.step(x)


@_register("thresholded_relu", "tlu")
def thresholded_linear(x: Any, theta: float = 1.0) -> Tensor:
    """x where it is above ``theta``, else 0: the thresholded linear unit. Konda et al. 2015."""
    return ops.threshold(x, theta, 0.0)


celu = _register()(ops.celu)
elu = _register()(ops.elu)
glu = _register()(ops.glu)
hard_shrink = _register()(ops.hard_shrink)
hard_sigmoid = _register()(ops.hard_sigmoid)
hard_tanh = _register()(ops.hard_tanh)
leaky_relu = _register()(ops.leaky_relu)
log_sigmoid = _register()(ops.log_sigmoid)
log_softmax = _register()(ops.log_softmax)
relu6 = _register()(ops.relu6)
selu = _register()(ops.selu)
sigmoid = _register()(ops.sigmoid)
soft_shrink = _register()(ops.soft_shrink)
softmax = _register()(ops.softmax)
softplus = _register()(ops.softplus)
softsign = _register()(ops.softsign)
sparse_plus = _register()(ops.sparse_plus)
sparse_sigmoid = _register()(ops.sparse_sigmoid)
sparsemax = _register()(ops.sparsemax)
squareplus = _register()(ops.squareplus)
tanh = _register()(ops.tanh)
tanh_shrink = _register()(ops.tanh_shrink)
threshold = _register()(ops.threshold)
silu = swish = _register("swish")(ops.silu)
hard_silu = hard_swish = _register("hard_swish")(ops.hard_silu)

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


def epilogue_of(activation: Activation | None) -> str | None:
    """The name under which a product or a convolution can run ``activation`` in one pass with it; None if it cannot."""
    return _FUSED.get(linear if activation is None else activation)


def get(identifier: Any) -> Activation:
    """The function of a name; None is ``linear``, and a function (or a layer) is itself.

    >>> get("relu") is relu
    True
    """
    return linear if identifier is None else registry.get(identifier)


def serialize(activation: Activation) -> Any:
    """The name of an activation function; the configuration of a function of one's own, or of a layer."""
    name = getattr(activation, "__name__", "")
    return name if registry.entries.get(name) is activation else registry.serialize(activation)


def deserialize(config: Any, custom_objects: Any = None) -> Activation:
    """The function of a name or a configuration."""
    return registry.deserialize(config, custom_objects) if config is not None else linear


explain_missing(__name__)
