"""Images at other sizes, and images changed at random in training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from deepcore import ops
from deepcore.errors import unknown_name
from deepcore.layers.image import data_format_of
from deepcore.layers.layer import Layer
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
        """The images outside training."""
        return images

    def call(self, data: Any, training: bool = True) -> Any:
        if isinstance(data, dict):
            strange = [name for name in _NOT_IMAGES if name in data]
            if strange:
                raise ValueError(f"{strange} would have to be changed with the images, which is not there yet.")
            return {**data, "images": self.call(data["images"], training)}
        if data.ndim not in (3, 4):
            raise ValueError(f"expected one image of rank 3, or a batch of rank 4; got shape {data.shape}.")
        images = data if data.ndim == 4 else ops.expand_dims(data, 0)
        y = self.transform(images) if training else self.outside_training(images)
        return y if data.ndim == 4 else ops.squeeze(y, 0)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if isinstance(input_shape, dict):
            return {**input_shape, "images": self.output_shape(tuple(input_shape["images"]))}
        return map_shapes(lambda shape: self.output_shape(tuple(shape)), input_shape)

    def resized_shape(self, shape: tuple[Any, ...], height: int, width: int) -> tuple[Any, ...]:
        """``shape`` with another height and width."""
        if len(shape) not in (3, 4):
            raise ValueError(f"expected one image of rank 3, or a batch of rank 4; got shape {shape}.")
        sizes = list(shape)
        sizes[self._down], sizes[self._across] = height, width
        return tuple(sizes)

    def cropped(self, images: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
        """A part of the images."""
        index: list[Any] = [slice(None)] * images.ndim
        index[self._down], index[self._across] = slice(top, top + height), slice(left, left + width)
        return images[tuple(index)]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}


class Resizing(_ImageTransform):
    """Images of another height and width; the arguments are those of ``ops.image.resize``."""

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
        super().__init__(data_format, **kwargs)
        self.height, self.width = height, width
        self.interpolation, self.antialias = interpolation, bool(antialias)
        self.crop_to_aspect_ratio, self.pad_to_aspect_ratio = crop_to_aspect_ratio, pad_to_aspect_ratio
        self.fill_mode, self.fill_value = fill_mode, fill_value

    def transform(self, images: Tensor) -> Tensor:
        options = {name: value for name, value in self._options().items() if name not in ("height", "width")}
        return ops.image.resize(images, (self.height, self.width), data_format=self.data_format, **options)

    outside_training = transform

    def output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return self.resized_shape(shape, self.height, self.width)

    def _options(self) -> dict[str, Any]:
        return {
            "height": self.height,
            "width": self.width,
            "interpolation": self.interpolation,
            "crop_to_aspect_ratio": self.crop_to_aspect_ratio,
            "pad_to_aspect_ratio": self.pad_to_aspect_ratio,
            "fill_mode": self.fill_mode,
            "fill_value": self.fill_value,
            "antialias": self.antialias,
        }

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._options()}


class CenterCrop(_ImageTransform):
    """The middle of images, ``height`` by ``width``; smaller images are enlarged first, in their proportions."""

    def __init__(self, height: int, width: int, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        self.height, self.width = height, width

    def transform(self, images: Tensor) -> Tensor:
        images = ops.cast(images, self.compute_dtype)
        spare = images.shape[self._down] - self.height, images.shape[self._across] - self.width
        if min(spare) >= 0:
            return self.cropped(images, spare[0] // 2, spare[1] // 2, self.height, self.width)
        return ops.image.resize(
            images, (self.height, self.width), crop_to_aspect_ratio=True, data_format=self.data_format
        )

    outside_training = transform

    def output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return self.resized_shape(shape, self.height, self.width)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "height": self.height, "width": self.width}


class _RandomTransform(_ImageTransform):
    """An ``_ImageTransform`` that draws numbers from its own stream; outside training the images stay as they are."""

    def __init__(self, seed: int | None, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
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

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}


def _range(name: str, factor: Any, least: float, most: float, open_below: bool = False) -> tuple[float, float]:
    """(low, high) of a number, which means both ways, or of two. Raises ``ValueError`` for others, and out of range."""
    pair = factor if isinstance(factor, list | tuple) else (factor,)
    numbers = all(isinstance(f, int | float) and not isinstance(f, bool) for f in pair)
    within = numbers and all((least < f if open_below else least <= f) and f <= most for f in pair)
    if len(pair) not in (1, 2) or not within or (len(pair) == 1 and pair is factor):
        start = "(" if open_below else "["
        raise ValueError(f"{name} must be a number, or two, in {start}{least}, {most}]; got {name}={factor!r}.")
    return (min(pair), max(pair)) if len(pair) == 2 else (max(-abs(pair[0]), least), abs(pair[0]))


class RandomFlip(_RandomTransform):
    """Flips half of the images.

    Args:
        mode: ``"horizontal"``, ``"vertical"`` or ``"horizontal_and_vertical"``, which turns them by half a circle.
        seed: of the layer's own stream.
        data_format: ``"channels_last"`` (the default) or ``"channels_first"``.

    Raises ``ValueError`` for another mode.
    """

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        if mode not in _FLIPS:
            raise unknown_name("mode", mode, _FLIPS)
        self.mode = mode

    def transform(self, images: Tensor) -> Tensor:
        images = ops.cast(images, self.compute_dtype)
        axes = [axis for name, axis in (("horizontal", self._across), ("vertical", self._down)) if name in self.mode]
        return ops.where(self.each(self.drawn(images, 0.0, 1.0)) <= 0.5, ops.flip(images, axes), images)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mode": self.mode}


class _RandomAffine(_RandomTransform):
    """Images seen through a random map of their pixels; ``matrix`` gives its six numbers."""

    def __init__(
        self,
        fill_mode: str,
        interpolation: str,
        seed: int | None,
        fill_value: float,
        data_format: str | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
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

    def get_config(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("fill_mode", "fill_value", "interpolation")}
        return {**super().get_config(), **own}


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
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.factor = _range("factor", factor, -1.0, 1.0)

    def matrix(self, images: Tensor, height: int, width: int) -> Sequence[Any]:
        angle = self.drawn(images, *(2 * math.pi * f for f in self.factor))
        x, y = (width - 1) / 2, (height - 1) / 2
        cos, sin = ops.cos(angle), ops.sin(angle)
        return cos, -sin, x - x * cos + y * sin, sin, cos, y - x * sin - y * cos

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


class _RandomTwoWays(_RandomAffine):
    """A random map with one factor for the height and one for the width."""

    def __init__(self, height_factor: Any, width_factor: Any, open_below: bool, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor
        self._height = _range("height_factor", height_factor, -1.0, 1.0, open_below)
        self._width = None
        if width_factor is not None:
            self._width = _range("width_factor", width_factor, -1.0, 1.0, open_below)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "height_factor": self.height_factor, "width_factor": self.width_factor}


class RandomZoom(_RandomTwoWays):
    """Makes what images show larger or smaller.

    Args:
        height_factor: how much smaller, both ways, or two for (least, most): 0.2 shows 20 % more; above -1, up to 1.
        width_factor: likewise; None keeps the proportions.
        fill_mode, interpolation, seed, fill_value, data_format: as for ``RandomRotation``.

    Raises ``ValueError`` for other factors, ``NotImplementedError`` for another mode or interpolation.
    """

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
        super().__init__(
            height_factor, width_factor, True, fill_mode, interpolation, seed, fill_value, data_format, **kwargs
        )

    def matrix(self, images: Tensor, height: int, width: int) -> Sequence[Any]:
        down = 1 + self.drawn(images, *self._height)
        across = down if self._width is None else 1 + self.drawn(images, *self._width)
        return across, 0.0, (width - 1) / 2 * (1 - across), 0.0, down, (height - 1) / 2 * (1 - down)


class RandomTranslation(_RandomTwoWays):
    """Moves what images show.

    Args:
        height_factor: how far down, as a part of the height, both ways, or two for (least, most); from -1 to 1.
        width_factor: how far to the right, as a part of the width, likewise.
        fill_mode, interpolation, seed, fill_value, data_format: as for ``RandomRotation``.

    Raises ``ValueError`` for other factors, ``NotImplementedError`` for another mode or interpolation.
    """

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
        if width_factor is None:
            raise ValueError("width_factor must be a number, or two, in [-1.0, 1.0]; got width_factor=None.")
        super().__init__(
            height_factor, width_factor, False, fill_mode, interpolation, seed, fill_value, data_format, **kwargs
        )

    def matrix(self, images: Tensor, height: int, width: int) -> Sequence[Any]:
        assert self._width is not None
        down, right = self.drawn(images, *self._height), self.drawn(images, *self._width)
        return 1.0, 0.0, -width * right, 0.0, 1.0, -height * down


class RandomContrast(_RandomTransform):
    """Spreads every channel about its mean over the image: (x - mean) * f + mean, held to ``value_range``.

    Args:
        factor: f is from 1 - low to 1 + high of (low, high); a number is (0, number); from 0 to 1.
        value_range: of the images' values.
        seed: of the layer's own stream.

    Raises ``ValueError`` for another factor.
    """

    def __init__(
        self,
        factor: float | Sequence[float],
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, **kwargs)
        self.factor = _range("factor", factor, 0.0, 1.0)
        self.value_range = value_range

    def transform(self, images: Tensor) -> Tensor:
        images = ops.cast(images, self.compute_dtype)
        factor = self.each(self.drawn(images, 1 - self.factor[0], 1 + self.factor[1]))
        middle = ops.mean(images, (self._down, self._across), keepdims=True)
        return ops.clip((images - middle) * factor + middle, self.value_range[0], self.value_range[1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor, "value_range": self.value_range}


class RandomBrightness(_RandomTransform):
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
        super().__init__(seed, **kwargs)
        self.factor = _range("factor", factor, -1.0, 1.0)
        if not isinstance(value_range, list | tuple) or len(value_range) != 2:
            raise ValueError(f"value_range must be two numbers; got value_range={value_range!r}.")
        self.value_range = sorted(value_range)

    def transform(self, images: Tensor) -> Tensor:
        low, high = self.value_range
        change = self.each(self.drawn(images, *self.factor)) * (high - low)
        return ops.clip(ops.cast(images, self.compute_dtype) + change, low, high)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor, "value_range": self.value_range}


class RandomCrop(_RandomTransform):
    """A part of the images, ``height`` by ``width``, at a random place, the same for a whole batch.

    Images that are not larger are resized, in their proportions as far as they go. Outside training all images are
    resized in their proportions, and the middle is cut out.
    """

    def __init__(
        self, height: int, width: int, seed: int | None = None, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        self.height, self.width = height, width

    def transform(self, images: Tensor) -> Tensor:
        spare = images.shape[self._down] - self.height, images.shape[self._across] - self.width
        if min(spare) <= 0:
            return self.outside_training(images)
        # On the CPU: a place is an index, which no array on a device can be.
        top, left = (int(self.generator.uniform((), 0.0, n + 1.0, device="cpu").numpy()) for n in spare)
        return self.cropped(ops.cast(images, self.compute_dtype), top, left, self.height, self.width)

    def outside_training(self, images: Tensor) -> Tensor:
        images = ops.cast(images, self.compute_dtype)
        if (images.shape[self._down], images.shape[self._across]) == (self.height, self.width):
            return images
        return ops.image.resize(
            images, (self.height, self.width), crop_to_aspect_ratio=True, data_format=self.data_format
        )

    def output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return self.resized_shape(shape, self.height, self.width)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "height": self.height, "width": self.width}
