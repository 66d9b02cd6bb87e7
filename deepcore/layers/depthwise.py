"""Convolutions that treat every channel by itself, and those that mix the channels in a second step."""

from __future__ import annotations

from typing import Any

from deepcore import ops
from deepcore.layers.arguments import positive_int
from deepcore.layers.conv import BaseConv, Sizes
from deepcore.layers.image import window_output
from deepcore.layers.parametric import arguments_of
from deepcore.tensor import Tensor


class _DepthwiseConv(BaseConv):
    _config: tuple[str, ...] = ("depth_multiplier",)

    def __init__(
        self,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**arguments_of(locals(), "depth_multiplier"))
        self.depth_multiplier = positive_int("depth_multiplier", depth_multiplier, TypeError)

    def build(self, input_shape: Any) -> None:
        channels = self._channels_of(input_shape)
        self.kernel = self.weight("kernel", (*self.kernel_size, channels, self.depth_multiplier), "depthwise")
        self._add_bias(channels * self.depth_multiplier)

    def convolve(self, x: Tensor, activation: str) -> Tensor:
        kernel = self.of_image_kernel(self.kernel)
        return ops.depthwise_conv2d(x, kernel, self.bias, activation=activation, **self.sliding())

    def output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        channels = None if shape[-1] is None else shape[-1] * self.depth_multiplier
        return window_output(shape, self.window, self.strides, self.padding, channels)


class DepthwiseConv1D(_DepthwiseConv):
    """Convolves every channel of a sequence by itself. Arguments and errors as for ``DepthwiseConv2D``.

    Input [batch, steps, channels], output [batch, out_steps, channels * depth_multiplier]; kernel [kernel_size,
    channels, depth_multiplier].
    """

    rank = 1


class DepthwiseConv2D(_DepthwiseConv):
    """Convolves every channel by itself with ``depth_multiplier`` kernels. Howard et al. 2017.

    Input [batch, height, width, channels], output [batch, out_height, out_width, channels * depth_multiplier]; kernel
    [height, width, channels, depth_multiplier]. Arguments and errors otherwise as for ``Conv2D``.
    """


class _SeparableConv(BaseConv):
    _config: tuple[str, ...] = ("filters", "depth_multiplier")

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**arguments_of(locals(), "filters", "depth_multiplier"))
        self.filters = positive_int("filters", filters, TypeError)
        self.depth_multiplier = positive_int("depth_multiplier", depth_multiplier, TypeError)

    def build(self, input_shape: Any) -> None:
        channels = self._channels_of(input_shape)
        deep = channels * self.depth_multiplier
        self.depthwise_kernel = self.weight(
            "depthwise_kernel", (*self.kernel_size, channels, self.depth_multiplier), "depthwise"
        )
        self.pointwise_kernel = self.weight("pointwise_kernel", ((1,) * self.rank + (deep, self.filters)), "pointwise")
        self._add_bias(self.filters)

    def convolve(self, x: Tensor, activation: str) -> Tensor:
        deep = ops.depthwise_conv2d(x, self.of_image_kernel(self.depthwise_kernel), **self.sliding())
        return ops.conv2d(deep, self.of_image_kernel(self.pointwise_kernel), self.bias, activation=activation)


class SeparableConv1D(_SeparableConv):
    """A depthwise convolution of a sequence, then one of width 1. Arguments and errors as for ``SeparableConv2D``.

    Input [batch, steps, channels], output [batch, out_steps, filters]; kernels [kernel_size, channels,
    depth_multiplier] and [1, channels * depth_multiplier, filters].
    """

    rank = 1


class SeparableConv2D(_SeparableConv):
    """A depthwise convolution, and one of 1 by 1 that mixes its channels, with bias and activation. Chollet 2017.

    Args:
        filters: number of output channels.
        depth_multiplier: kernels of the depthwise step for each channel.
        Others as for ``Conv2D``, with an initializer, a regularizer and a constraint for each step.

    Input [batch, height, width, channels], output [batch, out_height, out_width, filters]; kernels [height, width,
    channels, depth_multiplier] and [1, 1, channels * depth_multiplier, filters]. Raises as ``Conv2D``.
    """
