"""Learning rates that follow the step, by Keras's names; ours is ``StepDecay``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from deepcore.device import CPU
from deepcore.errors import explain_missing
from deepcore.registry import Configurable, Registry
from deepcore.tensor import Tensor


class LearningRateSchedule(Configurable):
    """The base of schedules: implement ``__call__(step)`` with the step from 0, and ``get_config``."""

    def __call__(self, step: Any) -> Any:
        raise NotImplementedError(f"The learning rate schedule {type(self).__name__!r} must implement __call__(step).")

    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError(
            f"The learning rate schedule {type(self).__name__!r} must implement get_config() to be saved."
        )


class _Formula(LearningRateSchedule):
    """A schedule whose arguments are attributes of the same names: ``arguments``, in the order of the constructor."""

    arguments: tuple[str, ...] = ()

    def rate(self, step: float) -> float:
        """The learning rate of a step."""
        raise NotImplementedError(f"{type(self).__name__} must implement rate(step).")

    def __call__(self, step: Any) -> Tensor:
        """The learning rate of a step, from 0: a float32 scalar on the CPU."""
        return Tensor(np.float32(self.rate(float(step))), device=CPU)

    def get_config(self) -> dict[str, Any]:
        return {argument: getattr(self, argument) for argument in self.arguments}


def _positive(name: str, steps: float) -> float:
    if not steps > 0:
        raise ValueError(f"{name} must be positive: a number of steps; got {name}={steps!r}.")
    return steps


class ExponentialDecay(_Formula):
    """``initial_learning_rate * decay_rate ** (step / decay_steps)``; with ``staircase`` the quotient is rounded down.

    Raises ``ValueError`` unless ``decay_steps`` is positive.

    >>> float(ExponentialDecay(0.5, decay_steps=10, decay_rate=0.5)(20))
    0.125
    """

    arguments = ("initial_learning_rate", "decay_steps", "decay_rate", "staircase", "name")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        self.initial_learning_rate, self.decay_steps = initial_learning_rate, _positive("decay_steps", decay_steps)
        self.decay_rate, self.staircase, self.name = decay_rate, staircase, name

    def rate(self, step: float) -> float:
        periods = step / self.decay_steps
        return self.initial_learning_rate * self.decay_rate ** (math.floor(periods) if self.staircase else periods)


class InverseTimeDecay(ExponentialDecay):
    """``initial_learning_rate / (1 + decay_rate * step / decay_steps)``; with ``staircase`` the quotient of the steps
    is rounded down. Raises ``ValueError`` unless ``decay_steps`` is positive."""

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        super().__init__(initial_learning_rate, decay_steps, decay_rate, staircase, name)

    def rate(self, step: float) -> float:
        periods = step / self.decay_steps
        return self.initial_learning_rate / (1 + self.decay_rate * (math.floor(periods) if self.staircase else periods))


class PiecewiseConstantDecay(_Formula):
    """``values[i]`` up to and including step ``boundaries[i]``, the last value after all boundaries.

    Raises ``ValueError`` unless there is one value more than boundaries.
    """

    arguments = ("boundaries", "values", "name")

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant") -> None:
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                f"values must have one element more than boundaries; got {len(values)} values, {values!r}, for "
                f"{len(boundaries)} boundaries, {boundaries!r}."
            )
        self.boundaries, self.values, self.name = boundaries, values, name

    def rate(self, step: float) -> float:
        return self.values[sum(step > boundary for boundary in self.boundaries)]


class PolynomialDecay(_Formula):
    """From the initial to the end rate as ``(1 - step / decay_steps) ** power``, and constant after that.

    With ``cycle`` the decay is stretched to the next multiple of ``decay_steps`` instead. Raises ``ValueError`` unless
    ``decay_steps`` is positive.
    """

    arguments = ("initial_learning_rate", "decay_steps", "end_learning_rate", "power", "cycle", "name")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        self.initial_learning_rate, self.decay_steps = initial_learning_rate, _positive("decay_steps", decay_steps)
        self.end_learning_rate, self.power, self.cycle, self.name = end_learning_rate, power, cycle, name

    def rate(self, step: float) -> float:
        length = self.decay_steps * (max(1, math.ceil(step / self.decay_steps)) if self.cycle else 1)
        left = 1 - min(step / length, 1.0)
        return (self.initial_learning_rate - self.end_learning_rate) * left**self.power + self.end_learning_rate


def _half_cosine(share: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * share))


class CosineDecay(_Formula):
    """Half a cosine from the initial rate to ``alpha`` times it (Loshchilov and Hutter 2017); with a
    ``warmup_target`` a straight line to that in ``warmup_steps`` before, and the cosine from there.

    Raises ``ValueError`` unless ``decay_steps`` is positive.
    """

    arguments = ("initial_learning_rate", "decay_steps", "alpha", "name", "warmup_target", "warmup_steps")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        self.initial_learning_rate, self.decay_steps = initial_learning_rate, _positive("decay_steps", decay_steps)
        self.alpha, self.name, self.warmup_target, self.warmup_steps = alpha, name, warmup_target, warmup_steps

    def rate(self, step: float) -> float:
        start = self.initial_learning_rate
        if self.warmup_target is not None:
            if step < self.warmup_steps:
                return start + (self.warmup_target - start) * step / self.warmup_steps
            start, step = self.warmup_target, step - self.warmup_steps
        share = min(step / self.decay_steps, 1.0)
        return start * ((1 - self.alpha) * _half_cosine(share) + self.alpha)


class CosineDecayRestarts(_Formula):
    """Half cosines one after the other, each ``t_mul`` times as long and ``m_mul`` times as high as the one before
    (Loshchilov and Hutter 2017). Raises ``ValueError`` unless ``first_decay_steps`` is positive."""

    arguments = ("initial_learning_rate", "first_decay_steps", "t_mul", "m_mul", "alpha", "name")

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: int,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = _positive("first_decay_steps", first_decay_steps)
        self.t_mul, self.m_mul, self.alpha, self.name = t_mul, m_mul, alpha, name

    def rate(self, step: float) -> float:
        share = step / self.first_decay_steps
        if self.t_mul == 1:
            restarts = math.floor(share)
            share -= restarts
        else:
            restarts = math.floor(math.log(1 - share * (1 - self.t_mul)) / math.log(self.t_mul))
            length = self.t_mul**restarts
            share = (share - (1 - length) / (1 - self.t_mul)) / length
        return self.initial_learning_rate * ((1 - self.alpha) * self.m_mul**restarts * _half_cosine(share) + self.alpha)


class StepDecay(_Formula):
    """``initial_learning_rate * factor ** (step // step_size)``. Keras has no such class: it is ours.

    Raises ``ValueError`` unless ``step_size`` is positive.
    """

    arguments = ("initial_learning_rate", "step_size", "factor", "name")

    def __init__(
        self, initial_learning_rate: float, step_size: int, factor: float = 0.1, name: str = "StepDecay"
    ) -> None:
        self.initial_learning_rate, self.step_size = initial_learning_rate, _positive("step_size", step_size)
        self.factor, self.name = factor, name

    def rate(self, step: float) -> float:
        return self.initial_learning_rate * self.factor ** (step // self.step_size)


registry = Registry("learning rate schedule", "keras.optimizers.schedules", base=LearningRateSchedule)
for _class in (
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
    StepDecay,
):
    registry.register()(_class)


def serialize(learning_rate_schedule: LearningRateSchedule) -> Any:
    """The configuration of a schedule."""
    return registry.serialize(learning_rate_schedule)


def deserialize(config: Any, custom_objects: Any = None) -> LearningRateSchedule:
    """The schedule of a configuration."""
    return registry.deserialize(config, custom_objects)


__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "StepDecay",
    "deserialize",
    "serialize",
]

explain_missing(__name__)
