"""Rules that are rare enough to be a few expressions of whole arrays, an array after the other, instead of a kernel."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepcore.backend import Backend
from deepcore.optimizers.optimizer import Arrays, Optimizer


class ArrayRule(Optimizer):
    """An optimizer that says how one array changes: ``change``."""

    def update(
        self,
        backend: Backend,
        parameters: Arrays,
        gradients: Arrays,
        slots: dict[str, Arrays],
        learning_rate: float,
        step: int,
    ) -> None:
        for i, (p, g) in enumerate(zip(parameters, gradients, strict=True)):
            self.change(backend.xp, p, g, *(slots[slot][i] for slot in self.slots), rate=learning_rate, step=step)

    def change(self, xp: Any, p: Any, g: Any, *slots: Any, rate: float, step: int) -> None:
        """Changes the array ``p`` and its slots in place; ``xp`` is the namespace of the arrays."""
        raise NotImplementedError(f"{type(self).__name__} must implement change(...).")


class Adadelta(ArrayRule):
    """a = rho * a + (1 - rho) * g^2, step = g * sqrt(d + epsilon) / sqrt(a + epsilon),
    d = rho * d + (1 - rho) * step^2, w -= learning_rate * step. Zeiler 2012.

    Args:
        learning_rate: a number or a schedule; 1.0 is the paper's.
        rho: how slowly a and d forget.
        epsilon: keeps the roots away from zero.
        kwargs: see ``Optimizer``.
    """

    slots = ("accumulated_grad", "accumulated_delta_var")
    slots_by_weight = True
    arguments = ("rho", "epsilon")

    def __init__(self, learning_rate: Any = 0.001, rho: float = 0.95, epsilon: float = 1e-7, **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)
        self.rho, self.epsilon = rho, epsilon

    def change(self, xp: Any, p: Any, g: Any, *slots: Any, rate: float, step: int) -> None:
        squares, changes = slots
        squares[...] = self.rho * squares + (1 - self.rho) * g * g
        change = xp.sqrt(changes + self.epsilon) * g / xp.sqrt(squares + self.epsilon)
        changes[...] = self.rho * changes + (1 - self.rho) * change * change
        p[...] -= rate * change


class Adamax(ArrayRule):
    """m, a moving mean of g, over u = max(beta_2 * u, |g|). Kingma and Ba 2015, section 7.

    Args:
        learning_rate: a number or a schedule.
        beta_1, beta_2: how slowly m and u forget.
        epsilon: keeps the divisor away from zero.
        kwargs: see ``Optimizer``.
    """

    slots = ("momentum", "norm")
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

    def change(self, xp: Any, p: Any, g: Any, *slots: Any, rate: float, step: int) -> None:
        m, u = slots
        m[...] += (1 - self.beta_1) * (g - m)
        u[...] = xp.maximum(self.beta_2 * u, xp.abs(g))
        p[...] -= rate / (1 - self.beta_1**step) * m / (u + self.epsilon)


class Nadam(Adamax):
    """Adam with Nesterov's momentum, whose factor grows as beta_1 * (1 - 0.96^step / 2). Dozat 2016.

    Args:
        learning_rate: a number or a schedule.
        beta_1, beta_2: how slowly the moments forget.
        epsilon: keeps the divisor away from zero.
        kwargs: see ``Optimizer``.
    """

    slots = ("momentum", "velocity")
    extra_counters = ("variable",)

    def update(
        self,
        backend: Backend,
        parameters: Arrays,
        gradients: Arrays,
        slots: dict[str, Arrays],
        learning_rate: float,
        step: int,
    ) -> None:
        (product,) = self._counters
        product.assign(np.float64(float(product) * self._factor(step)))
        super().update(backend, parameters, gradients, slots, learning_rate, step)

    def _factor(self, step: int) -> float:
        return self.beta_1 * (1 - 0.5 * 0.96**step)

    def change(self, xp: Any, p: Any, g: Any, *slots: Any, rate: float, step: int) -> None:
        m, v = slots
        now, following, product = self._factor(step), self._factor(step + 1), float(self._counters[0])
        m[...] += (1 - self.beta_1) * (g - m)
        v[...] += (1 - self.beta_2) * (g * g - v)
        mean = following / (1 - product * following) * m + (1 - now) / (1 - product) * g
        p[...] -= rate * mean / (xp.sqrt(v / (1 - self.beta_2**step)) + self.epsilon)


class Lion(ArrayRule):
    """w -= learning_rate * sign(beta_1 * m + (1 - beta_1) * g), then m = beta_2 * m + (1 - beta_2) * g. Chen et al.
    2023.

    Args:
        learning_rate: a number or a schedule.
        beta_1: the share of m in the step, above 0 and at most 1, else ``ValueError``.
        beta_2: how slowly m forgets.
        kwargs: see ``Optimizer``.
    """

    slots = ("momentum",)
    arguments = ("beta_1", "beta_2")

    def __init__(self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.99, **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)
        if not 0 < beta_1 <= 1:
            raise ValueError(f"beta_1 must be above 0 and at most 1, or only signs are left; got beta_1={beta_1!r}.")
        self.beta_1, self.beta_2 = beta_1, beta_2

    def change(self, xp: Any, p: Any, g: Any, *slots: Any, rate: float, step: int) -> None:
        (m,) = slots
        p[...] -= rate * xp.sign(self.beta_1 * m + (1 - self.beta_1) * g)
        m[...] = self.beta_2 * m + (1 - self.beta_2) * g


class Ftrl(ArrayRule):
    """Follow the regularized leader. McMahan et al. 2013, "Ad click prediction: a view from the trenches".

    Args:
        learning_rate: a number or a schedule.
        learning_rate_power: how the rate falls with the sum of squares; not positive.
        initial_accumulator_value: what the sum of squares starts with; not negative.
        l1_regularization_strength, l2_regularization_strength: of the weights; not negative.
        l2_shrinkage_regularization_strength: of the gradient only; not negative.
        beta: the paper's.
        kwargs: see ``Optimizer``.

    Raises ``ValueError`` for what is out of these ranges.
    """

    slots = ("accumulator", "linear")
    slots_by_weight = True
    arguments = (
        "learning_rate_power",
        "initial_accumulator_value",
        "l1_regularization_strength",
        "l2_regularization_strength",
        "l2_shrinkage_regularization_strength",
        "beta",
    )

    def __init__(
        self,
        learning_rate: Any = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.learning_rate_power, self.beta = learning_rate_power, beta
        self.initial_accumulator_value = initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        if learning_rate_power > 0:
            raise ValueError(f"learning_rate_power must not be positive; got {learning_rate_power!r}.")
        for name in self.arguments[1:-1]:
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative; got {name}={getattr(self, name)!r}.")

    def initial_value(self, slot: str) -> float:
        return self.initial_accumulator_value if slot == "accumulator" else 0.0

    def change(self, xp: Any, p: Any, g: Any, *slots: Any, rate: float, step: int) -> None:
        total, linear = slots
        power, limit = -self.learning_rate_power, self.l1_regularization_strength
        new = total + g * g
        grown = new**power
        shrunk = g + 2 * self.l2_shrinkage_regularization_strength * p
        linear[...] += shrunk - (grown - total**power) / rate * p
        divisor = grown / rate + 2 * (self.l2_regularization_strength + self.beta / (2 * rate))
        p[...] = (xp.clip(linear, -limit, limit) - linear) / divisor
        total[...] = new
