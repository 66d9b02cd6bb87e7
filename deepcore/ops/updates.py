"""Parts of a tensor read and written by position, and sums over the parts that share a number."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from deepcore.autograd.primitive import primitive
from deepcore.ops.elementwise import add, maximum, minimum, multiply, where
from deepcore.ops.logic import equal
from deepcore.ops.operand import cast, tensor_of
from deepcore.ops.shape import getitem, pad, put_into_zeros, reshape
from deepcore.tensor import Tensor


@primitive
def _put(backend: Any, x: Any, values: Any, *, index: Any) -> Any:
    y = x.copy()
    y[index] = values
    return y


@_put.gradient("x")
def _(dy: Tensor, values_shape: tuple[int, ...], index: Any) -> Tensor:
    nothing = Tensor.wrap(dy.device.backend.xp.zeros(values_shape, dy.dtype), dy.device)
    return _put(dy, nothing, index=index)


@_put.gradient("values")
def _(dy: Tensor, index: Any) -> Tensor:
    return getitem(dy, index)


def _positions(indices: Any, like: Tensor | None = None) -> Tensor:
    found = tensor_of(indices, like=like)
    if found.dtype.kind not in "iu" or found.ndim < 1:
        raise ValueError(f"Expected integer positions [..., axes]; got {found.dtype} of shape {found.shape}.")
    return found


def _columns(indices: Tensor) -> tuple[Any, ...]:
    """The positions along each axis, as an index."""
    return tuple(indices.data[..., n] for n in range(indices.shape[-1]))


def scatter(indices: Any, values: Any, shape: Sequence[int]) -> Tensor:
    """Zeros of ``shape`` with ``values`` added at ``indices``; where a position repeats, its values add up.

    Args:
        indices: integers [..., axes], a position along the first ``axes`` axes of the result.
        values: [..., the other axes of the result].
        shape: of the result.

    >>> scatter([[0], [2], [2]], [1.0, 2.0, 3.0], (4,))
    Tensor([1., 0., 5., 0.], dtype=float32)
    """
    data = tensor_of(values)
    return put_into_zeros(data, tuple(int(size) for size in shape), _columns(_positions(indices, data)))


def scatter_update(inputs: Any, indices: Any, updates: Any, reduction: str | None = None) -> Tensor:
    """A copy of ``inputs`` with ``updates`` written at ``indices``, or combined with what is there.

    Args:
        inputs: a tensor of any shape.
        indices: integers [updates, axes], positions along its first ``axes`` axes.
        updates: [updates, the other axes of inputs].
        reduction: None writes; ``"add"``, ``"max"``, ``"min"`` and ``"mul"`` combine. Where a position repeats,
            these count every update; which one None leaves is not defined.

    Raises ``ValueError`` for another reduction.
    """
    tensor = tensor_of(inputs)
    places = _positions(indices, tensor)
    values = cast(tensor_of(updates, like=tensor), tensor.dtype)
    if reduction is None:
        return _put(tensor, values, index=_columns(places))
    combine = {"add": add, "max": maximum, "min": minimum, "mul": multiply}.get(reduction)
    if combine is None:
        raise ValueError(f"scatter_update: reduction must be None, 'add', 'max', 'min' or 'mul'; got {reduction!r}.")
    axes = places.shape[-1]
    outer, inner = tensor.shape[:axes], tensor.shape[axes:]
    numbers: Any = 0
    for size, column in zip(outer, _columns(places), strict=True):
        numbers = numbers * size + column % size
    rows = reshape(values, (-1, *inner))
    ids = Tensor.wrap(numbers.reshape(-1), tensor.device)
    segments = {"add": segment_sum, "max": segment_max, "min": segment_min, "mul": segment_prod}[reduction]
    return combine(tensor, reshape(segments(rows, ids, math.prod(outer)), tensor.shape))


def _whole_numbers(values: Any) -> list[int]:
    if isinstance(values, Tensor):
        values = values.numpy()
    return [int(n) for n in np.asarray(values).reshape(-1)]


def slice(inputs: Any, start_indices: Any, shape: Any) -> Tensor:
    """The part of ``inputs`` that has ``shape`` and begins at ``start_indices``, a position along each axis.

    >>> slice([[1, 2, 3], [4, 5, 6]], (0, 1), (2, 2))
    Tensor([[2, 3],
            [5, 6]], dtype=int32)
    """
    starts, sizes = _whole_numbers(start_indices), _whole_numbers(shape)
    return getitem(inputs, tuple(builtins.slice(n, n + size) for n, size in zip(starts, sizes, strict=True)))


def slice_update(inputs: Any, start_indices: Any, updates: Any) -> Tensor:
    """A copy of ``inputs`` with ``updates`` written from ``start_indices``, a position along each axis, on."""
    tensor = tensor_of(inputs)
    values = cast(tensor_of(updates, like=tensor), tensor.dtype)
    starts = _whole_numbers(start_indices)
    index = tuple(builtins.slice(n, n + size) for n, size in zip(starts, values.shape, strict=True))
    if any(part.stop > size for part, size in zip(index, tensor.shape, strict=True)):
        raise ValueError(
            f"slice_update: updates of shape {values.shape} from {starts} on do not fit into shape {tensor.shape}."
        )
    return _put(tensor, values, index=index)


# Segments


def _segments(data: Any, segment_ids: Any, num_segments: int | None, op: str) -> tuple[Tensor, Any, int]:
    """The rows, for each the number of its segment, and how many segments there are."""
    rows = tensor_of(data)
    ids = tensor_of(segment_ids, like=rows)
    if ids.ndim != 1 or rows.ndim == 0 or rows.shape[0] != ids.shape[0]:
        raise ValueError(
            f"{op}: segment_ids must have one axis, as long as the first of data; got shapes {ids.shape} and "
            f"{rows.shape}."
        )
    xp = rows.device.backend.xp
    if num_segments is None:
        num_segments = int(Tensor.wrap(xp.max(ids.data), rows.device).item()) + 1 if ids.size else 0
    # Rows of no segment go to one more, which is cut off again: so nobody has to wait to know whether there are any.
    inside = (ids.data >= 0) & (ids.data < num_segments)
    return rows, xp.where(inside, ids.data, num_segments), int(num_segments)


def segment_sum(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """The sums of the rows of ``data`` that share a segment; 0 for a segment without rows.

    Args:
        data: [rows, ...].
        segment_ids: integers [rows], the segment of each row; rows with a negative one belong to none.
        num_segments: how many; by default one more than the largest of ``segment_ids``.
        sorted: whether the ids rise, which is not made use of.

    Returns [segments, ...]. Raises ``ValueError`` if the shapes do not fit.

    >>> segment_sum([1, 2, 3], [0, 2, 0])
    Tensor([4, 0, 2], dtype=int32)
    """
    rows, ids, count = _segments(data, segment_ids, num_segments, "segment_sum")
    return put_into_zeros(rows, (count + 1, *rows.shape[1:]), (ids,))[:count]


@primitive
def _segment_extremum(backend: Any, x: Any, *, ids: Any, count: int, largest: bool) -> Any:
    xp = backend.xp
    limits = xp.iinfo(x.dtype) if x.dtype.kind in "iu" else None
    empty = (limits.min if largest else limits.max) if limits else (-math.inf if largest else math.inf)
    y = xp.full((count, *x.shape[1:]), empty, x.dtype)
    (xp.maximum if largest else xp.minimum).at(y, ids, x)
    return y


@_segment_extremum.gradient("x")
def _(dy: Tensor, x: Tensor, y: Tensor, ids: Any, count: int) -> Tensor:
    """Shared evenly among the rows that are the extremum."""
    hits = cast(equal(x, getitem(y.detach(), (ids,))), x.dtype)
    shares = put_into_zeros(hits, y.shape, (ids,))
    return getitem(dy / maximum(shares, 1.0), (ids,)) * hits


def segment_max(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """The largest of the rows that share a segment; -inf (or the smallest integer) for one without rows.

    Arguments as for ``segment_sum``. Equal maxima share the gradient.
    """
    rows, ids, count = _segments(data, segment_ids, num_segments, "segment_max")
    return _segment_extremum(rows, ids=ids, count=count + 1, largest=True)[:count]


def segment_min(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """The smallest of the rows that share a segment; inf (or the largest integer) for one without rows.

    Arguments as for ``segment_sum``. Equal minima share the gradient.
    """
    rows, ids, count = _segments(data, segment_ids, num_segments, "segment_min")
    return _segment_extremum(rows, ids=ids, count=count + 1, largest=False)[:count]


def segment_prod(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """The products of the rows that share a segment; 1 for one without rows. Arguments as for ``segment_sum``.

    Rows are brought in order of their segments, and each multiplied by the one 1, 2, 4, ... rows before it as long as
    that is of the same segment (Hillis and Steele 1986): the last of each segment then holds the whole product.
    """
    rows, ids, count = _segments(data, segment_ids, num_segments, "segment_prod")
    xp = rows.device.backend.xp
    order = xp.argsort(ids, kind="stable")
    numbers = ids[order]
    product, reach, length = getitem(rows, (order,)), 1, rows.shape[0]
    while reach < length:
        before = pad(product[: length - reach], [(reach, 0)] + [(0, 0)] * (rows.ndim - 1), constant_values=1)
        same = xp.concatenate([xp.zeros(reach, bool), numbers[reach:] == numbers[:-reach]])
        same = Tensor.wrap(same.reshape((-1,) + (1,) * (rows.ndim - 1)), rows.device)
        product = multiply(product, where(same, before, 1))
        reach *= 2
    last = xp.concatenate([numbers[1:] != numbers[:-1], xp.ones(min(length, 1), bool)])
    ones = Tensor.wrap(xp.ones((count + 1, *rows.shape[1:]), rows.dtype), rows.device)
    return _put(ones, product, index=(xp.where(last, numbers, count),))[:count]
