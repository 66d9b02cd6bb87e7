"""Optimizer steps, in place, for all parameters in one call; the contract is that of ``backend/numpy/optimizer.py``.

One launch serves up to 64 parameters, whatever their shapes: their addresses travel in the launch's own arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from deepcore.backend.contract import adam_rate, matched_arrays
from deepcore.backend.cuda.array import address, c_type
from deepcore.backend.cuda.cost import THREADS, gpu_or_emulator, memory_cost, supports_wide
from deepcore.backend.cuda.launcher import kernel
from deepcore.backend.cuda.sibling import numba_cost, numba_launch, numba_on_gpu, numba_supports
from deepcore.backend.dispatch import choose, implementation
from deepcore.backend.geometry import FlatGeometry

__all__ = ["adagrad_update", "adam_update", "momentum_update", "rmsprop_update", "sgd_update"]

Arrays = Sequence[Any]
Groups = list[tuple[Any, ...]]

_MOST_LISTS, _MOST_TENSORS, _CHUNK = 5, 64, 4096  # as in optimizer.cu
_TENSORS = np.dtype(
    [
        ("address", np.uint64, (_MOST_LISTS, _MOST_TENSORS)),
        ("size", np.int64, (_MOST_TENSORS,)),
        ("first_block", np.int32, (_MOST_TENSORS + 1,)),
        ("count", np.int32),
    ]
)


def sgd_update(parameters: Arrays, gradients: Arrays, learning_rate: float) -> None:
    """``p -= learning_rate * g`` for every parameter; see the NumPy backend."""
    _update("sgd_update", {"parameters": parameters, "gradients": gradients}, (learning_rate,))


def momentum_update(
    parameters: Arrays,
    gradients: Arrays,
    velocities: Arrays,
    learning_rate: float,
    momentum: float,
    nesterov: bool,
) -> None:
    """``v = momentum * v - learning_rate * g``, then ``p += v`` or Nesterov's step; see the NumPy backend."""
    lists = {"parameters": parameters, "gradients": gradients, "velocities": velocities}
    _update("momentum_update", lists, (learning_rate, momentum), bool(nesterov))


def adagrad_update(
    parameters: Arrays, gradients: Arrays, accumulators: Arrays, learning_rate: float, epsilon: float
) -> None:
    """``a += g**2``, then ``p -= learning_rate * g / sqrt(a + epsilon)``; see the NumPy backend."""
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
    """RMSprop, centered where there are ``mean_gradients``, with momentum where there are ``momenta``; see the NumPy
    backend."""
    lists = {"parameters": parameters, "gradients": gradients, "mean_squares": mean_squares}
    if mean_gradients is not None:
        lists["mean_gradients"] = mean_gradients
    if momenta is not None:
        lists["momenta"] = momenta
    scalars = (learning_rate, rho, 1 - rho, momentum, epsilon)
    _update("rmsprop_update", lists, scalars, mean_gradients is not None, momenta is not None)


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
    """Adam; ``step`` is 1 in the first call; see the NumPy backend."""
    alpha = adam_rate(learning_rate, beta_1, beta_2, step)
    lists = {
        "parameters": parameters,
        "gradients": gradients,
        "first_moments": first_moments,
        "second_moments": second_moments,
    }
    _update("adam_update", lists, (alpha, 1 - beta_1, 1 - beta_2, epsilon))


def _update(op: str, lists: dict[str, Arrays], scalars: tuple[float, ...], *flags: bool) -> None:
    by_dtype: dict[Any, Groups] = {}
    for group in matched_arrays(op, lists):
        if group[0].size:
            by_dtype.setdefault(group[0].dtype, []).append(group)
    # Chosen for all before the first is changed: a dtype without a kernel leaves everything as it was.
    runs = [
        (choose(op, dtype, FlatGeometry(sum(group[0].size for group in groups)), "cuda").function, groups)
        for dtype, groups in by_dtype.items()
    ]
    for run, groups in runs:
        run(groups, scalars, *flags)


def _launch(name: str, groups: Groups, *scalars: float) -> None:
    for first in range(0, len(groups), _MOST_TENSORS):
        part = groups[first : first + _MOST_TENSORS]
        tensors = np.zeros(1, _TENSORS)
        table = tensors[0]
        blocks = [0, *accumulate(-(-group[0].size // _CHUNK) for group in part)]
        table["address"][: len(part[0]), : len(part)] = np.array(
            [[address(array) for array in group] for group in part], np.uint64
        ).T
        table["size"][: len(part)] = [group[0].size for group in part]
        table["first_block"][: len(blocks)] = blocks
        table["count"] = len(part)
        code = kernel("optimizer", name, T=c_type(part[0][0].dtype))
        memory = [array for group in part for array in group]
        code.launch(blocks[-1], THREADS, tensors.view(f"V{_TENSORS.itemsize}"), *scalars, memory=memory)


@implementation(
    "sgd_update",
    "cuda",
    device="cuda",
    supports=supports_wide,
    cost=memory_cost(passes=3),
    available=gpu_or_emulator,
)
def _sgd(groups: Groups, scalars: tuple[float, ...]) -> None:
    _launch("sgd", groups, *scalars)


@implementation(
    "momentum_update",
    "cuda",
    device="cuda",
    supports=supports_wide,
    cost=memory_cost(passes=5),
    available=gpu_or_emulator,
)
def _momentum(groups: Groups, scalars: tuple[float, ...], nesterov: bool) -> None:
    _launch("momentum", groups, *scalars, int(nesterov))


@implementation(
    "adagrad_update",
    "cuda",
    device="cuda",
    supports=supports_wide,
    cost=memory_cost(passes=5),
    available=gpu_or_emulator,
)
def _adagrad(groups: Groups, scalars: tuple[float, ...]) -> None:
    _launch("adagrad", groups, *scalars)


@implementation(
    "rmsprop_update",
    "cuda",
    device="cuda",
    supports=supports_wide,
    cost=memory_cost(passes=7),
    available=gpu_or_emulator,
)
def _rmsprop(groups: Groups, scalars: tuple[float, ...], centered: bool, has_momentum: bool) -> None:
    name = "rmsprop" + ("_centered" if centered else "") + ("_momentum" if has_momentum else "")
    _launch(name, groups, *scalars)


@implementation(
    "adam_update",
    "cuda",
    device="cuda",
    supports=supports_wide,
    cost=memory_cost(passes=7),
    available=gpu_or_emulator,
)
def _adam(groups: Groups, scalars: tuple[float, ...]) -> None:
    _launch("adam", groups, *scalars)


# Numba: the bodies of kernels/numba/optimizer.py, an element to a thread. Every parameter is a launch of its own: Numba
# takes no table of addresses.


def _by_element(element: str, group: tuple[Any, ...], scalars: tuple[float, ...], *flags: bool) -> None:
    cast = [group[0].dtype.type(scalar) for scalar in scalars]
    numba_launch("optimizer", element, group[0].size, *(array.reshape(-1) for array in group), *cast, *flags)


@implementation(
    "sgd_update",
    "cuda-numba",
    device="cuda",
    supports=numba_supports,
    cost=numba_cost(memory_cost(passes=3)),
    available=numba_on_gpu,
)
def _sgd_numba(groups: Groups, scalars: tuple[float, ...]) -> None:
    for group in groups:
        _by_element("sgd_element", group, scalars)


@implementation(
    "momentum_update",
    "cuda-numba",
    device="cuda",
    supports=numba_supports,
    cost=numba_cost(memory_cost(passes=5)),
    available=numba_on_gpu,
)
def _momentum_numba(groups: Groups, scalars: tuple[float, ...], nesterov: bool) -> None:
    for group in groups:
        _by_element("momentum_element", group, scalars, nesterov)


@implementation(
    "adagrad_update",
    "cuda-numba",
    device="cuda",
    supports=numba_supports,
    cost=numba_cost(memory_cost(passes=5)),
    available=numba_on_gpu,
)
def _adagrad_numba(groups: Groups, scalars: tuple[float, ...]) -> None:
    for group in groups:
        _by_element("adagrad_element", group, scalars)


@implementation(
    "rmsprop_update",
    "cuda-numba",
    device="cuda",
    supports=numba_supports,
    cost=numba_cost(memory_cost(passes=7)),
    available=numba_on_gpu,
)
def _rmsprop_numba(groups: Groups, scalars: tuple[float, ...], centered: bool, has_momentum: bool) -> None:
    for parameter, gradient, mean_square, *states in groups:
        # A state that is not there is never touched; something must stand in its place.
        mean_gradient = states[0] if centered else mean_square
        momenta = states[-1] if has_momentum else mean_square
        group = (parameter, gradient, mean_square, mean_gradient, momenta)
        _by_element("rmsprop_element", group, scalars, centered, has_momentum)


@implementation(
    "adam_update",
    "cuda-numba",
    device="cuda",
    supports=numba_supports,
    cost=numba_cost(memory_cost(passes=7)),
    available=numba_on_gpu,
)
def _adam_numba(groups: Groups, scalars: tuple[float, ...]) -> None:
    for group in groups:
        _by_element("adam_element", group, scalars)
