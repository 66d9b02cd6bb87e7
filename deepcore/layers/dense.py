"""The fully connected layer."""

from __future__ import annotations

from typing import Any

from deepcore import activations, ops
from deepcore.layers.arguments import positive_int
from deepcore.layers.input_spec import InputSpec
from deepcore.layers.parametric import ParametricLayer, arguments_of
from deepcore.tensor import Tensor
from deepcore.variable import Variable


class Dense(ParametricLayer):
    """activation(x @ kernel + bias), in one pass where the activation can be fused.

    Args:
        units: size of the output's last axis.
        activation: a name, a function, or None for none.
        use_bias: whether there is a bias.
        kernel_initializer, bias_initializer: of the starting values.
        kernel_regularizer, bias_regularizer: penalties added to the loss.
        kernel_constraint, bias_constraint: what the weights are held to after every step.

    Input [batch, ..., features], output [batch, ..., units]; kernel [features, units], bias [units]. Raises
    ``ValueError`` for units that are not positive, and for inputs of another size than the kernel's.
    """

    _config: tuple[str, ...] = ("units", "activation", "use_bias")
    _supports_masking = True

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**arguments_of(locals(), *self._config))
        self.units = positive_int("units", units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.bias: Variable | None = None
        self.input_spec = InputSpec(min_ndim=2)

    def build(self, input_shape: Any) -> None:
        features = positive_int("the size of the input's last axis", input_shape[-1])
        self.kernel = self.weight("kernel", (features, self.units))
        if self.use_bias:
            self.bias = self.weight("bias", (self.units,))
        self.input_spec = InputSpec(min_ndim=2, axes={-1: features})

    def call(self, x: Tensor) -> Tensor:
        rows = x if x.ndim == 2 else ops.reshape(x, (-1, x.shape[-1]))
        fused = activations.epilogue_of(self.activation)
        y = ops.matmul(rows, self.kernel, bias=self.bias, activation=fused or "linear")
        y = y if x.ndim == 2 else ops.reshape(y, (*x.shape[:-1], self.units))
        return y if fused else self.activation(y)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], self.units)
