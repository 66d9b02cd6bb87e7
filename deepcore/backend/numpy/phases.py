"""The gradient of a strided convolution at its input, by register tiles: all phases of the strides at once.

The pixels of a phase, every stride-th of a row and of a column, are a convolution of the output's gradient with every
stride-th tap. That is little beside what a launch costs, and all of them read the same arrays: those of one image are
handed out together, and with them the pixels that no window reads.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import as_strided

from deepcore.backend.geometry import Conv2DGeometry
from deepcore.backend.numpy.direct import channels_of, correlation
from deepcore.backend.numpy.memory import aligned
from deepcore.backend.numpy.plans import PLANS, tasks_wanted, zeros
from deepcore.backend.numpy.weights import packing
from deepcore.backend.numpy.window import by_outputs, conv_phases
from deepcore.kernels.cpu.host import ITEM
from deepcore.kernels.cpu.launch import Launch, Parts
from deepcore.kernels.cpu.record import BLANK, address


@dataclass(frozen=True)
class _Plan:
    """What is decided for a geometry.

    Attributes:
        pack: puts the weights in order; takes the addresses of w and of what it writes.
        packed: floats of that.
        correlate: makes all pixels; takes the addresses of dy, dx, the packed weights and zeros.
    """

    pack: Parts
    packed: int
    correlate: Parts


def input_gradient(dy: np.ndarray, w: np.ndarray, geometry: Conv2DGeometry, dx: np.ndarray) -> None:
    """Writes dx [N, H, W, C], from dy [N, P, Q, K], C-contiguous float32, and w [R, S, C / groups, K] of any strides.

    dx is C-contiguous.
    """
    plan = _plan(geometry, w.strides, tasks_wanted())
    weights = aligned((plan.packed,), np.float32)
    if plan.packed:
        plan.pack(address(w), address(weights))
    plan.correlate(address(dy), address(dx), address(weights), address(zeros(geometry.in_channels)))


@functools.lru_cache(PLANS)
def _plan(geometry: Conv2DGeometry, w_strides: tuple[int, ...], tasks: int) -> _Plan:
    g = geometry
    # Where the parts of arrays lie follows from others of the same strides, which nobody reads.
    dy_shape, dx = g.y_shape, np.empty(g.x_shape, np.float32)
    w = as_strided(np.empty(1, np.float32), g.w_shape, w_strides)
    packs, pack_offsets, correlations, packed = [], [], [], 0
    offsets: list[tuple[int | None, ...]] = []
    found = list(conv_phases(g))
    read = [(pixels, taps, axes) for pixels, taps, axes in found if taps is not None and axes is not None]
    for pixels, taps, axes in read:
        target, some = dx[:, pixels[0], pixels[1]], by_outputs(w[taps], g.groups)
        channels = channels_of(some.shape, axes[1])
        packs.append(packing(some.shape, some.strides, channels))
        pack_offsets.append((address(some) - address(w), packed * ITEM))
        correlations.append(
            correlation(dy_shape, some.shape, None, *axes, target.strides, "linear", -(-tasks // len(read)))
        )
        offsets.append((0, address(target) - address(dx), packed * ITEM, 0))
        packed += g.groups * math.prod(some.shape[1:4]) * channels.padded
    shares = max((part.count for part in correlations), default=tasks)
    idle = [pixels for pixels, taps, _ in found if taps is None]
    blanks = [dx[:, rows, columns] for rows, columns in _joined(idle, min(g.strides[1], g.width))]
    offsets += [(None, address(target) - address(dx), None, None) for target in blanks]
    correlate = Parts([*correlations, *(_blank(target, shares) for target in blanks)], offsets)
    return _Plan(Parts(packs, pack_offsets), packed, correlate)


def _joined(idle: list[tuple[slice, slice]], phases: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns that no tap reads, by phases of which a row has so many: whole rows at once."""
    for _, group in itertools.groupby(idle, key=lambda pixels: pixels[0].start):
        of_rows = list(group)
        yield from of_rows if len(of_rows) < phases else [(of_rows[0][0], slice(None))]


def _blank(target: np.ndarray, shares: int) -> Launch:
    """The launch that fills [N, P, Q, C] with zeros; takes its address."""
    images, rows, columns, depth = target.shape
    size = depth * ITEM
    if target.strides[2] == size:
        columns, size = 1, columns * size
    count = min(images * rows, shares)
    return Launch(
        BLANK,
        ("convolution", "blank"),
        ("y",),
        count,
        y_image=target.strides[0],
        y_row=target.strides[1],
        y_pixel=target.strides[2],
        pixel_bytes=size,
        columns=columns,
        rows=rows,
        all_rows=images * rows,
        tasks=count,
    )
