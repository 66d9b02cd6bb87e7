"""Dropout: a mask that is computed twice rather than kept."""

from __future__ import annotations

from typing import Any

from deepcore.autograd.primitive import primitive
from deepcore.generator import Generator, as_generator
from deepcore.ops.operand import floating
from deepcore.tensor import Tensor


@primitive
def _dropout(backend: Any, x: Any, *, rate: float, seed: int, offset: int) -> Any:
    return backend.dropout(x, rate, seed, offset)


@_dropout.gradient("x")
def _(dy: Tensor, rate: float, seed: int, offset: int) -> Tensor:
    return _dropout(dy, rate=rate, seed=seed, offset=offset)


def dropout(x: Any, rate: float, seed: int | Generator | None = None) -> Tensor:
    """Sets elements to zero with probability ``rate`` and scales the others by 1 / (1 - rate).

    Args:
        x: floating tensor.
        rate: from 0 to 1, 1 excluded.
        seed: a stream, or the seed of one; by default a new one from the default stream.

    The mask follows from the counter-based stream, so that the backward pass draws it again and no mask is kept.
    Raises ``ValueError`` for another rate. Srivastava et al. 2014.
    """
    tensor = floating(x)
    if not 0 <= rate < 1:
        raise ValueError(f"dropout: rate must be from 0 to 1, 1 excluded; got {rate!r}.")
    if rate == 0:
        return tensor
    stream = as_generator(seed)
    return _dropout(tensor, rate=float(rate), seed=stream.seed, offset=stream.reserve(tensor.size))
