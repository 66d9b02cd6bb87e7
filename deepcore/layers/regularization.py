"""Dropout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepcore import ops
from deepcore.layers.layer import Layer
from deepcore.random import as_generator
from deepcore.tensor import Tensor


class Dropout(Layer):
    """In training sets elements to zero with probability ``rate`` and scales the others by 1 / (1 - rate).

    Args:
        rate: from 0 to 1.
        noise_shape: shape of the mask, which broadcasts to the input; None, or None in an axis, is the input's.
        seed: of the layer's own stream; drawn from the default stream by default.

    Raises ``ValueError`` for another rate. Srivastava et al. 2014.
    """

    def __init__(
        self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1:
            raise ValueError(f"rate must be a number from 0 to 1; got rate={rate!r}.")
        self.rate = rate
        self.seed = seed
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)
        self.seed_generator = as_generator(seed)
        self.supports_masking = True

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        if not training or self.rate == 0:
            return x
        if self.rate == 1:
            return x * 0.0
        if self.noise_shape is None:
            return ops.dropout(x, self.rate, self.seed_generator)
        sizes = [full if size is None else size for size, full in zip(self.noise_shape, x.shape, strict=True)]
        ones = Tensor.wrap(x.device.backend.xp.ones(sizes, x.dtype), x.device)
        return x * ops.dropout(ones, self.rate, self.seed_generator)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "noise_shape": self.noise_shape, "seed": self.seed}
