"""Gradient descent with a step size for each element."""

from __future__ import annotations

from typing import Any

from deepcore.optimizers.optimizer import Arrays, Optimizer, share


class Adagrad(Optimizer):
    """a += g^2, w -= learning_rate * g / sqrt(a + epsilon). Duchi et al. 2011.

    Args:
        learning_rate: a number or a schedule.
        initial_accumulator_value: what a starts with; not negative.
        epsilon: keeps the root away from zero.
        kwargs: see ``Optimizer``.
    """

    slots = ("accumulator",)
    rule = "adagrad_update"
    arguments = ("initial_accumulator_value", "epsilon")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        if not initial_accumulator_value >= 0:
            raise ValueError(f"initial_accumulator_value must not be negative; got {initial_accumulator_value!r}.")
        self.initial_accumulator_value, self.epsilon = initial_accumulator_value, epsilon

    def initial_value(self, slot: str) -> float:
        return self.initial_accumulator_value

    def rule_arguments(self, slots: dict[str, Arrays], learning_rate: float, step: int) -> tuple[Any, ...]:
        return slots["accumulator"], learning_rate, self.epsilon


class RMSprop(Optimizer):
    """v = rho * v + (1 - rho) * g^2, w -= learning_rate * g / sqrt(v + epsilon). Tieleman and Hinton 2012.

    Args:
        learning_rate: a number or a schedule.
        rho: how slowly the mean square forgets, from 0 to 1.
        momentum: of the steps, from 0 to 1.
        epsilon: keeps the root away from zero.
        centered: divide by the standard deviation of the gradient instead of its root mean square. Graves 2013.
        kwargs: see ``Optimizer``.
    """

    rule = "rmsprop_update"
    arguments = ("rho", "momentum", "epsilon", "centered")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.rho, self.momentum = share("rho", rho), share("momentum", momentum, including_one=True)
        self.epsilon, self.centered = epsilon, centered
        self.slots = (
            "velocity",
            *(("momentum",) if momentum else ()),
            *(("average_gradient",) if centered else ()),
        )

    def rule_arguments(self, slots: dict[str, Arrays], learning_rate: float, step: int) -> tuple[Any, ...]:
        states = slots["velocity"], slots.get("average_gradient"), slots.get("momentum")
        return *states, learning_rate, self.rho, self.momentum, self.epsilon


class Adadelta(Optimizer):
    """a = rho * a + (1 - rho) * g^2, step = g * sqrt(d + epsilon) / sqrt(a + epsilon),
    d = rho * d + (1 - rho) * step^2, w -= learning_rate * step. Zeiler 2012.

    Args:
        learning_rate: a number or a schedule; 1.0 is the paper's.
        rho: how slowly a and d forget.
        epsilon: keeps the roots away from zero.
        kwargs: see ``Optimizer``.
    """

    slots = ("accumulated_grad", "accumulated_delta_var")
    rule = "adadelta_update"
    slots_by_weight = True
    arguments = ("rho", "epsilon")

    def __init__(self, learning_rate: Any = 0.001, rho: float = 0.95, epsilon: float = 1e-7, **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)
        self.rho, self.epsilon = rho, epsilon

    def rule_arguments(self, slots: dict[str, Arrays], learning_rate: float, step: int) -> tuple[Any, ...]:
        return slots["accumulated_grad"], slots["accumulated_delta_var"], learning_rate, self.rho, self.epsilon


class Ftrl(Optimizer):
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
    rule = "ftrl_update"
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

    def rule_arguments(self, slots: dict[str, Arrays], learning_rate: float, step: int) -> tuple[Any, ...]:
        return (
            slots["accumulator"],
            slots["linear"],
            learning_rate,
            *(getattr(self, name) for name in ("learning_rate_power", *self.arguments[2:])),
        )
