"""The shape of what a model is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepcore.layers.layer import Layer
from deepcore.layers.symbolic import SymbolicTensor
from deepcore.naming import unique_name
from deepcore.tensor import FLOATX


class InputLayer(Layer):
    """Says which shape a model expects, and passes it on.

    Args:
        shape: sizes without the batch axis; None where any size will do.
        batch_size: of the batch axis, None for any.
        dtype: float32 by default.
        name: ``input_layer``, ``input_layer_1``, ... by default.

    Raises ``ValueError`` for sizes that are not positive.
    """

    def __init__(
        self,
        shape: Sequence[int | None],
        batch_size: int | None = None,
        dtype: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        sizes = (shape,) if isinstance(shape, int) or shape is None else tuple(shape)
        if any(size is not None and (isinstance(size, bool) or not size > 0) for size in (batch_size, *sizes)):
            raise ValueError(
                f"Input sizes must be positive, or None for any; got shape={shape!r}, batch_size={batch_size!r}."
            )
        self.batch_shape = (batch_size, *sizes)
        self.output = SymbolicTensor(self.batch_shape, FLOATX if dtype is None else dtype, self.name)
        self.built = True

    def call(self, x: Any) -> Any:
        return x

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.batch_shape

    def get_config(self) -> dict[str, Any]:
        return {
            "shape": self.batch_shape[1:],
            "batch_size": self.batch_shape[0],
            "dtype": self.output.dtype.name,
            "name": self.name,
        }


def Input(  # noqa: N802
    shape: Sequence[int | None], batch_size: int | None = None, dtype: Any = None, name: str | None = None
) -> SymbolicTensor:
    """A tensor without values that says which shape a model expects. Arguments as for ``InputLayer``.

    >>> Input((28, 28), name="images")
    <SymbolicTensor shape=(None, 28, 28), dtype=float32, name=images>
    """
    return InputLayer(shape, batch_size, dtype, unique_name("keras_tensor") if name is None else name).output
