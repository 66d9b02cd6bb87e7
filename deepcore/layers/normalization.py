"""Normalisation over the batch, and over the features of each example."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from deepcore import initializers, ops, regularizers
from deepcore.autograd import no_grad
from deepcore.layers.input_spec import InputSpec
from deepcore.layers.layer import Layer, positive_int
from deepcore.tensor import Tensor
from deepcore.variable import Variable


class _Normalization(Layer):
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta; ``scale``: whether gamma learns, ``center``: beta."""

    def __init__(
        self,
        epsilon: float,
        center: bool,
        scale: bool,
        beta_initializer: Any,
        gamma_initializer: Any,
        beta_regularizer: Any,
        gamma_regularizer: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not epsilon >= 0:
            raise ValueError(f"epsilon must not be negative; got {epsilon!r}.")
        self.epsilon = epsilon
        self.center, self.scale = center, scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.gamma: Variable | None = None
        self.beta: Variable | None = None

    def _add_parameters(self, shape: tuple[int, ...]) -> None:
        if self.scale:
            self.gamma = self.add_weight(
                shape, self.gamma_initializer, regularizer=self.gamma_regularizer, name="gamma"
            )
        if self.center:
            self.beta = self.add_weight(shape, self.beta_initializer, regularizer=self.beta_regularizer, name="beta")

    def _parameters(self, like: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """gamma and beta as vectors, ones and zeros where they do not learn."""
        xp = like.device.backend.xp
        gamma = Tensor.wrap(xp.ones(size, like.dtype), like.device) if self.gamma is None else self.gamma
        beta = Tensor.wrap(xp.zeros(size, like.dtype), like.device) if self.beta is None else self.beta
        return ops.reshape(gamma, (size,)), ops.reshape(beta, (size,))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
            "beta_regularizer": regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": regularizers.serialize(self.gamma_regularizer),
        }


class BatchNormalization(_Normalization):
    """Normalises each channel over the batch in training, and with moving statistics otherwise.

    Args:
        axis: the channels' axis.
        momentum: moving = momentum * moving + (1 - momentum) * of the batch, after each training step.
        epsilon: added to the variance.
        center, scale: whether there is a beta, a gamma.
        beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer: of starting values.
        beta_regularizer, gamma_regularizer: penalties added to the loss.

    With ``trainable = False`` the layer uses its moving statistics in training, too, and leaves them as they are.
    Weights gamma, beta, moving_mean, moving_variance, all [channels]. Ioffe and Szegedy 2015.
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            epsilon,
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            **kwargs,
        )
        if not 0 <= momentum <= 1:
            raise ValueError(f"momentum must be from 0 to 1; got {momentum!r}.")
        self.axis = int(axis)
        self.momentum = momentum
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)

    def build(self, input_shape: Any) -> None:
        if not -len(input_shape) <= self.axis < len(input_shape):
            raise ValueError(f"axis {self.axis} is not one of inputs of shape {tuple(input_shape)}.")
        channels = positive_int(f"the size of axis {self.axis}", input_shape[self.axis])
        self._add_parameters((channels,))
        self.moving_mean = self.add_weight(
            (channels,), self.moving_mean_initializer, trainable=False, name="moving_mean"
        )
        self.moving_variance = self.add_weight(
            (channels,), self.moving_variance_initializer, trainable=False, name="moving_variance"
        )
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: channels})

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        x = ops.cast(x, self.compute_dtype)
        last = self.axis in (-1, x.ndim - 1)
        x = x if last else ops.moveaxis(x, self.axis, -1)
        gamma, beta = self._parameters(x, x.shape[-1])
        if training and self.trainable:
            y, mean, variance = ops.batch_norm(x, gamma, beta, self.epsilon)
            with no_grad():
                for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
                    moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))
        else:
            y = ops.batch_norm_inference(x, gamma, beta, self.moving_mean, self.moving_variance, self.epsilon)
        return y if last else ops.moveaxis(y, -1, self.axis)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "momentum": self.momentum,
            "moving_mean_initializer": initializers.serialize(self.moving_mean_initializer),
            "moving_variance_initializer": initializers.serialize(self.moving_variance_initializer),
        }


class LayerNormalization(_Normalization):
    """Normalises each example over ``axis``, an axis or several.

    Args:
        axis: the axes of the features.
        epsilon: added to the variance.
        center, scale: whether there is a beta, a gamma.
        beta_initializer, gamma_initializer: of starting values.
        beta_regularizer, gamma_regularizer: penalties added to the loss.

    Weights gamma and beta of the sizes of ``axis``. Raises ``ValueError`` for an axis that the input does not have.
    Ba et al. 2016.
    """

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
        **kwargs: Any,
    ) -> None:
        super().__init__(
            epsilon,
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            **kwargs,
        )
        self.axis = [axis] if isinstance(axis, int) else list(axis)

    def build(self, input_shape: Any) -> None:
        axes = self._axes(len(input_shape))
        self._add_parameters(tuple(positive_int(f"the size of axis {a}", input_shape[a]) for a in axes))
        self.input_spec = InputSpec(ndim=len(input_shape), axes={a: input_shape[a] for a in axes})

    def _axes(self, rank: int) -> tuple[int, ...]:
        axes = tuple(a % rank for a in self.axis)
        if any(not -rank <= a < rank for a in self.axis) or len(set(axes)) != len(axes) or not axes:
            raise ValueError(f"axis={self.axis} must name different axes of an input of rank {rank}.")
        return axes

    def call(self, x: Tensor) -> Tensor:
        x = ops.cast(x, self.compute_dtype)
        axes = self._axes(x.ndim)
        size = math.prod(x.shape[a] for a in axes)
        gamma, beta = self._parameters(x, size)
        order = (*(a for a in range(x.ndim) if a not in axes), *axes)
        moved = order != tuple(range(x.ndim))
        z = ops.transpose(x, order) if moved else x
        y = ops.reshape(ops.layer_norm(ops.reshape(z, (-1, size)), gamma, beta, self.epsilon), z.shape)
        return ops.transpose(y, [order.index(a) for a in range(x.ndim)]) if moved else y

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}
