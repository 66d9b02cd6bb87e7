"""Softmax, its logarithm, and the cross-entropies of logits and of probabilities; all over the last axis."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from deepcore.backend.contract import PROBABILITY_EPSILON
from deepcore.backend.dispatch import Call, choose_for, implementation
from deepcore.backend.dtype import is_floating
from deepcore.backend.geometry import RowsGeometry
from deepcore.backend.numpy.cost import loop_cost, numpy_cost
from deepcore.backend.numpy.half import computed_in_float32
from deepcore.backend.numpy.loops import loop, numba_available
from deepcore.backend.numpy.memory import empty
from deepcore.backend.numpy.rows import as_rows, blocks, contiguous, quiet, require_below

__all__ = [
    "log_softmax_dgrad",
    "log_softmax_fprop",
    "probability_cross_entropy_dgrad",
    "probability_cross_entropy_fprop",
    "softmax_cross_entropy_dgrad",
    "softmax_cross_entropy_fprop",
    "softmax_dgrad",
    "softmax_fprop",
]


@computed_in_float32()
def softmax_fprop(x: np.ndarray) -> np.ndarray:
    """``exp(x - max) / sum(exp(x - max))`` over the last axis of ``x`` [..., classes]; the same shape and dtype."""
    return choose_for("softmax_fprop", x.dtype, RowsGeometry.of, x.shape).function(x)


@computed_in_float32()
def softmax_dgrad(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The gradient at the input of ``y = softmax_fprop(x)``: ``y * (dy - sum(dy * y))``."""
    return choose_for("softmax_dgrad", y.dtype, RowsGeometry.of, y.shape).function(dy, y)


@computed_in_float32()
def log_softmax_fprop(x: np.ndarray) -> np.ndarray:
    """``x - log(sum(exp(x)))`` over the last axis, by the log-sum-exp identity; the same shape and dtype."""
    return choose_for("log_softmax_fprop", x.dtype, RowsGeometry.of, x.shape).function(x)


@computed_in_float32()
def log_softmax_dgrad(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The gradient at the input of ``y = log_softmax_fprop(x)``: ``dy - exp(y) * sum(dy)``."""
    return choose_for("log_softmax_dgrad", y.dtype, RowsGeometry.of, y.shape).function(dy, y)


@computed_in_float32(0)
def softmax_cross_entropy_fprop(logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cross-entropy of ``softmax(logits)``, taken from the logits directly: ``-sum(t * log_softmax(logits))``.

    Args:
        logits: [rows, classes], floating.
        targets: classes as integers [rows], or weights of the classes as floats [rows, classes].

    Returns:
        (loss [rows], probabilities [rows, classes]), of the dtype of ``logits``; but the loss of 16-bit logits is
        float32, which a scaled loss would leave the range of.

    Raises:
        ValueError: an integer target is negative or not below ``classes``.
    """
    targets = _checked_targets(logits, targets)
    return choose_for("softmax_cross_entropy_fprop", logits.dtype, RowsGeometry.of, logits.shape).function(
        logits, targets
    )


@computed_in_float32(like=1)
def softmax_cross_entropy_dgrad(dloss: np.ndarray, probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The gradient at the logits, ``dloss * (probabilities * sum(t) - t)``; of the shape of ``probabilities``.

    Args:
        dloss: [rows], gradient at the loss, of its dtype.
        probabilities: [rows, classes], from ``softmax_cross_entropy_fprop``.
        targets: as there.

    Raises:
        ValueError: an integer target is negative or not below ``classes``.
    """
    targets = _checked_targets(probabilities, targets)
    record = choose_for("softmax_cross_entropy_dgrad", probabilities.dtype, RowsGeometry.of, probabilities.shape)
    return record.function(dloss, probabilities, targets)


@computed_in_float32(0)
def probability_cross_entropy_fprop(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The cross-entropy of probabilities: ``-sum(t * log(q))``, where q is ``p / sum(p)``, held between 1e-7 and
    1 - 1e-7.

    Args:
        probabilities: p, [rows, classes], floating; what a row of them sums to is divided out.
        targets: classes as integers [rows], or weights of the classes as floats [rows, classes].

    Returns:
        The loss [rows], of the dtype of ``probabilities``; float32 for 16-bit ones.

    Raises:
        ValueError: an integer target is negative or not below ``classes``.
    """
    targets = _checked_targets(probabilities, targets)
    return choose_for(
        "probability_cross_entropy_fprop", probabilities.dtype, RowsGeometry.of, probabilities.shape
    ).function(probabilities, targets)


@computed_in_float32(like=1)
def probability_cross_entropy_dgrad(dloss: np.ndarray, probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The gradient at the probabilities, ``dloss * (sum(t) / sum(p) - t / p)``, in which t is zero where q is held at
    one of its limits; of the shape of ``probabilities``.

    Args:
        dloss: [rows], gradient at the loss, of its dtype.
        probabilities: as ``probability_cross_entropy_fprop`` was given them.
        targets: as there.

    Raises:
        ValueError: an integer target is negative or not below ``classes``.
    """
    targets = _checked_targets(probabilities, targets)
    record = choose_for("probability_cross_entropy_dgrad", probabilities.dtype, RowsGeometry.of, probabilities.shape)
    return record.function(dloss, probabilities, targets)


def _checked_targets(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    if is_floating(targets.dtype):
        return contiguous(targets.astype(logits.dtype, copy=False))
    require_below("targets", targets, logits.shape[-1])
    return contiguous(targets.astype(np.int64, copy=False))


# NumPy. Blocks stay in cache over the passes. Short rows are laid down as columns first, because NumPy reduces along
# the last axis row by row, at tens of nanoseconds each.

_SHORT_ROW = 64


def _blocks_classes_first(x: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """(slice of rows, a copy of those rows as [classes, rows])."""
    for block in blocks(x.shape[0], x.strides[0]):
        yield block, (x[block].T.copy() if x.shape[1] < _SHORT_ROW else x[block].copy().T)


def _sum_classes(x: np.ndarray) -> np.ndarray:
    return x.sum(axis=0) if x.flags.c_contiguous else np.sum(x.T, axis=1)


def _fprop_numpy(x: np.ndarray, logarithm: bool) -> np.ndarray:
    rows = as_rows(x)
    y = empty(x.shape, x.dtype)
    out = y.reshape(rows.shape)
    with quiet():
        for block, z in _blocks_classes_first(rows):
            z -= z.max(axis=0)
            if logarithm:
                z -= np.log(_sum_classes(np.exp(z)))
            else:
                np.exp(z, out=z)
                z /= _sum_classes(z)
            out[block] = z.T
    return y


def _numpy_cost(call: Call) -> float:
    return numpy_cost(call, passes=10, calls=12)


@implementation("softmax_fprop", "numpy", cost=_numpy_cost)
def _softmax_fprop_numpy(x: np.ndarray) -> np.ndarray:
    return _fprop_numpy(x, logarithm=False)


@implementation("log_softmax_fprop", "numpy", cost=_numpy_cost)
def _log_softmax_fprop_numpy(x: np.ndarray) -> np.ndarray:
    return _fprop_numpy(x, logarithm=True)


@implementation("softmax_dgrad", "numpy", cost=_numpy_cost)
def _softmax_dgrad_numpy(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    dy_rows, y_rows = as_rows(dy), as_rows(y)
    dx = empty(y.shape, y.dtype)
    out = dx.reshape(y_rows.shape)
    with quiet():
        for block, z in _blocks_classes_first(dy_rows):
            weights = y_rows[block].T
            z -= _sum_classes(np.multiply(z, weights, out=np.empty_like(z)))
            np.multiply(z.T, y_rows[block], out=out[block])
    return dx


@implementation("log_softmax_dgrad", "numpy", cost=_numpy_cost)
def _log_softmax_dgrad_numpy(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    dy_rows, y_rows = as_rows(dy), as_rows(y)
    dx = empty(y.shape, y.dtype)
    out = dx.reshape(y_rows.shape)
    with quiet():
        for block, z in _blocks_classes_first(dy_rows):
            probabilities = np.exp(y_rows[block])
            probabilities *= _sum_classes(z)[:, None]
            np.subtract(dy_rows[block], probabilities, out=out[block])
    return dx


@implementation("softmax_cross_entropy_fprop", "numpy", cost=_numpy_cost)
def _cross_entropy_fprop_numpy(logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    logits = as_rows(logits)
    probabilities = np.empty(logits.shape, logits.dtype)
    loss = np.empty(logits.shape[0], logits.dtype)
    with quiet():
        for block, z in _blocks_classes_first(logits):
            z -= z.max(axis=0)
            if targets.ndim == 1:
                picked = z[targets[block], np.arange(z.shape[1])]
            e = np.exp(z)
            total = _sum_classes(e)
            e /= total
            probabilities[block] = e.T
            log_total = np.log(total)
            if targets.ndim == 1:
                np.subtract(log_total, picked, out=loss[block])
            else:
                np.subtract(log_total, z, out=z)
                z *= targets[block].T
                loss[block] = _sum_classes(z)
    return loss, probabilities


@implementation("softmax_cross_entropy_dgrad", "numpy", cost=lambda call: numpy_cost(call, passes=4, calls=5))
def _cross_entropy_dgrad_numpy(dloss: np.ndarray, probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    with quiet():
        if targets.ndim == 1:
            dlogits = np.array(probabilities, order="C")
            dlogits[np.arange(len(dlogits)), targets] -= 1
        else:
            dlogits = np.multiply(probabilities, targets.sum(axis=1, keepdims=True), order="C")
            dlogits -= targets
        dlogits *= dloss[:, None]
    return dlogits


def _within(shares: np.ndarray) -> np.ndarray:
    """Where a share of a row's sum is not held at one of its limits."""
    return (shares >= PROBABILITY_EPSILON) & (shares <= 1 - PROBABILITY_EPSILON)


@implementation("probability_cross_entropy_fprop", "numpy", cost=_numpy_cost)
def _probability_loss_numpy(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    probabilities = as_rows(probabilities)
    loss = np.empty(probabilities.shape[0], probabilities.dtype)
    with quiet():
        for block, z in _blocks_classes_first(probabilities):
            z /= _sum_classes(z)
            np.clip(z, PROBABILITY_EPSILON, 1 - PROBABILITY_EPSILON, out=z)
            if targets.ndim == 1:
                loss[block] = -np.log(z[targets[block], np.arange(z.shape[1])])
            else:
                np.log(z, out=z)
                z *= targets[block].T
                loss[block] = -_sum_classes(z)
    return loss


@implementation("probability_cross_entropy_dgrad", "numpy", cost=_numpy_cost)
def _probability_loss_dgrad_numpy(dloss: np.ndarray, probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    probabilities = as_rows(probabilities)
    dprobabilities = np.empty(probabilities.shape, probabilities.dtype)
    with quiet():
        for block, z in _blocks_classes_first(probabilities):
            total = _sum_classes(z)
            if targets.ndim == 1:
                weights = np.zeros_like(z)
                weights[targets[block], np.arange(z.shape[1])] = 1
            else:
                weights = targets[block].T.copy()
            within = _within(z / total)
            weights *= within
            z[~within] = 1  # where the weight is zero, whatever it is divided by
            np.subtract(_sum_classes(weights) / total, np.divide(weights, z, out=z), out=z)
            z *= dloss[block]
            dprobabilities[block] = z.T
    return dprobabilities


# Numba: one row at a time, twice through the first-level cache.


_EXPONENTIAL = 8  # elements that a loop could have moved instead of taking one exponential


def _exponential_cost(call: Call) -> float:
    return loop_cost(call, passes=4, math_per_element=1)


@implementation("softmax_fprop", "numba", cost=_exponential_cost, available=numba_available)
def _softmax_fprop_numba(x: np.ndarray) -> np.ndarray:
    rows, y = as_rows(x), empty(x.shape, x.dtype)
    loop("softmax", "softmax_fprop", _EXPONENTIAL * x.size)(rows, y.reshape(rows.shape))
    return y


@implementation("softmax_dgrad", "numba", cost=lambda call: loop_cost(call, passes=4), available=numba_available)
def _softmax_dgrad_numba(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    rows, dx = as_rows(y), empty(y.shape, y.dtype)
    loop("softmax", "softmax_dgrad", 4 * y.size)(as_rows(dy), rows, dx.reshape(rows.shape))
    return dx


@implementation("log_softmax_fprop", "numba", cost=_exponential_cost, available=numba_available)
def _log_softmax_fprop_numba(x: np.ndarray) -> np.ndarray:
    rows, y = as_rows(x), empty(x.shape, x.dtype)
    loop("softmax", "log_softmax_fprop", _EXPONENTIAL * x.size)(rows, y.reshape(rows.shape))
    return y


@implementation("log_softmax_dgrad", "numba", cost=_exponential_cost, available=numba_available)
def _log_softmax_dgrad_numba(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    rows, dx = as_rows(y), empty(y.shape, y.dtype)
    loop("softmax", "log_softmax_dgrad", _EXPONENTIAL * y.size)(as_rows(dy), rows, dx.reshape(rows.shape))
    return dx


@implementation("softmax_cross_entropy_fprop", "numba", cost=_exponential_cost, available=numba_available)
def _cross_entropy_fprop_numba(logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    logits = as_rows(logits)
    probabilities = np.empty(logits.shape, logits.dtype)
    loss = np.empty(logits.shape[0], logits.dtype)
    kind = "classes" if targets.ndim == 1 else "weights"
    loop("softmax", f"cross_entropy_of_{kind}_fprop", _EXPONENTIAL * logits.size)(logits, targets, loss, probabilities)
    return loss, probabilities


@implementation(
    "softmax_cross_entropy_dgrad", "numba", cost=lambda call: loop_cost(call, passes=3), available=numba_available
)
def _cross_entropy_dgrad_numba(dloss: np.ndarray, probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    dlogits = np.empty(probabilities.shape, probabilities.dtype)
    kind = "classes" if targets.ndim == 1 else "weights"
    loop("softmax", f"cross_entropy_of_{kind}_dgrad", 3 * probabilities.size)(
        _writable(dloss), as_rows(probabilities), targets, dlogits
    )
    return dlogits


def _writable(dloss: np.ndarray) -> np.ndarray:
    """A copy: the gradient of a mean cannot be written to; for such an array Numba would compile a loop once more."""
    return np.array(dloss, order="C")


@implementation("probability_cross_entropy_fprop", "numba", cost=_exponential_cost, available=numba_available)
def _probability_loss_numba(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    rows = as_rows(probabilities)
    loss = np.empty(rows.shape[0], rows.dtype)
    kind = "classes" if targets.ndim == 1 else "weights"
    loop("softmax", f"probability_loss_of_{kind}_fprop", 3 * rows.size)(rows, targets, loss)
    return loss


@implementation(
    "probability_cross_entropy_dgrad", "numba", cost=lambda call: loop_cost(call, passes=4), available=numba_available
)
def _probability_loss_dgrad_numba(dloss: np.ndarray, probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    dprobabilities = np.empty(probabilities.shape, probabilities.dtype)
    kind = "classes" if targets.ndim == 1 else "weights"
    loop("softmax", f"probability_loss_of_{kind}_dgrad", 4 * probabilities.size)(
        _writable(dloss), as_rows(probabilities), targets, dprobabilities
    )
    return dprobabilities
