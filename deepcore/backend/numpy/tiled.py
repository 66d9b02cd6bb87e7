"""Convolution on the CPU's vector units: when ``direct`` and ``winograd`` serve a call, and what they cost.

Both need Numba and LLVM, which are loaded by the first call.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from deepcore.backend.dispatch import Answer, Call, implementation
from deepcore.backend.geometry import Conv2DGeometry
from deepcore.backend.numpy.cost import (
    COLUMN_SLOW,
    DEEP_SLOW,
    DEPTHWISE_BYTES,
    DEPTHWISE_FLOPS,
    FOLD_BYTES,
    FUSED_START,
    GRADIENT_SLOW,
    ITEM,
    PACKED_BACK_BYTES,
    PACKED_BYTES,
    PLACE_SLOW,
    SHARED_SLOW,
    THROUGH_MEMORY,
    TILE_BYTES,
    TILE_CALL,
    TILE_FLOPS,
    TILE_START,
    TRANSFORM_BYTES,
    TRANSFORMED_BYTES,
    TRANSPOSED_BYTES,
    WEIGHT_BYTES,
    WINDOW_SLOW,
    flops,
    lanes,
    product_seconds,
    relative_width,
)
from deepcore.backend.numpy.loops import vectors_available
from deepcore.backend.numpy.memory import empty
from deepcore.backend.numpy.window import Axis, by_outputs, conv_axes, conv_phases

BLOCK_BYTES = 1 << 20  # of the weights of a block of channels that stay in a second-level cache
BLOCK_LANES = 64  # of such a block
CACHED_BYTES = 2 << 20  # of a gradient at the weights that stays in the second-level caches while it is added to
STRIP_PIXELS = 128  # whose sums are added to it at a time
SUMS_BYTES = 700_000  # of Winograd's sums that stay in a second-level cache, beside blocks of tiles
SUMS_TILES = 256  # for which it is worth to keep them there
FUSED_CHANNELS = range(2, 5)  # of which a place of Winograd's tiles has so few products that its sum stays in registers
MOST_TAPS = 49
FEW_PIXELS = 600  # of a 1x1 convolution, whose cost is that of its multiplications: pixels come from the caches
MOST_TOGETHER = 4  # neighbouring pixels that share a vector
MOST_RUN = 64  # elements of a window's row, for which a tile has columns
MOST_LOADS = 1024  # of what pixels give to a row of the image, which are written out in the code


@functools.cache
def _module(name: str) -> ModuleType:
    """A plan of this folder; what needs Numba is loaded by the first call."""
    return importlib.import_module(f"deepcore.backend.numpy.{name}")


def _by_groups(w: np.ndarray, groups: int) -> np.ndarray:
    """w [R, S, C / groups, K] as a view [groups, R, S, C / groups, K / groups]."""
    return w.reshape(*w.shape[:3], groups, -1).transpose(3, 0, 1, 2, 4)


def _as_matrix(x: np.ndarray) -> np.ndarray:
    """[..., C] as [pixels, C]."""
    return x.reshape(-1, x.shape[-1])


# Direct sums


def _supports_direct(call: Call) -> Answer:
    if call.dtype != "float32":
        return False, f"register tiles are of float32; the arrays are {call.dtype}"
    if call.geometry.is_depthwise:
        return False, "a depthwise convolution has nothing to multiply with whole vectors"
    return True, "float32, any window, stride, dilation and groups"


def _tile_seconds(rows: float, steps: float, width: int, slow: dict[int, float]) -> float:
    """``rows`` times ``steps`` times ``width`` multiply-adds, the width in whole vectors."""
    vectors = -(-width // lanes())
    return 2.0 * rows * (steps + TILE_START) * vectors * lanes() * slow.get(vectors, 1.0) / flops(TILE_FLOPS)


def _share(g: Conv2DGeometry, columns: int, taps: int, stride: int, width: int) -> float:
    """What is left of that time where neighbouring columns of few channels share a vector, and taps that both read."""
    if taps == 1 or g.groups > 1 or g.dilation[1] > 1:
        return 1.0
    numbers = [n for n in range(2, MOST_TOGETHER + 1) if n * width <= lanes() and columns % n == 0]
    return min((SHARED_SLOW * (taps + (n - 1) * stride) / (taps * n) for n in numbers), default=1.0)


def _deep(steps: int, width: int) -> float:
    """How much longer tiles of so many steps take for their weights."""
    return DEEP_SLOW if steps * min(width, BLOCK_LANES) * ITEM > BLOCK_BYTES else 1.0


def _weights_seconds(g: Conv2DGeometry, rate: float) -> float:
    return float(np.prod(g.w_shape, dtype=float)) * ITEM / rate


def _direct_fprop_cost(call: Call) -> float:
    g = call.geometry
    pixels = g.batch * g.out_height * g.out_width * g.groups
    if _is_product(g) and pixels < FEW_PIXELS:
        return product_seconds(1, pixels, g.out_channels, g.in_channels)
    steps = g.kernel_height * g.kernel_width * g.in_channels // g.groups
    moved = (np.prod(g.x_shape, dtype=float) + np.prod(g.y_shape, dtype=float)) * ITEM
    width = g.out_channels // g.groups
    share = _share(g, g.out_width, g.kernel_width, g.strides[1], width)
    slow = COLUMN_SLOW if g.kernel_width == 1 else WINDOW_SLOW
    seconds = share * _deep(steps, width) * _tile_seconds(pixels, steps, width, slow) + moved / TILE_BYTES
    return seconds + _weights_seconds(g, PACKED_BYTES) + TILE_CALL


@implementation(
    "conv2d_fprop", "tiles", supports=_supports_direct, cost=_direct_fprop_cost, available=vectors_available
)
def _fprop_direct(
    x: np.ndarray, w: np.ndarray, geometry: Conv2DGeometry, bias: np.ndarray | None, activation: str
) -> np.ndarray:
    if _is_product(geometry):
        return _fprop_product(x, w, geometry, bias, activation)
    y = empty(geometry.y_shape, np.float32)
    _module("direct").correlate(x, _by_groups(w, geometry.groups), *conv_axes(geometry), y, bias, activation, w)
    return y


def _is_product(g: Conv2DGeometry) -> bool:
    """Whether it is one product, of the pixels that a 1x1 kernel reads."""
    return (g.kernel_height, g.kernel_width, g.groups) == (1, 1, 1) and g.padding == ((0, 0), (0, 0))


def _read(x: np.ndarray, g: Conv2DGeometry) -> np.ndarray:
    """Those pixels, [N, P, Q, C]."""
    return x[:, :: g.strides[0], :: g.strides[1]]


def _side_by_side(pixels: np.ndarray) -> np.ndarray:
    """The same as [pixels, C]; worth a copy, since each is read by every block of channels."""
    return _as_matrix(np.ascontiguousarray(pixels))


def _read_seconds(g: Conv2DGeometry) -> float:
    """Of that copy."""
    return 2.0 * float(np.prod(g.x_shape, dtype=float)) * ITEM / TILE_BYTES if g.strides != (1, 1) else 0.0


def _fprop_product(
    x: np.ndarray, w: np.ndarray, g: Conv2DGeometry, bias: np.ndarray | None, activation: str
) -> np.ndarray:
    """A 1x1 convolution as a product; weights that are kept packed need not be packed panel by panel."""
    direct, kernel, pixels = _module("direct"), w[0, 0], _read(x, g)
    y: np.ndarray
    if not direct.is_packed(w, kernel):
        y = _module("product").product(pixels, kernel, bias, activation)
        return y
    y = empty(g.y_shape, np.float32)
    direct.product(_side_by_side(pixels), kernel, _as_matrix(y), bias, activation, w)
    return y


def _direct_dgrad_cost(call: Call) -> float:
    g = call.geometry
    phases = g.strides[0] * g.strides[1]
    pixels = g.batch * g.height * g.width * g.groups
    if g.is_pointwise and pixels < FEW_PIXELS:
        return product_seconds(1, pixels, g.in_channels, g.out_channels)
    steps = g.kernel_height * g.kernel_width * g.out_channels / g.groups / phases
    moved = (np.prod(g.x_shape, dtype=float) + np.prod(g.y_shape, dtype=float) * phases) * ITEM
    width = g.in_channels // g.groups
    share = _share(g, g.width // g.strides[1], -(-g.kernel_width // g.strides[1]), 1, width)
    slow = COLUMN_SLOW if g.kernel_width == 1 else WINDOW_SLOW
    seconds = share * _tile_seconds(pixels, steps, width, slow) + moved / TILE_BYTES
    return seconds + _weights_seconds(g, PACKED_BACK_BYTES) + TILE_CALL


@implementation(
    "conv2d_dgrad", "tiles", supports=_supports_direct, cost=_direct_dgrad_cost, available=vectors_available
)
def _dgrad_direct(dy: np.ndarray, w: np.ndarray, geometry: Conv2DGeometry) -> np.ndarray:
    g = geometry
    if g.is_pointwise:
        return _module("product").product(dy, w[0, 0].T)
    dx = empty(g.x_shape, np.float32)
    if g.strides == (1, 1):
        _module("direct").correlate(dy, by_outputs(w, g.groups), *_way_back(g), dx)
    else:
        _module("phases").input_gradient(dy, w, g, dx)
    return dx


def _supports_overlap(call: Call) -> Answer:
    g = call.geometry
    if call.dtype != "float32":
        return False, f"register tiles are of float32; the arrays are {call.dtype}"
    if g.groups != 1 or g.dilation[1] != 1 or g.kernel_width == 1:
        return False, "one group, and windows of neighbouring columns, two at least"
    run = g.kernel_width * g.in_channels
    if run > MOST_RUN or g.width * (run + lanes()) > MOST_LOADS * lanes() * g.strides[1]:
        return False, "a row of the window must be short, and a row of the image not very long"
    return True, "float32; a row of the window is short"


def _overlap_cost(call: Call) -> float:
    g = call.geometry
    pixels = g.batch * g.height * g.out_width
    reaching = g.kernel_height * g.out_height / g.height  # rows of dy that a row of dx is made from
    moved = (np.prod(g.x_shape, dtype=float) + np.prod(g.y_shape, dtype=float)) * ITEM
    run = g.kernel_width * g.in_channels
    folded = 2.0 * pixels * -(-run // lanes()) * lanes() * ITEM
    seconds = _tile_seconds(pixels, reaching * g.out_channels, run, WINDOW_SLOW)
    if relative_width() < 1 and g.strides[0] == 1:  # runs for all rows of dx may lie side by side
        pixels_of_dy = g.batch * g.out_height * g.out_width
        seconds = min(seconds, _tile_seconds(pixels_of_dy, g.out_channels, g.kernel_height * run, WINDOW_SLOW))
    seconds += folded / FOLD_BYTES + moved / TILE_BYTES
    return seconds + _weights_seconds(g, PACKED_BACK_BYTES) + g.strides[0] * 2 * TILE_CALL  # each packs its weights


@implementation(
    "conv2d_dgrad", "overlap-add", supports=_supports_overlap, cost=_overlap_cost, available=vectors_available
)
def _dgrad_overlap(dy: np.ndarray, w: np.ndarray, geometry: Conv2DGeometry) -> np.ndarray:
    """dx row by row: what each pixel of dy gives to it is one run, and runs are added where they overlap."""
    dx = empty(geometry.x_shape, np.float32)
    _module("overlap").input_gradient(dy, w, *conv_axes(geometry), dx)
    return dx


def _way_back(g: Conv2DGeometry) -> tuple[Axis, Axis]:
    """How windows of stride 1 lie on the output's gradient, when the input's is made."""
    ((_, _, axes),) = conv_phases(g)
    assert axes is not None  # a window of stride 1 reads every input
    return axes


def _direct_wgrad_cost(call: Call) -> float:
    g = call.geometry
    if _is_product(g) and g.out_channels >= lanes():
        pixels = g.batch * g.out_height * g.out_width
        return _read_seconds(g) + product_seconds(1, g.in_channels, g.out_channels, pixels)
    rows = g.kernel_height * g.kernel_width * g.in_channels // g.groups
    pixels = g.batch * g.out_height * g.out_width * g.groups
    moved = (np.prod(g.x_shape, dtype=float) + np.prod(g.y_shape, dtype=float)) * ITEM
    short = 1 + 3 / min(rows, 6)  # a tile of few rows waits for each sum before it can add to it again
    width = g.out_channels // g.groups
    share = _share(g, g.out_width, g.kernel_width, g.strides[1], width)
    # Each strip of pixels reads and writes dw, which takes a third more than sums that stay in registers; from memory,
    # where dw is larger than the cache, once for each image at the least. With narrow vectors a tile is fewer and
    # narrower ones wide, and its rows of dw are as much shorter; caches are smaller there, too.
    size = float(np.prod(g.w_shape, dtype=float)) * ITEM
    if size > CACHED_BYTES * relative_width():
        strips = g.batch * max(1.0, g.out_height * g.out_width / STRIP_PIXELS)
        moved += 2.0 * size * strips / relative_width() ** 2
    slow = COLUMN_SLOW if g.kernel_width == 1 else GRADIENT_SLOW
    return short / 1.15 * share * _tile_seconds(rows, pixels, width, slow) + moved / TILE_BYTES + 2 * TILE_CALL


@implementation(
    "conv2d_wgrad", "tiles", supports=_supports_direct, cost=_direct_wgrad_cost, available=vectors_available
)
def _wgrad_direct(x: np.ndarray, dy: np.ndarray, geometry: Conv2DGeometry) -> np.ndarray:
    g = geometry
    if _is_product(g) and g.out_channels >= lanes():
        return _module("product").product(_side_by_side(_read(x, g)).T, _as_matrix(dy)).reshape(g.w_shape)
    return _module("direct_wgrad").weight_gradient(x, dy, *conv_axes(geometry), geometry.groups)


# Winograd


def _supports_winograd(m: int) -> Callable[[Call], Answer]:
    def supports(call: Call) -> Answer:
        g = call.geometry
        if call.dtype != "float32":
            return False, f"Winograd's tiles are of float32; the arrays are {call.dtype}"
        if g.window != (3, 3) or g.strides != (1, 1) or g.dilation != (1, 1) or g.groups != 1:
            return False, "the kernel must be 3x3 with stride 1, no dilation and one group"
        if call.winograd < m:
            return False, f"set_winograd allows tiles of {call.winograd}; these are of {m}"
        return True, f"3x3 of stride 1: {'4' if m == 4 else '2.25'} times fewer multiplications"

    return supports


def _is_fused(g: Conv2DGeometry, m: int) -> bool:
    """Whether what Winograd's places are made of, for few channels, stays close by: whole tiles, pairs of vectors."""
    few = relative_width() < 1 and m == 4 and g.in_channels in FUSED_CHANNELS
    return few and g.out_height % m == g.out_width % m == g.out_channels % (2 * lanes()) == 0


def _winograd_cost(m: int) -> Callable[[Call], float]:
    def cost(call: Call) -> float:
        g = call.geometry
        places = (m + 2) ** 2
        height, width = (g.out_height, g.out_width) if call.op != "conv2d_dgrad" else (g.height, g.width)
        depth, outputs = g.in_channels, g.out_channels
        if call.op == "conv2d_dgrad":
            depth, outputs = outputs, depth
        tiles = g.batch * -(-height // m) * -(-width // m)
        if call.op != "conv2d_dgrad" and _is_fused(g, m):
            moved = (np.prod(g.x_shape, dtype=float) + np.prod(g.y_shape, dtype=float)) * ITEM
            seconds = 2.0 * places * tiles * lanes() * ITEM / TRANSFORM_BYTES + moved / TILE_BYTES
            seconds += 2.0 * places * tiles * (depth + FUSED_START) * outputs / flops(TILE_FLOPS)
            return seconds + (3 if call.op == "conv2d_wgrad" else 2) * TILE_CALL
        padded = (-(-depth // lanes()) + -(-outputs // lanes())) * lanes()
        transforms = 2.0 * places * tiles * padded * ITEM / TRANSFORM_BYTES
        if call.op == "conv2d_wgrad":
            products = _tile_seconds(places * depth, tiles, outputs, PLACE_SLOW) + 3 * TILE_CALL
            if places * depth * outputs * ITEM > SUMS_BYTES or tiles < SUMS_TILES:
                # Narrow vectors multiply for longer while memory takes the same time.
                products *= 1 + (THROUGH_MEMORY[0] - 1) * relative_width()
                transforms *= THROUGH_MEMORY[1]
            # Narrow vectors read the images in more instructions than the reference machine's rate knows of.
            moved = (np.prod(g.x_shape, dtype=float) + np.prod(g.y_shape, dtype=float)) * ITEM
            transforms += (1 / relative_width() - 1) * moved / TILE_BYTES
        else:
            products = _tile_seconds(places * tiles, depth, outputs, PLACE_SLOW) + 2 * TILE_CALL
        return products + transforms + _transformed_seconds(call, m)

    return cost


def _transformed_seconds(call: Call, m: int) -> float:
    """Of the weights' transform."""
    size = np.prod(call.geometry.w_shape, dtype=float) * ITEM
    seconds = size / WEIGHT_BYTES + size * (m + 2) ** 2 / 9 / TRANSFORMED_BYTES
    if call.op == "conv2d_dgrad":
        seconds += size / TRANSPOSED_BYTES
    return float(seconds)


def _winograd(m: int) -> None:
    """Lists the implementations for tiles of m x m."""
    name = f"winograd-{m}"
    how: dict[str, Any] = {"supports": _supports_winograd(m), "cost": _winograd_cost(m), "available": vectors_available}

    @implementation("conv2d_fprop", name, **how)
    def fprop(
        x: np.ndarray, w: np.ndarray, geometry: Conv2DGeometry, bias: np.ndarray | None, activation: str
    ) -> np.ndarray:
        y = empty(geometry.y_shape, np.float32)
        if _is_fused(geometry, m):
            _module("winograd_fused").convolve(x, w, *conv_axes(geometry), m, y, bias, activation)
        else:
            _module("winograd").convolve(x, w, *conv_axes(geometry), m, y, bias, activation, w)
        return y

    @implementation("conv2d_dgrad", name, **how)
    def dgrad(dy: np.ndarray, w: np.ndarray, geometry: Conv2DGeometry) -> np.ndarray:
        dx = empty(geometry.x_shape, np.float32)
        _module("winograd").convolve(dy, by_outputs(w, 1)[0], *_way_back(geometry), m, dx)
        return dx


_winograd(2)
_winograd(4)


@implementation(
    "conv2d_wgrad",
    "winograd-4",
    supports=_supports_winograd(4),
    cost=_winograd_cost(4),
    available=vectors_available,
)
def _wgrad_winograd(x: np.ndarray, dy: np.ndarray, geometry: Conv2DGeometry) -> np.ndarray:
    module = "winograd_fused_gradient" if _is_fused(geometry, 4) else "winograd_gradient"
    return _module(module).weight_gradient(x, dy, *conv_axes(geometry))


# Depthwise


def _supports_depthwise(call: Call) -> Answer:
    g = call.geometry
    if call.dtype != "float32":
        return False, f"vectors of channels are of float32; the arrays are {call.dtype}"
    if not g.is_depthwise or g.out_channels != g.in_channels:
        return False, "the convolution must be depthwise with one output a channel"
    if g.kernel_height * g.kernel_width > MOST_TAPS:
        return False, f"a window has at most {MOST_TAPS} taps, which are written out in the code"
    return True, "depthwise with one output a channel"


def _depthwise_cost(call: Call) -> float:
    g = call.geometry
    padded = -(-g.in_channels // lanes()) * lanes() / g.in_channels
    moved = (np.prod(g.x_shape, dtype=float) + np.prod(g.y_shape, dtype=float)) * ITEM
    return padded * (g.flops / flops(DEPTHWISE_FLOPS) + moved / DEPTHWISE_BYTES) + TILE_CALL


_depthwise: dict[str, Any] = {"supports": _supports_depthwise, "cost": _depthwise_cost, "available": vectors_available}


@implementation("conv2d_fprop", "vectors-depthwise", **_depthwise)
def _fprop_depthwise(
    x: np.ndarray, w: np.ndarray, geometry: Conv2DGeometry, bias: np.ndarray | None, activation: str
) -> np.ndarray:
    y = empty(geometry.y_shape, np.float32)
    _module("depthwise").convolve(x, w[:, :, 0], *conv_axes(geometry), y, bias, activation)
    return y


@implementation("conv2d_dgrad", "vectors-depthwise", **_depthwise)
def _dgrad_depthwise(dy: np.ndarray, w: np.ndarray, geometry: Conv2DGeometry) -> np.ndarray:
    dx = empty(geometry.x_shape, np.float32)
    _module("depthwise").input_gradient(dy, w[:, :, 0], *conv_axes(geometry), dx)
    return dx


@implementation("conv2d_wgrad", "vectors-depthwise", **_depthwise)
def _wgrad_depthwise(x: np.ndarray, dy: np.ndarray, geometry: Conv2DGeometry) -> np.ndarray:
    return _module("depthwise").weight_gradient(x, dy, *conv_axes(geometry)).reshape(geometry.w_shape)
