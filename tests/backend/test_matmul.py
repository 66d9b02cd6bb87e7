"""Matrix products against the naive product."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix import assert_sums_agree, each_implementation, scattered
from oracles import matmul as oracle

from deepcore.backend import numpy_backend
from deepcore.backend.geometry import MatmulGeometry
from deepcore.backend.numpy.matmul import blas_ready

DTYPES = ("float32", "float64")


def check(backend, a, b, transpose_a, transpose_b):
    expected = oracle.matmul(a, b, transpose_a, transpose_b)
    magnitude = oracle.matmul(np.abs(a), np.abs(b), transpose_a, transpose_b)
    geometry = MatmulGeometry.of(a.shape, b.shape, transpose_a, transpose_b)
    xp = backend.xp
    for name in each_implementation(backend, "matmul", a.dtype, geometry):
        y = np.asarray(backend.matmul(xp.asarray(a), xp.asarray(b), transpose_a, transpose_b))
        assert_sums_agree(y, expected, magnitude, geometry.k, a.dtype, name)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
@pytest.mark.parametrize(
    ("a_batch", "b_batch"),
    [((), ()), ((3,), ()), ((), (3,)), ((3,), (3,)), ((5, 1), (7,)), ((2, 3), (1, 1)), ((1, 1), (2, 3))],
)
def test_every_layout_and_batch(backend, rng, dtype, transpose_a, transpose_b, a_batch, b_batch):
    m, n, k = 5, 7, 13
    a = rng.standard_normal((*a_batch, *((k, m) if transpose_a else (m, k)))).astype(dtype)
    b = rng.standard_normal((*b_batch, *((n, k) if transpose_b else (k, n)))).astype(dtype)
    check(backend, a, b, transpose_a, transpose_b)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    sizes=st.tuples(*[st.sampled_from([1, 2, 5, 7, 31, 123])] * 3),
    flags=st.tuples(st.booleans(), st.booleans()),
    dtype=st.sampled_from(DTYPES),
    strided=st.booleans(),
)
def test_odd_sizes(sizes, flags, dtype, strided):
    rng = np.random.default_rng(7)
    m, n, k = sizes
    shapes = ((k, m) if flags[0] else (m, k)), ((n, k) if flags[1] else (k, n))
    a, b = (scattered(rng, s, dtype) if strided else rng.standard_normal(s).astype(dtype) for s in shapes)
    check(numpy_backend(), a, b, *flags)


def test_strides_of_every_kind(backend, rng):
    base = rng.standard_normal((6, 8, 10)).astype("float32")
    b = rng.standard_normal((10, 4)).astype("float32")
    narrow = b[:8]
    check(backend, base[::-1, ::2], b, False, False)
    check(backend, base[:, ::-1], b, False, False)
    check(backend, base.transpose(1, 0, 2), b, False, False)
    check(backend, base.transpose(0, 2, 1), narrow, False, False)
    check(backend, base.transpose(2, 1, 0), b[:6], False, False)
    check(backend, np.broadcast_to(base[0, 0], (3, 10)), b, False, False)
    check(backend, np.broadcast_to(base[0, :, :1], (8, 10)), b, False, False)


def test_operands_that_the_blas_reads_as_they_are_stay_uncopied(rng):
    a = rng.standard_normal((6, 8, 10))
    for view in (a, a.swapaxes(1, 2), a[:, 2:5, 1:9], a[::2], a[:, ::2]):
        assert blas_ready(view) is view
    for view in (a[:, :, ::2], a[:, ::-1], a.transpose(1, 2, 0)[:, ::2], np.broadcast_to(a[0, 0], (3, 10))):
        assert blas_ready(view).flags.c_contiguous


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("transpose_b", [False, True])
def test_epilogue(backend, rng, dtype, transpose_b):
    a = rng.standard_normal((3, 5, 7)).astype(dtype)
    b = rng.standard_normal((11, 7) if transpose_b else (7, 11)).astype(dtype)
    bias = rng.standard_normal(11).astype(dtype)
    xp = backend.xp
    z = oracle.matmul(a, b, False, transpose_b) + bias
    plain = np.asarray(backend.matmul(xp.asarray(a), xp.asarray(b), False, transpose_b, xp.asarray(bias)))
    relu = np.asarray(backend.matmul(xp.asarray(a), xp.asarray(b), False, transpose_b, xp.asarray(bias), "relu"))
    tanh = np.asarray(backend.matmul(xp.asarray(a), xp.asarray(b), False, transpose_b, None, "tanh"))
    tolerance = 40 * np.finfo(dtype).eps
    np.testing.assert_allclose(plain, z, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(relu, np.maximum(z, 0), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(tanh, np.tanh(z - bias), rtol=tolerance, atol=tolerance)
    assert plain.dtype == relu.dtype == tanh.dtype == np.dtype(dtype)


def test_operands_are_left_alone(backend, rng):
    a, b, bias = (rng.standard_normal(s) for s in ((4, 4), (4, 4), 4))
    before = [v.copy() for v in (a, b, bias)]
    backend.matmul(backend.xp.asarray(a), backend.xp.asarray(b), False, False, backend.xp.asarray(bias), "relu")
    for now, then in zip((a, b, bias), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_shapes_that_do_not_fit(backend):
    a, b = backend.xp.ones((2, 3)), backend.xp.ones((4, 5))
    with pytest.raises(ValueError, match="inner sizes differ, 3 and 4"):
        backend.matmul(a, b)
