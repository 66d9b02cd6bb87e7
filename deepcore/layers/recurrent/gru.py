"""The gated recurrent unit."""

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
from deepcore.ops.recurrent import gru_step
from deepcore.tensor import Tensor


class GRUCell(RecurrentCell):
    """h' = z h + (1 - z) n, with an update gate z, a reset gate s and a candidate n.

    z and s are recurrent_activation of x @ kernel + h @ recurrent_kernel + bias, of their columns of the weights, and n
    is activation(x @ kernel + bias + s (h @ recurrent_kernel + recurrent bias)) with ``reset_after``, or else
    activation(x @ kernel + (s h) @ recurrent_kernel + bias).

    Args:
        units: size of the state.
        activation: of the candidate: a name, a function, or None for none.
        recurrent_activation: of the gates.
        use_bias: whether there is a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: of the starting values.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties added to the loss.
        kernel_constraint, recurrent_constraint, bias_constraint: what an optimizer applies after every step.
        dropout: the rate at which inputs are dropped, with the same mask in every step.
        recurrent_dropout: the rate at which the state before is dropped, with the same mask in every step.
        seed: of the layer's own stream of masks; drawn from the default stream by default.
        reset_after: whether the reset gate acts on the product with the state, and not on the state.
        implementation: 1 for a dropout mask of its own for each gate, 2 for one that all share; with
            recurrent_dropout always 1.

    Input [batch, features] and one state [batch, units]; kernel [features, 3 units], recurrent_kernel
    [units, 3 units], both in the order z, s, n; bias [2, 3 units], for input and state, with ``reset_after``, or else
    [3 units]. Raises ``ValueError`` for units that are not positive. Cho et al. 2014.
    """

    gates = 3
    _config: tuple[str, ...] = ("recurrent_activation", "reset_after")

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
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
        reset_after: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**arguments_of(locals(), "recurrent_activation", "reset_after"))
        self.recurrent_activation = activations.get(recurrent_activation)
        self.reset_after = reset_after

    def _bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def _input_bias(self) -> Tensor | None:
        return self.bias[0] if self.bias is not None and self.reset_after else self.bias

    def stepper(self, states: States, training: bool) -> Step:
        return (self._reset_after if self.reset_after else self._reset_before)(states, training)

    def _reset_after(self, states: States, training: bool) -> Step:
        bias = None if self.bias is None else self.bias[1]
        product = self._recurrent_product(states, training, bias)
        standard = uses_standard_gates(self)
        n_columns = (Ellipsis, slice(2 * self.units, None))

        def step(x: Tensor, states: States) -> tuple[Tensor, States]:
            h, r = states[0], product(states[0])
            if standard:
                h = gru_step(x, r, h)
            else:
                z, s = self._gates(x, r)
                h = self._mixed(z, h, x[n_columns] + s * r[n_columns])
            return h, [h]

        return step

    def _reset_before(self, states: States, training: bool) -> Step:
        masks = self.get_recurrent_dropout_mask(states[0]) if training else None
        z_block, s_block, n_block = ops.split(self.recurrent_kernel, 3, -1)
        gates_block = self.recurrent_kernel[:, : 2 * self.units]

        def step(x: Tensor, states: States) -> tuple[Tensor, States]:
            h = kept = states[0]
            if masks is None:
                r = ops.matmul(h, gates_block)
            else:
                r = ops.concatenate([ops.matmul(h * masks[0], z_block), ops.matmul(h * masks[1], s_block)], -1)
                kept = h * masks[2]
            z, s = self._gates(x, r)
            h = self._mixed(z, h, x[..., 2 * self.units :] + ops.matmul(s * kept, n_block))
            return h, [h]

        return step

    def _gates(self, x: Tensor, r: Tensor) -> list[Tensor]:
        columns = (Ellipsis, slice(2 * self.units))
        return ops.split(self.recurrent_activation(x[columns] + r[columns]), 2, -1)

    def _mixed(self, z: Tensor, h: Tensor, candidate: Tensor) -> Tensor:
        return z * h + (1 - z) * self.activation(candidate)


class GRU(RecurrentLayer):
    """``RNN`` over a ``GRUCell``; its arguments are theirs.

    ``use_cudnn`` is taken for Keras's sake: True, False or "auto".

    >>> import deepcore
    >>> output, state = GRU(4, return_state=True)(deepcore.random.normal((2, 5, 3)))
    >>> output.shape, bool((output.numpy() == state.numpy()).all())
    ((2, 4), True)
    """

    cell_class = GRUCell

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
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
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: bool | str = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(arguments_of(locals(), "use_cudnn"))
        self.use_cudnn = check_use_cudnn(use_cudnn)
