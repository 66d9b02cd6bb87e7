"""2-D convolution in its three directions, as matrix products over columns.

The columns of a convolution (one row of window elements for every output pixel) are R * S times as large as its input,
so they are made and used up in blocks that stay in the cache: the whole matrix never exists. A gradient at the input
is a convolution again, one for each phase of the stride (``_dgrad``), or the way back from the columns
(``_dgrad_col2im``), which is better where the input has few channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from deepcore.backend.dispatch import Answer, Call, choose, implementation
from deepcore.backend.geometry import Conv2DGeometry
from deepcore.backend.numpy import tiled as _tiled  # noqa: F401  # lists its implementations
from deepcore.backend.numpy.activation import bias_activation_inplace
from deepcore.backend.numpy.cost import gemm_seconds, item_bytes, numba_seconds, numpy_seconds
from deepcore.backend.numpy.half import computed_in_float32
from deepcore.backend.numpy.loops import leave_the_cores, loops, numba_available, numba_supports
from deepcore.backend.numpy.memory import empty
from deepcore.backend.numpy.window import Axis, Block, blocks, conv_axes, phase

__all__ = ["conv2d_dgrad", "conv2d_fprop", "conv2d_wgrad"]

COLUMNS_BYTES = 4 << 20  # columns made at a time: few enough for the cache, enough to keep all cores busy

Fill = Callable[[np.ndarray, np.ndarray, Block, Axis, Axis], None]


@computed_in_float32()
def conv2d_fprop(
    x: np.ndarray,
    w: np.ndarray,
    geometry: Conv2DGeometry,
    bias: np.ndarray | None = None,
    activation: str = "linear",
) -> np.ndarray:
    """``activation(y + bias)``; y[n,p,q,k] sums x[n, p*sh + r*dh - top, q*sw + s*dw - left, c] w[r,s,c,k] over r, s, c.

    Args:
        x: [N, H, W, C], float32 or float64.
        w: [R, S, C / groups, K], same dtype; output channels k of group k // (K / groups) see that group's inputs.
        geometry: made for these shapes.
        bias: [K], or None.
        activation: one of the backend's ``ACTIVATIONS``.

    Returns:
        [N, P, Q, K], same dtype.

    Raises:
        ValueError: ``activation`` is unknown.
    """
    run = choose("conv2d_fprop", x.dtype, geometry).function
    return run(np.ascontiguousarray(x), np.ascontiguousarray(w), geometry, bias, activation)


@computed_in_float32()
def conv2d_dgrad(dy: np.ndarray, w: np.ndarray, geometry: Conv2DGeometry) -> np.ndarray:
    """The gradient at x: dx[n,h,w,c] sums dy[n,p,q,k] w[r,s,c,k] over every (p, q, r, s) that reads x[n,h,w,c].

    Args:
        dy: gradient at y, [N, P, Q, K], float32 or float64.
        w: [R, S, C / groups, K], same dtype.
        geometry: that of the forward pass.

    Returns:
        [N, H, W, C], same dtype.
    """
    run = choose("conv2d_dgrad", dy.dtype, geometry).function
    return run(np.ascontiguousarray(dy), np.ascontiguousarray(w), geometry)


@computed_in_float32()
def conv2d_wgrad(x: np.ndarray, dy: np.ndarray, geometry: Conv2DGeometry) -> np.ndarray:
    """The gradient at w: dw[r,s,c,k] sums x[n, p*sh + r*dh - top, q*sw + s*dw - left, c] dy[n,p,q,k] over n, p, q.

    Args:
        x: [N, H, W, C], float32 or float64.
        dy: gradient at y, [N, P, Q, K], same dtype.
        geometry: that of the forward pass.

    Returns:
        [R, S, C / groups, K], same dtype.
    """
    run = choose("conv2d_wgrad", x.dtype, geometry).function
    return run(np.ascontiguousarray(x), np.ascontiguousarray(dy), geometry)


# Columns


def _fill_numpy(x: np.ndarray, columns: np.ndarray, block: Block, rows: Axis, cols: Axis) -> None:
    """Columns [groups, pixels, taps * channels] of ``block``, copied tap by tap."""
    groups, images = columns.shape[0], block.stop - block.start
    source = x[block.start : block.stop].reshape(*((images, *x.shape[1:3], groups, -1)))
    source = np.moveaxis(source, 3, 0)
    target = columns.reshape(groups, images, -1, cols.outputs, rows.taps, cols.taps, source.shape[-1])
    if not (rows.stays_inside and cols.stays_inside):
        target[...] = 0
    for r in range(rows.taps):
        p, h = rows.span(r, block.first, block.last)
        for s in range(cols.taps):
            q, w = cols.span(s)
            target[:, :, p, q, r, s] = source[:, :, h, w]


def _fill_numba(x: np.ndarray, columns: np.ndarray, block: Block, rows: Axis, cols: Axis) -> None:
    """The same by compiled loops, a run of neighbouring taps at a time."""
    loops("im2col").im2col(
        _by_rows(x),
        columns,
        block.start * rows.outputs + block.first,
        block.rows,
        (rows.outputs, cols.outputs),
        *_window(rows, cols, x.shape[3], columns.shape[0]),
    )


def _by_rows(x: np.ndarray) -> np.ndarray:
    return x.reshape(x.shape[0], x.shape[1], -1)


def _window(rows: Axis, cols: Axis, channels: int, groups: int) -> tuple[Any, ...]:
    """What the compiled loops know of a window: sizes, strides, dilations, starts, channels, runs, length of a run."""
    merged = groups == 1 and cols.dilation == 1
    return (
        (rows.taps, cols.taps),
        (rows.stride, cols.stride),
        (rows.dilation, cols.dilation),
        (rows.before, cols.before),
        channels,
        1 if merged else cols.taps,
        channels * cols.taps if merged else channels // groups,
    )


def _columns(
    x: np.ndarray, rows: Axis, cols: Axis, groups: int, fill: Fill, budget: int = COLUMNS_BYTES
) -> Iterator[tuple[Block, np.ndarray]]:
    """Blocks of output pixels and their columns [groups, pixels, taps * channels of a group], in one reused buffer."""
    length = rows.taps * cols.taps * x.shape[3] // groups
    row_size = groups * cols.outputs * length
    buffer = None
    for block in blocks(x.shape[0], rows.outputs, row_size * x.itemsize, budget):
        if buffer is None:  # no later block is larger than the first
            buffer = np.empty(block.rows * row_size, x.dtype)
        columns = buffer[: block.rows * row_size].reshape(groups, -1, length)
        fill(x, columns, block, rows, cols)
        yield block, columns


def _pixels(y: np.ndarray, groups: int) -> np.ndarray:
    """[..., K] as a view [groups, pixels, K / groups]."""
    return y.reshape(-1, groups, y.shape[-1] // groups).swapaxes(0, 1)


def _correlate(
    x: np.ndarray,
    w: np.ndarray,
    rows: Axis,
    cols: Axis,
    out: np.ndarray,
    fill: Fill,
    bias: np.ndarray | None = None,
    activation: str = "linear",
) -> None:
    """out [N, P, Q, K], of any strides, from x [N, H, W, C] and w [groups, taps * channels of a group, K / groups]."""
    groups = w.shape[0]
    for block, columns in _columns(x, rows, cols, groups, fill):
        target = out[block.part]
        y = target if target.flags.c_contiguous else np.empty(target.shape, target.dtype)
        leave_the_cores()
        np.matmul(columns, w, out=_pixels(y, groups))
        bias_activation_inplace(y, bias, activation)
        if y is not target:
            target[...] = y


def _kernel_matrices(w: np.ndarray, groups: int) -> np.ndarray:
    """w [R, S, C / groups, K] as a view [groups, R * S * C / groups, K / groups]."""
    return _pixels(w, groups)


# fprop


def _fprop(
    x: np.ndarray, w: np.ndarray, geometry: Conv2DGeometry, bias: np.ndarray | None, activation: str, fill: Fill
) -> np.ndarray:
    y = empty(geometry.y_shape, x.dtype)
    _correlate(x, _kernel_matrices(w, geometry.groups), *conv_axes(geometry), y, fill, bias, activation)
    return y


def _fprop_gemm_seconds(call: Call) -> float:
    g = call.geometry
    return gemm_seconds(
        g.groups, g.batch * g.out_height * g.out_width, g.out_channels // g.groups, _length(g), call.dtype
    )


def _length(g: Conv2DGeometry) -> int:
    return g.kernel_height * g.kernel_width * g.in_channels // g.groups


def _column_elements(g: Conv2DGeometry) -> int:
    """Elements of all the columns of the forward pass, which wgrad makes again."""
    return g.batch * g.out_height * g.out_width * g.groups * _length(g)


def _block_count(elements: int, dtype: str) -> int:
    return max(1, elements * item_bytes(dtype) // COLUMNS_BYTES)


def _fill_numpy_seconds(call: Call, elements: int, taps: int, channels: int) -> float:
    calls = taps * _block_count(elements, call.dtype)
    return numpy_seconds(calls, 2 * elements, channels / call.geometry.groups, call.dtype)


def _fill_numba_seconds(call: Call, elements: int, channels: int) -> float:
    run = _run_length(call.geometry, channels)
    return numba_seconds(_block_count(elements, call.dtype), 2 * elements, run, call.dtype)


def _run_length(g: Conv2DGeometry, channels: int) -> int:
    """Elements that a compiled loop copies without a break: a whole row of the window where its taps are neighbours."""
    return channels * g.kernel_width if g.groups == 1 and g.dilation[1] == 1 else channels // g.groups


def _fprop_numpy_cost(call: Call) -> float:
    g = call.geometry
    fill = _fill_numpy_seconds(call, _column_elements(g), g.kernel_height * g.kernel_width, g.in_channels)
    return _fprop_gemm_seconds(call) + fill


@implementation("conv2d_fprop", "numpy", cost=_fprop_numpy_cost)
def _fprop_numpy(
    x: np.ndarray, w: np.ndarray, geometry: Conv2DGeometry, bias: np.ndarray | None, activation: str
) -> np.ndarray:
    return _fprop(x, w, geometry, bias, activation, _fill_numpy)


def _fprop_numba_cost(call: Call) -> float:
    return _fprop_gemm_seconds(call) + _fill_numba_seconds(
        call, _column_elements(call.geometry), call.geometry.in_channels
    )


@implementation("conv2d_fprop", "numba", supports=numba_supports, cost=_fprop_numba_cost, available=numba_available)
def _fprop_numba(
    x: np.ndarray, w: np.ndarray, geometry: Conv2DGeometry, bias: np.ndarray | None, activation: str
) -> np.ndarray:
    return _fprop(x, w, geometry, bias, activation, _fill_numba)


# dgrad


def _dgrad(dy: np.ndarray, w: np.ndarray, geometry: Conv2DGeometry, fill: Fill) -> np.ndarray:
    """dx phase by phase: the pixels of one phase of the stride are a convolution of dy with every stride-th tap."""
    g = geometry
    rows, cols = conv_axes(g)
    dx = empty(g.x_shape, dy.dtype)
    for i in range(min(rows.stride, g.height)):
        for j in range(min(cols.stride, g.width)):
            target = dx[:, i :: rows.stride, j :: cols.stride]
            vertical, horizontal = phase(rows, i), phase(cols, j)
            if vertical is None or horizontal is None:
                target[...] = 0
                continue
            taps = w[vertical[0], horizontal[0]][::-1, ::-1]
            taps = taps.reshape(*taps.shape[:3], g.groups, -1).transpose(3, 0, 1, 4, 2)
            matrices = taps.reshape(g.groups, -1, taps.shape[-1])
            _correlate(dy, matrices, vertical[1], horizontal[1], target, fill)
    return dx


def _dgrad_gemm_seconds(call: Call) -> float:
    g = call.geometry
    phases = g.strides[0] * g.strides[1]
    length = g.kernel_height * g.kernel_width * g.out_channels // g.groups
    return phases * gemm_seconds(
        g.groups,
        g.batch * g.height * g.width // phases,
        g.in_channels // g.groups,
        max(1, length // phases),
        call.dtype,
    )


def _turn_seconds(call: Call) -> float:
    """Of the weights' transposition, element by element; a 1x1 window is read as it lies."""
    size = math.prod(call.geometry.w_shape)
    return numpy_seconds(1, size, 2, call.dtype) if call.geometry.window != (1, 1) else 0.0


def _dgrad_elements(g: Conv2DGeometry) -> int:
    taps = g.kernel_height * g.kernel_width
    return max(1, g.batch * g.height * g.width * taps * g.out_channels // (g.strides[0] * g.strides[1]))


def _dgrad_numpy_cost(call: Call) -> float:
    g = call.geometry
    fill = _fill_numpy_seconds(call, _dgrad_elements(g), g.kernel_height * g.kernel_width, g.out_channels)
    return _dgrad_gemm_seconds(call) + fill + _turn_seconds(call)


@implementation("conv2d_dgrad", "numpy", cost=_dgrad_numpy_cost)
def _dgrad_numpy(dy: np.ndarray, w: np.ndarray, geometry: Conv2DGeometry) -> np.ndarray:
    return _dgrad(dy, w, geometry, _fill_numpy)


def _dgrad_numba_cost(call: Call) -> float:
    fill = _fill_numba_seconds(call, _dgrad_elements(call.geometry), call.geometry.out_channels)
    return _dgrad_gemm_seconds(call) + fill + _turn_seconds(call)


@implementation("conv2d_dgrad", "numba", supports=numba_supports, cost=_dgrad_numba_cost, available=numba_available)
def _dgrad_numba(dy: np.ndarray, w: np.ndarray, geometry: Conv2DGeometry) -> np.ndarray:
    return _dgrad(dy, w, geometry, _fill_numba)


def _dgrad_col2im_cost(call: Call) -> float:
    g = call.geometry
    elements = _column_elements(g)
    gemm = gemm_seconds(
        g.groups, g.batch * g.out_height * g.out_width, _length(g), g.out_channels // g.groups, call.dtype
    )
    # Written by the product; read, and added to what is read, by the loop.
    return gemm + numba_seconds(
        _block_count(elements, call.dtype), 4 * elements, _run_length(g, g.in_channels), call.dtype
    )


@implementation(
    "conv2d_dgrad", "numba-col2im", supports=numba_supports, cost=_dgrad_col2im_cost, available=numba_available
)
def _dgrad_col2im(dy: np.ndarray, w: np.ndarray, geometry: Conv2DGeometry) -> np.ndarray:
    """dx from the gradient at the columns, dy times w transposed, added back to the pixels the columns came from."""
    g = geometry
    rows, cols = conv_axes(g)
    matrices = _kernel_matrices(w, g.groups).swapaxes(1, 2)
    window = _window(rows, cols, g.in_channels, g.groups)
    row_size = g.out_width * g.groups * _length(g)
    dx = np.zeros(g.x_shape, dy.dtype)
    for block in blocks(g.batch, g.out_height, row_size * dy.itemsize, COLUMNS_BYTES):
        leave_the_cores()
        columns = _pixels(dy[block.part], g.groups) @ matrices
        loops("im2col").col2im(
            columns, _by_rows(dx), (block.start, block.stop), (block.first, block.last), g.out_width, *window
        )
    return dx


# wgrad


def _wgrad(x: np.ndarray, dy: np.ndarray, geometry: Conv2DGeometry, fill: Fill) -> np.ndarray:
    g = geometry
    dw = np.zeros(g.w_shape, x.dtype)
    total = _kernel_matrices(dw, g.groups)
    # Every block adds a whole dw: a block smaller than dw would spend its time on that addition.
    budget = max(COLUMNS_BYTES, 2 * dw.nbytes)
    summand = np.empty(total.shape, total.dtype)
    for block, columns in _columns(x, *conv_axes(g), g.groups, fill, budget):
        leave_the_cores()
        total += np.matmul(columns.swapaxes(1, 2), _pixels(dy[block.part], g.groups), out=summand)
    return dw


def _wgrad_gemm_seconds(call: Call) -> float:
    g = call.geometry
    return gemm_seconds(
        g.groups, _length(g), g.out_channels // g.groups, g.batch * g.out_height * g.out_width, call.dtype
    )


def _sum_seconds(call: Call) -> float:
    """Of adding up what each block of columns gives to dw."""
    size = math.prod(call.geometry.w_shape)
    elements = _column_elements(call.geometry)
    blocks = max(1, elements * item_bytes(call.dtype) // max(COLUMNS_BYTES, 2 * size * item_bytes(call.dtype)))
    return numpy_seconds(blocks, 3 * blocks * size, size, call.dtype)


def _wgrad_numpy_cost(call: Call) -> float:
    g = call.geometry
    fill = _fill_numpy_seconds(call, _column_elements(g), g.kernel_height * g.kernel_width, g.in_channels)
    return _wgrad_gemm_seconds(call) + fill + _sum_seconds(call)


@implementation("conv2d_wgrad", "numpy", cost=_wgrad_numpy_cost)
def _wgrad_numpy(x: np.ndarray, dy: np.ndarray, geometry: Conv2DGeometry) -> np.ndarray:
    return _wgrad(x, dy, geometry, _fill_numpy)


def _wgrad_numba_cost(call: Call) -> float:
    fill = _fill_numba_seconds(call, _column_elements(call.geometry), call.geometry.in_channels)
    return _wgrad_gemm_seconds(call) + fill + _sum_seconds(call)


@implementation("conv2d_wgrad", "numba", supports=numba_supports, cost=_wgrad_numba_cost, available=numba_available)
def _wgrad_numba(x: np.ndarray, dy: np.ndarray, geometry: Conv2DGeometry) -> np.ndarray:
    return _wgrad(x, dy, geometry, _fill_numba)


# Pointwise: the pixels are the columns.


def _supports_pointwise(call: Call) -> Answer:
    if not call.geometry.is_pointwise:
        return False, "the kernel must be 1x1 with stride 1, no padding and one group"
    return True, "a 1x1 kernel of stride 1 is one matrix product"


def _pointwise_cost(call: Call) -> float:
    g = call.geometry
    return gemm_seconds(1, g.batch * g.height * g.width, g.out_channels, g.in_channels, call.dtype)


@implementation("conv2d_fprop", "numpy-pointwise", supports=_supports_pointwise, cost=_pointwise_cost)
def _fprop_pointwise(
    x: np.ndarray, w: np.ndarray, geometry: Conv2DGeometry, bias: np.ndarray | None, activation: str
) -> np.ndarray:
    y = empty(geometry.y_shape, x.dtype)
    leave_the_cores()
    np.matmul(x.reshape(-1, x.shape[3]), w[0, 0], out=y.reshape(-1, y.shape[3]))
    return bias_activation_inplace(y, bias, activation)


@implementation("conv2d_dgrad", "numpy-pointwise", supports=_supports_pointwise, cost=_pointwise_cost)
def _dgrad_pointwise(dy: np.ndarray, w: np.ndarray, geometry: Conv2DGeometry) -> np.ndarray:
    dx = empty(geometry.x_shape, dy.dtype)
    leave_the_cores()
    np.matmul(dy.reshape(-1, dy.shape[3]), w[0, 0].T, out=dx.reshape(-1, dx.shape[3]))
    return dx


@implementation("conv2d_wgrad", "numpy-pointwise", supports=_supports_pointwise, cost=_pointwise_cost)
def _wgrad_pointwise(x: np.ndarray, dy: np.ndarray, geometry: Conv2DGeometry) -> np.ndarray:
    leave_the_cores()
    return (x.reshape(-1, x.shape[3]).T @ dy.reshape(-1, dy.shape[3])).reshape(geometry.w_shape)


# Depthwise: a channel of its own is too small for a matrix product; channels side by side fill the vector registers.


def _supports_depthwise(call: Call) -> Answer:
    g = call.geometry
    if not g.is_depthwise:
        return False, f"a depthwise convolution has as many groups as channels; this has {g.groups} and {g.in_channels}"
    return True, "depthwise: one input channel a group"


def _supports_compiled_depthwise(call: Call) -> Answer:
    ok, reason = numba_supports(call)
    return _supports_depthwise(call) if ok else (ok, reason)


def _multiplier(g: Conv2DGeometry) -> int:
    return g.out_channels // g.in_channels


def _depthwise_blocks(g: Conv2DGeometry, item: int) -> Iterator[Block]:
    """Blocks of output rows whose products, one tap at a time, stay in the cache."""
    return blocks(g.batch, g.out_height, g.out_width * g.in_channels * item, COLUMNS_BYTES // 8)


def _depthwise_numpy_cost(call: Call) -> float:
    g = call.geometry
    products = g.flops // 2  # each is read, multiplied into a temporary array, and added from there
    taps = g.kernel_height * g.kernel_width * _multiplier(g)
    count = max(1, 8 * _block_count(products // taps, call.dtype))
    return numpy_seconds(2 * taps * count, 5 * products, g.in_channels, call.dtype)


@implementation("conv2d_fprop", "numpy-depthwise", supports=_supports_depthwise, cost=_depthwise_numpy_cost)
def _fprop_depthwise_numpy(
    x: np.ndarray, w: np.ndarray, geometry: Conv2DGeometry, bias: np.ndarray | None, activation: str
) -> np.ndarray:
    g = geometry
    rows, cols = conv_axes(g)
    y = np.zeros(g.y_shape, x.dtype)
    kernels = w.reshape(*w.shape[:2], g.in_channels, -1)
    for block in _depthwise_blocks(g, x.itemsize):
        target = y[block.part].reshape(block.stop - block.start, -1, g.out_width, g.in_channels, _multiplier(g))
        for r, s, m in np.ndindex(*w.shape[:2], _multiplier(g)):
            (p, h), (q, column) = rows.span(r, block.first, block.last), cols.span(s)
            target[:, p, q, :, m] += x[block.start : block.stop, h, column] * kernels[r, s, :, m]
    return bias_activation_inplace(y, bias, activation)


@implementation("conv2d_dgrad", "numpy-depthwise", supports=_supports_depthwise, cost=_depthwise_numpy_cost)
def _dgrad_depthwise_numpy(dy: np.ndarray, w: np.ndarray, geometry: Conv2DGeometry) -> np.ndarray:
    g = geometry
    rows, cols = conv_axes(g)
    dx = np.zeros(g.x_shape, dy.dtype)
    kernels = w.reshape(*w.shape[:2], g.in_channels, -1)
    for block in _depthwise_blocks(g, dy.itemsize):
        source = dy[block.part].reshape(block.stop - block.start, -1, g.out_width, g.in_channels, _multiplier(g))
        for r, s, m in np.ndindex(*w.shape[:2], _multiplier(g)):
            (p, h), (q, column) = rows.span(r, block.first, block.last), cols.span(s)
            dx[block.start : block.stop, h, column] += source[:, p, q, :, m] * kernels[r, s, :, m]
    return dx


@implementation("conv2d_wgrad", "numpy-depthwise", supports=_supports_depthwise, cost=_depthwise_numpy_cost)
def _wgrad_depthwise_numpy(x: np.ndarray, dy: np.ndarray, geometry: Conv2DGeometry) -> np.ndarray:
    g = geometry
    rows, cols = conv_axes(g)
    dw = np.zeros(g.w_shape, x.dtype)
    kernels = dw.reshape(*dw.shape[:2], g.in_channels, -1)
    for block in _depthwise_blocks(g, x.itemsize):
        source = dy[block.part].reshape(block.stop - block.start, -1, g.out_width, g.in_channels, _multiplier(g))
        for r, s, m in np.ndindex(*dw.shape[:2], _multiplier(g)):
            (p, h), (q, column) = rows.span(r, block.first, block.last), cols.span(s)
            window = x[block.start : block.stop, h, column]
            kernels[r, s, :, m] += np.einsum("npqc,npqc->c", window, source[:, p, q, :, m])
    return dw


def _depthwise_numba_cost(call: Call) -> float:
    # A multiply-add reads both factors and adds to a third number in the first-level cache.
    g = call.geometry
    return numba_seconds(1, g.flops // 2, g.in_channels, call.dtype)


def _depthwise_window(g: Conv2DGeometry) -> tuple[Any, ...]:
    rows, cols = conv_axes(g)
    return g.strides, g.dilation, (rows.before, cols.before), _multiplier(g)


@implementation(
    "conv2d_fprop",
    "numba-depthwise",
    supports=_supports_compiled_depthwise,
    cost=_depthwise_numba_cost,
    available=numba_available,
)
def _fprop_depthwise_numba(
    x: np.ndarray, w: np.ndarray, geometry: Conv2DGeometry, bias: np.ndarray | None, activation: str
) -> np.ndarray:
    y = empty(geometry.y_shape, x.dtype)
    loops("depthwise").depthwise_fprop(x, w[:, :, 0], y, *_depthwise_window(geometry))
    return bias_activation_inplace(y, bias, activation)


@implementation(
    "conv2d_dgrad",
    "numba-depthwise",
    supports=_supports_compiled_depthwise,
    cost=_depthwise_numba_cost,
    available=numba_available,
)
def _dgrad_depthwise_numba(dy: np.ndarray, w: np.ndarray, geometry: Conv2DGeometry) -> np.ndarray:
    dx = empty(geometry.x_shape, dy.dtype)
    loops("depthwise").depthwise_dgrad(dy, w[:, :, 0], dx, *_depthwise_window(geometry))
    return dx


@implementation(
    "conv2d_wgrad",
    "numba-depthwise",
    supports=_supports_compiled_depthwise,
    cost=_depthwise_numba_cost,
    available=numba_available,
)
def _wgrad_depthwise_numba(x: np.ndarray, dy: np.ndarray, geometry: Conv2DGeometry) -> np.ndarray:
    g = geometry
    dw = np.empty((g.batch, g.kernel_height, g.kernel_width, g.out_channels), x.dtype)
    loops("depthwise").depthwise_wgrad(x, dy, dw, *_depthwise_window(g))
    return dw.sum(axis=0).reshape(g.w_shape)
