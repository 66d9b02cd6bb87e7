"""Rows of a table that learn."""

from __future__ import annotations

import warnings
from typing import Any

from deepcore import ops
from deepcore.layers.arguments import positive_int
from deepcore.layers.input_spec import InputSpec
from deepcore.layers.parametric import ParametricLayer, arguments_of
from deepcore.tensor import Tensor


class Embedding(ParametricLayer):
    """A row of a table for each number: [...] -> [..., output_dim].

    Args:
        input_dim: how many numbers there are; the inputs are from 0 to ``input_dim`` - 1.
        output_dim: size of a row.
        embeddings_initializer, embeddings_regularizer, embeddings_constraint: of the table.
        mask_zero: whether 0 stands for nothing, so that the output has a mask.
        weights: the table [input_dim, output_dim], if there is one already.

    Weight embeddings [input_dim, output_dim]. Raises ``ValueError`` for sizes that are not positive integers, and, in
    a call on the CPU, for numbers out of range. Bengio et al. 2003.
    """

    _config: tuple[str, ...] = ("input_dim", "output_dim", "mask_zero")
    input_spec = InputSpec()

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        **kwargs: Any,
    ) -> None:
        if kwargs.pop("input_length", None) is not None:
            warnings.warn("Embedding does not need input_length any more; leave it out.", stacklevel=2)
        super().__init__(**arguments_of(locals(), *self._config, "weights"))
        self.input_dim = positive_int("input_dim", input_dim)
        self.output_dim = positive_int("output_dim", output_dim)
        self.mask_zero = bool(mask_zero)
        self.supports_masking = self.mask_zero
        self.autocast = False
        if weights is not None:
            self.build()
            self.set_weights(weights if isinstance(weights, list) and len(weights) == 1 else [weights])

    def build(self, input_shape: Any = None) -> None:
        if not self.built:
            self.embeddings = self.weight("embeddings", (self.input_dim, self.output_dim))

    def call(self, x: Tensor) -> Tensor:
        return ops.embedding(self.embeddings, x if x.dtype.name in ("int32", "int64") else ops.cast(x, "int32"))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return ops.not_equal(inputs, 0) if self.mask_zero else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape, self.output_dim)
