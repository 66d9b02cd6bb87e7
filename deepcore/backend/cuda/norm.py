"""Batch, layer and local response normalisation; the contract is that of ``backend/numpy/norm.py``."""

from __future__ import annotations

from typing import Any

from deepcore.backend.cuda.array import c_type, contiguous, empty
from deepcore.backend.cuda.cast import cast
from deepcore.backend.cuda.cost import MOST_BLOCKS, THREADS, gpu_or_emulator, grid_for, memory_cost, supports_floating
from deepcore.backend.cuda.launcher import Kernel, kernel
from deepcore.backend.cuda.plan import ColumnPlan, row_grid, row_threads
from deepcore.backend.cuda.reduction import sum_columns
from deepcore.backend.dispatch import choose, implementation
from deepcore.backend.dtype import accumulator
from deepcore.backend.geometry import RowsGeometry

__all__ = [
    "batch_norm_dgrad",
    "batch_norm_fprop",
    "batch_norm_inference",
    "layer_norm_dgrad",
    "layer_norm_fprop",
    "local_response_norm_dgrad",
    "local_response_norm_fprop",
]


def batch_norm_fprop(x: Any, gamma: Any, beta: Any, epsilon: float) -> tuple[Any, Any, Any]:
    """(y, mean [channels], biased variance [channels]) of x [..., channels]; see the NumPy backend."""
    run = choose("batch_norm_fprop", x.dtype, RowsGeometry.of(x.shape), "cuda").function
    return run(contiguous(x), *_wide(x, gamma, beta), epsilon)


def batch_norm_dgrad(dy: Any, x: Any, gamma: Any, mean: Any, variance: Any, epsilon: float) -> tuple[Any, Any, Any]:
    """(dx [..., channels], dgamma [channels], dbeta [channels]); see the NumPy backend."""
    run = choose("batch_norm_dgrad", x.dtype, RowsGeometry.of(x.shape), "cuda").function
    return run(contiguous(dy), contiguous(x), *_wide(x, gamma, mean, variance), epsilon)


def batch_norm_inference(x: Any, gamma: Any, beta: Any, mean: Any, variance: Any, epsilon: float) -> Any:
    """``gamma * (x - mean) / sqrt(variance + epsilon) + beta`` with given statistics; see the NumPy backend."""
    run = choose("batch_norm_inference", x.dtype, RowsGeometry.of(x.shape), "cuda").function
    return run(contiguous(x), *_wide(x, gamma, beta, mean, variance), epsilon)


def layer_norm_fprop(x: Any, gamma: Any, beta: Any, epsilon: float) -> tuple[Any, Any, Any]:
    """(y [..., columns], mean [...], rstd [...]); see the NumPy backend."""
    run = choose("layer_norm_fprop", x.dtype, RowsGeometry.of(x.shape), "cuda").function
    return run(contiguous(x), *_wide(x, gamma, beta), epsilon)


def layer_norm_dgrad(dy: Any, x: Any, gamma: Any, mean: Any, rstd: Any) -> tuple[Any, Any, Any]:
    """(dx [..., columns], dgamma [columns], dbeta [columns]); see the NumPy backend."""
    run = choose("layer_norm_dgrad", x.dtype, RowsGeometry.of(x.shape), "cuda").function
    return run(contiguous(dy), contiguous(x), *_wide(x, gamma, mean, rstd))


def local_response_norm_fprop(x: Any, depth_radius: int, bias: float, alpha: float, beta: float) -> tuple[Any, Any]:
    """(y, scale), both of the shape of ``x``; see the NumPy backend."""
    run = choose("local_response_norm_fprop", x.dtype, RowsGeometry.of(x.shape), "cuda").function
    return run(contiguous(x), depth_radius, bias, alpha, beta)


def local_response_norm_dgrad(dy: Any, x: Any, scale: Any, depth_radius: int, alpha: float, beta: float) -> Any:
    """The gradient at the input of ``local_response_norm_fprop``, which gave ``scale``; see the NumPy backend."""
    run = choose("local_response_norm_dgrad", x.dtype, RowsGeometry.of(x.shape), "cuda").function
    return run(contiguous(dy), contiguous(x), *_wide(x, scale), depth_radius, alpha, beta)


def _wide(x: Any, *arrays: Any) -> tuple[Any, ...]:
    """Statistics and parameters as kernels take them, which is float32 where ``x`` has 16 bits."""
    dtype = accumulator(x.dtype)
    return tuple(cast(array, dtype) for array in arrays)


def _sizes(x: Any) -> tuple[int, int]:
    """Rows and columns."""
    columns = x.shape[-1] if x.ndim else 1
    return x.size // max(columns, 1), columns


def _kernel(name: str, x: Any, **defines: object) -> Kernel:
    return kernel("norm", name, T=c_type(x.dtype), **defines)


def _vector(x: Any, *shape: int) -> Any:
    """Room for statistics of ``x``."""
    return empty(shape, accumulator(x.dtype), x)


def _summed(partial: Any, chunks: int, columns: int) -> Any:
    """Two sums [2, columns] of what every chunk gave, [2, chunks, columns]."""
    return sum_columns(partial, 2, chunks, columns) if chunks > 1 else partial.reshape(2, columns)


def _apply(x: Any, gamma: Any, beta: Any, mean: Any, variance: Any, epsilon: float) -> Any:
    rows, columns = _sizes(x)
    plan = ColumnPlan.of(rows, columns)
    y = empty(x.shape, x.dtype, x)
    _kernel("batch_norm_apply", x).launch(
        plan.grid, plan.block, x, gamma, beta, mean, variance, y, epsilon, rows, columns, plan.chunk_rows
    )
    return y


@implementation(
    "batch_norm_fprop",
    "cuda",
    device="cuda",
    supports=supports_floating,
    cost=memory_cost(passes=3, launches=3),
    available=gpu_or_emulator,
)
def _batch_norm_fprop(x: Any, gamma: Any, beta: Any, epsilon: float) -> tuple[Any, Any, Any]:
    rows, columns = _sizes(x)
    plan = ColumnPlan.of(rows, columns)
    means, squares = _vector(x, plan.chunks, columns), _vector(x, plan.chunks, columns)
    _kernel("batch_norm_moments", x).launch(plan.grid, plan.block, x, means, squares, rows, columns, plan.chunk_rows)
    mean, variance = _vector(x, columns), _vector(x, columns)
    _kernel("batch_norm_statistics", x).launch(
        max(1, min(-(-columns // 8), 4 * MOST_BLOCKS)),
        (8, 32),  # few rows, one a chunk: more threads along them
        means,
        squares,
        mean,
        variance,
        rows,
        columns,
        plan.chunk_rows,
    )
    return _apply(x, gamma, beta, mean, variance, epsilon), mean, variance


@implementation(
    "batch_norm_dgrad",
    "cuda",
    device="cuda",
    supports=supports_floating,
    cost=memory_cost(passes=5, launches=3),
    available=gpu_or_emulator,
)
def _batch_norm_dgrad(dy: Any, x: Any, gamma: Any, mean: Any, variance: Any, epsilon: float) -> tuple[Any, Any, Any]:
    rows, columns = _sizes(x)
    plan = ColumnPlan.of(rows, columns)
    partial = _vector(x, 2, plan.chunks, columns)
    sizes = rows, columns, plan.chunk_rows
    _kernel("batch_norm_sums", x).launch(plan.grid, plan.block, dy, x, mean, variance, partial, epsilon, *sizes)
    dbeta, dgamma = _summed(partial, plan.chunks, columns)
    dx = empty(x.shape, x.dtype, x)
    _kernel("batch_norm_dgrad", x).launch(
        plan.grid, plan.block, dy, x, gamma, mean, variance, dgamma, dbeta, dx, epsilon, *sizes
    )
    return dx, dgamma, dbeta


@implementation(
    "batch_norm_inference",
    "cuda",
    device="cuda",
    supports=supports_floating,
    cost=memory_cost(passes=2),
    available=gpu_or_emulator,
)
def _batch_norm_inference(x: Any, gamma: Any, beta: Any, mean: Any, variance: Any, epsilon: float) -> Any:
    return _apply(x, gamma, beta, mean, variance, epsilon)


@implementation(
    "layer_norm_fprop",
    "cuda",
    device="cuda",
    supports=supports_floating,
    cost=memory_cost(passes=2),
    available=gpu_or_emulator,
)
def _layer_norm_fprop(x: Any, gamma: Any, beta: Any, epsilon: float) -> tuple[Any, Any, Any]:
    rows, columns = _sizes(x)
    threads = row_threads(columns)
    y, mean, rstd = empty(x.shape, x.dtype, x), _vector(x, *x.shape[:-1]), _vector(x, *x.shape[:-1])
    _kernel("layer_norm_fprop", x, ROW_THREADS=threads).launch(
        row_grid(rows, threads), THREADS, x, gamma, beta, y, mean, rstd, epsilon, rows, columns
    )
    return y, mean, rstd


@implementation(
    "layer_norm_dgrad",
    "cuda",
    device="cuda",
    supports=supports_floating,
    cost=memory_cost(passes=5, launches=3),
    available=gpu_or_emulator,
)
def _layer_norm_dgrad(dy: Any, x: Any, gamma: Any, mean: Any, rstd: Any) -> tuple[Any, Any, Any]:
    rows, columns = _sizes(x)
    threads = row_threads(columns)
    dx = empty(x.shape, x.dtype, x)
    _kernel("layer_norm_dgrad", x, ROW_THREADS=threads).launch(
        row_grid(rows, threads), THREADS, dy, x, gamma, mean, rstd, dx, rows, columns
    )
    plan = ColumnPlan.of(rows, columns)
    partial = _vector(x, 2, plan.chunks, columns)
    _kernel("layer_norm_sums", x).launch(
        plan.grid, plan.block, dy, x, mean, rstd, partial, rows, columns, plan.chunk_rows
    )
    dbeta, dgamma = _summed(partial, plan.chunks, columns)
    return dx, dgamma, dbeta


def _radius(x: Any, depth_radius: int) -> int:
    """A radius beyond all channels is as good as one that reaches the last, and fits an int."""
    return max(0, min(depth_radius, x.shape[-1] if x.ndim else 1))


@implementation(
    "local_response_norm_fprop",
    "cuda",
    device="cuda",
    supports=supports_floating,
    cost=memory_cost(passes=3),
    available=gpu_or_emulator,
)
def _local_response_norm_fprop(x: Any, depth_radius: int, bias: float, alpha: float, beta: float) -> tuple[Any, Any]:
    y, scale = empty(x.shape, x.dtype, x), _vector(x, *x.shape)
    code, radius = _kernel("local_response_norm_fprop", x), _radius(x, depth_radius)
    code.launch(grid_for(x.size), THREADS, x, y, scale, radius, bias, alpha, beta, _sizes(x)[1], x.size)
    return y, scale


@implementation(
    "local_response_norm_dgrad",
    "cuda",
    device="cuda",
    supports=supports_floating,
    cost=memory_cost(passes=9, launches=2),
    available=gpu_or_emulator,
)
def _local_response_norm_dgrad(dy: Any, x: Any, scale: Any, depth_radius: int, alpha: float, beta: float) -> Any:
    ratios, dx = _vector(x, *x.shape), empty(x.shape, x.dtype, x)
    _kernel("local_response_norm_ratios", x).launch(grid_for(x.size), THREADS, dy, x, scale, ratios, beta, x.size)
    code, radius = _kernel("local_response_norm_dgrad", x), _radius(x, depth_radius)
    code.launch(grid_for(x.size), THREADS, dy, x, scale, ratios, dx, radius, alpha, beta, _sizes(x)[1], x.size)
    return dx
