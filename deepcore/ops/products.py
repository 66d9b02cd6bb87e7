"""Products over axes: dot, tensordot, einsum and their kin. They end in ``matmul``, or in one sum over products."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from typing import Any

from deepcore.autograd.primitive import primitive
from deepcore.ops.arrangement import diagonal
from deepcore.ops.elementwise import multiply, subtract, sum_to
from deepcore.ops.matmul import matmul
from deepcore.ops.operand import cast, operands, result_dtype, tensor_of, whole_axis
from deepcore.ops.reduction import sum
from deepcore.ops.shape import getitem, moveaxis, ravel, reshape, stack, transpose
from deepcore.tensor import Tensor


def dot(x1: Any, x2: Any) -> Tensor:
    """The sum of products over the last axis of ``x1`` and the last but one (or only) axis of ``x2``.

    For two vectors their inner product, for two matrices ``matmul``; a number multiplies. ``x1`` [..., k] and ``x2``
    [..., k, n] give [all other axes of x1, all other axes of x2].
    """
    a, b = operands(x1, x2)
    if a.ndim == 0 or b.ndim == 0:
        return multiply(a, b)
    if a.ndim <= 2 and b.ndim <= 2:
        return matmul(a, b)
    return tensordot(a, b, ((-1,), (-2 if b.ndim > 1 else -1,)))


def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Tensor:
    """The sum of products over several axes of each.

    Args:
        x1, x2: tensors of any shapes.
        axes: how many: the last axes of ``x1`` with the first of ``x2``, in order; or (axes of ``x1``, axes of
            ``x2``), an axis or a list of them each.

    Returns [all other axes of x1, all other axes of x2]. Raises ``ValueError`` if the sizes of the axes differ.
    """
    a, b = operands(x1, x2)
    if isinstance(axes, int):
        first, second = list(range(a.ndim - axes, a.ndim)), list(range(axes))
    else:
        first, second = ([n] if isinstance(n, int) else list(n) for n in axes)
    first = [whole_axis(n, a.ndim, "tensordot") for n in first]
    second = [whole_axis(n, b.ndim, "tensordot") for n in second]
    if [a.shape[n] for n in first] != [b.shape[n] for n in second]:
        raise ValueError(
            f"tensordot: axes {first} of shape {a.shape} and {second} of shape {b.shape} must have the same sizes."
        )
    left = [n for n in range(a.ndim) if n not in first]
    right = [n for n in range(b.ndim) if n not in second]
    inner = math.prod(a.shape[n] for n in first)
    rows = reshape(transpose(a, left + first), (math.prod(a.shape[n] for n in left), inner))
    columns = reshape(transpose(b, second + right), (inner, math.prod(b.shape[n] for n in right)))
    return reshape(matmul(rows, columns), tuple(a.shape[n] for n in left) + tuple(b.shape[n] for n in right))


def inner(x1: Any, x2: Any) -> Tensor:
    """The sum of products over the last axes of both; a number multiplies."""
    a, b = operands(x1, x2)
    return multiply(a, b) if a.ndim == 0 or b.ndim == 0 else tensordot(a, b, ((-1,), (-1,)))


def vdot(x1: Any, x2: Any) -> Tensor:
    """The inner product of both, flattened."""
    return dot(ravel(x1), ravel(x2))


def outer(x1: Any, x2: Any) -> Tensor:
    """Every element of ``x1`` times every element of ``x2``, both flattened: [size of x1, size of x2]."""
    a, b = operands(x1, x2)
    return multiply(reshape(a, (a.size, 1)), ravel(b))


def kron(x1: Any, x2: Any) -> Tensor:
    """Each element of ``x1`` replaced by ``x2`` times it: the Kronecker product, of all axes."""
    a, b = operands(x1, x2)
    rank = max(a.ndim, b.ndim)
    sizes = [(1,) * (rank - t.ndim) + t.shape for t in (a, b)]
    outside = reshape(a, tuple(size for n in sizes[0] for size in (n, 1)))
    inside = reshape(b, tuple(size for n in sizes[1] for size in (1, n)))
    return reshape(multiply(outside, inside), tuple(n * m for n, m in zip(*sizes, strict=True)))


def cross(x1: Any, x2: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Tensor:
    """The cross product of vectors of length three; where one has length two, its third part is zero.

    Args:
        x1, x2: vectors along ``axisa`` and ``axisb``; their other axes broadcast.
        axisc: where the vectors stand in the result; for two of length two it has none, only the third part.
        axis: all three of these axes at once.

    Raises ``ValueError`` for vectors of another length.
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = operands(x1, x2)
    a, b = moveaxis(a, axisa, -1), moveaxis(b, axisb, -1)
    if a.shape[-1] not in (2, 3) or b.shape[-1] not in (2, 3):
        raise ValueError(
            f"cross: vectors must have length 2 or 3; got {a.shape[-1]} along axis {axisa} of x1 and {b.shape[-1]} "
            f"along axis {axisb} of x2."
        )
    a0, a1, a2 = _parts(a)
    b0, b1, b2 = _parts(b)
    third = subtract(multiply(a0, b1), multiply(a1, b0))
    if a.shape[-1] == b.shape[-1] == 2:
        return third
    first = subtract(multiply(a1, b2), multiply(a2, b1))
    second = subtract(multiply(a2, b0), multiply(a0, b2))
    return moveaxis(stack([first, second, third], -1), -1, axisc)


def _parts(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    first, second = getitem(x, (..., 0)), getitem(x, (..., 1))
    return first, second, getitem(x, (..., 2)) if x.shape[-1] == 3 else first * 0


# Einstein's sum


@primitive
def _einsum(backend: Any, *xs: Any, terms: tuple[str, ...], result: str) -> Any:
    return backend.xp.einsum(f"{','.join(terms)}->{result}", *xs, optimize=len(xs) > 1)


@_einsum.gradient("xs")
def _(
    dy: Tensor, xs: tuple[Tensor, ...], xs_shape: tuple[tuple[int, ...], ...], terms: tuple[str, ...], result: str
) -> list[Tensor]:
    """The same sum with the gradient in the place of the tensor: each of its letters stands elsewhere, too."""
    found = []
    for i, term in enumerate(terms):
        others, names = xs[:i] + xs[i + 1 :], terms[:i] + terms[i + 1 :]
        wide = _einsum(dy, *others, terms=(result, *names), result=term)
        found.append(sum_to(wide, xs_shape[i]))  # an axis of length one broadcasts
    return found


def einsum(subscripts: str, *operands: Any, **kwargs: Any) -> Tensor:
    """Einstein's sum: products of elements whose letters agree, summed over the letters that the result lacks.

    Args:
        subscripts: a letter for each axis of each tensor, as ``"ij,jk->ik"``; ``...`` stands for any axes, which
            broadcast. Without ``->`` the result has the letters that occur once, in alphabetical order.
        operands: the tensors.
        kwargs: taken for compatibility; how the sum is computed is not up to the caller.

    Raises ``ValueError`` for subscripts that do not fit the tensors.

    >>> einsum("ij,j->i", [[1.0, 2.0], [3.0, 4.0]], [1.0, 10.0])
    Tensor([21., 43.], dtype=float32)
    """
    tensors = [tensor_of(operand) for operand in operands]
    terms, result = _letters(subscripts, tensors)
    dtype = tensors[0].dtype
    for tensor in tensors[1:]:
        dtype = result_dtype(dtype, tensor.dtype)
    tensors = [cast(tensor, dtype) for tensor in tensors]
    for i, term in enumerate(terms):
        for letter in sorted(set(term)):
            while terms[i].count(letter) > 1:
                first = terms[i].index(letter)
                second = terms[i].index(letter, first + 1)
                tensors[i] = diagonal(tensors[i], 0, first, second)
                terms[i] = terms[i][:first] + terms[i][first + 1 : second] + terms[i][second + 1 :] + letter
        elsewhere = set(result).union(*terms[:i], *terms[i + 1 :])
        alone = tuple(n for n, letter in enumerate(terms[i]) if letter not in elsewhere)
        if alone:
            tensors[i] = cast(sum(tensors[i], alone), dtype)
            terms[i] = "".join(letter for letter in terms[i] if letter in elsewhere)
    return _einsum(*tensors, terms=tuple(terms), result=result)


def _letters(subscripts: str, tensors: Sequence[Tensor]) -> tuple[list[str], str]:
    """The letters of each tensor and of the result, ``...`` spelled out."""
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(tensors):
        raise ValueError(f"einsum: {subscripts!r} names {len(terms)} tensors; got {len(tensors)}.")
    spare = [letter for letter in string.ascii_letters if letter not in subscripts]
    widest = 0
    for i, (term, tensor) in enumerate(zip(terms, tensors, strict=True)):
        named = len(term.replace("...", ""))
        open_axes = tensor.ndim - named
        if open_axes < 0 or (open_axes > 0 and "..." not in term):
            raise ValueError(f"einsum: {term!r} in {subscripts!r} does not fit a tensor of shape {tensor.shape}.")
        widest = max(widest, open_axes)
        terms[i] = term.replace("...", "".join(spare[:open_axes][::-1]))
    rest = "".join(spare[:widest][::-1])
    if arrow:
        result = right.replace("...", rest)
    else:
        every = "".join(terms)
        result = rest + "".join(c for c in sorted(set(every)) if every.count(c) == 1 and c not in rest)
    unknown = set(result) - set("".join(terms))
    if unknown or len(set(result)) != len(result):
        raise ValueError(f"einsum: the result of {subscripts!r} has letters that no tensor has, or one twice.")
    return terms, result
