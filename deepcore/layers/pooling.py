"""Pooling over windows, and over whole images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepcore import ops
from deepcore.backend.geometry import pair
from deepcore.layers.image import ImageLayer, padding_of, window_output
from deepcore.tensor import Tensor


class _Pooling2D(ImageLayer):
    """One value of each window.

    Args:
        pool_size: the window, an int or (height, width).
        strides: distance between windows; the window's size by default.
        padding: ``"valid"`` for none, ``"same"`` for ceil(size / stride) outputs; padding itself never counts.
        data_format: ``"channels_last"``, the default, or ``"channels_first"``.

    Input [batch, height, width, channels], output [batch, out_height, out_width, channels]. Raises ``ValueError`` for
    sizes that are not positive and a window larger than the image.
    """

    def __init__(
        self,
        pool_size: int | Sequence[int] = (2, 2),
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format, **kwargs)
        self.pool_size = pair(pool_size, "pool_size")
        self.strides = self.pool_size if strides is None else pair(strides, "strides")
        self.padding = padding_of(padding)

    def output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return window_output(shape, self.pool_size, self.strides, self.padding, shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "strides": self.strides,
            "padding": self.padding,
        }


class MaxPooling2D(_Pooling2D):
    __doc__ = str(_Pooling2D.__doc__).replace("One value", "The largest element", 1)

    def apply(self, x: Tensor) -> Tensor:
        return ops.max_pool2d(x, self.pool_size, self.strides, self.padding)


class AveragePooling2D(_Pooling2D):
    __doc__ = str(_Pooling2D.__doc__).replace("One value", "The mean", 1)

    def apply(self, x: Tensor) -> Tensor:
        return ops.avg_pool2d(x, self.pool_size, self.strides, self.padding)


class _GlobalPooling2D(ImageLayer):
    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        self.keepdims = keepdims

    def pool(self, x: Tensor) -> Tensor:
        """[batch, height, width, channels] -> [batch, channels]."""
        raise NotImplementedError(f"{type(self).__name__} must implement pool(x).")

    def apply(self, x: Tensor) -> Tensor:
        y = self.pool(x)
        return ops.reshape(y, (y.shape[0], 1, 1, y.shape[1])) if self.keepdims else y

    def output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return (shape[0], 1, 1, shape[3]) if self.keepdims else (shape[0], shape[3])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "keepdims": self.keepdims}


class GlobalMaxPooling2D(_GlobalPooling2D):
    """The largest element of each channel: [batch, height, width, channels] -> [batch, channels].

    Args:
        data_format: ``"channels_last"``, the default, or ``"channels_first"``.
        keepdims: whether height and width stay, as 1.
    """

    def pool(self, x: Tensor) -> Tensor:
        return ops.global_max_pool2d(x)


class GlobalAveragePooling2D(_GlobalPooling2D):
    """The mean of each channel: [batch, height, width, channels] -> [batch, channels]. Lin et al. 2014.

    Args:
        data_format: ``"channels_last"``, the default, or ``"channels_first"``.
        keepdims: whether height and width stay, as 1.
    """

    def pool(self, x: Tensor) -> Tensor:
        return ops.global_avg_pool2d(x)
