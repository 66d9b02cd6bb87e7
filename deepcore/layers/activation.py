"""Activations as layers of their own."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from deepcore import activations, ops
from deepcore.layers.arguments import number
from deepcore.layers.input_spec import InputSpec
from deepcore.layers.layer import Elementwise
from deepcore.layers.normalization import axis_argument
from deepcore.layers.parametric import ParametricLayer, arguments_of
from deepcore.tensor import Tensor

# What takes the place of a masked element before a softmax: e to its power is zero.
_NEVER = -1e9


class _Activation(Elementwise):
    input_spec = InputSpec()


class Activation(_Activation):
    """activation(x).

    Args:
        activation: a name or a function.
    """

    _config: tuple[str, ...] = ("activation",)

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activations.get(activation)

    def call(self, x: Tensor) -> Tensor:
        return self.activation(x)


class ReLU(_Activation):
    """x above ``threshold``, held to ``max_value``; below it ``negative_slope`` * (x - threshold).

    Raises ``ValueError`` for negative arguments.
    """

    _config: tuple[str, ...] = ("max_value", "negative_slope", "threshold")

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        for name, value in (("max_value", max_value), ("negative_slope", negative_slope), ("threshold", threshold)):
            if (value is None and name != "max_value") or (value is not None and number(name, value) < 0):
                raise ValueError(f"ReLU: {name} must not be negative; got {name}={value!r}.")
        self.max_value, self.negative_slope, self.threshold = max_value, negative_slope, threshold

    def call(self, x: Tensor) -> Tensor:
        return activations.relu(x, self.negative_slope, self.max_value, self.threshold)


class LeakyReLU(_Activation):
    """x where positive, else ``negative_slope`` * x.

    Raises ``ValueError`` for a slope that is negative or None. ``alpha`` is its old name. Maas et al. 2013.
    """

    _config: tuple[str, ...] = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        if "alpha" in kwargs:
            negative_slope = kwargs.pop("alpha")
            warnings.warn("LeakyReLU(alpha=...) is the old name of negative_slope; use that.", stacklevel=2)
        super().__init__(**kwargs)
        if negative_slope is None or number("negative_slope", negative_slope) < 0:
            raise ValueError(f"LeakyReLU: negative_slope must not be negative; got {negative_slope!r}.")
        self.negative_slope = negative_slope

    def call(self, x: Tensor) -> Tensor:
        return activations.leaky_relu(x, self.negative_slope)


class ELU(_Activation):
    """x where positive, else ``alpha`` * (exp(x) - 1). Clevert et al. 2016."""

    _config: tuple[str, ...] = ("alpha",)

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = number("alpha", alpha)

    def call(self, x: Tensor) -> Tensor:
        return activations.elu(x, self.alpha)


class PReLU(_Activation, ParametricLayer):
    """x where positive, else alpha * x, where alpha learns.

    Args:
        alpha_initializer, alpha_regularizer, alpha_constraint: of alpha.
        shared_axes: axes along which one alpha serves: ``[1, 2]`` for one a channel of an image. The batch is axis 0.

    Weight alpha of the shape of one example, 1 along ``shared_axes``. Raises ``ValueError`` for axes that there are
    not, and for sizes that are not known. He et al. 2015.
    """

    _config: tuple[str, ...] = ("shared_axes",)

    def __init__(
        self,
        alpha_initializer: Any = "zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: int | Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**arguments_of(locals(), "shared_axes"))
        axes = None if shared_axes is None else axis_argument(shared_axes, "shared_axes")
        self.shared_axes = [axes] if isinstance(axes, int) else axes

    def build(self, input_shape: Any) -> None:
        shared = self.shared_axes or []
        for axis in shared:
            if not 1 <= axis < len(input_shape):
                raise ValueError(
                    f"shared_axes must be from 1 to {len(input_shape) - 1} for inputs of shape {tuple(input_shape)}, "
                    f"0 being the batch; got shared_axes={shared}."
                )
        shape = [1 if axis in shared else size for axis, size in enumerate(input_shape)][1:]
        if None in shape:
            raise ValueError(
                f"alpha has the shape of one example, so the sizes of {tuple(input_shape)} must be known, or their "
                f"axes be among shared_axes; got shared_axes={self.shared_axes}."
            )
        self.alpha = self.weight("alpha", shape)
        axes = {axis: input_shape[axis] for axis in range(1, len(input_shape)) if axis not in shared}
        self.input_spec = InputSpec(ndim=len(input_shape), axes=axes if shared else {})

    def call(self, x: Tensor) -> Tensor:
        return ops.relu(x) - self.alpha * ops.relu(-x)


class Softmax(_Activation):
    """Probabilities over ``axis``, an axis or several.

    Called with a ``mask`` that broadcasts to the input, elements where it is False have no probability. Raises
    ``ValueError`` for a mask that does not broadcast.
    """

    _config: tuple[str, ...] = ("axis",)

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis_argument(axis)
        if self.axis == []:
            raise ValueError("axis must be an axis, or several; got none of them.")

    def call(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is not None:
            fits = len(mask.shape) <= len(x.shape) and all(
                m in (1, n) for m, n in zip(mask.shape[::-1], x.shape[::-1], strict=False)
            )
            if not fits:
                raise ValueError(
                    f"mask must broadcast to the inputs of shape {x.shape}, each of its sizes theirs or 1; got shape "
                    f"{mask.shape}."
                )
            mask = mask if mask.dtype.kind == "b" else mask > 0.5
            x = ops.where(mask, x, _NEVER)
        axes = (self.axis,) if isinstance(self.axis, int) else tuple(self.axis)
        one = len(axes) == 1
        y = activations.softmax(x, axes[0]) if one else ops.exp(x - ops.logsumexp(x, axes, keepdims=True))
        return y if mask is None else ops.where(mask, y, 0.0)
