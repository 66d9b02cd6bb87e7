"""Gradient descent, with and without momentum."""

from __future__ import annotations

from typing import Any

from deepcore.optimizers.optimizer import Arrays, Optimizer, share


class SGD(Optimizer):
    """w -= learning_rate * g; with momentum v = momentum * v - learning_rate * g and w += v.

    Args:
        learning_rate: a number or a schedule.
        momentum: from 0 to 1.
        nesterov: w += momentum * v - learning_rate * g instead. Sutskever et al. 2013.
        kwargs: see ``Optimizer``.
    """

    arguments = ("momentum", "nesterov")

    def __init__(self, learning_rate: Any = 0.01, momentum: float = 0.0, nesterov: bool = False, **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)
        if not isinstance(momentum, float):
            raise ValueError(f"momentum must be a float from 0 to 1; got {momentum!r} ({type(momentum).__name__}).")
        self.momentum = share("momentum", momentum, including_one=True)
        self.nesterov = nesterov
        self.slots = ("momentum",) if momentum else ()
        self.rule = "momentum_update" if momentum else "sgd_update"

    def rule_arguments(self, slots: dict[str, Arrays], learning_rate: float, step: int) -> tuple[Any, ...]:
        if self.momentum:
            return slots["momentum"], learning_rate, self.momentum, self.nesterov
        return (learning_rate,)
