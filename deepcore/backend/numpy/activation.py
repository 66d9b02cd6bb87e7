"""Bias and activation in one go, and their gradients.

The activations here are those whose derivative follows from their output, so that a backward pass keeps nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from deepcore.backend.contract import ACTIVATIONS, LEAKY_RELU_SLOPE, SELU_ALPHA, SELU_SCALE
from deepcore.backend.dispatch import Answer, Call, choose_for, implementation
from deepcore.backend.geometry import RowsGeometry
from deepcore.backend.numpy.cost import loop_cost, numpy_cost
from deepcore.backend.numpy.half import computed_in_float32
from deepcore.backend.numpy.loops import loop, numba_available
from deepcore.backend.numpy.memory import empty
from deepcore.backend.numpy.rows import (
    as_rows,
    blocks,
    chunk_rows,
    contiguous,
    quiet,
    repeat,
    sum_partials,
    sum_rows,
    widen,
)
from deepcore.errors import unknown_name

__all__ = ["activation_dgrad", "bias_activation", "bias_activation_dgrad"]


@computed_in_float32()
def bias_activation(
    x: np.ndarray, bias: np.ndarray | None, activation: str, out: np.ndarray | None = None
) -> np.ndarray:
    """``activation(x + bias)``, an array of the shape and dtype of ``x``.

    Args:
        x: [..., channels], float32 or float64.
        bias: [channels] of the same dtype, or None.
        activation: one of ``ACTIVATIONS``; formulas as in Keras 3.
        out: a C-contiguous array where the result may lie, ``x`` among others; a new one by default.

    Raises:
        ValueError: ``activation`` is unknown.
    """
    return _bias_activation(x, bias, activation, empty(x.shape, x.dtype) if out is None else out)


def bias_activation_inplace(y: np.ndarray, bias: np.ndarray | None, activation: str) -> np.ndarray:
    """``bias_activation`` written over its C-contiguous input, which it returns: the end of a product's epilogue."""
    if bias is None and activation == "linear":
        return y
    return _bias_activation(y, bias, activation, y)


@computed_in_float32()
def activation_dgrad(dy: np.ndarray, y: np.ndarray, activation: str, scale: float = 1.0) -> np.ndarray:
    """The gradient at the activation's input: ``scale * dy * activation'(z)``, the derivative taken from ``y``.

    Args:
        dy: gradient at ``y``, same shape.
        y: what ``bias_activation`` returned.
        activation: one of ``ACTIVATIONS``.
        scale: what ``dy`` is multiplied by on the way in, such as that of a dropout behind the activation.

    Returns:
        dz of the shape and dtype of ``y``; for ``"linear"`` and no scale this is ``dy`` itself where it is contiguous.

    Raises:
        ValueError: ``activation`` is unknown.
    """
    _require_known(activation)
    if activation == "linear" and scale == 1:
        return contiguous(dy)
    return choose_for("activation_dgrad", y.dtype, RowsGeometry.of, y.shape).function(dy, y, activation, scale)


@computed_in_float32()
def bias_activation_dgrad(
    dy: np.ndarray, y: np.ndarray, activation: str, scale: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """``activation_dgrad``, and its sum over all axes but the last: the gradients at x and at bias.

    Args:
        dy: [..., channels], gradient at ``y``.
        y: [..., channels], what ``bias_activation`` returned.
        activation: one of ``ACTIVATIONS``.
        scale: what ``dy`` is multiplied by on the way in.

    Returns:
        (dz [..., channels], dbias [channels]).

    Raises:
        ValueError: ``activation`` is unknown.
    """
    _require_known(activation)
    return choose_for("bias_activation_dgrad", y.dtype, RowsGeometry.of, y.shape).function(dy, y, activation, scale)


def _bias_activation(x: np.ndarray, bias: np.ndarray | None, activation: str, out: np.ndarray) -> np.ndarray:
    _require_known(activation)
    return choose_for("bias_activation", x.dtype, RowsGeometry.of, x.shape).function(x, bias, activation, out)


def _require_known(activation: str) -> None:
    if activation not in _FORWARD:
        raise unknown_name("activation", activation, _FORWARD)


# Forward: each overwrites z. A temporary is the size of one cache block.


def _linear(z: np.ndarray) -> None:
    pass


def _relu(z: np.ndarray) -> None:
    np.maximum(z, 0, out=z)


def _relu6(z: np.ndarray) -> None:
    np.maximum(z, 0, out=z)
    np.minimum(z, 6, out=z)


def _leaky_relu(z: np.ndarray) -> None:
    np.maximum(z, z * z.dtype.type(LEAKY_RELU_SLOPE), out=z)


def _elu(z: np.ndarray) -> None:
    negative = np.expm1(np.minimum(z, 0))
    np.maximum(z, 0, out=z)
    z += negative


def _selu(z: np.ndarray) -> None:
    negative = np.expm1(np.minimum(z, 0))
    negative *= z.dtype.type(SELU_ALPHA)
    np.maximum(z, 0, out=z)
    z += negative
    z *= z.dtype.type(SELU_SCALE)


def _sigmoid(z: np.ndarray) -> None:
    np.negative(z, out=z)
    np.exp(z, out=z)  # overflows to infinity, whose reciprocal is the right answer
    z += 1
    np.reciprocal(z, out=z)


def _hard_sigmoid(z: np.ndarray) -> None:
    z += 3
    _relu6(z)
    z /= 6


def _tanh(z: np.ndarray) -> None:
    np.tanh(z, out=z)


def _exponential(z: np.ndarray) -> None:
    np.exp(z, out=z)


def _softplus(z: np.ndarray) -> None:
    tail = np.abs(z)
    np.negative(tail, out=tail)
    np.log1p(np.exp(tail, out=tail), out=tail)
    np.maximum(z, 0, out=z)
    z += tail


# Backward: each writes dy * derivative into dz. Products with a boolean mask, not ``where=``, which is ten times
# slower. The masks say where y is known to be in a flat part, so that NaN in y never cuts a gradient off.


def _linear_dgrad(dy: np.ndarray, y: np.ndarray, dz: np.ndarray) -> None:
    np.copyto(dz, dy)


def _relu_dgrad(dy: np.ndarray, y: np.ndarray, dz: np.ndarray) -> None:
    np.multiply(dy, ~(y <= 0), out=dz)


def _relu6_dgrad(dy: np.ndarray, y: np.ndarray, dz: np.ndarray) -> None:
    np.multiply(dy, ~((y <= 0) | (y >= 6)), out=dz)


def _leaky_relu_dgrad(dy: np.ndarray, y: np.ndarray, dz: np.ndarray) -> None:
    np.multiply(y <= 0, dz.dtype.type(LEAKY_RELU_SLOPE - 1), out=dz)
    dz += 1
    dz *= dy


def _elu_dgrad(dy: np.ndarray, y: np.ndarray, dz: np.ndarray) -> None:
    np.minimum(y, 0, out=dz)
    dz += 1
    dz *= dy


def _selu_dgrad(dy: np.ndarray, y: np.ndarray, dz: np.ndarray) -> None:
    np.minimum(y, 0, out=dz)  # scale * alpha + y below zero, scale above
    dz += dz.dtype.type(SELU_SCALE * SELU_ALPHA)
    dz -= (y > 0) * dz.dtype.type(SELU_SCALE * (SELU_ALPHA - 1))
    dz *= dy


def _sigmoid_dgrad(dy: np.ndarray, y: np.ndarray, dz: np.ndarray) -> None:
    np.subtract(1, y, out=dz)
    dz *= y
    dz *= dy


def _hard_sigmoid_dgrad(dy: np.ndarray, y: np.ndarray, dz: np.ndarray) -> None:
    np.multiply(dy, ~((y <= 0) | (y >= 1)), out=dz)
    dz /= 6


def _tanh_dgrad(dy: np.ndarray, y: np.ndarray, dz: np.ndarray) -> None:
    np.multiply(y, y, out=dz)
    np.subtract(1, dz, out=dz)
    dz *= dy


def _exponential_dgrad(dy: np.ndarray, y: np.ndarray, dz: np.ndarray) -> None:
    np.multiply(dy, y, out=dz)


def _softplus_dgrad(dy: np.ndarray, y: np.ndarray, dz: np.ndarray) -> None:
    np.negative(y, out=dz)
    np.expm1(dz, out=dz)
    np.negative(dz, out=dz)
    dz *= dy


_FORWARD: dict[str, Callable[[np.ndarray], None]] = {
    "linear": _linear,
    "relu": _relu,
    "relu6": _relu6,
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "selu": _selu,
    "sigmoid": _sigmoid,
    "hard_sigmoid": _hard_sigmoid,
    "tanh": _tanh,
    "exponential": _exponential,
    "softplus": _softplus,
}
_BACKWARD: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], None]] = {
    "linear": _linear_dgrad,
    "relu": _relu_dgrad,
    "relu6": _relu6_dgrad,
    "leaky_relu": _leaky_relu_dgrad,
    "elu": _elu_dgrad,
    "selu": _selu_dgrad,
    "sigmoid": _sigmoid_dgrad,
    "hard_sigmoid": _hard_sigmoid_dgrad,
    "tanh": _tanh_dgrad,
    "exponential": _exponential_dgrad,
    "softplus": _softplus_dgrad,
}
assert tuple(_FORWARD) == ACTIVATIONS


def _numpy_cost(call: Call) -> float:
    return numpy_cost(call, passes=4, calls=6)


@implementation("bias_activation", "numpy", cost=_numpy_cost)
def _bias_activation_numpy(x: np.ndarray, bias: np.ndarray | None, activation: str, out: np.ndarray) -> np.ndarray:
    (target,) = widen(as_rows(out))
    source = contiguous(x).reshape(target.shape)
    bias = None if bias is None else repeat(bias, target.shape[1] // bias.size)
    apply = _FORWARD[activation]
    with quiet():
        for block in blocks(target.shape[0], target.strides[0]):
            z = target[block]
            if bias is not None:
                np.add(source[block], bias, out=z)
            elif x is not out:
                np.copyto(z, source[block])
            apply(z)
    return out


@implementation("activation_dgrad", "numpy", cost=_numpy_cost)
def _activation_dgrad_numpy(dy: np.ndarray, y: np.ndarray, activation: str, scale: float) -> np.ndarray:
    dz = empty(y.shape, y.dtype)
    flat_dy, flat_y, flat_dz = contiguous(dy).reshape(-1), contiguous(y).reshape(-1), dz.reshape(-1)
    with quiet():
        for block in blocks(flat_dz.size, flat_dz.itemsize):
            arriving = flat_dy[block] if scale == 1 else flat_dy[block] * dz.dtype.type(scale)
            _BACKWARD[activation](arriving, flat_y[block], flat_dz[block])
    return dz


@implementation("bias_activation_dgrad", "numpy", cost=lambda call: numpy_cost(call, passes=6, calls=12))
def _bias_activation_dgrad_numpy(
    dy: np.ndarray, y: np.ndarray, activation: str, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    plain = activation == "linear" and scale == 1
    dz = contiguous(dy) if plain else _activation_dgrad_numpy(dy, y, activation, scale)
    return dz, sum_rows(as_rows(dz))


def _supports(call: Call) -> Answer:
    if call.dtype != "float32":
        return False, "float32 only; in float64 the loop's exp and tanh would not vectorise, as NumPy's do"
    return True, "float32, any shape"


# How many elements a loop could have moved instead: an exponential costs as much as reading a few.
_CHEAP = ("linear", "relu", "relu6", "leaky_relu", "hard_sigmoid")
_PASSES = {activation: 2 if activation in _CHEAP else 8 for activation in ACTIVATIONS}


def _loop_cost(call: Call) -> float:
    return loop_cost(call, passes=3, math_per_element=0.05)  # many networks' worth of relu for one of an exponential


@implementation("bias_activation", "numba", supports=_supports, cost=_loop_cost, available=numba_available)
def _bias_activation_numba(x: np.ndarray, bias: np.ndarray | None, activation: str, out: np.ndarray) -> np.ndarray:
    if activation == "tanh":
        return _bias_activation_numpy(x, bias, activation, out)  # whose own is faster than this polynomial
    (target,) = widen(as_rows(out))
    columns = target.shape[1]
    bias = np.zeros(columns, out.dtype) if bias is None else repeat(bias, columns // bias.size)
    work, code = _PASSES[activation] * out.size, ACTIVATIONS.index(activation)
    if x is out:
        loop("activation", "bias_activation_inplace", work)(target, bias, code)
    else:
        loop("activation", "bias_activation", work)(contiguous(x).reshape(target.shape), bias, target, code)
    return out


def _dgrad_loop_cost(call: Call) -> float:
    return loop_cost(call, passes=3)


@implementation("activation_dgrad", "numba", supports=_supports, cost=_dgrad_loop_cost, available=numba_available)
def _activation_dgrad_numba(dy: np.ndarray, y: np.ndarray, activation: str, scale: float) -> np.ndarray:
    dz = empty(y.shape, y.dtype)
    (rows,) = widen(as_rows(y))
    arrays = (contiguous(dy).reshape(rows.shape), rows, dz.reshape(rows.shape))
    loop("activation", "activation_dgrad", 3 * y.size)(*arrays, ACTIVATIONS.index(activation), y.dtype.type(scale))
    return dz


@implementation("bias_activation_dgrad", "numba", supports=_supports, cost=_dgrad_loop_cost, available=numba_available)
def _bias_activation_dgrad_numba(
    dy: np.ndarray, y: np.ndarray, activation: str, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    plain = activation == "linear" and scale == 1
    columns = y.shape[-1] if y.ndim else 1
    (rows,) = widen(as_rows(y))
    dz = contiguous(dy) if plain else empty(y.shape, y.dtype)
    chunk = chunk_rows(rows.shape[0])
    partial = np.empty((-(-rows.shape[0] // chunk), rows.shape[1]), y.dtype)
    if plain:
        loop("activation", "column_sums", y.size)(dz.reshape(rows.shape), partial, chunk)
    else:
        arrays = (contiguous(dy).reshape(rows.shape), rows, dz.reshape(rows.shape), partial)
        numbers = (chunk, ACTIVATIONS.index(activation), y.dtype.type(scale))
        loop("activation", "bias_activation_dgrad", 3 * y.size)(*arrays, *numbers)
    return dz, sum_partials(partial, columns)
