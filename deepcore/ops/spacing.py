"""Numbers evenly spaced, and grids of them."""

from __future__ import annotations

from typing import Any

from deepcore.device import current_device
from deepcore.ops.elementwise import abs, add, broadcast_to, divide, log10, multiply, power, subtract
from deepcore.ops.operand import cast, floating, tensor_of
from deepcore.ops.rounding import sign
from deepcore.ops.shape import moveaxis, reshape, swapaxes
from deepcore.tensor import FLOATX, Tensor


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """``num`` numbers from ``start`` to ``stop``, equally far apart.

    Args:
        start, stop: numbers, or tensors that broadcast.
        num: how many.
        endpoint: whether ``stop`` is the last of them, or the one behind it.
        retstep: give (numbers, how far they are apart).
        dtype: of the result, float32 or the floating dtype of the tensors by default.
        axis: where the numbers stand in the result, if ``start`` and ``stop`` have axes.

    >>> linspace(0, 1, 5)
    Tensor([0.  , 0.25, 0.5 , 0.75, 1.  ], dtype=float32)
    """
    if num < 0:
        raise ValueError(f"linspace: num, how many numbers, must not be negative; got {num}.")
    gaps = num - 1 if endpoint else num
    if isinstance(start, int | float) and isinstance(stop, int | float):
        device = current_device()
        spaced = device.backend.xp.linspace(start, stop, num, endpoint=endpoint)
        numbers = cast(Tensor.wrap(spaced, device), FLOATX if dtype is None else dtype)
        return (numbers, tensor_of((stop - start) / gaps if gaps else float("nan"))) if retstep else numbers
    first, last = floating(start), floating(stop)
    distance = subtract(last, first)
    shares = reshape(_shares(num, gaps, distance), (num,) + (1,) * distance.ndim)
    # Both ends times a share: so the first and the last number are the ends themselves.
    numbers = add(multiply(first, subtract(1.0, shares)), multiply(last, shares))
    numbers = moveaxis(numbers, 0, axis)
    numbers = numbers if dtype is None else cast(numbers, dtype)
    return (numbers, divide(distance, float(gaps) if gaps else float("nan"))) if retstep else numbers


def _shares(num: int, gaps: int, like: Tensor) -> Tensor:
    """0, 1/gaps, 2/gaps, ... beside ``like`` and in its dtype."""
    shares = like.device.backend.xp.arange(num) / max(gaps, 1)
    return Tensor.wrap(shares.astype(like.dtype), like.device)


def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10, dtype: Any = None, axis: int = 0
) -> Tensor:
    """``base`` to the power of ``num`` numbers from ``start`` to ``stop``; arguments as for ``linspace``."""
    exponents = linspace(start, stop, num, endpoint, axis=axis)
    numbers = power(cast(tensor_of(base), exponents.dtype), exponents)
    return numbers if dtype is None else cast(numbers, dtype)


def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Tensor:
    """``num`` numbers from ``start`` to ``stop`` of one sign, each the same multiple of the one before."""
    first, last = floating(start), floating(stop)
    numbers = logspace(log10(abs(first)), log10(abs(last)), num, endpoint, axis=axis)
    numbers = multiply(numbers, sign(first))
    return numbers if dtype is None else cast(numbers, dtype)


def meshgrid(*x: Any, indexing: str = "xy") -> list[Tensor]:
    """The coordinates of every point of a grid: for each row of coordinates a tensor with an axis for each row.

    Args:
        x: coordinates along each axis; they are flattened.
        indexing: ``"ij"`` has the axes in the order of ``x``; ``"xy"`` exchanges the first two.

    Raises ``ValueError`` for another ``indexing``.
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing must be 'xy' or 'ij'; got {indexing!r}.")
    rows = [tensor_of(row) for row in x]
    shape = tuple(row.size for row in rows)
    grids = []
    for place, row in enumerate(rows):
        upright = reshape(row, tuple(-1 if a == place else 1 for a in range(len(rows))))
        grid = broadcast_to(upright, shape)
        grids.append(swapaxes(grid, 0, 1) if indexing == "xy" and len(rows) > 1 else grid)
    return grids
