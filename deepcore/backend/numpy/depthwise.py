"""Depthwise convolution on vectors of channels: plans for the tasks of ``kernels/cpu``.

float32 only, one output a channel. Windows read the input in place; at its borders they are cut short, so that nothing
is padded or copied.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from deepcore.backend.numpy.activation import bias_activation_inplace
from deepcore.backend.numpy.channels import Channels
from deepcore.backend.numpy.pieces import Piece, cut
from deepcore.backend.numpy.plans import CLAMPS, PIECES, PLANS
from deepcore.backend.numpy.window import Axis, phase
from deepcore.kernels.cpu import depthwise
from deepcore.kernels.cpu.host import ITEM, host
from deepcore.kernels.cpu.launch import Launch
from deepcore.kernels.cpu.record import BLOCK, DEPTHWISE, DEPTHWISE_WEIGHTS, address
from deepcore.kernels.cpu.window import Block, Line

TASK_BYTES = 1 << 18  # of the input that a task walks over, unless there would be too few tasks
SUMS_BYTES = 1 << 20  # of partial gradients at the weights
# Outputs that are made together: with a 3 x 3 window's weights, what 32 registers hold. They lie below each other, for
# then the next block reads on where this one ended, in as few streams as there are rows.
ROWS = 6
COLUMNS = 1
# Where a vector is a part of a cache line, the line must stay in the first-level cache from its first vector to its
# last. Rows whose distance is a multiple of ``WAY_BYTES`` share eight places there: so many of them are read at most by
# a block, and so many written, beside the columns of each and what is asked for ahead.
WAY_BYTES = 1 << 12
READ_TOGETHER, WRITTEN_TOGETHER = 6, 4


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
    plan, zeros = _convolution(x.shape, rows, cols, out.strides, clamped, False)
    taps = _by_vectors(w)
    bias = zeros if bias is None else np.ascontiguousarray(bias)
    plan(address(x), address(out), address(taps), address(bias))
    if activation != clamped:
        bias_activation_inplace(out, None, activation)


def input_gradient(dy: np.ndarray, w: np.ndarray, rows: Axis, cols: Axis, dx: np.ndarray) -> None:
    """Writes the gradient at x [N, H, W, C] to ``dx``, from dy [N, P, Q, C], C-contiguous, and w [R, S, C]."""
    if rows.stride == cols.stride == 1:  # the same kernels as on the way forth, with the taps the other way round
        whole = phase(rows, 0), phase(cols, 0)
        assert whole[0] is not None
        assert whole[1] is not None
        convolve(dy, w[::-1, ::-1], whole[0][1], whole[1][1], dx)
        return
    plan, zeros = _convolution(dy.shape, rows, cols, dx.strides, "linear", True)
    taps = _by_vectors(w)
    plan(address(dy), address(dx), address(taps), address(zeros))


def weight_gradient(x: np.ndarray, dy: np.ndarray, rows: Axis, cols: Axis) -> np.ndarray:
    """dw [R, S, C] from x [N, H, W, C] and dy [N, P, Q, C], both C-contiguous float32."""
    plan, pieces = _weight_gradient(x.shape, rows, cols)
    channels, lanes = x.shape[3], host().lanes
    sums = np.zeros((pieces, -(-channels // lanes), rows.taps * cols.taps, lanes), np.float32)
    plan(address(x), address(dy), address(sums))
    total = sums[0] if pieces == 1 else sums.sum(axis=0)
    return np.ascontiguousarray(total.transpose(1, 0, 2).reshape(rows.taps, cols.taps, -1)[..., :channels])


def _by_vectors(w: np.ndarray) -> np.ndarray:
    """w [R, S, C] as [vectors of channels, taps, lanes], the last filled up with zeros."""
    lanes = host().lanes
    taps, channels = w.shape[0] * w.shape[1], w.shape[2]
    vectors = -(-channels // lanes)
    if channels % lanes:
        w = np.concatenate([w, np.zeros((*w.shape[:2], vectors * lanes - channels), np.float32)], axis=2)
    return np.ascontiguousarray(w.reshape(taps, vectors, lanes).transpose(1, 0, 2))


@functools.lru_cache(PLANS)
def _convolution(
    x_shape: tuple[int, ...], rows: Axis, cols: Axis, out_strides: tuple[int, ...], activation: str, back: bool
) -> tuple[Launch, np.ndarray]:
    """The launch, and zeros to use as a bias; ``back`` from dy, of ``x_shape``, to dx."""
    zeros, clamp = np.zeros(x_shape[3], np.float32), np.array(CLAMPS[activation], np.float32)
    pieces = _row_pieces(rows, x_shape[2] * x_shape[3] * ITEM, out_strides[1], back)
    fields, keep = _blocks(x_shape, out_strides, pieces, cut(cols, COLUMNS, back), depthwise.convolve)
    parts = max(x_shape[1] * fields["x_row"] // TASK_BYTES, -(-PIECES // x_shape[0]))
    parts = min(parts, fields["rows"])
    launch = Launch(
        DEPTHWISE,
        ("depthwise", "convolve"),
        ("x", "y", "w", "bias"),
        x_shape[0] * parts,
        0,
        (clamp, zeros, keep),
        **fields,
        clamp=address(clamp),
        parts=parts,
    )
    return launch, zeros


@functools.lru_cache(PLANS)
def _weight_gradient(x_shape: tuple[int, ...], rows: Axis, cols: Axis) -> tuple[Launch, int]:
    """The launch, and how many sums it makes: as many as follow from the sizes, whatever the number of cores."""
    images, channels = x_shape[0], x_shape[3]
    pixel = channels * ITEM
    strides = (rows.outputs * cols.outputs * pixel, cols.outputs * pixel, pixel)
    cut_rows = _row_pieces(rows, x_shape[2] * pixel, strides[1])
    fields, keep = _blocks(x_shape, strides, cut_rows, cut(cols, COLUMNS), depthwise.accumulate)
    all_rows = images * fields["rows"]
    w_bytes = rows.taps * cols.taps * -(-channels // host().lanes) * host().vector_bytes
    pieces = max(1, min(PIECES, all_rows, SUMS_BYTES // w_bytes))
    launch = Launch(
        DEPTHWISE_WEIGHTS,
        ("depthwise", "weights"),
        ("x", "dy", "dw"),
        pieces,
        0,
        (keep,),
        **fields,
        dw_piece=w_bytes,
        pieces=pieces,
        all_rows=all_rows,
    )
    return launch, pieces


def _row_pieces(axis: Axis, x_row: int, y_row: int, back: bool = False) -> list[Piece]:
    """The rows of outputs in pieces of blocks, where rows of the input and of the output are so many bytes apart."""
    pieces = cut(axis, ROWS, back)
    if not host().is_narrow:
        return pieces
    most_read, most_written = (
        most * WAY_BYTES // math.gcd(row, WAY_BYTES)
        for most, row in ((READ_TOGETHER, x_row), (WRITTEN_TOGETHER, y_row))
    )
    for rows in range(ROWS, 0, -1):
        pieces = cut(axis, rows, back)
        if all(line.inputs <= most_read and line.outputs <= most_written for line, _, _ in pieces):
            break
    return pieces


def _blocks(
    x_shape: tuple[int, ...],
    y_strides: tuple[int, ...],
    rows: list[Piece],
    columns: list[Piece],
    kernel: Callable[[Block, bool], int],
) -> tuple[dict[str, Any], np.ndarray]:
    """What both tasks are told of an image and its blocks, and the table that they read."""
    every = Channels.together(x_shape[3])
    whole = every.last_vectors - every.tail
    pixel = x_shape[3] * ITEM
    x_row = x_shape[2] * pixel
    addresses: dict[tuple[Line, Line], tuple[int, int]] = {}
    table = np.zeros((len(rows), len(columns)), BLOCK)
    for i, (row, first_row, output_row) in enumerate(rows):
        for j, (column, first_column, output_column) in enumerate(columns):
            if (row, column) not in addresses:
                block = Block(row, column)
                addresses[row, column] = (
                    kernel(block, False) if whole else 0,
                    kernel(block, True) if every.tail else 0,
                )
            table[i, j] = (
                first_row * x_row + first_column * pixel,
                output_row * y_strides[1] + output_column * y_strides[2],
                *addresses[row, column],
            )
    fields = {
        "x_image": x_shape[1] * x_row,
        "x_row": x_row,
        "x_pixel": pixel,
        "y_image": y_strides[0],
        "y_row": y_strides[1],
        "y_pixel": y_strides[2],
        "blocks": address(table),
        "rows": len(rows),
        "columns": len(columns),
        "taps": rows[0][0].taps * columns[0][0].taps,
        "vectors": whole,
        "lanes": every.lanes * every.tail,
        "vector_bytes": host().vector_bytes,
    }
    return fields, table
