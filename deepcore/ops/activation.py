"""Activation functions, and the epilogue (bias and activation) that products and convolutions fuse behind them.

The epilogues are those activations whose derivative follows from their result, so that the result is all that the
backward pass needs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deepcore.autograd.primitive import Keeps, primitive
from deepcore.backend.contract import ACTIVATIONS as EPILOGUES
from deepcore.errors import unknown_name
from deepcore.ops.elementwise import abs as _abs
from deepcore.ops.elementwise import cast, exp, minimum, sum_to, where
from deepcore.ops.logic import less
from deepcore.ops.operand import floating, operands
from deepcore.tensor import Tensor

# Derivative, with respect to the result y, of the slope f'(x) written as a function of y; absent where it is zero.
_SLOPE_CHANGE: dict[str, Callable[[Tensor], Tensor]] = {
    "elu": lambda y: cast(less(y, 0), y.dtype),
    "selu": lambda y: cast(less(y, 0), y.dtype),
    "sigmoid": lambda y: 1 - 2 * y,
    "tanh": lambda y: -2 * y,
    "exponential": lambda y: y * 0 + 1,
    "softplus": lambda y: exp(-y),
}


@primitive
def _bias_activation(backend: Any, x: Any, bias: Any, *, activation: str) -> Any:
    return backend.bias_activation(x, bias, activation)


@_bias_activation.gradient("x", "bias", keeps=lambda activation: {"y"} if activation != "linear" else set())
def _(dy: Tensor, y: Tensor, activation: str, needed: frozenset[str]) -> tuple[Tensor | None, Tensor | None]:
    return epilogue_gradient(dy, y, activation, "bias" in needed)


# In both, dz = scale * dy * f'(z).
@primitive(outputs=("dz",))
def _activation_dgrad(backend: Any, dy: Any, y: Any, *, activation: str, scale: float) -> Any:
    return backend.activation_dgrad(dy, y, activation, scale)


@_activation_dgrad.gradient("dy")
def _(ddz: Tensor, y: Tensor, activation: str, scale: float) -> Tensor:
    return _activation_dgrad(ddz, y, activation=activation, scale=scale)


@_activation_dgrad.gradient("y")
def _(ddz: Tensor, dy: Tensor, y: Tensor, activation: str, scale: float) -> Tensor | None:
    return _slope_gradient(ddz, dy, y, activation, scale)


@primitive(outputs=("dz", "dbias"))
def _bias_activation_dgrad(backend: Any, dy: Any, y: Any, *, activation: str, scale: float) -> Any:
    return backend.bias_activation_dgrad(dy, y, activation, scale)


@_bias_activation_dgrad.gradient("dy")
def _(ddz: Tensor, ddbias: Tensor, y: Tensor, activation: str, scale: float) -> Tensor:
    return _activation_dgrad(ddz + ddbias, y, activation=activation, scale=scale)


@_bias_activation_dgrad.gradient("y")
def _(ddz: Tensor, ddbias: Tensor, dy: Tensor, y: Tensor, activation: str, scale: float) -> Tensor | None:
    return _slope_gradient(ddz + ddbias, dy, y, activation, scale)


def _slope_gradient(ddz: Tensor, dy: Tensor, y: Tensor, activation: str, scale: float) -> Tensor | None:
    change = _SLOPE_CHANGE.get(activation)
    if change is None:
        return None
    gradient = ddz * dy * change(y)
    return gradient if scale == 1 else gradient * scale


def behind(x: Tensor) -> str:
    """The activation that the elements of ``x`` come from as they are; ``"linear"`` where none is known."""
    activation: str = "linear" if x.node is None else x.node.attributes.get("activation", "linear")
    return activation


class Deferred(Tensor):
    """A gradient that an epilogue may take together with its own; whoever else asks for it has it computed then.

    Attributes:
        dy: the gradient at the result of the function that this is the gradient of.
        y: that result.
    """

    __slots__ = ("_materialized", "dy", "y")

    def __init__(self, dy: Tensor, y: Tensor) -> None:
        self.dy, self.y = dy, y
        self.device = dy.device
        self.grad = self.mask = self.node = None
        self.output_index = self.version = 0
        self._leaf_requires_grad = False
        self._materialized: Any = None

    def at_input(self, dy: Tensor) -> Tensor:
        """The gradient at the function's input for any gradient ``dy`` at its result."""
        raise NotImplementedError

    def computed(self) -> Tensor:
        return self.detach()

    @property
    def _array(self) -> Any:  # a slot of other tensors
        if self._materialized is None:
            self._materialized = self.at_input(self.dy)._array
        return self._materialized


class Selected(Deferred):
    """The gradient of a function that selects elements of its input, such as the largest of each window.

    Each element of the result y is one of the input x, so where x came from an activation, whose slope follows from
    its result, the slope may be taken at y, of which there are fewer: ``at_input(dy * slope(y))`` is
    ``at_input(dy) * slope(x)``, and both have the same sums over a channel.
    """

    __slots__ = ()


class Thinned(Deferred):
    """The gradient of a function that multiplies elements of its input by ``scale``, and others by zero: dropout.

    Where x came from a relu, its slope and what was kept both follow from the result: where y is zero, the element
    was dropped or its slope is zero, and elsewhere it was kept and its slope is one.
    """

    __slots__ = ("scale",)

    def __init__(self, dy: Tensor, y: Tensor, scale: float) -> None:
        super().__init__(dy, y)
        self.scale = scale


def epilogue_gradient(
    dy: Tensor, y: Tensor | None, activation: str, with_bias: bool, scale: float = 1.0
) -> tuple[Tensor, Tensor | None]:
    """The gradients behind an epilogue: of what the activation was applied to, and of the bias (None if not asked).
    ``dy`` is multiplied by ``scale`` on the way."""
    if isinstance(dy, Selected) and activation != "linear":
        dz, dbias = epilogue_gradient(dy.dy, dy.y, activation, with_bias, scale)
        return dy.at_input(dz), dbias
    if isinstance(dy, Thinned) and activation == "relu":
        return epilogue_gradient(dy.dy, dy.y, activation, with_bias, scale * dy.scale)
    if with_bias and activation != "linear":
        return _bias_activation_dgrad(dy, y, activation=activation, scale=scale)
    dz = dy if activation == "linear" else _activation_dgrad(dy, y, activation=activation, scale=scale)
    return dz, sum_to(dz, dz.shape[-1:]) if with_bias else None


def keeps_of_product(first: str, second: str) -> Keeps:
    """What a product of two inputs with an epilogue keeps: each factor for the other's gradient, the result for the
    activation's."""

    def keeps(needed: frozenset[str], activation: str) -> set[str]:
        names = {second} if first in needed else set()
        if second in needed:
            names.add(first)
        if activation != "linear":
            names.add("y")
        return names

    return keeps


def check_epilogue(op: str, bias: Tensor | None, channels: int, activation: str) -> None:
    """Raises ``ValueError`` for an activation that cannot be fused, or a bias that is not [channels]."""
    if activation not in EPILOGUES:
        raise unknown_name(f"epilogue of {op}", activation, EPILOGUES)
    if bias is not None and bias.shape != (channels,):
        raise ValueError(f"{op}: the bias must have shape ({channels},), one value a channel; got {bias.shape}.")


def bias_activation(x: Any, bias: Any = None, activation: str = "linear") -> Tensor:
    """activation(x + bias) in one pass.

    Args:
        x: floating tensor [..., channels].
        bias: [channels] or None.
        activation: one of ``EPILOGUES``.

    Raises ``ValueError`` for an unknown activation or a bias of another length.

    >>> bias_activation([[1.0, -3.0]], [1.0, 1.0], "relu")
    Tensor([[2., 0.]], dtype=float32)
    """
    tensor = floating(x)
    bias = None if bias is None else operands(tensor, bias)[1]
    check_epilogue("bias_activation", bias, tensor.shape[-1] if tensor.ndim else 1, activation)
    return _bias_activation(tensor, bias, activation=activation)


def _activation(name: str, doc: str) -> Any:
    def function(x: Any) -> Tensor:
        return _bias_activation(floating(x), None, activation=name)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


relu = _activation("relu", "max(x, 0). Nair and Hinton 2010.")
relu6 = _activation("relu6", "min(max(x, 0), 6). Howard et al. 2017.")
selu = _activation("selu", "The self-normalising elu. Klambauer et al. 2017.")
sigmoid = _activation("sigmoid", "1 / (1 + exp(-x)), stable at both ends.")
hard_sigmoid = _activation("hard_sigmoid", "relu6(x + 3) / 6.")
tanh = _activation("tanh", "The hyperbolic tangent of x.")
softplus = _activation("softplus", "log(1 + exp(x)), stable at both ends.")


def leaky_relu(x: Any, negative_slope: float = 0.2) -> Tensor:
    """x where positive, else ``negative_slope`` * x. Maas et al. 2013; the default is Keras's."""
    tensor = floating(x)
    if negative_slope == 0.2:
        return _bias_activation(tensor, None, activation="leaky_relu")
    return where(tensor > 0, tensor, tensor * negative_slope)


def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """x where positive, else ``alpha`` * (exp(x) - 1). Clevert et al. 2016."""
    tensor = floating(x)
    if alpha == 1.0:
        return _bias_activation(tensor, None, activation="elu")
    return relu(tensor) + alpha * _bias_activation(minimum(tensor, 0.0), None, activation="elu")


def silu(x: Any) -> Tensor:
    """x * sigmoid(x), also called swish. Elfwing et al. 2018."""
    tensor = floating(x)
    return tensor * sigmoid(tensor)


def softsign(x: Any) -> Tensor:
    """x / (1 + |x|). Turian et al. 2009."""
    tensor = floating(x)
    return tensor / (1 + _abs(tensor))
