"""Convolutions of images and sequences, and transposed ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepcore import activations, ops
from deepcore.layers.arguments import positive_int
from deepcore.layers.image import PADDINGS, ImageLayer, padding_of, sizes_of, window_output
from deepcore.layers.input_spec import InputSpec
from deepcore.layers.parametric import ParametricLayer, arguments_of
from deepcore.tensor import Tensor
from deepcore.variable import Variable

Sizes = int | Sequence[int]


class BaseConv(ImageLayer, ParametricLayer):
    """Kernels that slide over an image, a bias, and an activation that is fused behind them where it can be."""

    _config: tuple[str, ...] = ("kernel_size", "strides", "padding", "dilation_rate", "activation", "use_bias")
    paddings: tuple[str, ...] = PADDINGS
    filters: int

    def __init__(
        self,
        *,
        kernel_size: Sizes,
        strides: Sizes,
        padding: str,
        dilation_rate: Sizes,
        activation: Any,
        use_bias: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.kernel_size = sizes_of(kernel_size, self.rank, "kernel_size")
        self.strides = sizes_of(strides, self.rank, "strides")
        self.padding = padding_of(padding, self.paddings)
        self.dilation_rate = sizes_of(dilation_rate, self.rank, "dilation_rate")
        self.activation = activations.get(activation)
        self.use_bias = bool(use_bias)
        self.bias: Variable | None = None

    @property
    def window(self) -> tuple[int, ...]:
        """The sizes that the dilated kernel spans."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel_size, self.dilation_rate, strict=True))

    def _refuse_dilated_strides(self) -> None:
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"strides and dilation_rate cannot both be above 1; got strides={self.strides}, "
                f"dilation_rate={self.dilation_rate}."
            )

    def _channels_of(self, input_shape: Any) -> int:
        """The number of input channels, which the layer expects from now on."""
        shape = self.channels_last(input_shape)
        if any(size == 0 for size in shape[1:]):
            raise ValueError(f"expected images that are not empty, got shape {tuple(input_shape)}.")
        channels = positive_int("the number of input channels", shape[-1])
        self.compute_output_shape(input_shape)  # raises where no window fits
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={self.channel_axis: channels})
        return channels

    def _add_bias(self, channels: int) -> None:
        if self.use_bias:
            self.bias = self.weight("bias", (channels,))

    def of_image_kernel(self, kernel: Any) -> Any:
        """A kernel [*kernel_size, ...] with the axes of an image's."""
        return ops.expand_dims(kernel, 0) if self.rank == 1 else kernel

    def sliding(self) -> dict[str, Any]:
        """How the kernel slides over an image: the arguments of a convolution of ``ops``."""
        padding: Any = self.padding
        if padding == "causal":
            padding = ((0, 0), (self.window[0] - 1, 0))
        return {
            "strides": self.of_image(self.strides, 1),
            "padding": padding,
            "dilation": self.of_image(self.dilation_rate, 1),
        }

    def convolve(self, x: Tensor, activation: str) -> Tensor:
        """The convolution with bias and the fused ``activation``."""
        raise NotImplementedError(f"{type(self).__name__} must implement convolve(x, activation).")

    def output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return window_output(shape, self.window, self.strides, self.padding, self.filters)

    def apply(self, x: Tensor) -> Tensor:
        fused = activations.epilogue_of(self.activation)
        y = self.convolve(x, fused or "linear")
        return y if fused else self.activation(y)


class _Conv(BaseConv):
    _config: tuple[str, ...] = ("filters", "groups")

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        groups: int = 1,
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
        super().__init__(**arguments_of(locals(), "filters", "groups"))
        self.filters = positive_int("filters", filters, TypeError)
        self.groups = positive_int("groups", groups, TypeError)
        if self.filters % self.groups:
            raise ValueError(f"filters must be a multiple of groups; got filters={filters}, groups={groups}.")
        self._refuse_dilated_strides()

    def build(self, input_shape: Any) -> None:
        channels = self._channels_of(input_shape)
        if channels % self.groups:
            raise ValueError(f"the {channels} input channels must be a multiple of groups={self.groups}.")
        self.kernel = self.weight("kernel", (*self.kernel_size, channels // self.groups, self.filters))
        self._add_bias(self.filters)

    def convolve(self, x: Tensor, activation: str) -> Tensor:
        kernel = self.of_image_kernel(self.kernel)
        return ops.conv2d(x, kernel, self.bias, groups=self.groups, activation=activation, **self.sliding())


class Conv1D(_Conv):
    """1-D convolution: ``filters`` kernels slide along a sequence.

    Args:
        filters: number of output channels.
        kernel_size, strides, dilation_rate: an int each; strides and dilation_rate not both above 1.
        padding: ``"valid"`` for none, ``"same"`` for ceil(steps / stride) outputs, ``"causal"`` for as many, of which
            none sees a later step than its own (van den Oord et al. 2016).
        Others as for ``Conv2D``.

    Input [batch, steps, channels], output [batch, out_steps, filters]; kernel [kernel_size, channels / groups,
    filters], bias [filters]. Raises as ``Conv2D``.

    >>> Conv1D(4, 3, padding="causal")(ops.ones_like([[[1.0]] * 6])).shape
    (1, 6, 4)
    """

    rank = 1
    paddings = (*PADDINGS, "causal")


class Conv2D(_Conv):
    """2-D convolution: ``filters`` kernels slide over an image.

    Args:
        filters: number of output channels.
        kernel_size, strides, dilation_rate: an int, or (height, width); strides and dilation_rate not both above 1.
        padding: ``"valid"`` for none, ``"same"`` for ceil(size / stride) outputs.
        data_format: ``"channels_last"``, the default, or ``"channels_first"``.
        groups: channels are convolved in that many separate groups.
        activation: a name, a function, or None for none.
        use_bias: whether there is a bias.
        kernel_initializer, bias_initializer: of the starting values.
        kernel_regularizer, bias_regularizer, activity_regularizer: penalties on weights and output, added to the loss.
        kernel_constraint, bias_constraint: what an optimizer applies to a weight after every step.

    Input [batch, height, width, channels], output [batch, out_height, out_width, filters]; kernel [height, width,
    channels / groups, filters], bias [filters]. Raises ``ValueError`` for sizes that are not positive, channels that
    do not fit the groups or the kernel, and a window larger than the image. LeCun et al. 1998.
    """


class _ConvTranspose(BaseConv):
    _config: tuple[str, ...] = ("filters", "output_padding")

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        output_padding: Sizes | None = None,
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
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
        super().__init__(**arguments_of(locals(), "filters", "output_padding"))
        self.filters = positive_int("filters", filters, TypeError)
        self.output_padding: tuple[int, ...] | None = None
        if output_padding is not None:
            self.output_padding = sizes_of(output_padding, self.rank, "output_padding", smallest=0)
            if any(p >= s for p, s in zip(self.output_padding, self.strides, strict=True)):
                raise ValueError(
                    f"output_padding must be less than strides; got output_padding={output_padding!r}, "
                    f"strides={strides!r}."
                )
        self._refuse_dilated_strides()

    def build(self, input_shape: Any) -> None:
        channels = self._channels_of(input_shape)
        self.kernel = self.weight("kernel", (*self.kernel_size, self.filters, channels))
        self._add_bias(self.filters)

    def convolve(self, x: Tensor, activation: str) -> Tensor:
        extra = None if self.output_padding is None else self.of_image(self.output_padding, 0)
        kernel = self.of_image_kernel(self.kernel)
        return ops.conv2d_transpose(x, kernel, self.bias, output_padding=extra, activation=activation, **self.sliding())

    def output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        sizes: list[int | None] = []
        for i, size in enumerate(shape[1:-1]):
            window, stride = self.window[i], self.strides[i]
            if size is None:
                sizes.append(None)
            elif self.output_padding is not None:
                smallest = window if self.padding == "valid" else window % 2
                sizes.append((size - 1) * stride + smallest + self.output_padding[i])
            else:
                sizes.append(size * stride + (max(window - stride, 0) if self.padding == "valid" else 0))
        return (shape[0], *sizes, self.filters)


class Conv1DTranspose(_ConvTranspose):
    """Transposed convolution: lengthens a sequence by its strides. Arguments and errors as for ``Conv2DTranspose``.

    Input [batch, steps, channels], output [batch, out_steps, filters]; kernel [kernel_size, filters, channels].
    """

    rank = 1


class Conv2DTranspose(_ConvTranspose):
    """Transposed convolution: enlarges an image by its strides. Zeiler et al. 2010.

    Args:
        output_padding: rows and columns added to the smallest output, less than the strides; None for size * stride
            with ``"same"`` and size * stride + max(window - stride, 0) with ``"valid"``.

    Input [batch, height, width, channels], output [batch, out_height, out_width, filters]; kernel [height, width,
    filters, channels]. Arguments and errors otherwise as for ``Conv2D``.
    """
