"""Linear algebra of matrices: the last two axes; all axes before them are batches.

Decompositions are those of LAPACK, as the array namespace offers them. Their gradients (Giles 2008, "Collected matrix
derivative results") are written with the same functions, so that they can be differentiated again.
"""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from deepcore.autograd.engine import gradients
from deepcore.autograd.graph import is_recording, recording
from deepcore.autograd.primitive import primitive
from deepcore.ops.arrangement import tril, triu
from deepcore.ops.elementwise import alias, divide, multiply, square, sum_to, where
from deepcore.ops.logic import greater
from deepcore.ops.matmul import matmul
from deepcore.ops.operand import floating, operands
from deepcore.ops.reduction import max, sum
from deepcore.ops.shape import concatenate, expand_dims, getitem, reshape, squeeze, swapaxes
from deepcore.structure import leaves, map_leaves, pack_as
from deepcore.tensor import Tensor


def _matrices(x: Any, op: str, square: bool = True) -> Tensor:
    tensor = floating(x)
    if tensor.ndim < 2:
        raise ValueError(f"{op}: expected matrices, a tensor of rank 2 or more; got shape {tensor.shape}.")
    if square and tensor.shape[-1] != tensor.shape[-2]:
        raise ValueError(f"{op}: expected square matrices; got shape {tensor.shape}.")
    return tensor


def _t(x: Tensor) -> Tensor:
    return swapaxes(x, -1, -2)


def _eye(like: Tensor, size: int) -> Tensor:
    return Tensor.wrap(like.device.backend.xp.eye(size, dtype=like.dtype), like.device)


def _columns(x: Tensor) -> Tensor:
    """Rows [..., k] that scale the columns of [..., m, k]."""
    return expand_dims(x, -2)


# Systems of equations


@primitive
def _inv(backend: Any, x: Any) -> Any:
    return backend.xp.linalg.inv(x)


@_inv.gradient("x")
def _(dy: Tensor, y: Tensor) -> Tensor:
    return -matmul(matmul(y, dy, transpose_a=True), y, transpose_b=True)


def inv(x: Any) -> Tensor:
    """The inverses of square matrices [..., n, n]. Raises ``ValueError`` if one is singular, or is not square."""
    return _run(_inv, _matrices(x, "inv"), "inv")


def _run(primitive_: Any, x: Tensor, op: str, **attributes: Any) -> Any:
    """A decomposition, with the error of the array namespace made ours."""
    try:
        return primitive_(x, **attributes)
    except np.linalg.LinAlgError as error:
        raise ValueError(f"{op} of matrices of shape {x.shape} failed: {error}.") from None


@primitive
def _solve(backend: Any, a: Any, b: Any) -> Any:
    return backend.xp.linalg.solve(a, b)


@_solve.gradient("a", "b")
def _(
    dy: Tensor, y: Tensor, a: Tensor, a_shape: tuple[int, ...], b_shape: tuple[int, ...], needed: frozenset[str]
) -> tuple[Tensor | None, Tensor | None]:
    db = _solve(_t(a), dy)
    da = -matmul(db, y, transpose_b=True) if "a" in needed else None
    return None if da is None else sum_to(da, a_shape), sum_to(db, b_shape)


def _system(a: Any, b: Any, op: str) -> tuple[Tensor, Tensor, bool]:
    """Both sides of a system, and whether the right one is a vector for each matrix."""
    left, right = operands(_matrices(a, op), floating(b))
    if right.ndim < 1:
        raise ValueError(f"{op}: b must have rank 1 or more; got a number.")
    vector = right.ndim == left.ndim - 1
    size = right.shape[-1] if vector else right.shape[-2] if right.ndim > 1 else -1
    if size != left.shape[-1]:
        raise ValueError(
            f"{op}: a of shape {left.shape} needs b of shape [..., {left.shape[-1]}] or [..., {left.shape[-1]}, k]; "
            f"got shape {right.shape}."
        )
    return left, expand_dims(right, -1) if vector else right, vector


def solve(a: Any, b: Any) -> Tensor:
    """The x of a x = b.

    Args:
        a: [..., n, n].
        b: [..., n], a vector for each matrix, or [..., n, k].

    Returns x, of the shape of ``b``. Raises ``ValueError`` if shapes do not fit or a matrix is singular.

    >>> solve([[2.0, 0.0], [0.0, 4.0]], [2.0, 2.0])
    Tensor([1. , 0.5], dtype=float32)
    """
    left, right, vector = _system(a, b, "solve")
    return _solved(left, right, vector, "solve")


def _solved(left: Tensor, right: Tensor, vector: bool, op: str) -> Tensor:
    try:
        x = _solve(left, right)
    except np.linalg.LinAlgError as error:
        raise ValueError(f"{op} with matrices of shape {left.shape} failed: {error}.") from None
    return squeeze(x, -1) if vector else x


def solve_triangular(a: Any, b: Any, lower: bool = False) -> Tensor:
    """The x of a x = b, where of ``a`` only the upper triangle counts, or the lower one. Otherwise as ``solve``."""
    left, right, vector = _system(a, b, "solve_triangular")
    return _solved(tril(left) if lower else triu(left), right, vector, "solve_triangular")


# Determinants


@primitive(outputs=("sign", "log"))
def _slogdet(backend: Any, x: Any) -> Any:
    return tuple(backend.xp.linalg.slogdet(x))


@_slogdet.gradient("x")
def _(dlog: Tensor, x: Tensor) -> Tensor:
    return multiply(expand_dims(dlog, (-2, -1)), _t(inv(x)))


def slogdet(x: Any) -> tuple[Tensor, Tensor]:
    """The signs of the determinants of [..., n, n], and the logarithms of their magnitudes."""
    return _slogdet(_matrices(x, "slogdet"))


def logdet(x: Any) -> Tensor:
    """The logarithms of the magnitudes of the determinants of [..., n, n]."""
    return slogdet(_matrices(x, "logdet"))[1]


@primitive
def _det(backend: Any, x: Any) -> Any:
    return backend.xp.linalg.det(x)


@_det.gradient("x")
def _(dy: Tensor, y: Tensor, x: Tensor) -> Tensor:
    return multiply(expand_dims(multiply(dy, y), (-2, -1)), _t(inv(x)))


def det(x: Any) -> Tensor:
    """The determinants of [..., n, n]: [...]. A gradient needs matrices that are not singular."""
    return _det(_matrices(x, "det"))


# Decompositions


@primitive
def _cholesky(backend: Any, x: Any) -> Any:
    return backend.xp.linalg.cholesky(x)


@_cholesky.gradient("x")
def _(dy: Tensor, y: Tensor) -> Tensor:
    inner = tril(matmul(y, dy, transpose_a=True))
    inner = inner - _halved_diagonal(inner)
    solved = _solve(_t(y), _t(_solve(_t(y), _t(inner))))  # y^-T inner y^-1
    return (solved + _t(solved)) * 0.5


def _halved_diagonal(x: Tensor) -> Tensor:
    return x * _eye(x, x.shape[-1]) * 0.5


def cholesky(x: Any, upper: bool = False) -> Tensor:
    """The lower triangular L with L L^T = x, for positive definite [..., n, n]; its transpose with ``upper``.

    Only the lower triangle of ``x`` is read. Raises ``ValueError`` if a matrix is not positive definite.
    """
    factor = _run(_cholesky, _matrices(x, "cholesky"), "cholesky")
    return _t(factor) if upper else factor


def cholesky_inverse(x: Any, upper: bool = False) -> Tensor:
    """The inverses of the matrices whose Cholesky factors are ``x`` [..., n, n], lower ones or ``upper`` ones."""
    factor = _matrices(x, "cholesky_inverse")
    inverse = inv(triu(factor) if upper else tril(factor))
    return matmul(inverse, inverse, transpose_b=True) if upper else matmul(inverse, inverse, transpose_a=True)


@primitive(outputs=("q", "r"))
def _qr(backend: Any, x: Any) -> Any:
    return tuple(backend.xp.linalg.qr(x, mode="reduced"))


@_qr.gradient("x")
def _(dq: Tensor, dr: Tensor, q: Tensor, r: Tensor) -> Tensor:
    """Of [m, n] with m >= n. Walter, Lehmann and Lamour 2012, "On evaluating higher-order derivatives of the QR"."""
    inner = matmul(r, dr, transpose_b=True) - matmul(dq, q, transpose_a=True)
    symmetric = tril(inner) + _t(tril(inner, -1))
    return _t(_solve(r, _t(dq + matmul(q, symmetric))))


def qr(x: Any, mode: str = "reduced") -> tuple[Tensor, Tensor]:
    """Orthonormal q and upper triangular r with q r = x.

    Args:
        x: [..., m, n], with k = min(m, n).
        mode: ``"reduced"`` gives q [..., m, k] and r [..., k, n]; ``"complete"`` q [..., m, m] and r [..., m, n],
            through which no gradient flows where m > n.
    """
    if mode not in ("reduced", "complete"):
        raise ValueError(f"qr: mode must be 'reduced' or 'complete'; got {mode!r}.")
    tensor = _matrices(x, "qr", square=False)
    m, n = tensor.shape[-2:]
    if m > n and mode == "complete":
        q, r = tensor.device.backend.xp.linalg.qr(tensor.data, mode="complete")
        return Tensor.wrap(q, tensor.device), Tensor.wrap(r, tensor.device)
    if m >= n:
        return _qr(tensor)
    q, left = _qr(getitem(tensor, (..., slice(None, m))))
    return q, concatenate([left, matmul(q, getitem(tensor, (..., slice(m, None))), transpose_a=True)], -1)


def _differences(x: Tensor) -> Tensor:
    """1 / (x_j - x_i) for every pair of a row, 0 on the diagonal."""
    same = Tensor.wrap(x.device.backend.xp.eye(x.shape[-1], dtype=bool), x.device)
    apart = expand_dims(x, -2) - expand_dims(x, -1)
    return where(same, 0.0, divide(1.0, where(same, 1.0, apart)))


@primitive(outputs=("w", "v"))
def _eigh(backend: Any, x: Any) -> Any:
    return tuple(backend.xp.linalg.eigh(x))


@_eigh.gradient("x")
def _(dw: Tensor, dv: Tensor, w: Tensor, v: Tensor) -> Tensor:
    inner = matmul(v, dv, transpose_a=True) * _differences(w) + expand_dims(dw, -1) * _eye(v, v.shape[-1])
    found = matmul(matmul(v, inner), v, transpose_b=True)
    return (found + _t(found)) * 0.5


def eigh(x: Any) -> tuple[Tensor, Tensor]:
    """The eigenvalues [..., n] of symmetric [..., n, n], rising, and the eigenvectors as columns [..., n, n].

    Only the lower triangle is read. The gradient through the vectors needs eigenvalues that differ.
    """
    return _run(_eigh, _matrices(x, "eigh"), "eigh")


@primitive(outputs=("u", "s", "vt"))
def _svd(backend: Any, x: Any) -> Any:
    return tuple(backend.xp.linalg.svd(x, full_matrices=False))


@_svd.gradient("x")
def _(du: Tensor, ds: Tensor, dvt: Tensor, u: Tensor, s: Tensor, vt: Tensor) -> Tensor:
    """Townsend 2016, "Differentiating the singular value decomposition"."""
    v, dv = _t(vt), _t(dvt)
    over = _differences(square(s))
    row, column = _columns(s), expand_dims(s, -1)
    of_u, of_v = matmul(u, du, transpose_a=True), matmul(v, dv, transpose_a=True)
    inner = over * (of_u - _t(of_u)) * row + column * (over * (of_v - _t(of_v)))
    inner = inner + expand_dims(ds, -1) * _eye(u, s.shape[-1])
    found = matmul(matmul(u, inner), vt)
    found = found + matmul((du - matmul(u, of_u)) / row, vt)
    return found + matmul(u, _t((dv - matmul(v, of_v)) / row))


def svd(x: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """The singular value decomposition x = u diag(s) v^T.

    Args:
        x: [..., m, n], with k = min(m, n).
        full_matrices: u [..., m, m] and v^T [..., n, n] instead of [..., m, k] and [..., k, n]; through the columns
            that this adds no gradient flows.
        compute_uv: False gives s alone.

    Returns (u, s, v^T), s [..., k] falling. The gradient through u and v needs singular values that differ.
    """
    tensor = _matrices(x, "svd", square=False)
    u, s, vt = _run(_svd, tensor, "svd")
    if not compute_uv:
        return s
    m, n = tensor.shape[-2:]
    if full_matrices and m != n:
        whole_u, _, whole_vt = tensor.device.backend.xp.linalg.svd(tensor.data, full_matrices=True)
        k = s.shape[-1]
        u = concatenate([u, Tensor.wrap(whole_u[..., k:], tensor.device)], -1)
        vt = concatenate([vt, Tensor.wrap(whole_vt[..., k:, :], tensor.device)], -2)
    return u, s, vt


@primitive(outputs=("y", "pivots"))
def _lu(backend: Any, x: Any) -> Any:
    """Gaussian elimination, column by column, all matrices at once."""
    xp = backend.xp
    n = x.shape[-1]
    y = x.copy().reshape(-1, n, n)
    batch = xp.arange(y.shape[0])
    pivots = xp.zeros((y.shape[0], n), "int32")
    for i in range(n):
        chosen = xp.abs(y[:, i:, i]).argmax(-1) + i
        pivots[:, i] = chosen
        upper, lower = y[:, i].copy(), y[batch, chosen].copy()
        y[batch, chosen] = upper
        y[:, i] = lower
        y[:, i + 1 :, i] /= y[:, i, i][:, None]
        y[:, i + 1 :, i + 1 :] -= y[:, i + 1 :, i : i + 1] * y[:, i : i + 1, i + 1 :]
    return y.reshape(x.shape), pivots.reshape(x.shape[:-1])


@_lu.gradient("x")
def _(dy: Tensor, y: Tensor, pivots: Tensor) -> Tensor:
    """For p x = l u: p^T l^-T (strictly lower part of l^T dl, upper part of du u^T) u^-T."""
    lower = tril(y, -1) + _eye(y, y.shape[-1])
    upper = triu(y)
    inner = tril(matmul(lower, tril(dy, -1), transpose_a=True), -1) + triu(matmul(triu(dy), upper, transpose_b=True))
    permuted = _solve(_t(lower), _t(_solve(upper, _t(inner))))
    xp = y.device.backend.xp
    n = y.shape[-1]
    rows = pivots.data.reshape(-1, n)
    batch = xp.arange(rows.shape[0])
    order = xp.tile(xp.arange(n), (rows.shape[0], 1))  # row i of p x is row order[i] of x
    for i in range(n):
        first, second = order[:, i].copy(), order[batch, rows[:, i]].copy()
        order[batch, rows[:, i]] = first
        order[:, i] = second
    back = xp.argsort(order, -1)
    flat = reshape(permuted, (-1, n, n))
    return reshape(getitem(flat, (batch[:, None], back)), y.shape)


def lu_factor(x: Any) -> tuple[Tensor, Tensor]:
    """The LU decomposition of square [..., n, n] with rows exchanged.

    Returns (lu, pivots): the upper triangle is u, what is below the diagonal is l, whose diagonal is 1; row i was
    exchanged with row ``pivots[..., i]``, int32, counted from 0. Golub and Van Loan, Matrix Computations, 3.4.
    """
    return _lu(_matrices(x, "lu_factor"))


# What follows from these


@primitive
def _pinv(backend: Any, x: Any, *, rcond: float) -> Any:
    return backend.xp.linalg.pinv(x, rcond).astype(x.dtype, copy=False)


@_pinv.gradient("x")
def _(dy: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Golub and Pereyra 1973."""
    left = _eye(x, x.shape[-2]) - matmul(x, y)
    right = _eye(x, x.shape[-1]) - matmul(y, x)
    turned = _t(dy)
    found = -matmul(matmul(y, dy, transpose_a=True), y, transpose_b=True)
    found = found + matmul(matmul(left, turned), matmul(y, y, transpose_b=True))
    return found + matmul(matmul(matmul(y, y, transpose_a=True), turned), right)


def pinv(x: Any, rcond: float | None = None) -> Tensor:
    """The Moore-Penrose inverses [..., n, m] of [..., m, n].

    Singular values up to ``rcond`` times the largest count as zero; by default max(m, n) times the dtype's epsilon.
    """
    tensor = _matrices(x, "pinv", square=False)
    if rcond is None:
        rcond = float(np.finfo(tensor.dtype).eps) * builtins.max(tensor.shape[-2:])
    return _run(_pinv, tensor, "pinv", rcond=rcond)


def lstsq(a: Any, b: Any, rcond: float | None = None) -> Tensor:
    """The x, of least length, that makes |a x - b| least.

    Args:
        a: [m, n].
        b: [m] or [m, k].
        rcond: as for ``pinv``.

    Returns [n] or [n, k]. Raises ``ValueError`` for other ranks or sizes.
    """
    left, right = operands(floating(a), floating(b))
    if left.ndim != 2 or right.ndim not in (1, 2) or left.shape[0] != right.shape[0]:
        raise ValueError(f"lstsq: expected a [m, n] and b [m] or [m, k]; got shapes {left.shape} and {right.shape}.")
    return matmul(pinv(left, rcond), right)


def matrix_rank(x: Any, tol: Any = None) -> Tensor:
    """How many singular values of [..., m, n] are above ``tol``, int32.

    By default the largest of them, times max(m, n), times the dtype's epsilon.
    """
    tensor = _matrices(x, "matrix_rank", square=False).detach()
    values = svd(tensor, compute_uv=False)
    if tol is None:
        tol = max(values, -1, keepdims=True) * (builtins.max(tensor.shape[-2:]) * float(np.finfo(tensor.dtype).eps))
    return sum(greater(values, tol), -1)


def jvp(fun: Any, primals: Any, tangents: Any, has_aux: bool = False) -> Any:
    """What ``fun`` gives, and how fast that changes when its arguments move along ``tangents``.

    Args:
        fun: takes floating tensors, gives tensors in any nesting; with ``has_aux`` (these, anything).
        primals: the arguments, a list or tuple.
        tangents: for each argument a direction of its shape.

    Returns (outputs, tangents of the outputs), and the second result of ``fun`` with ``has_aux``. Raises ``ValueError``
    unless there is a tangent for each argument. The product of the Jacobian with the tangents is that of its
    transpose, taken twice.
    """
    if len(primals) != len(tangents):
        raise ValueError(f"jvp: expected a tangent for each of {len(primals)} primals; got {len(tangents)}.")
    outer = is_recording()
    with recording(True):
        points = [alias(t) if t.requires_grad else Tensor(t, requires_grad=True) for t in map(floating, primals)]
        moves = [floating(t) for t in tangents]
        outputs, *aux = fun(*points) if has_aux else (fun(*points),)
        found = [t for t in leaves(outputs) if isinstance(t, Tensor)]
        results: list[Any] = []
        for output in found:
            if not output.requires_grad:
                results.append(output * 0)
                continue
            probe = Tensor.wrap(output.device.backend.xp.ones(output.shape, output.dtype), output.device)
            probe.requires_grad = True
            pulled = gradients(output, points, [probe], create_graph=True)
            sums = [sum(g * m) for g, m in zip(pulled, moves, strict=True)]
            total = sums[0]
            for other in sums[1:]:
                total = total + other
            results.append(
                gradients(total, [probe], create_graph=outer)[0] if total.requires_grad else probe.detach() * 0
            )
    if not _requires_grad(primals, tangents):
        outputs, results = map_leaves(_detached, outputs), [_detached(t) for t in results]
    return (outputs, pack_as(outputs, results), *aux)


def _requires_grad(*structures: Any) -> bool:
    return any(isinstance(t, Tensor) and t.requires_grad for s in structures for t in leaves(s))


def _detached(x: Any) -> Any:
    return x.detach() if isinstance(x, Tensor) else x
