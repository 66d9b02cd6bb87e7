"""RNN: a cell run over every step of a sequence."""

from __future__ import annotations

import inspect
from typing import Any

from deepcore import regularizers
from deepcore.layers.input_spec import InputSpec
from deepcore.layers.layer import Layer
from deepcore.layers.recurrent.cell import (
    RecurrentCell,
    States,
    Step,
    check_cell,
    forget_dropout_masks,
    output_size_of,
    start_of,
)
from deepcore.layers.recurrent.stacked import StackedRNNCells
from deepcore.layers.wrapper import made_of
from deepcore.naming import snake_case
from deepcore.ops import broadcast_to, cast, swapaxes
from deepcore.ops.recurrent import held, joined_steps, steps_of
from deepcore.structure import leaves, map_leaves, pack_as
from deepcore.tensor import Tensor
from deepcore.variable import Variable


class RNN(Layer):
    """Runs ``cell`` over the steps of sequences, handing its states on from each step to the next.

    Args:
        cell: a layer, or any object, with ``call(inputs, states)`` that gives (output, new states), ``state_size``
            (an integer, or a list of one for each state) and, if it is another size than the first state's,
            ``output_size``; ``get_initial_state(batch_size)`` if it does not start from zeros. A list of cells is
            ``StackedRNNCells``.
        return_sequences: whether the output is that of every step, and not of the last alone.
        return_state: whether the states after the last step are given, too: (output, *states).
        go_backwards: whether the last step comes first; the outputs are in the order in which they are computed.
        stateful: whether a batch starts from the states in which the one before it ended. The batch size must be
            known when the layer is built, and stays; ``reset_state()`` makes the states zeros.
        unroll: taken for Keras's sake; the loop is one of Python in any case.
        zero_output_for_mask: whether the output is zeros, not that of the step before, where the mask is false.

    Call arguments: ``sequences`` [batch, steps, ...]; ``initial_state``, a list of tensors [batch, size];
    ``mask`` [batch, steps], false where a step is skipped, so that the states stay as they are; ``training``.

    Returns [batch, output_size], or [batch, steps, output_size]. Raises ``ValueError`` for what is not a cell, for
    masks and states that do not fit, and for another batch size where ``stateful``.

    >>> import deepcore
    >>> class Sum(Layer):
    ...     state_size = 2
    ...
    ...     def call(self, inputs, states):
    ...         total = inputs + states[0]
    ...         return total, [total]
    >>> RNN(Sum(), return_sequences=True)([[[1.0, 2.0], [3.0, 4.0]]]).tolist()
    [[[1.0, 2.0], [4.0, 6.0]]]
    """

    _states: list[Any] | None = None
    input_spec = InputSpec(min_ndim=2)
    _config: tuple[str, ...] = (
        "return_sequences",
        "return_state",
        "go_backwards",
        "stateful",
        "unroll",
        "zero_output_for_mask",
    )

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        if isinstance(cell, list | tuple):
            cell = StackedRNNCells(cell)
        check_cell(cell, "RNN: the cell")
        if not isinstance(cell.state_size, int | list | tuple):
            raise ValueError(
                "RNN: the cell's state_size must be an integer, or a list of one for each state; "
                f"got {cell.state_size!r}."
            )
        super().__init__(**kwargs)
        self.cell = cell
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.zero_output_for_mask = zero_output_for_mask
        self.supports_masking = True

    @property
    def state_size(self) -> list[Any]:
        """The size of each state."""
        size = self.cell.state_size
        return [size] if isinstance(size, int) else list(size)

    @property
    def states(self) -> list[Any] | None:
        """Where a stateful layer keeps its states; None before it is built, and for others."""
        return self._states

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        if isinstance(self.cell, Layer) and not self.cell.built:
            self.cell.build((sequences_shape[0], *sequences_shape[2:]))
        if not self.stateful:
            return
        if sequences_shape[0] is None:
            raise ValueError(
                "a stateful RNN must know the batch size when it is built; got sequences of shape "
                f"{tuple(sequences_shape)}. Give it by Input(batch_shape=(batch, steps, features))."
            )
        self._states = map_leaves(
            lambda start: Variable(start, dtype=self.dtype, trainable=False, name="rnn_state"),
            self.get_initial_state(sequences_shape[0]),
        )

    def get_build_config(self) -> dict[str, Any] | None:
        return None if self._build_shapes is None else {"input_shape": self._build_shapes[0]}

    def get_initial_state(self, batch_size: int) -> States:
        """The states that a batch starts from if it is given none."""
        start = start_of(self.cell, batch_size, self)
        return list(start) if isinstance(start, list | tuple) else [start]

    def reset_state(self) -> None:
        """Makes the states of a stateful layer zeros."""
        for state in leaves(self._states or []):
            state.assign(state * 0)

    def reset_states(self) -> None:
        """``reset_state`` by its older name."""
        self.reset_state()

    # The loop

    def call(self, sequences: Tensor, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        if not sequences.shape[1]:
            raise ValueError(f"sequences must have at least one step; got shape {sequences.shape}.")
        states = self._start(sequences, initial_state)
        running = self._running(sequences, mask)
        try:
            inputs, step = self._steps(sequences, states, training)
            outputs, states = self._loop(inputs, step, states, running)
        finally:
            forget_dropout_masks(self.cell)
        for kept, state in zip(leaves(self._states or []), leaves(states), strict=False):
            kept.assign(state.detach())
        output = cast(joined_steps(outputs, axis=1) if self.return_sequences else outputs[-1], self.compute_dtype)
        states = map_leaves(lambda state: cast(state, self.compute_dtype), states)
        return (output, *states) if self.return_state else output

    def _start(self, sequences: Tensor, given: Any) -> States:
        batch = sequences.shape[0]
        if self._states is not None and (expected := leaves(self._states)[0].shape[0]) != batch:
            raise ValueError(
                f"a stateful RNN goes on from the batch before, which had {expected} sequences; got {batch}. Leave "
                "the last, smaller batch out, or make a layer of another batch size."
            )
        if given is None and self._states is not None:
            # Copies, because the variables are written at the end, before a backward pass reads what it started from.
            given = map_leaves(lambda state: Tensor.wrap(state.data.copy(), state.device), self._states)
        elif given is None:
            given = self.get_initial_state(batch)
        states = list(given) if isinstance(given, list | tuple) else [given]
        states = map_leaves(lambda state: cast(self._as_input(state), self._cell_dtype), states)
        if isinstance(self.cell, RecurrentCell | StackedRNNCells) and len(states) != len(self.state_size):
            raise ValueError(
                f"initial_state must have {len(self.state_size)} states of sizes {self.state_size}; got {len(states)}."
            )
        return [self._of_batch(state, batch) for state in states] if isinstance(self.cell, RecurrentCell) else states

    @property
    def _cell_dtype(self) -> Any:
        return getattr(self.cell, "compute_dtype", self.compute_dtype)

    def _of_batch(self, state: Tensor, batch: int) -> Tensor:
        """One state of a cell of this package, repeated if it is given once for all sequences."""
        expected = (batch, self.cell.units)
        if state.shape not in (expected, (1, self.cell.units)):
            raise ValueError(f"each initial state must have shape {expected}; got {state.shape}.")
        return broadcast_to(state, expected)

    def _running(self, sequences: Tensor, mask: Any) -> list[Tensor] | None:
        """For each step which sequences it counts for, [batch, 1]; None if it counts for all."""
        mask = leaves(mask)[0]
        if mask is None:
            return None
        mask = mask if isinstance(mask, Tensor) else Tensor(mask, device=sequences.device)
        if mask.shape[:2] != sequences.shape[:2]:
            raise ValueError(
                f"the mask must be [batch, steps], {tuple(sequences.shape[:2])} for these sequences; "
                f"got shape {mask.shape}."
            )
        return list(steps_of(cast(mask, bool), axis=1))

    def _steps(self, sequences: Tensor, states: States, training: bool) -> tuple[list[Tensor], Step]:
        """The input of each step, and the function that makes a step of one."""
        cell = self.cell
        by_time = cast(swapaxes(sequences, 0, 1), self._cell_dtype)
        ours = isinstance(cell, RecurrentCell) and type(cell).call is RecurrentCell.call
        if ours and cell.activity_regularizer is None:
            return list(steps_of(cell.project(by_time, training))), cell.stepper(states, training)
        return list(steps_of(by_time)), cell if callable(cell) else cell.call

    def _loop(
        self, inputs: list[Tensor], step: Step, states: States, running: list[Tensor] | None
    ) -> tuple[list[Tensor], States]:
        outputs: list[Tensor] = []
        times = range(len(inputs))
        for t in reversed(times) if self.go_backwards else times:
            output, after = step(inputs[t], states)
            after = list(after) if isinstance(after, list | tuple) else [after]
            if running is not None:
                before = outputs[-1] if outputs and not self.zero_output_for_mask else None
                output = held(running[t], output, before)
                pairs = zip(leaves(after), leaves(states), strict=True)
                after = pack_as(states, [held(running[t], new, old) for new, old in pairs])
            states = after
            if not self.return_sequences:
                outputs.clear()
            outputs.append(output)
        return outputs, states

    # What is known beforehand

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        batch, steps = sequences_shape[:2]
        size = output_size_of(self.cell)
        output = (batch, steps, size) if self.return_sequences else (batch, size)
        if not self.return_state:
            return output
        return (output, *map_leaves(lambda size: (batch, size), self.state_size))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        mask = leaves(previous_mask)[0] if self.return_sequences else None
        return [mask, *(None for _ in leaves(self.state_size))] if self.return_state else mask

    def get_config(self) -> dict[str, Any]:
        from deepcore.layers import serialize

        return {**super().get_config(), "cell": serialize(self.cell)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        return cls(**{**config, "cell": made_of(config["cell"], custom_objects)})


class RecurrentLayer(RNN):
    """The base of ``SimpleRNN``, ``GRU`` and ``LSTM``: an ``RNN`` that makes its cell of its own arguments.

    What the cell was given, ``units`` and so on, is read from the layer, too.
    """

    cell_class: type[RecurrentCell]

    def __init__(self, given: dict[str, Any]) -> None:
        names = {*_arguments_of(self.cell_class), "implementation"}
        of_cell = {name: given.pop(name) for name in names & set(given)}
        shared = {name: given[name] for name in ("dtype", "trainable") if name in given}
        cell = self.cell_class(**of_cell, **shared, name=snake_case(self.cell_class.__name__))
        super().__init__(cell, **given)
        self.input_spec = InputSpec(ndim=3)

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        super().build(sequences_shape, initial_state_shape)
        self.input_spec = InputSpec(ndim=3, axes={-1: sequences_shape[-1]})

    def __getattr__(self, name: str) -> Any:
        if "cell" in vars(self) and name in _arguments_of(self.cell_class):
            return getattr(self.cell, name)
        return super().__getattr__(name)  # type: ignore[misc]  # the base has it where types are not checked

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["cell"]
        own = {name: value for name, value in self.cell.get_config().items() if name not in config}
        return {**config, **own, "activity_regularizer": regularizers.serialize(self.activity_regularizer)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        return cls(**config)


def _arguments_of(cell_class: type[RecurrentCell]) -> set[str]:
    return set(inspect.signature(cell_class.__init__).parameters) - {"self", "kwargs"}
