"""Starting values of weights, by Keras's names.

Values are drawn on the CPU from ``deepcore.random``'s counter-based stream and moved to the device, so that the same
seed gives the same weights, bit for bit, everywhere.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

from deepcore.config import floatx
from deepcore.device import CPU, current_device
from deepcore.errors import explain_missing
from deepcore.generator import Generator, as_generator
from deepcore.registry import Configurable, Registry
from deepcore.tensor import FLOATX, Tensor

registry = Registry("initializer", "deepcore.initializers", callables=True)
_register = registry.register

# Standard deviation of the standard normal distribution cut at two; Johnson et al. 1994, chapter 13.
_TRUNCATED_STDDEV = 0.87962566103423978


def _number(owner: Any, name: str, value: Any) -> Any:
    """``value``. Raises ``TypeError`` unless it is a number."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{type(owner).__name__}: {name} must be a number; got {name}={value!r}.")
    return value


class Initializer(Configurable):
    """Makes the starting values of a weight: ``initializer(shape, dtype)``."""

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        """A tensor of ``shape`` on the current device; ``dtype`` is float32 by default."""
        sizes = tuple(int(size) for size in shape)
        values = self.draw(sizes, np.dtype(floatx() if dtype is None else dtype))
        return Tensor(values, device=current_device())

    def draw(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
        """The values, as a NumPy array."""
        raise NotImplementedError(f"{type(self).__name__} must implement draw(shape, dtype).")

    def clone(self) -> Any:
        """Another initializer of the same configuration."""
        return type(self).from_config(self.get_config())

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
    """All ``value``: a number, or an array that broadcasts to the shape. Raises ``ValueError`` for anything else."""

    def __init__(self, value: Any = 0.0) -> None:
        if not hasattr(value, "shape") and np.asarray(value).dtype.kind not in "biuf":
            raise ValueError(f"Constant: value must be a number, or an array of numbers; got value={value!r}.")
        self.value = value

    def draw(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
        return np.broadcast_to(np.asarray(self.value, dtype), shape).copy()

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value.tolist() if hasattr(self.value, "tolist") else self.value}


@_register("IdentityInitializer")
class Identity(Initializer):
    """``gain`` on the diagonal of a matrix, 0 elsewhere. Raises ``ValueError`` for a shape of another rank."""

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = _number(self, "gain", gain)

    def draw(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
        if len(shape) != 2:
            raise ValueError(f"Identity makes matrices only; got the shape {shape} of rank {len(shape)}.")
        return (self.gain * np.eye(*shape)).astype(dtype)

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain}


class RandomInitializer(Initializer):
    """Values drawn from a stream.

    Args:
        seed: an int, with which every call gives the same values; a ``deepcore.random.SeedGenerator``, from which every
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
        self.minval, self.maxval = _number(self, "minval", minval), _number(self, "maxval", maxval)

    def sample(self, stream: Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
        return stream.uniform(shape, self.minval, self.maxval, dtype, CPU).numpy()

    def get_config(self) -> dict[str, Any]:
        return {"minval": self.minval, "maxval": self.maxval, **super().get_config()}


class _Normal(RandomInitializer):
    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | Generator | None = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = _number(self, "mean", mean), _number(self, "stddev", stddev)
        if not stddev >= 0:
            raise ValueError(f"{type(self).__name__}: stddev must not be negative; got stddev={stddev!r}.")

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
        return stream.truncated_normal(shape, self.mean, self.stddev, dtype, CPU).numpy()


def fans(
    shape: Sequence[int], input_axes: Sequence[int] | None = None, output_axes: Sequence[int] | None = None
) -> tuple[int, int]:
    """How many inputs one output of a weight of ``shape`` has, and how many outputs one input.

    The last two axes are channels in and out, the others the window that slides, unless the axes are named.

    >>> fans((3, 3, 16, 32))
    (144, 288)
    """
    if input_axes is not None and output_axes is not None:
        return math.prod(int(shape[a]) for a in input_axes), math.prod(int(shape[a]) for a in output_axes)
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
        input_axes, output_axes: the axes that are counted for the fans; see ``fans``.

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
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(seed)
        mode, distribution = str(mode).lower(), str(distribution).lower()
        if _number(self, "scale", scale) <= 0:
            raise ValueError(f"VarianceScaling: scale must be positive; got {scale!r}.")
        if mode not in self.modes:
            raise ValueError(f"Invalid `mode` argument: {mode!r}. It must be one of {', '.join(self.modes)}.")
        if distribution not in self.distributions:
            raise ValueError(
                f"Invalid `distribution` argument: {distribution!r}. It must be one of {', '.join(self.distributions)}."
            )
        self.scale, self.mode = scale, mode
        self.distribution = "truncated_normal" if distribution == "normal" else distribution
        self.input_axes, self.output_axes = input_axes, output_axes

    def sample(self, stream: Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
        fan_in, fan_out = fans(shape, self.input_axes, self.output_axes)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, n)
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return stream.uniform(shape, -limit, limit, dtype, CPU).numpy()
        if self.distribution == "untruncated_normal":
            return stream.normal(shape, 0.0, math.sqrt(variance), dtype, CPU).numpy()
        return stream.truncated_normal(shape, 0.0, math.sqrt(variance) / _TRUNCATED_STDDEV, dtype, CPU).numpy()

    def get_config(self) -> dict[str, Any]:
        return {
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            **super().get_config(),
            "input_axes": self.input_axes,
            "output_axes": self.output_axes,
        }


class _Scaled(VarianceScaling):
    """A variance scaling of fixed numbers."""

    numbers: tuple[float, str, str]

    def __init__(
        self,
        seed: int | Generator | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(*self.numbers, seed=seed, input_axes=input_axes, output_axes=output_axes)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {name: config[name] for name in ("seed", "input_axes", "output_axes")}


@_register("xavier_uniform", "XavierUniform")
class GlorotUniform(_Scaled):
    """Uniform, variance 2 / (fan_in + fan_out). Glorot and Bengio 2010."""

    numbers = (1.0, "fan_avg", "uniform")


@_register("xavier_normal", "XavierNormal")
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


@_register("OrthogonalInitializer")
class Orthogonal(RandomInitializer):
    """A matrix whose columns, or rows where there are fewer of them, are orthogonal and of length ``gain``.

    A weight of higher rank is that matrix with all axes but the last as rows. Raises ``ValueError`` for a lower rank.
    The decomposition QR of normal numbers, with the signs that make it unique. Saxe et al. 2014.
    """

    def __init__(self, gain: float = 1.0, seed: int | Generator | None = None) -> None:
        super().__init__(seed)
        self.gain = _number(self, "gain", gain)

    def sample(self, stream: Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
        if len(shape) < 2:
            raise ValueError(f"Orthogonal makes weights of rank 2 or more; got the shape {shape} of rank {len(shape)}.")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        tall = stream.normal((max(rows, columns), min(rows, columns)), dtype=dtype, device=CPU).numpy()
        q, r = np.linalg.qr(tall.astype(np.float64))
        q = q * np.where(np.diagonal(r) < 0, -1, 1)
        return (self.gain * (q if rows >= columns else q.T)).reshape(shape).astype(dtype)

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain, **super().get_config()}


# Keras has each under its name in snake case, too; Xavier is Glorot's other name.
constant, identity, ones, zeros = Constant, Identity, Ones, Zeros
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal
glorot_normal, glorot_uniform, he_normal, he_uniform = GlorotNormal, GlorotUniform, HeNormal, HeUniform
lecun_normal, lecun_uniform, orthogonal, variance_scaling = LecunNormal, LecunUniform, Orthogonal, VarianceScaling
xavier_normal, xavier_uniform = GlorotNormal, GlorotUniform
IdentityInitializer, OrthogonalInitializer = Identity, Orthogonal


def get(identifier: Any) -> Any:
    """The initializer of a name, a configuration or a class; a callable ``f(shape, dtype)`` is one itself.

    An array or a tensor becomes the initializer of weights of its shape that start with its values.

    >>> get("he_normal")
    HeNormal(seed=None, input_axes=None, output_axes=None)
    """
    if isinstance(identifier, Tensor | np.ndarray | np.generic):
        return functools.partial(_given, identifier)
    return registry.get(identifier)


def _given(value: Any, shape: Sequence[int], dtype: Any = None) -> Tensor:
    if tuple(shape) != tuple(value.shape):
        raise ValueError(f"Expected `shape` to be {tuple(value.shape)}, as the given values have; got {tuple(shape)}.")
    return Tensor(value, np.dtype(floatx() if dtype is None else dtype), current_device())


def serialize(initializer: Any) -> Any:
    """The configuration of an initializer."""
    return registry.serialize(initializer)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The initializer of a configuration."""
    return registry.deserialize(config, custom_objects)


explain_missing(__name__)
