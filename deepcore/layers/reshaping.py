"""The same elements in another shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from deepcore import ops
from deepcore.layers.image import data_format_of
from deepcore.layers.input_spec import InputSpec
from deepcore.layers.layer import Layer
from deepcore.tensor import Tensor


class Flatten(Layer):
    """All axes but the batch in one: [batch, ...] -> [batch, features].

    Args:
        data_format: with ``"channels_first"`` the channels are moved to the end first, so that weights that come after
            do not depend on it.
    """

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

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}


class Reshape(Layer):
    """Another shape of the same size: [batch, ...] -> [batch, *target_shape].

    Args:
        target_shape: sizes without the batch axis; one may be -1.

    Raises ``ValueError`` if the sizes do not hold the same number of elements, or two are -1.
    """

    def __init__(self, target_shape: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_shape = (
            (target_shape,) if isinstance(target_shape, int) else tuple(int(size) for size in target_shape)
        )
        if self.target_shape.count(-1) > 1:
            raise ValueError(f"target_shape may have one -1; got {self.target_shape}.")

    def call(self, x: Tensor) -> Tensor:
        return ops.reshape(x, (x.shape[0], *self._resolve(x.shape[1:])))

    def _resolve(self, sizes: Sequence[int]) -> tuple[int, ...]:
        total, known = math.prod(sizes), math.prod(size for size in self.target_shape if size != -1)
        if total != known if -1 not in self.target_shape else known == 0 or total % known:
            raise ValueError(f"{tuple(sizes)} has {total} elements, which do not fill {self.target_shape}.")
        return tuple(total // known if size == -1 else size for size in self.target_shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if None in input_shape[1:]:
            return input_shape[0], *(None if size == -1 else size for size in self.target_shape)
        return input_shape[0], *self._resolve(input_shape[1:])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "target_shape": self.target_shape}
