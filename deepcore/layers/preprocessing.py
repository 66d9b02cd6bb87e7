"""Numbers made ready for a model: rescaled, normalised, encoded."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from deepcore import ops, serialization
from deepcore.device import Device
from deepcore.layers.arguments import numeric, positive_int
from deepcore.layers.input_spec import InputSpec
from deepcore.layers.layer import Elementwise, Layer
from deepcore.layers.normalization import axis_argument
from deepcore.tensor import Tensor

# How many examples of an array are looked at together.
_ROWS = 4096
# The least that a standard deviation counts; Keras's epsilon.
_LEAST = 1e-7


class Rescaling(Elementwise):
    """x * scale + offset.

    Args:
        scale, offset: numbers, or arrays that broadcast to the input.
    """

    _config: tuple[str, ...] = ("scale", "offset")
    input_spec = InputSpec()

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale, self.offset = numeric("scale", scale), numeric("offset", offset)

    def call(self, x: Tensor) -> Tensor:
        x = ops.cast(x, self.compute_dtype)
        return x * _constant(self.scale, x) + _constant(self.offset, x)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        own = ("scale", "offset")
        return cls(**{name: serialization.deserialize(v) if name in own else v for name, v in config.items()})


def _constant(value: Any, like: Tensor) -> Any:
    """A number as it is; an array as a tensor of the dtype, and where ``like`` is."""
    return value if isinstance(value, int | float) else ops.convert_to_tensor(value, like.dtype, like=like)


class Normalization(Elementwise):
    """(x - mean) / standard deviation, of statistics that are given, or found in data by ``adapt``.

    Args:
        axis: the axes that have statistics of their own: the features by default; None for one mean and variance.
        mean, variance: the statistics, if they are known; both, of one shape.
        invert: the inverse: x * standard deviation + mean.

    Weights mean, variance and count where they are not given. Raises ``ValueError`` for one of mean and variance
    alone, for shapes that differ, and for axes that the input does not have.
    """

    _config: tuple[str, ...] = ("axis", "invert")
    input_spec = InputSpec()

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        axes = () if axis is None else axis_argument(axis)
        self.axis = (axes,) if isinstance(axes, int) else tuple(axes)
        self.input_mean, self.input_variance = mean, variance
        self.invert = invert
        self._constants: dict[tuple[str, Device], Tensor] = {}
        if (mean is None) != (variance is None):
            raise ValueError(f"mean and variance must be given together; got mean={mean} and variance={variance}.")
        if mean is not None and (
            np.shape(numeric("mean", mean)) != np.shape(numeric("variance", variance)) or np.ndim(mean) > len(self.axis)
        ):
            raise ValueError(
                f"mean and variance must have one shape, of rank {len(self.axis)} or less for axis={self.axis}; got "
                f"shapes {np.shape(mean)} and {np.shape(variance)}."
            )

    def build(self, input_shape: Any) -> None:
        rank = len(input_shape)
        if any(not -rank <= axis < rank for axis in self.axis):
            raise ValueError(f"axis={self.axis} must be axes of inputs of shape {tuple(input_shape)}.")
        kept = sorted({axis % rank for axis in self.axis})
        if any(input_shape[axis] is None for axis in kept):
            raise ValueError(f"the sizes of axis={self.axis} must be known; got inputs of shape {tuple(input_shape)}.")
        self._reduced = tuple(axis for axis in range(rank) if axis not in kept)
        self._along = tuple(input_shape[axis] if axis in kept else 1 for axis in range(rank))
        self._shape = tuple(input_shape[axis] for axis in kept)
        given = np.shape(self.input_mean) if self.input_mean is not None else ()
        if any(m not in (1, n) for m, n in zip(given[::-1], self._shape[::-1], strict=False)):
            raise ValueError(f"mean and variance of shape {given} do not fit axis={self.axis} of sizes {self._shape}.")
        self.input_spec = InputSpec(axes={axis - rank: input_shape[axis] for axis in kept})
        if self.input_mean is None:
            self.adapt_mean = self.add_weight(self._shape, "zeros", trainable=False, name="mean")
            self.adapt_variance = self.add_weight(self._shape, "ones", trainable=False, name="variance")
            self.count = self.add_weight((), "zeros", dtype="int32", trainable=False, name="count")

    @property
    def mean(self) -> Tensor | None:
        """What is subtracted, in a shape that broadcasts to the input; None until the layer is built."""
        return self._statistic("mean", self.device) if self.built else None

    @property
    def variance(self) -> Tensor | None:
        """The square of what is divided by, likewise."""
        return self._statistic("variance", self.device) if self.built else None

    def _statistic(self, name: str, device: Device) -> Tensor:
        given = getattr(self, f"input_{name}")
        if given is None:
            return ops.reshape(getattr(self, f"adapt_{name}"), self._along)
        if (name, device) not in self._constants:  # copied to each device once
            value = np.broadcast_to(np.asarray(given, self.compute_dtype), self._shape)
            self._constants[name, device] = Tensor(value.reshape(self._along), device=device)
        return self._constants[name, device]

    def adapt(self, data: Any) -> None:
        """Finds mean and variance of ``data``: an array, a tensor, or an iterable of batches.

        A batch that is a tuple counts by its first element. Raises ``ValueError`` for data of another shape than the
        layer was built for and for no data, ``TypeError`` for what is none of these, and ``ValueError`` where the
        statistics were given to the layer.
        """
        batches = _batches(data)
        first = next(batches, None)
        if first is None:
            raise ValueError("adapt() was given no data; give it an array, or an iterable of at least one batch.")
        if not self.built:
            self.build((None, *first.shape[1:]) if 0 not in self._kept(first.ndim) else first.shape)
        if self.input_mean is not None:
            raise ValueError("adapt() has nothing to find: the layer was given mean and variance.")
        whole = getattr(data, "shape", None)
        batches = (
            iter([_wide(data)]) if whole is not None and 0 not in self._reduced else itertools.chain([first], batches)
        )
        mean = variance = Tensor(0.0, "float64")
        total = 0
        for batch in batches:
            if batch.ndim != len(self._along) or any(batch.shape[a] != self._along[a] for a in self._kept(batch.ndim)):
                raise ValueError(
                    f"adapt() was given data of shape {batch.shape}; along axis={self.axis} the layer has the sizes "
                    f"{self._shape}."
                )
            count = batch.size // max(1, int(np.prod(self._shape)))
            its_mean, its_variance = (statistic(batch, self._reduced) for statistic in (ops.mean, ops.var))
            # Chan, Golub and LeVeque 1983: statistics of two parts as those of the whole.
            total += count
            share = count / total
            gap = its_mean - mean
            variance = variance * (1 - share) + its_variance * share + ops.square(gap) * (share * (1 - share))
            mean = mean + gap * share
        self.adapt_mean.assign(mean)
        self.adapt_variance.assign(variance)

    def _kept(self, rank: int) -> list[int]:
        return [axis % rank for axis in self.axis if -rank <= axis < rank]

    def call(self, x: Tensor) -> Tensor:
        x = ops.cast(x, self.compute_dtype)
        mean = self._statistic("mean", x.device)
        spread = ops.maximum(ops.sqrt(self._statistic("variance", x.device)), _LEAST)
        return x * spread + mean if self.invert else (x - mean) / spread

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "mean": np.array(self.input_mean).tolist(),
            "variance": np.array(self.input_variance).tolist(),
        }


def _wide(data: Any) -> Tensor:
    """A batch in float64, in which sums over a data set are exact enough."""
    batch = data[0] if isinstance(data, tuple) else data
    if not hasattr(batch, "shape"):
        raise TypeError(
            f"adapt() expects arrays or tensors, with a shape; got {type(batch).__name__}. Give it np.array(...)."
        )
    return ops.cast(ops.convert_to_tensor(batch), "float64")


def _batches(data: Any) -> Iterator[Tensor]:
    if hasattr(data, "shape"):
        return (_wide(data[start : start + _ROWS]) for start in range(0, len(data), _ROWS))
    if not isinstance(data, Iterable) or isinstance(data, str | dict):
        raise TypeError(f"adapt() expects an array, a tensor, or an iterable of batches; got {type(data).__name__}.")
    return map(_wide, data)


class CategoryEncoding(Layer):
    """Numbers from 0 to ``num_tokens`` - 1 as vectors.

    Args:
        num_tokens: how many numbers there are.
        output_mode: ``"one_hot"``: [..., n] or [..., 1] -> a vector for each number; ``"multi_hot"``: [batch, n] -> 1
            at each number that is present; ``"count"``: how often each is, or the sum of its ``count_weights``.

    Raises ``ValueError`` for other modes, without ``num_tokens``, and for weights in another mode than ``"count"``.
    """

    input_spec = InputSpec()

    def __init__(
        self, num_tokens: int | None = None, output_mode: str = "multi_hot", sparse: bool = False, **kwargs: Any
    ) -> None:
        if sparse:
            raise ValueError("sparse=True is not there: tensors are dense; leave it out.")
        super().__init__(**kwargs)
        output_mode = "multi_hot" if output_mode == "binary" else output_mode
        if output_mode not in ("count", "one_hot", "multi_hot"):
            raise ValueError(f"output_mode must be 'count', 'one_hot' or 'multi_hot'; got {output_mode!r}.")
        self.num_tokens = positive_int("num_tokens", num_tokens, ValueError if num_tokens is None else TypeError)
        self.output_mode = output_mode
        self.autocast = False

    def call(self, inputs: Tensor, count_weights: Any = None) -> Tensor:
        if count_weights is not None and self.output_mode != "count":
            raise ValueError(f"count_weights are for output_mode='count'; this layer has {self.output_mode!r}.")
        x = ops.cast(inputs, "int32")
        x = x if x.ndim else ops.expand_dims(x, 0)
        if self.output_mode == "one_hot":
            x = ops.squeeze(x, -1) if x.ndim > 1 and x.shape[-1] == 1 else x
            return ops.one_hot(x, self.num_tokens, dtype=self.compute_dtype)
        hot = ops.one_hot(x, self.num_tokens, dtype=self.compute_dtype)
        across = 1 if x.ndim > 1 else 0
        if self.output_mode == "multi_hot":
            return ops.max(hot, across)
        if count_weights is not None:
            hot = hot * ops.expand_dims(ops.convert_to_tensor(count_weights, self.compute_dtype, like=x), -1)
        return ops.sum(hot, across)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self.output_mode == "one_hot" and len(input_shape) == 1:
            return (*input_shape, self.num_tokens)
        if self.output_mode == "one_hot" and input_shape and input_shape[-1] != 1:
            return (*input_shape, self.num_tokens)
        return (*input_shape[:-1], self.num_tokens)
