"""Max and average pooling over windows, and over the whole image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepcore.autograd import is_recording
from deepcore.autograd.primitive import primitive
from deepcore.backend.geometry import Padding, Pool2DGeometry
from deepcore.ops.activation import Selected, behind
from deepcore.ops.operand import floating
from deepcore.ops.shape import reshape
from deepcore.tensor import Tensor


@primitive(outputs=("y", "argmax"))
def _max_pool2d(backend: Any, x: Any, *, geometry: Pool2DGeometry, activation: str = "linear") -> Any:
    return backend.max_pool2d_fprop(x, geometry)


@_max_pool2d.gradient("x", keeps=lambda activation: {"argmax"} if activation == "linear" else {"y", "argmax"})
def _(dy: Tensor, y: Tensor | None, argmax: Tensor, geometry: Pool2DGeometry) -> Tensor:
    if y is None or is_recording():
        return _max_pool2d_dgrad(dy, argmax, geometry=geometry)
    return _PoolGradient(dy, y, argmax, geometry)


class _PoolGradient(Selected):
    """The gradient that max pooling gives to its input."""

    __slots__ = ("geometry", "positions")

    def __init__(self, dy: Tensor, y: Tensor, argmax: Tensor, geometry: Pool2DGeometry) -> None:
        super().__init__(dy, y)
        self.positions, self.geometry = argmax, geometry

    def at_input(self, dy: Tensor) -> Tensor:
        dx: Tensor = _max_pool2d_dgrad(dy, self.positions, geometry=self.geometry)
        return dx


@primitive(outputs=("dx",))
def _max_pool2d_dgrad(backend: Any, dy: Any, argmax: Any, *, geometry: Pool2DGeometry) -> Any:
    return backend.max_pool2d_dgrad(dy, argmax, geometry)


@_max_pool2d_dgrad.gradient("dy")
def _(ddx: Tensor, argmax: Tensor, geometry: Pool2DGeometry) -> Tensor:
    return _max_pool2d_gather(ddx, argmax, geometry=geometry)


@primitive
def _max_pool2d_gather(backend: Any, x: Any, argmax: Any, *, geometry: Pool2DGeometry) -> Any:
    return backend.max_pool2d_gather(x, argmax, geometry)


@_max_pool2d_gather.gradient("x")
def _(dy: Tensor, argmax: Tensor, geometry: Pool2DGeometry) -> Tensor:
    return _max_pool2d_dgrad(dy, argmax, geometry=geometry)


@primitive
def _avg_pool2d(backend: Any, x: Any, *, geometry: Pool2DGeometry) -> Any:
    return backend.avg_pool2d_fprop(x, geometry)


@_avg_pool2d.gradient("x")
def _(dy: Tensor, geometry: Pool2DGeometry) -> Tensor:
    return _avg_pool2d_dgrad(dy, geometry=geometry)


@primitive(outputs=("dx",))
def _avg_pool2d_dgrad(backend: Any, dy: Any, *, geometry: Pool2DGeometry) -> Any:
    return backend.avg_pool2d_dgrad(dy, geometry)


@_avg_pool2d_dgrad.gradient("dy")
def _(ddx: Tensor, geometry: Pool2DGeometry) -> Tensor:
    return _avg_pool2d(ddx, geometry=geometry)


def max_pool2d(
    x: Any, pool_size: int | Sequence[int], strides: int | Sequence[int] | None = None, padding: Padding = "valid"
) -> Tensor:
    """The largest element of each window. Padding is never chosen; of equal elements the first gets the gradient.

    Args:
        x: [batch, height, width, channels].
        pool_size: the window, an int or (height, width).
        strides: distance between windows; the window's size by default.
        padding: ``"valid"``, ``"same"``, or explicit sizes smaller than the window.

    Returns [batch, out_height, out_width, channels]. Raises ``ValueError`` for a wrong rank, empty sizes and a window
    larger than the padded input.

    >>> max_pool2d(Tensor([1.0, 3.0, 2.0, 0.0]).reshape((1, 2, 2, 1)), 2).item()
    3.0
    """
    tensor = floating(x)
    return _largest(tensor, Pool2DGeometry.of(tensor.shape, pool_size, strides, padding))


def _largest(x: Tensor, geometry: Pool2DGeometry) -> Tensor:
    y: Tensor = _max_pool2d(x, geometry=geometry, activation=behind(x))[0]
    return y


def avg_pool2d(
    x: Any, pool_size: int | Sequence[int], strides: int | Sequence[int] | None = None, padding: Padding = "valid"
) -> Tensor:
    """The mean of each window, over the elements that lie inside the input. Arguments as for ``max_pool2d``."""
    tensor = floating(x)
    return _avg_pool2d(tensor, geometry=Pool2DGeometry.of(tensor.shape, pool_size, strides, padding))


def _whole(x: Any) -> tuple[Tensor, Pool2DGeometry]:
    tensor = floating(x)
    if tensor.ndim != 4:
        raise ValueError(f"global pooling expects [batch, height, width, channels]; got shape {tensor.shape}.")
    return tensor, Pool2DGeometry.of(tensor.shape, tensor.shape[1:3])


def global_max_pool2d(x: Any) -> Tensor:
    """The largest element of each channel: [batch, height, width, channels] -> [batch, channels]."""
    tensor, geometry = _whole(x)
    return reshape(_largest(tensor, geometry), (geometry.batch, geometry.channels))


def global_avg_pool2d(x: Any) -> Tensor:
    """The mean of each channel: [batch, height, width, channels] -> [batch, channels]. Lin et al. 2014."""
    tensor, geometry = _whole(x)
    return reshape(_avg_pool2d(tensor, geometry=geometry), (geometry.batch, geometry.channels))
