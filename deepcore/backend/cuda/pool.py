"""2-D pooling and its gradients; the contract is that of ``backend/numpy/pool.py``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from deepcore.backend.cuda.array import c_type, contiguous, empty
from deepcore.backend.cuda.cost import BYTES, LAUNCH, THREADS, gpu_or_emulator, item_bytes, supports_floating
from deepcore.backend.cuda.launcher import kernel
from deepcore.backend.cuda.sibling import numba_cost, numba_launch, numba_on_gpu, numba_supports
from deepcore.backend.cuda.tile import DIVISOR, MULTIPROCESSORS, divisor, structure, widest
from deepcore.backend.dispatch import Answer, Call, choose, implementation
from deepcore.backend.geometry import Pool2DGeometry

__all__ = ["avg_pool2d_dgrad", "avg_pool2d_fprop", "max_pool2d_dgrad", "max_pool2d_fprop", "max_pool2d_gather"]

# pool.cu's Axis and PoolSizes.
AXIS = np.dtype([*((name, "i4") for name in ("size", "outputs", "window", "stride", "before")), ("by_stride", DIVISOR)])
SIZES = np.dtype(
    [
        *(("rows", AXIS), ("columns", AXIS), ("batch", "i4"), ("channels", "i4")),
        *((f"by_{name}", DIVISOR) for name in ("vectors", "columns", "outputs")),
    ]
)

# C types of a position in a window, each of one word, as a macro needs it to be.
PLACES = {"uint8": "uint8_t", "int32": "int"}

MOST_ELEMENTS = 2**31 - 2**16  # of one image: kernels count them in 32 bits, up to a block beyond the last
MOST_ROWS_OF_BLOCKS = 65535  # in y, by the CUDA C++ Programming Guide; kernels loop over what is beyond


def max_pool2d_fprop(x: Any, geometry: Pool2DGeometry) -> tuple[Any, Any]:
    """The maximum of every window, and its first position; see the NumPy backend."""
    return choose("max_pool2d_fprop", x.dtype, geometry, "cuda").function(contiguous(x), geometry)


def max_pool2d_dgrad(dy: Any, argmax: Any, geometry: Pool2DGeometry) -> Any:
    """The gradient at x; see the NumPy backend."""
    run = choose("max_pool2d_dgrad", dy.dtype, geometry, "cuda").function
    return run(contiguous(dy), contiguous(argmax), geometry)


def max_pool2d_gather(x: Any, argmax: Any, geometry: Pool2DGeometry) -> Any:
    """x at the places that ``argmax`` names; see the NumPy backend."""
    run = choose("max_pool2d_gather", x.dtype, geometry, "cuda").function
    return run(contiguous(x), contiguous(argmax), geometry)


def avg_pool2d_fprop(x: Any, geometry: Pool2DGeometry) -> Any:
    """The mean of every window over what it has inside x; see the NumPy backend."""
    return choose("avg_pool2d_fprop", x.dtype, geometry, "cuda").function(contiguous(x), geometry)


def avg_pool2d_dgrad(dy: Any, geometry: Pool2DGeometry) -> Any:
    """The gradient at x; see the NumPy backend."""
    return choose("avg_pool2d_dgrad", dy.dtype, geometry, "cuda").function(contiguous(dy), geometry)


def _supports(call: Call) -> Answer:
    g = call.geometry
    ok, reason = supports_floating(call)
    elements = max(math.prod(g.x_shape[1:]), math.prod(g.y_shape[1:]))
    if ok and elements > MOST_ELEMENTS:
        return False, f"elements of an image are counted in 32 bits; {elements} are too many"
    return ok, reason


def _cost(call: Call) -> float:
    g = call.geometry
    threads = math.prod(g.x_shape if call.op.endswith("dgrad") else g.y_shape) / (16 // item_bytes(call.dtype))
    # A multiprocessor needs about 1024 threads to keep its share of the memory's bandwidth busy.
    busy = min(1.0, threads / (1024 * MULTIPROCESSORS))
    return LAUNCH + _traffic(g) * item_bytes(call.dtype) / BYTES / busy


def _traffic(g: Pool2DGeometry) -> int:
    return math.prod(g.x_shape) + 2 * math.prod(g.y_shape)


def _launch(name: str, g: Pool2DGeometry, of_input: bool, *arrays: Any) -> None:
    """Runs a kernel with a thread for every ``width`` elements of x's image, or of y's."""
    dtype = arrays[0].dtype
    width = widest(dtype, (g.channels,), *arrays)
    axes = (
        (size, outputs, window, stride, before, divisor(stride))
        for size, outputs, window, stride, (before, _) in zip(
            (g.height, g.width), (g.out_height, g.out_width), g.window, g.strides, g.padding, strict=True
        )
    )
    divisors = (divisor(number) for number in (g.channels // width, g.width, g.out_width))
    sizes = structure(SIZES, (*axes, g.batch, g.channels, *divisors))
    rows, columns = (g.height, g.width) if of_input else (g.out_height, g.out_width)
    grid = -(-rows * columns * (g.channels // width) // THREADS), min(g.batch, MOST_ROWS_OF_BLOCKS)
    code = kernel("pool", name, T=c_type(dtype), PLACE=PLACES[g.argmax_dtype], WIDTH=width)
    code.launch(grid, THREADS, *arrays, sizes)


@implementation("max_pool2d_fprop", "cuda", device="cuda", supports=_supports, cost=_cost, available=gpu_or_emulator)
def _max_fprop(x: Any, geometry: Pool2DGeometry) -> tuple[Any, Any]:
    y, argmax = empty(geometry.y_shape, x.dtype, x), empty(geometry.y_shape, geometry.argmax_dtype, x)
    _launch("max_pool_fprop", geometry, False, x, y, argmax)
    return y, argmax


@implementation("max_pool2d_dgrad", "cuda", device="cuda", supports=_supports, cost=_cost, available=gpu_or_emulator)
def _max_dgrad(dy: Any, argmax: Any, geometry: Pool2DGeometry) -> Any:
    dx = empty(geometry.x_shape, dy.dtype, dy)
    _launch("max_pool_dgrad", geometry, True, dy, argmax, dx)
    return dx


@implementation("max_pool2d_gather", "cuda", device="cuda", supports=_supports, cost=_cost, available=gpu_or_emulator)
def _max_gather(x: Any, argmax: Any, geometry: Pool2DGeometry) -> Any:
    y = empty(geometry.y_shape, x.dtype, x)
    _launch("max_pool_gather", geometry, False, x, argmax, y)
    return y


@implementation("avg_pool2d_fprop", "cuda", device="cuda", supports=_supports, cost=_cost, available=gpu_or_emulator)
def _avg_fprop(x: Any, geometry: Pool2DGeometry) -> Any:
    y = empty(geometry.y_shape, x.dtype, x)
    _launch("avg_pool_fprop", geometry, False, x, y)
    return y


@implementation("avg_pool2d_dgrad", "cuda", device="cuda", supports=_supports, cost=_cost, available=gpu_or_emulator)
def _avg_dgrad(dy: Any, geometry: Pool2DGeometry) -> Any:
    dx = empty(geometry.x_shape, dy.dtype, dy)
    _launch("avg_pool_dgrad", geometry, True, dy, dx)
    return dx


# Global pooling: one window, the whole image


def _supports_global(call: Call) -> Answer:
    g = call.geometry
    if not g.is_global:
        return False, f"the window must be the whole image, ({g.height}, {g.width}); it is {g.window}"
    ok, reason = _supports(call)
    return ok, "one window, the whole image" if ok else reason


def _global_cost(call: Call) -> float:
    g = call.geometry
    # Eight warps share what otherwise one thread would read alone.
    threads = 8 * math.prod(g.y_shape) / (16 // item_bytes(call.dtype))
    busy = min(1.0, threads / (1024 * MULTIPROCESSORS))
    return LAUNCH + _traffic(g) * item_bytes(call.dtype) / BYTES / busy


def _launch_global(name: str, g: Pool2DGeometry, *arrays: Any) -> None:
    dtype = arrays[0].dtype
    width = widest(dtype, (g.channels,), *arrays)
    code = kernel("pool", name, T=c_type(dtype), PLACE=PLACES[g.argmax_dtype], WIDTH=width)
    code.launch(g.batch * -(-g.channels // (32 * width)), THREADS, *arrays, g.height * g.width, g.channels)


@implementation(
    "max_pool2d_fprop",
    "cuda-global",
    device="cuda",
    supports=_supports_global,
    cost=_global_cost,
    available=gpu_or_emulator,
)
def _max_fprop_global(x: Any, geometry: Pool2DGeometry) -> tuple[Any, Any]:
    y, argmax = empty(geometry.y_shape, x.dtype, x), empty(geometry.y_shape, geometry.argmax_dtype, x)
    _launch_global("max_pool_global", geometry, x, y, argmax)
    return y, argmax


@implementation(
    "avg_pool2d_fprop",
    "cuda-global",
    device="cuda",
    supports=_supports_global,
    cost=_global_cost,
    available=gpu_or_emulator,
)
def _avg_fprop_global(x: Any, geometry: Pool2DGeometry) -> Any:
    y = empty(geometry.y_shape, x.dtype, x)
    _launch_global("avg_pool_global", geometry, x, y)
    return y


# Numba: the bodies of kernels/numba/pool.py, a channel of a pixel to a thread


def _window(g: Pool2DGeometry) -> tuple[Any, ...]:
    return g.window, g.strides, (g.padding[0][0], g.padding[1][0])


_numba_cost = numba_cost(_cost)


@implementation(
    "max_pool2d_fprop",
    "cuda-numba",
    device="cuda",
    supports=numba_supports,
    cost=_numba_cost,
    available=numba_on_gpu,
)
def _max_fprop_numba(x: Any, geometry: Pool2DGeometry) -> tuple[Any, Any]:
    y, argmax = empty(geometry.y_shape, x.dtype, x), empty(geometry.y_shape, geometry.argmax_dtype, x)
    numba_launch("pool", "max_fprop_thread", y.size, x, y, argmax, *_window(geometry))
    return y, argmax


@implementation(
    "max_pool2d_dgrad",
    "cuda-numba",
    device="cuda",
    supports=numba_supports,
    cost=_numba_cost,
    available=numba_on_gpu,
)
def _max_dgrad_numba(dy: Any, argmax: Any, geometry: Pool2DGeometry) -> Any:
    dx = empty(geometry.x_shape, dy.dtype, dy)
    numba_launch("pool", "max_dgrad_thread", dx.size, dy, argmax, dx, *_window(geometry))
    return dx


@implementation(
    "max_pool2d_gather",
    "cuda-numba",
    device="cuda",
    supports=numba_supports,
    cost=_numba_cost,
    available=numba_on_gpu,
)
def _max_gather_numba(x: Any, argmax: Any, geometry: Pool2DGeometry) -> Any:
    y = empty(geometry.y_shape, x.dtype, x)
    numba_launch("pool", "max_gather_thread", y.size, x, argmax, y, *_window(geometry))
    return y


@implementation(
    "avg_pool2d_fprop",
    "cuda-numba",
    device="cuda",
    supports=numba_supports,
    cost=_numba_cost,
    available=numba_on_gpu,
)
def _avg_fprop_numba(x: Any, geometry: Pool2DGeometry) -> Any:
    y = empty(geometry.y_shape, x.dtype, x)
    numba_launch("pool", "mean_fprop_thread", y.size, x, y, *_window(geometry))
    return y


@implementation(
    "avg_pool2d_dgrad",
    "cuda-numba",
    device="cuda",
    supports=numba_supports,
    cost=_numba_cost,
    available=numba_on_gpu,
)
def _avg_dgrad_numba(dy: Any, geometry: Pool2DGeometry) -> Any:
    dx = empty(geometry.x_shape, dy.dtype, dy)
    numba_launch("pool", "mean_dgrad_thread", dx.size, dy, dx, *_window(geometry))
    return dx
