"""Starting values of weights, by Keras's names.

Values are drawn on the CPU from ``deepcore.random``'s counter-based stream and moved to the device, so that the same
seed gives the same weights, bit for bit, everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from deepcore.device import CPU, current_device
from deepcore.random import Generator, as_generator
from deepcore.registry import Configurable, Registry
from deepcore.tensor import FLOATX, Tensor

registry = Registry("initializer", "deepcore.initializers", callables=True)
_register = registry.register

# Standard deviation of the standard normal distribution cut at two; Johnson et al. 1994, chapter 13.
_TRUNCATED_STDDEV = 0.87962566103423978


class Initializer(Configurable):
    """Makes the starting values of a weight: ``initializer(shape, dtype)``."""

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        """A tensor of ``shape`` on the current device; ``dtype`` is float32 by default."""
        sizes = tuple(int(size) for size in shape)
        values = self.draw(sizes, np.dtype(FLOATX if dtype is None else dtype))
        return Tensor(values, device=current_device())

    def draw(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
        """The values, as a NumPy array."""
        raise NotImplementedError(f"{type(self).__name__} must implement draw(shape, dtype).")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.get_config().items())})"


registry.base = Initializer


@_register("zero")
class Zeros(Initializer):
    """All 0."""

    def draw(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
        return np.zeros(shape, dtype)


@_register("one")
class Ones(Initializer):
    """All 1."""

    def draw(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
        return np.ones(shape, dtype)


@_register()
class Constant(Initializer):
    """All ``value``: a number, or an array that broadcasts to the shape."""

    def __init__(self, value: Any = 0.0) -> None:
        self.value = value

    def draw(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
        return np.broadcast_to(np.asarray(self.value, dtype), shape).copy()

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value.tolist() if hasattr(self.value, "tolist") else self.value}


class RandomInitializer(Initializer):
    """Values drawn from a stream.

    Args:
        seed: an int, with which every call gives the same values; a ``deepcore.random.Generator``, from which every
            call draws on; None for a seed drawn from the default stream when the initializer is made.
    """

    def __init__(self, seed: int | Generator | None = None) -> None:
        self._given_seed = seed
        self.seed: int | Generator = as_generator(None).seed if seed is None else seed

    def draw(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
        kind = dtype if dtype == np.float64 else FLOATX
        return self.sample(as_generator(self.seed), shape, kind).astype(dtype, copy=False)

    def sample(self, stream: Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
        """The values, drawn from ``stream``."""
        raise NotImplementedError(f"{type(self).__name__} must implement sample(stream, shape, dtype).")

    def get_config(self) -> dict[str, Any]:
        seed = self._given_seed
        return {"seed": seed.seed if isinstance(seed, Generator) else seed}


@_register("uniform")
class RandomUniform(RandomInitializer):
    """Spread evenly over [minval, maxval)."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | Generator | None = None) -> None:
        super().__init__(seed)
        self.minval, self.maxval = minval, maxval

    def sample(self, stream: Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
        return stream.uniform(shape, self.minval, self.maxval, dtype, CPU).numpy()

    def get_config(self) -> dict[str, Any]:
        return {"minval": self.minval, "maxval": self.maxval, **super().get_config()}


class _Normal(RandomInitializer):
    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | Generator | None = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = mean, stddev

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean, "stddev": self.stddev, **super().get_config()}


@_register("normal")
class RandomNormal(_Normal):
    """Normally distributed."""

    def sample(self, stream: Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
        return stream.normal(shape, self.mean, self.stddev, dtype, CPU).numpy()


@_register()
class TruncatedNormal(_Normal):
    """Normally distributed, values beyond two standard deviations drawn again."""

    def sample(self, stream: Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
        return truncated_normal(stream, shape, self.mean, self.stddev, dtype)


def truncated_normal(
    stream: Generator, shape: tuple[int, ...], mean: float, stddev: float, dtype: np.dtype[Any]
) -> np.ndarray[Any, Any]:
    """Normal values within two standard deviations of ``mean``, by rejection."""
    values = stream.normal((math.prod(shape),), dtype=dtype, device=CPU).numpy().copy()
    outside = np.flatnonzero(np.abs(values) > 2)
    while outside.size:
        again = stream.normal((outside.size,), dtype=dtype, device=CPU).numpy()
        values[outside] = again
        outside = outside[np.abs(again) > 2]
    return (values * dtype.type(stddev) + dtype.type(mean)).reshape(shape)


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """How many inputs one output of a weight of ``shape`` has, and how many outputs one input.

    >>> fans((3, 3, 16, 32))
    (144, 288)
    """
    if len(shape) < 2:
        return (int(shape[0]),) * 2 if shape else (1, 1)
    field = math.prod(shape[:-2])
    return int(shape[-2] * field), int(shape[-1] * field)


@_register()
class VarianceScaling(RandomInitializer):
    """Zero mean and variance ``scale`` / n, with n the fan-in, the fan-out, or their mean.

    Args:
        scale: positive.
        mode: ``"fan_in"``, ``"fan_out"`` or ``"fan_avg"``.
        distribution: ``"truncated_normal"``, ``"untruncated_normal"`` or ``"uniform"``.
        seed: see ``RandomInitializer``.

    Raises ``ValueError`` for other values. He et al. 2015; Glorot and Bengio 2010.
    """

    modes = ("fan_in", "fan_out", "fan_avg")
    distributions = ("normal", "truncated_normal", "uniform", "untruncated_normal")

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | Generator | None = None,
    ) -> None:
        super().__init__(seed)
        if scale <= 0:
            raise ValueError(f"VarianceScaling: scale must be positive; got {scale!r}.")
        if mode not in self.modes:
            raise ValueError(f"VarianceScaling: mode must be one of {', '.join(self.modes)}; got {mode!r}.")
        if distribution not in self.distributions:
            raise ValueError(
                f"VarianceScaling: distribution must be one of {', '.join(self.distributions)}; got {distribution!r}."
            )
        self.scale, self.mode = scale, mode
        self.distribution = "truncated_normal" if distribution == "normal" else distribution

    def sample(self, stream: Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
        fan_in, fan_out = fans(shape)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, n)
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return stream.uniform(shape, -limit, limit, dtype, CPU).numpy()
        if self.distribution == "untruncated_normal":
            return stream.normal(shape, 0.0, math.sqrt(variance), dtype, CPU).numpy()
        return truncated_normal(stream, shape, 0.0, math.sqrt(variance) / _TRUNCATED_STDDEV, dtype)

    def get_config(self) -> dict[str, Any]:
        return {"scale": self.scale, "mode": self.mode, "distribution": self.distribution, **super().get_config()}


class _Scaled(VarianceScaling):
    """A variance scaling of fixed numbers."""

    numbers: tuple[float, str, str]

    def __init__(self, seed: int | Generator | None = None) -> None:
        super().__init__(*self.numbers, seed=seed)

    def get_config(self) -> dict[str, Any]:
        return RandomInitializer.get_config(self)


@_register()
class GlorotUniform(_Scaled):
    """Uniform, variance 2 / (fan_in + fan_out). Glorot and Bengio 2010."""

    numbers = (1.0, "fan_avg", "uniform")


@_register()
class GlorotNormal(_Scaled):
    """Truncated normal, variance 2 / (fan_in + fan_out). Glorot and Bengio 2010."""

    numbers = (1.0, "fan_avg", "truncated_normal")


@_register()
class HeUniform(_Scaled):
    """Uniform, variance 2 / fan_in. He et al. 2015."""

    numbers = (2.0, "fan_in", "uniform")


@_register()
class HeNormal(_Scaled):
    """Truncated normal, variance 2 / fan_in. He et al. 2015."""

    numbers = (2.0, "fan_in", "truncated_normal")


@_register()
class LecunUniform(_Scaled):
    """Uniform, variance 1 / fan_in. LeCun et al. 1998, Efficient BackProp."""

    numbers = (1.0, "fan_in", "uniform")


@_register()
class LecunNormal(_Scaled):
    """Truncated normal, variance 1 / fan_in. LeCun et al. 1998, Efficient BackProp."""

    numbers = (1.0, "fan_in", "truncated_normal")


@_register()
class Orthogonal(RandomInitializer):
    """A matrix whose rows or columns, whichever are fewer, are orthonormal, times ``gain``.

    All axes but the last count as rows. Raises ``ValueError`` for shapes of rank below 2. Saxe et al. 2014.
    """

    def __init__(self, gain: float = 1.0, seed: int | Generator | None = None) -> None:
        super().__init__(seed)
        self.gain = gain

    def sample(self, stream: Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
        if len(shape) < 2:
            raise ValueError(f"Orthogonal: the weight must have at least 2 axes; got shape {shape}.")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        tall = stream.normal((max(rows, columns), min(rows, columns)), dtype=dtype, device=CPU).numpy()
        q, r = np.linalg.qr(tall)
        q = q * np.sign(np.diag(r))  # without which the distribution would not be uniform
        return np.ascontiguousarray(q.T if rows < columns else q).reshape(shape) * dtype.type(self.gain)

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain, **super().get_config()}


def get(identifier: Any) -> Any:
    """The initializer of a name, a configuration or a class; a callable ``f(shape, dtype)`` is one itself.

    >>> get("he_normal")
    HeNormal(seed=None)
    """
    return registry.get(identifier)


def serialize(initializer: Any) -> Any:
    """The configuration of an initializer."""
    return registry.serialize(initializer)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The initializer of a configuration."""
    return registry.deserialize(config, custom_objects)
