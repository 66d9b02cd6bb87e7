"""Images and sequences made smaller by cutting, larger by zeros, and larger by repeating or interpolating."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deepcore import ops
from deepcore.errors import unknown_name
from deepcore.layers.image import ImageLayer, ends_of, sizes_of
from deepcore.layers.reshaping import repeats_of
from deepcore.tensor import Tensor

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")


class _Cropping(ImageLayer):
    cropping: tuple[tuple[int, ...], ...]

    def apply(self, x: Tensor) -> Tensor:
        sizes = self._cut(x.shape[3 - self.rank : 3])
        starts = (ends[0] for ends in self.cropping)
        parts = [slice(start, start + size) for start, size in zip(starts, sizes, strict=True)]
        return ops.getitem(x, (slice(None), *self.of_image(parts, slice(None))))

    def _cut(self, sizes: Sequence[Any]) -> list[Any]:
        left = [None if s is None else s - sum(ends) for s, ends in zip(sizes, self.cropping, strict=True)]
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
        self.cropping = (sizes_of(cropping, 2, "cropping", smallest=0),)

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "cropping": self.cropping[0]}
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

    def __init__(self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        self.cropping = ends_of(cropping, 2, "cropping")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cropping": self.cropping}


class _ZeroPadding(ImageLayer):
    ends: tuple[tuple[int, ...], ...]

    def apply(self, x: Tensor) -> Tensor:
        return ops.pad(x, ((0, 0), *self.of_image(self.ends, (0, 0)), (0, 0)))

    def output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        sizes = (None if s is None else s + sum(ends) for s, ends in zip(shape[1:-1], self.ends, strict=True))
        return (shape[0], *sizes, shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "padding": self.padding}

    @property
    def padding(self) -> tuple[Any, ...]:
        """(before, after) of each axis; of the only one by itself."""
        return self.ends[0] if self.rank == 1 else self.ends


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
        self.size = repeats_of("size", size)

    def apply(self, x: Tensor) -> Tensor:
        return _repeated(x, (1, self.size))

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
        if self.interpolation == "nearest":
            return _repeated(x, self.size)
        b, h, w, c = x.shape
        rows, columns = (
            Tensor(_weights(n, f, self.interpolation).astype(x.dtype), device=x.device)
            for n, f in zip((h, w), self.size, strict=True)
        )
        y = ops.reshape(ops.matmul(rows, ops.reshape(x, (b, h, w * c))), (b * h * self.size[0], w, c))
        return ops.reshape(ops.matmul(columns, y), (b, h * self.size[0], w * self.size[1], c))

    def output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        sizes = (None if n is None else n * f for n, f in zip(shape[1:3], self.size, strict=True))
        return (shape[0], *sizes, shape[3])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size, "interpolation": self.interpolation}


def _without_data_format(layer: ImageLayer, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a layer that has no ``data_format``, unlike the others. Raises ``TypeError`` for one."""
    if "data_format" in kwargs:
        raise TypeError(f"{type(layer).__name__} has no data_format: its input is [batch, steps, channels].")
    return kwargs


def _repeated(x: Tensor, times: Sequence[int]) -> Tensor:
    """x [batch, height, width, channels] with every row and column repeated."""
    b, h, w, c = x.shape
    rows, columns = times
    y = ops.broadcast_to(ops.reshape(x, (b, h, 1, w, 1, c)), (b, h, rows, w, columns, c))
    return ops.reshape(y, (b, h * rows, w * columns, c))


def _weights(size: int, factor: int, interpolation: str) -> np.ndarray[Any, Any]:
    """[factor * size, size]: what each output takes of each input, pixels being squares that share their outer edges.

    A row is a filter of the distance, made to sum to 1 over the inputs that there are.
    """
    centres = (np.arange(size * factor) + 0.5) / factor - 0.5
    d = np.abs(centres[:, None] - np.arange(size))
    if interpolation == "bilinear":
        y = np.maximum(1 - d, 0)
    elif interpolation == "bicubic":
        y = np.where(d < 1, (1.5 * d - 2.5) * d * d + 1, ((-0.5 * d + 2.5) * d - 4) * d + 2) * (d < 2)
    else:
        radius = int(interpolation[-1])
        y = np.sinc(d) * np.sinc(d / radius) * (d < radius)
    return np.asarray(y / y.sum(1, keepdims=True))
