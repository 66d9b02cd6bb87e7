"""Long short-term memory."""

from __future__ import annotations

from typing import Any

from deepcore import activations, ops
from deepcore.layers.parametric import arguments_of
from deepcore.layers.recurrent.cell import (
    RecurrentCell,
    States,
    Step,
    check_use_cudnn,
    uses_standard_gates,
)
from deepcore.layers.recurrent.rnn import RecurrentLayer
from deepcore.ops.recurrent import lstm_step
from deepcore.tensor import Tensor


class LSTMCell(RecurrentCell):
    """c' = f c + i g and h = o activation(c'), with gates i (input), f (forget), o (output) and a candidate g.

    i, f and o are recurrent_activation, and g activation, of x @ kernel + h @ recurrent_kernel + bias, of their columns
    of the weights.

    Args:
        units: size of the states.
        activation: of the candidate and of the carry: a name, a function, or None for none.
        recurrent_activation: of the gates.
        use_bias: whether there is a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: of the starting values.
        unit_forget_bias: whether the forget gate's bias starts from 1. Jozefowicz et al. 2015.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties added to the loss.
        kernel_constraint, recurrent_constraint, bias_constraint: what an optimizer applies after every step.
        dropout: the rate at which inputs are dropped, with the same mask in every step.
        recurrent_dropout: the rate at which the state before is dropped, with the same mask in every step.
        seed: of the layer's own stream of masks; drawn from the default stream by default.
        implementation: 1 for a dropout mask of its own for each gate, 2 for one that all share; with
            recurrent_dropout always 1.

    Input [batch, features] and two states, h and c, [batch, units]; kernel [features, 4 units], recurrent_kernel
    [units, 4 units], bias [4 units], in the order i, f, g, o. Raises ``ValueError`` for units that are not positive.
    Hochreiter and Schmidhuber 1997.
    """

    gates = 4
    _config: tuple[str, ...] = ("recurrent_activation", "unit_forget_bias")

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**arguments_of(locals(), "recurrent_activation", "unit_forget_bias"))
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias
        self.state_size = [self.units, self.units]

    def _first_bias(self) -> Any:
        return self._forget_bias if self.unit_forget_bias else None

    def _forget_bias(self, shape: tuple[int, ...], dtype: Any = None) -> Tensor:
        draw, size = self.bias_initializer, (self.units,)  # type: ignore[attr-defined]
        ones = ops.ones_like(ops.convert_to_tensor(draw(size, dtype=dtype)))
        return ops.concatenate([draw(size, dtype=dtype), ones, draw((2 * self.units,), dtype=dtype)])

    def stepper(self, states: States, training: bool) -> Step:
        product = self._recurrent_product(states, training)
        standard = uses_standard_gates(self)

        def step(x: Tensor, states: States) -> tuple[Tensor, States]:
            h, c = states
            if standard:
                h, c = lstm_step(x, product(h), c)
            else:
                i, f, g, o = ops.split(x + product(h), 4, -1)
                c = self.recurrent_activation(f) * c + self.recurrent_activation(i) * self.activation(g)
                h = self.recurrent_activation(o) * self.activation(c)
            return h, [h, c]

        return step


class LSTM(RecurrentLayer):
    """``RNN`` over an ``LSTMCell``; its arguments are theirs.

    ``use_cudnn`` is taken for Keras's sake: True, False or "auto".

    >>> import deepcore
    >>> x = deepcore.random.normal((2, 5, 3))
    >>> sequence, h, c = LSTM(4, return_sequences=True, return_state=True)(x)
    >>> sequence.shape, h.shape, c.shape
    ((2, 5, 4), (2, 4), (2, 4))
    """

    cell_class = LSTMCell

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        use_cudnn: bool | str = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(arguments_of(locals(), "use_cudnn"))
        self.use_cudnn = check_use_cudnn(use_cudnn)
