"""Cross-entropies of one example's targets, unreduced, by the names and arguments of ``keras.ops``."""

from __future__ import annotations

from typing import Any

from deepcore.autograd.primitive import primitive
from deepcore.backend.contract import PROBABILITY_EPSILON
from deepcore.ops.activation import softplus
from deepcore.ops.elementwise import clip, log, where
from deepcore.ops.logic import logical_and
from deepcore.ops.operand import cast, floating, floating_beside, tensor_of
from deepcore.ops.reduction import sum
from deepcore.ops.shape import expand_dims, moveaxis, squeeze
from deepcore.ops.softmax import by_rows, check_labels, distribution, softmax_cross_entropy
from deepcore.tensor import Tensor


@primitive(outputs=("loss",))
def _cross_entropy(backend: Any, probabilities: Any, targets: Any) -> Any:
    return backend.probability_cross_entropy_fprop(probabilities, targets)


@_cross_entropy.gradient("probabilities")
def _(dloss: Tensor, probabilities: Tensor, targets: Tensor) -> Tensor:
    return _cross_entropy_dgrad(dloss, probabilities, targets)


@_cross_entropy.gradient("targets")
def _(dloss: Tensor, probabilities: Tensor) -> Tensor:
    shares = probabilities / sum(probabilities, -1, keepdims=True)
    return -(expand_dims(dloss, -1) * log(clip(shares, PROBABILITY_EPSILON, 1 - PROBABILITY_EPSILON)))


@primitive(outputs=("dprobabilities",))
def _cross_entropy_dgrad(backend: Any, dloss: Any, probabilities: Any, targets: Any) -> Any:
    return backend.probability_cross_entropy_dgrad(dloss, probabilities, targets)


# dp = dloss (sum(t) / sum(p) - t / p), where t is zero for probabilities that are held at a limit.
@_cross_entropy_dgrad.gradient("dloss")
def _(ddprobabilities: Tensor, probabilities: Tensor, targets: Tensor) -> Tensor:
    t, p, total = _not_held(targets, probabilities)
    return sum(ddprobabilities * (sum(t, -1, keepdims=True) / total - t / p), -1)


@_cross_entropy_dgrad.gradient("probabilities")
def _(ddprobabilities: Tensor, dloss: Tensor, probabilities: Tensor, targets: Tensor) -> Tensor:
    t, p, total = _not_held(targets, probabilities)
    of_total = sum(ddprobabilities, -1, keepdims=True) * sum(t, -1, keepdims=True) / (total * total)
    return expand_dims(dloss, -1) * (ddprobabilities * t / (p * p) - of_total)


@_cross_entropy_dgrad.gradient("targets")
def _(ddprobabilities: Tensor, dloss: Tensor, probabilities: Tensor, targets: Tensor) -> Tensor:
    _, p, total = _not_held(targets, probabilities)
    slope = sum(ddprobabilities, -1, keepdims=True) / total - ddprobabilities / p
    return expand_dims(dloss, -1) * where(_is_within(probabilities, total), slope, 0.0)


def _not_held(targets: Tensor, probabilities: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Weights, zero where a probability is held at a limit; the probabilities, 1 there; and their sums."""
    total = sum(probabilities, -1, keepdims=True)
    within = _is_within(probabilities, total)
    t = distribution(targets, probabilities)
    return where(within, t, 0.0), where(within, probabilities, 1.0), total


def _is_within(probabilities: Tensor, total: Tensor) -> Tensor:
    shares = probabilities.detach() / total.detach()
    return logical_and(shares >= PROBABILITY_EPSILON, shares <= 1 - PROBABILITY_EPSILON)


def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Tensor:
    """-(t log(p) + (1 - t) log(1 - p)) of each element.

    Args:
        target: t, from 0 to 1.
        output: probabilities p, held between 1e-7 and 1 - 1e-7; or logits with ``from_logits``, where nothing is lost.

    Returns a tensor of their shape. Raises ``ValueError`` if the shapes differ.

    >>> binary_crossentropy([1.0], [0.0], from_logits=True)
    Tensor([0.6931472], dtype=float32)
    """
    t, y = _paired("binary_crossentropy", target, output)
    if from_logits:
        return softplus(y) - y * t
    p = clip(y, PROBABILITY_EPSILON, 1 - PROBABILITY_EPSILON)
    return -(t * log(p) + (1 - t) * log(1 - p))


def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Tensor:
    """-sum(t log(p)) over the classes.

    Args:
        target: distributions t.
        output: probabilities p, made to sum to one and held between 1e-7 and 1 - 1e-7; or logits with ``from_logits``.
        axis: of the classes.

    Returns their shape without ``axis``. Raises ``ValueError`` if the shapes differ, or have no axis.
    """
    t, y = _paired("categorical_crossentropy", target, output)
    if y.ndim < 1:
        raise ValueError(f"categorical_crossentropy expects [..., classes]; got shapes {t.shape} and {y.shape}.")
    y, t = moveaxis(y, axis, -1), moveaxis(t, axis, -1)
    return softmax_cross_entropy(y, t) if from_logits else by_rows(_cross_entropy, y, t)


def sparse_categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Tensor:
    """-log(p of the target's class).

    Args:
        target: class numbers, of the shape of ``output`` without ``axis``, or with 1 there.
        output: probabilities, or logits with ``from_logits``; see ``categorical_crossentropy``.
        axis: of the classes.

    Returns the shape of ``output`` without ``axis``. Raises ``ValueError`` if the shapes do not match, and (on the
    CPU) for class numbers out of range.
    """
    y = floating(output)
    labels = tensor_of(target, like=y)
    if y.ndim < 1:
        raise ValueError(f"sparse_categorical_crossentropy expects an output [..., classes]; got shape {y.shape}.")
    y = moveaxis(y, axis, -1)
    if labels.ndim == y.ndim and labels.shape[axis] == 1:
        labels = squeeze(labels, axis)
    if labels.shape != y.shape[:-1]:
        raise ValueError(
            f"sparse_categorical_crossentropy: class numbers for an output {tuple(tensor_of(output).shape)} with the "
            f"classes on axis {axis} must have shape {y.shape[:-1]}; got {labels.shape}."
        )
    numbers = cast(labels, "int32") if labels.dtype.kind not in "iu" else labels
    if from_logits:
        return softmax_cross_entropy(y, numbers)
    check_labels(numbers, y.shape[-1])
    return by_rows(_cross_entropy, y, numbers)


def _paired(op: str, target: Any, output: Any) -> tuple[Tensor, Tensor]:
    y = floating(output)
    t = cast(floating_beside(target, y), y.dtype)
    if t.shape != y.shape:
        raise ValueError(f"{op}: target and output must have the same shape; got {t.shape} and {y.shape}.")
    return t, y
