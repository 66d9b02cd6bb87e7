"""What the layers of images and sequences share: where the channels are, and that a sequence is an image of one row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from deepcore import ops
from deepcore.config import image_data_format
from deepcore.errors import unknown_name
from deepcore.layers.input_spec import InputSpec
from deepcore.layers.layer import Layer
from deepcore.tensor import Tensor

DATA_FORMATS = ("channels_last", "channels_first")
PADDINGS = ("valid", "same")
COUNTS = {1: "an int", 2: "an int or two ints"}

T = TypeVar("T")


def data_format_of(value: Any) -> str:
    """``value`` in lower case; by default the program's setting. Raises ``ValueError`` for another name."""
    if value is None:
        return image_data_format()
    if str(value).lower() not in DATA_FORMATS:
        raise unknown_name("data_format", value, DATA_FORMATS)
    return str(value).lower()


def padding_of(value: Any, known: Sequence[str] = PADDINGS) -> str:
    """``value`` in lower case. Raises ``ValueError`` unless it is one of ``known``."""
    padding = value.lower() if isinstance(value, str) else value
    if padding not in known:
        raise unknown_name("padding", value, known)
    return str(padding)


def sizes_of(value: Any, rank: int, name: str, *, smallest: int = 1) -> tuple[int, ...]:
    """``value`` as ``rank`` ints: an int counts for every axis.

    Raises ``ValueError`` for another number of sizes, and for one that is not a whole number or below ``smallest``.

    >>> sizes_of(3, 2, "kernel_size")
    (3, 3)
    """
    sizes = (value,) * rank if hasattr(value, "__index__") else value
    if not isinstance(sizes, list | tuple) or len(sizes) != rank or not all(hasattr(s, "__index__") for s in sizes):
        raise ValueError(f"{name} must be {COUNTS.get(rank, f'an int or {rank} ints')}; got {name}={value!r}.")
    if any(size < smallest for size in sizes):
        raise ValueError(f"{name} must be at least {smallest} in every axis; got {name}={value!r}.")
    return tuple(int(size) for size in sizes)


def ends_of(value: Any, rank: int, name: str) -> tuple[tuple[int, ...], ...]:
    """``value`` as (before, after) for each of ``rank`` axes: one int for all, or an int or a pair for each.

    Raises ``ValueError`` for anything else, and for negative sizes.

    >>> ends_of((1, (2, 3)), 2, "cropping")
    ((1, 1), (2, 3))
    """
    each = (value,) * rank if hasattr(value, "__index__") else value
    if not isinstance(each, list | tuple) or len(each) != rank:
        raise ValueError(f"{name} must be an int, or {rank} ints or pairs (before, after); got {name}={value!r}.")
    if any(hasattr(ends, "__index__") and ends < 0 for ends in each):
        raise ValueError(f"{name} must not be negative; got {name}={value!r}.")
    return tuple(sizes_of(ends, 2, f"each entry of {name}", smallest=0) for ends in each)


class ImageLayer(Layer):
    """A layer of [batch, *sizes, channels], or of [batch, channels, *sizes] with ``channels_first``.

    ``call`` and ``compute_output_shape`` turn to channels last and back, once. ``apply`` sees images only, and a
    sequence [batch, steps, channels] as an image of one row; ``output_shape`` sees the sizes as they are.

    Attributes:
        rank: how many sizes there are between batch and channels: 2 for images, 1 for sequences.
    """

    rank = 2

    _config: tuple[str, ...] = ("data_format",)

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format_of(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def apply(self, x: Tensor) -> Tensor:
        """The output [batch, height, width, channels] or [batch, channels] for x [batch, height, width, channels]."""
        raise NotImplementedError(f"{type(self).__name__} must implement apply(x).")

    def output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """The shape of the output for an input of ``shape``, both with the channels last."""
        raise NotImplementedError(f"{type(self).__name__} must implement output_shape(shape).")

    def call(self, x: Tensor) -> Tensor:
        x = x if self.data_format == "channels_last" else ops.moveaxis(x, 1, -1)
        y = self.apply(ops.expand_dims(x, 1) if self.rank == 1 else x)
        if y.ndim == 2:
            return y
        y = ops.squeeze(y, 1) if self.rank == 1 else y
        return y if self.data_format == "channels_last" else ops.moveaxis(y, -1, 1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        shape = self.output_shape(self.channels_last(input_shape))
        if self.data_format == "channels_last" or len(shape) == 2:
            return shape
        return (shape[0], shape[-1], *shape[1:-1])

    def channels_last(self, shape: Sequence[Any]) -> tuple[Any, ...]:
        """``shape`` with the channels at the end."""
        if len(shape) != self.rank + 2:
            raise ValueError(
                f"expected an input of rank {self.rank + 2}, got shape {tuple(shape)} of rank {len(shape)}."
            )
        return tuple(shape) if self.data_format == "channels_last" else (shape[0], *shape[2:], shape[1])

    def of_image(self, sizes: Sequence[T], row: T) -> tuple[T, T]:
        """``sizes`` for the two axes of an image: ``row`` for the one that a sequence does not have."""
        height, width = (row, *sizes) if self.rank == 1 else sizes
        return height, width

    @property
    def channel_axis(self) -> int:
        """Where the channels of the layer's input are."""
        return -1 if self.data_format == "channels_last" else 1


def window_output(
    shape: tuple[Any, ...], window: Sequence[int], strides: Sequence[int], padding: str, channels: Any
) -> tuple[Any, ...]:
    """The shape after windows slide over [batch, *sizes, ...]. Raises ``ValueError`` where none fits."""
    sizes: list[int | None] = []
    for size, extent, stride in zip(shape[1:-1], window, strides, strict=True):
        if size is None:
            sizes.append(None)
        elif padding != "valid":
            sizes.append(-(-size // stride))
        elif size < extent:
            raise ValueError(
                f"the window {tuple(window)} is larger than the input {tuple(shape[1:-1])}. "
                "Use a smaller window, or padding='same'."
            )
        else:
            sizes.append((size - extent) // stride + 1)
    return (shape[0], *sizes, channels)
