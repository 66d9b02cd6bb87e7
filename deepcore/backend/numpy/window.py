"""Sliding windows, one axis at a time: which outputs a tap of the window serves, and where it reads.

Convolution and pooling read padding that no array holds; here the padding is cut out of the index ranges instead.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from deepcore.backend.geometry import Conv2DGeometry, Pool2DGeometry

NOTHING = (slice(0, 0), slice(0, 0))
AXES = 1000  # kept: of the convolutions of a few networks


@dataclass(frozen=True)
class Axis:
    """Output p reads, with each tap t, input ``p * stride + t * dilation - before`` where that is inside the input.

    Attributes:
        size: inputs.
        outputs: windows.
        taps: inputs that a window reads.
        stride: inputs from one window to the next.
        dilation: inputs from one tap to the next.
        before: padding in front of the input; negative where the first window starts inside it.
    """

    size: int
    outputs: int
    taps: int
    stride: int = 1
    dilation: int = 1
    before: int = 0

    def span(self, tap: int, first: int = 0, last: int | None = None) -> tuple[slice, slice]:
        """The outputs of ``first`` to ``last`` for which ``tap`` is inside the input, and the inputs it reads there.

        The outputs are counted from ``first``.

        >>> Axis(size=5, outputs=3, taps=3, stride=2, before=1).span(0)
        (slice(1, 3, None), slice(1, 4, 2))
        """
        offset = tap * self.dilation - self.before
        low = max(first, -(offset // self.stride))
        high = min(self.outputs if last is None else last, (self.size - 1 - offset) // self.stride + 1)
        if low >= high:
            return NOTHING
        begin = low * self.stride + offset
        return slice(low - first, high - first), slice(begin, begin + (high - low - 1) * self.stride + 1, self.stride)

    def taps_inside(self, output: int) -> range:
        """The taps with which an output reads the input, and no padding.

        >>> Axis(size=5, outputs=3, taps=3, stride=2, before=1).taps_inside(0)
        range(1, 3)
        """
        offset = self.before - output * self.stride
        return range(max(0, -(-offset // self.dilation)), min(self.taps, (self.size - 1 + offset) // self.dilation + 1))

    @property
    def stays_inside(self) -> bool:
        """Whether no window reads padding."""
        reach = (self.outputs - 1) * self.stride + (self.taps - 1) * self.dilation - self.before
        return self.before <= 0 and reach < self.size


@functools.lru_cache(AXES)
def conv_axes(geometry: Conv2DGeometry) -> tuple[Axis, Axis]:
    """The vertical and the horizontal axis of a convolution."""
    g = geometry
    return (
        Axis(g.height, g.out_height, g.kernel_height, g.strides[0], g.dilation[0], g.padding[0][0]),
        Axis(g.width, g.out_width, g.kernel_width, g.strides[1], g.dilation[1], g.padding[1][0]),
    )


def pool_axes(geometry: Pool2DGeometry) -> tuple[Axis, Axis]:
    """The vertical and the horizontal axis of a pooling."""
    g = geometry
    return (
        Axis(g.height, g.out_height, g.window[0], g.strides[0], 1, g.padding[0][0]),
        Axis(g.width, g.out_width, g.window[1], g.strides[1], 1, g.padding[1][0]),
    )


def phase(axis: Axis, first: int) -> tuple[slice, Axis] | None:
    """The inputs ``first``, ``first + stride``, ... of ``axis``: the taps that read them, and how they read y in turn.

    Input h is read by output p with tap r where h + before = p * stride + r * dilation. Within one phase of h the
    taps that can solve this are every (stride / gcd)-th, and from one to the next p falls by dilation / gcd: gathering
    from y, last tap first, is a window of stride 1. None where no tap reads the phase (a stride beyond the window).
    """
    common = math.gcd(axis.stride, axis.dilation)
    step, dilation = axis.stride // common, axis.dilation // common
    taps = [r for r in range(min(step, axis.taps)) if (first + axis.before - r * axis.dilation) % axis.stride == 0]
    if not taps:
        return None
    chosen = slice(taps[0], None, step)
    count = len(range(axis.taps)[chosen])
    output_of_first = (first + axis.before - taps[0] * axis.dilation) // axis.stride
    inputs = len(range(first, axis.size, axis.stride))
    return chosen, Axis(axis.outputs, inputs, count, 1, dilation, (count - 1) * dilation - output_of_first)


def conv_phases(
    geometry: Conv2DGeometry,
) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice] | None, tuple[Axis, Axis] | None]]:
    """The way back through a convolution: for each phase of the strides its rows and columns of the input, the taps
    that read them, and how windows of these lie on the output; None twice where no tap reads the phase."""
    rows, cols = conv_axes(geometry)
    for i in range(min(rows.stride, rows.size)):
        for j in range(min(cols.stride, cols.size)):
            pixels = slice(i, None, rows.stride), slice(j, None, cols.stride)
            vertical, horizontal = phase(rows, i), phase(cols, j)
            if vertical is None or horizontal is None:
                yield pixels, None, None
            else:
                yield pixels, (vertical[0], horizontal[0]), (vertical[1], horizontal[1])


def by_outputs(w: np.ndarray, groups: int) -> np.ndarray:
    """The weights of the way back: w [R, S, C / groups, K] as [groups, R, S, K / groups, C / groups], last taps first.

    A view.
    """
    return w[::-1, ::-1].reshape(*w.shape[:3], groups, -1).transpose(3, 0, 1, 4, 2)


@dataclass(frozen=True)
class Block:
    """Output rows ``first`` to ``last`` of the images ``start`` to ``stop``; all rows if several images."""

    start: int
    stop: int
    first: int
    last: int

    @property
    def part(self) -> tuple[slice, slice]:
        """Index of the block in an array [images, rows, ...]."""
        return slice(self.start, self.stop), slice(self.first, self.last)

    @property
    def rows(self) -> int:
        return (self.stop - self.start) * (self.last - self.first)


def blocks(images: int, rows: int, row_bytes: int, budget: int) -> Iterator[Block]:
    """Cuts ``rows`` rows of each image into blocks of at most ``budget`` bytes, but of one row at least."""
    fitting = max(1, budget // row_bytes)
    if fitting >= rows:
        step = fitting // rows
        for start in range(0, images, step):
            yield Block(start, min(start + step, images), 0, rows)
    else:
        for image in range(images):
            for first in range(0, rows, fitting):
                yield Block(image, image + 1, first, min(first + fitting, rows))
