"""Array functions refuse wrong arguments with Keras's exception types, in words that say what to do."""

from __future__ import annotations

import math

import numpy as np
import pytest

from deepcore import Tensor, ops

X = np.ones((3, 4), np.float32)
BOX = np.ones((2, 3, 4), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ops.bitwise_and(X, X), TypeError, "integers or booleans; got float32"),
        (lambda: ops.bitwise_not(X), TypeError, "got float32"),
        (lambda: ops.ldexp(X, X), TypeError, "x2 must be integers"),
        (lambda: ops.where(X > 0, X), ValueError, "both x1 and x2"),
        (lambda: ops.select([X > 0], [X, X]), ValueError, "1 conditions and 2 choices"),
        (lambda: ops.eye(2.5), TypeError, "N must be an integer; got 2.5"),
        (lambda: ops.eye(2, "3"), TypeError, "M must be an integer"),
        (lambda: ops.tri(2.0), TypeError, "N must be an integer"),
        (lambda: ops.linspace(0, 1, -1), ValueError, "num"),
        (lambda: ops.meshgrid(X[0], indexing="yx"), ValueError, "'xy' or 'ij'; got 'yx'"),
        (lambda: ops.max(X[:0]), ValueError, "pass initial="),
        (lambda: ops.prod(X, axis=2), ValueError, "axis 2 is not one of a tensor of rank 2"),
        (lambda: ops.average(X, 1, weights=np.ones(3)), ValueError, "axis=1; got shape"),
        (lambda: ops.quantile(X, 0.5, method="cubic"), ValueError, "linear, lower.*got 'cubic'"),
        (lambda: ops.corrcoef(BOX), ValueError, "variables, observations"),
        (lambda: ops.correlate(X, X), ValueError, "one axis"),
        (lambda: ops.correlate(X[0], X[0], "round"), ValueError, "'valid', 'same' or 'full'"),
        (lambda: ops.cumsum(X, 2), ValueError, "cumsum: axis 2"),
        (lambda: ops.diff(X, -1), ValueError, "must not be negative"),
        (lambda: ops.sort(X, 2), ValueError, "axis 2"),
        (lambda: ops.argpartition(X, 1.5), ValueError, "kth must be an integer"),
        (lambda: ops.top_k(X, 5), ValueError, "k = 5"),
        (lambda: ops.searchsorted(X, X), ValueError, "one axis"),
        (lambda: ops.searchsorted(X[0], X, "middle"), ValueError, "'left' or 'right'"),
        (lambda: ops.digitize(X, X), ValueError, "bins must have one axis"),
        (lambda: ops.bincount([0.5]), TypeError, "integers; got float32"),
        (lambda: ops.bincount([1], sparse=True), ValueError, "sparse=False"),
        (lambda: ops.bincount(np.zeros((1, 1, 1), int)), ValueError, r"\[rows, n\]"),
        (lambda: ops.histogram(X[0], 2.5), TypeError, "bins must be an integer"),
        (lambda: ops.histogram(X[0], -1), ValueError, "not be negative"),
        (lambda: ops.histogram(X[0], range=(2, 1)), ValueError, "range"),
        (lambda: ops.histogram(X), ValueError, "one axis"),
        (lambda: ops.expand_dims(X, 5), ValueError, "expand_dims: axis 5"),
        (lambda: ops.expand_dims(X, (0, 0)), ValueError, "twice"),
        (lambda: ops.moveaxis(X, (0, 1), 0), ValueError, "as many distinct places"),
        (lambda: ops.moveaxis(X, 0, 2), ValueError, "axis 2"),
        (lambda: ops.stack([X, X], 4), ValueError, "axis 4"),
        (lambda: ops.split(X, 0), ValueError, "no 0 equal sections"),
        (lambda: ops.pad(X, 1, "mirror"), ValueError, "'reflect'.*got 'mirror'"),
        (lambda: ops.pad(X, 1, "reflect", 0.0), ValueError, "mode='constant'; got mode='reflect'"),
        (lambda: ops.pad(X, -1), ValueError, "none negative"),
        (lambda: ops.take_along_axis(X, [0], 1), ValueError, "rank of x"),
        (lambda: ops.take_along_axis(X, [[0, 0]], 0), ValueError, r"\(1, 2\) and \(3, 4\)"),
        (lambda: ops.repeat(X, [1, 2], 0), ValueError, "one number or 3"),
        (lambda: ops.roll(X, (1, 2), 0), ValueError, "one shift, or one for each axis"),
        (lambda: ops.rot90(X[0]), ValueError, "rank 2 or more"),
        (lambda: ops.rot90(X, axes=(1, -1)), ValueError, "two different axes"),
        (lambda: ops.array_split(X, 0), ValueError, "at least one section"),
        (lambda: ops.dsplit(X, 2), ValueError, "axis 2"),
        (lambda: ops.unstack(X, 4), ValueError, "has 3 slices; got num=4"),
        (lambda: ops.vander(X), ValueError, "one axis"),
        (lambda: ops.diagonal(X[0]), ValueError, "rank 2 or more"),
        (lambda: ops.diag(BOX), ValueError, "rank 1 or 2"),
        (lambda: ops.tril(X[0]), ValueError, "rank 2 or more"),
        (lambda: ops.tensordot(X, X, 1), ValueError, "must have the same sizes"),
        (lambda: ops.cross(X, X), ValueError, "length 2 or 3; got 4"),
        (lambda: ops.cdist(X, X[:, 1:]), ValueError, r"\[\.\.\., n, k\]"),
        (lambda: ops.einsum("ij", X, X), ValueError, "names 1 tensors; got 2"),
        (lambda: ops.einsum("ijk->k", X), ValueError, "does not fit a tensor of shape"),
        (lambda: ops.einsum("ij->ik", X), ValueError, "letters that no tensor has"),
        (lambda: ops.inv(X), ValueError, "square matrices; got shape"),
        (lambda: ops.inv(X[0]), ValueError, "rank 2 or more"),
        (lambda: ops.inv(np.zeros((2, 2))), ValueError, "inv of matrices of shape.*failed"),
        (lambda: ops.cholesky(-np.eye(2)), ValueError, "cholesky of matrices.*failed"),
        (lambda: ops.solve(np.eye(3), X[0]), ValueError, "needs b of shape"),
        (lambda: ops.solve(np.zeros((3, 3)), X), ValueError, "failed"),
        (lambda: ops.solve_triangular(np.eye(3), 1.0), ValueError, "rank 1 or more"),
        (lambda: ops.lu_factor(X), ValueError, "square"),
        (lambda: ops.qr(X, "raw"), ValueError, "'reduced' or 'complete'; got 'raw'"),
        (lambda: ops.lstsq(X, np.ones(4)), ValueError, r"\[m\] or \[m, k\]"),
        (lambda: ops.norm(X, "nuc", axis=1), ValueError, "ord='nuc'"),
        (lambda: ops.norm(X, 3), ValueError, "Matrices have"),
        (lambda: ops.norm(BOX, math.inf), ValueError, "one axis or two"),
        (lambda: ops.jvp(ops.sin, (X,), ()), ValueError, "for each of 1 primals; got 0"),
        (lambda: ops.fft(X), ValueError, "a pair of tensors"),
        (lambda: ops.fft((X, X[0])), ValueError, "one shape"),
        (lambda: ops.stft(X, 2, 0, 2), ValueError, "positive integer; got 0"),
        (lambda: ops.stft(X, 4, 1, 2), ValueError, "not be less than sequence_length"),
        (lambda: ops.stft(X, 2, 1, 2, window="kaiser"), ValueError, "'hann', 'hamming'"),
        (lambda: ops.stft(X, 2, 1, 2, window=[1.0]), ValueError, r"shape \(2,\)"),
        (lambda: ops.stft([1, 2, 3], 2, 1, 2), TypeError, "got int32"),
        (lambda: ops.scatter([0.5], [1.0], (3,)), ValueError, "integer positions"),
        (lambda: ops.scatter_update(X, [[0, 0]], [1.0], "sum"), ValueError, "'add', 'max'.*got 'sum'"),
        (lambda: ops.slice_update(X, (2, 0), X), ValueError, "do not fit into shape"),
        (lambda: ops.segment_sum(X, [0, 1]), ValueError, "as long as the first of data"),
        (lambda: ops.segment_max(X, [[0]]), ValueError, "one axis"),
        (lambda: ops.scan(1, X), TypeError, "must be callable"),
        (lambda: ops.scan(ops.add, X), ValueError, "got neither"),
        (lambda: ops.scan(ops.add, X, X, unroll=0), ValueError, "unroll"),
        (lambda: ops.associative_scan(1, X), TypeError, "must be callable"),
        (lambda: ops.associative_scan(ops.add, [X, X[1:]]), ValueError, "same length along axis 0"),
        (lambda: ops.vectorize(3), ValueError, "must be callable"),
        (lambda: ops.vectorize(ops.add, signature="n->n"), ValueError, "written as"),
        (lambda: ops.rearrange(X, "a b -> a"), ValueError, "the same names on both sides"),
        (lambda: ops.rearrange(X, "a (b c) -> a b c", c=3), ValueError, "is not made of"),
    ],
)
def test_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_gradient_by_hand_must_serve_every_input():
    function = ops.custom_gradient(lambda a, b: (a * b, lambda upstream: upstream))
    product = function(Tensor([1.0], requires_grad=True), Tensor([2.0], requires_grad=True))
    with pytest.raises(ValueError, match=r"expected 2 gradients.*got 1"):
        product.backward()
