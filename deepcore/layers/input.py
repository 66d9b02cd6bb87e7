"""The shape of what a model is given."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from deepcore.config import dtype_of
from deepcore.layers.layer import Layer
from deepcore.structure import is_shape
from deepcore.symbolic import CallNode, SymbolicTensor


class InputLayer(Layer):
    """Says which shape a model expects, and passes it on.

    Args:
        shape: sizes without the batch axis; None where any size will do.
        batch_size: of the batch axis, None for any.
        dtype: float32 by default.
        batch_shape: ``batch_size`` and ``shape`` in one.
        input_tensor: an ``Input`` to stand for, instead of all of these.
        optional: whether a model may be given None instead.
        name: ``input_layer``, ``input_layer_1``, ... by default.

    Raises ``ValueError`` for sizes that are not positive, and unless one of ``shape`` and ``batch_shape`` is given.
    """

    sparse = ragged = False

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
        if "input_shape" in kwargs:
            warnings.warn("InputLayer(input_shape=...) is the old name of shape; use that.", stacklevel=2)
            shape = kwargs.pop("input_shape")
        batch_shape = kwargs.pop("batch_input_shape", batch_shape)
        super().__init__(name=name, **kwargs)
        if sparse or ragged:
            raise ValueError("Inputs are dense here; leave out sparse and ragged.")
        if input_tensor is not None:
            if not isinstance(input_tensor, SymbolicTensor):
                raise ValueError(f"input_tensor must be an Input; got {input_tensor!r}.")
            its = input_tensor.shape
            pairs = (
                (shape, its[1:]),
                (batch_shape, its),
                (batch_size, its[0] if its else None),
                (dtype, input_tensor.dtype),
            )
            if any(asked is not None and asked != found for asked, found in pairs):
                raise ValueError(
                    f"input_tensor says it all, and is {input_tensor!r}; got {shape=}, {batch_shape=}, {batch_size=}, "
                    f"{dtype=} besides."
                )
            shape, batch_size, batch_shape, dtype = None, None, input_tensor.shape, input_tensor.dtype
        if (shape is None) == (batch_shape is None) or (batch_size is not None and batch_shape is not None):
            raise ValueError(
                f"An input needs shape (without the batch axis) or batch_shape, batch_size being of shape; got "
                f"{shape=}, {batch_size=} and {batch_shape=}. For numbers without further axes: shape=()."
            )
        given = f"{batch_shape=}" if shape is None else f"{shape=}, {batch_size=}"
        sizes: Any = batch_shape if shape is None else shape
        if not isinstance(sizes, list | tuple):
            raise ValueError(f"An input's shape is a tuple, as ({sizes},) or (28, 28); got {given}.")
        self.batch_shape = tuple(sizes) if shape is None else (batch_size, *sizes)
        if not all(size is None or (is_shape((size,)) and size is not True and size > 0) for size in self.batch_shape):
            raise ValueError(f"Input sizes must be positive, or None for any; got {given}.")
        self.input_dtype = dtype_of(dtype)
        self.optional = optional
        tensor = SymbolicTensor(self.batch_shape, self.input_dtype, name) if input_tensor is None else input_tensor
        self._inbound_nodes.append(CallNode(self, (), {}, tensor))
        self.built = True

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the input."""
        return self.input_dtype

    def call(self, x: Any = None) -> Any:
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
