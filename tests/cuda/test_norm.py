import numpy as np
import oracles.norm as oracle
import pytest
from matrix import DTYPES, check, check_gradients, every_implementation, held_to, numerical_gradient, with_gaps

from deepcore.backend.cuda import norm
from deepcore.backend.dispatch import use_implementation
from deepcore.backend.numpy import norm as cpu

FORWARD = every_implementation("norm", "batch_norm_fprop", "layer_norm_fprop", backend="cuda")
BACKWARD = every_implementation("norm", "batch_norm_dgrad", "layer_norm_dgrad", backend="cuda")
EPSILON = 1e-3
SHAPES = ((1, 1), (1, 7), (5, 1), (3, 5, 7), (13, 33), (700, 3), (3, 1031))
WATCHED = ((7, 5), (13, 33), (3, 1031), (2600, 3))
RESPONSES = ((2, 1.0, 1e-2, 0.75), (50, 2.0, 0.3, 0.5), (0, 1.0, 1.0, 1.0))


def _case(rng, shape, dtype):
    x, dy = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    gamma, beta = (rng.standard_normal(shape[-1]).astype(dtype) for _ in range(2))
    return x + x.dtype.type(2), dy, gamma, beta


def _float64(*arrays):
    return tuple(array.astype(np.float64) for array in arrays)


def _forward(rng, op, shape, dtype, gaps=False):
    x, _, gamma, beta = _case(rng, shape, dtype)
    reference = oracle.batch_norm if op == "batch_norm_fprop" else oracle.layer_norm
    length = x.size // shape[-1] if op == "batch_norm_fprop" else shape[-1]
    results = getattr(norm, op)(with_gaps(x) if gaps else x, gamma, beta, EPSILON)
    for actual, wanted in zip(results, reference(*_float64(x, gamma, beta), EPSILON), strict=True):
        # 1 / sqrt(epsilon) magnifies the rounding of x - mean where a row has one element
        check(actual, wanted, dtype, length, scale=64 + np.abs(wanted).max())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "name"), FORWARD)
def test_forward(rng, op, name, dtype):
    with held_to(op, name):
        for shape in SHAPES:
            _forward(rng, op, shape, dtype)
        _forward(rng, op, (3, 7, 5), dtype, gaps=True)


@pytest.mark.parametrize(("op", "name"), FORWARD)
def test_forward_watched(rng, watched, op, name):
    with held_to(op, name):
        for shape in WATCHED:
            _forward(rng, op, shape, "float32")


@pytest.mark.parametrize("dtype", DTYPES)
def test_inference(rng, dtype):
    for shape in SHAPES:
        x, _, gamma, beta = _case(rng, shape, dtype)
        mean, variance = rng.standard_normal(shape[-1]).astype(dtype), rng.random(shape[-1]).astype(dtype)
        wide = _float64(x, gamma, beta, mean, variance)
        expected = wide[1] * (wide[0] - wide[3]) / np.sqrt(wide[4] + EPSILON) + wide[2]
        # The shift may cancel what is before it, which is as large as |gamma| * |x - mean| / sqrt(epsilon).
        scale = np.abs(expected).max() + np.abs(wide[2]).max()
        check(norm.batch_norm_inference(with_gaps(x), gamma, beta, mean, variance, EPSILON), expected, dtype, 1, scale)


@pytest.mark.parametrize(("op", "name"), BACKWARD)
def test_gradient_by_finite_differences(rng, op, name):
    reference = oracle.batch_norm if op == "batch_norm_dgrad" else oracle.layer_norm
    for shape in ((1, 3), (5, 1), (7, 5), (2, 3, 6)):
        x, dy, gamma, beta = _case(rng, shape, "float64")
        _, mean, second = reference(x, gamma, beta, EPSILON)
        extra = (EPSILON,) if op == "batch_norm_dgrad" else ()
        with held_to(op, name):
            gradients = getattr(norm, op)(dy, x, gamma, mean, second, *extra)
        check_gradients(gradients, lambda *inputs: reference(*inputs, EPSILON)[0], (x, gamma, beta), dy)


def _backward(rng, op, shape, dtype, gaps=False):
    x, dy, gamma, beta = _case(rng, shape, "float64")
    if op == "batch_norm_dgrad":
        _, *kept = oracle.batch_norm(x, gamma, beta, 0.1)
        extra = (0.1,)
    else:
        _, *kept = oracle.layer_norm(x, gamma, beta, 0.1)
        extra = ()
    # Held to finite differences by its own tests, which large shapes would take too long for.
    with use_implementation(op, "numpy"):
        expected = getattr(cpu, op)(dy, x, gamma, *kept, *extra)
    narrow = [array.astype(dtype) for array in (dy, x, gamma, *kept)]
    if gaps:
        narrow[:2] = with_gaps(narrow[0]), with_gaps(narrow[1])
    for actual, wanted in zip(getattr(norm, op)(*narrow, *extra), expected, strict=True):
        check(actual, wanted, dtype, x.size, scale=8 + np.abs(wanted).max())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "name"), BACKWARD)
def test_gradient(rng, op, name, dtype):
    with held_to(op, name):
        for shape in (*SHAPES, (9000, 3)):
            _backward(rng, op, shape, dtype)
        _backward(rng, op, (3, 7, 5), dtype, gaps=True)


@pytest.mark.parametrize(("op", "name"), BACKWARD)
def test_gradient_watched(rng, watched, op, name):
    with held_to(op, name):
        for shape in WATCHED:
            _backward(rng, op, shape, "float32")


def _response(rng, shape, dtype, constants):
    x = rng.standard_normal(shape).astype(dtype)
    results = norm.local_response_norm_fprop(with_gaps(x), *constants)
    for actual, wanted in zip(results, oracle.local_response_norm(x, *constants), strict=True):
        check(actual, wanted, dtype, shape[-1])


@pytest.mark.parametrize("constants", RESPONSES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_local_response(rng, dtype, constants):
    for shape in ((1, 1), (1, 7), (5, 1), (3, 5, 7), (20, 67)):
        _response(rng, shape, dtype, constants)


def _response_gradient(rng, shape, dtype, constants):
    radius, _, alpha, beta = constants
    x, dy = rng.standard_normal(shape), rng.standard_normal(shape)
    expected = numerical_gradient(lambda v: oracle.local_response_norm(v, *constants)[0], x, dy)
    scale = oracle.local_response_norm(x, *constants)[1]
    narrow = (array.astype(dtype) for array in (with_gaps(dy), x, scale))
    dx = norm.local_response_norm_dgrad(*narrow, radius, alpha, beta)
    assert dx.dtype == dtype
    tolerance = 1e-5 if dtype == "float32" else 1e-7
    np.testing.assert_allclose(dx, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("constants", RESPONSES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_local_response_gradient(rng, dtype, constants):
    for shape in ((1, 1), (2, 7), (3, 2, 13)):
        _response_gradient(rng, shape, dtype, constants)


def test_local_response_watched(rng, watched):
    _response(rng, (20, 67), "float32", RESPONSES[0])
    _response_gradient(rng, (3, 13), "float32", RESPONSES[0])


@pytest.mark.parametrize(("op", "name"), FORWARD)
def test_a_large_mean_does_not_cancel_the_variance(rng, op, name):
    x = (rng.standard_normal((4096, 16)) + 1e4).astype(np.float32)
    gamma, beta = np.ones(16, np.float32), np.zeros(16, np.float32)
    reference = oracle.batch_norm if op == "batch_norm_fprop" else oracle.layer_norm
    with held_to(op, name):
        results = getattr(norm, op)(x, gamma, beta, EPSILON)
    for actual, wanted in zip(results, reference(x, gamma, beta, EPSILON), strict=True):
        # x - mean is off by the rounding of the mean, 1e4 * eps; E[x^2] - E[x]^2 would be off by 1e8 * eps = 12
        np.testing.assert_allclose(actual, wanted, rtol=1e-3, atol=1e-2)


def test_many_rows_of_few_channels(rng):
    x = (rng.standard_normal((60_007, 3)) + 3).astype(np.float32)
    gamma, beta = np.ones(3, np.float32), np.zeros(3, np.float32)
    results = norm.batch_norm_fprop(x, gamma, beta, EPSILON)
    for actual, wanted in zip(results, oracle.batch_norm(x, gamma, beta, EPSILON), strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("op", "name"), FORWARD)
def test_nan_reaches_everything_it_touches(op, name):
    x = np.arange(12, dtype=np.float32).reshape(4, 3)
    x[1, 2] = np.nan
    with held_to(op, name):
        y = getattr(norm, op)(x, np.ones(3, np.float32), np.zeros(3, np.float32), EPSILON)[0]
    touched = np.zeros((4, 3), bool)
    touched[(slice(None), 2) if op == "batch_norm_fprop" else 1] = True
    assert np.array_equal(np.isnan(y), touched)
