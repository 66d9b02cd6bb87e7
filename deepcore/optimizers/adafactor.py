"""Adafactor: the mean squares of a matrix, kept as those of its rows and columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepcore import ops
from deepcore.optimizers.optimizer import Optimizer
from deepcore.tensor import Tensor
from deepcore.variable import Variable


class Adafactor(Optimizer):
    """w -= max(epsilon_2, rms(w)) * min(learning_rate, 1 / sqrt(step)) * u / max(1, rms(u) / clip_threshold), where
    u = g / sqrt(v), and v, of a weight of two axes or more, is the product of means over its last axis and over the one
    before. Shazeer and Stern 2018.

    Args:
        learning_rate: a number or a schedule.
        beta_2_decay: the means forget as 1 - step^beta_2_decay.
        epsilon_1: added to the square of the gradient.
        epsilon_2: the smallest scale of a weight.
        clip_threshold: of the root mean square of u.
        relative_step: has no effect beside the minimum above, as in Keras.
        kwargs: see ``Optimizer``.
    """

    arguments = ("beta_2_decay", "epsilon_1", "epsilon_2", "clip_threshold", "relative_step")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.beta_2_decay, self.epsilon_1, self.epsilon_2 = beta_2_decay, epsilon_1, epsilon_2
        self.clip_threshold, self.relative_step = clip_threshold, relative_step

    def build(self, variables: Sequence[Variable]) -> None:
        if self.built:
            return
        super().build(variables)
        # Keras has two variables of one integer for a weight that has no rows and columns, and so have its files.
        self._means = [self._means_of(v) for v in variables]

    def _means_of(self, weight: Variable) -> tuple[Variable, Variable, Variable]:
        shape, matrix = weight.shape, len(weight.shape) >= 2
        shapes = (shape[:-1], shape[:-2] + shape[-1:]) if matrix else ((), ())
        dtype = weight.dtype if matrix else "int32"
        rows, columns = (self.add_variable(s, 0.0, dtype, name=weight.name, device=weight.device) for s in shapes)
        return rows, columns, self.add_variable_from_reference(weight, "velocity")

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Any) -> None:
        rows, columns, v = self._means[self._get_variable_index(variable)]
        step = int(self.iterations) + 1
        rate = min(learning_rate, step**-0.5)
        share = step**self.beta_2_decay
        square = ops.square(gradient) + self.epsilon_1
        if len(variable.shape) >= 2:
            rows.assign((1 - share) * rows + share * ops.mean(square, axis=-1))
            columns.assign((1 - share) * columns + share * ops.mean(square, axis=-2))
            relative = rows / ops.mean(rows, axis=-1, keepdims=True)
            v.assign(ops.expand_dims(relative, -1) * ops.expand_dims(columns, -2))
        else:
            v.assign((1 - share) * v + share * square)
        change = gradient / ops.sqrt(v)
        change = change / ops.maximum(1.0, _rms(change) / self.clip_threshold)
        variable.assign_sub(ops.maximum(self.epsilon_2, _rms(variable)) * rate * change)


def _rms(x: Tensor) -> Tensor:
    return ops.sqrt(ops.mean(ops.square(x)))
