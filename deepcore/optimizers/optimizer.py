"""Optimizer: changes all weights in one fused call a step."""

from __future__ import annotations

import inspect
import itertools
import math
import re
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from deepcore import initializers, ops, serialization
from deepcore.absent import Explaining
from deepcore.autograd import no_grad
from deepcore.backend.numpy import packed
from deepcore.backend.updates import Before
from deepcore.config import floatx
from deepcore.device import CPU, as_device, current_device, use_device
from deepcore.naming import scope_at, snake_case, unique_name
from deepcore.optimizers import schedules
from deepcore.optimizers.schedules import LearningRateSchedule
from deepcore.registry import Configurable
from deepcore.tensor import Tensor
from deepcore.variable import Variable, load_variables, misfit, save_variables

Arrays = list[Any]


class Optimizer(Explaining, Configurable):
    """The base of all optimizers.

    An optimizer of ours names its ``slots``, the arrays that it keeps for each weight, and the ``rule`` of the backend
    that changes all weights at once, whose arguments ``rule_arguments`` gives. Any other implements ``update_step``,
    which changes one weight, and makes what it keeps in ``build``, by ``add_variable_from_reference``.

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
    rule: str | None = None  # the function of the backend; None where update_step changes one weight after the other
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
        with scope_at((self.name,)):
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
        with scope_at((self.name,)):
            self._learning_rate = Variable(_rate(first), trainable=False, name="learning_rate", device=CPU)
        self.built = False  # whether it knows the weights that it changes
        self._trainable_variables: list[Variable] = []
        self._variables: list[Variable] = []  # what is kept beside the step and the learning rate
        self._model_variables_moving_average: list[Any] = []
        self._accumulated_gradients: list[Any] = []
        self._slots: dict[str, list[Any]] = {}
        self._position: dict[int, int] = {}
        self._without_decay: list[Variable] = []
        self._names_without_decay: re.Pattern[str] | None = None

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
        return [self._iterations, *([] if self._schedule is not None else [self._learning_rate]), *self._variables]

    def build(self, variables: Sequence[Variable]) -> None:
        """Makes what is kept for each of ``variables``; called by the first ``apply``, and does nothing after that."""
        if self.built:
            return
        self._trainable_variables = list(variables)
        self._position = {id(v): i for i, v in enumerate(self._trainable_variables)}
        if self.use_ema:
            self._model_variables_moving_average = self.add_optimizer_variables(variables, "average")
        if self.gradient_accumulation_steps:
            self._accumulated_gradients = [
                self.add_variable_from_reference(v, "gradient_accumulator") for v in self._trainable_variables
            ]
        together = [self.slots] if self.slots_by_weight else [(slot,) for slot in self.slots]
        for names in (*together, *((slot,) for slot in self.late_slots)):
            values = [self.initial_value(slot) for slot in names]
            self._slots.update(zip(names, self.add_optimizer_variables(variables, names, values), strict=True))
        self.built = True

    def initial_value(self, slot: str) -> float:
        """What a slot's arrays start with."""
        return 0.0

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: str = "none",
        layout: Any = None,
        name: str | None = None,
        *,
        device: Any = None,
    ) -> Variable:
        """A variable of the optimizer's, saved with its state; ``initializer`` may be a number, which is then made
        where the variable is. ``aggregation`` and ``layout`` have no meaning here."""
        if device is None and self._trainable_variables:
            device = self._trainable_variables[0].device
        start = initializer
        if isinstance(initializer, str) and initializer == "zeros":
            initializer = 0.0
        if isinstance(initializer, float):
            device = current_device() if device is None else as_device(device)
            xp = device.backend.xp
            one = device.run(xp.full, (), initializer, np.dtype(dtype or floatx()))
            start = Tensor.wrap(device.run(xp.broadcast_to, one, tuple(shape)), device)  # the variable makes the copy
        elif not callable(initializer):
            start = initializers.get(initializer)
        with scope_at((self.name,)):
            made = Variable(start, tuple(shape), dtype, trainable=False, name=name, device=device)
        self._variables.append(made)
        return made

    def add_variable_from_reference(
        self, reference_variable: Variable, name: str | None = None, initializer: Any = "zeros"
    ) -> Variable:
        """A variable of the shape and dtype of a weight, named after it."""
        v = reference_variable
        name = f"{v.path.replace('/', '_')}_{name or 'var'}"
        return self.add_variable(v.shape, initializer, v.dtype, name=name, device=v.device)

    def add_optimizer_variables(
        self, trainable_variables: Sequence[Variable], name: str | Sequence[str], initializer: Any = "zeros"
    ) -> Any:
        """For each weight a variable, in a list; for several names a list of each name, in a tuple.

        A weight that is overwritten with its gradient has None there. Raises ``ValueError`` if there are several
        initializers, but not one for each name.
        """
        names = [name] if isinstance(name, str) else list(name)
        given = list(initializer) if isinstance(initializer, list | tuple) else [initializer] * len(names)
        if len(given) != len(names):
            raise ValueError(f"{len(names)} names, {names}, need as many initializers; got {len(given)}: {given}.")
        made: tuple[list[Any], ...] = tuple([] for _ in names)
        for v in trainable_variables:
            for column, one, start in zip(made, names, given, strict=True):
                column.append(None if v.overwrite_with_gradient else self.add_variable_from_reference(v, one, start))
        return made[0] if isinstance(name, str) else made

    def assign(self, variable: Variable, value: Any) -> None:
        """``variable.assign(value)``."""
        variable.assign(value)

    def assign_add(self, variable: Variable, value: Any) -> None:
        """``variable.assign_add(value)``."""
        variable.assign_add(value)

    def assign_sub(self, variable: Variable, value: Any) -> None:
        """``variable.assign_sub(value)``."""
        variable.assign_sub(value)

    def rule_arguments(self, slots: dict[str, Arrays], learning_rate: float, step: int) -> tuple[Any, ...]:
        """What the rule takes after parameters and gradients; ``step`` counts from 1."""
        raise NotImplementedError(f"{type(self).__name__} must implement rule_arguments(...).")

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Any) -> None:
        """Changes one weight, and what is kept for it."""
        raise NotImplementedError(f"{type(self).__name__} must implement update_step(...).")

    def _get_variable_index(self, variable: Variable) -> int:
        return self._position[id(variable)]

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
        variables = self._trainable_variables if trainable_variables is None else list(trainable_variables)
        if len(grads) != len(variables):
            raise ValueError(f"{len(variables)} variables need as many gradients; got {len(grads)}.")
        given = [v for g, v in zip(grads, variables, strict=True) if g is not None]
        if not given:
            raise ValueError(
                "No gradient was given for any variable. Does the loss depend on the weights, and are any trainable?"
            )
        if not self.built:
            self.build(variables)
        if len(given) < len(variables):
            missing = [v.path for g, v in zip(grads, variables, strict=True) if g is None]
            warnings.warn(
                f"There are no gradients for {missing}, so they stay as they are. Does the loss depend on them?",
                stacklevel=2,
            )
        with no_grad(), use_device(variables[0].device), variables[0].device.active():
            self._step([self._array_of(g, v) for g, v in zip(grads, variables, strict=True) if g is not None], given)

    def _array_of(self, gradient: Any, variable: Variable) -> Any:
        """The gradient's array as the variable's is: where it is, of its dtype, and contiguous."""
        if id(variable) not in self._position:
            raise ValueError(
                f"The variable {variable.path!r} is not one that this optimizer was built for. An optimizer "
                "belongs to one model: make a new one, or call build(variables) with all of its variables first."
            )
        array = variable._here(gradient)
        if array.shape != variable._array.shape:
            raise ValueError(
                f"The variable {variable.path!r} has shape {variable.shape}; its gradient has {array.shape}."
            )
        return array if array.flags.c_contiguous else array.copy()

    def stateless_apply(
        self, optimizer_variables: Sequence[Any], grads: Sequence[Any], trainable_variables: Sequence[Any]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The values of the weights and of ``variables`` after a step from the values given; nothing is changed.

        Raises ``ValueError`` before ``build``, and if the numbers of values differ.
        """
        if not self.built:
            raise ValueError("stateless_apply() needs a built optimizer: call build(variables) first.")
        weights, own = self._trainable_variables, self.variables
        for name, values, known in (
            ("optimizer_variables", optimizer_variables, own),
            ("trainable_variables", trainable_variables, weights),
        ):
            if len(values) != len(known):
                raise ValueError(f"{name} must have {len(known)} values, as the optimizer has; got {len(values)}.")
        kept = [*weights, *own]
        before = [_copy(v) for v in kept]
        try:
            for variable, value in zip(kept, (*trainable_variables, *optimizer_variables), strict=True):
                variable.assign(value)
            self.apply(grads)
            after = [_copy(v) for v in kept]
        finally:
            for variable, value in zip(kept, before, strict=True):
                variable.assign(value)
        return after[: len(weights)], after[len(weights) :]

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Tensor | None, Variable]]) -> Variable:
        """``apply`` for pairs of a gradient and its variable; gives the counter of steps."""
        grads, variables = zip(*grads_and_vars, strict=True)
        self.apply(grads, variables)
        return self._iterations

    def scale_loss(self, loss: Any) -> Any:
        """The loss to differentiate: times ``loss_scale_factor``, if there is one."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    def averaged(self) -> list[tuple[Variable, Variable]]:
        """The weights, each with the average that ``use_ema`` keeps of it; empty without, and before ``build``."""
        if not (self.use_ema and self.built):
            return []
        return list(zip(self._trainable_variables, self._model_variables_moving_average, strict=True))

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """With ``use_ema``, writes the averages into the weights. Raises ``ValueError`` if their number differs."""
        if not self.use_ema:
            return
        averages = self._model_variables_moving_average
        if len(var_list) != len(averages):
            raise ValueError(f"{len(averages)} averages are kept, but {len(var_list)} variables were given.")
        for variable, average in zip(var_list, averages, strict=True):
            if average is not None:
                variable.assign(average)

    def _step(self, gradients: Arrays, variables: list[Variable]) -> None:
        done, every = int(self._iterations), self.gradient_accumulation_steps or 1
        due = (done + 1) % every == 0
        if [variable for variable in variables if variable.overwrite_with_gradient]:
            pairs = list(zip(gradients, variables, strict=True))
            for gradient, variable in pairs:
                if variable.overwrite_with_gradient:
                    self._overwrite(variable, gradient, due)
            gradients = [g for g, v in pairs if not v.overwrite_with_gradient]
            variables = [v for v in variables if not v.overwrite_with_gradient]
        factor = 1.0 if self.loss_scale_factor is None else 1 / self.loss_scale_factor
        if variables:
            if every > 1:
                gathered = [self._accumulated_gradients[self._get_variable_index(v)]._array for v in variables]
                with packed.writing(*gathered):
                    blend = variables[0].device.backend.blend_update
                    blend(gathered, gradients, 1.0, 1.0, before=Before(factor=factor))
                gradients, factor = gathered, 1 / every
            if due:
                self._change(gradients, variables, factor, done // every + 1)
                for total in self._accumulated_gradients:
                    with packed.writing(total._array):
                        total._array[...] = 0
            if self.use_ema:
                self._average(done // every)
            for variable in variables:
                if variable.constraint is not None:
                    variable.assign(variable.constraint(variable))
        self._iterations.assign(done + 1)

    def _overwrite(self, variable: Variable, gradient: Any, due: bool) -> None:
        """Instead of a step, the weight becomes its gradient: the largest of those gathered, where they are."""
        if self.gradient_accumulation_steps:
            total = self._accumulated_gradients[self._get_variable_index(variable)]
            gradient = variable.device.backend.xp.maximum(gradient, total._array)
            total.assign(Tensor.wrap(gradient * (not due), total.device))
        if due:
            variable.assign(Tensor.wrap(gradient, variable.device))

    def _change(self, gradients: Arrays, variables: list[Variable], factor: float, step: int) -> None:
        rate, device = float(self.learning_rate), variables[0].device
        decay = [self.weight_decay * rate if self._decays(v) else 0.0 for v in variables] if self.weight_decay else None
        if self.rule is None:
            scaled = [Tensor.wrap(g if factor == 1 else g * g.dtype.type(factor), device) for g in gradients]
            for i, (gradient, variable) in enumerate(zip(self._clip_gradients(scaled), variables, strict=True)):
                if decay is not None:
                    variable.assign_sub(variable * decay[i])
                self.update_step(gradient, variable, rate)
            return
        scale = None
        if self.clipnorm is not None:
            clipped = self._clip_gradients([Tensor.wrap(g * g.dtype.type(factor), device) for g in gradients])
            gradients, factor = [g._array for g in clipped], 1.0
        elif self.global_clipnorm is not None:
            norm = _norm([Tensor.wrap(g, device) for g in gradients])
            scale = self._global_factor(norm * factor)._array
        limit = math.inf if self.clipvalue is None else self.clipvalue
        indices = [self._position[id(v)] for v in variables]
        slots = {slot: [kept[i]._array for i in indices] for slot, kept in self._slots.items()}
        weights = [v._array for v in variables]
        with packed.writing(*weights, *itertools.chain(*slots.values())):
            update, arguments = getattr(device.backend, self.rule), self.rule_arguments(slots, rate, step)
            update(weights, gradients, *arguments, before=Before(decay, factor, scale, limit))
        for variable in variables:
            variable.version += 1

    def _average(self, done: int) -> None:
        momentum = self.ema_momentum if done else 0.0
        kept = zip(self._trainable_variables, self._model_variables_moving_average, strict=True)
        pairs = [(v, average) for v, average in kept if average is not None]
        weights, averages = [v._array for v, _ in pairs], [average._array for _, average in pairs]
        with packed.writing(*averages):
            pairs[0][0].device.backend.blend_update(averages, weights, momentum, 1 - momentum)
        if self.ema_overwrite_frequency and (done + 1) % self.ema_overwrite_frequency == 0:
            for variable, average in pairs:
                variable.assign(average)

    def _clip_gradients(self, grads: Sequence[Any]) -> list[Tensor]:
        gradients = [ops.convert_to_tensor(g) for g in grads]
        if self.clipvalue is not None:
            return [ops.clip(g, -self.clipvalue, self.clipvalue) for g in gradients]
        if self.clipnorm is not None:
            return [g * (self.clipnorm / ops.maximum(_norm([g]), self.clipnorm)) for g in gradients]
        if self.global_clipnorm is not None:
            factor = self._global_factor(_norm(gradients))
            return [g * factor for g in gradients]
        return gradients

    def _global_factor(self, norm: Tensor) -> Tensor:
        limit = float(self.global_clipnorm)  # type: ignore[arg-type]
        # Without a finite norm there is no direction to keep: all gradients become NaN, which shows.
        return ops.where(ops.isfinite(norm), limit / ops.maximum(norm, limit), math.nan)

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Sets ``variables``. Raises ``ValueError`` before ``build``, or where a shape differs."""
        if not self.built:
            raise ValueError(
                "set_weights() needs a built optimizer: call build(variables) first, which makes what it sets."
            )
        for variable, weight in zip(self.variables, weights, strict=False):
            if variable.shape != np.shape(weight):
                raise ValueError(f"{variable.path!r} has shape {variable.shape}; got a value of {np.shape(weight)}.")
            variable.assign(weight)

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
        self._without_decay = list(var_list or ())
        names = tuple(var_names or ())
        self._names_without_decay = re.compile("|".join(names)) if names else None

    def _decays(self, variable: Variable) -> bool:
        if any(variable is other for other in self._without_decay):
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
        return float(self._learning_rate) if self._schedule is None else serialization.serialize(self._schedule)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """The optimizer of ``get_config``'s dictionary, which may name ``custom_objects``."""
        rate = config.get("learning_rate")
        if isinstance(rate, dict):
            config = {**config, "learning_rate": schedules.deserialize(rate, custom_objects)}
        return cls(**config)

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Weights are known by their identity, which a copy changes.
        self.__dict__.update(state)
        self._position = {id(v): i for i, v in enumerate(self._trainable_variables)}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} learning_rate={float(self._learning_rate):g}, step={int(self.iterations)}>"


def _rate(value: Any) -> Any:
    rate = np.float32(float(value) if isinstance(value, Tensor) else value)
    if not rate >= 0:
        raise ValueError(
            f"learning_rate must be a number that is not negative, or a function of the step; got {value!r}."
        )
    return rate


def _copy(variable: Variable) -> Tensor:
    return Tensor.wrap(variable.device.run(variable._array.copy), variable.device)


def _norm(gradients: list[Tensor]) -> Tensor:
    """The norm of all of them together."""
    device = gradients[0].device
    square = device.run(device.backend.square_sum, [g._array for g in gradients])
    return ops.sqrt(Tensor.wrap(square, device))


def share(name: str, value: float, *, including_one: bool = False) -> float:
    """``value`` itself. Raises ``ValueError`` unless it lies from 0 to 1, 1 excluded (or included)."""
    if not (0 <= value < 1 or (including_one and value == 1)):
        raise ValueError(f"{name} must be from 0 to 1{'' if including_one else ', 1 excluded'}; got {name}={value!r}.")
    return value
