"""Cross-entropies of one example's targets, unreduced, by the names and arguments of ``keras.ops``."""

from __future__ import annotations

from typing import Any

from deepcore.ops.activation import softplus
from deepcore.ops.elementwise import clip, log
from deepcore.ops.indexing import one_hot
from deepcore.ops.operand import cast, floating, tensor_of
from deepcore.ops.reduction import sum
from deepcore.ops.shape import moveaxis, squeeze
from deepcore.ops.softmax import check_labels, softmax_cross_entropy
from deepcore.tensor import Tensor

EPSILON = 1e-7  # probabilities are held from here to 1 less this, as in Keras


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
    p = clip(y, EPSILON, 1 - EPSILON)
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
    if not from_logits:
        return -sum(t * _log_probabilities(y, axis), axis)
    return softmax_cross_entropy(moveaxis(y, axis, -1), moveaxis(t, axis, -1))


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
    return -sum(one_hot(numbers, y.shape[-1], dtype=y.dtype) * _log_probabilities(y, -1), -1)


def _paired(op: str, target: Any, output: Any) -> tuple[Tensor, Tensor]:
    y = floating(output)
    t = cast(tensor_of(target, like=y), y.dtype)
    if t.shape != y.shape:
        raise ValueError(f"{op}: target and output must have the same shape; got {t.shape} and {y.shape}.")
    return t, y


def _log_probabilities(y: Tensor, axis: int) -> Tensor:
    return log(clip(y / sum(y, axis, keepdims=True), EPSILON, 1 - EPSILON))
