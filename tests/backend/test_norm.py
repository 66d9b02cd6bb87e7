import numba
import numpy as np
import oracles.norm as oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix import (
    DTYPES,
    SHAPES,
    available,
    check,
    check_gradients,
    every_implementation,
    held_to,
    numerical_gradient,
    poisoned,  # noqa: F401
    with_gaps,
)

from deepcore.backend.numpy.norm import batch_norm_fprop

EPSILON = 1e-3
RESPONSES = ((2, 1.0, 1e-2, 0.75), (5, 2.0, 0.3, 0.5), (0, 1.0, 1.0, 1.0))


def _case(rng, shape, dtype):
    x, dy = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    gamma, beta = (rng.standard_normal(shape[-1]).astype(dtype) for _ in range(2))
    return x + dtype(2), dy, gamma, beta


def _float64(*arrays):
    return tuple(array.astype(np.float64) for array in arrays)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("op", "name"), every_implementation("norm", "batch_norm_fprop", "layer_norm_fprop"))
def test_forward(backend, rng, poisoned, op, name, dtype):  # noqa: F811
    reference = oracle.batch_norm if op == "batch_norm_fprop" else oracle.layer_norm
    with held_to(op, name):
        for shape in SHAPES:
            x, _, gamma, beta = _case(rng, shape, dtype)
            length = x.size // shape[-1] if op == "batch_norm_fprop" else shape[-1]
            expected = reference(*_float64(x, gamma, beta), EPSILON)
            for given_x in (x, with_gaps(x)):
                results = getattr(backend, op)(given_x, gamma, beta, EPSILON)
                for actual, wanted in zip(results, expected, strict=True):
                    # 1 / sqrt(epsilon) magnifies the rounding of x - mean where a row has one element
                    check(actual, wanted, dtype, length, scale=64 + np.abs(wanted).max())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("op", "name"), every_implementation("norm", "batch_norm_inference"))
def test_inference(backend, rng, poisoned, op, name, dtype):  # noqa: F811
    with held_to(op, name):
        for shape in SHAPES:
            x, _, gamma, beta = _case(rng, shape, dtype)
            mean, variance = rng.standard_normal(shape[-1]).astype(dtype), rng.random(shape[-1]).astype(dtype)
            wide = _float64(x, gamma, beta, mean, variance)
            expected = wide[1] * (wide[0] - wide[3]) / np.sqrt(wide[4] + EPSILON) + wide[2]
            for given_x in (x, with_gaps(x)):
                check(backend.batch_norm_inference(given_x, gamma, beta, mean, variance, EPSILON), expected, dtype)


@pytest.mark.parametrize(("op", "name"), every_implementation("norm", "batch_norm_dgrad", "layer_norm_dgrad"))
def test_gradient_by_finite_differences(backend, rng, poisoned, op, name):  # noqa: F811
    reference = oracle.batch_norm if op == "batch_norm_dgrad" else oracle.layer_norm
    for shape in ((1, 3), (5, 1), (7, 5), (2, 3, 6)):
        x, dy, gamma, beta = _case(rng, shape, np.float64)
        _, mean, second = reference(x, gamma, beta, EPSILON)
        with held_to(op, name):
            if op == "batch_norm_dgrad":
                gradients = backend.batch_norm_dgrad(dy, x, gamma, mean, second, EPSILON)
            else:
                gradients = backend.layer_norm_dgrad(dy, x, gamma, mean, second)
        check_gradients(gradients, lambda *inputs: reference(*inputs, EPSILON)[0], (x, gamma, beta), dy)


@pytest.mark.parametrize(("op", "name"), every_implementation("norm", "batch_norm_dgrad", "layer_norm_dgrad"))
def test_gradient_in_float32(backend, rng, poisoned, op, name):  # noqa: F811
    for shape in SHAPES:
        x, dy, gamma, beta = _case(rng, shape, np.float64)
        if op == "batch_norm_dgrad":
            _, *kept = oracle.batch_norm(x, gamma, beta, 0.1)
            extra = (0.1,)
        else:
            _, *kept = oracle.layer_norm(x, gamma, beta, 0.1)
            extra = ()
        wide = (dy, x, gamma, *kept)
        narrow = [array.astype(np.float32) for array in wide]
        expected = getattr(backend, op)(*wide, *extra)  # held to finite differences above
        with held_to(op, name):
            for given_dy, given_x in ((narrow[0], narrow[1]), (with_gaps(narrow[0]), with_gaps(narrow[1]))):
                gradients = getattr(backend, op)(given_dy, given_x, *narrow[2:], *extra)
                for actual, wanted in zip(gradients, expected, strict=True):
                    check(actual, wanted, np.float32, x.size, scale=8 + np.abs(wanted).max())


@pytest.mark.parametrize("constants", RESPONSES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "name"), every_implementation("norm", "local_response_norm_fprop"))
def test_local_response(backend, rng, poisoned, op, name, dtype, constants):  # noqa: F811
    with held_to(op, name):
        for shape in SHAPES:
            x = rng.standard_normal(shape).astype(dtype)
            expected = oracle.local_response_norm(x, *constants)
            for given_x in (x, with_gaps(x)):
                for actual, wanted in zip(
                    backend.local_response_norm_fprop(given_x, *constants), expected, strict=True
                ):
                    check(actual, wanted, dtype, 2 * constants[0] + 1)


@pytest.mark.parametrize("constants", RESPONSES)
@pytest.mark.parametrize(("op", "name"), every_implementation("norm", "local_response_norm_dgrad"))
def test_local_response_gradient(backend, rng, poisoned, op, name, constants):  # noqa: F811
    radius, _, alpha, beta = constants
    for shape in ((1, 1), (2, 7), (3, 2, 13)):
        x, dy = rng.standard_normal(shape), rng.standard_normal(shape)
        expected = numerical_gradient(lambda v: oracle.local_response_norm(v, *constants)[0], x, dy)
        scale = oracle.local_response_norm(x, *constants)[1]
        for dtype, tolerance in ((np.float32, 1e-5), (np.float64, 1e-7)):
            with held_to(op, name):
                dx = backend.local_response_norm_dgrad(
                    with_gaps(dy.astype(dtype)), x.astype(dtype), scale.astype(dtype), radius, alpha, beta
                )
            assert dx.dtype == dtype
            assert dx.flags.c_contiguous
            np.testing.assert_allclose(dx, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("op", "name"), every_implementation("norm", "batch_norm_fprop", "layer_norm_fprop"))
def test_a_large_mean_does_not_cancel_the_variance(backend, rng, op, name):
    x = (rng.standard_normal((4096, 64)) + 1e4).astype(np.float32)
    gamma, beta = np.ones(64, np.float32), np.zeros(64, np.float32)
    reference = oracle.batch_norm if op == "batch_norm_fprop" else oracle.layer_norm
    with held_to(op, name):
        results = getattr(backend, op)(x, gamma, beta, EPSILON)
    for actual, wanted in zip(results, reference(x, gamma, beta, EPSILON), strict=True):
        # x - mean is off by the rounding of the mean, 1e4 * eps; E[x^2] - E[x]^2 would be off by 1e8 * eps = 12
        np.testing.assert_allclose(actual, wanted, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize(("op", "name"), every_implementation("norm", "batch_norm_fprop"))
def test_many_rows_of_few_channels(backend, rng, op, name):
    x = (rng.standard_normal((300_007, 3)) + 3).astype(np.float32)
    gamma, beta = np.ones(3, np.float32), np.zeros(3, np.float32)
    with held_to(op, name):
        results = backend.batch_norm_fprop(x, gamma, beta, EPSILON)
    for actual, wanted in zip(results, oracle.batch_norm(x, gamma, beta, EPSILON), strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("op", "name"), every_implementation("norm", "batch_norm_fprop", "layer_norm_fprop"))
def test_nan_reaches_everything_it_touches(backend, op, name):
    x = np.arange(12, dtype=np.float32).reshape(4, 3)
    x[1, 2] = np.nan
    with held_to(op, name):
        y = getattr(backend, op)(x, np.ones(3, np.float32), np.zeros(3, np.float32), EPSILON)[0]
    touched = np.zeros((4, 3), bool)
    touched[(slice(None), 2) if op == "batch_norm_fprop" else 1] = True
    assert np.array_equal(np.isnan(y), touched)


@settings(max_examples=20, deadline=None)
@given(rows=st.integers(2, 200), channels=st.integers(1, 80), seed=st.integers(0, 2**32 - 1))
def test_batch_norm_output_has_mean_beta_and_deviation_gamma(rows, channels, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, channels))
    gamma, beta = rng.random(channels) + 0.5, rng.standard_normal(channels)
    for op, name in available(every_implementation("norm", "batch_norm_fprop")):
        with held_to(op, name):
            y, _, variance = batch_norm_fprop(x, gamma, beta, 0.0)
        np.testing.assert_allclose(y.mean(axis=0), beta, atol=1e-9)
        np.testing.assert_allclose(y.std(axis=0), gamma, atol=1e-9 / variance.min())


@pytest.mark.parametrize(("op", "name"), every_implementation("norm", "batch_norm_dgrad", "layer_norm_dgrad"))
def test_sums_have_the_same_bits_for_any_number_of_threads(backend, rng, op, name):
    x, dy = (rng.standard_normal((2003, 33)).astype(np.float32) for _ in range(2))
    gamma = np.ones(33, np.float32)
    kept = (gamma, gamma, EPSILON) if op == "batch_norm_dgrad" else (np.zeros(2003, np.float32),) * 2
    results = []
    with held_to(op, name):
        for threads in (1, numba.config.NUMBA_NUM_THREADS):
            numba.set_num_threads(threads)
            results.append(b"".join(array.tobytes() for array in getattr(backend, op)(dy, x, gamma, *kept)))
    assert results[0] == results[1]
