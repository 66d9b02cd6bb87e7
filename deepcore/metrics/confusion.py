"""Right and wrong answers counted at thresholds: counts, precision, recall, and the best of one given the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepcore import ops
from deepcore.autograd import no_grad
from deepcore.losses.loss import EPSILON, align
from deepcore.metrics.metric import Metric
from deepcore.tensor import Tensor

BELOW_ALL = -1e10  # the score of a class that is not among the top k, and the threshold that all others pass
COUNTS = ("true_positives", "false_positives", "true_negatives", "false_negatives")


def evenly_spaced(thresholds: Any) -> bool:
    """Whether three or more thresholds go from 0 to 1 in equal steps, so that a score's place among them is known."""
    even = np.linspace(0, 1, len(thresholds))
    return len(thresholds) > 2 and bool(np.allclose(thresholds, even, atol=EPSILON))


def _buckets(prediction: Tensor, positive: Tensor, negative: Tensor, steps: int, closed: bool) -> list[Tensor]:
    """Weights of the targets of each kind whose prediction lies above each of evenly spaced thresholds.

    Arguments are [examples, labels]. ``closed``: the first threshold lies a little below 0, so that a 0 passes it.
    """
    labels = prediction.shape[1]
    place = ops.ceil(ops.clip(prediction, 0.0, 1.0) * (steps - 1.0))
    place = ops.cast(ops.maximum(place, 1.0) if closed else place, "int32")  # how many thresholds it passes
    place = place * labels + ops.convert_to_tensor(ops.arange(labels), "int32", like=place)
    found = []
    for weights in (positive, negative):
        held = ops.segment_sum(ops.reshape(weights, (-1,)), ops.reshape(place, (-1,)), (steps + 1) * labels)
        above = ops.flip(ops.cumsum(ops.flip(ops.reshape(held, (steps + 1, labels)), 0), 0), 0)
        found.append(above[1:])
    return found


def count(
    y_true: Any,
    y_pred: Any,
    thresholds: Any,
    sample_weight: Any = None,
    top_k: int | None = None,
    class_id: int | None = None,
    label_weights: Any = None,
    by_label: bool = False,
    dtype: Any = "float32",
) -> dict[str, Tensor]:
    """True and false positives and negatives at each threshold, [thresholds] or [thresholds, labels], by name.

    Args:
        y_true: targets; whatever is not 0 is true.
        y_pred: scores, which say true above a threshold.
        thresholds: numbers.
        sample_weight: [examples], or of the shape of ``y_pred``, or one that broadcasts to it.
        top_k: only the ``top_k`` largest scores of the last axis may say true.
        class_id: only this label counts.
        label_weights: one for each label.
        by_label: whether each label is counted apart.
        dtype: of the counts.
    """
    prediction = ops.cast(ops.convert_to_tensor(y_pred), dtype)
    target = ops.cast(ops.convert_to_tensor(y_true, like=prediction), dtype)
    prediction, target = align(prediction, target)
    if top_k is not None:
        best = ops.top_k(prediction, top_k)[1]
        chosen = ops.any(ops.equal(ops.expand_dims(best, -1), ops.arange(prediction.shape[-1])), -2)
        prediction = ops.where(chosen, prediction, BELOW_ALL)
    if class_id is not None:
        if prediction.ndim == 1:
            raise ValueError(
                f"class_id picks a column of y_pred [samples, classes]; got y_pred of shape {prediction.shape}."
            )
        target, prediction = (t[..., class_id, None] for t in (target, prediction))
    if target.shape != prediction.shape:
        raise ValueError(
            f"The targets have shape {target.shape}, the scores {prediction.shape}; they must be the same."
        )
    weights: Any = ops.ones_like(prediction)
    if sample_weight is not None:
        weight = ops.expand_dims(ops.cast(ops.convert_to_tensor(sample_weight, like=prediction), dtype), -1)
        if weight.ndim == target.ndim + 1:
            weight = ops.squeeze(weight, -1)
        weights = ops.broadcast_to(weight, prediction.shape)
    if label_weights is not None:
        weights = weights * ops.cast(ops.convert_to_tensor(label_weights, like=prediction), dtype)
    rows = (-1, prediction.shape[-1]) if by_label else (-1, 1)
    prediction, target, weights = (ops.reshape(t, rows) for t in (prediction, target, weights))
    positive = ops.where(ops.not_equal(target, 0), weights, 0.0)
    negative = weights - positive
    if evenly_spaced(thresholds):
        found = _buckets(prediction, positive, negative, len(thresholds), thresholds[0] < 0)
    else:
        bounds = ops.convert_to_tensor(np.reshape(thresholds, (-1, 1, 1)), dtype, like=prediction)
        above = ops.greater(prediction, bounds)
        found = [ops.sum(ops.where(above, kind, 0.0), 1) for kind in (positive, negative)]
    true_positives, false_positives = found if by_label else (t[:, 0] for t in found)
    all_positive, all_negative = (ops.sum(t, 0 if by_label else None) for t in (positive, negative))
    kinds = (true_positives, false_positives, all_negative - false_positives, all_positive - true_positives)
    return dict(zip(COUNTS, kinds, strict=True))


class _Counting(Metric):
    """Counts answers at ``self.thresholds``."""

    _counted: tuple[str, ...] = COUNTS
    class_id: int | None = None
    top_k: int | None = None

    def _prepare(self, thresholds: Any, default: float) -> None:
        self.init_thresholds = thresholds
        given = default if thresholds is None else thresholds
        self.thresholds = list(given) if isinstance(given, list | tuple) else [given]
        wrong = [t for t in self.thresholds if t is None or not 0 <= t <= 1]
        if thresholds is not None and wrong:
            raise ValueError(f"{type(self).__name__}: thresholds must be in [0, 1]; got {wrong}.")
        self._make_counts()

    def _make_counts(self) -> None:
        for name in self._counted:
            setattr(self, name, self.add_variable((len(self.thresholds),), name=name))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        with no_grad():
            found = count(y_true, y_pred, self.thresholds, sample_weight, self.top_k, self.class_id, dtype=self.dtype)
            for name in self._counted:
                getattr(self, name).assign_add(found[name])

    def _share(self, part: str, rest: str) -> Tensor:
        return ops.divide_no_nan(getattr(self, part), getattr(self, part) + getattr(self, rest))

    def _one_or_all(self, values: Tensor) -> Tensor:
        return values[0] if len(self.thresholds) == 1 else values


class _ConditionCount(_Counting):
    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self._prepare(thresholds, 0.5)

    def result(self) -> Tensor:
        with no_grad():
            return self._one_or_all(getattr(self, self._counted[0]).detach())

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "thresholds": self.init_thresholds}


class TruePositives(_ConditionCount):
    """How many true targets score above each of ``thresholds``, 0.5 by default."""

    _counted = ("true_positives",)


class FalsePositives(_ConditionCount):
    """How many false targets score above each of ``thresholds``, 0.5 by default."""

    _counted = ("false_positives",)


class TrueNegatives(_ConditionCount):
    """How many false targets do not score above each of ``thresholds``, 0.5 by default."""

    _counted = ("true_negatives",)


class FalseNegatives(_ConditionCount):
    """How many true targets do not score above each of ``thresholds``, 0.5 by default."""

    _counted = ("false_negatives",)


class Precision(_Counting):
    """The share of true targets among those that score above a threshold.

    Args:
        thresholds: one or several, from 0 to 1; 0.5 by default, none with ``top_k``.
        top_k: only the ``top_k`` largest scores of an example count as above.
        class_id: only this class counts.
        name, dtype: see ``Metric``.

    The result is a scalar, or [thresholds] for several. Raises ``ValueError`` for thresholds out of range.
    """

    _counted: tuple[str, ...] = ("true_positives", "false_positives")

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(dtype, name)
        self.top_k, self.class_id = top_k, class_id
        self._prepare(thresholds, 0.5 if top_k is None else BELOW_ALL)

    def result(self) -> Tensor:
        with no_grad():
            return self._one_or_all(self._share(*self._counted))

    def get_config(self) -> dict[str, Any]:
        own = {"thresholds": self.init_thresholds, "top_k": self.top_k, "class_id": self.class_id}
        return {**super().get_config(), **own}


class Recall(Precision):
    """The share of true targets that score above a threshold; arguments as ``Precision`` has them."""

    _counted = ("true_positives", "false_negatives")


class _Best(_Counting):
    """The largest of one share at the thresholds where another is at least a given value; 0 where it never is."""

    _argument = ""
    _given: tuple[str, str]
    _wanted: tuple[str, str]

    def __init__(
        self, value: float, num_thresholds: int = 200, class_id: int | None = None, name: Any = None, dtype: Any = None
    ) -> None:
        if not 0 <= value <= 1:
            raise ValueError(f"`{self._argument}` must be in the range [0, 1]; got {value!r}.")
        super().__init__(dtype, name)
        if num_thresholds <= 0:
            raise ValueError(f"`num_thresholds` must be an integer > 0; got {num_thresholds!r}.")
        self.value, self.num_thresholds, self.class_id = value, num_thresholds, class_id
        setattr(self, self._argument, value)
        self.thresholds = [0.5] if num_thresholds == 1 else np.linspace(0, 1, num_thresholds).tolist()
        self._make_counts()

    def result(self) -> Tensor:
        with no_grad():
            enough = ops.greater_equal(self._share(*self._given), self.value)
            return ops.max(ops.where(enough, self._share(*self._wanted), 0.0))

    def get_config(self) -> dict[str, Any]:
        own = {"class_id": self.class_id, "num_thresholds": self.num_thresholds, self._argument: self.value}
        return {**super().get_config(), **own}


_PRECISION, _RECALL = ("true_positives", "false_positives"), ("true_positives", "false_negatives")
_SPECIFICITY = ("true_negatives", "false_positives")


class SensitivityAtSpecificity(_Best):
    """The best sensitivity where the specificity is at least ``specificity``, among evenly spaced thresholds."""

    _argument, _given, _wanted = "specificity", _SPECIFICITY, _RECALL

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(specificity, num_thresholds, class_id, name, dtype)


class SpecificityAtSensitivity(_Best):
    """The best specificity where the sensitivity is at least ``sensitivity``, among evenly spaced thresholds."""

    _argument, _given, _wanted = "sensitivity", _RECALL, _SPECIFICITY

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)


class PrecisionAtRecall(_Best):
    """The best precision where the recall is at least ``recall``, among evenly spaced thresholds."""

    _argument, _given, _wanted = "recall", _RECALL, _PRECISION

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(recall, num_thresholds, class_id, name, dtype)


class RecallAtPrecision(_Best):
    """The best recall where the precision is at least ``precision``, among evenly spaced thresholds."""

    _argument, _given, _wanted = "precision", _PRECISION, _RECALL

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(precision, num_thresholds, class_id, name, dtype)
