"""Depthwise convolution on vectors of channels: plans for the tasks of ``kernels/cpu``.

float32 only, one output a channel.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from deepcore.backend.numpy.activation import bias_activation_inplace
from deepcore.backend.numpy.direct import CLAMPS, CONFLICT, ITEM, PIECES, PLANS, Channels, Columns
from deepcore.backend.numpy.window import Axis
from deepcore.kernels.cpu import depthwise
from deepcore.kernels.cpu.depthwise import ACCUMULATED, OUTPUTS, Window
from deepcore.kernels.cpu.host import host
from deepcore.kernels.cpu.launch import Launch
from deepcore.kernels.cpu.record import DEPTHWISE, DEPTHWISE_WEIGHTS, address

ROWS_BYTES = 1 << 18  # of the input that a task walks over
INTERIOR = 8  # groups of outputs in a row, from which on those at its ends matter little
SUMS_BYTES = 1 << 20  # of partial gradients at the weights


def convolve(
    x: np.ndarray,
    w: np.ndarray,
    rows: Axis,
    cols: Axis,
    out: np.ndarray,
    bias: np.ndarray | None = None,
    activation: str = "linear",
) -> None:
    """Writes the depthwise convolution of x with w, and what follows it, to ``out``.

    Args:
        x: [N, H, W, C], C-contiguous float32.
        w: [R, S, C], of any strides.
        rows, cols: how windows lie on x.
        out: [N, P, Q, C], of any strides but that of the channels.
        bias: [C], or None.
        activation: one of the backend's ``ACTIVATIONS``; done in the same pass if it is one of ``CLAMPS``.
    """
    clamped = activation if activation in CLAMPS else "linear"
    plan, zeros = _convolution(x.shape, rows, cols, out.strides, clamped)
    w = np.ascontiguousarray(w)
    bias = zeros if bias is None else np.ascontiguousarray(bias)
    plan(address(x), address(out), address(w), address(bias))
    if activation != clamped:
        bias_activation_inplace(out, None, activation)


@functools.lru_cache(PLANS)
def _convolution(
    x_shape: tuple[int, ...], rows: Axis, cols: Axis, out_strides: tuple[int, ...], activation: str
) -> tuple[Launch, np.ndarray]:
    """The launch, and zeros to use as a bias."""
    channels = x_shape[3]
    zeros, clamp = np.zeros(channels, np.float32), np.array(CLAMPS[activation], np.float32)
    fields, scratch_bytes = _windows(x_shape, rows, cols, OUTPUTS, depthwise.convolve)
    launch = Launch(
        DEPTHWISE,
        ("depthwise", "convolve"),
        ("x", "y", "w", "bias"),
        x_shape[0] * fields["blocks"],
        scratch_bytes,
        (clamp, zeros),
        **fields,
        y_image=out_strides[0],
        y_row=out_strides[1],
        y_pixel=out_strides[2],
        clamp=address(clamp),
    )
    return launch, zeros


def weight_gradient(x: np.ndarray, dy: np.ndarray, rows: Axis, cols: Axis) -> np.ndarray:
    """dw [R, S, C] from x [N, H, W, C] and dy [N, P, Q, C], both C-contiguous float32."""
    plan, pieces = _weight_gradient(x.shape, rows, cols)
    sums = np.zeros((pieces, rows.taps, cols.taps, x.shape[3]), np.float32)
    plan(address(x), address(dy), address(sums))
    return sums[0] if pieces == 1 else sums.sum(axis=0)


@functools.lru_cache(PLANS)
def _weight_gradient(x_shape: tuple[int, ...], rows: Axis, cols: Axis) -> tuple[Launch, int]:
    """The launch, and how many sums it makes: as many as follow from the sizes, whatever the number of cores."""
    channels = x_shape[3]
    w_bytes = rows.taps * cols.taps * channels * ITEM
    fields, scratch_bytes = _windows(x_shape, rows, cols, ACCUMULATED, depthwise.accumulate)
    all_blocks = x_shape[0] * fields["blocks"]
    pieces = max(1, min(PIECES, all_blocks, SUMS_BYTES // w_bytes))
    launch = Launch(
        DEPTHWISE_WEIGHTS,
        ("depthwise", "weights"),
        ("x", "dy", "dw"),
        pieces,
        scratch_bytes,
        **fields,
        dy_row=cols.outputs * channels * ITEM,
        dw_piece=w_bytes,
        pieces=pieces,
        all_blocks=all_blocks,
    )
    return launch, pieces


def _windows(
    x_shape: tuple[int, ...], rows: Axis, cols: Axis, most: int, kernel: Callable[[Window, int, bool], int]
) -> tuple[dict[str, Any], int]:
    """What both tasks are told of windows, and how much memory of its own a worker needs.

    Windows read x in place, and those at the borders a patch that is made for them. Where most windows lie at borders,
    or the distance of pixels is a power of two so that they would meet in one set of the cache, the rows that a task
    reads are copied instead.
    """
    images, channels = x_shape[0], x_shape[3]
    every = Channels.together(channels)
    window = Window(rows.taps, cols.taps, cols.stride, cols.dilation)
    cut = Columns.of(cols.outputs, most)
    whole = every.last_vectors - every.tail
    reach_rows, reach_columns = (rows.taps - 1) * rows.dilation + 1, (cols.taps - 1) * cols.dilation + 1
    pixel = channels * ITEM

    most_rows = max(
        1, min(rows.outputs, ROWS_BYTES // (rows.stride * cols.size * pixel), images * rows.outputs // PIECES)
    )
    blocks = -(-rows.outputs // most_rows)
    task_rows = -(-rows.outputs // blocks)
    blocks = -(-rows.outputs // task_rows)
    copied = cut.tall + cut.low < INTERIOR or pixel % CONFLICT == 0
    window_pixel = pixel + host().vector_bytes if copied and pixel % CONFLICT == 0 else pixel
    columns = (cols.outputs if copied else cut.rows) * cols.stride - cols.stride + reach_columns
    buffer_rows = (task_rows - 1) * rows.stride + reach_rows if copied else rows.taps

    def address_of(outputs: int, tail: bool, needed: bool) -> int:
        return kernel(window, outputs, tail) if needed else 0

    fields = {
        "x_image": rows.size * cols.size * pixel,
        "x_row": cols.size * pixel,
        "x_pixel": pixel,
        "in_rows": rows.size,
        "in_columns": cols.size,
        "row_stride": rows.stride,
        "column_stride": cols.stride,
        "row_dilation": rows.dilation,
        "before_rows": rows.before,
        "before_columns": cols.before,
        "taps": rows.taps,
        "reach_rows": reach_rows,
        "reach_columns": reach_columns,
        "copied": copied,
        "window_pixel": window_pixel,
        "buffer_row": columns * window_pixel,
        "buffer_columns": columns,
        "outputs": cut.rows,
        "tall": cut.tall,
        "low": cut.low,
        "tall_kernel": address_of(cut.rows, False, bool(whole)),
        "low_kernel": address_of(cut.rows - 1, False, bool(whole and cut.low)),
        "tall_tail": address_of(cut.rows, True, every.tail),
        "low_tail": address_of(cut.rows - 1, True, bool(every.tail and cut.low)),
        "vectors": whole,
        "lanes": every.lanes * every.tail,
        "vector_bytes": host().vector_bytes,
        "w_tap": pixel,
        "out_rows": rows.outputs,
        "rows": task_rows,
        "blocks": blocks,
    }
    return fields, 8 * rows.taps + buffer_rows * columns * window_pixel
