"""Optimizer: changes all weights in one fused call a step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from deepcore import ops
from deepcore.autograd import no_grad
from deepcore.backend import Backend
from deepcore.device import CPU
from deepcore.naming import name_scope, snake_case, unique_name
from deepcore.registry import Configurable
from deepcore.tensor import Tensor
from deepcore.variable import Variable

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
        name: the class's name in snake case by default.

    Raises ``ValueError`` for negative numbers, and if more than one way of clipping is given.
    """

    slots: tuple[str, ...] = ()
    slots_by_weight = False  # whether ``variables`` has all slots of a weight together, as Keras has them for Adam

    def __init__(
        self,
        learning_rate: Any,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        name: str | None = None,
    ) -> None:
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
            self.iterations = Variable(0, dtype="int64", trainable=False, name="iteration", device=CPU)
        self._schedule = learning_rate if callable(learning_rate) and not isinstance(learning_rate, Tensor) else None
        first = self._schedule(0) if self._schedule is not None else learning_rate
        with name_scope((self.name,)):
            self._learning_rate = Variable(_rate(first), trainable=False, name="learning_rate", device=CPU)
        self._parameters: list[Variable] = []
        self._slots: dict[str, list[Variable]] = {}
        self._position: dict[int, int] = {}
        self._without_decay: set[int] = set()

    @property
    def learning_rate(self) -> Any:
        """The learning rate, a variable; assigning a number, or a schedule, changes it from the next step on."""
        if self._schedule is not None:
            self._learning_rate.assign(_rate(self._schedule(int(self.iterations))))
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self._schedule = value if callable(value) and not isinstance(value, Tensor) else None
        if self._schedule is None:
            self._learning_rate.assign(_rate(value))

    @property
    def variables(self) -> list[Variable]:
        """The step, the learning rate, and what is kept for each weight: all that a checkpoint needs."""
        columns = [self._slots[slot] for slot in self.slots] if self.built else []
        rows = zip(*columns, strict=True) if self.slots_by_weight else columns
        return [self.iterations, self._learning_rate, *(v for row in rows for v in row)]

    @property
    def built(self) -> bool:
        """Whether it knows the weights that it changes."""
        return bool(self._parameters)

    def build(self, variables: Sequence[Variable]) -> None:
        """Makes what is kept for each of ``variables``; called by the first ``apply``."""
        self._parameters = list(variables)
        self._position = {id(v): i for i, v in enumerate(self._parameters)}
        with name_scope((self.name,)):
            self._slots = {slot: [self._slot(slot, v) for v in self._parameters] for slot in self.slots}

    def _slot(self, slot: str, weight: Variable) -> Variable:
        start = weight.device.backend.xp.full(weight.shape, self.initial_value(slot), weight.dtype)
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

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Tensor | None, Variable]]) -> None:
        """``apply`` for pairs of a gradient and its variable."""
        grads, variables = zip(*grads_and_vars, strict=True)
        self.apply(grads, variables)

    def _step(self, gradients: list[Tensor], variables: list[Variable]) -> None:
        rate, step = float(self.learning_rate), int(self.iterations) + 1
        gradients = self._clip(gradients)
        if self.weight_decay:
            for variable in variables:
                if id(variable) not in self._without_decay:
                    with variable.device.active():
                        variable.data -= variable.data * variable.dtype.type(self.weight_decay * rate)
        positions = [self._position[id(v)] for v in variables]
        slots = {slot: [self._slots[slot][i].data for i in positions] for slot in self.slots}
        arrays = [v.data for v in variables]
        self.update(variables[0].device.backend, arrays, [g.data for g in gradients], slots, rate, step)
        for variable in variables:
            variable.version += 1
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable))
        self.iterations.assign(step)

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

    def exclude_from_weight_decay(self, var_list: Iterable[Variable] = (), var_names: Iterable[str] = ()) -> None:
        """Leaves variables out of weight decay: those given, and those whose name contains one of ``var_names``.

        Names are looked up among the variables of ``build``, which must have been called.
        """
        self._without_decay |= {id(v) for v in var_list}
        names = tuple(var_names)
        self._without_decay |= {id(v) for v in self._parameters if any(name in v.path for name in names)}

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "learning_rate": self._schedule if self._schedule is not None else float(self._learning_rate),
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "clipvalue": self.clipvalue,
            "global_clipnorm": self.global_clipnorm,
        }

    def __repr__(self) -> str:
        return f"<{type(self).__name__} learning_rate={float(self._learning_rate):g}, step={int(self.iterations)}>"


def _rate(value: Any) -> Any:
    rate = np.float32(value)
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
