"""The shape of what a model is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepcore.config import dtype_of
from deepcore.layers.layer import Layer
from deepcore.naming import unique_name
from deepcore.structure import is_shape
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
            if not isinstance(input_tensor, SymbolicTensor):
                raise ValueError(f"input_tensor must be an Input; got {input_tensor!r}.")
            batch_shape, dtype = input_tensor.shape, input_tensor.dtype
        if (shape is None) == (batch_shape is None):
            raise ValueError(
                f"An input needs shape (without the batch axis) or batch_shape; got shape={shape!r} and "
                f"batch_shape={batch_shape!r}. For numbers without further axes: shape=()."
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
        tensor = SymbolicTensor(self.batch_shape, self.input_dtype, self.name) if input_tensor is None else input_tensor
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
    given = unique_name("keras_tensor") if name is None else name
    return InputLayer(shape, batch_size, dtype, sparse, ragged, batch_shape, tensor, optional, given).output
