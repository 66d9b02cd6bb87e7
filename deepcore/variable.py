"""Variable: a tensor that is kept, named, and written in place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from deepcore import initializers
from deepcore.absent import Explaining
from deepcore.autograd.trace import tracing
from deepcore.backend.numpy import packed
from deepcore.config import floatx
from deepcore.device import CPU, DeviceLike, as_device, current_device, use_device
from deepcore.naming import current_scope, unique_name
from deepcore.symbolic import remember
from deepcore.tensor import Tensor

# The Python numbers that need no looking at to become one of a dtype.
_NUMBERS = {np.dtype("float32"): float, np.dtype("float64"): float, np.dtype("int64"): int}


class Variable(Explaining, Tensor):
    """A weight, a statistic or a counter: its memory stays the same, ``assign`` writes into it.

    Args:
        initializer: the name of an initializer, a callable ``f(shape, dtype)``, or the starting value, which is
            copied.
        shape: needed with an initializer.
        dtype: by default that of the starting value, float32 with an initializer.
        trainable: whether it is recorded for a backward pass; never so for integers and booleans.
        name: ``variable``, ``variable_1``, ... by default.
        device: a device or its name; by default the current device.

    Raises ``ValueError`` if an initializer comes without a shape, or a value has another shape than ``shape``.

    >>> weight = Variable([1.0, 2.0], name="weight")
    >>> weight.assign_add([1.0, 1.0])
    <Variable path=weight, shape=(2,), dtype=float32, trainable, value=[2. 3.]>
    """

    overwrite_with_gradient = False  # whether the gradient is the new value, as that of the scales of 8-bit training is

    def __init__(
        self,
        initializer: Any,
        shape: Sequence[int] | None = None,
        dtype: Any = None,
        trainable: bool = True,
        name: str | None = None,
        *,
        device: DeviceLike | None = None,
    ) -> None:
        where = current_device() if device is None else as_device(device)
        if isinstance(initializer, str):
            initializer = initializers.get(initializer)
        if callable(initializer):
            if shape is None:
                raise ValueError(
                    f"A variable made by an initializer needs a shape; got shape=None and {initializer!r}."
                )
            with use_device(CPU):
                initializer = initializer(tuple(shape), dtype=np.dtype(floatx() if dtype is None else dtype))
        value = Tensor(initializer, dtype, where)._array
        if shape is not None and value.shape != tuple(shape):
            raise ValueError(f"A variable of shape {tuple(shape)} was given a starting value of shape {value.shape}.")
        super().__init__(Tensor.wrap(where.run(value.copy), where))
        packed.own(self._array)
        self.name = unique_name("variable") if name is None else name
        self.path = "/".join((*current_scope(), self.name))
        self.regularizer: Any = None
        self.constraint: Any = None
        self.born_trainable = bool(trainable)  # what a layer that was frozen gives back when it thaws
        self.trainable = trainable

    def __setstate__(self, state: tuple[dict[str, Any], dict[str, Any]]) -> None:
        super().__setstate__(state)
        packed.own(self._array)

    @property
    def trainable(self) -> bool:
        """Whether an optimizer may change it; integers and booleans never have gradients."""
        return self._trainable

    @trainable.setter
    def trainable(self, on: bool) -> None:
        self._trainable = bool(on)
        self._leaf_requires_grad = self._trainable and self.dtype.kind == "f"

    @property
    def value(self) -> Tensor:
        """The variable as a plain tensor: the same memory, and gradients still arrive at the variable.

        Its ``grad`` is the variable's as it is now.
        """
        value = self.alias()
        value.grad = self.grad
        return value

    def numpy(self) -> np.ndarray[Any, Any]:
        """A copy of the values: what is assigned later does not change it."""
        values = self._values()
        return values.copy() if values is self._array else values

    def assign(self, value: Any) -> Variable:  # type: ignore[override]
        """Writes ``value`` into the variable's memory. Raises ``ValueError`` if the shapes differ."""
        trace = tracing()
        if trace is not None:
            if isinstance(value, Tensor):
                trace.effect(self.assign, value)
            else:
                trace.give_up()
        array = self._here(value)
        if array.shape != self.shape:
            raise ValueError(
                f"assign: the variable {self.path!r} has shape {self.shape}; got a value of shape {array.shape}."
            )
        remember(self)
        with self.device.active(), packed.writing(self._array):
            self._array[...] = array
        self.version += 1
        return self

    def assign_add(self, value: Any) -> Variable:
        """Adds ``value``, which may broadcast, in place."""
        return self._change(value, 1)

    def assign_sub(self, value: Any) -> Variable:
        """Subtracts ``value``, which may broadcast, in place."""
        return self._change(value, -1)

    def _change(self, value: Any, sign: int) -> Variable:
        trace = tracing()
        if trace is not None:
            trace.give_up()
        array = self._here(value)
        fits = array.shape in ((), self.shape) or np.broadcast_shapes(array.shape, self.shape) == self.shape
        if not fits:
            raise ValueError(
                f"The variable {self.path!r} has shape {self.shape}; a change of shape {array.shape} does not fit it."
            )
        remember(self)
        with self.device.active(), packed.writing(self._array):
            self._array += array if sign > 0 else -array
        self.version += 1
        return self

    def _here(self, value: Any) -> Any:
        """``value`` as an array of the variable's dtype where the variable is."""
        if isinstance(value, Tensor) and (value.device is self.device or value.device == self.device):
            array, dtype = value._array, self._array.dtype
            return array if array.dtype == dtype else self.device.run(array.astype, dtype)
        if self.device.kind == "cpu" and _NUMBERS.get(self._array.dtype) is type(value):
            return self._array.dtype.type(value)
        return Tensor(value, self.dtype, self.device)._array

    def __repr__(self) -> str:
        values = np.array2string(self._values(), threshold=100)
        trainable = "trainable" if self.trainable else "not trainable"
        return f"<Variable path={self.path}, shape={self.shape}, dtype={self.dtype}, {trainable}, value={values}>"


def save_variables(variables: Iterable[Variable], store: Any) -> None:
    """Writes values into ``store``, under ``"0"``, ``"1"``, ..."""
    for i, variable in enumerate(variables):
        store[str(i)] = variable.numpy()


def misfit(variables: Sequence[Variable], store: Any) -> str | None:
    """What keeps the values in ``store`` from being loaded, by their number and shapes; None if they fit.

    No value is read where the store knows its shapes, as that of a file does.
    """
    if len(store) != len(variables) or any(str(i) not in store for i in range(len(variables))):
        names = ", ".join(f"{v.name} {v.shape}" for v in variables) or "none"
        return f"the model has {len(variables)} ({names}), the file {len(store)}"
    for i, variable in enumerate(variables):
        shape = store.shape(str(i)) if hasattr(store, "shape") else np.shape(store[str(i)])
        if tuple(shape) != variable.shape:
            return f"{variable.name} has shape {variable.shape}, in the file {tuple(shape)}"
    return None


def load_variables(variables: Sequence[Variable], store: Any) -> None:
    """Reads what ``save_variables`` wrote. Raises ``ValueError``, having read nothing, where it does not fit."""
    problem = misfit(variables, store)
    if problem is not None:
        raise ValueError(f"The stored variables do not fit: {problem}.")
    for i, variable in enumerate(variables):
        variable.assign(store[str(i)])
