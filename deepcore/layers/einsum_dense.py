"""The dense layer over any axes, named by letters."""

from __future__ import annotations

import dataclasses
import math
import re
import string
from collections.abc import Sequence
from typing import Any

from deepcore import activations, initializers, ops
from deepcore.layers.input_spec import InputSpec
from deepcore.layers.parametric import ParametricLayer, arguments_of
from deepcore.tensor import Tensor
from deepcore.variable import Variable

_EQUATION = re.compile(r"(\.\.\.)?([a-zA-Z]+)(\.\.\.)?,([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)(\.\.\.)?")


@dataclasses.dataclass(frozen=True)
class _Plan:
    """An equation for inputs of one rank: the letters of each tensor, ``...`` spelled out, and the known sizes."""

    inputs: str
    kernel: str
    output: str
    sizes: dict[str, Any]
    bias: tuple[int, ...] | None

    def shape(self, letters: str) -> tuple[Any, ...]:
        return tuple(self.sizes[letter] for letter in letters)


class EinsumDense(ParametricLayer):
    """activation(einsum(equation, x, kernel) + bias).

    Args:
        equation: a letter for each axis, as ``"ab,bc->ac"``; ``...`` stands for any axes, at the beginning or the end
            of both input and output.
        output_shape: of one example: the sizes of the output's letters but the first, None where the input knows.
        activation: a name, a function, or None for none.
        bias_axes: the output's letters that the bias has; None for no bias.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, kernel_constraint,
            bias_constraint: of the weights.

    Weights kernel, of the equation's second shape, and bias. Raises ``ValueError``, when it is built, for an equation
    of another form, for letters that stand nowhere else, and for sizes that contradict each other.

    >>> EinsumDense("abc,cd->abd", (None, 64)).compute_output_shape((None, 10, 32))
    (None, 10, 64)
    """

    _config: tuple[str, ...] = ("equation", "activation", "bias_axes")
    kernel_initializer: Any

    def __init__(
        self,
        equation: str,
        output_shape: int | Sequence[int | None],
        activation: Any = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**arguments_of(locals(), *self._config, "output_shape"))
        self.equation = equation
        self.partial_output_shape = (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)
        self.activation = activations.get(activation)
        self.bias_axes = bias_axes
        self.bias: Variable | None = None

    def build(self, input_shape: Any) -> None:
        plan = self._plan(tuple(input_shape))
        shape = plan.shape(plan.kernel)
        if None in shape:
            raise ValueError(
                f"the kernel's sizes must be known; {self.equation!r} gives it shape {shape} for inputs of shape "
                f"{tuple(input_shape)} and output_shape={self.partial_output_shape}."
            )
        # What counts as a fan: the kernel's axes that the output has not, and those that it has.
        fan_in = math.prod(plan.sizes[letter] for letter in plan.kernel if letter not in plan.output)
        initializer = self.kernel_initializer
        if isinstance(initializer, initializers.VarianceScaling):

            def initializer(shape: tuple[int, ...], dtype: Any = None) -> Tensor:
                table = self.kernel_initializer((fan_in, math.prod(shape) // max(1, fan_in)), dtype=dtype)
                return ops.reshape(table, shape)

        self.kernel = self.weight("kernel", shape, initializer=initializer)
        if plan.bias is not None:
            if None in plan.bias:
                raise ValueError(f"the bias's sizes must be known; bias_axes={self.bias_axes!r} gives it {plan.bias}.")
            self.bias = self.weight("bias", plan.bias)
        self.input_spec = InputSpec(ndim=len(input_shape))

    def _plan(self, shape: tuple[Any, ...]) -> _Plan:
        """The equation for inputs of ``shape``."""
        left, inputs, right, kernel, output = _parts(self.equation)
        named, more = output, len(shape) - len(inputs)
        if more < 0 or (more and not (left or right)):
            raise ValueError(f"the equation {self.equation!r} does not fit inputs of shape {shape}.")
        rest = "".join([letter for letter in string.ascii_letters if letter not in self.equation][:more])
        inputs, output = (rest + inputs, rest + output) if left else (inputs + rest, output + rest)
        before, after = (shape[1:more] if left else ()), (shape[len(shape) - more :] if right else ())
        full = (shape[0], *before, *self.partial_output_shape, *after)
        if len(full) != len(output):
            raise ValueError(
                f"output_shape={self.partial_output_shape} must have a size for each axis of the output but the "
                f"batch; {self.equation!r} gives inputs of shape {shape} an output of rank {len(output)}."
            )
        sizes = dict(zip(inputs, shape, strict=True))
        for letter, size in zip(output, full, strict=True):
            if letter not in inputs + kernel:
                raise ValueError(f"the output's axis {letter!r} is in neither the input nor the kernel.")
            known = sizes.get(letter)
            if None not in (known, size) and known != size:
                raise ValueError(
                    f"the input's size {known} and the output's size {size} of the shared axis {letter!r} do not match."
                )
            sizes[letter] = size if known is None else known
        lost = [letter for letter in kernel if letter not in inputs + output]
        if lost:
            raise ValueError(f"the kernel's axes {lost} are in neither the input nor the output.")
        return _Plan(inputs, kernel, output, sizes, self._bias_shape(named, sizes, len(rest) if right else 0))

    def _bias_shape(self, output: str, sizes: dict[str, Any], more: int) -> tuple[int, ...] | None:
        if self.bias_axes is None:
            return None
        strange = [letter for letter in self.bias_axes if letter not in output]
        if strange:
            raise ValueError(f"the bias's axes {strange} are not among the output's, {output!r}.")
        first = min(output.index(letter) for letter in self.bias_axes)
        return (*(sizes[letter] if letter in self.bias_axes else 1 for letter in output[first:]), *(1,) * more)

    def call(self, x: Tensor) -> Tensor:
        y = _product(self._plan(x.shape), x, self.kernel)
        return self.activation(y if self.bias is None else y + self.bias)

    def compute_output_shape(self, input_shape: Any) -> Any:
        plan = self._plan(tuple(input_shape))
        return plan.shape(plan.output)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "output_shape": self.partial_output_shape}


def _parts(equation: str) -> tuple[bool, str, bool, str, str]:
    """Whether ``...`` leads, the input's letters, whether ``...`` follows, the kernel's letters, and the output's."""
    match = _EQUATION.fullmatch(equation)
    parts = [part or "" for part in match.groups()] if match else [""] * 7
    left, inputs, right, kernel, out_left, output, out_right = parts
    if not match or (left, right) != (out_left, out_right) or (left and right) or (right and len(inputs) < 2):
        raise ValueError(
            f"the equation {equation!r} must have the form 'x,y->z', '...x,y->...z' or 'x...,y->z...', with letters "
            "for x, y and z."
        )
    if any(len(set(letters)) < len(letters) for letters in (inputs, kernel, output)):
        raise ValueError(f"the equation {equation!r} names an axis of one tensor twice.")
    return bool(left), inputs, bool(right), kernel, output


def _product(plan: _Plan, x: Tensor, kernel: Tensor) -> Tensor:
    """The sum of products as one matrix product: the axes of each role moved together and made one."""
    alone = [i for i, letter in enumerate(plan.inputs) if letter not in plan.kernel + plan.output]
    if alone:
        x = ops.sum(x, alone)
    letters = [letter for i, letter in enumerate(plan.inputs) if i not in alone]
    batch = [letter for letter in letters if letter in plan.kernel and letter in plan.output]
    inner = [letter for letter in letters if letter in plan.kernel and letter not in plan.output]
    rows = [letter for letter in letters if letter not in plan.kernel]
    columns = [letter for letter in plan.kernel if letter not in plan.inputs]
    sizes = {**dict(zip(plan.kernel, kernel.shape, strict=True)), **dict(zip(letters, x.shape, strict=True))}

    def matrix(tensor: Tensor, have: Sequence[str], *groups: list[str]) -> Tensor:
        order = [have.index(letter) for group in (batch, *groups) for letter in group]
        tensor = tensor if order == sorted(order) else ops.transpose(tensor, order)
        wanted = (batch, *groups) if batch else groups
        return ops.reshape(tensor, [math.prod(sizes[letter] for letter in group) for group in wanted])

    y = ops.matmul(matrix(x, letters, rows, inner), matrix(kernel, plan.kernel, inner, columns))
    found = [*batch, *rows, *columns]
    y = ops.reshape(y, [sizes[letter] for letter in found])
    order = [found.index(letter) for letter in plan.output]
    return y if order == sorted(order) else ops.transpose(y, order)
