"""Rows picked by number: embedding, take, one-hot."""

from __future__ import annotations

from typing import Any

from deepcore.autograd.primitive import primitive
from deepcore.ops.operand import cast, floating, off_the_tape, tensor_of, whole_axis
from deepcore.ops.reduction import max
from deepcore.ops.shape import getitem, reshape
from deepcore.tensor import FLOATX, Tensor


@primitive
def _embedding(backend: Any, table: Any, ids: Any) -> Any:
    return backend.embedding_gather(table, ids)


@_embedding.gradient("table")
def _(dy: Tensor, ids: Tensor, table_shape: tuple[int, ...]) -> Tensor:
    return _embedding_scatter(dy, ids, vocabulary=table_shape[0])


@primitive(outputs=("dtable",))
def _embedding_scatter(backend: Any, dy: Any, ids: Any, *, vocabulary: int) -> Any:
    return backend.embedding_scatter(dy, ids, vocabulary)


@_embedding_scatter.gradient("dy")
def _(ddtable: Tensor, ids: Tensor, vocabulary: int) -> Tensor:
    return _embedding(ddtable, ids)


def embedding(table: Any, ids: Any) -> Tensor:
    """Row ``ids[...]`` of ``table``.

    Args:
        table: floating [vocabulary, features].
        ids: integers of any shape [...], from 0 to vocabulary - 1.

    Returns [..., features]. Raises ``ValueError`` for another rank, ids that are not integers, or (on the CPU) ids
    out of range. Bengio et al. 2003.
    """
    rows = floating(table)
    numbers = tensor_of(ids, like=rows)
    if rows.ndim != 2:
        raise ValueError(f"embedding expects a table [vocabulary, features]; got shape {rows.shape}.")
    if numbers.dtype.kind not in "iu":
        raise ValueError(f"embedding expects integer ids; got {numbers.dtype}.")
    if numbers.device.kind != "cuda" and numbers.size:
        low, high = int(numbers.data.min()), int(numbers.data.max())
        if low < 0 or high >= rows.shape[0]:
            raise ValueError(
                f"embedding: ids must be from 0 to {rows.shape[0] - 1}, the rows of the table; got {low} to {high}."
            )
    return _embedding(rows, numbers)


def _whole(numbers: Tensor) -> Tensor:
    return cast(numbers, "int32") if numbers.dtype.kind == "f" else numbers


def take(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """Elements ``indices`` along ``axis``, of the flattened tensor by default; negative ones count from the end.

    Floating indices are rounded towards zero, as Keras does.
    """
    tensor = tensor_of(x)
    numbers = _whole(tensor_of(indices, like=tensor))
    if axis is None:
        return getitem(reshape(tensor, (-1,)), numbers)
    return getitem(tensor, (slice(None),) * whole_axis(axis, tensor.ndim, "take") + (numbers,))


def one_hot(x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False) -> Tensor:
    """1 at each class number, 0 elsewhere, along a new ``axis``; a number out of range gives zeros, as in Keras.

    float32 by default. Floating class numbers are rounded towards zero, as Keras does. Raises ``ValueError`` for
    booleans, and for ``sparse``: there are no sparse tensors.

    >>> one_hot([0, 2], 3)
    Tensor([[1., 0., 0.],
            [0., 0., 1.]], dtype=float32)
    """
    if sparse:
        raise ValueError("one_hot: there are no sparse tensors; use sparse=False.")
    numbers = _whole(tensor_of(x))
    if numbers.dtype.kind not in "iu":
        raise ValueError(f"one_hot expects integer class numbers; got {numbers.dtype}.")

    def compared(backend: Any, array: Any) -> Any:
        xp = backend.xp
        hot = (array[..., None] == xp.arange(num_classes, dtype=array.dtype)).astype(dtype or FLOATX)
        return hot if axis in (-1, array.ndim) else xp.moveaxis(hot, -1, axis)

    return off_the_tape(compared, numbers)


def multi_hot(
    inputs: Any, num_classes: int | None = None, axis: int = -1, dtype: Any = None, sparse: bool = False
) -> Tensor:
    """1 at each class number that is present, 0 elsewhere.

    Args:
        inputs: class numbers [classes present], or [batch, classes present, ...].
        num_classes: how many classes there are.
        axis: where the classes go in the one-hot tensor of ``inputs``, of which axis 1 (0 for one example) is then
            reduced.
        dtype: of the result, float32 by default.

    Raises ``ValueError`` without ``num_classes``, and as ``one_hot``.

    >>> multi_hot([0, 2, 2], 4)
    Tensor([1., 0., 1., 0.], dtype=float32)
    """
    if num_classes is None:
        raise ValueError("multi_hot needs num_classes, the number of classes; got None.")
    numbers = tensor_of(inputs)
    return max(one_hot(numbers, num_classes, axis, dtype, sparse), axis=1 if numbers.ndim > 1 else 0)
