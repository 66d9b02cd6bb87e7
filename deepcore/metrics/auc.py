"""AUC: the area under a curve of answers at many thresholds."""

from __future__ import annotations

from typing import Any

from deepcore import ops
from deepcore.autograd import no_grad
from deepcore.losses.loss import EPSILON
from deepcore.metrics.confusion import COUNTS, count
from deepcore.metrics.metric import Metric
from deepcore.tensor import Tensor

_CURVES = ("ROC", "PR", "PRGAIN")
_SUMMATIONS = ("interpolation", "majoring", "minoring")


class AUC(Metric):
    """The area under the curve that thresholds draw, by a Riemann sum.

    Args:
        num_thresholds: how many, evenly spaced from 0 to 1.
        curve: ``"ROC"``, ``"PR"`` or ``"PRGAIN"``.
        summation_method: ``"interpolation"`` (between two thresholds; for PR that of Davis and Goadrich 2006),
            ``"majoring"`` or ``"minoring"`` (the higher or lower of two).
        name, dtype: see ``Metric``.
        thresholds: between 0 and 1, instead of ``num_thresholds``.
        multi_label: whether each of several labels has its own curve, whose areas are averaged.
        num_labels: how many, with ``multi_label``; by default as the first batch has.
        label_weights: of the labels.
        from_logits: whether predictions are logits.

    Raises ``ValueError`` for unknown names, fewer than two thresholds, and ``num_labels`` without ``multi_label``.
    """

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Any = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Any = None,
        from_logits: bool = False,
    ) -> None:
        if str(curve).upper() not in _CURVES:
            raise ValueError(f"Invalid AUC curve value: {curve!r}; it must be one of {', '.join(_CURVES)}.")
        if str(summation_method).lower() not in _SUMMATIONS:
            raise ValueError(
                f"Invalid AUC summation method value: {summation_method!r}; it must be one of {', '.join(_SUMMATIONS)}."
            )
        if thresholds is None and num_thresholds <= 1:
            raise ValueError(f"`num_thresholds` must be an integer > 1; got {num_thresholds!r}.")
        if num_labels and not multi_label:
            raise ValueError(f"AUC: num_labels is for multi_label=True; got num_labels={num_labels!r} without it.")
        super().__init__(dtype, name)
        self.curve, self.summation_method = curve.upper(), summation_method.lower()
        self._given = thresholds is not None
        inner = sorted(thresholds) if self._given else [i / (num_thresholds - 1) for i in range(1, num_thresholds - 1)]
        self.thresholds = [0.0 - EPSILON, *inner, 1.0 + EPSILON]
        self.num_thresholds = len(self.thresholds)
        self.multi_label, self.num_labels, self.from_logits = multi_label, num_labels, from_logits
        self.label_weights = label_weights
        self._built = False
        if not multi_label or num_labels:
            self._build(num_labels)

    def _build(self, labels: int | None) -> None:
        shape = (self.num_thresholds,) if labels is None else (self.num_thresholds, labels)
        for name in COUNTS:
            setattr(self, name, self.add_variable(shape, name=name))
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        with no_grad():
            prediction = ops.convert_to_tensor(y_pred)
            if not self._built:
                if prediction.ndim != 2:
                    raise ValueError(
                        f"AUC: predictions must be [examples, labels] with multi_label; got shape {prediction.shape}."
                    )
                self._build(prediction.shape[1])
            if self.from_logits:
                prediction = ops.sigmoid(prediction)
            weights = None if self.multi_label else self.label_weights
            found = count(
                y_true,
                prediction,
                self.thresholds,
                sample_weight,
                label_weights=weights,
                by_label=self.multi_label,
                dtype=self.dtype,
            )
            for name in COUNTS:
                getattr(self, name).assign_add(found[name])

    def result(self) -> Tensor:
        with no_grad():
            parts = self._interpolated() if (self.curve, self.summation_method) == ("PR", "interpolation") else None
            areas = ops.sum(self._riemann() if parts is None else parts, 0)
            if not self.multi_label or self.label_weights is None:
                return ops.mean(areas)
            weights = ops.convert_to_tensor(self.label_weights, self.dtype, like=areas)
            return ops.divide_no_nan(ops.sum(areas * weights), ops.sum(weights))

    def _riemann(self) -> Tensor:
        tp, fp, tn, fn = (getattr(self, name) for name in COUNTS)
        recall = ops.divide_no_nan(tp, tp + fn)
        if self.curve == "ROC":
            x, y = ops.divide_no_nan(fp, fp + tn), recall
        elif self.curve == "PR":
            x, y = recall, ops.divide_no_nan(tp, tp + fp)
        else:  # Flach and Kull 2015
            odds, none = ops.divide_no_nan(tp + fn, tn + fp), ops.equal(tp, 0)
            x = ops.relu(ops.where(none, 0.0, 1 - odds * ops.divide_no_nan(fn, tp)))
            y = ops.where(none, 1.0, 1 - odds * ops.divide_no_nan(fp, tp))
        if self.summation_method == "interpolation":
            heights = (y[:-1] + y[1:]) / 2
        else:
            heights = (ops.maximum if self.summation_method == "majoring" else ops.minimum)(y[:-1], y[1:])
        return (x[:-1] - x[1:]) * heights

    def _interpolated(self) -> Tensor:
        """Between two thresholds true positives grow in proportion to all positives, so precision bends."""
        tp, fp, _, fn = (getattr(self, name) for name in COUNTS)
        all_positive = tp + fp
        high, low = all_positive[:-1], all_positive[1:]
        gained = tp[:-1] - tp[1:]
        slope = ops.divide_no_nan(gained, ops.relu(high - low))
        both = ops.logical_and(ops.greater(high, 0), ops.greater(low, 0))
        ratio = ops.where(both, ops.divide_no_nan(high, low), 1.0)
        return ops.divide_no_nan(slope * (gained + (tp[1:] - slope * low) * ops.log(ratio)), tp[1:] + fn[1:])

    def get_config(self) -> dict[str, Any]:
        own = {
            name: getattr(self, name)
            for name in (
                "num_thresholds",
                "curve",
                "summation_method",
                "multi_label",
                "num_labels",
                "label_weights",
                "from_logits",
            )
        }
        return {**super().get_config(), **own, **({"thresholds": self.thresholds[1:-1]} if self._given else {})}
