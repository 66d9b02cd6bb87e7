"""The gradient at an input of few channels, by overlap-add: plans for ``kernels/cpu/tasks/overlap.py``.

What one pixel of dy gives to one row of dx are S * C neighbouring elements, for a window of S columns and C channels:
they fill vectors which C channels alone would not, and padding costs nothing. A tile sums them over the rows and
channels of dy that reach the row of dx; then the runs of neighbouring pixels are added where they overlap. float32.
"""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np

from deepcore.backend.numpy.channels import Channels
from deepcore.backend.numpy.columns import Columns
from deepcore.backend.numpy.plans import PLANS, tasks_wanted
from deepcore.backend.numpy.weights import pack
from deepcore.backend.numpy.window import Axis, phase
from deepcore.kernels.cpu.fold import Fold, fold, row_vectors
from deepcore.kernels.cpu.host import ITEM, has_slow_masks, host
from deepcore.kernels.cpu.launch import Launch
from deepcore.kernels.cpu.record import OVERLAP, TILE, address
from deepcore.kernels.cpu.tile import most_rows

PRODUCTS_OF_AN_ADDITION = 3  # that take as long as one vector of a pixel takes to be added to a row of dx


def input_gradient(dy: np.ndarray, w: np.ndarray, rows: Axis, cols: Axis, dx: np.ndarray) -> None:
    """Writes the gradient at x to ``dx`` [N, H, W, C], from dy [N, P, Q, K] and w [R, S, C, K], all C-contiguous."""
    _, columns, channels, outputs = w.shape
    for i in range(min(rows.stride, rows.size)):
        target = dx[:, i :: rows.stride]
        vertical = phase(rows, i)
        if vertical is None:
            target[...] = 0
            continue
        taps = w[vertical[0]][::-1]
        runs = len(taps) if _reaches_all_at_once(vertical[1], cols, channels, outputs) else 1
        taps = taps.reshape(1, -1, 1, runs * columns * channels, outputs).transpose(0, 1, 2, 4, 3)
        plan = _plan(dy.shape, target.shape, target.strides, vertical[1], cols, runs, tasks_wanted())
        packed = pack(taps, Channels.of(runs * columns * channels))
        plan(address(dy), address(target), address(packed))


def _fold(channels: int, cols: Axis, runs: int = 1) -> Fold:
    return Fold(
        cols.outputs, cols.taps * channels, cols.stride * channels, cols.before * channels, cols.size * channels, runs
    )


@functools.lru_cache(PLANS)
def _reaches_all_at_once(rows: Axis, cols: Axis, channels: int, outputs: int) -> bool:
    """Whether a pixel of dy makes what it gives to all rows of dx at once.

    Side by side they fill vectors better, but each is added to a row of dx that has been written before.
    """
    if rows.dilation > 1 or not has_slow_masks(host()):  # else the fold takes zeros for what is between the elements
        return False
    one = _fold(channels, cols)
    vectors = rows.taps * -(-one.reach // host().lanes) - -(-one.reach * rows.taps // host().lanes)
    added = sum(len(one.of(first, host().lanes)) for first in range(0, one.size, host().lanes))
    return vectors * outputs * cols.outputs > PRODUCTS_OF_AN_ADDITION * (rows.taps - 1) * added


@functools.lru_cache(PLANS)
def _plan(
    dy_shape: tuple[int, ...],
    dx_shape: tuple[int, ...],
    dx_strides: tuple[int, ...],
    rows: Axis,
    cols: Axis,
    runs_of_pixel: int,
    tasks: int,
) -> Launch:
    """``rows`` are those of dx, as they read dy: of stride 1. ``runs_of_pixel``: as many as these have taps, or 1."""
    images, _, columns, outputs = dy_shape
    overlapping = _fold(dx_shape[3], cols, runs_of_pixel)
    runs = Channels.of(overlapping.reach * runs_of_pixel)
    if has_slow_masks(host()):  # then tiles write whole vectors, and the fold leaves out what is in excess
        runs = replace(runs, lanes=host().lanes)
    pixel = row_vectors(overlapping, host()) * host().vector_bytes
    offsets = np.arange(rows.taps, dtype=np.int64) * (rows.dilation * columns * outputs * ITEM)
    zeros = np.zeros(runs.padded, np.float32)

    told = np.zeros((rows.taps + 1, 2), TILE)  # of so many rows of dy; of wide blocks, and of the last
    told["a_row"], told["a_step"], told["offsets"] = outputs * ITEM, ITEM, address(offsets)
    told["b_step"], told["steps"] = (runs.wide_bytes, runs.last_bytes), outputs
    told["runs"] = np.arange(rows.taps + 1)[:, np.newaxis]
    told["c_row"], told["lanes"] = pixel, runs.lanes
    told["floor"], told["ceiling"] = -np.inf, np.inf

    cut = Columns.of(columns, most_rows(runs.widest, host()))
    blocks = min(rows.outputs, -(-tasks // images))
    return Launch(
        OVERLAP,
        ("overlap", "overlap"),
        ("dy", "dx", "w"),
        images * blocks,
        pixel * columns + host().vector_bytes,
        (told, offsets, zeros),
        dy_image=dy_shape[1] * columns * outputs * ITEM,
        dy_row=columns * outputs * ITEM,
        dy_pixel=outputs * ITEM,
        dy_rows=dy_shape[1],
        dx_image=dx_strides[0],
        dx_row=dx_strides[1],
        size=overlapping.size * ITEM,
        rows=rows.outputs,
        before=rows.before,
        dilation=rows.dilation,
        taps=rows.taps,
        steps=outputs,
        blocks=blocks,
        told=address(told),
        part_bytes=told.strides[0],
        zeros=address(zeros),
        **runs.tiles(cut.rows, bool(cut.low)),
        wide=runs.wide,
        wide_bytes=runs.wide_bytes,
        wide_w=rows.taps // runs_of_pixel * outputs * runs.wide_bytes,
        last_bytes=runs.last_bytes,
        last_told=told.strides[1],
        tall=cut.tall,
        tall_rows=cut.rows,
        low=cut.low,
        fold=fold(overlapping),
        fold_added=fold(replace(overlapping, adds=True)) if runs_of_pixel > 1 else 0,
        run_bytes=overlapping.reach * ITEM if runs_of_pixel > 1 else 0,
        pixel=pixel,
        margin=host().vector_bytes,
    )
