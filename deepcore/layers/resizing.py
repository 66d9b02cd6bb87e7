"""Images and sequences made smaller by cutting, larger by zeros, and larger by repeating or interpolating."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepcore import ops
from deepcore.errors import unknown_name
from deepcore.layers.arguments import integer, positive_int
from deepcore.layers.image import ImageLayer, ends_of, sizes_of
from deepcore.ops.resampling import INTERPOLATIONS
from deepcore.tensor import Tensor


class _AtTheEnds(ImageLayer):
    """What is done before and after each axis.

    Attributes:
        ends: (before, after) of each axis.
    """

    ends: tuple[tuple[int, ...], ...]

    def given(self) -> tuple[Any, ...]:
        """``ends``; of a sequence's only axis by itself."""
        return self.ends[0] if self.rank == 1 else self.ends


class _Cropping(_AtTheEnds):
    cropping = property(_AtTheEnds.given)

    def apply(self, x: Tensor) -> Tensor:
        sizes = self._cut(x.shape[3 - self.rank : 3])
        starts = (before for before, _ in self.ends)
        parts = [slice(start, start + size) for start, size in zip(starts, sizes, strict=True)]
        return ops.getitem(x, (slice(None), *self.of_image(parts, slice(None))))

    def _cut(self, sizes: Sequence[Any]) -> list[Any]:
        left = [None if s is None else s - sum(ends) for s, ends in zip(sizes, self.ends, strict=True)]
        if any(size is not None and size <= 0 for size in left):
            raise ValueError(
                f"cropping={self.cropping} leaves nothing of an input of {tuple(sizes)}. Cut off less than its size."
            )
        return left

    def output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return (shape[0], *self._cut(shape[1:-1]), shape[-1])


class Cropping1D(_Cropping):
    """Cuts off steps: [batch, steps, channels] -> [batch, steps - first - last, channels].

    Args:
        cropping: (first, last), or one int for both.

    Raises ``ValueError`` for sizes that are negative, and where nothing is left.
    """

    rank = 1

    def __init__(self, cropping: int | Sequence[int] = (1, 1), **kwargs: Any) -> None:
        super().__init__(**_without_data_format(self, kwargs))
        self.ends = (sizes_of(cropping, 2, "cropping", smallest=0),)

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "cropping": self.cropping}
        del config["data_format"]
        return config


class Cropping2D(_Cropping):
    """Cuts off rows and columns of an image.

    Args:
        cropping: ((top, bottom), (left, right)), (rows, columns) for both ends alike, or one int for all.
        data_format: ``"channels_last"``, the default, or ``"channels_first"``.

    Input [batch, height, width, channels]. Raises ``ValueError`` for sizes that are negative, and where nothing is
    left.
    """

    _config: tuple[str, ...] = ("cropping",)

    def __init__(self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        self.ends = ends_of(cropping, 2, "cropping")


class _ZeroPadding(_AtTheEnds):
    padding = property(_AtTheEnds.given)

    _config: tuple[str, ...] = ("padding",)

    def apply(self, x: Tensor) -> Tensor:
        return ops.pad(x, ((0, 0), *self.of_image(self.ends, (0, 0)), (0, 0)))

    def output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        sizes = (None if s is None else s + sum(ends) for s, ends in zip(shape[1:-1], self.ends, strict=True))
        return (shape[0], *sizes, shape[-1])


class ZeroPadding1D(_ZeroPadding):
    """Zeros before and after a sequence: [batch, steps, channels] -> [batch, first + steps + last, channels].

    Args:
        padding: (first, last), or one int for both.
        data_format: ``"channels_last"``, the default, or ``"channels_first"``.

    Raises ``ValueError`` for sizes that are negative.
    """

    rank = 1

    def __init__(self, padding: int | Sequence[int] = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        self.ends = (sizes_of(padding, 2, "padding", smallest=0),)


class ZeroPadding2D(_ZeroPadding):
    """Rows and columns of zeros around an image.

    Args:
        padding: ((top, bottom), (left, right)), (rows, columns) for both ends alike, or one int for all.
        data_format: ``"channels_last"``, the default, or ``"channels_first"``.

    Input [batch, height, width, channels]. Raises ``ValueError`` for sizes that are negative.
    """

    def __init__(self, padding: Any = (1, 1), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        self.ends = ends_of(padding, 2, "padding")


class UpSampling1D(ImageLayer):
    """Every step ``size`` times over: [batch, steps, channels] -> [batch, size * steps, channels].

    Args:
        size: how often. Raises ``TypeError`` unless it is an int, ``ValueError`` unless it is positive.
    """

    rank = 1

    def __init__(self, size: int = 2, **kwargs: Any) -> None:
        super().__init__(**_without_data_format(self, kwargs))
        self.size = positive_int("size", integer("size", size))

    def apply(self, x: Tensor) -> Tensor:
        return ops.image.resize(x, (1, x.shape[2] * self.size), "nearest", data_format="channels_last")

    def output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return (shape[0], None if shape[1] is None else self.size * shape[1], shape[2])

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "size": self.size}
        del config["data_format"]
        return config


class UpSampling2D(ImageLayer):
    """An image enlarged by whole factors.

    Args:
        size: the factors, an int or (height, width).
        data_format: ``"channels_last"``, the default, or ``"channels_first"``.
        interpolation: ``"nearest"`` repeats rows and columns; ``"bilinear"``, ``"bicubic"`` (Keys 1981, a = -1/2),
            ``"lanczos3"`` and ``"lanczos5"`` (Duchon 1979) weigh neighbours, those outside the image left out.

    Input [batch, height, width, channels], output [batch, size * height, size * width, channels]. Raises
    ``ValueError`` for factors that are not positive and for an unknown interpolation.
    """

    _config: tuple[str, ...] = ("size", "interpolation")

    def __init__(
        self,
        size: int | Sequence[int] = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format, **kwargs)
        self.size = sizes_of(size, 2, "size")
        self.interpolation = interpolation.lower() if isinstance(interpolation, str) else interpolation
        if self.interpolation not in INTERPOLATIONS:
            raise unknown_name("interpolation", interpolation, INTERPOLATIONS)

    def apply(self, x: Tensor) -> Tensor:
        height, width = (n * factor for n, factor in zip(x.shape[1:3], self.size, strict=True))
        return ops.image.resize(x, (height, width), self.interpolation, data_format="channels_last")

    def output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        sizes = (None if n is None else n * f for n, f in zip(shape[1:3], self.size, strict=True))
        return (shape[0], *sizes, shape[3])


def _without_data_format(layer: ImageLayer, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a layer whose channels are last in any case. Raises ``ValueError`` for a ``data_format``."""
    if "data_format" in kwargs:
        raise ValueError(f"{type(layer).__name__} has no data_format: its input is [batch, steps, channels].")
    return {**kwargs, "data_format": "channels_last"}
