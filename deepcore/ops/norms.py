"""Norms of vectors and of matrices, and the distances that follow from them."""

from __future__ import annotations

import math
from typing import Any

from deepcore.ops.elementwise import abs, power, sqrt, square, subtract, where
from deepcore.ops.logic import not_equal
from deepcore.ops.matrices import svd
from deepcore.ops.operand import cast, floating, operands
from deepcore.ops.reduction import axes_of, max, min, sum
from deepcore.ops.shape import expand_dims, getitem, moveaxis, reshape
from deepcore.tensor import Tensor

_MATRIX_NORMS = (None, "fro", "nuc", math.inf, -math.inf, 1, -1, 2, -2)


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The norms of vectors along one axis, or of matrices along two.

    Args:
        x: a tensor of any shape; integers become float32.
        ord: for vectors None or any number p, (sum |x|**p)**(1/p), with inf and -inf for the largest and smallest
            magnitude, and 0 for how many elements are not zero. For matrices None or ``"fro"`` (the root of the sum
            of squares), ``"nuc"`` (the sum of the singular values), 2 and -2 (the largest and smallest of them), 1
            and -1 (the largest and smallest column sum of magnitudes), inf and -inf (of the rows).
        axis: one axis, or two; by default all of them: the flattened tensor for ``ord=None``, else of rank 1 or 2.
        keepdims: leave these axes with length one.

    Raises ``ValueError`` for another ``ord``, or a number of axes that it does not fit.
    """
    tensor = floating(x)
    axes = axes_of(axis, tensor.ndim, "norm")
    if axis is not None and not isinstance(axis, int):
        axes = tuple(a % tensor.ndim for a in axis)  # rows and columns as given, not sorted
    if ord is None or (ord == "fro" and len(axes) == 2) or (ord == 2 and len(axes) == 1):
        return _root(sum(square(tensor), axes, keepdims))
    if len(axes) == 1:
        return _vector_norm(tensor, ord, axes, keepdims)
    if len(axes) != 2 or ord not in _MATRIX_NORMS:
        raise ValueError(
            f"norm: ord={ord!r} is for {'vectors' if ord not in _MATRIX_NORMS else 'one axis or two'}; got shape "
            f"{tensor.shape} and axis={axis!r}. Matrices have None, 'fro', 'nuc', inf, -inf, 1, -1, 2 and -2."
        )
    matrices = moveaxis(tensor, axes, (-2, -1))
    if ord in ("nuc", 2, -2):
        values = svd(matrices, compute_uv=False)
        found = sum(values, -1) if ord == "nuc" else getitem(values, (..., 0 if ord == 2 else -1))
    else:
        lines = sum(abs(matrices), -1 if ord in (math.inf, -math.inf) else -2)
        found = max(lines, -1) if ord > 0 else min(lines, -1)
    return reshape(found, tuple(1 if a in axes else n for a, n in enumerate(tensor.shape))) if keepdims else found


def _root(x: Tensor) -> Tensor:
    """The square root, with the gradient 0 at 0: the length of nothing has no direction to grow in."""
    zero = x.detach() == 0
    return where(zero, 0.0, sqrt(where(zero, 1.0, x)))


def _vector_norm(x: Tensor, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    if not isinstance(ord, int | float):
        raise ValueError(f"norm: vectors have the orders None, inf, -inf and numbers; got ord={ord!r}.")
    if math.isinf(ord):
        return max(abs(x), axes, keepdims) if ord > 0 else min(abs(x), axes, keepdims)
    if ord == 0:
        return cast(sum(not_equal(x, 0), axes, keepdims), x.dtype)
    if ord == 1:
        return sum(abs(x), axes, keepdims)
    return power(sum(power(abs(x), ord), axes, keepdims), 1 / ord)


def cdist(x: Any, y: Any) -> Tensor:
    """The Euclidean distances between the rows of ``x`` [..., n, k] and of ``y`` [..., m, k]: [..., n, m].

    The gradient of a distance of zero is zero.
    """
    a, b = operands(floating(x), floating(y))
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-1]:
        raise ValueError(f"cdist: expected [..., n, k] and [..., m, k]; got shapes {a.shape} and {b.shape}.")
    squares = sum(square(subtract(expand_dims(a, -2), expand_dims(b, -3))), -1)
    return _root(squares)
