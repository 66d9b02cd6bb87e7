"""Intersection over union of predicted and true classes."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from deepcore import ops
from deepcore.autograd import no_grad
from deepcore.losses.loss import EPSILON
from deepcore.metrics.metric import Metric
from deepcore.tensor import Tensor


class IoU(Metric):
    """The mean over ``target_class_ids`` of intersection / union, from a confusion matrix of all examples.

    Args:
        num_classes: how many there are; examples with another number do not count.
        target_class_ids: the classes that are averaged.
        name, dtype: see ``Metric``; int32 by default, so weights are whole numbers then.
        ignore_class: examples of this class do not count.
        sparse_y_true, sparse_y_pred: whether they are class numbers; if not, the largest along ``axis`` is the class.
        axis: of the classes.

    Raises ``ValueError`` for a class that is not below ``num_classes``.
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Any,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__("int32" if dtype in (None, "int") else dtype, name)
        if isinstance(num_classes, bool) or not isinstance(num_classes, int) or num_classes <= 0:
            raise ValueError(f"{type(self).__name__}: num_classes must be a positive integer; got {num_classes!r}.")
        self.target_class_ids = list(target_class_ids)
        if max(self.target_class_ids) >= num_classes:
            raise ValueError(
                f"{type(self).__name__}: target_class_ids must be from 0 to {num_classes - 1}; got {target_class_ids}."
            )
        self.num_classes, self.ignore_class, self.axis = num_classes, ignore_class, axis
        self.sparse_y_true, self.sparse_y_pred = sparse_y_true, sparse_y_pred
        self.total_cm = self.add_variable((num_classes, num_classes), name="total_confusion_matrix")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        with no_grad():
            prediction = ops.convert_to_tensor(y_pred)
            target = ops.convert_to_tensor(y_true, like=prediction)
            target = target if self.sparse_y_true else ops.argmax(target, self.axis)
            prediction = prediction if self.sparse_y_pred else ops.argmax(prediction, self.axis)
            target, prediction = (ops.reshape(ops.cast(t, "int32"), (-1,)) for t in (target, prediction))
            weight = ops.convert_to_tensor(1 if sample_weight is None else sample_weight, like=prediction)
            if weight.dtype.kind == "f" and self._dtype.kind != "f" and hasattr(sample_weight, "dtype"):
                warnings.warn(
                    f"{type(self).__name__} was given weights of a float dtype, but counts in the int {self.dtype}: "
                    "casting cuts their fractions off. Give whole weights, or dtype='float32'.",
                    stacklevel=2,
                )
            weight = ops.cast(weight, self.dtype)
            weight = ops.broadcast_to(ops.reshape(weight, (-1,)) if weight.ndim > 1 else weight, target.shape)
            inside = ops.logical_and(_among(target, self.num_classes), _among(prediction, self.num_classes))
            if self.ignore_class is not None:
                inside = ops.logical_and(inside, ops.not_equal(target, self.ignore_class))
            place = ops.where(inside, target * self.num_classes + prediction, -1)
            held = ops.segment_sum(weight, place, self.num_classes**2)
            self.total_cm.assign_add(ops.reshape(held, self.total_cm.shape))

    def result(self) -> Tensor:
        with no_grad():
            matrix = ops.cast(self.total_cm, "float32")
            both = ops.diagonal(matrix)
            either = ops.sum(matrix, 0) + ops.sum(matrix, 1) - both
            both, either = (ops.take(t, np.array(self.target_class_ids, np.int32)) for t in (both, either))
            seen = ops.greater(either, 1e-9)
            each = ops.where(seen, both / (either + EPSILON), 0.0)
            return ops.sum(each) / (ops.sum(ops.cast(seen, "float32")) + EPSILON)

    def get_config(self) -> dict[str, Any]:
        names = ("num_classes", "target_class_ids", "ignore_class", "sparse_y_true", "sparse_y_pred", "axis")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _among(numbers: Tensor, classes: int) -> Tensor:
    return ops.logical_and(ops.greater_equal(numbers, 0), ops.less(numbers, classes))


def _without(config: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name not in names}


class BinaryIoU(IoU):
    """``IoU`` of the classes 0 and 1, where predictions of at least ``threshold`` are 1."""

    def __init__(
        self, target_class_ids: Any = (0, 1), threshold: float = 0.5, name: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        scores = ops.convert_to_tensor(y_pred, "float32")
        super().update_state(y_true, ops.cast(ops.greater_equal(scores, self.threshold), "int32"), sample_weight)

    def get_config(self) -> dict[str, Any]:
        kept = {name: super(BinaryIoU, self).get_config()[name] for name in ("name", "dtype", "target_class_ids")}
        return {**kept, "threshold": self.threshold}


class MeanIoU(IoU):
    """``IoU`` averaged over all classes."""

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        every = range(num_classes)
        super().__init__(num_classes, every, name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        return _without(super().get_config(), "target_class_ids")


class OneHotIoU(IoU):
    """``IoU`` of one-hot targets, and of scores unless ``sparse_y_pred``."""

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Any,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        return _without(super().get_config(), "sparse_y_true")


class OneHotMeanIoU(MeanIoU):
    """``MeanIoU`` of one-hot targets, and of scores unless ``sparse_y_pred``."""

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        return _without(super().get_config(), "sparse_y_true")
