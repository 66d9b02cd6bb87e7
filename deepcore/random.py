"""Random numbers by the names and arguments of ``keras.random``.

Every function takes ``seed``: a whole number, with which every call gives the same; a ``SeedGenerator``, from which
every call draws on; None for the default stream, which ``set_seed`` starts anew. Numbers do not depend on the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deepcore import ops, serialization
from deepcore.config import floatx
from deepcore.device import current_device
from deepcore.errors import explain_missing
from deepcore.generator import Generator, as_generator, default_generator, set_seed
from deepcore.tensor import FLOATX, Tensor

__all__ = [
    "Generator",
    "SeedGenerator",
    "as_generator",
    "beta",
    "binomial",
    "categorical",
    "default_generator",
    "dropout",
    "gamma",
    "normal",
    "randint",
    "set_seed",
    "shuffle",
    "truncated_normal",
    "uniform",
]

Seed = int | Generator | None


class SeedGenerator(Generator):
    """A stream that random functions and layers draw on from, one call after the other.

    Args:
        seed: a whole number from 0 to 2**64 - 1; drawn from the system's entropy by default.
        name: for messages.

    Raises ``ValueError`` for another seed, and for other arguments.

    >>> seeds = SeedGenerator(7)
    >>> bool(ops.all(uniform((4,), seed=seeds) == uniform((4,), seed=seeds)))
    False
    """

    def __init__(self, seed: int | None = None, name: str | None = None, **kwargs: Any) -> None:
        if kwargs:
            raise ValueError(f"SeedGenerator takes seed and name; got {', '.join(kwargs)}, too.")
        super().__init__(seed)
        self.name = "seed_generator" if name is None else name
        self._given_seed = seed

    @property
    def state(self) -> np.ndarray[Any, Any]:
        """The seed and the position, [2] uint64."""
        return np.array([self.seed, self.offset], np.uint64)

    def next(self, ordered: bool = True) -> np.ndarray[Any, Any]:
        """The state before this call, which moves the position on; ``ordered`` makes no difference to a counter."""
        return np.array([self.seed, self.reserve(1)], np.uint64)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make a stream like this one, at its beginning."""
        return {"seed": self._given_seed, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SeedGenerator:
        """The stream of ``get_config``'s dictionary."""
        return cls(**config)


serialization.export("keras.random", SeedGenerator)


def _stream(seed: Seed) -> Generator:
    return default_generator() if seed is None else as_generator(seed)


def _floating(op: str, dtype: Any) -> np.dtype[Any]:
    kind = np.dtype(floatx() if dtype is None else dtype)
    if kind.kind != "f":
        raise ValueError(f"random.{op} needs a floating dtype; got {kind}.")
    return kind


def _drawn(op: str, draw: str, shape: Sequence[int], numbers: tuple[float, float], dtype: Any, seed: Seed) -> Tensor:
    """Numbers of a stream's own distributions, which are drawn as float32 for narrower dtypes."""
    kind = _floating(op, dtype)
    wide = kind if kind == np.float64 else FLOATX
    values: Tensor = getattr(_stream(seed), draw)(shape, *numbers, wide)
    return ops.cast(values, kind)


def uniform(
    shape: Sequence[int], minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Seed = None
) -> Tensor:
    """Numbers spread evenly over [minval, maxval). Raises ``ValueError`` for a dtype that is not floating."""
    return _drawn("uniform", "uniform", shape, (minval, maxval), dtype, seed)


def normal(
    shape: Sequence[int], mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Seed = None
) -> Tensor:
    """Normally distributed numbers. Raises ``ValueError`` for a dtype that is not floating."""
    return _drawn("normal", "normal", shape, (mean, stddev), dtype, seed)


def truncated_normal(
    shape: Sequence[int], mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Seed = None
) -> Tensor:
    """Normally distributed numbers, those beyond two standard deviations drawn again."""
    return _drawn("truncated_normal", "truncated_normal", shape, (mean, stddev), dtype, seed)


def randint(shape: Sequence[int], minval: int, maxval: int, dtype: Any = "int32", seed: Seed = None) -> Tensor:
    """Whole numbers from ``minval`` to ``maxval`` - 1, all equally likely.

    Raises ``ValueError`` for a dtype that holds no whole numbers, and for an empty range.
    """
    kind = np.dtype("int32" if dtype is None else dtype)
    if kind.kind not in "iu":
        raise ValueError(f"random.randint needs an integer dtype; got {kind}.")
    if not int(minval) < int(maxval):
        raise ValueError(f"random.randint needs minval < maxval; got minval={minval!r}, maxval={maxval!r}.")
    values = _stream(seed).on_host().integers(int(minval), int(maxval), _sizes(shape))
    return Tensor(values.astype(kind), device=current_device())


def categorical(logits: Any, num_samples: int, dtype: Any = "int32", seed: Seed = None) -> Tensor:
    """Classes drawn with the probabilities softmax(logits).

    Args:
        logits: [batch, classes]; minus infinity for a class that is never drawn.
        num_samples: how many are drawn for each row.

    Returns [batch, num_samples]. Raises ``ValueError`` for another rank. By the largest of the logits plus Gumbel
    noise: Gumbel 1954.
    """
    scores = ops.cast(logits, "float64")
    if scores.ndim != 2:
        raise ValueError(f"random.categorical expects logits [batch, classes]; got shape {scores.shape}.")
    shape = (scores.shape[0], int(num_samples), scores.shape[1])
    even = _stream(seed).uniform(shape, dtype="float64", device=scores.device)
    noise = -ops.log(-ops.log(ops.maximum(even, 2.0**-54)))
    return ops.cast(ops.argmax(ops.expand_dims(scores, 1) + noise, -1), dtype)


def dropout(inputs: Any, rate: float, noise_shape: Sequence[int | None] | None = None, seed: Seed = None) -> Tensor:
    """``inputs`` with elements set to zero with probability ``rate``, the others scaled by 1 / (1 - rate).

    ``noise_shape`` is the shape of the mask, which broadcasts; None in it is the input's size. A rate of 1 gives zeros.
    Raises ``ValueError`` for a rate that is not from 0 to 1. Srivastava et al. 2014.
    """
    x = ops.convert_to_tensor(inputs)
    if rate == 1:
        return x * 0
    stream = _stream(seed)
    if noise_shape is None:
        return ops.dropout(x, rate, stream)
    sizes = [full if size is None else int(size) for size, full in zip(noise_shape, x.shape, strict=True)]
    ones = Tensor.wrap(x.device.backend.xp.ones(sizes, x.dtype), x.device)
    return x * ops.dropout(ones, rate, stream)


def shuffle(x: Any, axis: int = 0, seed: Seed = None) -> Tensor:
    """``x`` in random order along ``axis``."""
    tensor = ops.convert_to_tensor(x)
    return ops.take(tensor, _stream(seed).permutation(tensor.shape[axis]), axis)


def gamma(shape: Sequence[int], alpha: Any, dtype: Any = None, seed: Seed = None) -> Tensor:
    """Numbers of the gamma distribution of shape ``alpha`` and scale 1. Raises ``ValueError`` unless it is positive.

    Drawn on the CPU, as everything below; ``alpha`` broadcasts to ``shape``.
    """
    kind = _floating("gamma", dtype)
    values = _stream(seed).on_host().standard_gamma(_positive("gamma", "alpha", alpha), _sizes(shape))
    return Tensor(np.asarray(values, kind), device=current_device())


def beta(shape: Sequence[int], alpha: Any, beta: Any, dtype: Any = None, seed: Seed = None) -> Tensor:
    """Numbers of the beta distribution. Raises ``ValueError`` unless ``alpha`` and ``beta`` are positive."""
    kind = _floating("beta", dtype)
    a, b = _positive("beta", "alpha", alpha), _positive("beta", "beta", beta)
    return Tensor(np.asarray(_stream(seed).on_host().beta(a, b, _sizes(shape)), kind), device=current_device())


def binomial(shape: Sequence[int], counts: Any, probabilities: Any, dtype: Any = None, seed: Seed = None) -> Tensor:
    """How many of ``counts`` trials succeed, each with one of ``probabilities``; floating, as in Keras.

    Raises ``ValueError`` for negative counts, and for probabilities outside 0 to 1.
    """
    kind = _floating("binomial", dtype)
    n, p = _host(counts), _host(probabilities)
    if not (n >= 0).all():
        raise ValueError(f"random.binomial: counts must not be negative; got {counts!r}.")
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"random.binomial: probabilities must be from 0 to 1; got {probabilities!r}.")
    values = _stream(seed).on_host().binomial(n.astype(np.int64), p, _sizes(shape))
    return Tensor(np.asarray(values, kind), device=current_device())


def _sizes(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(int(size) for size in shape)


def _host(value: Any) -> np.ndarray[Any, Any]:
    """The parameter of a distribution, on the CPU, where it is drawn."""
    return np.asarray(value.numpy() if isinstance(value, Tensor) else value, np.float64)


def _positive(op: str, name: str, value: Any) -> np.ndarray[Any, Any]:
    numbers = _host(value)
    if not (numbers > 0).all():
        raise ValueError(f"random.{op}: {name} must be positive; got {value!r}.")
    return numbers


explain_missing(__name__)
