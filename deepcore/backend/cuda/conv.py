"""2-D convolution in its three directions on CUDA cores; the contract is that of ``backend/numpy/conv.py``.

All three are matrix products whose operands are gathered where they are needed (``kernels/cuda/conv.cuh``). Images of
few channels, and filters that each see one channel, have kernels of their own.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from deepcore.backend.cuda.activation import bias_activation
from deepcore.backend.cuda.array import c_type, contiguous, empty
from deepcore.backend.cuda.cost import (
    BYTES,
    FLOPS,
    LAUNCH,
    THREADS,
    gpu_or_emulator,
    item_bytes,
    supports_floating,
    wide_bytes,
)
from deepcore.backend.cuda.launcher import kernel
from deepcore.backend.cuda.sibling import numba_cost, numba_launch, numba_on_gpu, numba_supports
from deepcore.backend.cuda.tile import (
    DIVISOR,
    MOST_PARTS,
    MULTIPROCESSORS,
    Plan,
    chunk,
    divisor,
    partial,
    plan,
    position,
    structure,
    sum_parts,
    types,
    widest,
)
from deepcore.backend.dispatch import Answer, Call, choose, implementation
from deepcore.backend.geometry import Conv2DGeometry

__all__ = ["conv2d_dgrad", "conv2d_fprop", "conv2d_wgrad"]

# conv.cuh's Axis and ConvSizes.
AXIS = np.dtype(
    [
        *((name, "i4") for name in ("size", "outputs", "taps", "stride", "before", "dilation")),
        *((name, "i4") for name in ("phase_size", "tap_step")),
        ("by_phase_taps", DIVISOR, (2,)),
        ("by_stride", DIVISOR),
    ]
)
SIZES = np.dtype(
    [
        ("rows", AXIS),
        ("columns", AXIS),
        *((name, "i4") for name in ("batch", "channels", "filters", "groups")),
        *((f"by_{name}", DIVISOR) for name in ("outputs", "output_columns", "phase", "phase_columns")),
        *((f"by_{name}", DIVISOR) for name in ("group_channels", "group_filters", "columns_taps", "multiplier")),
    ]
)

MOST_PIXELS = 2**31 - 2**16  # kernels count pixels in 32 bits, up to a tile beyond the last
MOST_ROWS_OF_BLOCKS = 65535  # in y and z, by the CUDA C++ Programming Guide; kernels loop over what is beyond

# direct.cu's tile, and the shared memory that every GPU gives a block.
DIRECT_ROWS, DIRECT_COLUMNS, DIRECT_FILTERS, DIRECT_THREADS = 8, 16, 32, 128
DIRECT_CHANNELS = 4
DIRECT_SHARED = 48 << 10

# depthwise.cu's.
STRIP = 4
MOST_TAPS = 8


def conv2d_fprop(x: Any, w: Any, geometry: Conv2DGeometry, bias: Any = None, activation: str = "linear") -> Any:
    """``activation(conv(x, w) + bias)``; see the NumPy backend."""
    run = choose("conv2d_fprop", x.dtype, geometry, "cuda").function
    bias = None if bias is None else contiguous(bias)
    return run(contiguous(x), contiguous(w), geometry, bias, activation)


def conv2d_dgrad(dy: Any, w: Any, geometry: Conv2DGeometry) -> Any:
    """The gradient at x; see the NumPy backend."""
    run = choose("conv2d_dgrad", dy.dtype, geometry, "cuda").function
    return run(contiguous(dy), contiguous(w), geometry)


def conv2d_wgrad(x: Any, dy: Any, geometry: Conv2DGeometry) -> Any:
    """The gradient at w; see the NumPy backend."""
    run = choose("conv2d_wgrad", x.dtype, geometry, "cuda").function
    return run(contiguous(x), contiguous(dy), geometry)


def sizes_of(g: Conv2DGeometry) -> np.ndarray:
    """What the kernels know of a convolution, to pass by value."""
    axes = (
        _axis(g.height, g.out_height, g.kernel_height, g.strides[0], g.padding[0][0], g.dilation[0]),
        _axis(g.width, g.out_width, g.kernel_width, g.strides[1], g.padding[1][0], g.dilation[1]),
    )
    phase_rows, phase_columns = (
        -(-size // stride) for size, stride in zip((g.height, g.width), g.strides, strict=True)
    )
    divisors = (
        g.out_height * g.out_width,
        g.out_width,
        phase_rows * phase_columns,
        phase_columns,
        g.in_channels // g.groups,
        g.out_channels // g.groups,
        g.kernel_width,
        max(1, g.out_channels // g.in_channels),
    )
    counts = g.batch, g.in_channels, g.out_channels, g.groups
    return structure(SIZES, (*axes, *counts, *(divisor(number) for number in divisors)))


def _axis(size: int, outputs: int, taps: int, stride: int, before: int, dilation: int) -> tuple[Any, ...]:
    step = stride // math.gcd(stride, dilation)
    phase_taps = [divisor(max(1, count)) for count in (-(-taps // step), taps // step)]
    return size, outputs, taps, stride, before, dilation, -(-size // stride), step, phase_taps, divisor(stride)


def _traffic(call: Call) -> float:
    """Seconds to read the operands and to write the result once."""
    g = call.geometry
    elements = math.prod(g.x_shape) + math.prod(g.w_shape) + math.prod(g.y_shape)
    return elements * item_bytes(call.dtype) / BYTES


def _supports(call: Call) -> Answer:
    g = call.geometry
    ok, reason = supports_floating(call)
    pixels = g.batch * max((g.height + g.strides[0]) * (g.width + g.strides[1]), g.out_height * g.out_width)
    if ok and pixels > MOST_PIXELS:
        return False, f"pixels are counted in 32 bits; {pixels} are too many"
    return ok, reason


# Implicit matrix products


def _output_pixels(g: Conv2DGeometry) -> int:
    return g.batch * g.out_height * g.out_width


def _fprop_plan(g: Conv2DGeometry, dtype: str) -> Plan:
    taps = g.kernel_height * g.kernel_width
    return plan(
        g.groups, _output_pixels(g), g.out_channels // g.groups, taps * g.in_channels // g.groups, dtype, split=False
    )


def _dgrad_plan(g: Conv2DGeometry, dtype: str) -> Plan:
    # One product for each phase of the strides; the taps are spread over the phases.
    phases = g.strides[0] * g.strides[1]
    pixels = g.batch * -(-g.height // g.strides[0]) * -(-g.width // g.strides[1])
    length = -(-g.kernel_height * g.kernel_width * g.out_channels // g.groups // phases)
    return plan(g.groups * phases, pixels, g.in_channels // g.groups, length, dtype, split=False)


def _wgrad_plan(g: Conv2DGeometry, dtype: str) -> Plan:
    rows = g.kernel_height * g.kernel_width * g.in_channels // g.groups
    plans = [
        plan(g.groups, rows, g.out_channels // g.groups, _output_pixels(g), dtype, split) for split in (False, True)
    ]
    return min(plans, key=lambda candidate: candidate.seconds)


def _implicit_cost(plan_of: Any) -> Any:
    def cost(call: Call) -> float:
        return LAUNCH + max(plan_of(call.geometry, call.dtype).seconds, _traffic(call))

    return cost


def _implicit(
    name: str, like: Any, out: Any, how: Plan, activation: int, width_a: int, width_b: int, columns: int
) -> Any:
    return kernel(
        "conv",
        name,
        **types(like, out),
        ACTIVATION=activation,
        **how.tile.defines,
        # Finding pixels takes registers: two blocks of the largest tile would not fit a multiprocessor without spills.
        MIN_BLOCKS=1,
        WIDTH_A=width_a,
        WIDTH_B=width_b,
        WIDTH_Y=widest(out.dtype, (columns,), out, most=chunk(out.dtype)),
    )


@implementation(
    "conv2d_fprop",
    "cuda-implicit-gemm",
    device="cuda",
    supports=_supports,
    cost=_implicit_cost(_fprop_plan),
    available=gpu_or_emulator,
)
def _fprop(x: Any, w: Any, geometry: Conv2DGeometry, bias: Any, activation: str) -> Any:
    g = geometry
    y = empty(g.y_shape, x.dtype, x)
    how = _fprop_plan(g, x.dtype.name)
    channels, filters = g.in_channels // g.groups, g.out_channels // g.groups
    width_a, width_b = widest(x.dtype, (channels,), x), widest(x.dtype, (filters,), w)
    code = _implicit("conv2d_fprop", x, y, how, position(activation), width_a, width_b, filters)
    grid = g.groups * how.tile.count(_output_pixels(g), filters)
    code.launch(grid, how.tile.threads, x, w, bias, y, sizes_of(g))
    return y


@implementation(
    "conv2d_dgrad",
    "cuda-implicit-gemm",
    device="cuda",
    supports=_supports,
    cost=_implicit_cost(_dgrad_plan),
    available=gpu_or_emulator,
)
def _dgrad(dy: Any, w: Any, geometry: Conv2DGeometry) -> Any:
    g = geometry
    dx = empty(g.x_shape, dy.dtype, dy)
    how = _dgrad_plan(g, dy.dtype.name)
    channels, filters = g.in_channels // g.groups, g.out_channels // g.groups
    width_a, width_b = widest(dy.dtype, (filters,), dy), widest(dy.dtype, (filters,), w)
    code = _implicit("conv2d_dgrad", dy, dx, how, 0, width_a, width_b, channels)
    pixels = g.batch * -(-g.height // g.strides[0]) * -(-g.width // g.strides[1])
    grid = g.groups * g.strides[0] * g.strides[1] * how.tile.count(pixels, channels)
    code.launch(grid, how.tile.threads, dy, w, dx, sizes_of(g))
    return dx


@implementation(
    "conv2d_wgrad",
    "cuda-implicit-gemm",
    device="cuda",
    supports=_supports,
    cost=_implicit_cost(_wgrad_plan),
    available=gpu_or_emulator,
)
def _wgrad(x: Any, dy: Any, geometry: Conv2DGeometry) -> Any:
    g = geometry
    dw = empty(g.w_shape, x.dtype, x)
    how = _wgrad_plan(g, x.dtype.name)
    channels, filters = g.in_channels // g.groups, g.out_channels // g.groups
    out = dw if how.parts == 1 else partial(how.parts, g.w_shape, dw)
    width_a, width_b = widest(x.dtype, (channels,), x), widest(x.dtype, (filters,), dy)
    code = _implicit("conv2d_wgrad", x, out, how, 0, width_a, width_b, filters)
    grid = g.groups * how.tile.count(g.kernel_height * g.kernel_width * channels, filters), how.parts
    code.launch(grid, how.tile.threads, x, dy, out, sizes_of(g))
    if how.parts > 1:
        sum_parts(out, None, dw, g.out_channels)
    return dw


# Few channels


def _direct_patch(g: Conv2DGeometry) -> int:
    """Elements of the image that a block holds."""
    rows = (DIRECT_ROWS - 1) * g.strides[0] + g.window[0]
    return rows * ((DIRECT_COLUMNS - 1) * g.strides[1] + g.window[1]) * g.in_channels


def _direct_rows_at_once(g: Conv2DGeometry, dtype: str) -> int:
    """Rows of filters that fit beside the patch."""
    left = DIRECT_SHARED // wide_bytes(dtype) - _direct_patch(g)
    return min(g.kernel_height, left // (g.kernel_width * g.in_channels * DIRECT_FILTERS))


def _supports_direct(call: Call) -> Answer:
    g = call.geometry
    ok, reason = _supports(call)
    if not ok:
        return ok, reason
    if g.in_channels > DIRECT_CHANNELS or g.groups > 1:
        return (
            False,
            f"for images of at most {DIRECT_CHANNELS} channels in one group, not {g.in_channels} in {g.groups}",
        )
    if _direct_rows_at_once(g, call.dtype) < 1:
        return False, "a block's patch of the image does not fit into shared memory"
    return True, f"images of {g.in_channels} channels"


def _direct_tiles(g: Conv2DGeometry) -> int:
    tiles = -(-g.out_height // DIRECT_ROWS) * -(-g.out_width // DIRECT_COLUMNS)
    return tiles * -(-g.out_channels // DIRECT_FILTERS)


def _direct_cost(call: Call) -> float:
    g = call.geometry
    waves = math.ceil(g.batch * _direct_tiles(g) / MULTIPROCESSORS)
    taps = g.kernel_height * g.kernel_width * g.in_channels
    # Four pixels and two wide reads of filters for 32 multiplications: just what shared memory delivers.
    rate = FLOPS / MULTIPROCESSORS * 4 / wide_bytes(call.dtype)
    computing = waves * 2 * DIRECT_ROWS * DIRECT_COLUMNS * DIRECT_FILTERS * taps / rate
    return LAUNCH + max(computing, _traffic(call))


@implementation(
    "conv2d_fprop",
    "cuda-direct",
    device="cuda",
    supports=_supports_direct,
    cost=_direct_cost,
    available=gpu_or_emulator,
)
def _fprop_direct(x: Any, w: Any, geometry: Conv2DGeometry, bias: Any, activation: str) -> Any:
    g = geometry
    y = empty(g.y_shape, x.dtype, x)
    rows = _direct_rows_at_once(g, x.dtype.name)
    elements = rows * g.kernel_width * g.in_channels * DIRECT_FILTERS + _direct_patch(g)
    code = kernel(
        "direct",
        "conv2d_direct",
        T=c_type(x.dtype),
        CHANNELS=g.in_channels,
        ACTIVATION=position(activation),
        WIDTH_Y=widest(x.dtype, (g.out_channels,), y),
        MIN_BLOCKS=2 if x.dtype.itemsize == 8 else 4,
    )
    grid = _direct_tiles(g), min(g.batch, MOST_ROWS_OF_BLOCKS)
    code.launch(grid, DIRECT_THREADS, x, w, bias, y, sizes_of(g), rows, shared=elements * wide_bytes(x.dtype.name))
    return y


# Depthwise


def _supports_depthwise(call: Call) -> Answer:
    if call.geometry.groups != call.geometry.in_channels:
        return False, f"every channel must be a group of its own; there are {call.geometry.groups} groups"
    ok, reason = _supports(call)
    return ok, "one channel a group" if ok else reason


def _depthwise_cost(call: Call) -> float:
    # The second-level cache, estimated at four times the speed of memory, delivers each element once a row of taps.
    return 2 * LAUNCH + max(1.0, call.geometry.kernel_height / 4) * _traffic(call)


def _depthwise(name: str, like: Any, out: Any, width: int, activation: int = 0, taps: int = 1) -> Any:
    return kernel("depthwise", name, **types(like, out), ACTIVATION=activation, WIDTH=width, TAPS=taps)


def _depthwise_grid(g: Conv2DGeometry, rows: int, columns: int, channels: int, width: int) -> tuple[int, int]:
    threads = rows * -(-columns // STRIP) * (channels // width)
    return -(-threads // THREADS), min(g.batch, MOST_ROWS_OF_BLOCKS)


def _depthwise_width(g: Conv2DGeometry, dtype: Any, *arrays: Any) -> int:
    # Sums of more than four channels would take more registers than the occupancy asked for leaves.
    return widest(dtype, (g.in_channels,), *arrays, most=4) if g.in_channels == g.out_channels else 1


@implementation(
    "conv2d_fprop",
    "cuda-depthwise",
    device="cuda",
    supports=_supports_depthwise,
    cost=_depthwise_cost,
    available=gpu_or_emulator,
)
def _fprop_depthwise(x: Any, w: Any, geometry: Conv2DGeometry, bias: Any, activation: str) -> Any:
    g = geometry
    y = empty(g.y_shape, x.dtype, x)
    width = _depthwise_width(g, x.dtype, x, w, y)
    code = _depthwise("depthwise_fprop", x, y, width, position(activation))
    grid = _depthwise_grid(g, g.out_height, g.out_width, g.out_channels, width)
    code.launch(grid, THREADS, x, w, bias, y, sizes_of(g))
    return y


@implementation(
    "conv2d_dgrad",
    "cuda-depthwise",
    device="cuda",
    supports=_supports_depthwise,
    cost=_depthwise_cost,
    available=gpu_or_emulator,
)
def _dgrad_depthwise(dy: Any, w: Any, geometry: Conv2DGeometry) -> Any:
    g = geometry
    dx = empty(g.x_shape, dy.dtype, dy)
    width = _depthwise_width(g, dy.dtype, dy, w, dx)
    code = _depthwise("depthwise_dgrad", dy, dx, width)
    grid = _depthwise_grid(g, g.height, g.width, g.in_channels, width)
    code.launch(grid, THREADS, dy, w, dx, sizes_of(g))
    return dx


@implementation(
    "conv2d_wgrad",
    "cuda-depthwise",
    device="cuda",
    supports=_supports_depthwise,
    cost=_depthwise_cost,
    available=gpu_or_emulator,
)
def _wgrad_depthwise(x: Any, dy: Any, geometry: Conv2DGeometry) -> Any:
    g = geometry
    dw = empty(g.w_shape, x.dtype, x)
    taps = min(g.kernel_width, MOST_TAPS)
    across, down = -(-g.out_channels // 32), g.kernel_height * -(-g.kernel_width // taps)
    # Two blocks a multiprocessor, but no block with fewer than eight pixels a warp.
    parts = max(1, min(MOST_PARTS, 2 * MULTIPROCESSORS // (across * down), _output_pixels(g) // 64))
    out = dw if parts == 1 else partial(parts, g.w_shape, dw)
    code = _depthwise("depthwise_wgrad", x, out, 1, taps=taps)
    code.launch((across, parts, down), THREADS, x, dy, out, sizes_of(g))
    if parts > 1:
        sum_parts(out, None, dw, g.out_channels)
    return dw


# Numba: the bodies of kernels/numba/depthwise.py, a channel of a pixel to a thread. Not the filter's gradient, where a
# thread would walk whole images alone, nor im2col: the products here gather their operands themselves.


def _supports_depthwise_numba(call: Call) -> Answer:
    ok, reason = numba_supports(call)
    if ok and call.geometry.groups != call.geometry.in_channels:
        return False, f"every channel must be a group of its own; there are {call.geometry.groups} groups"
    return ok, "one channel a group" if ok else reason


def _depthwise_window(g: Conv2DGeometry) -> tuple[Any, ...]:
    start = g.padding[0][0], g.padding[1][0]
    return g.strides, g.dilation, start, g.out_channels // g.in_channels


@implementation(
    "conv2d_fprop",
    "cuda-numba-depthwise",
    device="cuda",
    supports=_supports_depthwise_numba,
    cost=numba_cost(_depthwise_cost, launches=2),
    available=numba_on_gpu,
)
def _fprop_depthwise_numba(x: Any, w: Any, geometry: Conv2DGeometry, bias: Any, activation: str) -> Any:
    g = geometry
    y = empty(g.y_shape, x.dtype, x)
    kernels = w.reshape(g.kernel_height, g.kernel_width, g.out_channels)
    count = g.batch * g.out_height * g.out_width * g.in_channels
    numba_launch("depthwise", "depthwise_fprop_thread", count, x, kernels, y, *_depthwise_window(g))
    return y if bias is None and activation == "linear" else bias_activation(y, bias, activation)


@implementation(
    "conv2d_dgrad",
    "cuda-numba-depthwise",
    device="cuda",
    supports=_supports_depthwise_numba,
    cost=numba_cost(_depthwise_cost),
    available=numba_on_gpu,
)
def _dgrad_depthwise_numba(dy: Any, w: Any, geometry: Conv2DGeometry) -> Any:
    g = geometry
    dx = empty(g.x_shape, dy.dtype, dy)
    kernels = w.reshape(g.kernel_height, g.kernel_width, g.out_channels)
    numba_launch("depthwise", "depthwise_dgrad_thread", dx.size, dy, kernels, dx, *_depthwise_window(g))
    return dx
