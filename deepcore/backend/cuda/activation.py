"""Bias and activation in one go, and their gradients; the contract is that of ``backend/numpy/activation.py``."""

from __future__ import annotations

from typing import Any

from deepcore.backend.contract import ACTIVATIONS
from deepcore.backend.cuda.array import c_type, contiguous, empty, zeros
from deepcore.backend.cuda.cost import (
    PACKED_THREADS,
    THREADS,
    gpu_or_emulator,
    grid_for,
    memory_cost,
    supports_floating,
)
from deepcore.backend.cuda.launcher import kernel
from deepcore.backend.cuda.plan import ColumnPlan
from deepcore.backend.cuda.reduction import sum_columns
from deepcore.backend.cuda.sibling import numba_cost, numba_launch, numba_on_gpu, numba_supports
from deepcore.backend.dispatch import choose, implementation
from deepcore.backend.dtype import accumulator
from deepcore.backend.geometry import RowsGeometry
from deepcore.errors import unknown_name

__all__ = ["activation_dgrad", "bias_activation", "bias_activation_dgrad"]


def bias_activation(x: Any, bias: Any, activation: str, out: Any = None) -> Any:
    """``activation(x + bias)``, a new array even where ``out`` is given; see the NumPy backend."""
    run = choose("bias_activation", x.dtype, RowsGeometry.of(x.shape), "cuda").function
    return run(contiguous(x), bias, _position(activation))


def activation_dgrad(dy: Any, y: Any, activation: str, scale: float = 1.0) -> Any:
    """The gradient at the activation's input, from its output ``y``; see the NumPy backend."""
    position, dy = _position(activation), _scaled(dy, scale)
    if activation == "linear":
        return contiguous(dy)
    run = choose("activation_dgrad", y.dtype, RowsGeometry.of(y.shape), "cuda").function
    return run(contiguous(dy), contiguous(y), position)


def bias_activation_dgrad(dy: Any, y: Any, activation: str, scale: float = 1.0) -> tuple[Any, Any]:
    """``activation_dgrad``, and its sum over all axes but the last; see the NumPy backend."""
    run = choose("bias_activation_dgrad", y.dtype, RowsGeometry.of(y.shape), "cuda").function
    return run(contiguous(_scaled(dy, scale)), contiguous(y), _position(activation))


def _scaled(dy: Any, scale: float) -> Any:
    return dy if scale == 1 else dy * dy.dtype.type(scale)


def _position(activation: str) -> int:
    if activation not in ACTIVATIONS:
        raise unknown_name("activation", activation, ACTIVATIONS)
    return ACTIVATIONS.index(activation)


@implementation(
    "bias_activation",
    "cuda",
    device="cuda",
    supports=supports_floating,
    cost=memory_cost(passes=2),
    available=gpu_or_emulator,
)
def _bias_activation(x: Any, bias: Any, activation: int) -> Any:
    y = empty(x.shape, x.dtype, x)
    bias = None if bias is None else contiguous(bias)
    code = kernel("activation", "bias_activation", T=c_type(x.dtype))
    code.launch(grid_for(x.size, PACKED_THREADS), THREADS, x, bias, y, x.shape[-1] if x.ndim else 1, activation, x.size)
    return y


@implementation(
    "activation_dgrad",
    "cuda",
    device="cuda",
    supports=supports_floating,
    cost=memory_cost(passes=3),
    available=gpu_or_emulator,
)
def _activation_dgrad(dy: Any, y: Any, activation: int) -> Any:
    dz = empty(y.shape, y.dtype, y)
    code = kernel("activation", "activation_dgrad", T=c_type(y.dtype))
    code.launch(grid_for(y.size, PACKED_THREADS), THREADS, dy, y, dz, activation, y.size)
    return dz


@implementation(
    "bias_activation_dgrad",
    "cuda",
    device="cuda",
    supports=supports_floating,
    cost=memory_cost(passes=3, launches=2),
    available=gpu_or_emulator,
)
def _bias_activation_dgrad(dy: Any, y: Any, activation: int) -> tuple[Any, Any]:
    columns = y.shape[-1] if y.ndim else 1
    rows = y.size // max(columns, 1)
    if ACTIVATIONS[activation] == "linear":
        return dy, sum_columns(dy, 1, rows, columns).reshape(columns)
    plan = ColumnPlan.of(rows, columns)
    dz, sums = empty(y.shape, y.dtype, y), empty((plan.chunks, columns), accumulator(y.dtype), y)
    code = kernel("activation", "bias_activation_dgrad", T=c_type(y.dtype))
    code.launch(plan.grid, plan.block, dy, y, dz, sums, activation, rows, columns, plan.chunk_rows)
    return dz, sum_columns(sums, 1, plan.chunks, columns, y.dtype).reshape(columns)


# Numba: the bodies of kernels/numba/activation.py, an element to a thread


@implementation(
    "bias_activation",
    "cuda-numba",
    device="cuda",
    supports=numba_supports,
    cost=numba_cost(memory_cost(passes=2)),
    available=numba_on_gpu,
)
def _bias_activation_numba(x: Any, bias: Any, activation: int) -> Any:
    y = empty(x.shape, x.dtype, x)
    columns = x.shape[-1] if x.ndim else 1
    bias = zeros(columns, x.dtype, x) if bias is None else contiguous(bias)
    rows = (x.size // max(columns, 1), columns)
    numba_launch("activation", "bias_activation_thread", x.size, x.reshape(rows), bias, y.reshape(rows), activation)
    return y


@implementation(
    "activation_dgrad",
    "cuda-numba",
    device="cuda",
    supports=numba_supports,
    cost=numba_cost(memory_cost(passes=3)),
    available=numba_on_gpu,
)
def _activation_dgrad_numba(dy: Any, y: Any, activation: int) -> Any:
    dz = empty(y.shape, y.dtype, y)
    as_row = (array.reshape(1, y.size) for array in (dy, y, dz))
    numba_launch("activation", "activation_dgrad_thread", y.size, *as_row, activation, y.dtype.type(1))
    return dz
