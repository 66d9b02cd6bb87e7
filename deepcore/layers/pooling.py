"""Pooling over windows, and over whole images and sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepcore import ops
from deepcore.layers.image import COUNTS, ImageLayer, padding_of, sizes_of, window_output
from deepcore.tensor import Tensor

Sizes = int | Sequence[int]


class _Pooling(ImageLayer):
    _config: tuple[str, ...] = ("pool_size", "strides", "padding")
    _stateless = True

    def __init__(
        self,
        pool_size: Sizes,
        strides: Sizes | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format, name=name, **kwargs)
        self.pool_size = sizes_of(pool_size, self.rank, "pool_size")
        self.strides = self.pool_size if strides is None else sizes_of(strides, self.rank, "strides")
        self.padding = padding_of(padding)

    def windows(self) -> tuple[tuple[int, int], tuple[int, int], str]:
        """Window, strides and padding for an image."""
        return self.of_image(self.pool_size, 1), self.of_image(self.strides, 1), self.padding

    def output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return window_output(shape, self.pool_size, self.strides, self.padding, shape[-1])


class _MaxPooling(_Pooling):
    def __init__(
        self,
        pool_size: Sizes = 2,
        strides: Sizes | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)

    def apply(self, x: Tensor) -> Tensor:
        return ops.max_pool2d(x, *self.windows())


class _AveragePooling(_Pooling):
    def apply(self, x: Tensor) -> Tensor:
        return ops.avg_pool2d(x, *self.windows())


class MaxPooling1D(_MaxPooling):
    """The largest element of each window: [batch, steps, channels] -> [batch, out_steps, channels].

    Arguments and errors as for ``MaxPooling2D``, with one size each.
    """

    rank = 1


class MaxPooling2D(_MaxPooling):
    """The largest element of each window.

    Args:
        pool_size: the window, an int or (height, width); 2 by default.
        strides: distance between windows; the window's size by default.
        padding: ``"valid"`` for none, ``"same"`` for ceil(size / stride) outputs; padding itself never counts.
        data_format: ``"channels_last"``, the default, or ``"channels_first"``.

    Input [batch, height, width, channels], output [batch, out_height, out_width, channels]. Raises ``ValueError`` for
    sizes that are not positive and a window larger than the image.
    """


class AveragePooling1D(_AveragePooling):
    """The mean of each window: [batch, steps, channels] -> [batch, out_steps, channels].

    Arguments and errors as for ``AveragePooling2D``, with one size each.
    """

    rank = 1


class AveragePooling2D(_AveragePooling):
    """The mean of each window, over those of its elements that lie inside the image.

    Args:
        pool_size: the window, an int or (height, width).
        Others as for ``MaxPooling2D``; with ``"same"`` a window at the edge is divided by the number of its elements
            inside, as Keras does with TensorFlow and JAX.

    Input [batch, height, width, channels], output [batch, out_height, out_width, channels]. Raises as
    ``MaxPooling2D``.
    """


class _AdaptivePooling(ImageLayer):
    _stateless = True
    _config: tuple[str, ...] = ("output_size",)

    def __init__(self, output_size: Sizes, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        several = isinstance(output_size, list | tuple)
        if not isinstance(output_size, int) and not (several and len(output_size) == self.rank):
            strange = ValueError if several and self.rank == 1 else TypeError
            raise strange(f"output_size must be {COUNTS[self.rank]}; got output_size={output_size!r}.")
        self.output_size = sizes_of(output_size, self.rank, "output_size")

    def along(self, x: Tensor, axis: int) -> Tensor:
        """One element of all those of x along ``axis``, which stays."""
        raise NotImplementedError(f"{type(self).__name__} must implement along(x, axis).")

    def apply(self, x: Tensor) -> Tensor:
        for axis, windows in zip((1, 2), self.of_image(self.output_size, 1), strict=True):
            size, before = x.shape[axis], (slice(None),) * axis
            ends = ((i * size // windows, -(-(i + 1) * size // windows)) for i in range(windows))
            parts = [(*before, slice(start, end)) for start, end in ends]
            x = ops.concatenate([self.along(x[part], axis) for part in parts], axis)
        return x

    def output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return (shape[0], *self.output_size, shape[-1])


class _AdaptiveMaxPooling(_AdaptivePooling):
    def along(self, x: Tensor, axis: int) -> Tensor:
        return ops.max(x, axis, keepdims=True)


class _AdaptiveAveragePooling(_AdaptivePooling):
    def along(self, x: Tensor, axis: int) -> Tensor:
        return ops.mean(x, axis, keepdims=True)


class AdaptiveMaxPooling1D(_AdaptiveMaxPooling):
    """The largest element of each of ``output_size`` windows; see ``AdaptiveAveragePooling2D``."""

    rank = 1


class AdaptiveMaxPooling2D(_AdaptiveMaxPooling):
    """The largest element of each of ``output_size`` windows; see ``AdaptiveAveragePooling2D``."""


class AdaptiveAveragePooling1D(_AdaptiveAveragePooling):
    """The mean of each of ``output_size`` windows; see ``AdaptiveAveragePooling2D``."""

    rank = 1


class AdaptiveAveragePooling2D(_AdaptiveAveragePooling):
    """The mean of each window, where the image is cut into as many windows as are asked for.

    Args:
        output_size: how many windows, an int or (height, width). Of n windows over a size the i-th spans the elements
            from floor(i * size / n) to ceil((i + 1) * size / n), so that neighbours may share some.
        data_format: ``"channels_last"``, the default, or ``"channels_first"``.

    Input [batch, height, width, channels], output [batch, *output_size, channels]. Raises ``TypeError`` for anything
    else than one or two ints, and ``ValueError`` for sizes that are not positive.
    """


class _GlobalPooling(ImageLayer):
    _config: tuple[str, ...] = ("keepdims",)
    _stateless = True

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        if not isinstance(keepdims, bool):
            raise TypeError(f"keepdims must be True or False; got keepdims={keepdims!r}.")
        self.keepdims = keepdims

    def pool(self, x: Tensor) -> Tensor:
        """[batch, height, width, channels] -> [batch, channels]."""
        raise NotImplementedError(f"{type(self).__name__} must implement pool(x).")

    def apply(self, x: Tensor) -> Tensor:
        y = self.pool(x)
        return ops.reshape(y, (y.shape[0], 1, 1, y.shape[1])) if self.keepdims else y

    def output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return (shape[0], *((1,) * self.rank if self.keepdims else ()), shape[-1])


class _GlobalMaxPooling(_GlobalPooling):
    def pool(self, x: Tensor) -> Tensor:
        return ops.global_max_pool2d(x)


class _GlobalAveragePooling(_GlobalPooling):
    def pool(self, x: Tensor) -> Tensor:
        return ops.global_avg_pool2d(x)


class GlobalMaxPooling1D(_GlobalMaxPooling):
    """The largest element of each channel: [batch, steps, channels] -> [batch, channels].

    Arguments as for ``GlobalMaxPooling2D``.
    """

    rank = 1


class GlobalMaxPooling2D(_GlobalMaxPooling):
    """The largest element of each channel: [batch, height, width, channels] -> [batch, channels].

    Args:
        data_format: ``"channels_last"``, the default, or ``"channels_first"``.
        keepdims: whether height and width stay, as 1.
    """


class GlobalAveragePooling1D(_GlobalAveragePooling):
    """The mean of each channel over the steps: [batch, steps, channels] -> [batch, channels].

    Arguments as for ``GlobalAveragePooling2D``. A mask [batch, steps] says which steps count; where none does the
    mean is NaN.
    """

    rank = 1

    def call(self, x: Tensor, mask: Any = None) -> Tensor:
        if mask is None:
            return super().call(x)
        steps, channels = (1, 2) if self.data_format == "channels_last" else (2, 1)
        counts = ops.cast(ops.expand_dims(mask, channels), x.dtype)
        kept = ops.where(counts, x, 0.0)  # not x * counts: what is masked may be NaN
        return ops.sum(kept, steps, keepdims=self.keepdims) / ops.sum(counts, steps, keepdims=self.keepdims)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return None


class GlobalAveragePooling2D(_GlobalAveragePooling):
    """The mean of each channel: [batch, height, width, channels] -> [batch, channels]. Lin et al. 2014.

    Args:
        data_format: ``"channels_last"``, the default, or ``"channels_first"``.
        keepdims: whether height and width stay, as 1.
    """
