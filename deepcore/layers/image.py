"""What the layers of images share: where the channels are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepcore import ops
from deepcore.errors import unknown_name
from deepcore.layers.input_spec import InputSpec
from deepcore.layers.layer import Layer
from deepcore.tensor import Tensor

DATA_FORMATS = ("channels_last", "channels_first")
PADDINGS = ("valid", "same")


def data_format_of(value: str | None) -> str:
    """``value``, channels last by default. Raises ``ValueError`` for another name."""
    if value is None:
        return "channels_last"
    if value not in DATA_FORMATS:
        raise unknown_name("data_format", value, DATA_FORMATS)
    return value


def padding_of(value: Any) -> str:
    """``value`` in lower case. Raises ``ValueError`` unless it is ``"valid"`` or ``"same"``."""
    padding = value.lower() if isinstance(value, str) else value
    if padding not in PADDINGS:
        raise unknown_name("padding", value, PADDINGS)
    return padding


class ImageLayer(Layer):
    """A layer of [batch, height, width, channels], or of [batch, channels, height, width] with ``channels_first``.

    ``call`` and ``compute_output_shape`` turn to channels last and back, once; ``apply`` and ``output_shape`` see
    channels last only.
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format_of(data_format)
        self.input_spec = InputSpec(ndim=4)

    def apply(self, x: Tensor) -> Tensor:
        """The output [batch, height, width, channels] (or of another rank) for x [batch, height, width, channels]."""
        raise NotImplementedError(f"{type(self).__name__} must implement apply(x).")

    def output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """The shape of ``apply``'s result."""
        raise NotImplementedError(f"{type(self).__name__} must implement output_shape(shape).")

    def call(self, x: Tensor) -> Tensor:
        if self.data_format == "channels_last":
            return self.apply(x)
        y = self.apply(ops.transpose(x, (0, 2, 3, 1)))
        return ops.transpose(y, (0, 3, 1, 2)) if y.ndim == 4 else y

    def compute_output_shape(self, input_shape: Any) -> Any:
        shape = self.output_shape(self.channels_last(input_shape))
        if self.data_format == "channels_last" or len(shape) != 4:
            return shape
        return (shape[0], shape[3], shape[1], shape[2])

    def channels_last(self, shape: Sequence[Any]) -> tuple[Any, ...]:
        """``shape`` with the channels at the end."""
        if len(shape) != 4:
            raise ValueError(f"expected an input of rank 4, got shape {tuple(shape)} of rank {len(shape)}.")
        return tuple(shape) if self.data_format == "channels_last" else (shape[0], *shape[2:], shape[1])

    @property
    def channel_axis(self) -> int:
        """Where the channels of the layer's input are."""
        return -1 if self.data_format == "channels_last" else 1

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}


def window_output(
    shape: tuple[Any, ...], window: Sequence[int], strides: Sequence[int], padding: str, channels: Any
) -> tuple[Any, ...]:
    """The shape after windows slide over [batch, height, width, ...]. Raises ``ValueError`` where none fits."""
    sizes: list[int | None] = []
    for size, extent, stride in zip(shape[1:3], window, strides, strict=True):
        if size is None:
            sizes.append(None)
        elif padding == "same":
            sizes.append(-(-size // stride))
        elif size < extent:
            raise ValueError(
                f"the window {tuple(window)} is larger than the input {tuple(shape[1:3])}. "
                "Use a smaller window, or padding='same'."
            )
        else:
            sizes.append((size - extent) // stride + 1)
    return (shape[0], *sizes, channels)
