"""Metric: a number that is gathered over batches, kept on the device."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from deepcore import ops, serialization
from deepcore.absent import Explaining
from deepcore.autograd import no_grad
from deepcore.config import dtype_of
from deepcore.losses.loss import align, masked_weight
from deepcore.naming import given_name
from deepcore.registry import Configurable
from deepcore.structure import leaves
from deepcore.tensor import FLOATX, Tensor
from deepcore.variable import Variable


class Metric(Explaining, Configurable):
    """The base of all metrics. A metric of your own makes its sums with ``add_variable``, adds to them in
    ``update_state`` and implements ``result``.

    Args:
        dtype: of the sums, float32 by default.
        name: the class's name in snake case by default.
    """

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        self.name = given_name(self, name)
        self._dtype = dtype_of(FLOATX if dtype is None else getattr(dtype, "compute_dtype", dtype))
        self._variables: list[Variable] = []

    @property
    def dtype(self) -> str:
        """The name of the dtype of the sums."""
        return self._dtype.name

    @property
    def variables(self) -> list[Variable]:
        """The sums of this metric, and those of the metrics that it keeps as attributes, also in lists and the like."""
        found = {id(variable): variable for variable in self._sums()}
        for part in (part for value in vars(self).values() for part in leaves(value)):
            inner = part.variables if isinstance(part, Metric) else [part] if isinstance(part, Variable) else []
            found.update((id(variable), variable) for variable in inner)
        return list(found.values())

    def _sums(self) -> list[Variable]:
        try:
            return self._variables
        except AttributeError:
            raise RuntimeError(
                f"{type(self).__name__}.__init__ must call super().__init__() before anything else."
            ) from None

    def add_variable(
        self,
        shape: Sequence[int] | None = None,
        initializer: Any = None,
        dtype: Any = None,
        aggregation: str | None = "sum",
        name: str | None = None,
    ) -> Variable:
        """Makes a sum of this metric; ``aggregation`` is accepted as Keras has it."""
        start = "zeros" if initializer is None else initializer
        variable = Variable(start, tuple(shape or ()), dtype or self.dtype, trainable=False, name=name)
        self._sums().append(variable)
        return variable

    def add_weight(
        self, shape: Sequence[int] | None = None, initializer: Any = None, dtype: Any = None, name: str | None = None
    ) -> Variable:
        """``add_variable`` by its other name."""
        return self.add_variable(shape, initializer, dtype, name=name)

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
        return {"name": self.name, "dtype": self.dtype}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def samplewise(
    values: Any, sample_weight: Any, dtype: Any, reduce: Callable[..., Tensor] = ops.mean
) -> tuple[Tensor, Tensor | None]:
    """Values reduced to one an example and weighted, and the weights; as Keras's metrics see them."""
    mask = getattr(values, "mask", None)
    values = ops.cast(ops.convert_to_tensor(values), dtype)
    weight = None
    if sample_weight is not None:
        weight = ops.cast(ops.convert_to_tensor(sample_weight, like=values), dtype)
        if mask is not None:
            weight = masked_weight(weight, ops.cast(mask, dtype), "sum")
        values, weight = align(values, weight)
        if values.ndim > weight.ndim:
            values = reduce(values, tuple(range(weight.ndim, values.ndim)))
        weight = ops.broadcast_to(weight, values.shape)
        values = values * weight
        if weight.ndim > 1:
            weight = reduce(weight, tuple(range(1, weight.ndim)))
    if values.ndim > 1:
        values = reduce(values, tuple(range(1, values.ndim)))
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
        if type(sample_weight) is float and isinstance(values, Tensor) and values.shape == () and values.mask is None:
            # The mean of a batch, of so many examples: once a step, for which the general way is long.
            mean = values if values.dtype == self._dtype else ops.cast(values.detach(), self._dtype)
            total = mean.device.run(operator.mul, mean._array, self._dtype.type(sample_weight))
            self.total.assign_add(Tensor.wrap(total, mean.device))
            self.count.assign_add(sample_weight)
            return
        with no_grad():
            each, weight = samplewise(values, sample_weight, self.dtype)
            self.total.assign_add(ops.sum(each) if each.ndim else each)
            if weight is not None:
                self.count.assign_add(ops.sum(weight) if weight.ndim else weight)
            else:
                self.count.assign_add(each.shape[0] if each.ndim else 1)

    def result(self) -> Tensor:
        with no_grad():
            return ops.divide_no_nan(self.total, self.count)


class Sum(Metric):
    """The sum of all values given."""

    def __init__(self, name: str | None = "sum", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.total = self.add_variable(name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        with no_grad():
            self.total.assign_add(ops.sum(samplewise(values, sample_weight, self.dtype, ops.sum)[0]))

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
        own = {"fn": self.fn} if type(self) is MeanMetricWrapper else {}
        return {**super().get_config(), **own, **self.kwargs}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The metric of ``get_config``'s dictionary, in which ``fn`` may be data that names a function."""
        fn = config.get("fn")
        return cls(**{**config, "fn": serialization.deserialize(fn)} if isinstance(fn, dict) else config)
