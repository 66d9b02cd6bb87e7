"""Array, core and linear algebra functions as cases for the tests of gradients and of devices.

Each is (function of tensors, input, ...). Linear functions are given a square, so that their second derivatives are
not zero.
"""

from __future__ import annotations

import numpy as np
from draws import RNG, definite, distinct, normal, off_kinks, positive

from deepcore import ops

WITH_NAN = np.array([[0.3, np.nan, -1.1], [np.nan, np.nan, np.nan], [2.0, 0.7, -0.4]])
NUMBERS = np.array([2, 0, 2, -1, 0])


def only_numbers(function):
    """The function of an input that has NaN where WITH_NAN has."""
    return lambda a: function(ops.where(np.isnan(WITH_NAN), np.nan, a))


def symmetric(a):
    return a + ops.swapaxes(a, -1, -2)


@ops.custom_gradient
def cube(x):
    return x * x * x, lambda *args, upstream: upstream * args[0] * args[0] * 3


CASES = {
    # one argument
    "exp2": (ops.exp2, normal(4)),
    "log2": (ops.log2, positive(4)),
    "log10": (ops.log10, positive(4)),
    "cbrt": (ops.cbrt, off_kinks(4)),
    "reciprocal": (ops.reciprocal, off_kinks(4)),
    "fabs": (ops.fabs, off_kinks(4)),
    "tan": (ops.tan, normal(4) * 0.4),
    "arcsin": (ops.arcsin, normal(4) * 0.2),
    "arccos": (ops.arccos, normal(4) * 0.2),
    "arctan": (ops.arctan, normal(4)),
    "sinh": (ops.sinh, normal(4)),
    "cosh": (ops.cosh, normal(4)),
    "arcsinh": (ops.arcsinh, normal(4)),
    "arccosh": (ops.arccosh, positive(4) + 1),
    "arctanh": (ops.arctanh, normal(4) * 0.2),
    "sinc": (ops.sinc, off_kinks(4)),
    "i0": (ops.i0, normal(4)),
    "deg2rad": (lambda a: ops.deg2rad(a * a), normal(4)),
    "rad2deg": (lambda a: ops.rad2deg(a * a), normal(4)),
    "nan_to_num": (only_numbers(lambda a: ops.nan_to_num(a * a, nan=3.0)), normal(3, 3)),
    "real, conj": (lambda a: ops.real(a) * ops.conj(a), normal(4)),
    # two arguments
    "fmod": (ops.fmod, np.array([5.3, -5.3, 0.7]), np.array([2.0, 1.5, -1.0])),
    "fmax": (ops.fmax, distinct(3, 4), distinct(4) + 0.1),
    "fmin": (ops.fmin, distinct(3, 4), distinct(4) + 0.1),
    "hypot": (ops.hypot, normal(3, 1), positive(4)),
    "arctan2": (ops.arctan2, normal(3, 1), positive(4)),
    "logaddexp": (ops.logaddexp, normal(3, 1), normal(4)),
    "logaddexp2": (ops.logaddexp2, normal(3, 1), normal(4)),
    "divide_no_nan": (lambda a, b: ops.divide_no_nan(a, b * np.array([1, 0, 1])), normal(2, 3), positive(3)),
    "ldexp": (lambda a: ops.ldexp(a * a, np.array([1, -2, 0])), normal(3)),
    "clip between tensors": (lambda a: ops.clip(a * a, np.array([0.1, 0.1, 9.0], np.float32), 4.0), positive(3)),
    "select": (lambda a, b: ops.select([a > 0, b > 0], [a * a, a * b], 1.0), off_kinks(6), off_kinks(6)),
    # reductions
    "prod": (lambda a: ops.prod(a, (0, 2)), normal(2, 3, 3)),
    "prod with zeros": (lambda a: ops.prod(a * np.array([1, 0, 1, 1])), normal(4)),
    "max with initial": (lambda a: ops.max(a * a, 1, initial=0.3), distinct(2, 4) + 0.1),
    "ptp": (lambda a: ops.ptp(a * a, 1), distinct(2, 4) + 8),
    "average": (lambda a, w: ops.average(a, 1, w), normal(2, 3), positive(3)),
    "median": (lambda a: ops.median(a * a, (0, 2)), distinct(2, 3, 3) + 9),
    "quantile": (lambda a: ops.quantile(a * a, [0.3, 0.6], 1, keepdims=True), distinct(2, 5) + 9),
    "percentile": (lambda a: ops.percentile(a * a, 40.0), distinct(7) + 9),
    "nansum": (only_numbers(lambda a: ops.nansum(a * a, 1)), normal(3, 3)),
    "nanprod": (only_numbers(lambda a: ops.nanprod(a, 0)), normal(3, 3)),
    "nanmax": (only_numbers(lambda a: ops.nan_to_num(ops.nanmax(a * a, 1))), distinct(3, 3) + 5),
    "nanmin": (only_numbers(lambda a: ops.nanmin(a * a, 0, keepdims=True)), distinct(3, 3) + 5),
    "nanmean": (only_numbers(lambda a: ops.nanmean(a * a, 0)), normal(3, 3)),
    "nanvar": (only_numbers(lambda a: ops.nanvar(a)), normal(3, 3)),
    "nanstd": (only_numbers(lambda a: ops.nanstd(a)), normal(3, 3)),
    "nanmedian": (only_numbers(lambda a: ops.nanmedian(a * a)), distinct(3, 3) + 5),
    "nanquantile": (only_numbers(lambda a: ops.nanquantile(a * a, 0.3)), distinct(3, 3) + 5),
    "corrcoef": (ops.corrcoef, normal(3, 5)),
    "correlate": (lambda a, b: ops.correlate(a, b, "full"), normal(5), normal(3)),
    # running
    "cumsum": (lambda a: ops.cumsum(a * a, 1), normal(2, 5)),
    "cumprod": (lambda a: ops.cumprod(a, 0), normal(5, 2)),
    "nancumsum": (only_numbers(lambda a: ops.nancumsum(a * a, 1)), normal(3, 3)),
    "nancumprod": (only_numbers(lambda a: ops.nancumprod(a, 1)), normal(3, 3)),
    "diff": (lambda a: ops.diff(a * a, 2), normal(2, 5)),
    "trapezoid": (lambda a, b: ops.trapezoid(a * a, b, axis=0), normal(4, 2), normal(4)),
    # order
    "sort": (lambda a: ops.sort(a * a, 0), distinct(4, 2) + 5),
    "top_k": (lambda a: ops.top_k(a * a, 2)[0], distinct(2, 4) + 5),
    # shape
    "tile": (lambda a: ops.tile(a * a, (2, 1, 3)), normal(2, 3)),
    "repeat": (lambda a: ops.repeat(a * a, [2, 0, 1], 1), normal(2, 3)),
    "roll": (lambda a: ops.roll(a * a, (1, -2), (0, 1)), normal(3, 4)),
    "rot90": (lambda a: ops.rot90(a * a, 3), normal(2, 3)),
    "ravel": (lambda a: ops.ravel(a * a), normal(2, 3)),
    "copy": (lambda a: ops.copy(a) * a, normal(3)),
    "append": (lambda a, b: ops.append(a * a, b), normal(2, 2), normal(3)),
    "vstack": (lambda a, b: ops.vstack([a * a, b]), normal(3), normal(2, 3)),
    "hstack": (lambda a, b: ops.hstack([a * a, b]), normal(2, 1), normal(2, 3)),
    "dstack": (lambda a, b: ops.dstack([a * a, b]), normal(2, 3), normal(2, 3)),
    "array_split": (lambda a: tuple(ops.array_split(a * a, 3)), normal(5, 2)),
    "unstack": (lambda a: tuple(ops.unstack(a * a, axis=1)), normal(2, 3)),
    "vander": (lambda a: ops.vander(a, 4), normal(3)),
    "diag": (lambda a: ops.diag(a * a, -1), normal(3)),
    "diagonal": (lambda a: ops.diagonal(a * a, 1, 2, 0), normal(3, 2, 4)),
    "trace": (lambda a: ops.trace(a * a, 0, 1, 2), normal(2, 3, 4)),
    "tril": (lambda a: ops.tril(a * a, 1), normal(3, 4)),
    "triu": (lambda a: ops.triu(a * a, -1), normal(2, 3, 3)),
    "take_along_axis": (
        lambda a: ops.take_along_axis(a * a, np.array([[0, 2, 0], [1, -1, 1]]), 1),
        normal(2, 3),
    ),
    "pad reflect": (lambda a: ops.pad(a * a, ((1, 1), (2, 1)), "reflect"), normal(2, 3)),
    "pad symmetric": (lambda a: ops.pad(a * a, 1, "symmetric"), normal(2, 3)),
    "moveaxis, several": (lambda a: ops.moveaxis(a * a, (0, 1), (2, 0)), normal(2, 3, 2)),
    "meshgrid": (lambda a, b: tuple(g * g for g in ops.meshgrid(a, b)), normal(2), normal(3)),
    "linspace": (lambda a, b: ops.linspace(a, b, 4) ** 2, normal(2), normal(2)),
    "logspace": (lambda a, b: ops.logspace(a, b, 3, base=2), normal(2), normal(2)),
    "geomspace": (lambda a, b: ops.geomspace(a, b, 3), positive(2), positive(2)),
    "rearrange": (lambda a: ops.rearrange(a * a, "b (h w) -> (w b) h", w=3), normal(2, 6)),
    # products
    "dot": (ops.dot, normal(2, 2, 3), normal(2, 3, 2)),
    "tensordot": (lambda a, b: ops.tensordot(a, b, ((2, 0), (1, 0))), normal(2, 3, 4), normal(2, 4)),
    "inner": (ops.inner, normal(2, 3), normal(4, 3)),
    "outer": (ops.outer, normal(3), normal(2, 2)),
    "vdot": (ops.vdot, normal(2, 3), normal(2, 3)),
    "kron": (ops.kron, normal(2, 2), normal(3)),
    "cross": (ops.cross, normal(4, 3), normal(3)),
    "cross of two and three": (ops.cross, normal(4, 2), normal(3)),
    "einsum": (lambda a, b: ops.einsum("bij,kj->bki", a, b), normal(2, 3, 4), normal(2, 4)),
    "einsum of three": (lambda a, b, c: ops.einsum("ij,jk,kl->il", a, b, c), normal(2, 3), normal(3, 2), normal(2, 2)),
    "einsum, a trace and a sum": (lambda a, b: ops.einsum("iij,kl->j", a, b), normal(3, 3, 2), normal(2, 2)),
    "einsum, ellipsis": (lambda a, b: ops.einsum("...ij,...j->...i", a, b), normal(2, 1, 2, 3), normal(2, 3)),
    "cdist": (ops.cdist, normal(3, 4), normal(2, 4)),
    # matrices
    "inv": (ops.inv, definite(3, 2)),
    "det": (ops.det, definite(3, 2)),
    "slogdet": (lambda a: ops.slogdet(a)[1], definite(3)),
    "logdet": (ops.logdet, definite(3)),
    "solve": (ops.solve, definite(3, 2), normal(2, 3, 2)),
    "solve, vectors": (ops.solve, definite(3), normal(3)),
    "solve_triangular": (ops.solve_triangular, definite(3), normal(3, 2)),
    "solve_triangular, lower": (lambda a, b: ops.solve_triangular(a, b, lower=True), definite(3), normal(3)),
    "cholesky": (lambda a: ops.cholesky(symmetric(a)), definite(3, 2)),
    "cholesky, upper": (lambda a: ops.cholesky(symmetric(a), upper=True), definite(3)),
    "cholesky_inverse": (ops.cholesky_inverse, definite(3)),
    "qr": (ops.qr, definite(3, 2)),
    "qr, tall": (ops.qr, normal(4, 2)),
    "qr, wide": (ops.qr, np.concatenate([definite(2), normal(2, 2)], 1)),
    "eigh, values": (lambda a: ops.eigh(symmetric(a))[0], definite(3, 2)),
    "eigh, vectors": (lambda a: ops.square(ops.eigh(symmetric(a))[1]), definite(3)),
    "svd, values": (lambda a: ops.svd(a, compute_uv=False), definite(3, 2)),
    "svd, vectors": (lambda a: tuple(ops.square(x) for x in ops.svd(a, False)), definite(3)[:, :2]),
    "svd, wide": (lambda a: tuple(ops.square(x) for x in ops.svd(a, False)), definite(3)[:2]),
    "lu_factor": (lambda a: ops.lu_factor(a)[0], definite(3, 2)[:, ::-1].copy()),
    "pinv": (ops.pinv, normal(4, 2)),
    "pinv, wide": (ops.pinv, normal(2, 3)),
    "lstsq": (ops.lstsq, normal(4, 2), normal(4)),
    "norm": (ops.norm, normal(2, 3)),
    "norm, order 3": (lambda a: ops.norm(a, 3, axis=1), off_kinks(2, 3)),
    "norm, order 1 of matrices": (lambda a: ops.norm(a * a, 1, axis=(2, 0)), distinct(2, 2, 3) * 0.2 + 2),
    "norm, nuclear": (lambda a: ops.norm(a, "nuc"), definite(3)),
    "norm, order 2": (lambda a: ops.norm(a, 2), definite(3)),
    # Fourier
    "fft": (lambda a, b: ops.fft((a * a, b)), normal(2, 5), normal(2, 5)),
    "fft2": (lambda a, b: ops.fft2((a * a, b)), normal(3, 4), normal(3, 4)),
    "ifft2": (lambda a, b: ops.ifft2((a * a, b)), normal(3, 4), normal(3, 4)),
    "rfft": (lambda a: ops.rfft(a * a, 6), normal(2, 5)),
    "irfft": (lambda a, b: ops.irfft((a * a, b * b)), normal(2, 4), normal(2, 4)),
    "irfft, odd": (lambda a, b: ops.irfft((a * a, b * b), 5), normal(3), normal(3)),
    "stft": (lambda a: ops.stft(a * a, 3, 2, 4), normal(9)),
    "istft": (lambda a, b: ops.istft((a * a, b * b), 4, 2, 4), normal(4, 3), normal(4, 3)),
    # positions
    "scatter": (lambda a: ops.scatter(np.array([[0], [2], [0]]), a * a, (4, 2)), normal(3, 2)),
    "scatter_update": (
        lambda a, b: ops.scatter_update(a * a, np.array([[0, 1], [2, 0]]), b * b),
        normal(3, 2),
        normal(2),
    ),
    "scatter_update add": (
        lambda a, b: ops.scatter_update(a * a, NUMBERS[:, None], b * b, "add"),
        normal(3),
        normal(5),
    ),
    "scatter_update max": (
        lambda a, b: ops.scatter_update(a * a, NUMBERS[:, None], b * b, "max"),
        distinct(3) + 4,
        distinct(5) + 4.1,
    ),
    "scatter_update mul": (lambda a, b: ops.scatter_update(a, NUMBERS[:, None], b, "mul"), normal(3), normal(5)),
    "core slice": (lambda a: ops.slice(a * a, (1, 0), (2, 2)), normal(3, 4)),
    "slice_update": (lambda a, b: ops.slice_update(a * a, (1, 2), b * b), normal(3, 4), normal(2, 2)),
    "segment_sum": (lambda a: ops.segment_sum(a * a, NUMBERS, 4), normal(5, 2)),
    "segment_max": (lambda a: ops.segment_max(a * a, NUMBERS)[::2], distinct(5, 2) + 9),
    "segment_min": (lambda a: ops.segment_min(a * a, NUMBERS)[::2], distinct(5, 2) + 9),
    "segment_prod": (lambda a: ops.segment_prod(a, NUMBERS, 4), normal(5, 2)),
    "extract_sequences": (lambda a: ops.extract_sequences(a * a, 3, 2), normal(2, 8)),
    # control
    "cond": (lambda a: ops.cond(True, lambda: a * a, lambda: a), normal(3)),
    "scan": (lambda a, b: ops.scan(lambda c, x: (c * x, c + x), a, b), normal(2), normal(3, 2)),
    "map": (lambda a: ops.map(lambda x: x * ops.sum(x), a), normal(3, 2)),
    "associative_scan": (lambda a: ops.associative_scan(lambda x, y: x * y, a, axis=1), normal(2, 5)),
    "associative_scan, reverse": (
        lambda a: ops.associative_scan(lambda x, y: x * y, a, reverse=True),
        normal(4, 2),
    ),
    "while_loop": (lambda a: ops.while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, x * a), (0, a))[1], normal(3)),
    "fori_loop": (lambda a: ops.fori_loop(0, 2, lambda i, x: x * a, a), normal(3)),
    "vectorize": (lambda a, b: ops.vectorize(lambda x, y: x * x * y)(a, b), normal(2, 1), normal(3)),
    "custom_gradient": (cube, normal(3)),
    "saturate_cast": (lambda a: ops.saturate_cast(a * a, a.dtype), RNG.standard_normal(3)),
}
