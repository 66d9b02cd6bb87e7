"""Optimizer steps, in place, for all parameters in one call: the rules of ``deepcore/backend/updates.py``."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deepcore.backend.dispatch import Call, choose, implementation
from deepcore.backend.geometry import FlatGeometry
from deepcore.backend.numpy.cost import loop_cost, numpy_cost
from deepcore.backend.numpy.loops import fitting, loops, numba_available, numba_supports
from deepcore.backend.numpy.rows import blocks, contiguous, quiet
from deepcore.backend.updates import Before, Group, Step, Work, offered

_SHARED = 1 << 17  # elements: fewer are done by one core before a second one has started
_PART = 1 << 16  # elements of one parameter that a core takes at a time


def _perform(op: str, groups: list[Group], step: Step, before: Before) -> None:
    by_dtype: dict[Any, list[Group]] = {}
    for group in groups:
        by_dtype.setdefault(group.arrays[0].dtype, []).append(group)
    # Chosen for all before the first is changed: a dtype that nothing serves leaves everything as it was.
    works = [(dtype, Work(alike, step.scalars, before)) for dtype, alike in by_dtype.items()]
    for run, work in [(choose(op, dtype, FlatGeometry(work.size)).function, work) for dtype, work in works]:
        run(work)


UPDATES = offered(_perform)
globals().update(UPDATES)
__all__ = [*UPDATES, "square_sum"]


def square_sum(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """The sum of the squares of all elements of all arrays, at least one: an array of no axes, of their dtype."""
    dtype = np.result_type(*arrays)
    return choose("square_sum", dtype, FlatGeometry(sum(array.size for array in arrays))).function(arrays, dtype)


@implementation("square_sum", "numpy", cost=lambda call: numpy_cost(call, 1, calls=2))
def _square_sum(arrays: Sequence[np.ndarray], dtype: np.dtype) -> np.ndarray:
    flat = [contiguous(array).reshape(-1) for array in arrays]
    with quiet():
        # Only within a block are numbers added in float32, so that a long sum keeps its digits.
        parts = [np.dot(a[block], a[block]) for a in flat for block in blocks(a.size, a.itemsize)]
        return np.asarray(np.sum(parts, dtype=np.float64)).astype(dtype)


# NumPy: blocks of every array stay in cache over the passes. A formula changes the parameter ``p`` and its states in
# place; ``g`` is its own to change, too, where it was scaled. All numbers have the arrays' dtype.


Scalar = np.floating


def _sgd(p: np.ndarray, g: np.ndarray, learning_rate: Scalar) -> None:
    p -= learning_rate * g


def _momentum(p: np.ndarray, g: np.ndarray, v: np.ndarray, rate: Scalar, momentum: Scalar, nesterov: bool) -> None:
    step = rate * g
    v *= momentum
    v -= step
    if nesterov:
        p += momentum * v
        p -= step
    else:
        p += v


def _adagrad(p: np.ndarray, g: np.ndarray, accumulator: np.ndarray, learning_rate: Scalar, epsilon: Scalar) -> None:
    accumulator += g * g
    step = learning_rate * g
    step /= np.sqrt(accumulator + epsilon)
    p -= step


def _rmsprop(
    p: np.ndarray,
    g: np.ndarray,
    mean_square: np.ndarray,
    mean_gradient: np.ndarray | None,
    momenta: np.ndarray | None,
    *scalars: Scalar,
) -> None:
    learning_rate, rho, one_less_rho, momentum, epsilon = scalars
    mean_square *= rho
    mean_square += one_less_rho * (g * g)
    denominator = mean_square + epsilon
    if mean_gradient is not None:
        mean_gradient *= rho
        mean_gradient += one_less_rho * g
        denominator -= mean_gradient * mean_gradient
    step = learning_rate * g
    step /= np.sqrt(denominator, out=denominator)
    if momenta is not None:
        momenta *= momentum
        momenta += step
        step = momenta
    p -= step


def _adadelta(p: np.ndarray, g: np.ndarray, squares: np.ndarray, changes: np.ndarray, *scalars: Scalar) -> None:
    learning_rate, rho, one_less_rho, epsilon = scalars
    squares *= rho
    squares += one_less_rho * (g * g)
    change = np.sqrt(changes + epsilon) * g
    change /= np.sqrt(squares + epsilon)
    changes *= rho
    changes += one_less_rho * (change * change)
    p -= learning_rate * change


def _adam(
    p: np.ndarray, g: np.ndarray, m: np.ndarray, v: np.ndarray, largest: np.ndarray | None, *scalars: Scalar
) -> None:
    alpha, one_less_beta_1, one_less_beta_2, epsilon = scalars
    m += one_less_beta_1 * (g - m)
    v += one_less_beta_2 * (g * g - v)
    denominator = np.sqrt(v if largest is None else np.maximum(largest, v, out=largest))
    denominator += epsilon
    step = alpha * m
    step /= denominator
    p -= step


def _adamax(p: np.ndarray, g: np.ndarray, m: np.ndarray, norm: np.ndarray, *scalars: Scalar) -> None:
    alpha, one_less_beta_1, beta_2, epsilon = scalars
    m += one_less_beta_1 * (g - m)
    np.maximum(beta_2 * norm, np.abs(g), out=norm)
    p -= alpha * m / (norm + epsilon)


def _nadam(p: np.ndarray, g: np.ndarray, m: np.ndarray, v: np.ndarray, *scalars: Scalar) -> None:
    ahead, now, one_less_beta_1, one_less_beta_2, correction, epsilon = scalars
    m += one_less_beta_1 * (g - m)
    v += one_less_beta_2 * (g * g - v)
    p -= (ahead * m + now * g) / (np.sqrt(correction * v) + epsilon)


def _lion(p: np.ndarray, g: np.ndarray, m: np.ndarray, *scalars: Scalar) -> None:
    learning_rate, beta_1, one_less_beta_1, beta_2, one_less_beta_2 = scalars
    p -= learning_rate * np.sign(beta_1 * m + one_less_beta_1 * g)
    m *= beta_2
    m += one_less_beta_2 * g


def _ftrl(p: np.ndarray, g: np.ndarray, accumulator: np.ndarray, linear: np.ndarray, *scalars: Scalar) -> None:
    learning_rate, power, l1, twice_l2, twice_shrinkage, beta = scalars
    before = accumulator**power
    accumulator += g * g
    after = accumulator**power
    linear += g + twice_shrinkage * p - (after - before) / learning_rate * p
    p[...] = (np.clip(linear, -l1, l1) - linear) / (after / learning_rate + (twice_l2 + beta / learning_rate))


def _blend(p: np.ndarray, value: np.ndarray, keep: Scalar, share: Scalar) -> None:
    p *= keep
    p += share * value


Formula = Callable[..., None]


def _in_blocks(formula: Formula, work: Work) -> None:
    dtype = work.groups[0].arrays[0].dtype
    scalars, scale, limit = work.cast(dtype), _scale(work.before, dtype), dtype.type(work.before.limit)
    with quiet():
        for arrays, share in work.groups:
            decay = dtype.type(share)
            flat = [None if array is None else array.reshape(-1) for array in arrays]
            for block in blocks(arrays[0].size, dtype.itemsize):
                p, g, *states = _parts(flat, block)
                if decay:
                    p -= decay * p
                if scale != 1:
                    g = scale * g
                if limit < math.inf:
                    g = np.clip(g, -limit, limit)
                formula(p, g, *states, *scalars)


def _parts(arrays: Sequence[Any], block: slice) -> list[Any]:
    return [None if array is None else array[block] for array in arrays]


def _scale(before: Before, dtype: np.dtype) -> Any:
    scale = dtype.type(before.factor)
    return scale if before.scale is None else scale * dtype.type(before.scale)


# Numba: one pass over every array, and one call for all of them.


_VARIANTS = {"adam": (4,), "rmsprop": (3, 4)}  # the places of states that only a variant of a rule has


def _with_loop(rule: str, work: Work) -> None:
    from deepcore.kernels.cpu.record import addresses

    dtype = work.groups[0].arrays[0].dtype
    parts, decays, elements = [], [], 0
    for arrays, decay in work.groups:
        size, places = arrays[0].size, addresses(*arrays)
        elements += size
        while size > _PART:
            parts.append([_PART, *places])
            decays.append(decay)
            places = [place + _PART * dtype.itemsize for place in places]
            size -= _PART
        if size:
            parts.append([size, *places])
            decays.append(decay)
    if parts:
        fitting(getattr(loops("optimizer"), rule), elements, _SHARED + 1)(
            np.array(parts, np.int64),
            np.array(decays, dtype),
            *[None if work.groups[0].arrays[place] is None else True for place in _VARIANTS.get(rule, ())],
            *work.cast(dtype),
            _scale(work.before, dtype),
            dtype.type(work.before.limit),
        )


def _numpy_passes(passes: float) -> Callable[[Call], float]:
    return lambda call: numpy_cost(call, passes, calls=8)


def _loop_passes(passes: float) -> Callable[[Call], float]:
    return lambda call: loop_cost(call, passes)


# The formula of each rule, how often NumPy passes over memory for it, and how often a loop does.
_RULES: dict[str, tuple[Formula, float, float]] = {
    "adadelta": (_adadelta, 18, 7),
    "adagrad": (_adagrad, 8, 5),
    "adam": (_adam, 12, 7),
    "adamax": (_adamax, 12, 7),
    "blend": (_blend, 4, 3),
    "ftrl": (_ftrl, 24, 7),
    "lion": (_lion, 10, 5),
    "momentum": (_momentum, 6, 5),
    "nadam": (_nadam, 16, 7),
    "rmsprop": (_rmsprop, 10, 6),
    "sgd": (_sgd, 4, 3),
}
for _rule, (_formula, _numpy, _loop) in _RULES.items():
    _op = f"{_rule}_update"
    implementation(_op, "numpy", cost=_numpy_passes(_numpy))(functools.partial(_in_blocks, _formula))
    implementation(_op, "numba", supports=numba_supports, cost=_loop_passes(_loop), available=numba_available)(
        functools.partial(_with_loop, _rule)
    )
