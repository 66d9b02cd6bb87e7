"""A trace: the calls that a computation is made of, noted while it runs, to be made again for other arrays.

Every primitive notes its function, its arguments and its results. An argument is known if it is an input of the trace,
a variable, the result of a call noted before, or a number that was declared a constant. Whatever else reaches a
primitive was made in a way that nobody noted, so the trace is given up, and so it is for an array among attributes.
What a computation does beside calling primitives, and must be done again, is noted by whoever does it: numbers drawn
from a stream, values written into a variable, values that are looked at and refused.

Which calls are made must not depend on values, nor on anything that changes between two runs; to know that is the
business of who traces.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np

from deepcore.device import quietly
from deepcore.tensor import Tensor

_tracing: ContextVar[Trace | None] = ContextVar("deepcore_tracing", default=None)

tracing = _tracing.get  # the trace that notes what is computed now, if any

_NOTHING = 0  # the register of an argument that is None
_FEW = 64  # elements of a constant that is worth keeping


class Draw(NamedTuple):
    """Numbers of a stream that one call uses up.

    Attributes:
        seed: of the stream.
        offset: where in the stream they begin.
    """

    seed: int
    offset: int


class _Call(NamedTuple):
    """A call that is made again.

    Attributes:
        function: takes the backend, arrays and attributes.
        arguments: registers of its arrays.
        attributes: that are the same each time.
        draws: names and registers of attributes that are a ``Draw``.
        results: the register of its result, or registers of several.
        last: registers that nothing reads after this call.
    """

    function: Callable[..., Any]
    arguments: tuple[int, ...]
    attributes: dict[str, Any]
    draws: tuple[tuple[str, int], ...]
    results: int | tuple[int, ...]
    last: tuple[int, ...]


class Trace:
    """What is noted of one computation. ``with`` the trace, everything that this thread computes is noted.

    Args:
        inputs: tensors that are others each time.
        variables: tensors whose memory stays the same.
    """

    def __init__(self, inputs: Sequence[Tensor], variables: Sequence[Tensor]) -> None:
        self._inputs, self._variables = len(inputs), tuple(variables)
        known = {id(tensor._array) for tensor in (*inputs, *variables)}
        self._given_up = len(known) < len(inputs) + len(variables)  # of one array in two places, which of them is read?
        self._registers = 1  # the first one holds None
        self._where: dict[int, tuple[Any, int]] = {}  # by the id of an array: a reference to it, its register
        self._drawn: list[tuple[Draw, int]] = []
        self._constants: list[tuple[int, Any]] = []
        self._calls: list[tuple[Any, ...]] = []
        for tensor in (*inputs, *variables):
            self._register(tensor)

    def __enter__(self) -> Trace:
        self._token = _tracing.set(self)
        return self

    def __exit__(self, *error: object) -> None:
        _tracing.reset(self._token)

    def give_up(self) -> None:
        """Says that something happens that cannot be done again."""
        self._given_up = True

    def constant(self, tensor: Tensor) -> None:
        """Says that the few numbers in ``tensor`` are the same each time."""
        if tensor.size > _FEW:
            self.give_up()
            return
        self._constants.append((self._register(tensor), tensor._array))

    def call(
        self, function: Callable[..., Any], inputs: Sequence[Tensor | None], attributes: dict[str, Any], results: Any
    ) -> None:
        """Notes ``function(backend, *arrays, **attributes)``, of the arrays of ``inputs``.

        ``results``: the tensor of its result, or a tuple of them.
        """
        if self._given_up:
            return
        arguments = tuple([self._found(tensor) for tensor in inputs])
        draws = tuple([(name, self._place(value)) for name, value in attributes.items() if type(value) is Draw])
        if any(map(_holds_arrays, attributes.values())):
            self.give_up()
        many = isinstance(results, tuple)
        found = tuple([self._register(tensor) for tensor in results]) if many else self._register(results)
        self._calls.append((function, arguments, attributes, draws, found))

    def draw(self, draw: Draw, again: Callable[[], Draw]) -> None:
        """Notes numbers drawn from a stream; ``again`` draws the next ones."""
        self._drawn.append((draw, self._registers))
        self._calls.append((lambda backend: again(), (), {}, (), self._registers))
        self._registers += 1

    def effect(self, function: Callable[[Tensor], Any], tensor: Tensor) -> None:
        """Notes ``function(tensor)``, of which nothing reads a result."""
        device = tensor.device

        def run(backend: Any, array: Any) -> tuple[()]:
            function(Tensor.wrap(array, device))
            return ()

        self.call(run, (tensor,), {}, ())

    def program(self, outputs: Sequence[Tensor | None]) -> Program | None:
        """What gives ``outputs``, which are among the results; None if the trace was given up."""
        found = tuple([self._found(tensor) for tensor in outputs])
        if self._given_up:
            return None
        kept = {_NOTHING, *found, *range(self._inputs + 1, self._inputs + 1 + len(self._variables))}
        kept.update(register for register, _ in self._constants)
        calls = []
        for function, arguments, attributes, draws, results in reversed(self._calls):
            made = results if isinstance(results, tuple) else (results,)
            read = (*arguments, *(register for _, register in draws))
            last = tuple(register for register in dict.fromkeys((*read, *made)) if register not in kept)
            kept.update(last)
            calls.append(_Call(function, arguments, attributes, draws, results, last))
        return Program(calls[::-1], self._registers, self._variables, self._constants, found)

    def _register(self, tensor: Tensor) -> int:
        """A new register, for the array of ``tensor``."""
        register, array = self._registers, tensor._array
        self._registers += 1
        self._where[id(array)] = weakref.ref(array), register
        return register

    def _found(self, tensor: Tensor | None) -> int:
        """The register of a tensor's array."""
        if tensor is None:
            return _NOTHING
        array = tensor._array
        # Another array may have come to lie where one died.
        reference, register = self._where.get(id(array), (None, _NOTHING))
        if reference is None or reference() is not array:
            self.give_up()
        return register

    def _place(self, draw: Draw) -> int:
        for other, register in self._drawn:
            if other is draw:
                return register
        self.give_up()
        return _NOTHING


class Program:
    """The calls of a trace, to be made for other inputs. Several threads may run it at once.

    Args:
        calls: in their order.
        registers: how many there are: the first for None, then those of inputs and variables.
        variables: whose arrays are read and written.
        constants: registers and arrays of numbers.
        outputs: registers of what is asked for.
    """

    def __init__(
        self,
        calls: Sequence[_Call],
        registers: int,
        variables: Sequence[Tensor],
        constants: Sequence[tuple[int, Any]],
        outputs: Sequence[int],
    ) -> None:
        self._calls, self._registers = calls, registers
        self._variables, self._constants, self._outputs = variables, constants, outputs

    def run(self, backend: Any, inputs: Sequence[Any]) -> list[Any]:
        """The arrays of the outputs for the arrays ``inputs``, of shapes and dtypes as before; None where it was."""
        return quietly(self._run, backend, inputs)

    def _run(self, backend: Any, inputs: Sequence[Any]) -> list[Any]:
        registers = [None, *inputs, *[variable._array for variable in self._variables]]
        registers += [None] * (self._registers - len(registers))
        for register, array in self._constants:
            registers[register] = array
        for function, arguments, attributes, draws, results, last in self._calls:
            if draws:
                attributes = {**attributes, **{name: registers[register] for name, register in draws}}
            found = function(backend, *[registers[register] for register in arguments], **attributes)
            if isinstance(results, tuple):
                for place, register in enumerate(results):
                    registers[register] = found[place]
            else:
                # NumPy makes scalars of 0-d results.
                registers[results] = np.asarray(found) if isinstance(found, np.generic) else found
            del found  # a name, too, would keep what nobody reads any more
            for register in last:
                registers[register] = None
        return [registers[register] for register in self._outputs]


def _holds_arrays(value: Any) -> bool:
    """Whether an attribute is, or holds, what may be different the next time."""
    if isinstance(value, tuple | list):
        return any(map(_holds_arrays, value))
    return isinstance(value, np.ndarray | Tensor)
