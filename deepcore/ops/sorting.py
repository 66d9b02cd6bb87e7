"""Order: sorting, searching, counting into bins. Positions are int32 and have no gradient; values keep theirs."""

from __future__ import annotations

from typing import Any

from deepcore.ops.logic import greater_equal
from deepcore.ops.operand import cast, floating, operands, tensor_of, whole_axis, without_gradient
from deepcore.ops.reduction import any
from deepcore.ops.shape import expand_dims, flip, getitem, ravel, reshape, take_along_axis
from deepcore.tensor import FLOATX, Tensor

_axes = range  # an argument of histogram has its name


def argsort(x: Any, axis: int | None = -1) -> Tensor:
    """The positions that put ``x`` in rising order along ``axis`` (flattened for None); equals stay in order.

    >>> argsort([3, 1, 2])
    Tensor([1, 2, 0], dtype=int32)
    """
    tensor = tensor_of(x).detach()
    if axis is None or tensor.ndim == 0:
        tensor, axis = ravel(tensor), 0
    axis = whole_axis(axis, tensor.ndim, "argsort")
    return cast(without_gradient("argsort", tensor, axis=axis, kind="stable"), "int32")


def sort(x: Any, axis: int | None = -1) -> Tensor:
    """``x`` in rising order along ``axis`` (flattened for None), NaN last.

    The gradient goes where the values came from.

    >>> sort([3, 1, 2])
    Tensor([1, 2, 3], dtype=int32)
    """
    tensor = tensor_of(x)
    if axis is None or tensor.ndim == 0:
        tensor, axis = ravel(tensor), 0
    return take_along_axis(tensor, argsort(tensor, axis), axis)


def argpartition(x: Any, kth: int, axis: int | None = -1) -> Tensor:
    """Positions after which element ``kth`` is where sorting would put it, smaller ones before, larger ones behind.

    Along ``axis``, or of the flattened tensor for None. Raises ``ValueError`` for a ``kth`` that is no integer.
    """
    if not isinstance(kth, int):
        raise ValueError(f"argpartition: kth must be an integer; got {kth!r}.")
    tensor = reshape(x, (-1,)) if axis is None else tensor_of(x)
    at = whole_axis(-1 if axis is None else axis, tensor.ndim, "argpartition")
    return cast(without_gradient("argpartition", tensor, kth=kth, axis=at), "int32")


def top_k(x: Any, k: int, sorted: bool = True) -> tuple[Tensor, Tensor]:
    """The ``k`` largest values of the last axis, largest first, and their positions; of equals the first come first.

    Raises ``ValueError`` if the axis has fewer than ``k`` elements. They come sorted either way.
    """
    tensor = tensor_of(x)
    if tensor.ndim == 0 or not 0 <= k <= tensor.shape[-1]:
        raise ValueError(f"top_k: the last axis of shape {tensor.shape} does not have k = {k} elements.")
    last = tensor.shape[-1] - 1
    # Sorting backwards what is written backwards: falling order, in which equals still come first to last.
    falling = last - flip(argsort(flip(tensor.detach(), -1)), -1) if last >= 0 else argsort(tensor)
    positions = getitem(falling, (..., slice(None, k)))
    return take_along_axis(tensor, positions, -1), positions


def in_top_k(targets: Any, predictions: Any, k: int) -> Tensor:
    """Whether the score of each target is among the ``k`` best of its row; equal scores at the border count.

    Args:
        targets: integers [rows], a class each.
        predictions: scores [rows, classes].
    """
    scores = floating(predictions).detach()
    best = top_k(scores, k)[0]
    own = take_along_axis(scores, expand_dims(tensor_of(targets), -1), -1)
    return any(greater_equal(own, best), -1)


def searchsorted(sorted_sequence: Any, values: Any, side: str = "left") -> Tensor:
    """Where to put ``values`` into a rising row so that it stays rising: before equals, or behind them (``"right"``).

    Raises ``ValueError`` unless the row has one axis and ``side`` is one of the two.
    """
    row, found = operands(sorted_sequence, values)
    if row.ndim != 1:
        raise ValueError(
            f"searchsorted: sorted_sequence must have one axis; got shape {row.shape}. Look each row up by itself, as "
            "with ops.vectorized_map."
        )
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted: side must be 'left' or 'right'; got {side!r}.")
    return cast(without_gradient("searchsorted", row, found, side=side), "int32")


def digitize(x: Any, bins: Any) -> Tensor:
    """For each element how many of the rising ``bins`` are not above it: the number of its bin.

    >>> digitize([0.5, 1.0, 9.0], [1.0, 2.0])
    Tensor([0, 1, 2], dtype=int32)
    """
    tensor = tensor_of(x)
    edges = tensor_of(bins, like=tensor)
    if edges.ndim != 1:
        raise ValueError(f"digitize: bins must have one axis; got shape {edges.shape}.")
    edges, tensor = operands(edges, tensor)
    return cast(without_gradient("searchsorted", edges, tensor, side="right"), "int32")


def bincount(x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False) -> Tensor:
    """How often each whole number from 0 occurs in the last axis of ``x``; with ``weights`` the sum of these.

    Args:
        x: integers, not negative, [n] or [rows, n].
        weights: numbers, of the shape of ``x``.
        minlength: at least so many numbers are counted.
        sparse: must be False.

    Returns int32 counts [numbers] or [rows, numbers], or sums of the floating dtype of ``weights``. Raises
    ``TypeError`` for numbers that are not integers, ``ValueError`` for another rank or ``sparse=True``.
    """
    tensor = tensor_of(x)
    if sparse:
        raise ValueError("bincount: tensors are dense here; call it with sparse=False.")
    if tensor.dtype.kind not in "iu":
        raise TypeError(f"bincount counts integers; got {tensor.dtype}.")
    if tensor.ndim not in (1, 2):
        raise ValueError(f"bincount: expected [n] or [rows, n]; got shape {tensor.shape}.")
    xp = tensor.device.backend.xp
    numbers = tensor.data.reshape(-1, tensor.shape[-1])
    largest = int(Tensor.wrap(xp.max(numbers), tensor.device).item()) if numbers.size else -1
    length = max(largest + 1, int(minlength))
    rows = numbers.shape[0]
    flat = (numbers.astype("int64") + xp.arange(rows)[:, None] * length).reshape(-1)
    if weights is None:
        counts = xp.bincount(flat, minlength=rows * length).astype("int32")
    else:
        weight = tensor_of(weights, like=tensor)
        counts = xp.bincount(flat, weights=weight.data.reshape(-1), minlength=rows * length)
        counts = counts.astype(weight.dtype if weight.dtype.kind == "f" else "int32")
    return Tensor.wrap(counts.reshape((*tensor.shape[:-1], length)), tensor.device)


def histogram(x: Any, bins: int = 10, range: tuple[float, float] | None = None) -> tuple[Tensor, Tensor]:
    """How many elements fall into each of ``bins`` equal intervals, and the edges of these.

    Args:
        x: [n].
        bins: how many intervals.
        range: from where to where; by default from the smallest to the largest element. What is outside is left out.

    The last interval holds its upper end, too. Both results have the dtype of ``x``, float32 for integers. Raises
    ``TypeError`` for bins that are no integer, ``ValueError`` for a negative number of them, a range that does not
    rise, or an ``x`` of another rank.
    """
    if not isinstance(bins, int):
        raise TypeError(f"histogram: bins must be an integer; got {bins!r}.")
    if bins < 0:
        raise ValueError(f"histogram: bins must not be negative; got {bins}.")
    if range and (len(range) != 2 or range[1] < range[0]):
        raise ValueError(f"histogram: range must be two numbers, the first not above the second; got {range!r}.")
    tensor = tensor_of(x)
    if tensor.ndim != 1:
        raise ValueError(f"histogram: expected a tensor of one axis; got shape {tensor.shape}. Use ops.ravel(x).")
    counts, edges = tensor.device.backend.xp.histogram(tensor.data, bins=bins, range=range or None)
    dtype = tensor.dtype if tensor.dtype.kind == "f" else FLOATX
    return Tensor.wrap(counts.astype(dtype), tensor.device), Tensor.wrap(edges.astype(dtype), tensor.device)


def unique(
    x: Any,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """The distinct values of ``x``, rising; or its distinct slices along ``axis``. Waits for the device to count them.

    Args:
        x: a tensor of any shape; it is flattened unless an axis is given.
        sorted: they come sorted either way.
        return_index: also where each first occurs.
        return_inverse: also for each element which value it is, in the shape of ``x`` (without an axis).
        return_counts: also how often each occurs.
        axis: along which slices are compared.
        size: cut the values, or fill them up with ``fill_value`` (0 by default), to this many.

    Returns the values, or a tuple with them and int32 positions or counts in the order of the arguments.
    """
    tensor = tensor_of(x).detach()
    xp = tensor.device.backend.xp
    at = None if axis is None else whole_axis(axis, tensor.ndim, "unique")
    values, index, inverse, counts = xp.unique(tensor.data, True, True, True, axis=at, equal_nan=False)
    inverse = inverse.reshape(tensor.shape) if axis is None else inverse.reshape(-1)
    if size is not None:
        along = at or 0
        missing = max(size - values.shape[along], 0)
        fill = 0 if fill_value is None else fill_value
        widths = [(0, missing if a == along else 0) for a in _axes(values.ndim)]
        kept = (slice(None),) * along + (slice(None, size),)
        values = xp.pad(values, widths, constant_values=fill)[kept]
        index = xp.pad(index, (0, missing), constant_values=1)[:size]
        counts = xp.pad(counts, (0, missing))[:size]
    results = [Tensor.wrap(values, tensor.device)]
    for wanted, found in ((return_index, index), (return_inverse, inverse), (return_counts, counts)):
        if wanted:
            results.append(Tensor.wrap(found.astype("int32"), tensor.device))
    return results[0] if len(results) == 1 else tuple(results)


def unravel_index(indices: Any, shape: tuple[int, ...]) -> tuple[Tensor, ...]:
    """For positions in a flattened tensor of ``shape`` those along each axis, int32."""
    flat = tensor_of(indices)
    found = flat.device.backend.xp.unravel_index(flat.data, tuple(shape))
    return tuple(Tensor.wrap(positions.astype("int32"), flat.device) for positions in found)
