"""Normalisation of each example by itself: over its features, over groups of channels, over neighbouring channels."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from numbers import Integral
from typing import Any

from deepcore import ops
from deepcore.layers.arguments import integer, number, positive_int
from deepcore.layers.input_spec import InputSpec
from deepcore.layers.layer import Layer
from deepcore.layers.parametric import ParametricLayer, arguments_of
from deepcore.tensor import Tensor
from deepcore.variable import Variable

# What an example must have in squares before it counts as more than zero.
_TINY = 1e-12


def check_axes(axis: Any, shape: Any) -> tuple[int, ...]:
    """``axis``, an axis or several, as they count from 0. Raises ``ValueError`` for those that ``shape`` has not."""
    axes = [axis] if isinstance(axis, int) else list(axis)
    rank = len(shape)
    if any(not -rank <= a < rank for a in axes):
        raise ValueError(f"axis {axis} is out of bounds for inputs of shape {tuple(shape)}.")
    found = tuple(a % rank for a in axes)
    if len(set(found)) != len(found) or not found:
        raise ValueError(f"axis={axis} must name different axes of inputs of shape {tuple(shape)}.")
    return found


def axis_argument(axis: Any, name: str = "axis") -> Any:
    """An axis as it is, several as a list. Raises ``TypeError`` for anything else."""
    axes = axis if isinstance(axis, list | tuple) else (axis,)
    if any(isinstance(a, bool) or not isinstance(a, Integral) for a in axes):
        raise TypeError(f"{name} must be an integer, or a list or tuple of them; got {name}={axis!r}.")
    return [int(a) for a in axes] if axes is axis else int(axis)


class SameShape(Layer):
    """A layer with an ``axis`` whose output has the shape of its input."""

    axis: Any
    input_spec = InputSpec()

    def compute_output_shape(self, input_shape: Any) -> Any:
        check_axes(self.axis, input_shape)
        return input_shape


class AffineNormalization(SameShape, ParametricLayer):
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta; ``scale``: whether gamma learns, ``center``: beta."""

    _supports_masking = True

    _config: tuple[str, ...] = ("axis", "epsilon", "center", "scale")

    def __init__(self, *, epsilon: float, center: bool, scale: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not number("epsilon", epsilon) >= 0:
            raise ValueError(f"epsilon must not be negative; got {epsilon!r}.")
        self.epsilon = epsilon
        self.center, self.scale = center, scale
        self.gamma: Variable | None = None
        self.beta: Variable | None = None

    def _add_parameters(self, shape: tuple[int, ...]) -> None:
        if self.scale:
            self.gamma = self.weight("gamma", shape)
        if self.center:
            self.beta = self.weight("beta", shape)

    def _parameters(self, like: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """gamma and beta as vectors, ones and zeros where they do not learn."""
        xp = like.device.backend.xp
        gamma = Tensor.wrap(xp.ones(size, like.dtype), like.device) if self.gamma is None else self.gamma
        beta = Tensor.wrap(xp.zeros(size, like.dtype), like.device) if self.beta is None else self.beta
        return ops.reshape(gamma, (size,)), ops.reshape(beta, (size,))


class LayerNormalization(AffineNormalization):
    """Normalises each example over ``axis``, an axis or several.

    Args:
        axis: the axes of the features.
        epsilon: added to the variance.
        center, scale: whether there is a beta, a gamma.
        beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint:
            of the weights.

    Weights gamma and beta of the sizes of ``axis``. Raises ``ValueError`` for an axis that the input does not have,
    ``TypeError`` for one that is not an integer. Ba et al. 2016. With ``rms_scaling=True``, which Keras has given up,
    x is divided by the standard deviation and not centred.
    """

    _config: tuple[str, ...] = ("rms_scaling",)

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        *,
        rms_scaling: bool = False,
        **kwargs: Any,
    ) -> None:
        if rms_scaling:
            warnings.warn("rms_scaling=True divides by the variance; use RMSNormalization.", stacklevel=2)
        super().__init__(**arguments_of(locals(), "axis", "rms_scaling"))
        self.axis = axis_argument(axis)
        self.rms_scaling = rms_scaling

    def build(self, input_shape: Any) -> None:
        self.axis = sorted(self.axis) if isinstance(self.axis, list) else [self.axis]
        axes = sorted(check_axes(self.axis, input_shape))
        shape = tuple(positive_int(f"the size of axis {a}", input_shape[a]) for a in axes)
        if self.rms_scaling:
            self.gamma = self.weight("gamma", shape)
        else:
            self._add_parameters(shape)
        rank = len(input_shape)
        ndim = None if max(self.axis) < 0 else rank  # axes counted from the end are found in inputs of any rank
        self.input_spec = InputSpec(ndim=ndim, axes={a - rank: input_shape[a] for a in axes})

    def call(self, x: Tensor) -> Tensor:
        x = ops.cast(x, self.compute_dtype)
        axes = sorted(check_axes(self.axis, x.shape))
        size = math.prod(x.shape[a] for a in axes)
        order = (*(a for a in range(x.ndim) if a not in axes), *axes)
        moved = order != tuple(range(x.ndim))
        z = ops.transpose(x, order) if moved else x
        rows = ops.reshape(z, (-1, size))
        gamma, beta = self._parameters(x, size)
        if self.rms_scaling:
            rows = rows * ops.rsqrt(ops.var(rows, -1, keepdims=True) + self.epsilon) * gamma
        else:
            rows = ops.layer_norm(rows, gamma, beta, self.epsilon)
        y = ops.reshape(rows, z.shape)
        return ops.transpose(y, [order.index(a) for a in range(x.ndim)]) if moved else y


class GroupNormalization(AffineNormalization):
    """Normalises each example over groups of its channels, and over all axes but the batch.

    Args:
        groups: how many groups the channels are cut into; -1 for one a channel.
        axis: the channels' axis.
        epsilon, center, scale and those of the weights: as for ``LayerNormalization``.

    Weights gamma and beta [channels]. Raises ``ValueError`` for groups that are not a positive integer or -1, or that
    the channels cannot be cut into. Wu and He 2018.
    """

    _config: tuple[str, ...] = ("groups",)

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(groups, int) or (groups <= 0 and groups != -1):
            raise ValueError(
                f"groups must be a positive integer, or -1 for one group a channel; got groups={groups!r}."
            )
        super().__init__(**arguments_of(locals(), "groups", "axis"))
        self.groups = groups
        self.axis = integer("axis", axis)

    def build(self, input_shape: Any) -> None:
        (at,) = check_axes(self.axis, input_shape)
        channels = positive_int(f"the size of axis {self.axis}", input_shape[at])
        self.groups = channels if self.groups == -1 else self.groups
        if channels % self.groups:
            raise ValueError(f"{channels} channels cannot be cut into groups={self.groups} of one size.")
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: channels})
        self._add_parameters((channels,))

    def call(self, x: Tensor) -> Tensor:
        x = ops.cast(x, self.compute_dtype)
        z = ops.moveaxis(x, self.axis, 1)
        channels = z.shape[1]
        rows = ops.reshape(z, (len(z) * self.groups, -1))
        xp = x.device.backend.xp
        ones, zeros = (Tensor.wrap(make(rows.shape[-1], x.dtype), x.device) for make in (xp.ones, xp.zeros))
        z = ops.reshape(ops.layer_norm(rows, ones, zeros, self.epsilon), z.shape)
        along = (channels, *(1,) * (x.ndim - 2))
        z = z if self.gamma is None else z * ops.reshape(self.gamma, along)
        z = z if self.beta is None else z + ops.reshape(self.beta, along)
        return ops.moveaxis(z, 1, self.axis)


class RMSNormalization(SameShape):
    """x / sqrt(mean(x * x) + epsilon) * scale, the mean over ``axis``.

    Args:
        axis: the axes of the features.
        epsilon: added to the mean.

    Weight scale of the sizes of ``axis``. Zhang and Sennrich 2019.
    """

    _config: tuple[str, ...] = ("axis", "epsilon")

    def __init__(self, axis: int | Sequence[int] = -1, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis_argument(axis)
        self.epsilon = number("epsilon", epsilon)

    def build(self, input_shape: Any) -> None:
        self.axis = sorted(self.axis) if isinstance(self.axis, list) else [self.axis]
        axes = sorted(check_axes(self.axis, input_shape))
        shape = tuple(positive_int(f"the size of axis {a}", input_shape[a]) for a in axes)
        self.scale = self.add_weight(shape, "ones", name="scale")

    def call(self, x: Tensor) -> Tensor:
        return ops.rms_normalization(x, self.scale, self.axis, self.epsilon)


class UnitNormalization(SameShape):
    """x divided by its Euclidean length over ``axis``, an axis or several."""

    _supports_masking = True
    _config: tuple[str, ...] = ("axis",)
    _stateless = True

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis_argument(axis)

    def call(self, x: Tensor) -> Tensor:
        return ops.normalize(x, axis=self.axis, order=2, epsilon=_TINY)


class LocalResponseNormalization(SameShape):
    """x / (bias + alpha * sum of the squares of the channels within ``depth_radius``) ** beta.

    Args:
        depth_radius: channels on each side that count.
        bias, alpha, beta: as in the formula; AlexNet has 2, 1e-4 and 0.75, with a radius of 2.
        axis: the channels' axis.

    Keras has no such layer; the defaults are those of TensorFlow's function. Raises ``ValueError`` for a negative
    radius. Krizhevsky et al. 2012, section 3.3.
    """

    _supports_masking = True

    _config: tuple[str, ...] = ("depth_radius", "bias", "alpha", "beta", "axis")

    def __init__(
        self,
        depth_radius: int = 5,
        bias: float = 1.0,
        alpha: float = 1.0,
        beta: float = 0.5,
        axis: int = -1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(depth_radius, bool) or not isinstance(depth_radius, int) or depth_radius < 0:
            raise ValueError(f"depth_radius must be an integer, not negative; got {depth_radius!r}.")
        self.depth_radius, self.bias, self.alpha, self.beta = depth_radius, bias, alpha, beta
        self.axis = axis

    def call(self, x: Tensor) -> Tensor:
        last = check_axes(self.axis, x.shape) == (x.ndim - 1,)
        z = x if last else ops.moveaxis(x, self.axis, -1)
        y = ops.local_response_norm(z, self.depth_radius, self.bias, self.alpha, self.beta)
        return y if last else ops.moveaxis(y, -1, self.axis)
