"""Matrix products."""

from __future__ import annotations

from typing import Any

from deepcore.autograd.primitive import primitive
from deepcore.backend.geometry import MatmulGeometry, require_nonempty
from deepcore.ops.activation import check_epilogue, epilogue_gradient, keeps_of_product
from deepcore.ops.elementwise import sum_to
from deepcore.ops.operand import floating, operands, tensor_of, without_gradient
from deepcore.ops.shape import reshape, swapaxes
from deepcore.tensor import Tensor


@primitive
def _matmul(backend: Any, a: Any, b: Any, bias: Any, *, transpose_a: bool, transpose_b: bool, activation: str) -> Any:
    return backend.matmul(a, b, transpose_a, transpose_b, bias, activation)


@_matmul.gradient("a", "b", "bias", keeps=keeps_of_product("a", "b"))
def _(
    dy: Tensor,
    y: Tensor,
    a: Tensor,
    b: Tensor,
    a_shape: tuple[int, ...],
    b_shape: tuple[int, ...],
    transpose_a: bool,
    transpose_b: bool,
    activation: str,
    needed: frozenset[str],
) -> tuple[Tensor | None, ...]:
    dz, dbias = epilogue_gradient(dy, y, activation, "bias" in needed)
    da = db = None
    if "a" in needed:
        da = _product(b, dz, transpose_b, True) if transpose_a else _product(dz, b, False, not transpose_b)
        da = sum_to(da, a_shape)
    if "b" in needed:
        db = _product(dz, a, True, transpose_a) if transpose_b else _product(a, dz, not transpose_a, False)
        db = sum_to(db, b_shape)
    return da, db, dbias


def _product(a: Tensor, b: Tensor, transpose_a: bool, transpose_b: bool) -> Tensor:
    return _matmul(a, b, None, transpose_a=transpose_a, transpose_b=transpose_b, activation="linear")


def matmul(
    x1: Any,
    x2: Any,
    *,
    transpose_a: bool = False,
    transpose_b: bool = False,
    bias: Any = None,
    activation: str = "linear",
) -> Tensor:
    """The matrix product, with an optional bias and activation fused behind it.

    Args:
        x1: [..., m, k], or [..., k, m] with ``transpose_a``; batch axes broadcast. A vector counts as one row.
        x2: [..., k, n], or [..., n, k] with ``transpose_b``. A vector counts as one column.
        bias: [n], added to every row.
        activation: one of ``deepcore.ops.EPILOGUES``.

    Returns [..., m, n] of the operands' dtype. Raises ``ValueError`` if
    the inner sizes differ, batch axes do not broadcast, or ``bias`` is not [n].

    >>> matmul([[1.0, 2.0]], [[3.0], [4.0]])
    Tensor([[11.]], dtype=float32)
    """
    a, b = operands(x1, x2)
    ranks = a.ndim, b.ndim
    if 0 in ranks:
        raise ValueError(f"matmul needs operands of rank 1 or more; got shapes {a.shape} and {b.shape}.")
    if a.dtype.kind != "f":
        if bias is None and activation == "linear":
            return _of_integers(a, b, transpose_a, transpose_b)
        a, b = floating(a), floating(b)
    row, column = ranks[0] == 1, ranks[1] == 1
    a = reshape(a, (1, a.size)) if row else a
    b = reshape(b, (b.size, 1)) if column else b
    shapes = a.shape, b.shape
    geometry = MatmulGeometry.of(*shapes, transpose_a, transpose_b)
    if not geometry.flops:
        require_nonempty("matmul", x1=shapes[0], x2=shapes[1])
    bias = None if bias is None else operands(tensor_of(bias, like=a), a)[0]
    check_epilogue("matmul", bias, geometry.n, activation)
    y: Tensor = _matmul(a, b, bias, transpose_a=transpose_a, transpose_b=transpose_b, activation=activation)
    if row or column:
        shape = y.shape[:-2] + (() if row else (y.shape[-2],)) + (() if column else (y.shape[-1],))
        y = reshape(y, shape)
    return y


def _of_integers(a: Tensor, b: Tensor, transpose_a: bool, transpose_b: bool) -> Tensor:
    """The product of integers or booleans, exactly; the kernels are for floating numbers."""
    a = swapaxes(a, -1, -2) if transpose_a and a.ndim > 1 else a
    b = swapaxes(b, -1, -2) if transpose_b and b.ndim > 1 else b
    MatmulGeometry.of(a.shape if a.ndim > 1 else (1, a.size), b.shape if b.ndim > 1 else (b.size, 1), False, False)
    return without_gradient("matmul", a, b)
