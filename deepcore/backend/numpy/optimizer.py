"""Optimizer steps, in place, for all parameters in one call; the formulas are Keras 3's.

Every function takes lists of equal length: the parameter, its gradient and its state have the same place, shape and
dtype. Arrays must be C-contiguous, and parameters and state are overwritten. Where all arrays of every list lie next
to each other in one flat array, in order, they are updated as that one array.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from deepcore.backend.contract import adam_rate, matched_arrays
from deepcore.backend.dispatch import Call, choose, implementation
from deepcore.backend.geometry import FlatGeometry
from deepcore.backend.numpy.cost import loop_cost, numpy_cost
from deepcore.backend.numpy.loops import loops, numba_available
from deepcore.backend.numpy.rows import blocks, quiet

__all__ = ["adagrad_update", "adam_update", "momentum_update", "rmsprop_update", "sgd_update"]

Arrays = Sequence[np.ndarray]
_SMALL = 16384  # elements: smaller arrays are done by NumPy before a parallel loop has started


def sgd_update(parameters: Arrays, gradients: Arrays, learning_rate: float) -> None:
    """``p -= learning_rate * g`` for every parameter (Robbins and Monro 1951).

    Raises ``ValueError`` if an array is not C-contiguous, or shapes or dtypes in one place differ.
    """
    _update("sgd_update", {"parameters": parameters, "gradients": gradients}, (learning_rate,))


def momentum_update(
    parameters: Arrays,
    gradients: Arrays,
    velocities: Arrays,
    learning_rate: float,
    momentum: float,
    nesterov: bool,
) -> None:
    """``v = momentum * v - learning_rate * g``, then ``p += v``; with ``nesterov``,
    ``p += momentum * v - learning_rate * g`` (Sutskever et al. 2013).

    Raises ``ValueError`` if an array is not C-contiguous, or shapes or dtypes in one place differ.
    """
    lists = {"parameters": parameters, "gradients": gradients, "velocities": velocities}
    _update("momentum_update", lists, (learning_rate, momentum), bool(nesterov))


def adagrad_update(
    parameters: Arrays, gradients: Arrays, accumulators: Arrays, learning_rate: float, epsilon: float
) -> None:
    """``a += g**2``, then ``p -= learning_rate * g / sqrt(a + epsilon)`` (Duchi, Hazan and Singer 2011).

    Raises ``ValueError`` if an array is not C-contiguous, or shapes or dtypes in one place differ.
    """
    lists = {"parameters": parameters, "gradients": gradients, "accumulators": accumulators}
    _update("adagrad_update", lists, (learning_rate, epsilon))


def rmsprop_update(
    parameters: Arrays,
    gradients: Arrays,
    mean_squares: Arrays,
    mean_gradients: Arrays | None,
    momenta: Arrays | None,
    learning_rate: float,
    rho: float,
    momentum: float,
    epsilon: float,
) -> None:
    """RMSprop (Tieleman and Hinton 2012): ``s = rho * s + (1 - rho) * g**2`` and
    ``step = learning_rate * g / sqrt(s + epsilon)``, then ``p -= step``.

    With ``mean_gradients`` (centered), ``a = rho * a + (1 - rho) * g`` and the root is of ``s - a**2 + epsilon``. With
    ``momenta``, ``m = momentum * m + step`` and ``p -= m``.

    Raises ``ValueError`` if an array is not C-contiguous, or shapes or dtypes in one place differ.
    """
    lists = {"parameters": parameters, "gradients": gradients, "mean_squares": mean_squares}
    if mean_gradients is not None:
        lists["mean_gradients"] = mean_gradients
    if momenta is not None:
        lists["momenta"] = momenta
    _update(
        "rmsprop_update",
        lists,
        (learning_rate, rho, 1 - rho, momentum, epsilon),
        mean_gradients is not None,
        momenta is not None,
    )


def adam_update(
    parameters: Arrays,
    gradients: Arrays,
    first_moments: Arrays,
    second_moments: Arrays,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    step: int,
) -> None:
    """Adam (Kingma and Ba 2015): ``m += (1 - beta_1) * (g - m)``, ``v += (1 - beta_2) * (g**2 - v)`` and
    ``p -= alpha * m / (sqrt(v) + epsilon)``, where
    ``alpha = learning_rate * sqrt(1 - beta_2**step) / (1 - beta_1**step)``.

    Args:
        step: 1 in the first call.

    Raises:
        ValueError: ``step`` is below 1, an array is not C-contiguous, or shapes or dtypes in one place differ.
    """
    alpha = adam_rate(learning_rate, beta_1, beta_2, step)
    lists = {
        "parameters": parameters,
        "gradients": gradients,
        "first_moments": first_moments,
        "second_moments": second_moments,
    }
    _update("adam_update", lists, (alpha, 1 - beta_1, 1 - beta_2, epsilon))


def _update(op: str, lists: dict[str, Arrays], scalars: tuple[float, ...], *flags: bool) -> None:
    groups = _flat_groups(op, lists)
    if groups:
        geometry = FlatGeometry(sum(group[0].size for group in groups))
        choose(op, groups[0][0].dtype, geometry).function(groups, scalars, *flags)


def _flat_groups(op: str, lists: dict[str, Arrays]) -> list[tuple[np.ndarray, ...]]:
    """One tuple of flat views (parameter, gradient, state…) for every parameter, or one for all where they adjoin."""
    groups = matched_arrays(op, lists)
    if len(groups) > 1:
        whole = [_joined(arrays) for arrays in lists.values()]
        if all(array is not None for array in whole):
            return [tuple(whole)]  # type: ignore[arg-type]
    return [tuple(array.reshape(-1) for array in group) for group in groups]


def _joined(arrays: Arrays) -> np.ndarray | None:
    """The part of their common one-dimensional base that adjacent views cover in order; None if they do not."""
    base, dtype = arrays[0].base, arrays[0].dtype
    if not isinstance(base, np.ndarray) or base.ndim != 1 or base.dtype != dtype or not base.flags.c_contiguous:
        return None
    if any(array.base is not base or array.dtype != dtype for array in arrays):
        return None
    starts = [array.__array_interface__["data"][0] for array in arrays]
    if any(start + array.nbytes != after for (start, after), array in zip(pairwise(starts), arrays, strict=False)):
        return None
    first = (starts[0] - base.__array_interface__["data"][0]) // dtype.itemsize
    return base[first : first + sum(array.size for array in arrays)]


# NumPy: blocks of every array stay in cache over the passes.


def _in_blocks(groups: list[tuple[np.ndarray, ...]], formula: Callable[..., None], scalars: tuple[float, ...]) -> None:
    for group in groups:
        cast = [group[0].dtype.type(scalar) for scalar in scalars]
        with quiet():
            for block in blocks(group[0].size, group[0].itemsize):
                formula(*(array[block] for array in group), *cast)


Scalar = np.floating  # of the arrays' dtype, so that float32 stays float32


def _sgd(p: np.ndarray, g: np.ndarray, learning_rate: Scalar) -> None:
    p -= learning_rate * g


def _momentum(p: np.ndarray, g: np.ndarray, v: np.ndarray, learning_rate: Scalar, momentum: Scalar) -> None:
    v *= momentum
    v -= learning_rate * g
    p += v


def _nesterov(p: np.ndarray, g: np.ndarray, v: np.ndarray, learning_rate: Scalar, momentum: Scalar) -> None:
    step = learning_rate * g
    v *= momentum
    v -= step
    p += momentum * v
    p -= step


def _adagrad(p: np.ndarray, g: np.ndarray, accumulator: np.ndarray, learning_rate: Scalar, epsilon: Scalar) -> None:
    accumulator += g * g
    step = learning_rate * g
    step /= np.sqrt(accumulator + epsilon)
    p -= step


def _rmsprop(
    p: np.ndarray, g: np.ndarray, mean_square: np.ndarray, *rest: Any, centered: bool, has_momentum: bool
) -> None:
    states, (learning_rate, rho, one_less_rho, momentum, epsilon) = rest[:-5], rest[-5:]
    mean_square *= rho
    mean_square += one_less_rho * (g * g)
    denominator = mean_square + epsilon
    if centered:
        mean_gradient = states[0]
        mean_gradient *= rho
        mean_gradient += one_less_rho * g
        denominator -= mean_gradient * mean_gradient
    step = learning_rate * g
    step /= np.sqrt(denominator, out=denominator)
    if has_momentum:
        states[-1][...] *= momentum
        states[-1][...] += step
        step = states[-1]
    p -= step


def _adam(
    p: np.ndarray,
    g: np.ndarray,
    m: np.ndarray,
    v: np.ndarray,
    alpha: Scalar,
    one_less_beta_1: Scalar,
    one_less_beta_2: Scalar,
    epsilon: Scalar,
) -> None:
    m += one_less_beta_1 * (g - m)
    v += one_less_beta_2 * (g * g - v)
    step = alpha * m
    denominator = np.sqrt(v)
    denominator += epsilon
    step /= denominator
    p -= step


def _numpy_passes(passes: float) -> Callable[[Call], float]:
    return lambda call: numpy_cost(call, passes, calls=8)


def _loop_passes(passes: float) -> Callable[[Call], float]:
    return lambda call: loop_cost(call, passes)


Groups = list[tuple[np.ndarray, ...]]


@implementation("sgd_update", "numpy", cost=_numpy_passes(4))
def _sgd_numpy(groups: Groups, scalars: tuple[float, ...]) -> None:
    _in_blocks(groups, _sgd, scalars)


@implementation("momentum_update", "numpy", cost=_numpy_passes(6))
def _momentum_numpy(groups: Groups, scalars: tuple[float, ...], nesterov: bool) -> None:
    _in_blocks(groups, _nesterov if nesterov else _momentum, scalars)


@implementation("adagrad_update", "numpy", cost=_numpy_passes(8))
def _adagrad_numpy(groups: Groups, scalars: tuple[float, ...]) -> None:
    _in_blocks(groups, _adagrad, scalars)


@implementation("rmsprop_update", "numpy", cost=_numpy_passes(10))
def _rmsprop_numpy(groups: Groups, scalars: tuple[float, ...], centered: bool, has_momentum: bool) -> None:
    def formula(*arguments: Any) -> None:
        _rmsprop(*arguments, centered=centered, has_momentum=has_momentum)

    _in_blocks(groups, formula, scalars)


@implementation("adam_update", "numpy", cost=_numpy_passes(12))
def _adam_numpy(groups: Groups, scalars: tuple[float, ...]) -> None:
    _in_blocks(groups, _adam, scalars)


# Numba: one pass over every large array; small ones are quicker in NumPy than a parallel loop is to start.


def _supports(call: Call) -> tuple[bool, str]:
    return True, f"any floating dtype; arrays of fewer than {_SMALL} elements go to NumPy one by one"


def _with_loop(
    groups: Groups, loop: str, in_numpy: Callable[[Groups], None], scalars: tuple[float, ...], *flags: bool
) -> None:
    for group in groups:
        if group[0].size < _SMALL:
            in_numpy([group])
        else:
            cast = [group[0].dtype.type(scalar) for scalar in scalars]
            getattr(loops("optimizer"), loop)(*group, *cast, *flags)


@implementation("sgd_update", "numba", supports=_supports, cost=_loop_passes(3), available=numba_available)
def _sgd_numba(groups: Groups, scalars: tuple[float, ...]) -> None:
    _with_loop(groups, "sgd", lambda group: _sgd_numpy(group, scalars), scalars)


@implementation("momentum_update", "numba", supports=_supports, cost=_loop_passes(5), available=numba_available)
def _momentum_numba(groups: Groups, scalars: tuple[float, ...], nesterov: bool) -> None:
    _with_loop(groups, "momentum", lambda group: _momentum_numpy(group, scalars, nesterov), scalars, nesterov)


@implementation("adagrad_update", "numba", supports=_supports, cost=_loop_passes(5), available=numba_available)
def _adagrad_numba(groups: Groups, scalars: tuple[float, ...]) -> None:
    _with_loop(groups, "adagrad", lambda group: _adagrad_numpy(group, scalars), scalars)


@implementation("rmsprop_update", "numba", supports=_supports, cost=_loop_passes(6), available=numba_available)
def _rmsprop_numba(groups: Groups, scalars: tuple[float, ...], centered: bool, has_momentum: bool) -> None:
    for group in groups:
        if group[0].size < _SMALL:
            _rmsprop_numpy([group], scalars, centered, has_momentum)
            continue
        parameter, gradient, mean_square, *states = group
        nothing = parameter[:0]
        mean_gradient = states[0] if centered else nothing
        momenta = states[-1] if has_momentum else nothing
        cast = [parameter.dtype.type(scalar) for scalar in scalars]
        loops("optimizer").rmsprop(parameter, gradient, mean_square, mean_gradient, momenta, *cast)


@implementation("adam_update", "numba", supports=_supports, cost=_loop_passes(7), available=numba_available)
def _adam_numba(groups: Groups, scalars: tuple[float, ...]) -> None:
    _with_loop(groups, "adam", lambda group: _adam_numpy(group, scalars), scalars)
