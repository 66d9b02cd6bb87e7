"""Loss: one number from targets and predictions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from deepcore import ops
from deepcore.absent import Explaining
from deepcore.config import dtype_of, floatx
from deepcore.errors import nearest
from deepcore.naming import given_name
from deepcore.registry import Configurable
from deepcore.structure import leaves, map_leaves
from deepcore.tensor import Tensor

EPSILON = 1e-7  # what keeps logarithms and quotients finite, as in Keras
REDUCTIONS = ("sum", "sum_over_batch_size", "mean", "mean_with_sample_weight", "none")


def align(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Both with one rank, where they differ by one axis of length one at the end."""
    if a.ndim == b.ndim + 1 and a.shape[-1] == 1:
        return (a, ops.expand_dims(b, -1)) if b.ndim == 1 else (ops.squeeze(a, -1), b)
    if b.ndim == a.ndim + 1 and b.shape[-1] == 1:
        return (ops.expand_dims(a, -1), b) if a.ndim == 1 else (a, ops.squeeze(b, -1))
    return a, b


def paired(y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
    """Targets and predictions as tensors of one floating dtype, that of the predictions, and one shape.

    Raises ``ValueError`` with both shapes if they do not match.
    """
    prediction = ops.convert_to_tensor(y_pred)
    if prediction.dtype.kind != "f":
        prediction = ops.cast(prediction, "float32")
    target = ops.cast(ops.convert_to_tensor(y_true, like=prediction), prediction.dtype)
    target, prediction = align(target, prediction)
    if target.shape != prediction.shape:
        raise ValueError(
            f"The targets have shape {target.shape}, predictions {prediction.shape}; they must have the same shape. "
            "Check the last layer's units, or the loss (the sparse_ losses take class numbers)."
        )
    return target, prediction


def masked_weight(sample_weight: Any, mask: Tensor, reduction: str | None) -> Tensor:
    """Weights that are zero where ``mask`` is, and for a mean are scaled so that it is one of the rest."""
    if reduction in ("mean", "sum_over_batch_size"):
        mask = mask * ops.divide_no_nan(float(mask.size), ops.sum(mask))
    if sample_weight is None:
        return mask
    weight = ops.cast(ops.convert_to_tensor(sample_weight, like=mask), mask.dtype)
    mask, weight = align(mask, weight)
    return mask * beside_examples(weight, mask)


def beside_examples(weight: Tensor, values: Tensor) -> Tensor:
    """Weights [examples] with further axes of one, so that each weighs all ``values`` [examples, ...] of its own."""
    if 0 < weight.ndim < values.ndim and weight.shape == values.shape[: weight.ndim]:
        return ops.reshape(weight, (*weight.shape, *[1] * (values.ndim - weight.ndim)))
    return weight


def reduce_values(values: Tensor, sample_weight: Any = None, reduction: str | None = "sum_over_batch_size") -> Tensor:
    """Weighted values as ``reduction`` says: their sum, their mean, or each of them."""
    weight = None
    if sample_weight is not None:
        weight = ops.cast(ops.convert_to_tensor(sample_weight, like=values), values.dtype)
        values, weight = align(values, weight)
        values = values * beside_examples(weight, values)
    if reduction in (None, "none") or values.shape in ((), (0,)):
        return values
    if reduction == "sum":
        return ops.sum(values)
    if weight is not None and reduction == "mean_with_sample_weight":
        return ops.divide_no_nan(ops.sum(values), ops.sum(weight))
    return ops.mean(values) if values.size else ops.sum(values)


class Loss(Explaining, Configurable):
    """The base of all losses. A loss of your own implements ``call(y_true, y_pred)``, one value an example.

    Args:
        name: of the loss; the class's name in snake case by default.
        reduction: ``"sum_over_batch_size"`` (or ``"mean"``), ``"sum"``, ``"mean_with_sample_weight"``, or ``"none"``
            or None for one value an example.
        dtype: in which it is computed; by default that of predictions that are a tensor, and ``config.floatx()`` of
            arrays.

    Raises ``ValueError`` for another reduction.
    """

    def __init__(
        self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None
    ) -> None:
        if reduction is not None and reduction not in REDUCTIONS:
            raise ValueError(
                f"Invalid value for argument `reduction`: it must be None or one of {', '.join(REDUCTIONS)}; "
                f"got {reduction!r}.{nearest(reduction, REDUCTIONS)}"
            )
        self.name = given_name(self, name)
        self.reduction = reduction
        self._dtype = None if dtype is None else dtype_of(getattr(dtype, "compute_dtype", dtype))

    @property
    def dtype(self) -> str:
        """The dtype that was asked for, or ``config.floatx()``."""
        return np.dtype(self._dtype or floatx()).name

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        """One value an example."""
        raise NotImplementedError(f"{type(self).__name__} must implement call(y_true, y_pred).")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """The reduced loss.

        Args:
            y_true: targets.
            y_pred: predictions. What their mask leaves out does not count: a mean is one of the rest.
            sample_weight: a number, or one for each example, or of a shape that broadcasts with the values of ``call``.
        """
        mask = getattr(y_pred, "mask", None)
        y_pred = self._convert(y_pred)
        values = self.call(self._convert(y_true, y_pred), y_pred)
        if values.mask is not None:
            mask = values.mask if mask is None else ops.logical_and(mask, values.mask)
        if mask is not None:
            mask = ops.convert_to_tensor(mask, values.dtype, like=values)
            sample_weight = masked_weight(sample_weight, mask, self.reduction)
        return reduce_values(values, sample_weight, self.reduction)

    def _convert(self, x: Any, like: Any = None) -> Any:
        """Tensors of what is given, in its nesting if it holds tensors or arrays, on the device of ``like``."""
        if isinstance(x, Tensor):
            return x if self._dtype is None else ops.cast(x, self._dtype)
        if isinstance(x, dict) or any(isinstance(leaf, Tensor | np.ndarray) for leaf in leaves(x) if leaf is not x):
            return map_leaves(self._convert, x)
        tensor = ops.convert_to_tensor(x, like=like if isinstance(like, Tensor) else None)
        wanted = self._dtype
        if wanted is None and tensor.dtype.kind == "f":
            wanted = np.dtype(floatx())  # NumPy's float64 is seldom meant; a tensor's is
        return tensor if wanted is None else ops.cast(tensor, wanted)

    def check_targets(self, y: np.ndarray[Any, Any], output_shape: tuple[Any, ...]) -> None:
        """Raises ``ValueError`` if the targets ``y`` cannot be compared with outputs of ``output_shape``."""

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "reduction": self.reduction}


class LossFunction(Loss):
    """A loss of a function ``fn(y_true, y_pred, **kwargs)`` that gives one value an example."""

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(getattr(fn, "__name__", None) if name is None else name, reduction, dtype)
        self.fn = fn
        self.kwargs = kwargs

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        if isinstance(y_true, Tensor) and isinstance(y_pred, Tensor):
            y_true, y_pred = align(y_true, y_pred)
        return self.fn(y_true, y_pred, **self.kwargs)

    def check_targets(self, y: np.ndarray[Any, Any], output_shape: tuple[Any, ...]) -> None:
        check = getattr(self.fn, "check_targets", None)
        if check is not None:
            check(y, output_shape)

    def get_config(self) -> dict[str, Any]:
        own = {"fn": self.fn} if type(self) is LossFunction else {}
        return {**super().get_config(), **own, **self.kwargs}


def checked_by(check: Callable[[np.ndarray[Any, Any], tuple[Any, ...]], None]) -> Callable[[Any], Any]:
    """Decorator: a loss function whose targets ``check(y, output_shape)`` looks at before training starts."""

    def attach(function: Any) -> Any:
        function.check_targets = check
        return function

    return attach


def check_same_shape(y: np.ndarray[Any, Any], output_shape: tuple[Any, ...]) -> None:
    """Raises ``ValueError`` unless y [batch, ...] fits an output of ``output_shape``, but for a last axis of one."""
    sizes, outputs = list(y.shape[1:]), list(output_shape[1:])
    if len(sizes) + 1 == len(outputs) and outputs[-1] == 1:
        sizes.append(1)
    elif len(outputs) + 1 == len(sizes) and sizes[-1] == 1:
        outputs.append(1)
    if len(sizes) != len(outputs) or any(n is not None and m != n for m, n in zip(sizes, outputs, strict=True)):
        raise ValueError(
            f"The targets have shape {y.shape}, but the model's output has shape {tuple(output_shape)}; all axes but "
            "the first must be the same. Check the last layer's units, or choose another loss: for class numbers "
            "'sparse_categorical_crossentropy', for one-hot rows 'categorical_crossentropy'."
        )
