"""Metric: a number that is gathered over batches, kept on the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from deepcore import ops
from deepcore.autograd import no_grad
from deepcore.losses.loss import align, masked_weight
from deepcore.naming import snake_case, unique_name
from deepcore.registry import Configurable
from deepcore.tensor import FLOATX, Tensor
from deepcore.variable import Variable


class Metric(Configurable):
    """The base of all metrics. A metric of your own makes its sums with ``add_variable``, adds to them in
    ``update_state`` and implements ``result``.

    Args:
        dtype: of the sums, float32 by default.
        name: the class's name in snake case by default.
    """

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        self.name = unique_name(snake_case(type(self).__name__)) if name is None else name
        self.dtype = FLOATX if dtype is None else dtype
        self.variables: list[Variable] = []

    def add_variable(
        self, shape: Sequence[int] = (), initializer: Any = "zeros", dtype: Any = None, name: str | None = None
    ) -> Variable:
        """Makes a sum of this metric."""
        variable = Variable(initializer, tuple(shape), dtype or self.dtype, trainable=False, name=name)
        self.variables.append(variable)
        return variable

    add_weight = add_variable

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Adds a batch."""
        raise NotImplementedError(f"{type(self).__name__} must implement update_state(y_true, y_pred, sample_weight).")

    def result(self) -> Tensor:
        """The number, a scalar on the device."""
        raise NotImplementedError(f"{type(self).__name__} must implement result().")

    def reset_state(self) -> None:
        """Forgets all batches."""
        for variable in self.variables:
            variable.assign(ops.zeros_like(variable))

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        """Adds a batch and gives the number so far."""
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def samplewise(values: Any, sample_weight: Any, dtype: Any) -> tuple[Tensor, Tensor | None]:
    """Values averaged to one an example and weighted, and the weights; as Keras's metrics see them."""
    values = ops.cast(ops.convert_to_tensor(values), dtype)
    weight = None
    if sample_weight is not None:
        weight = ops.cast(ops.convert_to_tensor(sample_weight, like=values), dtype)
        values, weight = align(values, weight)
        if values.ndim > weight.ndim:
            values = ops.mean(values, tuple(range(weight.ndim, values.ndim)))
        values = values * weight
        if values.ndim > 1:
            weight = ops.mean(ops.broadcast_to(weight, values.shape), tuple(range(1, values.ndim)))
    if values.ndim > 1:
        values = ops.mean(values, tuple(range(1, values.ndim)))
    return values, weight


class Mean(Metric):
    """The mean of all values given.

    >>> mean = Mean()
    >>> mean.update_state([1.0, 3.0])
    >>> mean.update_state([5.0])
    >>> float(mean.result())
    3.0
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.total = self.add_variable(name="total")
        self.count = self.add_variable(name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        with no_grad():
            each, weight = samplewise(values, sample_weight, self.dtype)
            self.total.assign_add(ops.sum(each))
            if weight is not None:
                self.count.assign_add(ops.sum(weight))
            else:
                self.count.assign_add(each.shape[0] if each.ndim else 1)

    def result(self) -> Tensor:
        with no_grad():
            return self.total / ops.where(ops.equal(self.count, 0), 1.0, self.count)


class Sum(Metric):
    """The sum of all values given."""

    def __init__(self, name: str | None = "sum", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.total = self.add_variable(name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        with no_grad():
            self.total.assign_add(ops.sum(samplewise(values, sample_weight, self.dtype)[0]))

    def result(self) -> Tensor:
        return self.total.detach()


class MeanMetricWrapper(Mean):
    """The mean over all examples of ``fn(y_true, y_pred, **kwargs)``."""

    def __init__(self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(getattr(fn, "__name__", None) if name is None else name, dtype)
        self.fn = fn
        self.kwargs = kwargs

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        mask = getattr(y_pred, "mask", None)
        with no_grad():
            if mask is not None:
                sample_weight = masked_weight(sample_weight, ops.cast(mask, self.dtype), "sum")
            super().update_state(self.fn(y_true, y_pred, **self.kwargs), sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.kwargs}
