"""Softmax, its logarithm, and cross-entropies; the contract is that of ``backend/numpy/softmax.py``.

One difference: an integer target that names no class is not an error here, since finding it would make the host wait
for the device. It makes the loss and the gradient of its row NaN, as TensorFlow does on a GPU.
"""

from __future__ import annotations

from typing import Any

from deepcore.backend.cuda.array import c_type, contiguous, empty
from deepcore.backend.cuda.cast import cast
from deepcore.backend.cuda.cost import THREADS, gpu_or_emulator, memory_cost, supports_floating
from deepcore.backend.cuda.index import indices
from deepcore.backend.cuda.launcher import kernel
from deepcore.backend.cuda.plan import row_grid, row_threads
from deepcore.backend.dispatch import choose, implementation
from deepcore.backend.dtype import accumulator, is_floating
from deepcore.backend.geometry import RowsGeometry

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


def softmax_fprop(x: Any) -> Any:
    """``exp(x - max) / sum(exp(x - max))`` over the last axis; see the NumPy backend."""
    return choose("softmax_fprop", x.dtype, RowsGeometry.of(x.shape), "cuda").function(contiguous(x))


def softmax_dgrad(dy: Any, y: Any) -> Any:
    """The gradient at the input of ``y = softmax_fprop(x)``; see the NumPy backend."""
    run = choose("softmax_dgrad", y.dtype, RowsGeometry.of(y.shape), "cuda").function
    return run(contiguous(dy), contiguous(y))


def log_softmax_fprop(x: Any) -> Any:
    """``x - log(sum(exp(x)))`` over the last axis; see the NumPy backend."""
    return choose("log_softmax_fprop", x.dtype, RowsGeometry.of(x.shape), "cuda").function(contiguous(x))


def log_softmax_dgrad(dy: Any, y: Any) -> Any:
    """The gradient at the input of ``y = log_softmax_fprop(x)``; see the NumPy backend."""
    run = choose("log_softmax_dgrad", y.dtype, RowsGeometry.of(y.shape), "cuda").function
    return run(contiguous(dy), contiguous(y))


def softmax_cross_entropy_fprop(logits: Any, targets: Any) -> tuple[Any, Any]:
    """(loss [rows], probabilities [rows, classes]) of logits [rows, classes]; see the NumPy backend.

    A class outside of [0, classes) makes the loss of its row NaN. Raises ``TypeError`` for targets that are neither
    integers nor floating.
    """
    run = choose("softmax_cross_entropy_fprop", logits.dtype, RowsGeometry.of(logits.shape), "cuda").function
    return run(contiguous(logits), _targets(logits, targets))


def softmax_cross_entropy_dgrad(dloss: Any, probabilities: Any, targets: Any) -> Any:
    """The gradient at the logits, [rows, classes]; see the NumPy backend.

    A class outside of [0, classes) makes its row NaN. Raises ``TypeError`` as ``softmax_cross_entropy_fprop`` does.
    """
    geometry = RowsGeometry.of(probabilities.shape)
    run = choose("softmax_cross_entropy_dgrad", probabilities.dtype, geometry, "cuda").function
    dloss = cast(dloss, accumulator(probabilities.dtype))
    return run(dloss, contiguous(probabilities), _targets(probabilities, targets))


def probability_cross_entropy_fprop(probabilities: Any, targets: Any) -> Any:
    """The loss [rows] of probabilities [rows, classes]; see the NumPy backend.

    A class outside of [0, classes) makes the loss of its row NaN. Raises ``TypeError`` for targets that are neither
    integers nor floating.
    """
    geometry = RowsGeometry.of(probabilities.shape)
    run = choose("probability_cross_entropy_fprop", probabilities.dtype, geometry, "cuda").function
    return run(contiguous(probabilities), _targets(probabilities, targets))


def probability_cross_entropy_dgrad(dloss: Any, probabilities: Any, targets: Any) -> Any:
    """The gradient at the probabilities, [rows, classes]; see the NumPy backend.

    A class outside of [0, classes) makes its row NaN. Raises ``TypeError`` as ``probability_cross_entropy_fprop`` does.
    """
    geometry = RowsGeometry.of(probabilities.shape)
    run = choose("probability_cross_entropy_dgrad", probabilities.dtype, geometry, "cuda").function
    dloss = cast(dloss, accumulator(probabilities.dtype))
    return run(dloss, contiguous(probabilities), _targets(probabilities, targets))


def _targets(logits: Any, targets: Any) -> Any:
    if is_floating(targets.dtype):
        return cast(targets, logits.dtype)
    return indices("targets", targets)


def _launch(name: str, x: Any, *args: Any, **defines: str) -> None:
    """Launches a kernel of rows: those of the shape of ``x``, which come after ``args``."""
    columns = x.shape[-1] if x.ndim else 1
    rows = x.size // max(columns, 1)
    threads = row_threads(columns)
    code = kernel("softmax", name, T=c_type(x.dtype), ROW_THREADS=threads, **defines)
    code.launch(row_grid(rows, threads), THREADS, *args, rows, columns)


def _launch_loss(loss: str, direction: str, targets: Any, x: Any, *args: Any) -> None:
    """``_launch`` of a kernel that there is for targets that are class numbers, and for weights of the classes."""
    if targets.ndim == 1:
        _launch(f"{loss}_of_classes_{direction}", x, *args, CLASS=c_type(targets.dtype))
    else:
        _launch(f"{loss}_of_weights_{direction}", x, *args)


def _like(x: Any) -> Any:
    return empty(x.shape, x.dtype, x)


@implementation(
    "softmax_fprop",
    "cuda",
    device="cuda",
    supports=supports_floating,
    cost=memory_cost(passes=2),
    available=gpu_or_emulator,
)
def _softmax_fprop(x: Any) -> Any:
    y = _like(x)
    _launch("softmax_fprop", x, x, y)
    return y


@implementation(
    "log_softmax_fprop",
    "cuda",
    device="cuda",
    supports=supports_floating,
    cost=memory_cost(passes=2),
    available=gpu_or_emulator,
)
def _log_softmax_fprop(x: Any) -> Any:
    y = _like(x)
    _launch("log_softmax_fprop", x, x, y)
    return y


@implementation(
    "softmax_dgrad",
    "cuda",
    device="cuda",
    supports=supports_floating,
    cost=memory_cost(passes=3),
    available=gpu_or_emulator,
)
def _softmax_dgrad(dy: Any, y: Any) -> Any:
    dx = _like(y)
    _launch("softmax_dgrad", y, dy, y, dx)
    return dx


@implementation(
    "log_softmax_dgrad",
    "cuda",
    device="cuda",
    supports=supports_floating,
    cost=memory_cost(passes=3),
    available=gpu_or_emulator,
)
def _log_softmax_dgrad(dy: Any, y: Any) -> Any:
    dx = _like(y)
    _launch("log_softmax_dgrad", y, dy, y, dx)
    return dx


@implementation(
    "softmax_cross_entropy_fprop",
    "cuda",
    device="cuda",
    supports=supports_floating,
    cost=memory_cost(passes=2),
    available=gpu_or_emulator,
)
def _cross_entropy_fprop(logits: Any, targets: Any) -> tuple[Any, Any]:
    loss, probabilities = empty(logits.shape[:1], accumulator(logits.dtype), logits), _like(logits)
    _launch_loss("cross_entropy", "fprop", targets, logits, logits, targets, loss, probabilities)
    return loss, probabilities


@implementation(
    "softmax_cross_entropy_dgrad",
    "cuda",
    device="cuda",
    supports=supports_floating,
    cost=memory_cost(passes=2),
    available=gpu_or_emulator,
)
def _cross_entropy_dgrad(dloss: Any, probabilities: Any, targets: Any) -> Any:
    dlogits = _like(probabilities)
    _launch_loss("cross_entropy", "dgrad", targets, probabilities, dloss, probabilities, targets, dlogits)
    return dlogits


@implementation(
    "probability_cross_entropy_fprop",
    "cuda",
    device="cuda",
    supports=supports_floating,
    cost=memory_cost(passes=1),
    available=gpu_or_emulator,
)
def _probability_loss(probabilities: Any, targets: Any) -> Any:
    loss = empty(probabilities.shape[:1], accumulator(probabilities.dtype), probabilities)
    _launch_loss("probability_loss", "fprop", targets, probabilities, probabilities, targets, loss)
    return loss


@implementation(
    "probability_cross_entropy_dgrad",
    "cuda",
    device="cuda",
    supports=supports_floating,
    cost=memory_cost(passes=2),
    available=gpu_or_emulator,
)
def _probability_loss_dgrad(dloss: Any, probabilities: Any, targets: Any) -> Any:
    dprobabilities = _like(probabilities)
    given = dloss, probabilities, targets, dprobabilities
    _launch_loss("probability_loss", "dgrad", targets, probabilities, *given)
    return dprobabilities
