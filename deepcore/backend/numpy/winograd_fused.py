"""Winograd's convolution of few input channels, where vectors are a part of a cache line: plans for its task.

Products of few steps are not worth writing and reading again, as ``winograd`` does with those of blocks of tiles. The
output is whole tiles, and whole blocks of two vectors of channels.
"""

from __future__ import annotations

import functools

import numpy as np

from deepcore.backend.numpy.activation import bias_activation_inplace
from deepcore.backend.numpy.channels import Channels
from deepcore.backend.numpy.packed import packed
from deepcore.backend.numpy.plans import CLAMPS, PLANS, begin_lines, zeros
from deepcore.backend.numpy.window import Axis
from deepcore.backend.numpy.winograd import transform_weights
from deepcore.backend.numpy.winograd_tiles import TileRow
from deepcore.kernels.cpu.fused import Fused, fused, rest_bytes
from deepcore.kernels.cpu.host import ITEM, host
from deepcore.kernels.cpu.launch import Launch
from deepcore.kernels.cpu.pages import LINE
from deepcore.kernels.cpu.record import WINOGRAD_FUSED, address

VECTORS = 2  # of a block of channels: an element of a tile is loaded for both
# Of an output that is written past the caches. A sum has so few steps that reading lines before they are written takes
# as long as making them; that is more than what the next layer loses, which reads them from memory.
STREAMED_BYTES = 3 << 20


def convolve(
    x: np.ndarray,
    w: np.ndarray,
    rows: Axis,
    cols: Axis,
    m: int,
    out: np.ndarray,
    bias: np.ndarray | None = None,
    activation: str = "linear",
) -> None:
    """Writes the convolution of x with w, and what follows it, to ``out``, in tiles of m x m outputs.

    Args:
        x: [N, H, W, C], C-contiguous float32, C at most ``FEW``.
        w: [3, 3, C, K], C-contiguous; K is a multiple of ``VECTORS`` vectors.
        rows, cols: how windows lie on x.
        m: 2 or 4.
        out: [N, P, Q, K], C-contiguous, P and Q multiples of m.
        bias: [K], or None.
        activation: one of the backend's ``ACTIVATIONS``; done in the same pass if it is one of ``CLAMPS``.
    """
    channels = Channels.cut(w.shape[3], VECTORS)
    u = packed(w, ("winograd", m, VECTORS), lambda _: transform_weights(w, m, channels))
    clamped = activation if activation in CLAMPS else "linear"
    streamed = out.nbytes > STREAMED_BYTES and VECTORS * host().vector_bytes % LINE == 0 and begin_lines(out)
    launch = _convolution(x.shape, w.shape[3], u.strides[0], rows, cols, m, clamped, streamed)
    bias = zeros(w.shape[3]) if bias is None else np.ascontiguousarray(bias)
    launch(address(x), address(u), address(out), address(bias))
    if activation != clamped:
        bias_activation_inplace(out, None, activation)


@functools.lru_cache(PLANS)
def _convolution(
    x_shape: tuple[int, ...],
    width: int,
    u_place: int,
    rows: Axis,
    cols: Axis,
    m: int,
    activation: str,
    streamed: bool,
) -> Launch:
    """The launch; takes the addresses of x, of the transformed weights, of the result and of the bias."""
    images, depth = x_shape[0], x_shape[3]
    channels = Channels.cut(width, VECTORS)
    tiles, tile_rows = cols.outputs // m, rows.outputs // m
    row = TileRow.of(x_shape, rows, cols, m)
    what = Fused(m, depth, VECTORS, row.place, u_place, streamed)
    clamp = np.array(CLAMPS[activation], np.float32)
    rest_at = tiles * row.tile
    row_at = rest_at + rest_bytes(what, host())
    return Launch(
        WINOGRAD_FUSED,
        ("winograd", "convolve_fused"),
        ("x", "u", "y", "bias"),
        images * tile_rows,
        row_at + row.bytes,
        (clamp,),
        **row.fields(row_at),
        tiles=tiles,
        u_block=depth * channels.wide_bytes,
        y_image=rows.outputs * cols.outputs * width * ITEM,
        y_row=cols.outputs * width * ITEM,
        y_pixel=width * ITEM,
        clamp=address(clamp),
        blocks=channels.wide,
        block_bytes=channels.wide_bytes,
        kernel=fused(what),
        rest_at=rest_at,
    )
