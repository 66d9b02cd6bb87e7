"""Array functions against NumPy in float64, in both dtypes, over odd shapes."""

from __future__ import annotations

import numpy as np
import pytest
from draws import RNG, definite, distinct, normal, positive, words

from deepcore import Tensor, ops

MATRIX, OTHER, ROW = normal(3, 5), normal(3, 5), normal(7)
BOX = normal(2, 3, 5)
SPECIAL = np.array([[np.nan, 1.5, -2.0], [np.nan, np.nan, np.nan], [0.5, -0.0, np.nan]])
EDGE = np.array([np.nan, np.inf, -np.inf, -0.0, 2.5, -2.5])
WHOLE = RNG.integers(-6, 7, (3, 4)).astype(np.int32)
COUNTS = RNG.integers(1, 7, (3, 4)).astype(np.int32)
PLACES = np.array([[0, 2, 2], [1, -1, 0], [4, 4, 3]])


def npairs(function, *arrays):
    """NumPy's complex result as a pair."""
    found = function(*arrays)
    return found.real, found.imag


def windows(x, length, stride):
    return np.stack([x[..., i : i + length] for i in range(0, x.shape[-1] - length + 1, stride)], -2)


# name: (ours, NumPy's, inputs). Both are called with the inputs; ours with tensors, in each floating dtype.
SAME = """
abs arctan arcsinh cbrt ceil cos cosh exp exp2 expm1 fabs floor rint sign sin sinc sinh
square tan trunc i0 deg2rad rad2deg
"""
FLOATING = {
    **{name: (getattr(ops, {"rint": "round"}.get(name, name)), getattr(np, name), MATRIX) for name in words(SAME)},
    **{name: (getattr(ops, name), getattr(np, name), normal(4) * 0.2) for name in ("arcsin", "arccos", "arctanh")},
    **{
        name: (getattr(ops, name), getattr(np, name), MATRIX, normal(5) + 3)
        for name in words("arctan2 fmod fmax fmin heaviside hypot logaddexp logaddexp2")
    },
    **{
        name: (getattr(ops, name), getattr(np, name), np.abs(MATRIX) + 0.1)
        for name in words("log log10 log1p log2 reciprocal sqrt")
    },
    **{
        f"{name} {options}": (
            lambda x, name=name, options=options: getattr(ops, name)(x, **options),
            lambda x, name=name, options=options: getattr(np, name)(x, **options),
            BOX,
        )
        for name in words("prod median ptp cumsum cumprod diff sort average")
        for options in ({"axis": 0}, {"axis": -1}, {"axis": 1})
    },
    **{
        f"{name} {axis}": (
            lambda x, name=name, axis=axis: getattr(ops, name)(x, axis=axis),
            lambda x, name=name, axis=axis: getattr(np, name)(x, axis=axis),
            SPECIAL[[0, 2]],
        )
        for name in words("nansum nanprod nanmax nanmin nanmean nanvar nanstd nanmedian nancumsum nancumprod")
        for axis in (None, 1)
    },
    **{name: (getattr(ops, name), getattr(np, name), EDGE) for name in ("sort", "negative")},
    **{
        name: (getattr(ops, name), getattr(np, name), MATRIX)
        for name in words(
            "ravel fliplr flipud diag diagflat trace tril triu corrcoef rot90 transpose copy conj real imag"
        )
    },
    **{name: (getattr(ops, name), getattr(np, name), MATRIX, OTHER) for name in words("inner outer vdot kron append")},
    **{
        name: (
            lambda x, y, name=name: getattr(ops, name)([x, y]),
            lambda x, y, name=name: getattr(np, name)([x, y]),
            MATRIX,
            OTHER,
        )
        for name in words("hstack vstack dstack stack concatenate")
    },
    "prod over all": (lambda x: ops.prod(x, keepdims=True), lambda x: np.prod(x, keepdims=True), BOX),
    "prod of nothing": (lambda x: ops.prod(x[:0], 0), lambda x: np.prod(x[:0], 0), MATRIX),
    "median with NaN": (lambda x: ops.median(x, 1), lambda x: np.median(x, 1), SPECIAL[::2]),
    "max initial": (lambda x: ops.max(x, 1, initial=0.2), lambda x: np.max(x, 1, initial=0.2), MATRIX),
    "max of nothing": (lambda x: ops.max(x[:0], 0, initial=0.5), lambda x: np.max(x[:0], 0, initial=0.5), MATRIX),
    "fmax with NaN": (lambda x: ops.fmax(x, x[::-1]), lambda x: np.fmax(x, x[::-1]), SPECIAL),
    "round to tenths": (lambda x: ops.round(x, 1), lambda x: np.round(x, 1), MATRIX),
    "divide_no_nan": (lambda x: ops.divide_no_nan(x, [1, 0, 2]), lambda x: x * np.array([1, 0, 0.5]), MATRIX[:, :3]),
    "ldexp": (lambda x: ops.ldexp(x, [1, -3]), lambda x: np.ldexp(x, [1, -3]), MATRIX[:, :2]),
    "select": (
        lambda x: ops.select([x > 1, x > 0], [x, -x], 7.0),
        lambda x: np.select([x > 1, x > 0], [x, -x], 7.0),
        MATRIX,
    ),
    "quantiles": (
        lambda x: ops.quantile(x, [0.0, 0.21, 1.0], (0, 2), keepdims=True),
        lambda x: np.quantile(x, [0.0, 0.21, 1.0], (0, 2), keepdims=True),
        BOX,
    ),
    **{
        f"quantile {method}": (
            lambda x, method=method: ops.quantile(x, 0.35, 1, method=method),
            lambda x, method=method: np.quantile(x, 0.35, 1, method=method),
            BOX,
        )
        for method in words("linear lower higher midpoint nearest")
    },
    "percentile": (lambda x: ops.percentile(x, 30), lambda x: np.percentile(x, 30), BOX),
    "nanquantile": (
        lambda x: ops.nanquantile(x, [0.2, 0.9], 1),
        lambda x: np.nanquantile(x, [0.2, 0.9], 1),
        SPECIAL[[0, 2]],
    ),
    "nanpercentile": (lambda x: ops.nanpercentile(x, 40), lambda x: np.nanpercentile(x, 40), SPECIAL),
    "average weighted": (
        lambda x, w: ops.average(x, 1, w),
        lambda x, w: np.average(x, 1, w),
        MATRIX,
        positive(5),
    ),
    "trapezoid": (
        lambda x: ops.trapezoid(x, dx=0.5, axis=1),
        lambda x: (x[:, 0] / 2 + x[:, 1] + x[:, 2] / 2) * 0.5,
        BOX,
    ),
    "trapezoid at points": (
        lambda x, p: ops.trapezoid(x, p),
        lambda x, p: np.sum((x[:, 1:] + x[:, :-1]) / 2 * np.diff(p), -1),
        MATRIX,
        np.arange(5.0) ** 2,
    ),
    **{
        f"correlate {mode} {n} {m}": (
            lambda x, y, mode=mode: ops.correlate(x, y, mode),
            lambda x, y, mode=mode: np.correlate(x, y, mode),
            normal(n),
            normal(m),
        )
        for mode in ("valid", "same", "full")
        for n, m in ((7, 3), (7, 4), (3, 7), (4, 4))
    },
    "diff twice": (lambda x: ops.diff(x, 2, 0), lambda x: np.diff(x, 2, 0), MATRIX),
    "tile": (lambda x: ops.tile(x, (2, 1, 3)), lambda x: np.tile(x, (2, 1, 3)), MATRIX),
    "repeat": (lambda x: ops.repeat(x, [2, 0, 1], 0), lambda x: np.repeat(x, [2, 0, 1], 0), MATRIX),
    "repeat flat": (lambda x: ops.repeat(x, 2), lambda x: np.repeat(x, 2), MATRIX),
    "roll": (lambda x: ops.roll(x, (1, -2), (0, 2)), lambda x: np.roll(x, (1, -2), (0, 2)), BOX),
    "roll flat": (lambda x: ops.roll(x, 4), lambda x: np.roll(x, 4), BOX),
    **{
        f"rot90 {k}": (lambda x, k=k: ops.rot90(x, k, (1, 2)), lambda x, k=k: np.rot90(x, k, (1, 2)), BOX)
        for k in (-1, 0, 2, 3)
    },
    **{
        f"pad {mode}": (
            lambda x, mode=mode: ops.pad(x, ((1, 2), (2, 0)), mode),
            lambda x, mode=mode: np.pad(x, ((1, 2), (2, 0)), mode),
            MATRIX,
        )
        for mode in ("constant", "edge", "reflect", "symmetric", "wrap")
    },
    "pad with sevens": (lambda x: ops.pad(x, 1, constant_values=7), lambda x: np.pad(x, 1, constant_values=7), MATRIX),
    "diag above": (lambda x: ops.diag(x, 2), lambda x: np.diag(x, 2), ROW),
    "diagonal": (lambda x: ops.diagonal(x, -1, 2, 0), lambda x: np.diagonal(x, -1, 2, 0), BOX),
    "diagonal past the corner": (lambda x: ops.diagonal(x, 9), lambda x: np.diagonal(x, 9), MATRIX),
    "tril below": (lambda x: ops.tril(x, -1), lambda x: np.tril(x, -1), BOX),
    "vander": (lambda x: ops.vander(x, 3), lambda x: np.vander(x, 3), ROW),
    "vander rising": (lambda x: ops.vander(x, increasing=True), lambda x: np.vander(x, increasing=True), normal(3)),
    "take_along_axis": (
        lambda x: ops.take_along_axis(x, PLACES, 1),
        lambda x: np.take_along_axis(x, PLACES, 1),
        MATRIX,
    ),
    "expand_dims": (lambda x: ops.expand_dims(x, (0, -1)), lambda x: np.expand_dims(x, (0, -1)), MATRIX),
    "moveaxis": (lambda x: ops.moveaxis(x, (0, 1), (-1, 0)), lambda x: np.moveaxis(x, (0, 1), (-1, 0)), BOX),
    "array_split": (lambda x: ops.array_split(x, 3, 1), lambda x: np.array_split(x, 3, 1), MATRIX),
    "hsplit": (lambda x: ops.hsplit(x, [2]), lambda x: np.hsplit(x, [2]), MATRIX),
    "vsplit": (lambda x: ops.vsplit(x, 3), lambda x: np.vsplit(x, 3), MATRIX),
    "dsplit": (lambda x: ops.dsplit(x, [1, 4]), lambda x: np.dsplit(x, [1, 4]), BOX),
    "unstack": (lambda x: ops.unstack(x, axis=1), lambda x: list(np.moveaxis(x, 1, 0)), BOX),
    "meshgrid": (ops.meshgrid, np.meshgrid, ROW, normal(3), normal(2)),
    "meshgrid ij": (
        lambda x, y: ops.meshgrid(x, y, indexing="ij"),
        lambda x, y: np.meshgrid(x, y, indexing="ij"),
        ROW,
        normal(3),
    ),
    "linspace": (lambda x, y: ops.linspace(x, y, 5), lambda x, y: np.linspace(x, y, 5), ROW, normal(7)),
    "linspace last": (
        lambda x, y: ops.linspace(x, y, 5, endpoint=False, axis=-1),
        lambda x, y: np.linspace(x, y, 5, endpoint=False, axis=-1),
        ROW,
        normal(7),
    ),
    "logspace": (
        lambda x, y: ops.logspace(x, y, 4, base=2),
        lambda x, y: np.logspace(x, y, 4, base=2),
        normal(3),
        normal(3),
    ),
    "geomspace": (
        lambda x, y: ops.geomspace(-x, -y, 4),
        lambda x, y: np.geomspace(-x, -y, 4),
        positive(3),
        positive(3),
    ),
    "dot": (ops.dot, np.dot, BOX, normal(4, 5, 2)),
    "dot, a vector": (ops.dot, np.dot, BOX, normal(5)),
    "tensordot": (
        lambda x, y: ops.tensordot(x, y, ((1, 2), (0, 1))),
        lambda x, y: np.tensordot(x, y, ((1, 2), (0, 1))),
        BOX,
        MATRIX,
    ),
    "tensordot of nothing": (lambda x, y: ops.tensordot(x, y, 0), lambda x, y: np.tensordot(x, y, 0), ROW, MATRIX),
    "cross": (ops.cross, lambda x, y: np.cross(x, y), normal(4, 3), normal(3)),
    "cross along the first": (
        lambda x, y: ops.cross(x, y, axis=0),
        lambda x, y: np.cross(x, y, axis=0),
        MATRIX,
        OTHER,
    ),
    **{
        f"einsum {subscripts}": (
            lambda *x, subscripts=subscripts: ops.einsum(subscripts, *x),
            lambda *x, subscripts=subscripts: np.einsum(subscripts, *x),
            *(normal(*shape) for shape in shapes),
        )
        for subscripts, *shapes in (
            ("ij,kj->ik", (3, 5), (2, 5)),
            ("ij,jk", (3, 5), (5, 2)),
            ("ii", (3, 3)),
            ("jii->ij", (2, 3, 3)),
            ("ij->", (3, 5)),
            ("i,j,k->kij", (2,), (3,), (4,)),
            ("...ij,jk->...ik", (2, 4, 3, 5), (5, 2)),
            ("b...,...->...b", (3, 2, 4), (1, 4)),
            ("bij,bkj,kl->bil", (2, 3, 5), (2, 4, 5), (4, 3)),
        )
    },
    "cdist": (ops.cdist, lambda x, y: np.linalg.norm(x[:, :, None] - y, axis=-1), BOX, normal(4, 5)),
    "det": (ops.det, np.linalg.det, definite(3, 2)),
    "slogdet": (ops.slogdet, np.linalg.slogdet, -definite(3, 2)),
    "logdet": (ops.logdet, lambda x: np.linalg.slogdet(x)[1], definite(3, 2)),
    "inv": (ops.inv, np.linalg.inv, definite(3, 2)),
    "solve": (ops.solve, np.linalg.solve, definite(3, 2), normal(2, 3, 5)),
    "solve, a vector": (ops.solve, np.linalg.solve, definite(3), normal(3)),
    "solve_triangular": (ops.solve_triangular, lambda a, b: np.linalg.solve(np.triu(a), b), definite(3), normal(3, 2)),
    "cholesky": (ops.cholesky, np.linalg.cholesky, definite(3, 2)),
    "cholesky_inverse": (ops.cholesky_inverse, lambda x: np.linalg.inv(np.tril(x) @ np.tril(x).T), definite(3)),
    "cholesky_inverse, upper": (
        lambda x: ops.cholesky_inverse(x, upper=True),
        lambda x: np.linalg.inv(np.triu(x).T @ np.triu(x)),
        definite(3),
    ),
    "qr": (ops.qr, np.linalg.qr, MATRIX),
    "qr complete": (lambda x: ops.qr(x, "complete"), lambda x: np.linalg.qr(x, "complete"), MATRIX.T),
    "eigh": (ops.eigh, np.linalg.eigh, definite(3, 2)),
    "svd": (ops.svd, np.linalg.svd, MATRIX),
    "svd reduced": (lambda x: ops.svd(x, False), lambda x: np.linalg.svd(x, False), MATRIX.T),
    "pinv": (ops.pinv, np.linalg.pinv, BOX),
    "lstsq": (ops.lstsq, lambda a, b: np.linalg.lstsq(a, b, rcond=None)[0], MATRIX, normal(3, 2)),
    **{
        f"norm {ord} {axis}": (
            lambda x, ord=ord, axis=axis: ops.norm(x, ord, axis, keepdims=True),
            lambda x, ord=ord, axis=axis: np.linalg.norm(x, ord, axis, keepdims=True),
            BOX,
        )
        for axis, orders in {
            1: (None, 0, 1, 2, 3, -1, np.inf, -np.inf),
            (2, 0): (None, "fro", "nuc", 1, -1, 2, -2, np.inf),
        }.items()
        for ord in orders
    },
    "norm of all": (ops.norm, np.linalg.norm, BOX),
    "fft": (lambda x, y: ops.fft((x, y)), lambda x, y: npairs(np.fft.fft, x + 1j * y), MATRIX, OTHER),
    "fft2": (lambda x, y: ops.fft2((x, y)), lambda x, y: npairs(np.fft.fft2, x + 1j * y), MATRIX, OTHER),
    "ifft2": (lambda x, y: ops.ifft2((x, y)), lambda x, y: npairs(np.fft.ifft2, x + 1j * y), MATRIX, OTHER),
    **{
        f"rfft {n}": (lambda x, n=n: ops.rfft(x, n), lambda x, n=n: npairs(np.fft.rfft, x, n), MATRIX)
        for n in (None, 3, 8)
    },
    **{
        f"irfft {n}": (
            lambda x, y, n=n: ops.irfft((x, y), n),
            lambda x, y, n=n: np.fft.irfft(x + 1j * y, n),
            MATRIX,
            OTHER,
        )
        for n in (None, 5, 12)
    },
    "extract_sequences": (lambda x: ops.extract_sequences(x, 3, 2), lambda x: windows(x, 3, 2), MATRIX),
    "segment_prod": (
        lambda x: ops.segment_prod(x, [2, 0, 2], 4),
        lambda x: np.stack([x[1], np.ones(5), x[0] * x[2], np.ones(5)]),
        MATRIX,
    ),
    "segment_max": (
        lambda x: ops.segment_max(x, [1, -1, 1]),
        lambda x: np.stack([np.full(5, -np.inf), np.maximum(x[0], x[2])]),
        MATRIX,
    ),
    "segment_sum": (
        lambda x: ops.segment_sum(x, [1, 0, 1], 3),
        lambda x: np.stack([x[1], x[0] + x[2], np.zeros(5)]),
        MATRIX,
    ),
    "top_k": (lambda x: ops.top_k(x, 3)[0], lambda x: -np.sort(-x, -1)[:, :3], distinct(3, 5)),
    "associative_scan": (lambda x: ops.associative_scan(lambda a, b: a + b, x, axis=1), lambda x: np.cumsum(x, 1), BOX),
    "associative_scan, reverse": (
        lambda x: ops.associative_scan(lambda a, b: a * b, x, reverse=True),
        lambda x: np.cumprod(x[::-1])[::-1],
        ROW,
    ),
    "vectorize": (
        lambda x, y: ops.vectorize(ops.matmul, signature="(m,n),(n)->(m)")(x, y),
        lambda x, y: x @ y,
        BOX,
        normal(5),
    ),
    "saturate_cast": (
        lambda x: ops.saturate_cast(x * 1e3, "float16"),
        lambda x: np.clip(x * 1e3, -65504, 65504),
        EDGE[1:],
    ),
}


def flat(result):
    return list(result) if isinstance(result, tuple | list) else [result]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FLOATING)
def test_floating_functions(name, dtype):
    ours, numpys, *inputs = FLOATING[name]
    expected = flat(numpys(*inputs))
    found = flat(ours(*(Tensor(x.astype(dtype)) for x in inputs)))
    assert len(found) == len(expected)
    tolerance = 1e-10 if dtype == "float64" and name != "saturate_cast" else 3e-3 if name == "saturate_cast" else 2e-4
    for tensor, value in zip(found, expected, strict=True):
        assert tensor.dtype == ("float16" if name == "saturate_cast" else dtype)
        assert tensor.shape == np.shape(value)
        np.testing.assert_allclose(tensor.numpy(), value, rtol=tolerance, atol=tolerance)


# name: (result, NumPy's result, dtype).
EXACT = {
    **{
        name: (getattr(ops, name)(EDGE), getattr(np, name)(EDGE), "bool")
        for name in words("isnan isinf isfinite isposinf isneginf signbit isreal logical_not")
    },
    **{
        name: (getattr(ops, name)(WHOLE, COUNTS), getattr(np, name)(WHOLE, COUNTS), "int32")
        for name in words(
            "gcd lcm bitwise_and bitwise_or bitwise_xor left_shift right_shift floor_divide mod fmod maximum"
        )
    },
    **{
        name: (getattr(ops, name)(WHOLE > 0, COUNTS > 3), getattr(np, name)(WHOLE > 0, COUNTS > 3), "bool")
        for name in words("logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_xor isin")
    },
    **{
        f"{name} of integers": (getattr(ops, name)(WHOLE), getattr(np, name)(WHOLE), "int32")
        for name in words(
            "sum prod cumsum cumprod ptp sort square abs sign negative trace argmax argmin max round trunc"
        )
    },
    **{
        f"{name} of truths": (getattr(ops, name)(WHOLE > 0), getattr(np, name)(WHOLE > 0), "int32")
        for name in ["sum", "prod", "cumsum", "count_nonzero"]
    },
    "square of truths": (ops.square(WHOLE > 0), WHOLE > 0, "int32"),
    "angle": (ops.angle([-2.0, 3.0, 0.0]), np.float32([np.pi, 0, 0]), "float32"),
    "nan_to_num": (
        ops.nan_to_num(EDGE[:3].astype(np.float32), nan=7.0),
        [7, np.finfo(np.float32).max, np.finfo(np.float32).min],
        "float32",
    ),
    "invert": (ops.bitwise_invert(WHOLE), np.invert(WHOLE), "int32"),
    "sum of bytes": (ops.sum(np.full(300, 200, np.uint8)), 60000, "uint32"),
    "mean of integers": (ops.mean(WHOLE, 0), WHOLE.mean(0, dtype=np.float32), "float32"),
    "floor of integers": (ops.floor(WHOLE), WHOLE, "float32"),
    "median of integers": (ops.median(COUNTS[:, :3]), np.median(COUNTS[:, :3]), "float32"),
    "matmul of integers": (ops.matmul(WHOLE, COUNTS.T), WHOLE @ COUNTS.T, "int32"),
    "einsum of integers": (ops.einsum("ij,kj->ik", WHOLE, COUNTS), WHOLE @ COUNTS.T, "int32"),
    "clip of integers": (ops.clip(WHOLE, -2, 3), WHOLE.clip(-2, 3), "int32"),
    "clip of integers to a half": (ops.clip(COUNTS, 0.5, 2.5), COUNTS.clip(0.5, 2.5), "float32"),
    "diff of truths": (ops.diff([True, True, False]), [False, True], "bool"),
    "isclose": (ops.isclose([1.0, 2.0], [1.0 + 1e-6, 2.1]), [True, False], "bool"),
    "allclose": (ops.allclose([1.0, np.nan], [1.0, np.nan], equal_nan=True), True, "bool"),
    "isin inverted": (ops.isin(WHOLE, [1, 2], invert=True), ~np.isin(WHOLE, [1, 2]), "bool"),
    "nextafter": (ops.nextafter([1.0], [2.0]), np.nextafter(np.float32([1]), np.float32([2])), "float32"),
    "argsort keeps the order of equals": (ops.argsort([2.0, 1.0, 2.0, 1.0]), [1, 3, 0, 2], "int32"),
    "argsort of all": (ops.argsort(WHOLE, None), np.argsort(WHOLE, None, kind="stable"), "int32"),
    "top_k of equals": (ops.top_k([1, 3, 3, 2, 3], 4)[1], [1, 2, 4, 3], "int32"),
    "in_top_k": (ops.in_top_k([1, 0], [[0.1, 0.9, 0.3], [0.2, 0.2, 0.1]], 1), [True, True], "bool"),
    "searchsorted": (ops.searchsorted([1, 2, 2, 3], [2, 0, 9]), [1, 0, 4], "int32"),
    "searchsorted right": (ops.searchsorted([1, 2, 2, 3], [[2], [3]], "right"), [[3], [4]], "int32"),
    "digitize": (ops.digitize(WHOLE, [-1.0, 0.5]), np.digitize(WHOLE, [-1.0, 0.5]), "int32"),
    "bincount": (ops.bincount([1, 3, 1], minlength=6), [0, 2, 0, 1, 0, 0], "int32"),
    "bincount of rows": (ops.bincount([[1, 0], [2, 2]]), [[1, 1, 0], [0, 0, 2]], "int32"),
    "bincount weighted": (ops.bincount([1, 3, 1], weights=[0.5, 1.0, 2.0]), [0, 2.5, 0, 1], "float32"),
    "histogram": (ops.histogram([1.0, 2.0, 2.5, 9.0], 2, (1, 3))[0], [1, 2], "float32"),
    "histogram's edges": (ops.histogram([1.0, 2.0, 3.0], 2)[1], [1, 2, 3], "float32"),
    "unique": (ops.unique([3, 1, 3]), [1, 3], "int32"),
    "unique's inverse": (ops.unique([[3, 1], [1, 1]], return_inverse=True)[1], [[1, 0], [0, 0]], "int32"),
    "unique, filled up": (ops.unique([3, 1, 3], size=4, fill_value=9), [1, 3, 9, 9], "int32"),
    "unique, cut": (ops.unique([3, 1, 2], size=2), [1, 2], "int32"),
    "unique's counts": (ops.unique([[1, 2], [1, 2], [0, 5]], return_counts=True, axis=0)[1], [1, 2], "int32"),
    "nonzero": (ops.nonzero([[0, 2], [3, 0]])[1], [1, 0], "int32"),
    "where alone": (ops.where([[False, True], [True, False]])[0], [0, 1], "int32"),
    "unravel_index": (ops.unravel_index([5, 7], (2, 4))[1], [1, 3], "int32"),
    "nanargmax": (ops.nanargmax(SPECIAL, 1), [1, -1, 0], "int32"),
    "nanargmin": (ops.nanargmin(SPECIAL), 2, "int32"),
    "nanmax of NaN": (ops.nanmax(SPECIAL, 1), [1.5, np.nan, 0.5], "float64"),
    "nanvar of NaN": (ops.nanvar(SPECIAL, 1), [3.0625, np.nan, 0.0625], "float64"),
    "arange": (ops.arange(2, 9, 3), [2, 5, 8], "int32"),
    "arange down": (ops.arange(1, 0, -0.25), [1, 0.75, 0.5, 0.25], "float32"),
    "eye": (ops.eye(2, 3, 1, "int32"), [[0, 1, 0], [0, 0, 1]], "int32"),
    "identity": (ops.identity(2), [[1, 0], [0, 1]], "float32"),
    "tri": (ops.tri(2, 3), [[1, 0, 0], [1, 1, 0]], "float32"),
    "full": (ops.full((2,), 3), [3, 3], "float32"),
    "full_like": (ops.full_like(WHOLE, 3.7), np.full((3, 4), 3), "int32"),
    "zeros": (ops.zeros(2), [0, 0], "float32"),
    "ones": (ops.ones((1, 2), "int32"), [[1, 1]], "int32"),
    "linspace of numbers": (ops.linspace(0, 1, 4, endpoint=False), [0, 0.25, 0.5, 0.75], "float32"),
    "linspace's step": (ops.linspace(0, 1, 5, retstep=True)[1], 0.25, "float32"),
    "scatter": (ops.scatter([[0, 1], [0, 1]], [1, 2], (2, 2)), [[0, 3], [0, 0]], "int32"),
    "scatter_update": (ops.scatter_update([1, 2, 3], [[2], [0]], [9, 8]), [8, 2, 9], "int32"),
    "scatter_update add": (ops.scatter_update([1, 2], [[1], [1]], [5, 6], "add"), [1, 13], "int32"),
    "scatter_update max": (ops.scatter_update([1, 2], [[1], [-1]], [5, 6], "max"), [1, 6], "int32"),
    "scatter_update min": (ops.scatter_update([1, 2], [[1], [1]], [-5, 6], "min"), [1, -5], "int32"),
    "scatter_update mul": (ops.scatter_update([1, 2], [[1], [1]], [5, 6], "mul"), [1, 60], "int32"),
    "slice": (ops.slice(WHOLE, Tensor([1, 0]), (2, 3)), WHOLE[1:3, :3], "int32"),
    "slice_update": (ops.slice_update([1, 2, 3], (1,), [7, 8]), [1, 7, 8], "int32"),
    "view": (ops.view(Tensor([1.0]), "int32"), [0x3F800000], "int32"),
    "saturate_cast": (ops.saturate_cast([-1, 300], "uint8"), [0, 255], "uint8"),
    "while_loop": (ops.while_loop(lambda i: i < 9, lambda i: i + 2, 0, maximum_iterations=3), 6, "int32"),
    "switch": (ops.switch(9, [lambda x: x, lambda x: x * 2], Tensor(3)), 6, "int32"),
    "scan backwards": (ops.scan(lambda c, x: (c + x, c), 0, Tensor([1, 2, 3]), reverse=True)[1], [5, 3, 0], "int32"),
    "scan by length": (ops.scan(lambda c, _: (c * 2, c), 1, length=3)[1], [1, 2, 4], "int32"),
    "matrix_rank": (ops.matrix_rank(np.ones((2, 3, 4), np.float32)), [1, 1], "int32"),
    "rearrange": (ops.rearrange(WHOLE, "a b -> b a"), WHOLE.T, "int32"),
    **{
        name: (getattr(ops, name)(6), getattr(np, name)(6).astype(np.float32), "float32")
        for name in ["bartlett", "blackman", "hamming", "hanning"]
    },
    "kaiser": (ops.kaiser(6, 4.0), np.kaiser(6, 4.0).astype(np.float32), "float32"),
}


@pytest.mark.parametrize("name", EXACT)
def test_integers_truths_and_numbers(name):
    found, expected, dtype = EXACT[name]
    assert found.dtype == dtype
    assert found.shape == np.shape(expected)
    np.testing.assert_array_equal(found.numpy(), expected)


def test_lu_factor_gives_the_matrix_back():
    x = normal(2, 4, 4)
    lu, pivots = ops.lu_factor(x)
    assert pivots.dtype == np.int32
    for matrix, factors, exchanged in zip(x, lu.numpy(), pivots.numpy(), strict=True):
        product = (np.tril(factors, -1) + np.eye(4)) @ np.triu(factors)
        for row in reversed(range(4)):
            product[[row, exchanged[row]]] = product[[exchanged[row], row]]
        np.testing.assert_allclose(product, matrix, atol=1e-12)


@pytest.mark.parametrize(("length", "fft_length", "window"), [(4, 4, "hann"), (4, 8, "hamming"), (5, 6, np.ones(5))])
def test_stft_is_the_transform_of_windows_and_istft_its_inverse(length, fft_length, window):
    x = normal(2, 24)
    shape = {
        "hann": 0.5 - 0.5 * np.cos(np.arange(4) * np.pi / 2),
        "hamming": 0.54 - 0.46 * np.cos(np.arange(4) * np.pi / 2),
    }
    values = shape[window] if isinstance(window, str) else window
    before = (fft_length - length) // 2
    whole = np.pad(values, (before, fft_length - length - before))
    found = ops.stft(x, length, 2, fft_length, window)
    padded = np.pad(x, ((0, 0), (fft_length // 2, fft_length // 2)), "reflect")
    expected = np.fft.rfft(windows(padded, fft_length, 2) * whole)
    np.testing.assert_allclose(found[0].numpy(), expected.real, atol=1e-12)
    np.testing.assert_allclose(found[1].numpy(), expected.imag, atol=1e-12)
    back = ops.istft(found, length, 2, fft_length, length=24, window=window)
    np.testing.assert_allclose(back.numpy()[:, 1:22], x[:, 1:22], atol=1e-12)


def test_jvp_is_the_derivative_in_a_direction():
    x, move = normal(3), normal(3)
    values, tangents = ops.jvp(lambda a: {"sine": ops.sin(a) * a, "constant": Tensor(2.0)}, (x,), (move,))
    np.testing.assert_allclose(values["sine"].numpy(), np.sin(x) * x)
    np.testing.assert_allclose(tangents["sine"].numpy(), (np.cos(x) * x + np.sin(x)) * move)
    assert tangents["constant"].item() == 0
    assert ops.jvp(lambda a: (a * a, "more"), (x,), (move,), has_aux=True)[2] == "more"


def test_what_a_tensor_is():
    x = ops.ones((2, 3))
    assert (ops.shape(x), ops.ndim(x), ops.size(x), ops.dtype(x)) == ((2, 3), 2, 6, "float32")
    assert ops.is_tensor(x)
    assert not ops.is_tensor(np.ones(2))
    assert isinstance(ops.convert_to_numpy(x), np.ndarray)
    assert ops.array([1, 2], "float32").dtype == np.float32


def test_a_copy_has_memory_of_its_own():
    x = Tensor([1.0, 2.0])
    y = ops.copy(x)
    y.data[0] = 9
    assert x.tolist() == [1, 2]


def test_stop_gradient_stops_it():
    x = Tensor([2.0], requires_grad=True)
    (ops.stop_gradient(x) * x).backward()
    assert x.grad.tolist() == [2.0]


def test_custom_gradient_of_several_inputs_and_outputs():
    @ops.custom_gradient
    def function(a, b):
        return (a + b, a * b), lambda upstream: (upstream[0] * 10, upstream[1] * 100)

    a, b = Tensor([1.0], requires_grad=True), Tensor([2.0], requires_grad=True)
    total, product = function(a, b)
    assert (total.tolist(), product.tolist()) == ([3.0], [2.0])
    (total + product * 2).backward()
    assert (a.grad.tolist(), b.grad.tolist()) == ([10.0], [200.0])
