"""The same elements in another arrangement, and parts of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from deepcore.autograd.primitive import primitive
from deepcore.backend import audit
from deepcore.ops.operand import cast, result_dtype, tensor_of, whole_axis
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


def put_into_zeros(x: Tensor, shape: tuple[int, ...], index: tuple[Any, ...]) -> Tensor:
    """Zeros of ``shape`` with ``x`` added at ``index``, which is made of slices and integer arrays: the gradient of
    ``getitem``, and the other way round."""
    return _scatter(x, shape=shape, index=index)


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
    if isinstance(newshape, tuple) and newshape == tensor.shape:
        return tensor
    shape = (newshape,) if isinstance(newshape, int) else tuple([int(size) for size in newshape])
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
    if order == tuple(range(tensor.ndim)):
        return tensor
    if sorted(order) != list(range(tensor.ndim)):
        raise ValueError(f"transpose: axes {axes} are not a permutation of the axes of shape {tensor.shape}.")
    return _transpose(tensor, axes=order)


def moveaxis(x: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """``x`` with one axis, or several, moved to other places, the others in order."""
    tensor = tensor_of(x)
    if source == destination and isinstance(source, int) and -tensor.ndim <= source < tensor.ndim:
        return tensor
    moved = [whole_axis(a, tensor.ndim, "moveaxis") for a in _several(source)]
    places = [whole_axis(a, tensor.ndim, "moveaxis") for a in _several(destination)]
    if len(moved) != len(places) or len(set(moved)) != len(moved) or len(set(places)) != len(places):
        raise ValueError(
            f"moveaxis: expected as many distinct places as axes; got source={source}, destination={destination}."
        )
    order = [axis for axis in range(tensor.ndim) if axis not in moved]
    for place, axis in sorted(zip(places, moved, strict=True)):
        order.insert(place, axis)
    return transpose(tensor, order)


def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """``x`` with two axes exchanged."""
    tensor = tensor_of(x)
    first, second = whole_axis(axis1, tensor.ndim, "swapaxes"), whole_axis(axis2, tensor.ndim, "swapaxes")
    order = list(range(tensor.ndim))
    order[first], order[second] = second, first
    return transpose(tensor, order)


def ravel(x: Any) -> Tensor:
    """``x`` with a single axis that holds all of its elements in order."""
    return reshape(x, (-1,)) if tensor_of(x).size else reshape(x, (0,))


def expand_dims(x: Any, axis: int | Sequence[int]) -> Tensor:
    """``x`` with new axes of length one; ``axis`` says where they stand in the result."""
    tensor = tensor_of(x)
    given = _several(axis)
    rank = tensor.ndim + len(given)
    places = [whole_axis(a, rank, "expand_dims") for a in given]
    if len(set(places)) != len(places):
        raise ValueError(f"expand_dims: axis {axis!r} names a place twice.")
    sizes = iter(tensor.shape)
    return reshape(tensor, tuple(1 if place in places else next(sizes) for place in range(rank)))


def squeeze(x: Any, axis: int | Sequence[int] | None = None) -> Tensor:
    """``x`` without its axes of length one, or without those named. Raises ``ValueError`` if one is longer."""
    tensor = tensor_of(x)
    if axis is None:
        gone = {i for i, size in enumerate(tensor.shape) if size == 1}
    else:
        gone = {whole_axis(a, tensor.ndim, "squeeze") for a in _several(axis)}
    longer = [a for a in gone if tensor.shape[a] != 1]
    if longer:
        raise ValueError(f"squeeze: axes {longer} of shape {tensor.shape} are longer than one.")
    return reshape(tensor, tuple(size for i, size in enumerate(tensor.shape) if i not in gone))


def flip(x: Any, axis: int | Sequence[int] | None = None) -> Tensor:
    """``x`` in reverse order along ``axis``."""
    tensor = tensor_of(x)
    axes = range(tensor.ndim) if axis is None else _several(axis)
    return _flip(tensor, axes=tuple(whole_axis(a, tensor.ndim, "flip") for a in axes))


def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: float | None = None) -> Tensor:
    """``x`` with elements added before and after it on each axis.

    Args:
        x: a tensor of any shape.
        pad_width: (before, after) for each axis; or one pair, or one number, for all.
        mode: what is added: ``"constant"``, or elements of ``x``: ``"edge"``, ``"reflect"`` (mirrored at the last
            element), ``"symmetric"`` (mirrored behind it), ``"wrap"``.
        constant_values: the constant, 0 by default.

    Raises ``ValueError`` for widths that are negative or do not fit the axes, and a constant in another mode.
    """
    tensor = tensor_of(x)
    if constant_values is not None and mode != "constant":
        raise ValueError(f"pad: constant_values belong to mode='constant'; got mode={mode!r}.")
    try:
        widths = tuple((int(n), int(m)) for n, m in np.broadcast_to(np.asarray(pad_width), (tensor.ndim, 2)))
    except ValueError:
        widths = ((-1, -1),)
    if any(n < 0 for ends in widths for n in ends):
        raise ValueError(
            f"pad: shape {tensor.shape} needs {tensor.ndim} pairs (before, after), none negative; got {pad_width}."
        )
    if mode == "constant":
        return _pad(tensor, widths=widths, value=0 if constant_values is None else constant_values)
    if mode not in ("edge", "reflect", "symmetric", "wrap"):
        raise ValueError(f"pad: mode must be 'constant', 'edge', 'reflect', 'symmetric' or 'wrap'; got {mode!r}.")
    xp = tensor.device.backend.xp
    for axis, ends in enumerate(widths):
        if ends != (0, 0):
            positions = xp.pad(xp.arange(tensor.shape[axis]), ends, mode=mode)
            tensor = getitem(tensor, (slice(None),) * axis + (positions,))
    return tensor


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


def concatenate(xs: Sequence[Any], axis: int | None = 0) -> Tensor:
    """``xs`` joined along ``axis``, or flattened and joined for None; their other sizes must agree.

    Raises ``ValueError`` with the shapes if they do not.
    """
    tensors = _of_one_dtype(xs, "concatenate")
    if axis is None:
        tensors, axis = [ravel(tensor) for tensor in tensors], 0
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


def stack(x: Sequence[Any], axis: int = 0) -> Tensor:
    """The tensors ``x``, all of one shape, along a new axis."""
    tensors = _of_one_dtype(x, "stack")
    if len({t.shape for t in tensors}) != 1:
        raise ValueError(f"stack: shapes must agree; got {', '.join(str(t.shape) for t in tensors)}.")
    at = whole_axis(axis, tensors[0].ndim + 1, "stack")
    return concatenate([expand_dims(t, at) for t in tensors], at)


def split(x: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """``x`` cut along ``axis`` into equal sections, or at the given indices."""
    tensor = tensor_of(x)
    at = whole_axis(axis, tensor.ndim, "split")
    if isinstance(indices_or_sections, int):
        if indices_or_sections < 1 or tensor.shape[at] % indices_or_sections:
            raise ValueError(f"split: axis {axis} of {tensor.shape} has no {indices_or_sections} equal sections.")
        step = tensor.shape[at] // indices_or_sections
        ends = [step * i for i in range(indices_or_sections + 1)]
    else:
        ends = [0, *(int(index) for index in indices_or_sections), tensor.shape[at]]
    return [getitem(tensor, (slice(None),) * at + (slice(start, stop),)) for start, stop in itertools.pairwise(ends)]


def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """Along ``axis`` the elements ``indices``, a row of them for each row of ``x``; of the flattened tensor by default.

    ``indices`` are integers, not below -length, of the rank of ``x``; the other sizes broadcast. Where an element is
    taken several times, its gradient is the sum.
    """
    tensor, positions = tensor_of(x), tensor_of(indices)
    if axis is None:
        return getitem(ravel(tensor), ravel(positions))
    at = whole_axis(axis, tensor.ndim, "take_along_axis")
    if positions.ndim != tensor.ndim or any(
        n != m and n != 1 and a != at for a, (n, m) in enumerate(zip(positions.shape, tensor.shape, strict=True))
    ):
        raise ValueError(
            f"take_along_axis: indices must have the rank of x, and its sizes (or 1) along other axes than {axis}; got "
            f"shapes {positions.shape} and {tensor.shape}."
        )
    xp = tensor.device.backend.xp
    rows = [xp.arange(n).reshape((1,) * a + (n,) + (1,) * (tensor.ndim - a - 1)) for a, n in enumerate(tensor.shape)]
    return getitem(tensor, (*rows[:at], positions, *rows[at + 1 :]))


def _several(axis: int | Sequence[int]) -> tuple[int, ...]:
    return (axis,) if isinstance(axis, int) else tuple(axis)


def _of_one_dtype(xs: Sequence[Any], op: str) -> list[Tensor]:
    if len(xs) == 0:
        raise ValueError(f"{op}: expected at least one tensor; got none.")
    like = next((x for x in xs if isinstance(x, Tensor)), None)
    tensors = [tensor_of(x, like) for x in xs]
    dtype = tensors[0].dtype
    for tensor in tensors[1:]:
        dtype = result_dtype(dtype, tensor.dtype)
    return [cast(tensor, dtype) for tensor in tensors]
