"""Convolutions of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepcore import activations, initializers, ops, regularizers
from deepcore.backend.geometry import pair
from deepcore.layers.image import ImageLayer, padding_of, window_output
from deepcore.layers.input_spec import InputSpec
from deepcore.layers.layer import positive_int
from deepcore.tensor import Tensor
from deepcore.variable import Variable

Sizes = int | Sequence[int]


class _Conv(ImageLayer):
    """A kernel that slides over an image, a bias, and an activation that is fused behind them where it can be."""

    def __init__(
        self,
        kernel_size: Sizes,
        strides: Sizes,
        padding: str,
        data_format: str | None,
        dilation_rate: Sizes,
        activation: Any,
        use_bias: bool,
        bias_initializer: Any,
        bias_regularizer: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format, **kwargs)
        self.kernel_size = pair(kernel_size, "kernel_size")
        self.strides = pair(strides, "strides")
        self.padding = padding_of(padding)
        self.dilation_rate = pair(dilation_rate, "dilation_rate")
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.bias_initializer = initializers.get(bias_initializer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.bias: Variable | None = None

    @property
    def window(self) -> tuple[int, int]:
        """Height and width that the dilated kernel spans."""
        (r, s), (p, q) = self.kernel_size, self.dilation_rate
        return (r - 1) * p + 1, (s - 1) * q + 1

    def _channels_of(self, input_shape: Any) -> int:
        """The number of input channels, which the layer expects from now on."""
        shape = self.channels_last(input_shape)
        if any(size == 0 for size in shape[1:]):
            raise ValueError(f"expected images that are not empty, got shape {tuple(input_shape)}.")
        channels = positive_int("the number of input channels", shape[-1])
        self.compute_output_shape(input_shape)  # raises where no window fits
        self.input_spec = InputSpec(ndim=4, axes={self.channel_axis: channels})
        return channels

    def _add_bias(self, channels: int) -> None:
        if self.use_bias:
            self.bias = self.add_weight(
                (channels,), self.bias_initializer, regularizer=self.bias_regularizer, name="bias"
            )

    def convolve(self, x: Tensor, activation: str) -> Tensor:
        """The convolution with bias and the fused ``activation``."""
        raise NotImplementedError(f"{type(self).__name__} must implement convolve(x, activation).")

    def apply(self, x: Tensor) -> Tensor:
        fused = activations.epilogue_of(self.activation)
        y = self.convolve(x, fused or "linear")
        return y if fused else self.activation(y)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
        }


class Conv2D(_Conv):
    """2-D convolution: ``filters`` kernels slide over an image.

    Args:
        filters: number of output channels.
        kernel_size, strides, dilation_rate: an int, or (height, width).
        padding: ``"valid"`` for none, ``"same"`` for ceil(size / stride) outputs.
        data_format: ``"channels_last"``, the default, or ``"channels_first"``.
        groups: channels are convolved in that many separate groups.
        activation: a name, a function, or None for none.
        use_bias: whether there is a bias.
        kernel_initializer, bias_initializer: of the starting values.
        kernel_regularizer, bias_regularizer: penalties added to the loss.

    Input [batch, height, width, channels], output [batch, out_height, out_width, filters]; kernel [height, width,
    channels / groups, filters], bias [filters]. Raises ``ValueError`` for sizes that are not positive, channels that
    do not fit the groups or the kernel, and a window larger than the image. LeCun et al. 1998.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Sizes = (1, 1),
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            bias_initializer,
            bias_regularizer,
            **kwargs,
        )
        self.filters = positive_int("filters", filters)
        self.groups = positive_int("groups", groups)
        if self.filters % self.groups:
            raise ValueError(f"filters must be a multiple of groups; got filters={filters}, groups={groups}.")
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)

    def build(self, input_shape: Any) -> None:
        channels = self._channels_of(input_shape)
        if channels % self.groups:
            raise ValueError(f"the {channels} input channels must be a multiple of groups={self.groups}.")
        self.kernel = self.add_weight(
            (*self.kernel_size, channels // self.groups, self.filters),
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            name="kernel",
        )
        self._add_bias(self.filters)

    def convolve(self, x: Tensor, activation: str) -> Tensor:
        return ops.conv2d(
            x,
            self.kernel,
            self.bias,
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation_rate,
            groups=self.groups,
            activation=activation,
        )

    def output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return window_output(shape, self.window, self.strides, self.padding, self.filters)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "groups": self.groups,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
        }


class DepthwiseConv2D(_Conv):
    """Convolves every channel by itself with ``depth_multiplier`` kernels. Howard et al. 2017.

    Input [batch, height, width, channels], output [batch, out_height, out_width, channels * depth_multiplier]; kernel
    [height, width, channels, depth_multiplier]. Arguments and errors otherwise as for ``Conv2D``.
    """

    def __init__(
        self,
        kernel_size: Sizes,
        strides: Sizes = (1, 1),
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Sizes = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            bias_initializer,
            bias_regularizer,
            **kwargs,
        )
        self.depth_multiplier = positive_int("depth_multiplier", depth_multiplier)
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)

    def build(self, input_shape: Any) -> None:
        channels = self._channels_of(input_shape)
        self.kernel = self.add_weight(
            (*self.kernel_size, channels, self.depth_multiplier),
            self.depthwise_initializer,
            regularizer=self.depthwise_regularizer,
            name="kernel",
        )
        self._add_bias(channels * self.depth_multiplier)

    def convolve(self, x: Tensor, activation: str) -> Tensor:
        return ops.depthwise_conv2d(
            x,
            self.kernel,
            self.bias,
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation_rate,
            activation=activation,
        )

    def output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        channels = None if shape[-1] is None else shape[-1] * self.depth_multiplier
        return window_output(shape, self.window, self.strides, self.padding, channels)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "depth_multiplier": self.depth_multiplier,
            "depthwise_initializer": initializers.serialize(self.depthwise_initializer),
            "depthwise_regularizer": regularizers.serialize(self.depthwise_regularizer),
        }


class Conv2DTranspose(_Conv):
    """Transposed convolution: enlarges an image by its strides. Zeiler et al. 2010.

    Args:
        output_padding: rows and columns added to the smallest output, less than the strides; None for size * stride
            with ``"same"`` and size * stride + max(window - stride, 0) with ``"valid"``.

    Input [batch, height, width, channels], output [batch, out_height, out_width, filters]; kernel [height, width,
    filters, channels]. Arguments and errors otherwise as for ``Conv2D``.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = (1, 1),
        padding: str = "valid",
        output_padding: Sizes | None = None,
        data_format: str | None = None,
        dilation_rate: Sizes = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            bias_initializer,
            bias_regularizer,
            **kwargs,
        )
        self.filters = positive_int("filters", filters)
        self.output_padding = None if output_padding is None else pair(output_padding, "output_padding", smallest=0)
        if self.output_padding and any(p >= s for p, s in zip(self.output_padding, self.strides, strict=True)):
            raise ValueError(
                f"output_padding must be less than strides; got output_padding={output_padding!r}, strides={strides!r}."
            )
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)

    def build(self, input_shape: Any) -> None:
        channels = self._channels_of(input_shape)
        self.kernel = self.add_weight(
            (*self.kernel_size, self.filters, channels),
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            name="kernel",
        )
        self._add_bias(self.filters)

    def convolve(self, x: Tensor, activation: str) -> Tensor:
        return ops.conv2d_transpose(
            x,
            self.kernel,
            self.bias,
            strides=self.strides,
            padding=self.padding,
            output_padding=self.output_padding,
            dilation=self.dilation_rate,
            activation=activation,
        )

    def output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        sizes: list[int | None] = []
        for i, size in enumerate(shape[1:3]):
            window, stride = self.window[i], self.strides[i]
            if size is None:
                sizes.append(None)
            elif self.output_padding is not None:
                padding = 0 if self.padding == "valid" else 2 * (window // 2)
                sizes.append((size - 1) * stride + window - padding + self.output_padding[i])
            else:
                sizes.append(size * stride + (max(window - stride, 0) if self.padding == "valid" else 0))
        return (shape[0], *sizes, self.filters)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "output_padding": self.output_padding,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
        }
