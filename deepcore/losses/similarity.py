"""How alike two things are: directions, regions of an image, embeddings of one class."""

from __future__ import annotations

from typing import Any

from deepcore import ops
from deepcore.losses.loss import EPSILON, LossFunction, check_same_shape, checked_by, paired
from deepcore.tensor import Tensor

NOWHERE = -1e9  # in place of minus infinity, whose gradient would not be a number


@checked_by(check_same_shape)
def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """-cos of the angle between both, along ``axis``: -1 for one direction, 1 for opposite ones.

    >>> cosine_similarity([[3.0, 4.0]], [[0.0, 2.0]])
    Tensor([-0.8], dtype=float32)
    """
    target, prediction = paired(y_true, y_pred)
    return -ops.sum(ops.normalize(target, axis) * ops.normalize(prediction, axis), axis)


@checked_by(check_same_shape)
def dice(y_true: Any, y_pred: Any, axis: Any = None) -> Tensor:
    """1 - 2 sum(t p) / (sum(t) + sum(p)) over ``axis``, all axes by default. Milletari et al. 2016."""
    target, prediction = paired(y_true, y_pred)
    both = ops.sum(target, axis) + ops.sum(prediction, axis) + EPSILON
    return 1 - 2 * ops.sum(target * prediction, axis) / both


@checked_by(check_same_shape)
def tversky(y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Any = None) -> Tensor:
    """1 - s / (s + alpha sum(t (1 - p)) + beta sum((1 - t) p)) with s = sum(t p), over ``axis``. Salehi et al. 2017.

    Args:
        y_true, y_pred: targets t and predictions p from 0 to 1.
        alpha: what weighs the targets that were missed.
        beta: what weighs the predictions that were wrong.
        axis: summed over, all axes by default.
    """
    target, prediction = paired(y_true, y_pred)
    both = ops.sum(target * prediction, axis)
    missed, wrong = ops.sum(target * (1 - prediction), axis), ops.sum((1 - target) * prediction, axis)
    return 1 - both / (both + alpha * missed + beta * wrong + EPSILON)


def circle(
    y_true: Any,
    y_pred: Any,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80,
    margin: float = 0.4,
) -> Tensor:
    """Pulls embeddings of one class together and pushes those of others apart. Sun et al. 2020.

    Args:
        y_true: class numbers [examples] or [examples, 1].
        y_pred: embeddings [examples, features] of length one.
        ref_labels, ref_embeddings: of what they are compared with; the batch itself by default.
        remove_diagonal: whether an example is not compared with the one of the same place.
        gamma: how sharply the worst pairs count.
        margin: how far similarities may stay from 0 and 1.

    Returns one value an example; its mask is false where it is 0.
    """
    prediction = ops.convert_to_tensor(y_pred)
    labels = ops.reshape(ops.cast(ops.convert_to_tensor(y_true, like=prediction), "int32"), (-1, 1))
    others, keys = prediction, labels
    if ref_embeddings is not None:
        others = ops.cast(ops.convert_to_tensor(ref_embeddings, like=prediction), prediction.dtype)
    if ref_labels is not None:
        keys = ops.reshape(ops.cast(ops.convert_to_tensor(ref_labels, like=prediction), "int32"), (-1, 1))
    same = ops.equal(labels, ops.transpose(keys))
    pairs = ops.logical_not(same)
    if remove_diagonal:
        rows, columns = (ops.convert_to_tensor(ops.arange(t.shape[0]), like=prediction) for t in (labels, keys))
        same = ops.logical_and(same, ops.not_equal(ops.expand_dims(rows, 1), columns))
    distance = ops.relu(1 - ops.matmul(prediction, ops.transpose(others)))
    pull = gamma * ops.relu(distance + margin) * (distance - margin)
    push = gamma * ops.relu(1 + margin - distance) * (1 - margin - distance)
    worst = ops.logsumexp(ops.where(same, pull, NOWHERE), 1) + ops.logsumexp(ops.where(pairs, push, NOWHERE), 1)
    values = ops.softplus(worst)
    values.mask = ops.greater(values.detach(), 0)
    return values


class CosineSimilarity(LossFunction):
    """``cosine_similarity`` of each example, reduced over the batch."""

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "cosine_similarity",
        dtype: Any = None,
    ) -> None:
        super().__init__(cosine_similarity, reduction, name, dtype, axis=axis)


class Dice(LossFunction):
    """``dice`` over ``axis``, by default over the whole batch, reduced over what is left."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "dice",
        axis: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(dice, reduction, name, dtype, axis=axis)


class Tversky(LossFunction):
    """``tversky`` over ``axis``, by default over the whole batch, reduced over what is left."""

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "tversky",
        axis: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(tversky, reduction, name, dtype, alpha=alpha, beta=beta, axis=axis)


class Circle(LossFunction):
    """``circle`` of each example; a mean is one of the examples whose loss is above 0."""

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "circle",
        dtype: Any = None,
    ) -> None:
        arguments = {"gamma": gamma, "margin": margin, "remove_diagonal": remove_diagonal}
        super().__init__(circle, reduction, name, dtype, **arguments)
