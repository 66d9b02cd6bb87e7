"""Values between the pixels, and images seen through a linear or a projective map."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from deepcore.errors import unknown_name
from deepcore.ops.elementwise import broadcast_to, where, zeros_like
from deepcore.ops.operand import cast, floating, operands, tensor_of
from deepcore.ops.resampling import check_images
from deepcore.ops.rounding import floor, round
from deepcore.ops.shape import expand_dims, getitem, moveaxis, reshape, squeeze
from deepcore.ops.spatial import data_format_of
from deepcore.tensor import FLOATX, Tensor

FILL_MODES = ("constant", "nearest", "wrap", "mirror", "reflect")
ORDERS = {"nearest": 0, "bilinear": 1}


def _within(xp: Any, index: Any, size: int, fill_mode: str) -> Any:
    """Whole numbers as positions from 0 to ``size`` - 1, those outside as ``fill_mode`` continues the axis."""
    if fill_mode == "wrap":
        return index % size
    if fill_mode == "reflect":  # d c b a | a b c d | d c b a
        index = index % (2 * size)
        return xp.minimum(index, 2 * size - 1 - index)
    if fill_mode == "mirror":  # d c b | a b c d | c b a
        period = max(2 * size - 2, 1)
        index = index % period
        return xp.minimum(index, period - index) if size > 1 else index * 0
    return xp.clip(index, 0, size - 1)


def _interpolated(
    x: Tensor, leading: Sequence[Any], coordinates: Sequence[Tensor], order: int, fill_mode: str, fill_value: float
) -> Tensor:
    """x[leading, coordinates, ...] with coordinates between the elements: [*coordinates.shape, rest of x's axes].

    Linear in x, and piecewise linear in the coordinates, whose gradient is that of the piece.
    """
    xp = x.device.backend.xp
    sizes = x.shape[len(leading) : len(leading) + len(coordinates)]
    trailing = (1,) * (x.ndim - len(leading) - len(coordinates))

    def widened(t: Tensor) -> Tensor:
        return reshape(t, (*t.shape, *trailing))

    corners: list[list[tuple[Any, Tensor | None]]] = []  # for each axis: (positions, weight) of the neighbours
    for c in coordinates:
        below = round(c.detach()) if order == 0 else floor(c.detach())
        start = below.data.astype(np.int64)
        if order == 0:
            corners.append([(start, None)])
        else:
            beyond = cast(c - below, x.dtype)
            corners.append([(start, 1 - beyond), (start + 1, beyond)])
    total: Tensor | None = None
    for choice in itertools.product(*corners):
        index = tuple(_within(xp, i, n, fill_mode) for (i, _), n in zip(choice, sizes, strict=True))
        values = getitem(x, (*leading, *index))
        if fill_mode == "constant":
            inside = functools.reduce(
                operator.and_, ((i >= 0) & (i < n) for (i, _), n in zip(choice, sizes, strict=True))
            )
            values = where(widened(Tensor.wrap(inside, x.device)), values, fill_value)
        for _, weight in choice:
            values = values if weight is None else values * widened(weight)
        total = values if total is None else total + values
    assert total is not None
    return total


def _check_fill_mode(fill_mode: str) -> None:
    if fill_mode not in FILL_MODES:
        raise unknown_name("fill_mode", fill_mode, FILL_MODES)


def map_coordinates(
    inputs: Any, coordinates: Any, order: int, fill_mode: str = "constant", fill_value: float = 0.0
) -> Tensor:
    """The values of an array at coordinates between its elements.

    Args:
        inputs: an array of any rank.
        coordinates: [rank, ...]: along each axis of ``inputs`` a coordinate, for each element of the result.
        order: 0 for the nearest element, 1 for linear interpolation.
        fill_mode: what is outside: ``"constant"`` (``fill_value``), ``"nearest"`` (the edge), ``"wrap"`` (the other
            side), ``"mirror"`` (reflected about the middle of the edge's element) or ``"reflect"`` (about its end).

    Returns [...] of the inputs' dtype, integers rounded. Raises ``ValueError`` for coordinates of another rank, and for
    an unknown order or mode.

    >>> map_coordinates([0.0, 10.0, 20.0], [[0.5, 1.75]], order=1)
    Tensor([ 5. , 17.5], dtype=float32)
    """
    tensor = tensor_of(inputs)
    where_to = floating(tensor_of(coordinates, like=tensor))
    if where_to.ndim < 2 or where_to.shape[0] != tensor.ndim:
        raise ValueError(
            f"map_coordinates: inputs of shape {tensor.shape} need coordinates [{tensor.ndim}, ...] of rank 2 or more; "
            f"got shape {where_to.shape}."
        )
    if order not in (0, 1):
        raise ValueError(f"map_coordinates: order must be 0 or 1; got {order!r}.")
    _check_fill_mode(fill_mode)
    x = floating(tensor)
    y = _interpolated(x, (), [where_to[i] for i in range(x.ndim)], order, fill_mode, fill_value)
    return y if tensor.dtype.kind == "f" else cast(round(y), tensor.dtype)


def _mapped(
    op: str,
    images: Tensor,
    matrix: Sequence[Tensor],
    interpolation: str,
    fill_mode: str,
    fill_value: float,
    data_format: str | None,
) -> Tensor:
    """Images whose pixel (x, y) is the given one's at the projective map ``matrix`` of it: nine numbers [batch]."""
    check_images(op, images)
    if interpolation not in ORDERS:
        raise unknown_name("interpolation", interpolation, tuple(ORDERS))
    _check_fill_mode(fill_mode)
    first = data_format_of(data_format) == "channels_first"
    batch = images if images.ndim == 4 else expand_dims(images, 0)
    pixels = floating(moveaxis(batch, 1, -1) if first else batch)
    n, height, width, _ = pixels.shape
    if matrix[0].size not in (1, n):
        raise ValueError(f"{op}: {n} images need one map, or {n}; got {matrix[0].size}.")
    xp, kind = pixels.device.backend.xp, matrix[0].dtype
    columns = Tensor.wrap(xp.arange(width, dtype=kind), pixels.device)
    rows = Tensor.wrap(xp.arange(height, dtype=kind).reshape(height, 1), pixels.device)
    xx, xy, x0, yx, yy, y0, px, py, one = (reshape(entry, (-1, 1, 1)) for entry in matrix)
    depth = px * columns + py * rows + one
    shape = (n, height, width)
    across = broadcast_to((xx * columns + xy * rows + x0) / depth, shape)
    down = broadcast_to((yx * columns + yy * rows + y0) / depth, shape)
    which = xp.arange(n).reshape(n, 1, 1)
    y = _interpolated(pixels, (which,), (down, across), ORDERS[interpolation], fill_mode, fill_value)
    y = moveaxis(y, -1, 1) if first else y
    y = y if images.ndim == 4 else squeeze(y, 0)
    return y if images.dtype.kind == "f" else cast(round(y), images.dtype)


def affine_transform(
    images: Any,
    transform: Any,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Tensor:
    """Images seen through a map of their pixels.

    Args:
        images: [height, width, channels] or [batch, height, width, channels]; channels before the height with
            ``data_format="channels_first"``.
        transform: [8] or [batch, 8], each (a0, a1, a2, b0, b1, b2, c0, c1): the result's pixel (x, y) is the given
            image at ((a0 x + a1 y + a2) / k, (b0 x + b1 y + b2) / k) with k = c0 x + c1 y + 1.
        interpolation: ``"nearest"`` or ``"bilinear"``.
        fill_mode, fill_value: what is outside the image; see ``map_coordinates``.

    Raises ``ValueError`` for other ranks and names.
    """
    tensor = tensor_of(images)
    maps = floating(tensor_of(transform, like=tensor))
    if maps.ndim not in (1, 2) or maps.shape[-1] != 8:
        raise ValueError(f"affine_transform expects a transform [8] or [batch, 8]; got shape {maps.shape}.")
    maps = reshape(maps, (-1, 8))
    entries = [maps[:, i] for i in range(8)]
    entries.append(zeros_like(entries[0]) + 1)
    return _mapped("affine_transform", tensor, entries, interpolation, fill_mode, fill_value, data_format)


def perspective_transform(
    images: Any,
    start_points: Any,
    end_points: Any,
    interpolation: str = "bilinear",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Tensor:
    """Images seen through the projective map that takes four points to four others.

    Args:
        images: as for ``affine_transform``.
        start_points: [4, 2] or [batch, 4, 2], (x, y) of four points of the given image, no three on a line.
        end_points: where they are in the result, of the same shape.
        interpolation: ``"nearest"`` or ``"bilinear"``.
        fill_value: outside the image.

    Raises ``ValueError`` for other shapes and names. Heckbert 1989, Fundamentals of texture mapping and image warping.
    """
    tensor = tensor_of(images)
    start, end = operands(floating(tensor_of(start_points, like=tensor)), floating(tensor_of(end_points, like=tensor)))
    for name, points in (("start_points", start), ("end_points", end)):
        if points.ndim not in (2, 3) or points.shape[-2:] != (4, 2):
            raise ValueError(f"perspective_transform expects {name} [4, 2] or [batch, 4, 2]; got shape {points.shape}.")
    if start.shape != end.shape:
        raise ValueError(
            f"perspective_transform: start_points and end_points must have one shape; got {start.shape} and "
            f"{end.shape}."
        )
    wide = np.dtype("float64")  # a few numbers, whose differences are divided by differences
    to_start = _from_square(reshape(cast(start, wide), (-1, 4, 2)))
    back = _adjugate(_from_square(reshape(cast(end, wide), (-1, 4, 2))))
    product = [
        sum((to_start[3 * i + k] * back[3 * k + j] for k in range(1, 3)), to_start[3 * i] * back[j])
        for i in range(3)
        for j in range(3)
    ]
    kind = FLOATX if tensor.dtype.kind != "f" else tensor.dtype
    entries = [cast(entry / product[8], kind) for entry in product]
    return _mapped("perspective_transform", tensor, entries, interpolation, "constant", fill_value, data_format)


def _from_square(points: Tensor) -> list[Tensor]:
    """The nine numbers, row by row, of the map from the unit square's corners (0, 0), (1, 0), (1, 1), (0, 1)."""
    x = [points[:, i, 0] for i in range(4)]
    y = [points[:, i, 1] for i in range(4)]
    (ax, ay), (bx, by) = (x[1] - x[2], y[1] - y[2]), (x[3] - x[2], y[3] - y[2])
    sx, sy = x[0] - x[1] + x[2] - x[3], y[0] - y[1] + y[2] - y[3]
    area = ax * by - bx * ay
    g, h = (sx * by - bx * sy) / area, (ax * sy - sx * ay) / area
    return [
        *(x[1] - x[0] + g * x[1], x[3] - x[0] + h * x[3], x[0]),
        *(y[1] - y[0] + g * y[1], y[3] - y[0] + h * y[3], y[0]),
        *(g, h, zeros_like(g) + 1),
    ]


def _adjugate(m: Sequence[Tensor]) -> list[Tensor]:
    """The inverse of a 3x3 matrix, up to a factor, which a projective map does not see."""
    a, b, c, d, e, f, g, h, i = m
    return [
        *(e * i - f * h, c * h - b * i, b * f - c * e),
        *(f * g - d * i, a * i - c * g, c * d - a * f),
        *(d * h - e * g, b * g - a * h, a * e - b * d),
    ]
