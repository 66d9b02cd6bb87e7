"""Tensors repeated, turned, cut and joined; their diagonals and triangles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from deepcore.autograd.primitive import primitive
from deepcore.ops.creation import ones_like
from deepcore.ops.elementwise import broadcast_to, multiply, where
from deepcore.ops.operand import cast, operands, tensor_of, whole_axis
from deepcore.ops.reduction import sum
from deepcore.ops.shape import (
    concatenate,
    flip,
    getitem,
    moveaxis,
    put_into_zeros,
    ravel,
    reshape,
    split,
    stack,
    transpose,
)
from deepcore.tensor import Tensor


@primitive
def _copy(backend: Any, x: Any) -> Any:
    return x.copy()


@_copy.gradient("x")
def _(dy: Tensor) -> Tensor:
    return dy


def copy(x: Any) -> Tensor:
    """``x`` in memory of its own."""
    return _copy(tensor_of(x))


def get_item(x: Any, key: Any) -> Tensor:
    """``x[key]`` with NumPy's rules: ints, slices, None, ..., boolean masks and integer arrays."""
    return getitem(x, key)


def tile(x: Any, repeats: int | Sequence[int]) -> Tensor:
    """``x`` beside itself, ``repeats`` times along each axis; the last axes, if there are fewer numbers than axes.

    >>> tile([1, 2], (2, 2))
    Tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]], dtype=int32)
    """
    tensor = tensor_of(x)
    times = (repeats,) if isinstance(repeats, int) else tuple(int(n) for n in repeats)
    rank = max(len(times), tensor.ndim)
    times = (1,) * (rank - len(times)) + times
    shape = (1,) * (rank - tensor.ndim) + tensor.shape
    apart = reshape(tensor, tuple(size for n in shape for size in (1, n)))
    repeated = broadcast_to(apart, tuple(size for pair in zip(times, shape, strict=True) for size in pair))
    return reshape(repeated, tuple(n * size for n, size in zip(times, shape, strict=True)))


def repeat(x: Any, repeats: Any, axis: int | None = None) -> Tensor:
    """Each element ``repeats`` times (one number, or one for each) along ``axis``, flattened by default.

    >>> repeat([1, 2], 2)
    Tensor([1, 1, 2, 2], dtype=int32)
    """
    tensor = tensor_of(x)
    if axis is None:
        tensor, axis = ravel(tensor), 0
    at = whole_axis(axis, tensor.ndim, "repeat")
    times = np.asarray(repeats.numpy() if isinstance(repeats, Tensor) else repeats).reshape(-1).tolist()
    length = tensor.shape[at]
    if len(times) not in (1, length):
        raise ValueError(f"repeat: expected one number or {length}, one for each element; got {len(times)}.")
    xp = tensor.device.backend.xp
    positions = xp.repeat(xp.arange(length), times[0] if len(times) == 1 else times)
    return getitem(tensor, (slice(None),) * at + (positions,))


@primitive
def _roll(backend: Any, x: Any, *, shift: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    return backend.xp.roll(x, shift, axes)


@_roll.gradient("x")
def _(dy: Tensor, shift: tuple[int, ...], axes: tuple[int, ...]) -> Tensor:
    return _roll(dy, shift=tuple(-n for n in shift), axes=axes)


def roll(x: Any, shift: int | Sequence[int], axis: int | Sequence[int] | None = None) -> Tensor:
    """``x`` moved by ``shift`` along ``axis``; what leaves at one end enters at the other.

    It is moved as if flattened without an axis.
    """
    tensor = tensor_of(x)
    if axis is None:
        total = shift if isinstance(shift, int) else math.fsum(shift)
        return reshape(_roll(ravel(tensor), shift=(int(total),), axes=(0,)), tensor.shape)
    axes = tuple(whole_axis(a, tensor.ndim, "roll") for a in ((axis,) if isinstance(axis, int) else axis))
    shifts = (shift,) * len(axes) if isinstance(shift, int) else tuple(shift)
    if len(shifts) != len(axes):
        raise ValueError(f"roll: expected one shift, or one for each axis; got shift={shift}, axis={axis}.")
    return _roll(tensor, shift=shifts, axes=axes)


def rot90(array: Any, k: int = 1, axes: Sequence[int] = (0, 1)) -> Tensor:
    """``array`` turned ``k`` times by 90 degrees in the plane of two axes, from the first towards the second.

    Raises ``ValueError`` for fewer than two axes, or two that are the same.
    """
    tensor = tensor_of(array)
    if tensor.ndim < 2:
        raise ValueError(f"rot90: expected a tensor of rank 2 or more; got shape {tensor.shape}.")
    if len(axes) != 2 or axes[0] % tensor.ndim == axes[1] % tensor.ndim:
        raise ValueError(f"rot90: axes must be two different axes; got {axes!r}.")
    first, second = (whole_axis(a, tensor.ndim, "rot90") for a in axes)
    order = list(range(tensor.ndim))
    order[first], order[second] = second, first
    if k % 4 == 0:
        return tensor
    if k % 4 == 1:
        return transpose(flip(tensor, second), order)
    if k % 4 == 2:
        return flip(tensor, (first, second))
    return flip(transpose(tensor, order), second)


def fliplr(x: Any) -> Tensor:
    """``x`` in reverse order along its second axis."""
    return flip(x, 1)


def flipud(x: Any) -> Tensor:
    """``x`` in reverse order along its first axis."""
    return flip(x, 0)


# Joining and cutting


def append(x1: Any, x2: Any, axis: int | None = None) -> Tensor:
    """``x2`` behind ``x1`` along ``axis``, both flattened by default."""
    a, b = operands(x1, x2)
    return concatenate([ravel(a), ravel(b)]) if axis is None else concatenate([a, b], axis)


def _of_rank(xs: Sequence[Any], rank: int) -> list[Tensor]:
    """The tensors with axes of length one added: [n] becomes [1, n] of rank 2, and [1, n, 1] of rank 3."""
    found = []
    for tensor in map(tensor_of, xs):
        front = 1 if tensor.ndim < min(rank, 2) else 0
        shape = (1,) * front + (tensor.shape or ((1,) if rank > 1 else ()))
        found.append(reshape(tensor, shape + (1,) * (rank - len(shape))))
    return found


def vstack(xs: Sequence[Any]) -> Tensor:
    """``xs`` below one another, along the first axis; a row [n] counts as [1, n]."""
    return concatenate(_of_rank(xs, 2), 0)


def hstack(xs: Sequence[Any]) -> Tensor:
    """``xs`` side by side, along the second axis, or along the only one."""
    tensors = _of_rank(xs, 1)
    return concatenate(tensors, 0 if tensors[0].ndim == 1 else 1)


def dstack(xs: Sequence[Any]) -> Tensor:
    """``xs`` behind one another, along the third axis; [n] counts as [1, n, 1]."""
    return concatenate(_of_rank(xs, 3), 2)


def array_split(x: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """``x`` cut along ``axis`` at indices, or into sections, of which the first are longer by one if need be."""
    tensor = tensor_of(x)
    if not isinstance(indices_or_sections, int):
        return split(tensor, indices_or_sections, axis)
    if indices_or_sections < 1:
        raise ValueError(f"array_split: expected at least one section; got {indices_or_sections}.")
    each, longer = divmod(tensor.shape[whole_axis(axis, tensor.ndim, "array_split")], indices_or_sections)
    return split(tensor, [each * i + min(i, longer) for i in range(1, indices_or_sections)], axis)


def vsplit(x: Any, indices_or_sections: int | Sequence[int]) -> list[Tensor]:
    """``x`` cut along its first axis."""
    return split(x, indices_or_sections, 0)


def hsplit(x: Any, indices_or_sections: int | Sequence[int]) -> list[Tensor]:
    """``x`` cut along its second axis, or along the only one."""
    tensor = tensor_of(x)
    return split(tensor, indices_or_sections, 0 if tensor.ndim == 1 else 1)


def dsplit(x: Any, indices_or_sections: int | Sequence[int]) -> list[Tensor]:
    """``x`` cut along its third axis. Raises ``ValueError`` if it has none."""
    return split(x, indices_or_sections, 2)


def unstack(x: Any, num: int | None = None, axis: int = 0) -> list[Tensor]:
    """The slices of ``x`` along ``axis``, which they no longer have; ``num``, if given, is their number."""
    tensor = tensor_of(x)
    at = whole_axis(axis, tensor.ndim, "unstack")
    if num is not None and num != tensor.shape[at]:
        raise ValueError(f"unstack: axis {axis} of shape {tensor.shape} has {tensor.shape[at]} slices; got num={num}.")
    return [getitem(tensor, (slice(None),) * at + (i,)) for i in range(tensor.shape[at])]


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of ``x`` [n] side by side: [n, N], N = n by default, the highest first unless ``increasing``."""
    tensor = tensor_of(x)
    if tensor.ndim != 1:
        raise ValueError(f"vander: expected a tensor of one axis; got shape {tensor.shape}.")
    powers = [ones_like(tensor)]
    while len(powers) < (tensor.size if N is None else N):
        powers.append(multiply(powers[-1], tensor))
    powers = powers[: tensor.size if N is None else N]
    return stack(powers if increasing else powers[::-1], 1)


# Diagonals and triangles


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The diagonal of each matrix that two axes of ``x`` make, as a new last axis; ``offset`` above the main one."""
    tensor = tensor_of(x)
    if tensor.ndim < 2:
        raise ValueError(f"diagonal: expected a tensor of rank 2 or more; got shape {tensor.shape}.")
    matrices = moveaxis(tensor, (axis1, axis2), (-2, -1))
    row, column, length = _start(offset, matrices.shape)
    positions = tensor.device.backend.xp.arange(length)
    return getitem(matrices, (..., positions + row, positions + column))


def _start(offset: int, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Where a diagonal starts, and how long it is."""
    row, column = max(-offset, 0), max(offset, 0)
    return row, column, max(min(shape[-2] - row, shape[-1] - column), 0)


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The sum of a diagonal; see ``diagonal``."""
    return sum(diagonal(x, offset, axis1, axis2), -1)


def diag(x: Any, k: int = 0) -> Tensor:
    """A matrix with ``x`` [n] on diagonal ``k`` and zeros elsewhere; or the diagonal ``k`` of a matrix ``x``.

    >>> diag([1, 2], k=1)
    Tensor([[0, 1, 0],
            [0, 0, 2],
            [0, 0, 0]], dtype=int32)
    """
    tensor = tensor_of(x)
    if tensor.ndim == 2:
        return diagonal(tensor, k)
    if tensor.ndim != 1:
        raise ValueError(f"diag: expected a tensor of rank 1 or 2; got shape {tensor.shape}.")
    size = tensor.size + abs(k)
    positions = tensor.device.backend.xp.arange(tensor.size)
    return put_into_zeros(tensor, (size, size), (positions + max(-k, 0), positions + max(k, 0)))


def diagflat(x: Any, k: int = 0) -> Tensor:
    """A matrix with all elements of ``x``, flattened, on diagonal ``k`` and zeros elsewhere."""
    return diag(ravel(x), k)


def _triangle(x: Any, k: int, op: str, lower: bool) -> Tensor:
    tensor = tensor_of(x)
    if tensor.ndim < 2:
        raise ValueError(f"{op}: expected a tensor of rank 2 or more; got shape {tensor.shape}.")
    xp = tensor.device.backend.xp
    rows, columns = xp.arange(tensor.shape[-2])[:, None], xp.arange(tensor.shape[-1])
    inside = columns - rows <= k if lower else columns - rows >= k
    return cast(where(Tensor.wrap(inside, tensor.device), tensor, 0), tensor.dtype)


def tril(x: Any, k: int = 0) -> Tensor:
    """``x`` with zeros above diagonal ``k`` of its last two axes."""
    return _triangle(x, k, "tril", True)


def triu(x: Any, k: int = 0) -> Tensor:
    """``x`` with zeros below diagonal ``k`` of its last two axes."""
    return _triangle(x, k, "triu", False)


def view(x: Any, dtype: Any = None) -> Tensor:
    """The memory of ``x`` read as elements of ``dtype``; the last axis changes with their width. No gradient flows."""
    tensor = tensor_of(x)
    return tensor if dtype is None else Tensor.wrap(tensor.data.view(np.dtype(dtype)), tensor.device)
