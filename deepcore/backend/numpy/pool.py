"""2-D pooling: maximum and mean over windows, and their gradients."""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from deepcore.backend.dispatch import Answer, Call, choose, implementation
from deepcore.backend.geometry import Pool2DGeometry
from deepcore.backend.numpy.cost import (
    GEMM_CALL,
    NUMBA_BYTES,
    NUMPY_BYTES,
    SERIAL_CALL,
    item_bytes,
    numba_seconds,
    numpy_seconds,
)
from deepcore.backend.numpy.half import computed_in_float32
from deepcore.backend.numpy.loops import loop, numba_available, numba_supports, vectors_available
from deepcore.backend.numpy.memory import empty
from deepcore.backend.numpy.window import Block, blocks, pool_axes

__all__ = ["avg_pool2d_dgrad", "avg_pool2d_fprop", "max_pool2d_dgrad", "max_pool2d_fprop", "max_pool2d_gather"]

FEW_CHANNELS = 16  # fewer fill no vector
MANY_TAPS = 25  # from here on it is cheaper to look up where a maximum was than to try every tap
TASKS = 16  # parts of a loop, at the least, where the images alone are too few for the cores
GLOBAL_TASKS = 4  # parts of the mean of whole images, at the least: long runs of channels are read at their pace
GEOMETRIES = 512  # of which is kept what takes longer to find out than a small call
BLOCK_BYTES = 1 << 20  # outputs worked on at a time by NumPy, with their temporary arrays: they stay in the cache


@computed_in_float32()
def max_pool2d_fprop(x: np.ndarray, geometry: Pool2DGeometry) -> tuple[np.ndarray, np.ndarray]:
    """The maximum of every window, and where the window had it first.

    Args:
        x: [N, H, W, C], float32 or float64. NaN counts as larger than everything; padding is never chosen.
        geometry: made for this shape.

    Returns:
        y: [N, P, Q, C], same dtype.
        argmax: [N, P, Q, C], position i * window_width + j in the window of the first maximum in row-major order;
            uint8 for windows of up to 256 elements, else int32.
    """
    run = choose("max_pool2d_fprop", x.dtype, geometry).function
    return run(np.ascontiguousarray(x), geometry)


@computed_in_float32()
def max_pool2d_dgrad(dy: np.ndarray, argmax: np.ndarray, geometry: Pool2DGeometry) -> np.ndarray:
    """The gradient at x: every element of dy [N, P, Q, C] added to the pixel that ``argmax`` names.

    Returns:
        [N, H, W, C], dtype of dy.
    """
    run = choose("max_pool2d_dgrad", dy.dtype, geometry).function
    return run(np.ascontiguousarray(dy), np.ascontiguousarray(argmax), geometry)


@computed_in_float32()
def max_pool2d_gather(x: np.ndarray, argmax: np.ndarray, geometry: Pool2DGeometry) -> np.ndarray:
    """x [N, H, W, C] at the places that ``argmax`` names: the transpose of ``max_pool2d_dgrad``, hence its gradient.

    Returns:
        [N, P, Q, C], dtype of x.
    """
    run = choose("max_pool2d_gather", x.dtype, geometry).function
    return run(np.ascontiguousarray(x), np.ascontiguousarray(argmax), geometry)


@computed_in_float32()
def avg_pool2d_fprop(x: np.ndarray, geometry: Pool2DGeometry) -> np.ndarray:
    """The mean of every window over the elements that it has inside x; padding does not count.

    Args:
        x: [N, H, W, C], float32 or float64.
        geometry: made for this shape.

    Returns:
        [N, P, Q, C], same dtype.
    """
    run = choose("avg_pool2d_fprop", x.dtype, geometry).function
    return run(np.ascontiguousarray(x), geometry)


@computed_in_float32()
def avg_pool2d_dgrad(dy: np.ndarray, geometry: Pool2DGeometry) -> np.ndarray:
    """The gradient at x: every element of dy [N, P, Q, C] in equal shares to the pixels of its window.

    Returns:
        [N, H, W, C], dtype of dy.
    """
    run = choose("avg_pool2d_dgrad", dy.dtype, geometry).function
    return run(np.ascontiguousarray(dy), geometry)


# NumPy: one pass a tap, over all the windows for which it is inside x


def _blocks(g: Pool2DGeometry, item: int) -> Iterator[Block]:
    return blocks(g.batch, g.out_height, g.out_width * g.channels * item, BLOCK_BYTES)


def _taps(g: Pool2DGeometry, block: Block) -> Iterator[tuple[int, tuple[slice, ...], tuple[slice, ...]]]:
    """(place in the window, outputs within the block, inputs within x) for every tap in row-major order."""
    rows, cols = pool_axes(g)
    images = slice(block.start, block.stop)
    for i in range(g.window[0]):
        p, h = rows.span(i, block.first, block.last)
        for j in range(g.window[1]):
            q, column = cols.span(j)
            yield i * g.window[1] + j, (slice(None), p, q), (images, h, column)


@functools.lru_cache(GEOMETRIES)
def _stays_inside(g: Pool2DGeometry) -> bool:
    """Whether no window reads padding."""
    return all(axis.stays_inside for axis in pool_axes(g))


def _counts(g: Pool2DGeometry, dtype: np.dtype) -> np.ndarray:
    """[P, Q, 1] elements that each window has inside x."""
    sides = []
    for axis in pool_axes(g):
        starts = np.arange(axis.outputs) * axis.stride - axis.before
        sides.append(np.minimum(starts + axis.taps, axis.size) - np.maximum(starts, 0))
    return np.multiply.outer(*sides)[:, :, np.newaxis].astype(dtype)


def _numpy_cost(passes: int) -> Callable[[Call], float]:
    """The cost of ``passes`` elementwise calls a tap, which move three arrays each."""

    def cost(call: Call) -> float:
        g = call.geometry
        count = max(1, math.prod(g.y_shape) * 4 // BLOCK_BYTES)
        calls = passes * g.window[0] * g.window[1] * count
        return numpy_seconds(calls, 3 * passes * g.flops, g.channels, call.dtype)

    return cost


@implementation("max_pool2d_fprop", "numpy", cost=_numpy_cost(6))
def _max_fprop_numpy(x: np.ndarray, geometry: Pool2DGeometry) -> tuple[np.ndarray, np.ndarray]:
    g = geometry
    y = np.full(g.y_shape, -np.inf, x.dtype)
    argmax = empty(g.y_shape, g.argmax_dtype)
    # A window of nothing but -inf has its maximum at its first element inside x.
    first_i, first_j = (np.maximum(axis.before - np.arange(axis.outputs) * axis.stride, 0) for axis in pool_axes(g))
    argmax[...] = np.add.outer(first_i * g.window[1], first_j)[:, :, np.newaxis]
    for block in _blocks(g, x.itemsize):
        best, places = y[block.part], argmax[block.part]
        for place, outputs, inputs in _taps(g, block):
            value, top = x[inputs], best[outputs]
            take = ~(value <= top)  # larger, or one of the two is NaN
            take &= top == top  # and it is not the older
            np.copyto(top, value, where=take)
            np.copyto(places[outputs], places.dtype.type(place), where=take)
    return y, argmax


@implementation("max_pool2d_dgrad", "numpy", cost=_numpy_cost(3))
def _max_dgrad_numpy(dy: np.ndarray, argmax: np.ndarray, geometry: Pool2DGeometry) -> np.ndarray:
    dx = np.zeros(geometry.x_shape, dy.dtype)
    for block in _blocks(geometry, dy.itemsize):
        gradients, places = dy[block.part], argmax[block.part]
        for place, outputs, inputs in _taps(geometry, block):
            pixels = dx[inputs]
            np.add(pixels, gradients[outputs], out=pixels, where=places[outputs] == place)
    return dx


@implementation("max_pool2d_gather", "numpy", cost=_numpy_cost(3))
def _max_gather_numpy(x: np.ndarray, argmax: np.ndarray, geometry: Pool2DGeometry) -> np.ndarray:
    y = empty(geometry.y_shape, x.dtype)
    for block in _blocks(geometry, x.itemsize):
        target, places = y[block.part], argmax[block.part]
        for place, outputs, inputs in _taps(geometry, block):
            np.copyto(target[outputs], x[inputs], where=places[outputs] == place)
    return y


@implementation("avg_pool2d_fprop", "numpy", cost=_numpy_cost(1))
def _avg_fprop_numpy(x: np.ndarray, geometry: Pool2DGeometry) -> np.ndarray:
    y = np.zeros(geometry.y_shape, x.dtype)
    for block in _blocks(geometry, x.itemsize):
        target = y[block.part]
        for _, outputs, inputs in _taps(geometry, block):
            target[outputs] += x[inputs]
    y /= _counts(geometry, x.dtype)
    return y


@implementation("avg_pool2d_dgrad", "numpy", cost=_numpy_cost(1))
def _avg_dgrad_numpy(dy: np.ndarray, geometry: Pool2DGeometry) -> np.ndarray:
    dx = np.zeros(geometry.x_shape, dy.dtype)
    shares = dy / _counts(geometry, dy.dtype)
    for block in _blocks(geometry, dy.itemsize):
        source = shares[block.part]
        for _, outputs, inputs in _taps(geometry, block):
            dx[inputs] += source[outputs]
    return dx


# Global pooling: one window, the whole image


def _supports_global(call: Call) -> Answer:
    g = call.geometry
    if not g.is_global:
        return False, f"the window must be the whole image, ({g.height}, {g.width}); it is {g.window}"
    return True, "one window, the whole image"


def _global_fprop_cost(call: Call) -> float:
    g = call.geometry  # of products, but with one row each: nearly as fast as memory, on one core
    return g.batch * GEMM_CALL + math.prod(g.x_shape) * item_bytes(call.dtype) / NUMPY_BYTES


@implementation("avg_pool2d_fprop", "numpy-global", supports=_supports_global, cost=_global_fprop_cost)
def _avg_fprop_global(x: np.ndarray, geometry: Pool2DGeometry) -> np.ndarray:
    g = geometry
    pixels = g.height * g.width
    sums = np.ones((1, pixels), x.dtype) @ x.reshape(g.batch, pixels, g.channels)
    return (sums / x.dtype.type(pixels)).reshape(g.y_shape)


def _global_dgrad_cost(call: Call) -> float:
    g = call.geometry
    return numpy_seconds(2, math.prod(g.x_shape), g.channels, call.dtype)


@implementation("avg_pool2d_dgrad", "numpy-global", supports=_supports_global, cost=_global_dgrad_cost)
def _avg_dgrad_global(dy: np.ndarray, geometry: Pool2DGeometry) -> np.ndarray:
    dx = empty(geometry.x_shape, dy.dtype)
    dx[...] = dy / dy.dtype.type(geometry.height * geometry.width)
    return dx


# Numba: one pass over everything


def _numba_cost(call: Call) -> float:
    g = call.geometry  # a tap is an operation on a register, and costs an eighth of an element moved
    moved = math.prod(g.x_shape) + 2 * math.prod(g.y_shape) + g.flops / 8
    return numba_seconds(1, moved, g.channels, call.dtype)


def _loop(name: str, geometry: Pool2DGeometry) -> Callable[..., Any]:
    return loop("pool", name, math.prod(geometry.x_shape) + math.prod(geometry.y_shape))


def _strips(geometry: Pool2DGeometry) -> int:
    """Into how many strips of rows an image is cut: none where the images are enough for all cores."""
    return max(1, min(TASKS // max(geometry.batch, 1), geometry.height))


def _numba_dgrad_cost(call: Call) -> float:
    g = call.geometry  # pixels are read and written again by every tap, but in the cache
    moved = 2 * math.prod(g.x_shape) + 2 * math.prod(g.y_shape) + g.flops / 2
    return numba_seconds(1, moved, g.channels, call.dtype)


def _window(geometry: Pool2DGeometry) -> tuple[Any, ...]:
    return geometry.window, geometry.strides, (geometry.padding[0][0], geometry.padding[1][0])


@implementation("max_pool2d_fprop", "numba", supports=numba_supports, cost=_numba_cost, available=numba_available)
def _max_fprop_numba(x: np.ndarray, geometry: Pool2DGeometry) -> tuple[np.ndarray, np.ndarray]:
    y = empty(geometry.y_shape, x.dtype)
    argmax = empty(geometry.y_shape, geometry.argmax_dtype)
    _loop("max_fprop", geometry)(x, y, argmax, *_window(geometry))
    return y, argmax


@implementation("max_pool2d_dgrad", "numba", supports=numba_supports, cost=_numba_dgrad_cost, available=numba_available)
def _max_dgrad_numba(dy: np.ndarray, argmax: np.ndarray, geometry: Pool2DGeometry) -> np.ndarray:
    g, dx = geometry, empty(geometry.x_shape, dy.dtype)
    if g.window == g.strides == (2, 2) and g.padding == ((0, 0), (0, 0)):
        _loop("max_dgrad_tiles", g)(dy, argmax, dx)
    elif g.strides[1] == 1 and g.channels >= 4 and g.window[0] * g.window[1] <= MANY_TAPS:
        _loop("max_dgrad_dense", g)(dy, argmax, dx, *_window(g))
    else:
        few = g.channels < FEW_CHANNELS or g.window[0] * g.window[1] > MANY_TAPS
        _loop("max_dgrad_short" if few else "max_dgrad", g)(dy, argmax, dx, *_window(g), _strips(g))
    return dx


@implementation("max_pool2d_gather", "numba", supports=numba_supports, cost=_numba_cost, available=numba_available)
def _max_gather_numba(x: np.ndarray, argmax: np.ndarray, geometry: Pool2DGeometry) -> np.ndarray:
    y = empty(geometry.y_shape, x.dtype)
    _loop("max_gather", geometry)(x, argmax, y, *_window(geometry))
    return y


@implementation("avg_pool2d_fprop", "numba", supports=numba_supports, cost=_numba_cost, available=numba_available)
def _avg_fprop_numba(x: np.ndarray, geometry: Pool2DGeometry) -> np.ndarray:
    y = empty(geometry.y_shape, x.dtype)
    if geometry.is_global:
        _loop("mean_global", geometry)(x, y, max(1, GLOBAL_TASKS // geometry.batch))
    else:
        _loop("mean_fprop", geometry)(x, y, *_window(geometry))
    return y


@implementation("avg_pool2d_dgrad", "numba", supports=numba_supports, cost=_numba_dgrad_cost, available=numba_available)
def _avg_dgrad_numba(dy: np.ndarray, geometry: Pool2DGeometry) -> np.ndarray:
    g, dx = geometry, empty(geometry.x_shape, dy.dtype)
    if g.channels >= FEW_CHANNELS:
        _loop("mean_dgrad", g)(dy, dx, *_window(g), _strips(g))
        return dx
    if _stays_inside(g):
        shares, scale = dy, dy.dtype.type(1 / (g.window[0] * g.window[1]))
    else:
        shares, scale = dy / _counts(g, dy.dtype), dy.dtype.type(1)
    _loop("mean_dgrad_dense" if g.strides[1] == 1 else "mean_dgrad_short", g)(shares, dx, *_window(g), scale)
    return dx


# The vector units: one pass, every array read once and written once


@functools.cache
def _vectors(name: str) -> Callable[..., Any]:
    return getattr(importlib.import_module("deepcore.backend.numpy.pooling"), name)


def _supports_vectors(call: Call) -> Answer:
    g = call.geometry
    if call.dtype != "float32":
        return False, f"vectors are of float32; the arrays are {call.dtype}"
    if g.window[0] * g.window[1] > MANY_TAPS:
        return False, f"a window has at most {MANY_TAPS} taps, which are written out in the code"
    return True, "float32, any stride and padding"


def _vectors_cost(call: Call) -> float:
    g = call.geometry
    moved = math.prod(g.x_shape) + 2 * math.prod(g.y_shape) + g.flops / 16
    return SERIAL_CALL + moved * item_bytes(call.dtype) / NUMBA_BYTES


_on_vectors: dict[str, Any] = {"supports": _supports_vectors, "cost": _vectors_cost, "available": vectors_available}


@implementation("max_pool2d_fprop", "vectors", **_on_vectors)
def _max_fprop_vectors(x: np.ndarray, geometry: Pool2DGeometry) -> tuple[np.ndarray, np.ndarray]:
    return _vectors("max_fprop")(x, geometry)


@implementation("max_pool2d_dgrad", "vectors", **_on_vectors)
def _max_dgrad_vectors(dy: np.ndarray, argmax: np.ndarray, geometry: Pool2DGeometry) -> np.ndarray:
    return _vectors("max_dgrad")(dy, argmax, geometry)


@implementation("avg_pool2d_fprop", "vectors", **_on_vectors)
def _avg_fprop_vectors(x: np.ndarray, geometry: Pool2DGeometry) -> np.ndarray:
    return _vectors("mean_fprop")(x, geometry)


@implementation("avg_pool2d_dgrad", "vectors", **_on_vectors)
def _avg_dgrad_vectors(dy: np.ndarray, geometry: Pool2DGeometry) -> np.ndarray:
    divided = not _stays_inside(geometry)
    shares = dy / _counts(geometry, dy.dtype) if divided else dy
    return _vectors("mean_dgrad")(shares, geometry, divided)
