"""LossScaleOptimizer: small gradients of 16 bits are not lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepcore import ops, serialization
from deepcore.device import CPU
from deepcore.optimizers.optimizer import Optimizer
from deepcore.variable import Variable

# What an older configuration may say, and only as it says by default: it belongs to the inner optimizer.
_OF_THE_INNER = {
    "weight_decay": None,
    "clipnorm": None,
    "clipvalue": None,
    "global_clipnorm": None,
    "use_ema": False,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "loss_scale_factor": None,
    "gradient_accumulation_steps": None,
}


class LossScaleOptimizer(Optimizer):
    """Another optimizer whose loss is multiplied by a scale, and its gradients are divided by it.

    Where a gradient is not finite, nothing changes but the scale, which is halved; after ``dynamic_growth_steps`` steps
    without that it is doubled. Whether they are finite is asked in every step, for which the host waits.
    Micikevicius et al. 2018.

    Args:
        inner_optimizer: the optimizer that changes the weights; its own ``loss_scale_factor`` is taken away.
        initial_scale: what the scale starts with.
        dynamic_growth_steps: after how many finite steps the scale doubles.
        name: ``loss_scale_optimizer`` by default.

    Raises ``ValueError`` for other arguments of optimizers, which are the inner one's.
    """

    def __init__(
        self,
        inner_optimizer: Optimizer,
        initial_scale: float = 2.0**15,
        dynamic_growth_steps: int = 2000,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if not kwargs.pop("dynamic", True):
            raise ValueError(
                "dynamic=False must be replaced by loss_scale_factor=... of the inner optimizer, without this one."
            )
        for key, value in kwargs.items():
            if key not in _OF_THE_INNER:
                raise ValueError(f"LossScaleOptimizer does not know the argument {key}={value!r}.")
            if value != _OF_THE_INNER[key]:
                raise ValueError(f"{key} must be an argument of the inner optimizer; got {key}={value!r} here.")
        super().__init__(0.0, name=name)
        self.inner_optimizer = inner_optimizer
        self.initial_scale, self.dynamic_growth_steps = initial_scale, dynamic_growth_steps
        inner_optimizer.loss_scale_factor = None

    def build(self, variables: Sequence[Variable]) -> None:
        if self.built:
            return
        self.step_counter = self.add_variable((), "zeros", "int64", name="step_counter", device=CPU)
        self.dynamic_scale = self.add_variable((), float(self.initial_scale), name="dynamic_scale", device=CPU)
        self.inner_optimizer.build(variables)
        super().build(variables)

    @property
    def variables(self) -> list[Variable]:
        """Its own step, rate, counter and scale, and what the inner optimizer keeps."""
        return [*super().variables, *self.inner_optimizer.variables]

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> None:
        """A step of the inner optimizer, or none; see ``Optimizer.apply``."""
        if not self.built:
            if trainable_variables is None:
                raise ValueError("apply(grads) needs a built optimizer: call build(variables), or pass the variables.")
            self.build(list(trainable_variables))
        weights = self._trainable_variables if trainable_variables is None else list(trainable_variables)
        scale, counted = float(self.dynamic_scale), int(self.step_counter)
        if not self._finite(grads):
            self.step_counter.assign(0)
            self.dynamic_scale.assign(scale * 0.5)
            return
        unscaled = [
            g if g is None or getattr(v, "overwrite_with_gradient", False) else ops.convert_to_tensor(g) / scale
            for g, v in zip(grads, weights, strict=False)
        ]
        self.inner_optimizer.apply(unscaled, trainable_variables)
        grows = counted == self.dynamic_growth_steps - 1
        self.step_counter.assign(0 if grows else counted + 1)
        if grows:
            self.dynamic_scale.assign(scale * 2)

    def _finite(self, gradients: Sequence[Any]) -> bool:
        finite = [ops.all(ops.isfinite(g)) for g in gradients if g is not None]
        return not finite or bool(ops.all(ops.stack(finite)))

    @property
    def learning_rate(self) -> Any:
        """The inner optimizer's."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.inner_optimizer.learning_rate = value

    @property
    def iterations(self) -> Any:
        """The inner optimizer's: steps that changed nothing do not count."""
        return self.inner_optimizer.iterations

    def scale_loss(self, loss: Any) -> Any:
        """The loss to differentiate: times the scale."""
        return loss * (float(self.dynamic_scale) if self.built else self.initial_scale)

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """See ``Optimizer``; the averages are the inner optimizer's."""
        self.inner_optimizer.finalize_variable_values(var_list)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "inner_optimizer": serialization.serialize(self.inner_optimizer),
            "initial_scale": self.initial_scale,
            "dynamic_growth_steps": self.dynamic_growth_steps,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """The optimizer of ``get_config``'s dictionary."""
        inner = serialization.deserialize(config["inner_optimizer"], custom_objects=custom_objects)
        return cls(**{**config, "inner_optimizer": inner})
