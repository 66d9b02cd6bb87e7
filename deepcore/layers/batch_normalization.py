"""Normalisation over the batch."""

from __future__ import annotations

from typing import Any

from deepcore import ops
from deepcore.autograd import no_grad
from deepcore.layers.arguments import positive_int
from deepcore.layers.input_spec import InputSpec
from deepcore.layers.normalization import AffineNormalization, check_axes
from deepcore.layers.parametric import arguments_of
from deepcore.tensor import Tensor

# Keeps the mean over a batch that is masked entirely from being a division by zero, as in Keras.
_NONE_LEFT = 1e-7


class BatchNormalization(AffineNormalization):
    """Normalises each channel over the batch in training, and with moving statistics otherwise.

    Args:
        axis: the channels' axis.
        momentum: moving = momentum * moving + (1 - momentum) * of the batch, after each training step.
        epsilon: added to the variance.
        center, scale: whether there is a beta, a gamma.
        beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer: of starting values.
        beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint: of beta and gamma.
        renorm, renorm_clipping, renorm_momentum, synchronized: as in Keras; only False is there for the first and last.

    Called with a ``mask`` of all axes but the last, the statistics are those of the elements where it is True. With
    ``trainable = False`` the layer uses its moving statistics in training, too, and leaves them as they are. Weights
    gamma, beta, moving_mean, moving_variance, all [channels]. Ioffe and Szegedy 2015.
    """

    _config: tuple[str, ...] = ("momentum", "renorm", "renorm_clipping", "renorm_momentum", "synchronized")

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
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: dict[str, float] | None = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Any,
    ) -> None:
        if synchronized:
            raise ValueError(
                "synchronized=True averages over several devices, which Keras does with TensorFlow only; leave it out."
            )
        if renorm:
            raise ValueError("renorm=True (batch renormalization) is not there; leave it out, or use a larger batch.")
        epsilon = float(epsilon)
        super().__init__(**arguments_of(locals(), "axis", *self._config))
        self.axis, self.momentum = int(axis), float(momentum)
        if not 0 <= self.momentum <= 1:
            raise ValueError(f"momentum must be from 0 to 1; got {momentum!r}.")
        self.renorm, self.renorm_clipping, self.renorm_momentum = renorm, renorm_clipping, renorm_momentum
        self.synchronized = synchronized

    def build(self, input_shape: Any) -> None:
        check_axes(self.axis, input_shape)
        channels = positive_int(f"the size of axis {self.axis}", input_shape[self.axis])
        self._add_parameters((channels,))
        self.moving_mean = self.weight("moving_mean", (channels,), trainable=False)
        self.moving_variance = self.weight("moving_variance", (channels,), trainable=False)
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: channels})

    def call(self, x: Tensor, training: bool = False, mask: Tensor | None = None) -> Tensor:
        x = ops.cast(x, self.compute_dtype)
        if mask is not None and len(mask.shape) != x.ndim - 1:
            raise ValueError(
                f"mask must have one axis less than the inputs of shape {x.shape}; got a mask of shape {mask.shape}."
            )
        last = self.axis in (-1, x.ndim - 1)
        z = x if last else ops.moveaxis(x, self.axis, -1)
        gamma, beta = self._parameters(z, z.shape[-1])
        if not (training and self.trainable):
            y = ops.batch_norm_inference(z, gamma, beta, self.moving_mean, self.moving_variance, self.epsilon)
        elif mask is None:
            y, mean, variance = ops.batch_norm(z, gamma, beta, self.epsilon)
            self._move(mean, variance)
        else:
            mean, variance = self._masked_statistics(x, mask)
            y = ops.batch_norm_inference(z, gamma, beta, mean, variance, self.epsilon)
            self._move(mean, variance)
        return y if last else ops.moveaxis(y, -1, self.axis)

    def _masked_statistics(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance [channels] over the elements of x where ``mask``, which lacks the last axis, is True."""
        kept = ops.broadcast_to(ops.expand_dims(ops.cast(mask, bool), -1), x.shape)
        kept, x = (ops.moveaxis(t, self.axis, -1) for t in (kept, x))
        axes = tuple(range(x.ndim - 1))
        count = ops.sum(ops.cast(kept, x.dtype), axes) + _NONE_LEFT
        mean = ops.sum(ops.where(kept, x, 0.0), axes) / count
        return mean, ops.sum(ops.square(ops.where(kept, x - mean, 0.0)), axes) / count

    def _move(self, mean: Tensor, variance: Tensor) -> None:
        with no_grad():
            for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))
