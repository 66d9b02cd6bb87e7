"""The gradient of a strided convolution at its input, by register tiles: all phases of the strides at once.

The pixels of a phase, every stride-th of a row and of a column, are a convolution of the output's gradient with every
stride-th tap. That is little beside what a launch costs, and all of them read the same arrays: those of one image are
handed out together.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import as_strided

from deepcore.backend.geometry import Conv2DGeometry
from deepcore.backend.numpy.direct import channels_of, correlation
from deepcore.backend.numpy.memory import aligned
from deepcore.backend.numpy.plans import ITEM, PLANS, tasks_wanted, zeros
from deepcore.backend.numpy.weights import packing
from deepcore.backend.numpy.window import by_outputs, conv_phases
from deepcore.kernels.cpu.launch import Parts
from deepcore.kernels.cpu.record import address


@dataclass(frozen=True)
class _Plan:
    """What is decided for a geometry.

    Attributes:
        idle: rows and columns of the phases that no tap reads.
        pack: puts the weights of the others in order; takes the addresses of w and of what it writes.
        packed: floats of that.
        correlate: makes their pixels; takes the addresses of dy, dx, the packed weights and zeros.
    """

    idle: tuple[tuple[slice, slice], ...]
    pack: Parts
    packed: int
    correlate: Parts


def input_gradient(dy: np.ndarray, w: np.ndarray, geometry: Conv2DGeometry, dx: np.ndarray) -> None:
    """Writes dx [N, H, W, C], from dy [N, P, Q, K], C-contiguous float32, and w [R, S, C / groups, K] of any strides.

    dx is C-contiguous.
    """
    plan = _plan(geometry, w.strides, tasks_wanted())
    for rows, columns in plan.idle:
        dx[:, rows, columns] = 0
    if not plan.packed:
        return
    weights = aligned((plan.packed,), np.float32)
    plan.pack(address(w), address(weights))
    plan.correlate(address(dy), address(dx), address(weights), address(zeros(geometry.in_channels)))


@functools.lru_cache(PLANS)
def _plan(geometry: Conv2DGeometry, w_strides: tuple[int, ...], tasks: int) -> _Plan:
    g = geometry
    # Where the parts of arrays lie follows from others of the same strides, which nobody reads.
    dy_shape, dx = g.y_shape, np.empty(g.x_shape, np.float32)
    w = as_strided(np.empty(1, np.float32), g.w_shape, w_strides)
    idle, packs, pack_offsets, correlations, offsets, packed = [], [], [], [], [], 0
    found = list(conv_phases(g))
    for pixels, taps, axes in found:
        if taps is None or axes is None:
            idle.append(pixels)
            continue
        target, some = dx[:, pixels[0], pixels[1]], by_outputs(w[taps], g.groups)
        channels = channels_of(some.shape, axes[1])
        packs.append(packing(some.shape, some.strides, channels))
        pack_offsets.append((address(some) - address(w), packed * ITEM))
        correlations.append(
            correlation(dy_shape, some.shape, None, *axes, target.strides, "linear", -(-tasks // len(found)))
        )
        offsets.append((0, address(target) - address(dx), packed * ITEM, 0))
        packed += g.groups * math.prod(some.shape[1:4]) * channels.padded
    return _Plan(tuple(idle), Parts(packs, pack_offsets), packed, Parts(correlations, offsets))
