"""The shape of what a model is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deepcore.config import floatx
from deepcore.layers.layer import Layer
from deepcore.symbolic import CallNode, SymbolicTensor


class InputLayer(Layer):
    """Says which shape a model expects, and passes it on.

    Args:
        shape: sizes without the batch axis; None where any size will do.
        batch_size: of the batch axis, None for any.
        dtype: float32 by default.
        batch_shape: ``batch_size`` and ``shape`` in one.
        optional: whether a model may be given None instead.
        name: ``input_layer``, ``input_layer_1``, ... by default.

    Raises ``ValueError`` for sizes that are not positive, and unless one of ``shape`` and ``batch_shape`` is given.
    """

    def __init__(
        self,
        shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Sequence[int | None] | None = None,
        input_tensor: SymbolicTensor | None = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        if sparse or ragged:
            raise ValueError("Inputs are dense here; leave out sparse and ragged.")
        if input_tensor is not None:
            batch_shape, dtype = input_tensor.shape, input_tensor.dtype
        if (shape is None) == (batch_shape is None):
            raise ValueError(
                f"An input needs shape (without the batch axis) or batch_shape; got shape={shape!r} and "
                f"batch_shape={batch_shape!r}. For numbers without further axes: shape=()."
            )
        if batch_shape is None:
            batch_shape = (batch_size, *((shape,) if isinstance(shape, int) else tuple(shape)))  # type: ignore[arg-type]
        for size in batch_shape:
            if size is not None and (isinstance(size, bool) or not hasattr(size, "__index__") or not size > 0):
                raise ValueError(
                    "Input sizes must be positive, or None for any; got "
                    + (f"batch_shape={tuple(batch_shape)}." if shape is None else f"{shape=}, {batch_size=}.")
                )
        self.batch_shape = tuple(batch_shape)
        self.input_dtype = np.dtype(floatx() if dtype is None else dtype)
        self.optional = optional
        tensor = SymbolicTensor(self.batch_shape, self.input_dtype, name) if input_tensor is None else input_tensor
        self._inbound_nodes.append(CallNode(self, (), {}, tensor))
        self.built = True

    def call(self, x: Any) -> Any:
        return x

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.batch_shape

    def get_config(self) -> dict[str, Any]:
        return {
            "batch_shape": self.batch_shape,
            "dtype": self.input_dtype.name,
            "sparse": False,
            "ragged": False,
            "optional": self.optional,
            "name": self.name,
        }


def Input(  # noqa: N802
    shape: Sequence[int | None] | None = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
    tensor: SymbolicTensor | None = None,
    optional: bool = False,
) -> SymbolicTensor:
    """A tensor without values that says which shape a model expects. Arguments as for ``InputLayer``.

    >>> Input((28, 28), name="images")
    <SymbolicTensor shape=(None, 28, 28), dtype=float32, name=images>
    """
    return InputLayer(shape, batch_size, dtype, sparse, ragged, batch_shape, tensor, optional, name).output
