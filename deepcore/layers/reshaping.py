"""The same elements in another shape, in another order, or more than once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from deepcore import ops
from deepcore.layers.arguments import integer, positive_int
from deepcore.layers.image import data_format_of
from deepcore.layers.input_spec import InputSpec
from deepcore.layers.layer import Elementwise, Layer
from deepcore.structure import map_leaves
from deepcore.symbolic import SymbolicTensor
from deepcore.tensor import Tensor


def _dtype_after(layer: Layer, x: SymbolicTensor) -> Any:
    """Of what only moves elements: a call casts none but floating inputs."""
    return layer.compute_dtype if x.dtype.kind == "f" else x.dtype


class Identity(Elementwise):
    """What it is given, of any shape or structure, with its masks."""

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_output_spec(self, inputs: Any) -> Any:
        return map_leaves(lambda x: SymbolicTensor(x.shape, _dtype_after(self, x)), inputs)


class _Arranged(Layer):
    """The elements of a tensor, whatever their dtype."""

    def compute_output_spec(self, inputs: Any) -> Any:
        return SymbolicTensor(self.compute_output_shape(tuple(inputs.shape)), _dtype_after(self, inputs))


class Flatten(_Arranged):
    """All axes but the batch in one: [batch, ...] -> [batch, features]; [batch] -> [batch, 1].

    Args:
        data_format: with ``"channels_first"`` the channels are moved to the end first, so that weights that come after
            do not depend on it.
    """

    _config: tuple[str, ...] = ("data_format",)

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format_of(data_format)
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, x: Tensor) -> Tensor:
        if self.data_format == "channels_first" and x.ndim > 2:
            x = ops.moveaxis(x, 1, -1)
        return ops.reshape(x, (x.shape[0], math.prod(x.shape[1:])))

    def compute_output_shape(self, input_shape: Any) -> Any:
        sizes = input_shape[1:]
        return input_shape[0], None if None in sizes else math.prod(sizes)


class Reshape(_Arranged):
    """Another shape of the same size: [batch, ...] -> [batch, *target_shape].

    Args:
        target_shape: sizes without the batch axis; one may be -1, or None, for what is left.

    Raises ``TypeError`` for a single int, ``ValueError`` for other negative sizes, for more than one -1, and if the
    sizes do not hold the same number of elements.
    """

    _config: tuple[str, ...] = ("target_shape",)
    _stateless = True

    def __init__(self, target_shape: Sequence[int | None], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not hasattr(target_shape, "__iter__"):
            raise TypeError(f"target_shape must be a list or tuple of sizes, as (3, -1); got {target_shape!r}.")
        if any(size is not None and not hasattr(size, "__index__") for size in target_shape):
            raise ValueError(f"target_shape takes whole numbers, and None; got {target_shape!r}.")
        self.target_shape = tuple(None if size is None else int(size) for size in target_shape)
        self.input_spec = InputSpec(min_ndim=1)
        wanted = self._wanted()
        if any(size < -1 for size in wanted):
            raise ValueError(f"target_shape takes sizes that are not negative, or -1; got {self.target_shape}.")
        if wanted.count(-1) > 1:
            raise ValueError(f"target_shape may have one -1; got {self.target_shape}.")

    def _wanted(self) -> tuple[int, ...]:
        return tuple(-1 if size is None else size for size in self.target_shape)

    def call(self, x: Tensor) -> Tensor:
        return ops.reshape(x, (x.shape[0], *self._resolve(x.shape[1:])))

    def _resolve(self, sizes: Sequence[int]) -> tuple[int, ...]:
        wanted = self._wanted()
        total, known = math.prod(sizes), math.prod(size for size in wanted if size != -1)
        if total != known if -1 not in wanted else known == 0 or total % known:
            raise ValueError(f"{tuple(sizes)} has {total} elements, which do not fill {self.target_shape}.")
        return tuple(total // known if size == -1 else size for size in wanted)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if None in input_shape[1:] or None in self.target_shape:
            return input_shape[0], *(None if size == -1 else size for size in self._wanted())
        return input_shape[0], *self._resolve(input_shape[1:])


class Permute(_Arranged):
    """The axes after the batch in another order.

    Args:
        dims: for each axis of the output the input's axis, counted from 1: ``(2, 1)`` swaps two axes.

    Raises ``ValueError`` unless ``dims`` holds each number from 1 on once, and for an input of another rank.
    """

    _config: tuple[str, ...] = ("dims",)

    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not hasattr(dims, "__iter__"):
            raise TypeError(f"dims must be a list or tuple of axes, as (2, 1); got {dims!r}.")
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(f"dims must hold each axis from 1 to {len(self.dims)} once; got dims={dims!r}.")
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, x: Tensor) -> Tensor:
        return ops.transpose(x, (0, *self.dims))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0], *(input_shape[axis] for axis in self.dims)


class RepeatVector(Layer):
    """A vector ``n`` times over: [batch, features] -> [batch, n, features].

    Args:
        n: how often. Raises ``TypeError`` unless it is an int, ``ValueError`` unless it is positive.
    """

    _config: tuple[str, ...] = ("n",)

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n = positive_int("n", integer("n", n))
        self.input_spec = InputSpec(ndim=2)

    def call(self, x: Tensor) -> Tensor:
        return ops.broadcast_to(ops.expand_dims(x, 1), (x.shape[0], self.n, x.shape[1]))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0], self.n, input_shape[1]
