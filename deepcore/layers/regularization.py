"""Noise in training: elements dropped, or spread."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from deepcore import ops
from deepcore.layers.arguments import number
from deepcore.layers.image import data_format_of
from deepcore.layers.input_spec import InputSpec
from deepcore.layers.layer import Elementwise
from deepcore.random import as_generator
from deepcore.tensor import Tensor

# The selu's scale and alpha; Klambauer et al. 2017.
_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


class _Noise(Elementwise):
    """A layer that changes its input in training only, by numbers of its own stream."""

    _strength = "rate"
    rate: float
    stddev: float

    def __init__(self, strength: Any, seed: int | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 <= number(self._strength, strength, "from 0 to 1") <= 1:
            raise ValueError(f"{self._strength} must be a number from 0 to 1; got {self._strength}={strength!r}.")
        setattr(self, self._strength, strength)
        self.seed = seed
        self.seed_generator = as_generator(seed)

    def noisy(self, x: Tensor) -> Tensor:
        """x with noise."""
        raise NotImplementedError(f"{type(self).__name__} must implement noisy(x).")

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        return self.noisy(x) if training and getattr(self, self._strength) > 0 else x

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), self._strength: getattr(self, self._strength), "seed": self.seed}


class Dropout(_Noise):
    """In training sets elements to zero with probability ``rate`` and scales the others by 1 / (1 - rate).

    Args:
        rate: from 0 to 1.
        noise_shape: shape of the mask, which broadcasts to the input; None, or None in an axis, is the input's.
        seed: of the layer's own stream; drawn from the default stream by default.

    Raises ``ValueError`` for another rate, and for a ``noise_shape`` that is not one. Srivastava et al. 2014.
    """

    _config: tuple[str, ...] = ("noise_shape",)

    def __init__(
        self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(rate, seed, **kwargs)
        self.noise_shape = _noise_shape(noise_shape)

    def mask_shape(self, x: Tensor) -> tuple[int, ...]:
        """The shape of the mask for x, which broadcasts to x's. Raises ``ValueError`` where it would not."""
        return _mask_shape(self.noise_shape, x)

    def noisy(self, x: Tensor) -> Tensor:
        if self.rate == 1:
            return x * 0.0
        sizes = self.mask_shape(x)
        if sizes == x.shape:
            return ops.dropout(x, self.rate, self.seed_generator)
        ones = Tensor.wrap(x.device.backend.xp.ones(sizes, x.dtype), x.device)
        return x * ops.dropout(ones, self.rate, self.seed_generator)


def _noise_shape(given: Any) -> tuple[int | None, ...] | None:
    """``given`` as a tuple. Raises ``ValueError`` unless it is None, or one of positive integers and None."""
    if given is None:
        return None
    sizes = () if isinstance(given, str) or not hasattr(given, "__iter__") else tuple(given)
    wrong = [n for n in sizes if n is not None and (isinstance(n, bool) or not isinstance(n, int) or n <= 0)]
    if wrong or (not sizes and given != ()):
        raise ValueError(f"noise_shape must be a tuple of positive integers or None; got noise_shape={given!r}.")
    return sizes


def _mask_shape(noise_shape: Sequence[int | None] | None, x: Tensor) -> tuple[int, ...]:
    if noise_shape is None:
        return x.shape
    if len(noise_shape) != x.ndim or any(
        n not in (None, 1, full) for n, full in zip(noise_shape, x.shape, strict=True)
    ):
        raise ValueError(f"noise_shape={tuple(noise_shape)} does not broadcast to inputs of shape {x.shape}.")
    return tuple(full if n is None else n for n, full in zip(noise_shape, x.shape, strict=True))


class _SpatialDropout(Dropout):
    """Drops whole feature maps: one decision for each example and channel."""

    def __init__(self, rate: float, rank: int, data_format: str, seed: int | None, name: Any, dtype: Any) -> None:
        super().__init__(rate, seed=seed, name=name, dtype=dtype)
        self.input_spec = InputSpec(ndim=rank + 2)
        self._channels = 1 if data_format == "channels_first" else rank + 1

    def mask_shape(self, x: Tensor) -> tuple[int, ...]:
        return tuple(size if axis in (0, self._channels) else 1 for axis, size in enumerate(x.shape))

    def get_config(self) -> dict[str, Any]:
        return {"rate": self.rate, "seed": self.seed, "name": self.name, "dtype": self.dtype.name}


class SpatialDropout1D(_SpatialDropout):
    """Dropout of whole channels of [batch, steps, channels]; see ``Dropout``. Tompson et al. 2015."""

    def __init__(self, rate: float, seed: int | None = None, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(rate, 1, "channels_last", seed, name, dtype)


class SpatialDropout2D(_SpatialDropout):
    """Dropout of whole channels of images; see ``Dropout``. Tompson et al. 2015.

    Args:
        rate: from 0 to 1.
        data_format: ``"channels_last"`` (the default) for [batch, height, width, channels], or ``"channels_first"``.
        seed: of the layer's own stream.
    """

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        self.data_format = data_format_of(data_format)
        super().__init__(rate, 2, self.data_format, seed, name, dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}


class GaussianNoise(_Noise):
    """In training adds normally distributed noise.

    Args:
        stddev: its standard deviation, from 0 to 1.
        seed: of the layer's own stream; drawn from the default stream by default.

    Raises ``ValueError`` for another standard deviation.
    """

    _strength = "stddev"

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(stddev, seed, **kwargs)

    def noisy(self, x: Tensor) -> Tensor:
        return x + self.seed_generator.normal(x.shape, 0.0, self.stddev, x.dtype, x.device)


class GaussianDropout(_Noise):
    """In training multiplies by normally distributed noise of mean 1 and variance rate / (1 - rate).

    Args:
        rate: as for ``Dropout``, whose mask has that mean and variance; 1 is refused in the call.
        seed: of the layer's own stream; drawn from the default stream by default.

    Raises ``ValueError`` for another rate. Srivastava et al. 2014, section 10.
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(rate, seed, **kwargs)

    def noisy(self, x: Tensor) -> Tensor:
        spread = math.sqrt(self.rate / _left(self.rate))
        return x * self.seed_generator.normal(x.shape, 1.0, spread, x.dtype, x.device)


class AlphaDropout(_Noise):
    """In training sets elements to the selu's lower limit with probability ``rate``, and keeps mean and variance.

    Args:
        rate, noise_shape, seed: as for ``Dropout``; a rate of 1 is refused in the call.

    Raises ``ValueError`` for another rate. Klambauer et al. 2017.
    """

    _config: tuple[str, ...] = ("noise_shape",)

    def __init__(
        self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(rate, seed, **kwargs)
        self.noise_shape = _noise_shape(noise_shape)

    def noisy(self, x: Tensor) -> Tensor:
        low = -_SELU_SCALE * _SELU_ALPHA
        factor = 1 / math.sqrt(_left(self.rate) * (1 + self.rate * low**2))
        chances = self.seed_generator.uniform(_mask_shape(self.noise_shape, x), dtype=x.dtype, device=x.device)
        return ops.where(chances >= self.rate, x, low) * factor - factor * low * self.rate


def _left(rate: float) -> float:
    """1 - rate. Raises ``ValueError`` where nothing is left."""
    if rate == 1:
        raise ValueError("rate=1 leaves nothing, and noise of no finite variance; use a rate below 1.")
    return 1 - rate
