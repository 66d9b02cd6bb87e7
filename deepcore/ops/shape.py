"""The same elements in another arrangement, and parts of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from deepcore.autograd.primitive import primitive
from deepcore.backend import audit
from deepcore.ops.operand import cast, result_dtype, tensor_of
from deepcore.tensor import Tensor


@primitive
def _reshape(backend: Any, x: Any, *, shape: tuple[int, ...]) -> Any:
    return x.reshape(shape)


@_reshape.gradient("x")
def _(dy: Tensor, x_shape: tuple[int, ...]) -> Tensor:
    return reshape(dy, x_shape)


@primitive
def _transpose(backend: Any, x: Any, *, axes: tuple[int, ...]) -> Any:
    return x.transpose(axes)


@_transpose.gradient("x")
def _(dy: Tensor, axes: tuple[int, ...]) -> Tensor:
    inverse = [0] * len(axes)
    for position, axis in enumerate(axes):
        inverse[axis] = position
    return _transpose(dy, axes=tuple(inverse))


@primitive
def _flip(backend: Any, x: Any, *, axes: tuple[int, ...]) -> Any:
    return backend.xp.flip(x, axes)


@_flip.gradient("x")
def _(dy: Tensor, axes: tuple[int, ...]) -> Tensor:
    return _flip(dy, axes=axes)


@primitive
def _pad(backend: Any, x: Any, *, widths: tuple[tuple[int, int], ...], value: float) -> Any:
    return backend.xp.pad(x, widths, constant_values=x.dtype.type(value))


@_pad.gradient("x")
def _(dy: Tensor, x_shape: tuple[int, ...], widths: tuple[tuple[int, int], ...]) -> Tensor:
    return getitem(dy, tuple(slice(before, before + n) for (before, _), n in zip(widths, x_shape, strict=True)))


@primitive
def _getitem(backend: Any, x: Any, *, index: Any) -> Any:
    return x[index]


@_getitem.gradient("x")
def _(dy: Tensor, x_shape: tuple[int, ...], index: Any) -> Tensor:
    return _scatter(dy, shape=x_shape, index=index)


@primitive
def _scatter(backend: Any, x: Any, *, shape: tuple[int, ...], index: Any) -> Any:
    """Zeros of ``shape`` with ``x`` added at ``index``: where an index repeats, all of its elements count."""
    y = backend.xp.zeros(shape, x.dtype)
    if all(isinstance(part, int | slice | type(None) | type(...)) for part in index):
        y[index] = x
    else:
        backend.xp.add.at(y, index, x)
    return y


@_scatter.gradient("x")
def _(dy: Tensor, index: Any) -> Tensor:
    return _getitem(dy, index=index)


def getitem(x: Any, index: Any) -> Tensor:
    """``x[index]`` with NumPy's rules: ints, slices, None, ..., boolean masks and integer arrays."""
    tensor = tensor_of(x)
    parts = index if isinstance(index, tuple) else (index,)
    return _getitem(tensor, index=tuple(_plain(part, tensor) for part in parts))


def _plain(part: Any, like: Tensor) -> Any:
    if isinstance(part, list):
        part = np.asarray(part)
    if isinstance(part, np.ndarray) and like.device.kind != "cpu":
        part = Tensor(part, device=like.device)
    if not isinstance(part, Tensor):
        return part
    if part.dtype.kind == "b" and like.device.kind != "cpu":
        audit.waited()  # for the number of elements that a mask keeps
    return part.data


def reshape(x: Any, newshape: int | Sequence[int]) -> Tensor:
    """``x`` with another shape of the same size; one size may be -1.

    Raises ``ValueError`` with both shapes if they do not hold the same number of elements.

    >>> reshape(Tensor([1, 2, 3, 4]), (2, -1)).shape
    (2, 2)
    """
    tensor = tensor_of(x)
    shape = (newshape,) if isinstance(newshape, int) else tuple(int(size) for size in newshape)
    if shape == tensor.shape:
        return tensor
    known = math.prod(size for size in shape if size != -1)
    if shape.count(-1) > 1 or (tensor.size != known if -1 not in shape else known == 0 or tensor.size % known):
        raise ValueError(f"reshape: {tensor.shape} has {tensor.size} elements, which do not fill {shape}.")
    return _reshape(tensor, shape=shape)


def transpose(x: Any, axes: Sequence[int] | None = None) -> Tensor:
    """``x`` with its axes in another order, reversed by default. A view: no element moves."""
    tensor = tensor_of(x)
    order = tuple(reversed(range(tensor.ndim))) if axes is None else tuple(a % tensor.ndim for a in axes)
    if sorted(order) != list(range(tensor.ndim)):
        raise ValueError(f"transpose: axes {axes} are not a permutation of the axes of shape {tensor.shape}.")
    return _transpose(tensor, axes=order)


def moveaxis(x: Any, source: int, destination: int) -> Tensor:
    """``x`` with one axis moved to another place, the others in order."""
    tensor = tensor_of(x)
    order = [axis for axis in range(tensor.ndim) if axis != source % tensor.ndim]
    order.insert(destination % tensor.ndim, source % tensor.ndim)
    return transpose(tensor, order)


def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """``x`` with two axes exchanged."""
    tensor = tensor_of(x)
    order = list(range(tensor.ndim))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return transpose(tensor, order)


def expand_dims(x: Any, axis: int) -> Tensor:
    """``x`` with a new axis of length one at ``axis``."""
    tensor = tensor_of(x)
    at = axis % (tensor.ndim + 1)
    return reshape(tensor, (*tensor.shape[:at], 1, *tensor.shape[at:]))


def squeeze(x: Any, axis: int | Sequence[int] | None = None) -> Tensor:
    """``x`` without its axes of length one, or without those named. Raises ``ValueError`` if one is longer."""
    tensor = tensor_of(x)
    if axis is None:
        gone = {i for i, size in enumerate(tensor.shape) if size == 1}
    else:
        gone = {a % tensor.ndim for a in ((axis,) if isinstance(axis, int) else axis)}
    longer = [a for a in gone if tensor.shape[a] != 1]
    if longer:
        raise ValueError(f"squeeze: axes {longer} of shape {tensor.shape} are longer than one.")
    return reshape(tensor, tuple(size for i, size in enumerate(tensor.shape) if i not in gone))


def flip(x: Any, axis: int | Sequence[int] | None = None) -> Tensor:
    """``x`` in reverse order along ``axis``."""
    tensor = tensor_of(x)
    axes = range(tensor.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    return _flip(tensor, axes=tuple(a % tensor.ndim for a in axes))


def pad(x: Any, pad_width: Sequence[Sequence[int]], constant_values: float = 0.0) -> Tensor:
    """``x`` with (before, after) elements of a constant added on each axis."""
    tensor = tensor_of(x)
    widths = tuple((int(before), int(after)) for before, after in pad_width)
    if len(widths) != tensor.ndim or any(n < 0 for ends in widths for n in ends):
        raise ValueError(
            f"pad: shape {tensor.shape} needs {tensor.ndim} pairs (before, after), none negative; got {pad_width}."
        )
    return _pad(tensor, widths=widths, value=constant_values)


@primitive
def _concatenate(backend: Any, *xs: Any, axis: int) -> Any:
    return backend.xp.concatenate(xs, axis)


@_concatenate.gradient("xs")
def _(dy: Tensor, xs_shape: tuple[tuple[int, ...], ...], axis: int) -> list[Tensor]:
    parts, start = [], 0
    for shape in xs_shape:
        parts.append(getitem(dy, (slice(None),) * axis + (slice(start, start + shape[axis]),)))
        start += shape[axis]
    return parts


def concatenate(xs: Sequence[Any], axis: int = -1) -> Tensor:
    """``xs`` joined along ``axis``; their other sizes must agree. Raises ``ValueError`` with the shapes if not."""
    tensors = _of_one_dtype(xs, "concatenate")
    rank = tensors[0].ndim
    if not -rank <= axis < rank:
        raise ValueError(f"concatenate: axis {axis} is not one of tensors of rank {rank}.")
    at = axis % rank
    outlines = {(*t.shape[:at], *t.shape[at + 1 :]) for t in tensors}
    if len(outlines) != 1 or len({t.ndim for t in tensors}) != 1:
        raise ValueError(
            f"concatenate: shapes may differ along axis {axis} only; got {', '.join(str(t.shape) for t in tensors)}."
        )
    return _concatenate(*tensors, axis=at)


def stack(xs: Sequence[Any], axis: int = 0) -> Tensor:
    """``xs``, all of one shape, along a new axis."""
    tensors = _of_one_dtype(xs, "stack")
    if len({t.shape for t in tensors}) != 1:
        raise ValueError(f"stack: shapes must agree; got {', '.join(str(t.shape) for t in tensors)}.")
    return concatenate([expand_dims(t, axis % (t.ndim + 1)) for t in tensors], axis % (tensors[0].ndim + 1))


def split(x: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """``x`` cut along ``axis`` into equal sections, or at the given indices."""
    tensor = tensor_of(x)
    at = axis % tensor.ndim
    if isinstance(indices_or_sections, int):
        if tensor.shape[at] % indices_or_sections:
            raise ValueError(f"split: axis {axis} of {tensor.shape} has no {indices_or_sections} equal sections.")
        step = tensor.shape[at] // indices_or_sections
        ends = list(range(0, tensor.shape[at] + 1, step))
    else:
        ends = [0, *indices_or_sections, tensor.shape[at]]
    return [getitem(tensor, (slice(None),) * at + (slice(start, stop),)) for start, stop in itertools.pairwise(ends)]


def _of_one_dtype(xs: Sequence[Any], op: str) -> list[Tensor]:
    if len(xs) == 0:
        raise ValueError(f"{op}: expected at least one tensor; got none.")
    like = next((x for x in xs if isinstance(x, Tensor)), None)
    tensors = [tensor_of(x, like) for x in xs]
    dtype = tensors[0].dtype
    for tensor in tensors[1:]:
        dtype = result_dtype(dtype, tensor.dtype)
    return [cast(tensor, dtype) for tensor in tensors]
