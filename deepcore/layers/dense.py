"""The fully connected layer."""

from __future__ import annotations

from typing import Any

from deepcore import activations, constraints, initializers, ops, regularizers
from deepcore.layers.input_spec import InputSpec
from deepcore.layers.layer import Layer, positive_int
from deepcore.tensor import Tensor
from deepcore.variable import Variable


class Dense(Layer):
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
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units = positive_int("units", units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.bias: Variable | None = None
        self.input_spec = InputSpec(min_ndim=2)

    def build(self, input_shape: Any) -> None:
        features = positive_int("the size of the input's last axis", input_shape[-1])
        self.kernel = self.add_weight(
            (features, self.units),
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        if self.use_bias:
            self.bias = self.add_weight(
                (self.units,),
                self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )
        self.input_spec = InputSpec(min_ndim=2, axes={-1: features})

    def call(self, x: Tensor) -> Tensor:
        rows = x if x.ndim == 2 else ops.reshape(x, (-1, x.shape[-1]))
        fused = activations.epilogue_of(self.activation)
        y = ops.matmul(rows, self.kernel, bias=self.bias, activation=fused or "linear")
        y = y if x.ndim == 2 else ops.reshape(y, (*x.shape[:-1], self.units))
        return y if fused else self.activation(y)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }
