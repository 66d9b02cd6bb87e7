"""The simple recurrent network: the output is the state."""

from __future__ import annotations

from typing import Any

from deepcore.layers.parametric import arguments_of
from deepcore.layers.recurrent.cell import RecurrentCell, States, Step
from deepcore.layers.recurrent.rnn import RecurrentLayer
from deepcore.tensor import Tensor


class SimpleRNNCell(RecurrentCell):
    """activation(x @ kernel + h @ recurrent_kernel + bias), which is both the output and the next h.

    Args:
        units: size of the state.
        activation: a name, a function, or None for none.
        use_bias: whether there is a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: of the starting values.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties added to the loss.
        kernel_constraint, recurrent_constraint, bias_constraint: what an optimizer applies after every step.
        dropout: the rate at which inputs are dropped, with the same mask in every step.
        recurrent_dropout: the rate at which the state before is dropped, with the same mask in every step.
        seed: of the layer's own stream of masks; drawn from the default stream by default.

    Input [batch, features] and one state [batch, units]; kernel [features, units], recurrent_kernel [units, units],
    bias [units]. Raises ``ValueError`` for units that are not positive. Elman 1990.
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
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
        super().__init__(**arguments_of(locals()))

    def stepper(self, states: States, training: bool) -> Step:
        product = self._recurrent_product(states, training)

        def step(x: Tensor, states: States) -> tuple[Tensor, States]:
            h = self.activation(x + product(states[0]))
            return h, [h]

        return step


class SimpleRNN(RecurrentLayer):
    """``RNN`` over a ``SimpleRNNCell``; its arguments are theirs.

    >>> import deepcore
    >>> layer = SimpleRNN(4, return_sequences=True)
    >>> layer(deepcore.random.normal((2, 5, 3))).shape
    (2, 5, 4)
    """

    cell_class = SimpleRNNCell

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(arguments_of(locals()))
