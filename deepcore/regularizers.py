"""Penalties on weights, added to the loss, by Keras's names."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepcore import ops
from deepcore.errors import explain_missing
from deepcore.registry import Configurable, Registry
from deepcore.tensor import Tensor

registry = Registry("regularizer", "deepcore.regularizers", callables=True)
_register = registry.register


class Regularizer(Configurable):
    """A function of one weight that gives a scalar penalty."""

    def __call__(self, x: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} must implement __call__(x).")


registry.base = Regularizer


def _factor(owner: Any, name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise ValueError(f"{type(owner).__name__}: {name} must be a number, finite and not negative; got {value!r}.")
    return float(value)


@_register("l1_l2")
class L1L2(Regularizer):
    """l1 * sum(|x|) + l2 * sum(x * x); None counts as zero. Zou and Hastie 2005."""

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0) -> None:
        self.l1 = _factor(self, "l1", 0.0 if l1 is None else l1)
        self.l2 = _factor(self, "l2", 0.0 if l2 is None else l2)

    def __call__(self, x: Tensor) -> Tensor:
        terms = []
        if self.l1:
            terms.append(self.l1 * ops.sum(ops.abs(x)))
        if self.l2:
            terms.append(self.l2 * ops.sum(ops.square(x)))
        if not terms:
            return Tensor(0.0, x.dtype, x.device)
        return terms[0] if len(terms) == 1 else terms[0] + terms[1]

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}


@_register("l1")
class L1(L1L2):
    """l1 * sum(|x|). Tibshirani 1996."""

    def __init__(self, l1: float | None = 0.01) -> None:
        super().__init__(l1=0.01 if l1 is None else l1)

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1}


@_register("l2")
class L2(L1L2):
    """l2 * sum(x * x). Hoerl and Kennard 1970."""

    def __init__(self, l2: float | None = 0.01) -> None:
        super().__init__(l2=0.01 if l2 is None else l2)

    def get_config(self) -> dict[str, Any]:
        return {"l2": self.l2}


@_register()
class OrthogonalRegularizer(Regularizer):
    """``factor`` times the mean magnitude of the cosines between each two rows, or columns, of a matrix.

    Args:
        factor: finite and not negative.
        mode: ``"rows"`` or ``"columns"``.

    Raises ``ValueError`` for other values, and for a weight that is no matrix. Brock et al. 2017.
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = _factor(self, "factor", factor)
        if mode not in ("rows", "columns"):
            raise ValueError(f"Invalid value for argument `mode`: it must be 'rows' or 'columns'; got {mode!r}.")
        self.mode = mode

    def __call__(self, x: Tensor) -> Tensor:
        if x.ndim != 2:
            raise ValueError(f"OrthogonalRegularizer: inputs must have rank 2; got the shape {tuple(x.shape)}.")
        vectors = ops.normalize(x if self.mode == "rows" else ops.transpose(x), 1)
        count = vectors.shape[0]
        cosines = ops.matmul(vectors, vectors, transpose_b=True)
        others = Tensor(1 - np.eye(count, dtype=x.dtype), device=x.device)
        pairs = count * (count - 1) / 2
        return ops.sum(ops.abs(cosines * others)) * (0.5 * self.factor / pairs)

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor, "mode": self.mode}


l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer


def get(identifier: Any) -> Any:
    """The regularizer of a name, a configuration or a class; any callable is one itself."""
    return registry.get(identifier)


def serialize(regularizer: Any) -> Any:
    """The configuration of a regularizer."""
    return registry.serialize(regularizer)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The regularizer of a configuration."""
    return registry.deserialize(config, custom_objects)


explain_missing(__name__)
