"""Dropout: a mask that follows from the result, or is computed twice, but is never kept."""

from __future__ import annotations

from typing import Any

from deepcore.autograd import is_recording
from deepcore.autograd.primitive import primitive
from deepcore.backend.dtype import is_half
from deepcore.generator import Generator, as_generator
from deepcore.ops.activation import Thinned, behind
from deepcore.ops.operand import floating
from deepcore.tensor import Tensor


@primitive
def _dropout(backend: Any, x: Any, *, rate: float, seed: int, offset: int, rectified: bool) -> Any:
    return backend.dropout(x, rate, seed, offset)


@_dropout.gradient("x", keeps=lambda rectified: {"y"} if rectified else set())
def _(dy: Tensor, y: Tensor | None, rate: float, seed: int, offset: int) -> Tensor:
    if y is None or is_recording():
        return _again(dy, rate, seed, offset)
    return _DropoutGradient(dy, y, rate, seed, offset)


def _again(dy: Tensor, rate: float, seed: int, offset: int) -> Tensor:
    dx: Tensor = _dropout(dy, rate=rate, seed=seed, offset=offset, rectified=False)
    return dx


class _DropoutGradient(Thinned):
    """The gradient that dropout gives to its input."""

    __slots__ = ("numbers",)

    def __init__(self, dy: Tensor, y: Tensor, rate: float, seed: int, offset: int) -> None:
        super().__init__(dy, y, 1 / (1 - rate))
        self.numbers = rate, seed, offset

    def at_input(self, dy: Tensor) -> Tensor:
        return _again(dy, *self.numbers)


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
    return _dropout(tensor, rate=float(rate), seed=stream.seed, offset=stream.reserve(tensor.size), rectified=rectified)
