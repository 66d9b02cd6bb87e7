"""Convolution on the CPU's vector units: when ``direct`` and ``winograd`` serve a call, and what they cost.

Both need Numba and LLVM, which are loaded by the first call.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np

from deepcore.backend.dispatch import Answer, Call, implementation
from deepcore.backend.geometry import Conv2DGeometry
from deepcore.backend.numpy.cost import (
    DEPTHWISE_BYTES,
    DEPTHWISE_FLOPS,
    TILE_BYTES,
    TILE_CALL,
    TILE_FLOPS,
    TILE_LANES,
    TRANSFORM_BYTES,
    TRANSFORMED_BYTES,
    TRANSPOSED_BYTES,
    WEIGHT_BACK_BYTES,
    WEIGHT_BYTES,
    WINOGRAD_PLACES,
    WINOGRAD_WEIGHTS_BYTES,
    product_seconds,
)
from deepcore.backend.numpy.loops import vectors_available
from deepcore.backend.numpy.memory import empty
from deepcore.backend.numpy.window import Axis, conv_axes, phase

ITEM = 4
MOST_TAPS = 49
FEW_PIXELS = 600  # of a 1x1 convolution, whose cost is that of its multiplications: pixels come from the caches


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"deepcore.backend.numpy.{name}")


def _by_groups(w: np.ndarray, groups: int) -> np.ndarray:
    """w [R, S, C / groups, K] as a view [groups, R, S, C / groups, K / groups]."""
    return w.reshape(*w.shape[:3], groups, -1).transpose(3, 0, 1, 2, 4)


def _by_outputs(w: np.ndarray, groups: int) -> np.ndarray:
    """The weights of the way back: a view [groups, R, S, K / groups, C / groups], last taps first."""
    return w[::-1, ::-1].reshape(*w.shape[:3], groups, -1).transpose(3, 0, 1, 4, 2)


def _phases(g: Conv2DGeometry) -> Iterator[tuple[int, int, tuple[slice, Axis] | None, tuple[slice, Axis] | None]]:
    rows, cols = conv_axes(g)
    for i in range(min(rows.stride, g.height)):
        for j in range(min(cols.stride, g.width)):
            yield i, j, phase(rows, i), phase(cols, j)


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


def _tile_seconds(rows: float, steps: float, width: int, calls: int = 1) -> float:
    """``rows`` times ``steps`` times ``width`` multiply-adds, the width in whole vectors."""
    vectors = -(-width // TILE_LANES)
    slow = {1: 2.0, 2: 1.2}.get(vectors, 1.0)
    return 2.0 * rows * (steps + 8) * vectors * TILE_LANES * slow / TILE_FLOPS + calls * TILE_CALL


def _weights_seconds(g: Conv2DGeometry, rate: float) -> float:
    return float(np.prod(g.w_shape, dtype=float)) * ITEM / rate


def _direct_fprop_cost(call: Call) -> float:
    g = call.geometry
    pixels = g.batch * g.out_height * g.out_width * g.groups
    if _is_product(g) and pixels < FEW_PIXELS:
        return product_seconds(1, pixels, g.out_channels, g.in_channels)
    steps = g.kernel_height * g.kernel_width * g.in_channels // g.groups
    moved = (np.prod(g.x_shape, dtype=float) + np.prod(g.y_shape, dtype=float)) * ITEM
    return (
        _tile_seconds(pixels, steps, g.out_channels // g.groups)
        + _weights_seconds(g, WEIGHT_BYTES)
        + moved / TILE_BYTES
    )


@implementation(
    "conv2d_fprop", "tiles", supports=_supports_direct, cost=_direct_fprop_cost, available=vectors_available
)
def _fprop_direct(
    x: np.ndarray, w: np.ndarray, geometry: Conv2DGeometry, bias: np.ndarray | None, activation: str
) -> np.ndarray:
    if _is_product(geometry):
        return _pointwise(_read(x, geometry), w[0, 0], bias, activation, w).reshape(geometry.y_shape)
    y = empty(geometry.y_shape, np.float32)
    _module("direct").correlate(x, _by_groups(w, geometry.groups), *conv_axes(geometry), y, bias, activation, w)
    return y


def _is_product(g: Conv2DGeometry) -> bool:
    """Whether it is one product, of the pixels that a 1x1 kernel reads."""
    return (g.kernel_height, g.kernel_width, g.groups) == (1, 1, 1) and g.padding == ((0, 0), (0, 0))


def _read(x: np.ndarray, g: Conv2DGeometry) -> np.ndarray:
    """Those pixels, [pixels, C]; side by side they are worth a copy, since each is read by every block of channels."""
    return _as_matrix(np.ascontiguousarray(x[:, :: g.strides[0], :: g.strides[1]]))


def _pointwise(
    pixels: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray | None = None,
    activation: str = "linear",
    owner: np.ndarray | None = None,
) -> np.ndarray:
    """A 1x1 convolution as a product; weights that are kept packed need not be packed panel by panel."""
    direct = _module("direct")
    if owner is None or not direct.is_packed(owner, w):
        y: np.ndarray = _module("product").product(pixels, w, bias, activation)
        return y
    y = empty((len(pixels), w.shape[1]), np.float32)
    direct.product(pixels, w, y, bias, activation, owner)
    return y


def _direct_dgrad_cost(call: Call) -> float:
    g = call.geometry
    phases = g.strides[0] * g.strides[1]
    pixels = g.batch * g.height * g.width * g.groups
    if g.is_pointwise and pixels < FEW_PIXELS:
        return product_seconds(1, pixels, g.in_channels, g.out_channels)
    steps = g.kernel_height * g.kernel_width * g.out_channels / g.groups / phases
    moved = (np.prod(g.x_shape, dtype=float) + np.prod(g.y_shape, dtype=float) * phases) * ITEM
    seconds = _tile_seconds(pixels, steps, g.in_channels // g.groups, phases)
    return seconds + _weights_seconds(g, WEIGHT_BACK_BYTES) + moved / TILE_BYTES


@implementation(
    "conv2d_dgrad", "tiles", supports=_supports_direct, cost=_direct_dgrad_cost, available=vectors_available
)
def _dgrad_direct(dy: np.ndarray, w: np.ndarray, geometry: Conv2DGeometry) -> np.ndarray:
    """dx phase by phase: the pixels of one phase of the stride are a convolution of dy with every stride-th tap."""
    g = geometry
    if g.is_pointwise:
        return _pointwise(_as_matrix(dy), w[0, 0].T).reshape(g.x_shape)
    dx = empty(g.x_shape, np.float32)
    for i, j, vertical, horizontal in _phases(g):
        target = dx[:, i :: g.strides[0], j :: g.strides[1]]
        if vertical is None or horizontal is None:
            target[...] = 0
            continue
        taps = _by_outputs(w[vertical[0], horizontal[0]], g.groups)
        _module("direct").correlate(dy, taps, vertical[1], horizontal[1], target)
    return dx


def _direct_wgrad_cost(call: Call) -> float:
    g = call.geometry
    if _is_product(g) and g.out_channels >= TILE_LANES:
        read = 2.0 * np.prod(g.x_shape, dtype=float) * ITEM / TILE_BYTES if g.strides != (1, 1) else 0.0
        return read + product_seconds(1, g.in_channels, g.out_channels, g.batch * g.out_height * g.out_width)
    rows = g.kernel_height * g.kernel_width * g.in_channels // g.groups
    pixels = g.batch * g.out_height * g.out_width * g.groups
    moved = (np.prod(g.x_shape, dtype=float) + np.prod(g.y_shape, dtype=float)) * ITEM
    short = 1 + 3 / min(rows, 6)  # a tile of few rows waits for each sum before it can add to it again
    # Each strip of pixels reads and writes dw, which takes a third more than sums that stay in registers.
    return short / 1.15 * _tile_seconds(rows, pixels, g.out_channels // g.groups, 2) + moved / TILE_BYTES


@implementation(
    "conv2d_wgrad", "tiles", supports=_supports_direct, cost=_direct_wgrad_cost, available=vectors_available
)
def _wgrad_direct(x: np.ndarray, dy: np.ndarray, geometry: Conv2DGeometry) -> np.ndarray:
    g = geometry
    if _is_product(g) and g.out_channels >= TILE_LANES:
        return _module("product").product(_read(x, g).T, _as_matrix(dy)).reshape(g.w_shape)
    return _module("direct").weight_gradient(x, dy, *conv_axes(geometry), geometry.groups)


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


def _winograd_cost(m: int) -> Callable[[Call], float]:
    def cost(call: Call) -> float:
        g = call.geometry
        places = (m + 2) ** 2
        height, width = (g.out_height, g.out_width) if call.op != "conv2d_dgrad" else (g.height, g.width)
        depth, outputs = g.in_channels, g.out_channels
        if call.op == "conv2d_dgrad":
            depth, outputs = outputs, depth
        tiles = g.batch * -(-height // m) * -(-width // m)
        vectors = (-(-depth // TILE_LANES) + -(-outputs // TILE_LANES)) * TILE_LANES
        if call.op == "conv2d_wgrad":
            products = _tile_seconds(places * depth, tiles, outputs, 3)
        else:
            products = _tile_seconds(places * tiles, depth, outputs, 2)
        transforms = 2.0 * places * tiles * vectors * ITEM / TRANSFORM_BYTES
        return products + transforms + _transformed_seconds(call, m, tiles)

    return cost


def _transformed_seconds(call: Call, m: int, tiles: int) -> float:
    """Of the weights' transform, which each block of tiles does anew unless all transformed weights are few."""
    size = np.prod(call.geometry.w_shape, dtype=float) * ITEM
    places = (m + 2) ** 2
    once = call.op == "conv2d_wgrad" or size * places / 9 <= WINOGRAD_WEIGHTS_BYTES
    times = 1 if once else -(-tiles * places // WINOGRAD_PLACES)
    seconds = size * places / 9 / TRANSFORMED_BYTES
    if call.op == "conv2d_dgrad":
        seconds += size / TRANSPOSED_BYTES
    return times * seconds


def _weights_of_way_back(w: np.ndarray) -> np.ndarray:
    return _by_outputs(w, 1)[0]


def _winograd(m: int) -> None:
    """Lists the implementations for tiles of m x m."""
    name = f"winograd-{m}"
    how: dict[str, Any] = {"supports": _supports_winograd(m), "cost": _winograd_cost(m), "available": vectors_available}

    @implementation("conv2d_fprop", name, **how)
    def fprop(
        x: np.ndarray, w: np.ndarray, geometry: Conv2DGeometry, bias: np.ndarray | None, activation: str
    ) -> np.ndarray:
        y = empty(geometry.y_shape, np.float32)
        _module("winograd").convolve(x, w, *conv_axes(geometry), m, y, bias, activation, w)
        return y

    @implementation("conv2d_dgrad", name, **how)
    def dgrad(dy: np.ndarray, w: np.ndarray, geometry: Conv2DGeometry) -> np.ndarray:
        dx = empty(geometry.x_shape, np.float32)
        ((_, _, vertical, horizontal),) = _phases(geometry)
        assert vertical is not None  # a window of stride 1 reads every input
        assert horizontal is not None
        _module("winograd").convolve(dy, _weights_of_way_back(w), vertical[1], horizontal[1], m, dx)
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
    return _module("winograd").weight_gradient(x, dy, *conv_axes(geometry))


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
    lanes = -(-g.in_channels // TILE_LANES) * TILE_LANES / g.in_channels
    moved = (np.prod(g.x_shape, dtype=float) + np.prod(g.y_shape, dtype=float)) * ITEM
    return lanes * (g.flops / DEPTHWISE_FLOPS + moved / DEPTHWISE_BYTES) + TILE_CALL


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
