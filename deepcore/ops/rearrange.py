"""Axes moved, split and merged by name."""

from __future__ import annotations

import math
import re
from typing import Any

from deepcore.ops.operand import tensor_of
from deepcore.ops.shape import reshape, transpose
from deepcore.tensor import Tensor


def _groups(pattern: str) -> list[list[str]]:
    """``"b (h w)"`` -> ``[["b"], ["h", "w"]]``."""
    return [part.strip("()").split() for part in re.findall(r"\w+|\(.*?\)", pattern)]


def rearrange(tensor: Any, pattern: str, **axes_lengths: int) -> Tensor:
    """A tensor with its axes in the order of a pattern (the notation of einops, Rogozhnikov 2022).

    Args:
        tensor: of any shape.
        pattern: a name for each axis, before and after, as ``"b h w c -> b c h w"``. Parentheses hold axes that are
            one axis of the tensor, or become one: ``"b (h s) -> b h s"``.
        axes_lengths: the lengths of axes in parentheses, of which one in each may be left open.

    Raises ``ValueError`` if the pattern does not fit the tensor.

    >>> rearrange(Tensor([[1, 2, 3, 4]]), "b (h w) -> (b w) h", w=2)
    Tensor([[1, 3],
            [2, 4]], dtype=int32)
    """
    x = tensor_of(tensor)
    before, arrow, after = pattern.partition("->")
    given, wanted = _groups(before), _groups(after)
    names = [name for group in given for name in group]
    if not arrow or len(given) != x.ndim or sorted(names) != sorted(name for group in wanted for name in group):
        raise ValueError(
            f"rearrange: {pattern!r} must name the {x.ndim} axes of shape {x.shape}, and the same names on both sides."
        )
    lengths: dict[str, int] = {}
    for group, length in zip(given, x.shape, strict=True):
        known = math.prod(axes_lengths[name] for name in group if name in axes_lengths)
        open_names = [name for name in group if name not in axes_lengths]
        if len(open_names) > 1 or length % known or (not open_names and known != length):
            raise ValueError(
                f"rearrange: an axis of length {length} is not made of {group} with the lengths {axes_lengths}."
            )
        lengths.update({name: axes_lengths.get(name, length // known) for name in group})
    apart = reshape(x, tuple(lengths[name] for name in names))
    moved = transpose(apart, [names.index(name) for group in wanted for name in group])
    return reshape(moved, tuple(math.prod(lengths[name] for name in group) for group in wanted))
