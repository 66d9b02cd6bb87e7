"""Adam and its relatives: steps along a moving mean of the gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deepcore import ops
from deepcore.backend.updates import nadam_factor
from deepcore.device import CPU
from deepcore.optimizers.optimizer import Arrays, Optimizer, share
from deepcore.tensor import Tensor
from deepcore.variable import Variable


class Adam(Optimizer):
    """m and v, moving means of g and g^2, without their bias: w -= learning_rate * m / (sqrt(v) + epsilon).

    Args:
        learning_rate: a number or a schedule.
        beta_1, beta_2: how slowly m and v forget, from 0 to 1.
        epsilon: keeps the divisor away from zero; Kingma and Ba's "epsilon hat", as in Keras.
        amsgrad: divide by the root of the largest v so far. Reddi et al. 2018.
        kwargs: see ``Optimizer``.

    Kingma and Ba 2015.
    """

    slots = ("momentum", "velocity")
    slots_by_weight = True
    rule = "adam_update"
    arguments = ("beta_1", "beta_2", "epsilon", "amsgrad")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.beta_1, self.beta_2, self.epsilon = share("beta_1", beta_1), share("beta_2", beta_2), epsilon
        self.amsgrad = amsgrad
        if amsgrad:
            self.late_slots = ("velocity_hat",)

    def rule_arguments(self, slots: dict[str, Arrays], learning_rate: float, step: int) -> tuple[Any, ...]:
        numbers = learning_rate, self.beta_1, self.beta_2, self.epsilon, step
        return slots["momentum"], slots["velocity"], *numbers, slots.get("velocity_hat")


class AdamW(Adam):
    """Adam with weight decay. Loshchilov and Hutter 2019."""

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **kwargs: Any,
    ) -> None:
        if weight_decay is None:
            raise ValueError("AdamW needs a weight_decay; got None. Adam has none.")
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **kwargs)


class Adamax(Optimizer):
    """m, a moving mean of g, over u = max(beta_2 * u, |g|). Kingma and Ba 2015, section 7.

    Args:
        learning_rate: a number or a schedule.
        beta_1, beta_2: how slowly m and u forget.
        epsilon: keeps the divisor away from zero.
        kwargs: see ``Optimizer``.
    """

    slots = ("momentum", "norm")
    rule = "adamax_update"
    slots_by_weight = True
    arguments = ("beta_1", "beta_2", "epsilon")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def rule_arguments(self, slots: dict[str, Arrays], learning_rate: float, step: int) -> tuple[Any, ...]:
        return slots["momentum"], slots["norm"], learning_rate, self.beta_1, self.beta_2, self.epsilon, step


class Nadam(Adamax):
    """Adam with Nesterov's momentum, whose factor grows as beta_1 * (1 - 0.96^step / 2). Dozat 2016.

    Args:
        learning_rate: a number or a schedule.
        beta_1, beta_2: how slowly the moments forget.
        epsilon: keeps the divisor away from zero.
        kwargs: see ``Optimizer``.
    """

    slots = ("momentum", "velocity")
    rule = "nadam_update"

    def build(self, variables: Sequence[Variable]) -> None:
        if not self.built:
            super().build(variables)
            self._u_product = self.add_variable(
                (), 1.0, variables[0].dtype if variables else None, name="variable", device=CPU
            )

    def rule_arguments(self, slots: dict[str, Arrays], learning_rate: float, step: int) -> tuple[Any, ...]:
        product = float(self._u_product) * nadam_factor(self.beta_1, step)
        self._u_product.assign(np.float64(product))
        numbers = learning_rate, self.beta_1, self.beta_2, self.epsilon, step, product
        return slots["momentum"], slots["velocity"], *numbers


class Lamb(Optimizer):
    """Adam's step, as long as the weight where neither is zero: w -= learning_rate * |w| / |step| * step. You et al.
    2020.

    Args:
        learning_rate: a number or a schedule.
        beta_1, beta_2: how slowly the moments forget.
        epsilon: keeps the divisor away from zero.
        kwargs: see ``Optimizer``.
    """

    slots = ("momentum", "velocity")
    slots_by_weight = True
    arguments = ("beta_1", "beta_2", "epsilon")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Any) -> None:
        m, v = (self._slots[slot][self._get_variable_index(variable)] for slot in self.slots)
        done = int(self.iterations) + 1
        m.assign_add((gradient - m) * (1 - self.beta_1))
        v.assign_add((ops.square(gradient) - v) * (1 - self.beta_2))
        step = m / (1 - self.beta_1**done) / (ops.sqrt(v / (1 - self.beta_2**done)) + self.epsilon)
        weight, length = ops.sqrt(ops.sum(ops.square(variable))), ops.sqrt(ops.sum(ops.square(step)))
        # Where either is zero the ratio is that of 1 to 1.
        both = ops.logical_and(weight > 0, length > 0)
        ratio = ops.where(both, weight, 1.0) / ops.where(both, length, 1.0)
        variable.assign_sub(ratio * learning_rate * step)


class Lion(Optimizer):
    """w -= learning_rate * sign(beta_1 * m + (1 - beta_1) * g), then m = beta_2 * m + (1 - beta_2) * g. Chen et al.
    2023.

    Args:
        learning_rate: a number or a schedule.
        beta_1: the share of m in the step, above 0 and at most 1, else ``ValueError``.
        beta_2: how slowly m forgets.
        kwargs: see ``Optimizer``.
    """

    slots = ("momentum",)
    rule = "lion_update"
    arguments = ("beta_1", "beta_2")

    def __init__(self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.99, **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)
        if not 0 < beta_1 <= 1:
            raise ValueError(f"beta_1 must be above 0 and at most 1, or only signs are left; got beta_1={beta_1!r}.")
        self.beta_1, self.beta_2 = beta_1, beta_2

    def rule_arguments(self, slots: dict[str, Arrays], learning_rate: float, step: int) -> tuple[Any, ...]:
        return slots["momentum"], learning_rate, self.beta_1, self.beta_2
