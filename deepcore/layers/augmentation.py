"""Images at other sizes, and images changed at random in training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

from deepcore import ops
from deepcore.errors import unknown_name
from deepcore.layers.arguments import number, positive_int
from deepcore.layers.image import data_format_of
from deepcore.layers.layer import Layer
from deepcore.layers.parametric import arguments_of
from deepcore.random import as_generator
from deepcore.structure import map_shapes
from deepcore.tensor import Tensor

_FILL_MODES = ("reflect", "wrap", "constant", "nearest")
_INTERPOLATIONS = ("nearest", "bilinear")
_FLIPS = ("horizontal", "vertical", "horizontal_and_vertical")
_NOT_IMAGES = ("bounding_boxes", "segmentation_masks")


class _ImageTransform(Layer):
    """A layer of images: one [height, width, channels], a batch of them, or a dictionary with ``"images"``.

    ``transform`` gets a batch. With ``data_format="channels_first"`` the channels come before the height.
    """

    _config: tuple[str, ...] = ("data_format",)

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format_of(data_format)
        self._across = -2 if self.data_format == "channels_last" else -1
        self._down = self._across - 1

    def transform(self, images: Tensor) -> Tensor:
        """The images [batch, ...], changed."""
        raise NotImplementedError(f"{type(self).__name__} must implement transform(images).")

    def output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """The shape of images of ``shape``, changed."""
        return shape

    def outside_training(self, images: Tensor) -> Tensor:
        """The images outside training: as in training, unless the layer says otherwise."""
        return self.transform(images)

    def call(self, data: Any, training: bool = True) -> Any:
        if isinstance(data, dict):
            strange = [name for name in _NOT_IMAGES if name in data]
            if strange or "images" not in data:
                raise ValueError(
                    f"expected images, or a dictionary with 'images'; got {sorted(data)}."
                    + (f" {strange} would have to be changed with them, which is not there yet." if strange else "")
                )
            return {**data, "images": self.call(data["images"], training)}
        self._check_rank(data.shape)
        images = data if data.ndim == 4 else ops.expand_dims(data, 0)
        y = self.transform(images) if training else self.outside_training(images)
        return y if data.ndim == 4 else ops.squeeze(y, 0)

    def _check_rank(self, shape: Any) -> None:
        if len(shape) not in (3, 4):
            raise ValueError(f"expected one image of rank 3, or a batch of rank 4; got shape {shape}.")

    def compute_output_shape(self, input_shape: Any) -> Any:
        if isinstance(input_shape, dict):
            return {**input_shape, "images": self.output_shape(tuple(input_shape["images"]))}
        return map_shapes(lambda shape: self.output_shape(tuple(shape)), input_shape)


class _SizedTransform(_ImageTransform):
    """One that gives images of ``height`` by ``width``."""

    _config: tuple[str, ...] = ("height", "width")

    def __init__(self, height: int, width: int, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.height, self.width = (
            positive_int(name, size, TypeError) for name, size in (("height", height), ("width", width))
        )

    def output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        self._check_rank(shape)
        sizes = list(shape)
        sizes[self._down], sizes[self._across] = self.height, self.width
        return tuple(sizes)

    def spare(self, images: Tensor) -> tuple[int, int]:
        """How many rows and columns the images have that the result has not."""
        return images.shape[self._down] - self.height, images.shape[self._across] - self.width

    def cropped(self, images: Tensor, top: int, left: int) -> Tensor:
        """The part of the images that begins at (top, left)."""
        index: list[Any] = [slice(None)] * images.ndim
        index[self._down], index[self._across] = slice(top, top + self.height), slice(left, left + self.width)
        return images[tuple(index)]

    def resized(self, images: Tensor, **options: Any) -> Tensor:
        """The images, resized by ``ops.image.resize``."""
        return ops.image.resize(images, (self.height, self.width), data_format=self.data_format, **options)


class Resizing(_SizedTransform):
    """Images of another height and width; the arguments are those of ``ops.image.resize``.

    Raises ``TypeError`` and ``ValueError`` for sizes that are not positive integers.
    """

    _options = ("interpolation", "crop_to_aspect_ratio", "pad_to_aspect_ratio", "fill_mode", "fill_value", "antialias")
    _config: tuple[str, ...] = _options

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(height, width, data_format, **kwargs)
        self.interpolation, self.antialias = interpolation, bool(antialias)
        self.crop_to_aspect_ratio, self.pad_to_aspect_ratio = crop_to_aspect_ratio, pad_to_aspect_ratio
        self.fill_mode, self.fill_value = fill_mode, fill_value

    def transform(self, images: Tensor) -> Tensor:
        return self.resized(images, **{name: getattr(self, name) for name in self._options})


class CenterCrop(_SizedTransform):
    """The middle of images, ``height`` by ``width``; smaller images are enlarged first, in their proportions.

    Raises as ``Resizing``.
    """

    def transform(self, images: Tensor) -> Tensor:
        images = ops.cast(images, self.compute_dtype)
        down, across = self.spare(images)
        if min(down, across) >= 0:
            return self.cropped(images, down // 2, across // 2)
        return self.resized(images, crop_to_aspect_ratio=True)


class _RandomTransform(_ImageTransform):
    """An ``_ImageTransform`` that draws numbers from its own stream; outside training the images stay as they are."""

    _config: tuple[str, ...] = ("seed",)

    def __init__(self, *, seed: int | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self.generator = as_generator(seed)

    def drawn(self, images: Tensor, low: float, high: float) -> Tensor:
        """A number from ``low`` to ``high`` for each image: [batch, 1]."""
        return self.generator.uniform((len(images), 1), low, high, self.compute_dtype, images.device)

    def each(self, numbers: Tensor) -> Tensor:
        """Numbers [batch, 1] in a shape that meets the images."""
        return ops.reshape(numbers, (-1, 1, 1, 1))

    def outside_training(self, images: Tensor) -> Tensor:
        return ops.cast(images, self.compute_dtype)


def _range(name: str, factor: Any, least: float, most: float, open_below: bool = False) -> tuple[float, float]:
    """(low, high) of a number, which means both ways, or of two.

    Raises ``ValueError`` for others, and out of range; ``TypeError`` for two that are not numbers.
    """
    bounds = f"{'(' if open_below else '['}{least}, {most}]"
    pair = isinstance(factor, list | tuple)
    if (pair and len(factor) != 2) or not (pair or isinstance(factor, Real)):
        raise ValueError(f"{name} must be a number, or two, in {bounds}; got {name}={factor!r}.")
    both = [number(f"each of {name}", f, f"in {bounds}") for f in (factor if pair else (factor,))]
    if any(not (least < f if open_below else least <= f) or not f <= most for f in both):
        raise ValueError(f"{name} must be a number, or two, in {bounds}; got {name}={factor!r}.")
    return (min(both), max(both)) if pair else (max(-abs(factor), least), abs(factor))


class RandomFlip(_RandomTransform):
    """Flips half of the images.

    Args:
        mode: ``"horizontal"``, ``"vertical"`` or ``"horizontal_and_vertical"``, which turns them by half a circle.
        seed: of the layer's own stream.
        data_format: ``"channels_last"`` (the default) or ``"channels_first"``.

    Raises ``ValueError`` for another mode.
    """

    _config: tuple[str, ...] = ("mode",)

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        if mode not in _FLIPS:
            raise unknown_name("mode", mode, _FLIPS)
        self.mode = mode

    def transform(self, images: Tensor) -> Tensor:
        images = ops.cast(images, self.compute_dtype)
        axes = [axis for name, axis in (("horizontal", self._across), ("vertical", self._down)) if name in self.mode]
        return ops.where(self.each(self.drawn(images, 0.0, 1.0)) <= 0.5, ops.flip(images, axes), images)


class _RandomAffine(_RandomTransform):
    """Images seen through a random map of their pixels; ``matrix`` gives its six numbers."""

    _config: tuple[str, ...] = ("fill_mode", "fill_value", "interpolation")

    def __init__(self, *, fill_mode: str, interpolation: str, fill_value: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name, value, known in (
            ("fill_mode", fill_mode, _FILL_MODES),
            ("interpolation", interpolation, _INTERPOLATIONS),
        ):
            if value not in known:
                raise NotImplementedError(f"{name} must be one of {', '.join(known)}; got {name}={value!r}.")
        self.fill_mode, self.interpolation, self.fill_value = fill_mode, interpolation, fill_value

    def matrix(self, images: Tensor, height: int, width: int) -> Sequence[Any]:
        """(a0, a1, a2, b0, b1, b2), each [batch, 1] or a number: the result's pixel (x, y) is the given image's at
        (a0 x + a1 y + a2, b0 x + b1 y + b2)."""
        raise NotImplementedError(f"{type(self).__name__} must implement matrix(images, height, width).")

    def transform(self, images: Tensor) -> Tensor:
        images = ops.cast(images, self.compute_dtype)
        xp = images.device.backend.xp
        zeros = Tensor.wrap(xp.zeros((len(images), 1), images.dtype), images.device)
        numbers = self.matrix(images, images.shape[self._down], images.shape[self._across])
        return ops.image.affine_transform(
            images,
            ops.concatenate([zeros + number for number in (*numbers, 0.0, 0.0)], -1),
            self.interpolation,
            self.fill_mode,
            self.fill_value,
            self.data_format,
        )


class RandomRotation(_RandomAffine):
    """Turns images about their middle.

    Args:
        factor: a part of a circle, both ways, or two for (least, most), positive against the clock; from -1 to 1.
        fill_mode: what is outside the image: ``"reflect"``, ``"wrap"``, ``"nearest"``, or ``"constant"`` for
            ``fill_value``.
        interpolation: ``"bilinear"`` or ``"nearest"``.
        seed: of the layer's own stream.
        data_format: ``"channels_last"`` (the default) or ``"channels_first"``.

    Raises ``ValueError`` for another factor, ``NotImplementedError`` for another mode or interpolation.
    """

    _config: tuple[str, ...] = ("factor",)

    def __init__(
        self,
        factor: float | Sequence[float],
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**arguments_of(locals(), "factor"))
        self.factor = _range("factor", factor, -1.0, 1.0)

    def matrix(self, images: Tensor, height: int, width: int) -> Sequence[Any]:
        angle = self.drawn(images, *(2 * math.pi * f for f in self.factor))
        x, y = (width - 1) / 2, (height - 1) / 2
        cos, sin = ops.cos(angle), ops.sin(angle)
        return cos, -sin, x - x * cos + y * sin, sin, cos, y - x * sin - y * cos


class RandomZoom(_RandomAffine):
    """Makes what images show larger or smaller.

    Args:
        height_factor: how much smaller, both ways, or two for (least, most): 0.2 shows 20 % more; above -1, up to 1.
        width_factor: likewise; None keeps the proportions.
        fill_mode, interpolation, seed, fill_value, data_format: as for ``RandomRotation``.

    Raises ``ValueError`` for other factors, ``NotImplementedError`` for another mode or interpolation.
    """

    _config: tuple[str, ...] = ("height_factor", "width_factor")

    def __init__(
        self,
        height_factor: float | Sequence[float],
        width_factor: float | Sequence[float] | None = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**arguments_of(locals(), *self._config))
        self.height_factor, self.width_factor = height_factor, width_factor
        self._height = _range("height_factor", height_factor, -1.0, 1.0, open_below=True)
        self._width = None if width_factor is None else _range("width_factor", width_factor, -1.0, 1.0, open_below=True)

    def matrix(self, images: Tensor, height: int, width: int) -> Sequence[Any]:
        down = 1 + self.drawn(images, *self._height)
        across = down if self._width is None else 1 + self.drawn(images, *self._width)
        return across, 0.0, (width - 1) / 2 * (1 - across), 0.0, down, (height - 1) / 2 * (1 - down)


class RandomTranslation(_RandomAffine):
    """Moves what images show.

    Args:
        height_factor: how far down, as a part of the height, both ways, or two for (least, most); from -1 to 1.
        width_factor: how far to the right, as a part of the width, likewise.
        fill_mode, interpolation, seed, fill_value, data_format: as for ``RandomRotation``.

    Raises ``ValueError`` for other factors, ``NotImplementedError`` for another mode or interpolation.
    """

    _config: tuple[str, ...] = ("height_factor", "width_factor")

    def __init__(
        self,
        height_factor: float | Sequence[float],
        width_factor: float | Sequence[float],
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**arguments_of(locals(), *self._config))
        self.height_factor, self.width_factor = height_factor, width_factor
        self._height = _range("height_factor", height_factor, -1.0, 1.0)
        self._width = _range("width_factor", width_factor, -1.0, 1.0)

    def matrix(self, images: Tensor, height: int, width: int) -> Sequence[Any]:
        down, right = self.drawn(images, *self._height), self.drawn(images, *self._width)
        return 1.0, 0.0, -width * right, 0.0, 1.0, -height * down


class _RandomColour(_RandomTransform):
    """Images whose values a random number changes, held to ``value_range``."""

    _config: tuple[str, ...] = ("factor", "value_range")

    def __init__(self, *, value_range: Sequence[float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(value_range, list | tuple) or len(value_range) != 2:
            raise ValueError(f"value_range must be two numbers; got value_range={value_range!r}.")
        self.value_range = value_range


class RandomContrast(_RandomColour):
    """Spreads every channel about its mean over the image: (x - mean) * f + mean, held to ``value_range``.

    Args:
        factor: f is from 1 - low to 1 + high of (low, high); a number is (0, number); from 0 to 1.
        value_range: of the images' values.
        seed: of the layer's own stream.

    Raises ``ValueError`` for another factor or range.
    """

    def __init__(
        self,
        factor: float | Sequence[float],
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, value_range=value_range, **kwargs)
        self.factor = _range("factor", factor, 0.0, 1.0)

    def transform(self, images: Tensor) -> Tensor:
        images = ops.cast(images, self.compute_dtype)
        factor = self.each(self.drawn(images, 1 - self.factor[0], 1 + self.factor[1]))
        middle = ops.mean(images, (self._down, self._across), keepdims=True)
        return ops.clip((images - middle) * factor + middle, *self.value_range)


class RandomBrightness(_RandomColour):
    """Adds one number to every image, and holds it to ``value_range``.

    Args:
        factor: the number is from -factor to factor, or from low to high of two, times the width of ``value_range``;
            from -1 to 1.
        value_range: of the images' values.
        seed: of the layer's own stream.

    Raises ``ValueError`` for another factor or range.
    """

    def __init__(
        self,
        factor: float | Sequence[float],
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, value_range=value_range, **kwargs)
        self.factor = _range("factor", factor, -1.0, 1.0)
        self.value_range = sorted(value_range)

    def transform(self, images: Tensor) -> Tensor:
        low, high = self.value_range
        change = self.each(self.drawn(images, *self.factor)) * (high - low)
        return ops.clip(ops.cast(images, self.compute_dtype) + change, low, high)


class RandomCrop(_SizedTransform, _RandomTransform):
    """A part of the images, ``height`` by ``width``, at a random place, the same for a whole batch.

    Of images that are not larger both ways the part begins where the largest part of its proportions that lies in the
    middle begins; where it does not fit, what there is of it is resized. Outside training images stay as they are, as
    in Keras 3, of another shape than ``compute_output_shape`` tells. Raises as ``Resizing``.
    """

    def __init__(
        self, height: int, width: int, seed: int | None = None, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(height, width, data_format, seed=seed, **kwargs)

    def transform(self, images: Tensor) -> Tensor:
        images = ops.cast(images, self.compute_dtype)
        spare = self.spare(images)
        if min(spare) > 0:
            # On the CPU: a place is an index, which no array on a device can be.
            top, left = (int(self.generator.uniform((), 0.0, n + 1.0, device="cpu").numpy()) for n in spare)
            return self.cropped(images, top, left)
        tall, wide = images.shape[self._down], images.shape[self._across]
        top = (tall - max(min(tall, wide * self.height // self.width), 1)) // 2
        left = (wide - max(min(wide, tall * self.width // self.height), 1)) // 2
        images = self.cropped(images, top, left)
        return images if self.spare(images) == (0, 0) else self.resized(images)
