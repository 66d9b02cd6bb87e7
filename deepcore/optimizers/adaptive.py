"""Gradient descent with a step size for each element."""

from __future__ import annotations

from typing import Any

from deepcore.backend.contract import adam_rate
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

    def update(
        self,
        backend: Any,
        parameters: Arrays,
        gradients: Arrays,
        slots: dict[str, Arrays],
        learning_rate: float,
        step: int,
    ) -> None:
        backend.adagrad_update(parameters, gradients, slots["accumulator"], learning_rate, self.epsilon)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "initial_accumulator_value": self.initial_accumulator_value,
            "epsilon": self.epsilon,
        }


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

    def update(
        self,
        backend: Any,
        parameters: Arrays,
        gradients: Arrays,
        slots: dict[str, Arrays],
        learning_rate: float,
        step: int,
    ) -> None:
        backend.rmsprop_update(
            parameters,
            gradients,
            slots["velocity"],
            slots.get("average_gradient"),
            slots.get("momentum"),
            learning_rate,
            self.rho,
            self.momentum,
            self.epsilon,
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rho": self.rho,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "centered": self.centered,
        }


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

    def update(
        self,
        backend: Any,
        parameters: Arrays,
        gradients: Arrays,
        slots: dict[str, Arrays],
        learning_rate: float,
        step: int,
    ) -> None:
        if self.amsgrad:
            alpha = adam_rate(learning_rate, self.beta_1, self.beta_2, step)
            states = (slots["momentum"], slots["velocity"], slots["velocity_hat"])
            for p, g, m, v, largest in zip(parameters, gradients, *states, strict=True):
                m[...] += (1 - self.beta_1) * (g - m)
                v[...] += (1 - self.beta_2) * (g * g - v)
                largest[...] = backend.xp.maximum(largest, v)
                p[...] -= alpha * m / (backend.xp.sqrt(largest) + self.epsilon)
            return
        backend.adam_update(
            parameters,
            gradients,
            slots["momentum"],
            slots["velocity"],
            learning_rate,
            self.beta_1,
            self.beta_2,
            self.epsilon,
            step,
        )


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
