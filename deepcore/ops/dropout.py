"""Dropout: a mask that follows from the result, or is computed twice, but is never kept."""

from __future__ import annotations

from typing import Any

from deepcore.autograd import is_recording
from deepcore.autograd.primitive import primitive
from deepcore.autograd.trace import Draw
from deepcore.backend.dtype import is_half
from deepcore.generator import Generator, as_generator
from deepcore.ops.activation import Thinned, behind
from deepcore.ops.operand import floating
from deepcore.tensor import Tensor


@primitive
def _dropout(backend: Any, x: Any, *, rate: float, draw: Draw, rectified: bool) -> Any:
    return backend.dropout(x, rate, draw.seed, draw.offset)


@_dropout.gradient("x", keeps=lambda rectified: {"y"} if rectified else set())
def _(dy: Tensor, y: Tensor | None, rate: float, draw: Draw) -> Tensor:
    if y is None or is_recording():
        return _again(dy, rate, draw)
    return _DropoutGradient(dy, y, rate, draw)


def _again(dy: Tensor, rate: float, draw: Draw) -> Tensor:
    dx: Tensor = _dropout(dy, rate=rate, draw=draw, rectified=False)
    return dx


class _DropoutGradient(Thinned):
    """The gradient that dropout gives to its input."""

    __slots__ = ("draw", "rate")

    def __init__(self, dy: Tensor, y: Tensor, rate: float, draw: Draw) -> None:
        super().__init__(dy, y, 1 / (1 - rate))
        self.rate, self.draw = rate, draw

    def at_input(self, dy: Tensor) -> Tensor:
        return _again(dy, self.rate, self.draw)


def dropout(x: Any, rate: float, seed: int | Generator | None = None) -> Tensor:
    """Sets elements to zero with probability ``rate`` and scales the others by 1 / (1 - rate).

    Args:
        x: floating tensor.
        rate: from 0 to 1, 1 excluded.
        seed: a stream, or the seed of one; by default a new one from the default stream.

    The mask follows from the counter-based stream, so that the backward pass draws it again and no mask is kept;
    behind a relu, fused with what ``x`` came from or with pooling in between, it follows from the result.
    Raises ``ValueError`` for another rate. Srivastava et al. 2014.
    """
    tensor = floating(x)
    if not 0 <= rate < 1:
        raise ValueError(f"dropout: rate must be from 0 to 1, 1 excluded; got {rate!r}.")
    if rate == 0:
        return tensor
    stream = as_generator(seed)
    rectified = behind(tensor) == "relu" and not is_half(tensor.dtype)  # of which the scale would be rounded
    return _dropout(tensor, rate=float(rate), draw=stream.draw(tensor.size), rectified=rectified)
