"""Optimizer: changes all weights in one fused call a step."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from deepcore import ops
from deepcore.autograd import no_grad
from deepcore.backend import Backend
from deepcore.device import CPU, use_device
from deepcore.naming import name_scope, snake_case, unique_name
from deepcore.optimizers import schedules
from deepcore.optimizers.schedules import LearningRateSchedule
from deepcore.registry import Configurable
from deepcore.tensor import Tensor
from deepcore.variable import Variable, load_variables, misfit, save_variables

Arrays = list[Any]


class Optimizer(Configurable):
    """The base of all optimizers.

    An optimizer names its ``slots``, the arrays that it keeps for each weight, and implements ``update``.

    Args:
        learning_rate: a number, or a schedule: a function of the step that gives one.
        weight_decay: each step also subtracts this, times the learning rate, times the weight. Loshchilov and Hutter
            2019.
        clipnorm: the largest norm of each gradient; a longer one is shortened to it.
        clipvalue: the largest magnitude of each gradient's elements.
        global_clipnorm: the largest norm of all gradients together. Pascanu et al. 2013.
        use_ema: keep a moving average of every weight.
        ema_momentum: how slowly the averages forget, from 0 to 1.
        ema_overwrite_frequency: after how many steps the weights become their averages; by default only when
            ``finalize_variable_values`` is called.
        loss_scale_factor: what ``scale_loss`` multiplies a loss by, and gradients are divided by.
        gradient_accumulation_steps: change the weights only once in this number of steps, by the mean of the
            gradients since the last change; at least 2.
        name: the class's name in snake case by default.

    Raises ``ValueError`` for numbers out of these ranges, a learning rate that is not a float, and if more than one
    way of clipping is given.
    """

    slots: tuple[str, ...] = ()
    slots_by_weight = False  # whether ``variables`` has all slots of a weight together, as Keras has them for Adam
    late_slots: tuple[str, ...] = ()  # slots that come after those of all weights
    extra_counters: tuple[str, ...] = ()  # numbers kept on the host that start with 1
    arguments: tuple[str, ...] = ()  # of the constructor, beside those of every optimizer

    def __init__(
        self,
        learning_rate: Any,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if kwargs.pop("decay", None) is not None:
            warnings.warn("decay has no effect: pass a schedule as learning_rate instead.", stacklevel=3)
        if kwargs:
            raise ValueError(f"{type(self).__name__} does not know the arguments {kwargs}.")
        if gradient_accumulation_steps and not gradient_accumulation_steps >= 2:
            raise ValueError(f"gradient_accumulation_steps must be at least 2; got {gradient_accumulation_steps!r}.")
        if use_ema:
            share("ema_momentum", ema_momentum, including_one=True)
            often = ema_overwrite_frequency
            if often and (not isinstance(often, int) or often < 1):
                raise ValueError(f"ema_overwrite_frequency must be None or an integer of at least 1; got {often!r}.")
        clipping = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        given = {key: value for key, value in clipping.items() if value is not None}
        if len(given) > 1:
            raise ValueError(f"Only one of clipnorm, clipvalue and global_clipnorm can be used; got {given}.")
        for key, value in given.items():
            if not value > 0:
                raise ValueError(f"{key} must be positive; got {key}={value!r}.")
        if weight_decay is not None and not weight_decay >= 0:
            raise ValueError(f"weight_decay must not be negative; got {weight_decay!r}.")
        self.name = unique_name(snake_case(type(self).__name__)) if name is None else name
        self.weight_decay, self.clipnorm = weight_decay, clipnorm
        self.clipvalue, self.global_clipnorm = clipvalue, global_clipnorm
        # Both are read by the host in every step, so they stay there.
        with name_scope((self.name,)):
            self._iterations = Variable(0, dtype="int64", trainable=False, name="iteration", device=CPU)
        self.use_ema, self.ema_momentum, self.ema_overwrite_frequency = use_ema, ema_momentum, ema_overwrite_frequency
        self.loss_scale_factor, self.gradient_accumulation_steps = loss_scale_factor, gradient_accumulation_steps
        self._schedule: Any = learning_rate if callable(learning_rate) else None
        if self._schedule is None and not isinstance(learning_rate, float):
            raise ValueError(
                "learning_rate must be a float, a LearningRateSchedule, or a function of the step or of nothing; got "
                f"{learning_rate!r} ({type(learning_rate).__name__})."
            )
        first = 0.0 if self._schedule is not None else learning_rate
        with name_scope((self.name,)):
            self._learning_rate = Variable(_rate(first), trainable=False, name="learning_rate", device=CPU)
        self._parameters: list[Variable] = []
        self._slots: dict[str, list[Variable]] = {}
        self._position: dict[int, int] = {}
        self._without_decay: set[int] = set()
        self._names_without_decay: re.Pattern[str] | None = None
        self._counters: list[Variable] = []

    @property
    def iterations(self) -> Any:
        """How many steps were taken; those that only gathered gradients do not count."""
        every = self.gradient_accumulation_steps
        return self._iterations // every if every else self._iterations

    def _scheduled(self, step: int) -> Any:
        takes_step = isinstance(self._schedule, LearningRateSchedule) or inspect.signature(self._schedule).parameters
        return self._schedule(step) if takes_step else self._schedule()

    @property
    def learning_rate(self) -> Any:
        """The learning rate, a variable; assigning a number, or a schedule, changes it from the next step on."""
        if self._schedule is not None:
            with use_device(CPU):
                self._learning_rate.assign(_rate(self._scheduled(int(self._iterations))))
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if callable(value) and not isinstance(value, Tensor):
            self._schedule = value
            return
        if isinstance(self._schedule, LearningRateSchedule):
            raise TypeError(
                f"The learning rate follows the schedule {type(self._schedule).__name__}, so {value!r} cannot be "
                "assigned. Make the optimizer with a float to change it later."
            )
        self._schedule = None
        self._learning_rate.assign(_rate(value))

    @property
    def variables(self) -> list[Variable]:
        """The step, the learning rate, and what is kept for each weight: all that a checkpoint needs."""
        if not self.built:
            return [self._iterations, *([] if self._schedule is not None else [self._learning_rate])]
        columns = [self._slots[slot] for slot in self.slots]
        rows = zip(*columns, strict=True) if self.slots_by_weight else columns
        late = [self._slots[slot] for slot in self.late_slots]
        return [
            self._iterations,
            *([] if self._schedule is not None else [self._learning_rate]),
            *self._averages,
            *self._gathered,
            *(v for row in rows for v in row),
            *(v for column in late for v in column),
            *self._counters,
        ]

    @property
    def built(self) -> bool:
        """Whether it knows the weights that it changes."""
        return bool(self._parameters)

    def build(self, variables: Sequence[Variable]) -> None:
        """Makes what is kept for each of ``variables``; called by the first ``apply``."""
        self._parameters = list(variables)
        self._position = {id(v): i for i, v in enumerate(self._parameters)}
        with name_scope((self.name,)):
            self._slots = {slot: [self._slot(slot, v) for v in self._parameters] for slot in self._all_slots}
            self._averages = [self._slot("average", v, 0.0) for v in self._parameters] if self.use_ema else []
            gathers = self._parameters if self.gradient_accumulation_steps else []
            self._gathered = [self._slot("gradient_accumulator", v, 0.0) for v in gathers]
            first = self._parameters[0].dtype if self._parameters else None
            self._counters = [
                Variable(1.0, dtype=first, trainable=False, name=name, device=CPU) for name in self.extra_counters
            ]

    @property
    def _all_slots(self) -> tuple[str, ...]:
        return (*self.slots, *self.late_slots)

    def _slot(self, slot: str, weight: Variable, value: float | None = None) -> Variable:
        value = self.initial_value(slot) if value is None else value
        start = weight.device.run(weight.device.backend.xp.full, weight.shape, value, weight.dtype)
        name = f"{weight.path.replace('/', '_')}_{slot}"
        return Variable(Tensor.wrap(start, weight.device), trainable=False, name=name, device=weight.device)

    def initial_value(self, slot: str) -> float:
        """What a slot's arrays start with."""
        return 0.0

    def update(
        self,
        backend: Backend,
        parameters: Arrays,
        gradients: Arrays,
        slots: dict[str, Arrays],
        learning_rate: float,
        step: int,
    ) -> None:
        """Changes the arrays ``parameters`` and ``slots`` in place; ``step`` counts from 1."""
        raise NotImplementedError(f"{type(self).__name__} must implement update(...).")

    def apply(self, grads: Sequence[Tensor | None], trainable_variables: Sequence[Variable] | None = None) -> None:
        """Changes the weights by one step along their gradients.

        Args:
            grads: for each variable its gradient; a variable with None is left as it is.
            trainable_variables: the variables; those of ``build`` by default.

        Raises ``ValueError`` if the numbers or shapes do not match, no gradient is given, or a variable is new.
        """
        if len(grads) == 0:
            return
        if trainable_variables is None and not self.built:
            raise ValueError("apply(grads) needs a built optimizer: call build(variables) or pass the variables, too.")
        variables = self._parameters if trainable_variables is None else list(trainable_variables)
        if len(grads) != len(variables):
            raise ValueError(f"{len(variables)} variables need as many gradients; got {len(grads)}.")
        pairs = [(g, v) for g, v in zip(grads, variables, strict=True) if g is not None]
        if not pairs:
            raise ValueError(
                "No gradient was given for any variable. Does the loss depend on the weights, and are any trainable?"
            )
        if not self.built:
            self.build(variables)
        missing = [v.path for g, v in zip(grads, variables, strict=True) if g is None]
        if missing:
            warnings.warn(
                f"There are no gradients for {missing}, so they stay as they are. Does the loss depend on them?",
                stacklevel=2,
            )
        for gradient, variable in pairs:
            if id(variable) not in self._position:
                raise ValueError(
                    f"The variable {variable.path!r} is not one that this optimizer was built for. An optimizer "
                    "belongs to one model: make a new one, or call build(variables) with all of its variables first."
                )
            if gradient.shape != variable.shape:
                raise ValueError(
                    f"The variable {variable.path!r} has shape {variable.shape}; its gradient has {gradient.shape}."
                )
        with no_grad():
            self._step([g for g, _ in pairs], [v for _, v in pairs])

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Tensor | None, Variable]]) -> Variable:
        """``apply`` for pairs of a gradient and its variable; gives the counter of steps."""
        grads, variables = zip(*grads_and_vars, strict=True)
        self.apply(grads, variables)
        return self._iterations

    def scale_loss(self, loss: Any) -> Any:
        """The loss to differentiate: times ``loss_scale_factor``, if there is one."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """With ``use_ema``, writes the averages into the weights. Raises ``ValueError`` if their number differs."""
        if not self.use_ema:
            return
        averages = self._averages if self.built else []
        if len(var_list) != len(averages):
            raise ValueError(f"{len(averages)} averages are kept, but {len(var_list)} variables were given.")
        for variable, average in zip(var_list, averages, strict=True):
            variable.assign(average)

    def _step(self, gradients: list[Tensor], variables: list[Variable]) -> None:
        done, every = int(self._iterations), self.gradient_accumulation_steps or 1
        if self.loss_scale_factor is not None:
            gradients = [g / self.loss_scale_factor for g in gradients]
        positions = [self._position[id(v)] for v in variables]
        if every > 1:
            gathered = [self._gathered[i] for i in positions]
            if (done + 1) % every:
                for total, gradient in zip(gathered, gradients, strict=True):
                    total.assign_add(gradient)
            else:
                gradients = [(g + total) / every for g, total in zip(gradients, gathered, strict=True)]
        if (done + 1) % every == 0:
            self._change(gradients, variables, positions, done // every + 1)
            for total in self._gathered:
                with total.device.active():
                    total.data[...] = 0
        if self.use_ema:
            self._average(done // every)
        for variable in variables:
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable))
        self._iterations.assign(done + 1)

    def _change(self, gradients: list[Tensor], variables: list[Variable], positions: list[int], step: int) -> None:
        rate = float(self.learning_rate)
        gradients = self._clip(gradients)
        if self.weight_decay:
            for variable in variables:
                if self._decays(variable):
                    with variable.device.active():
                        variable.data -= variable.data * variable.dtype.type(self.weight_decay * rate)
        slots = {slot: [self._slots[slot][i].data for i in positions] for slot in self._all_slots}
        arrays = [v.data for v in variables]
        with variables[0].device.active():
            self.update(variables[0].device.backend, arrays, [g.data for g in gradients], slots, rate, step)
        for variable in variables:
            variable.version += 1

    def _average(self, done: int) -> None:
        momentum = self.ema_momentum if done else 0.0
        overwrites = self.ema_overwrite_frequency and (done + 1) % self.ema_overwrite_frequency == 0
        for variable, average in zip(self._parameters, self._averages, strict=True):
            with variable.device.active():
                average.data[...] = momentum * average.data + (1 - momentum) * variable.data
            if overwrites:
                variable.assign(average)

    def _clip(self, gradients: list[Tensor]) -> list[Tensor]:
        if self.clipvalue is not None:
            return [ops.clip(g, -self.clipvalue, self.clipvalue) for g in gradients]
        if self.clipnorm is not None:
            return [g * (self.clipnorm / ops.maximum(ops.sqrt(_square_sum(g)), self.clipnorm)) for g in gradients]
        if self.global_clipnorm is not None:
            squares = [_square_sum(g) for g in gradients]
            norm = ops.sqrt(ops.sum(ops.stack(squares)))
            factor = self.global_clipnorm / ops.maximum(norm, self.global_clipnorm)
            return [g * factor for g in gradients]
        return gradients

    def save_own_variables(self, store: Any) -> None:
        """Writes ``variables`` into ``store``."""
        save_variables(self.variables, store)

    def load_own_variables(self, store: Any) -> None:
        """Reads what ``save_own_variables`` wrote; warns, and reads nothing, where it is of other weights."""
        kept = self.variables
        before_the_first_step = 1 if self._schedule is not None else 2
        if len(store) == before_the_first_step:
            kept = kept[:before_the_first_step]
        problem = misfit(kept, store)
        if problem is None:
            load_variables(kept, store)
        else:
            warnings.warn(f"The state of the optimizer {self.name!r} is not loaded: {problem}.", stacklevel=2)

    def exclude_from_weight_decay(
        self, var_list: Iterable[Variable] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Leaves out of weight decay the variables given, and those in whose name one of ``var_names``, regular
        expressions, is found; a second call replaces the first."""
        self._without_decay = {id(v) for v in var_list or ()}
        names = tuple(var_names or ())
        self._names_without_decay = re.compile("|".join(names)) if names else None

    def _decays(self, variable: Variable) -> bool:
        if id(variable) in self._without_decay:
            return False
        return self._names_without_decay is None or not self._names_without_decay.search(variable.name)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "learning_rate": self._rate_config(),
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "clipvalue": self.clipvalue,
            "global_clipnorm": self.global_clipnorm,
            "use_ema": self.use_ema,
            "ema_momentum": self.ema_momentum,
            "ema_overwrite_frequency": self.ema_overwrite_frequency,
            "loss_scale_factor": self.loss_scale_factor,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
            **{argument: getattr(self, argument) for argument in self.arguments},
        }

    def _rate_config(self) -> Any:
        if isinstance(self._schedule, LearningRateSchedule):
            return schedules.serialize(self._schedule)
        return float(self._learning_rate) if self._schedule is None else self._schedule

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The optimizer of ``get_config``'s dictionary."""
        rate = config.get("learning_rate")
        return cls(**{**config, "learning_rate": schedules.deserialize(rate)} if isinstance(rate, dict) else config)

    def __getstate__(self) -> dict[str, Any]:
        """What a copy, or a pickle, keeps; there the weights have other ids."""
        left_out = [v for v in self._parameters if id(v) in self._without_decay]
        return {**vars(self), "_without_decay": left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._without_decay = {id(v) for v in state["_without_decay"]}
        self._position = {id(v): i for i, v in enumerate(self._parameters)}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} learning_rate={float(self._learning_rate):g}, step={int(self.iterations)}>"


def _rate(value: Any) -> Any:
    rate = np.float32(float(value) if isinstance(value, Tensor) else value)
    if not rate >= 0:
        raise ValueError(
            f"learning_rate must be a number that is not negative, or a function of the step; got {value!r}."
        )
    return rate


def _square_sum(x: Tensor) -> Tensor:
    return ops.sum(ops.square(x))


def share(name: str, value: float, *, including_one: bool = False) -> float:
    """``value`` itself. Raises ``ValueError`` unless it lies from 0 to 1, 1 excluded (or included)."""
    if not (0 <= value < 1 or (including_one and value == 1)):
        raise ValueError(f"{name} must be from 0 to 1{'' if including_one else ', 1 excluded'}; got {name}={value!r}.")
    return value
