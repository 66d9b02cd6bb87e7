"""What the cells of this package share: their arguments, their weights, and dropout masks that all steps share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from deepcore import activations, ops
from deepcore.layers.arguments import positive_int
from deepcore.layers.layer import Layer
from deepcore.layers.parametric import ParametricLayer
from deepcore.random import as_generator
from deepcore.structure import leaves
from deepcore.tensor import Tensor
from deepcore.variable import Variable

States = list[Any]
Step = Callable[[Any, States], tuple[Tensor, States]]


def zeros(shape: Sequence[int], like: Layer) -> Tensor:
    """Zeros where the weights of ``like`` are, of the dtype that it computes in."""
    device = like.device
    return Tensor.wrap(device.backend.xp.zeros(tuple(shape), like.compute_dtype), device)


class RecurrentCell(ParametricLayer):
    """The base of ``SimpleRNNCell``, ``GRUCell`` and ``LSTMCell``; their arguments are described there.

    A step is cut in two: ``project`` is what the input contributes, which ``RNN`` computes for all steps in one
    product, and the function that ``stepper`` gives is what is left to do one step after the other.

    Attributes:
        gates: how many blocks of ``units`` columns the kernels have.
        state_size, output_size: as ``RNN`` expects of every cell.
    """

    gates = 1
    _config: tuple[str, ...] = ("units", "activation", "use_bias", "dropout", "recurrent_dropout", "seed")

    def __init__(
        self,
        *,
        units: int,
        activation: Any,
        use_bias: bool,
        dropout: float,
        recurrent_dropout: float,
        seed: Any,
        implementation: int = 2,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = positive_int("units", units, TypeError)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.dropout = min(1.0, max(0.0, dropout))
        self.recurrent_dropout = min(1.0, max(0.0, recurrent_dropout))
        self.implementation = 1 if self.recurrent_dropout else implementation
        self.seed = seed
        self.seed_generator = as_generator(seed)
        self.state_size: Any = self.units
        self.output_size = self.units
        self.bias: Variable | None = None
        self._dropout_mask: Tensor | None = None
        self._recurrent_dropout_mask: Tensor | None = None

    def build(self, input_shape: Any) -> None:
        features = positive_int("the size of the input's last axis", input_shape[-1])
        columns = self.gates * self.units
        self.kernel = self.weight("kernel", (features, columns))
        self.recurrent_kernel = self.weight("recurrent_kernel", (self.units, columns), "recurrent")
        if self.use_bias:
            self.bias = self.weight("bias", self._bias_shape(), initializer=self._first_bias())

    def _bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def _first_bias(self) -> Any:
        """The initializer of the bias where it is not the one that was given."""
        return None

    # A step

    def call(self, inputs: Tensor, states: Any, training: bool = False) -> tuple[Tensor, Any]:
        """One step: inputs [batch, features] and states [batch, units] to an output [batch, units] and states."""
        nested = isinstance(states, list | tuple)
        before = list(states) if nested else [states]
        if len(before) != len(leaves(self.state_size)):
            raise ValueError(f"expected states of sizes {leaves(self.state_size)}; got {len(before)} of them.")
        output, after = self.stepper(before, training)(self.project(inputs, training), before)
        return output, after if nested else after[0]

    def project(self, x: Tensor, training: bool) -> Tensor:
        """x @ kernel + bias for x [..., batch, features], dropout applied: [..., batch, gates * units]."""
        masks = self.get_dropout_mask(x if x.ndim == 2 else x[0]) if training else None
        bias = self._input_bias()
        if masks is None or masks.ndim == 2:
            x = x if masks is None else x * masks
            rows = ops.reshape(x, (-1, x.shape[-1]))
            y = ops.matmul(rows, self.kernel, bias=bias)
        else:
            lead = (self.gates, *(1,) * (x.ndim - 2), *masks.shape[1:])
            rows = ops.reshape(x * ops.reshape(masks, lead), (self.gates, -1, x.shape[-1]))
            y = self._gate_by_gate(rows, self._blocks(self.kernel))
            y = y if bias is None else y + bias
        return ops.reshape(y, (*x.shape[:-1], y.shape[-1]))

    def _input_bias(self) -> Tensor | None:
        return self.bias

    def stepper(self, states: States, training: bool) -> Step:
        """The function of (projected input, states) that makes a step; what all steps share is computed here."""
        raise NotImplementedError(f"{type(self).__name__} must implement stepper(states, training).")

    def _recurrent_product(
        self, states: States, training: bool, bias: Tensor | None = None
    ) -> Callable[[Tensor], Tensor]:
        """The function h -> h @ recurrent_kernel + bias, with one dropout mask for all steps."""
        masks = self.get_recurrent_dropout_mask(states[0]) if training else None
        if masks is None:
            return lambda h: ops.matmul(h, self.recurrent_kernel, bias=bias)
        if masks.ndim == 2:
            return lambda h: ops.matmul(h * masks, self.recurrent_kernel, bias=bias)
        blocks = self._blocks(self.recurrent_kernel)

        def product(h: Tensor) -> Tensor:
            y = self._gate_by_gate(h * masks, blocks)
            return y if bias is None else y + bias

        return product

    def _blocks(self, kernel: Tensor) -> Tensor:
        """A kernel [n, gates * units] as [gates, n, units]."""
        return ops.transpose(ops.reshape(kernel, (kernel.shape[0], self.gates, self.units)), (1, 0, 2))

    def _gate_by_gate(self, rows: Tensor, blocks: Tensor) -> Tensor:
        """Rows [gates, n, features], other ones for each gate, times their blocks: [n, gates * units]."""
        return ops.reshape(ops.transpose(ops.matmul(rows, blocks), (1, 0, 2)), (rows.shape[1], -1))

    def get_initial_state(self, batch_size: int) -> States:
        """Zeros for each state."""
        return [zeros((batch_size, size), self) for size in leaves(self.state_size)]

    # Dropout

    def get_dropout_mask(self, step_input: Tensor) -> Tensor | None:
        """The mask of the inputs, the same one until ``reset_dropout_mask``; None where nothing is dropped.

        It is of the shape of ``step_input``, [batch, features], with one in front for each gate where
        ``implementation`` is 1.
        """
        if self._dropout_mask is None:
            self._dropout_mask = self._draw_mask(step_input, self.dropout)
        return self._dropout_mask

    def get_recurrent_dropout_mask(self, state: Tensor) -> Tensor | None:
        """The mask of the state before, as ``get_dropout_mask``."""
        if self._recurrent_dropout_mask is None:
            self._recurrent_dropout_mask = self._draw_mask(state, self.recurrent_dropout)
        return self._recurrent_dropout_mask

    def reset_dropout_mask(self) -> None:
        """Forgets the mask of the inputs, as ``RNN`` does after every sequence."""
        self._dropout_mask = None

    def reset_recurrent_dropout_mask(self) -> None:
        """Forgets the mask of the state."""
        self._recurrent_dropout_mask = None

    def _draw_mask(self, like: Tensor, rate: float) -> Tensor | None:
        if rate == 0 or (rate == 1 and self.gates > 1):  # Keras's gated cells drop nothing at a rate of 1
            return None
        one_each = self.gates > 1 and self.implementation == 1
        shape = (self.gates, *like.shape) if one_each else like.shape
        ones = Tensor.wrap(like.device.backend.xp.ones(shape, like.dtype), like.device)
        return ones * 0.0 if rate == 1 else ops.dropout(ones, rate, self.seed_generator)


def forget_dropout_masks(cell: Any) -> None:
    """Forgets the masks of a cell, and of those that it is made of."""
    for part in (cell, *getattr(cell, "cells", ())):
        for name in ("reset_dropout_mask", "reset_recurrent_dropout_mask"):
            if hasattr(part, name):
                getattr(part, name)()


def uses_standard_gates(cell: Any) -> bool:
    """Whether a cell's activations are those that run as one recorded operation."""
    return cell.activation is activations.tanh and cell.recurrent_activation is activations.sigmoid


def check_use_cudnn(value: Any) -> Any:
    """``value`` if it is one that Keras takes. Raises ``ValueError`` for others."""
    if value not in ("auto", True, False):
        raise ValueError(f'use_cudnn must be "auto", True or False; got use_cudnn={value!r}.')
    return value


# What any cell says of itself


def check_cell(cell: Any, what: str) -> None:
    """Raises ``ValueError`` unless ``cell`` has a ``call`` and a ``state_size``."""
    if not hasattr(cell, "call"):
        raise ValueError(f"{what} must have a method call(inputs, states); got {cell!r}.")
    if "state_size" not in dir(cell):  # not hasattr, which hides the errors of a property
        raise ValueError(f"{what} must have state_size, an integer or a list of one for each state; got {cell!r}.")


def output_size_of(cell: Any) -> int:
    """The size of what a cell gives: its ``output_size``, or that of its first state."""
    size = getattr(cell, "output_size", None)
    if size is None:
        size = cell.state_size[0] if isinstance(cell.state_size, list | tuple) else cell.state_size
    if not isinstance(size, int):
        raise ValueError(f"A cell's output_size must be an integer; got {size!r} from {cell!r}.")
    return size


def start_of(cell: Any, batch_size: int, like: Layer) -> Any:
    """The states that a cell starts from: what its ``get_initial_state`` gives, or zeros."""
    if hasattr(cell, "get_initial_state"):
        return cell.get_initial_state(batch_size=batch_size)
    if isinstance(cell.state_size, int):
        return zeros((batch_size, cell.state_size), like)
    return [zeros((batch_size, size), like) for size in cell.state_size]
