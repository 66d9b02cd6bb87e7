"""Every operation on float16 and bfloat16 arrays, on CUDA cores and on the CPU: stored in 16 bits, computed in float32.

Inputs are rounded to the dtype first, and the oracle takes the rounded ones in float64. What is left is the error of a
float32 computation, and one rounding of the result.
"""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from matrix import with_gaps
from oracles import activation as activation_oracle
from oracles import conv as conv_oracle
from oracles import embedding as embedding_oracle
from oracles import norm as norm_oracle
from oracles import philox as philox_oracle
from oracles import pool as pool_oracle
from oracles import softmax as softmax_oracle

from deepcore.backend.contract import ACTIVATIONS
from deepcore.backend.cuda import random as cuda_random
from deepcore.backend.dispatch import Call, implementations, use_implementation
from deepcore.backend.dtype import HALVES, floating
from deepcore.backend.geometry import Conv2DGeometry, MatmulGeometry, Pool2DGeometry, RowsGeometry
from deepcore.backend.numpy import random as cpu_random

pytest.importorskip("ml_dtypes", reason="BFLOAT16 IS NOT TESTED: NumPy has none of its own. Install ml_dtypes.")

# Half the distance from 1 to the next number, and half the smallest number above 0.
ROUNDOFF = {"float16": 2.0**-11, "bfloat16": 2.0**-8}
TINY = {"float16": 2.0**-25, "bfloat16": 2.0**-134}
STATISTICS = np.dtype(np.float32)

pytestmark = [pytest.mark.parametrize("dtype", HALVES), pytest.mark.parametrize("backend", ["numpy", "cuda"])]


def file(backend, name):
    return importlib.import_module(f"deepcore.backend.{backend}.{name}")


def normal(rng, shape, dtype):
    return rng.standard_normal(shape).astype(floating(dtype))


def wide(*arrays):
    return tuple(np.asarray(array).astype(np.float64) for array in arrays)


def close(actual, expected, magnitude=None, length=1, dtype=None, label=""):
    """``actual`` is ``expected`` but for a float32 computation, and for one rounding if it is stored in 16 bits.

    ``magnitude`` bounds, element by element, the numbers that were added, of which there were ``length``.
    """
    expected = np.asarray(expected, np.float64)
    magnitude = np.abs(expected) if magnitude is None else magnitude
    assert actual.dtype == (actual.dtype if dtype is None else floating(dtype)), f"{label}: {actual.dtype}"
    assert actual.shape == expected.shape, label
    assert actual.flags.c_contiguous, label
    allowed = (length + 16) * np.finfo(np.float32).eps * magnitude
    if actual.dtype.name in ROUNDOFF:
        allowed = allowed * (1 + ROUNDOFF[actual.dtype.name]) + ROUNDOFF[actual.dtype.name] * np.abs(expected)
        allowed = allowed + TINY[actual.dtype.name]
    error = np.abs(actual.astype(np.float64) - expected)
    assert (error <= allowed).all(), f"{label}: error {error.max():.3g}, {(error - allowed).max():.3g} too much"


def each(backend, op, dtype, geometry):
    """Holds ``op`` to each implementation on CUDA cores in turn. On the CPU it is the float32 ones that run."""
    if backend == "numpy":
        yield backend
        return
    call = Call(op, dtype, geometry)
    names = [record.name for record in implementations(op, "cuda") if record.verdict(call)[0]]
    assert names, f"no CUDA implementation serves {call}"
    for name in names:
        with use_implementation(op, name):
            yield name


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activation(rng, backend, dtype, activation):
    ops = file(backend, "activation")
    forward, derivative = activation_oracle.ACTIVATIONS[activation], activation_oracle.DERIVATIVES[activation]
    for shape in ((1, 7), (13, 24), (700, 3)):
        x, bias, dy = normal(rng, shape, dtype), normal(rng, shape[-1:], dtype), normal(rng, shape, dtype)
        z = wide(x)[0] + wide(bias)[0]
        close(ops.bias_activation(x, bias, activation), forward(z), 1 + np.abs(z), dtype=dtype, label=shape)
        close(ops.bias_activation(with_gaps(x), None, activation), forward(wide(x)[0]), 1 + np.abs(z), dtype=dtype)
        # Where y = f(z) is representable, its slope is that at z: at whole numbers, and only for these functions.
        z = np.round(2 * rng.standard_normal(shape)) / 4
        if activation in ("linear", "relu", "relu6", "leaky_relu"):
            z = np.where(z < 0, -1.25, z)  # 0.2 * z is representable
            y = forward(z).astype(floating(dtype))
            dz, dbias = ops.bias_activation_dgrad(dy, y, activation)
            expected = wide(dy)[0] * derivative(np.where(z == 0, 0.0, z))
            close(dz, expected, dtype=dtype, label=shape)
            close(ops.activation_dgrad(dy, y, activation), expected, dtype=dtype)
            close(dbias, expected.sum(axis=0), np.abs(expected).sum(axis=0), shape[0], dtype)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "elu", "softplus", "exponential"])
def test_activation_gradient_from_the_stored_output(rng, backend, dtype, activation):
    """The slope as a function of the stored y, whatever z it came from."""
    slopes = {
        "sigmoid": lambda y: y * (1 - y),
        "tanh": lambda y: 1 - y * y,
        "elu": lambda y: np.where(y > 0, 1, y + 1),
        "softplus": lambda y: -np.expm1(-y),
        "exponential": lambda y: y,
    }
    ops = file(backend, "activation")
    for shape in ((5, 16), (300, 3)):
        dy = normal(rng, shape, dtype)
        y = activation_oracle.ACTIVATIONS[activation](rng.standard_normal(shape)).astype(floating(dtype))
        expected = wide(dy)[0] * slopes[activation](wide(y)[0])
        dz, dbias = ops.bias_activation_dgrad(dy, y, activation)
        close(dz, expected, np.abs(wide(dy)[0]), dtype=dtype)
        close(dbias, expected.sum(axis=0), np.abs(wide(dy)[0]).sum(axis=0), shape[0], dtype)


POOLS = {
    "odd": Pool2DGeometry.of((2, 7, 5, 5), 3, 2, "same"),
    "wide accesses": Pool2DGeometry.of((2, 7, 6, 16), 3, 2, "same"),
    "global": Pool2DGeometry.of((2, 5, 3, 24), (5, 3)),
    "more taps than a byte counts": Pool2DGeometry.of((1, 18, 17, 8), (17, 16), 1),
}


@pytest.mark.parametrize("name", POOLS)
def test_pool(rng, backend, dtype, name):
    ops, g = file(backend, "pool"), POOLS[name]
    x, dy = normal(rng, g.x_shape, dtype), normal(rng, g.y_shape, dtype)
    how, taps = (g.window, g.strides, g.padding), g.window[0] * g.window[1]
    largest, place = pool_oracle.max_fprop(wide(x)[0], g.y_shape, *how)
    for label in each(backend, "max_pool2d_fprop", dtype, g):
        y, argmax = ops.max_pool2d_fprop(x, g)
        assert y.dtype == floating(dtype)
        np.testing.assert_array_equal(wide(y)[0], largest, err_msg=label)
        np.testing.assert_array_equal(argmax, place, err_msg=label)
    argmax = place.astype(g.argmax_dtype)
    np.testing.assert_array_equal(wide(ops.max_pool2d_gather(x, argmax, g))[0], largest)
    expected, magnitude = (pool_oracle.max_dgrad(v, place, g.x_shape, *how) for v in (wide(dy)[0], abs(wide(dy)[0])))
    close(ops.max_pool2d_dgrad(dy, argmax, g), expected, magnitude, taps, dtype)
    expected, magnitude = (pool_oracle.avg_fprop(v, g.y_shape, *how) for v in (wide(x)[0], abs(wide(x)[0])))
    for label in each(backend, "avg_pool2d_fprop", dtype, g):
        close(ops.avg_pool2d_fprop(x, g), expected, magnitude, taps, dtype, label)
    expected, magnitude = (pool_oracle.avg_dgrad(v, g.x_shape, *how) for v in (wide(dy)[0], abs(wide(dy)[0])))
    close(ops.avg_pool2d_dgrad(dy, g), expected, magnitude, taps, dtype)


ROWS = ((1, 7), (5, 16), (70, 13), (700, 3), (3, 1031))


@pytest.mark.parametrize("kind", ["batch", "layer"])
def test_norm(rng, backend, dtype, kind):
    ops, epsilon = file(backend, "norm"), 0.1
    forward, backward = (getattr(ops, f"{kind}_norm_{direction}") for direction in ("fprop", "dgrad"))
    axis = 0 if kind == "batch" else 1
    for shape in ROWS:
        x, dy = normal(rng, shape, dtype) + floating(dtype).type(2), normal(rng, shape, dtype)
        gamma, beta = (rng.standard_normal(shape[-1]).astype(np.float32) for _ in range(2))
        y, mean, second = forward(x, gamma, beta, epsilon)
        wanted = getattr(norm_oracle, f"{kind}_norm")(*wide(x, gamma, beta), epsilon)
        spread = np.abs(wide(x)[0]).max() / epsilon**0.5
        length = shape[axis] ** 0.5
        close(y, wanted[0], 1 + spread * np.abs(gamma), length, dtype, f"{kind} {shape}")
        close(mean, wanted[1], 1 + np.abs(wanted[1]), length, "float32")
        close(second, wanted[2], 8 * (1 + np.abs(wanted[2])), length, "float32")

        # dx etc. from their formula, from the statistics that were stored.
        v, g = wide(x)[0], wide(dy)[0] * (wide(gamma)[0] if kind == "layer" else 1)
        center, rstd = wide(mean)[0], wide(second)[0]
        if kind == "batch":
            rstd = 1 / np.sqrt(rstd + epsilon)
        else:
            center, rstd = center[:, None], rstd[:, None]
        h = (v - center) * rstd
        expected = rstd * (g - g.mean(axis, keepdims=True) - h * (g * h).mean(axis, keepdims=True))
        if kind == "batch":
            expected = expected * wide(gamma)[0]
        extra = (epsilon,) if kind == "batch" else ()
        dx, dgamma, dbeta = backward(dy, x, gamma, mean, second, *extra)
        size = 1 + np.abs(gamma).max() * np.abs(wide(dy)[0]).max() / epsilon**0.5 * (1 + np.abs(h).max() ** 2)
        close(dx, expected, size, shape[axis] ** 0.5, dtype, f"{kind} {shape}")
        close(
            dgamma,
            (wide(dy)[0] * h).sum(axis=0),
            8 * np.abs(wide(dy)[0] * h).sum(axis=0) + 1,
            shape[0] ** 0.5,
            "float32",
        )
        close(dbeta, wide(dy)[0].sum(axis=0), np.abs(wide(dy)[0]).sum(axis=0), shape[0], "float32")


def test_statistics_of_halves_are_not_rounded_to_halves(rng, backend, dtype):
    x = normal(rng, (4096, 8), dtype) + floating(dtype).type(3)
    one, zero = np.ones(8, np.float32), np.zeros(8, np.float32)
    _, mean, variance = file(backend, "norm").batch_norm_fprop(x, one, zero, 1e-3)
    np.testing.assert_allclose(mean, wide(x)[0].mean(axis=0), rtol=2e-6)
    np.testing.assert_allclose(variance, wide(x)[0].var(axis=0), rtol=2e-5)


def test_parameters_of_16_bits_are_converted(rng, backend, dtype):
    ops, (gamma, beta) = file(backend, "norm"), (normal(rng, 5, dtype) for _ in range(2))
    x, mean, variance = normal(rng, (7, 5), dtype), np.zeros(5, np.float32), np.ones(5, np.float32)
    y = ops.batch_norm_inference(x, gamma, beta, mean, variance, 0.0)
    expected = wide(gamma)[0] * wide(x)[0] + wide(beta)[0]
    close(y, expected, np.abs(wide(gamma)[0] * wide(x)[0]) + np.abs(wide(beta)[0]), dtype=dtype)


def test_local_response_norm(rng, backend, dtype):
    ops, constants = file(backend, "norm"), (2, 1.0, 0.1, 0.75)
    radius, _, alpha, beta = constants
    x, dy = normal(rng, (5, 3, 13), dtype), normal(rng, (5, 3, 13), dtype)
    y, scale = ops.local_response_norm_fprop(x, *constants)
    expected, wanted = norm_oracle.local_response_norm(wide(x)[0], *constants)
    close(y, expected, dtype=dtype)
    close(scale, wanted, dtype="float32")
    v, g, s = wide(x, dy, scale)
    ratios = g * v * s ** (-beta - 1)
    padded = np.pad(ratios, ((0, 0), (0, 0), (radius, radius)))
    sums = sum(padded[..., i : i + 13] for i in range(2 * radius + 1))
    size = np.abs(g) + np.abs(v) * np.abs(ratios).max() * 5
    close(
        ops.local_response_norm_dgrad(dy, x, scale, radius, alpha, beta),
        g * s**-beta - 2 * alpha * beta * v * sums,
        size,
        dtype=dtype,
    )


def test_softmax(rng, backend, dtype):
    ops = file(backend, "softmax")
    for shape in ROWS:
        x, dy = normal(rng, shape, dtype), normal(rng, shape, dtype)
        close(ops.softmax_fprop(with_gaps(x)), softmax_oracle.softmax(wide(x)[0]), length=shape[1] ** 0.5, dtype=dtype)
        log_y = ops.log_softmax_fprop(x)
        expected = softmax_oracle.log_softmax(wide(x)[0])
        close(log_y, expected, np.abs(expected) + np.abs(wide(x)[0]).max(), shape[1] ** 0.5, dtype)
        y = ops.softmax_fprop(x)
        g, p, q = wide(dy, y, log_y)
        total = (g * p).sum(axis=-1, keepdims=True)
        size = p * (np.abs(g) + (np.abs(g) * p).sum(axis=-1, keepdims=True))
        close(ops.softmax_dgrad(dy, y), p * (g - total), size, shape[1], dtype)
        total, size = g.sum(axis=-1, keepdims=True), np.abs(g).sum(axis=-1, keepdims=True)
        close(ops.log_softmax_dgrad(dy, log_y), g - np.exp(q) * total, np.abs(g) + np.exp(q) * size, shape[1], dtype)


@pytest.mark.parametrize("kind", ["int32", "float32", "same"])
def test_cross_entropy(rng, backend, dtype, kind):
    ops = file(backend, "softmax")
    for shape in ((1, 7), (40, 10), (9, 67)):
        logits, dloss = normal(rng, shape, dtype), rng.standard_normal(shape[0]).astype(np.float32)
        if kind == "int32":
            targets = rng.integers(0, shape[1], shape[0]).astype(kind)
            weights = softmax_oracle.one_hot(targets, shape[1])
        else:
            targets = rng.random(shape).astype(floating(dtype))
            weights = wide(targets)[0]
            targets = targets.astype(np.float32) if kind == "float32" else targets
        loss, probabilities = ops.softmax_cross_entropy_fprop(logits, targets)
        logarithm = softmax_oracle.log_softmax(wide(logits)[0])
        size = (weights * (8 + np.abs(logarithm))).sum(axis=1)
        close(loss, -(weights * logarithm).sum(axis=1), size, shape[1] ** 0.5, "float32")
        close(probabilities, softmax_oracle.softmax(wide(logits)[0]), length=shape[1] ** 0.5, dtype=dtype)
        p, total = wide(probabilities)[0], weights.sum(axis=1, keepdims=True)
        expected = dloss[:, None] * (p * total - weights)
        dlogits = ops.softmax_cross_entropy_dgrad(dloss, probabilities, targets)
        close(dlogits, expected, np.abs(dloss[:, None]) * (p * total + weights), shape[1], dtype)


@pytest.mark.parametrize("kind", ["int32", "same"])
def test_cross_entropy_of_probabilities(rng, backend, dtype, kind):
    ops = file(backend, "softmax")
    for shape in ((1, 7), (40, 10), (9, 67)):
        p, dloss = (rng.random(shape) + 0.1).astype(floating(dtype)), rng.standard_normal(shape[0]).astype(np.float32)
        targets = (
            rng.integers(0, shape[1], shape[0]).astype(kind) if kind == "int32" else rng.random(shape).astype(p.dtype)
        )
        given = wide(p)[0], targets if kind == "int32" else wide(targets)[0]
        expected = softmax_oracle.probability_cross_entropy(*given)
        close(ops.probability_cross_entropy_fprop(p, targets), expected, expected + 1, shape[1] ** 0.5, "float32")
        dp = ops.probability_cross_entropy_dgrad(dloss, p, targets)
        expected = softmax_oracle.probability_cross_entropy_gradient(dloss, *given)
        close(dp, expected, 10 * np.abs(dloss[:, None]), shape[1], dtype)


@pytest.mark.parametrize("op", ["sum", "mean", "max", "min"])
def test_reduction(rng, backend, dtype, op):
    reduce = getattr(file(backend, "reduction"), f"reduce_{op}")
    for shape, axes in (
        ((7,), (0,)),
        ((7, 24), (1,)),
        ((7, 33), (0,)),
        ((3, 5, 7), (0, 2)),
        ((2, 4, 3, 8), (1, 3)),
        ((3, 2501), (1,)),
        ((9001, 3), (0,)),
    ):
        x = normal(rng, shape, dtype)
        expected = getattr(np, op)(wide(x)[0], axis=axes)
        size = getattr(np, op)(np.abs(wide(x)[0]), axis=axes) if op in ("sum", "mean") else 0.0
        length = np.prod([shape[axis] for axis in axes]) ** 0.5
        close(reduce(x, axes), expected, size + np.zeros_like(expected), length, dtype, f"{op} {shape} {axes}")


def test_a_sum_passes_through_what_16_bits_cannot_hold(backend, dtype):
    """10,000 times 100 is beyond float16, and less than 1 is lost beside 256 in bfloat16."""
    ops = file(backend, "reduction")
    x = np.full((10_000, 2), 100, floating(dtype))
    assert wide(ops.reduce_mean(x, (0,)))[0].tolist() == [100, 100]
    halves = np.full((4096,), 0.5, floating(dtype))
    assert float(ops.reduce_sum(halves, (0,))) == 2048


def test_no_elements(backend, dtype):
    ops, x = file(backend, "reduction"), np.empty((0, 3), floating(dtype))
    total, mean = ops.reduce_sum(x, (0,)), (ops.reduce_mean(x, (0,)) if backend == "cuda" else None)
    assert total.dtype == floating(dtype)
    assert wide(total)[0].tolist() == [0, 0, 0]
    assert mean is None or np.isnan(wide(mean)[0]).all()


@pytest.mark.parametrize("transposes", [(False, False), (False, True), (True, False)])
def test_matmul(rng, backend, dtype, transposes):
    matmul = file(backend, "matmul").matmul
    for m, n, k in ((5, 7, 19), (40, 24, 64), (20, 12, 40), (33, 16, 300)):
        a = normal(rng, (k, m) if transposes[0] else (m, k), dtype)
        b = normal(rng, (n, k) if transposes[1] else (k, n), dtype)
        left, right = (v.T if turned else v for v, turned in zip(wide(a, b), transposes, strict=True))
        bias = normal(rng, n, dtype)
        for label in each(backend, "matmul", dtype, MatmulGeometry.of(a.shape, b.shape, *transposes)):
            y = matmul(a, b, *transposes)
            close(y, left @ right, abs(left) @ abs(right), k, dtype, f"{label} {m, n, k}")
            if k == 64:
                y = matmul(a, b, *transposes, bias, "relu")
                z = left @ right + wide(bias)[0]
                close(y, np.maximum(z, 0), abs(left) @ abs(right) + abs(wide(bias)[0]), k, dtype, f"{label} relu")


CONVS = {
    "odd": Conv2DGeometry.of((2, 7, 5, 5), (3, 3, 5, 7), 1, "same"),
    "wide accesses, strides": Conv2DGeometry.of((2, 9, 8, 16), (3, 3, 16, 8), 2, "same"),
    "few channels": Conv2DGeometry.of((1, 19, 17, 3), (5, 5, 3, 12), 2, "same"),
    "groups": Conv2DGeometry.of((1, 6, 5, 16), (3, 3, 8, 24), 1, "same", 1, 2),
    "depthwise": Conv2DGeometry.of((2, 7, 9, 5), (3, 3, 1, 5), 2, "same", 1, 5),
    "depthwise, wide accesses": Conv2DGeometry.of((1, 13, 11, 16), (3, 5, 1, 16), 1, "same", 1, 16),
    "depthwise, two filters a channel": Conv2DGeometry.of((1, 7, 9, 3), (3, 3, 1, 6), 1, "same", 1, 3),
    "long sums": Conv2DGeometry.of((3, 21, 19, 5), (3, 3, 5, 8), 1, "same"),
}


@pytest.mark.parametrize("name", CONVS)
def test_conv(rng, backend, dtype, name):
    ops, g = file(backend, "conv"), CONVS[name]
    x, w, dy = (normal(rng, shape, dtype) for shape in (g.x_shape, g.w_shape, g.y_shape))
    how, taps = (g.strides, g.padding, g.dilation, g.groups), g.kernel_height * g.kernel_width

    def naive(x, w, dy):
        return (
            conv_oracle.fprop(x, w, *how),
            conv_oracle.dgrad(dy, w, g.x_shape, *how),
            conv_oracle.wgrad(x, dy, g.w_shape, *how),
        )

    expected, sizes = naive(*wide(x, w, dy)), naive(*map(np.abs, wide(x, w, dy)))
    lengths = taps * g.in_channels // g.groups, taps * g.out_channels // g.groups, g.batch * g.out_height * g.out_width
    calls = {"conv2d_fprop": (x, w), "conv2d_dgrad": (dy, w), "conv2d_wgrad": (x, dy)}
    # The CPU may choose Winograd's or another transform, whose error is that of larger terms.
    slack = 4 if backend == "numpy" else 1
    for (op, arrays), right, size, length in zip(calls.items(), expected, sizes, lengths, strict=True):
        for label in each(backend, op, dtype, g):
            close(getattr(ops, op)(*arrays, g), right, slack * size, length, dtype, f"{op} {label} {name}")
    bias = normal(rng, g.out_channels, dtype)
    for label in each(backend, "conv2d_fprop", dtype, g):
        y, z = ops.conv2d_fprop(x, w, g, bias, "relu"), expected[0] + wide(bias)[0]
        close(y, np.maximum(z, 0), slack * (sizes[0] + abs(wide(bias)[0])), lengths[0], dtype, f"bias {label} {name}")


def test_embedding(rng, backend, dtype):
    ops = file(backend, "embedding")
    for shape, columns, vocabulary in (((7,), 5, 3), ((3, 5), 24, 100), ((2100,), 3, 9)):
        table, ids = normal(rng, (vocabulary, columns), dtype), rng.integers(0, vocabulary, shape)
        y = ops.embedding_gather(table, ids)
        assert y.dtype == floating(dtype)
        assert y.tobytes() == table[ids].tobytes()
        dy = normal(rng, (*shape, columns), dtype)
        expected, size = (
            embedding_oracle.embedding_scatter(v, ids, vocabulary) for v in (wide(dy)[0], abs(wide(dy)[0]))
        )
        close(ops.embedding_scatter(dy, ids, vocabulary), expected, size, dy.size // columns, dtype)


@pytest.mark.parametrize("size", [1, 5, 24, 1003])
def test_random(backend, dtype, size):
    ops, seed, offset = file(backend, "random"), 0x299F31D0A4093822, 2**64 - 2
    words = np.array(philox_oracle.random_bits(size, seed, offset), np.uint64)
    bits = {"float16": 11, "bfloat16": 8}[dtype]
    uniform = ops.random_uniform((size,), seed, offset, dtype)
    assert uniform.dtype == floating(dtype)
    assert wide(uniform)[0].tolist() == ((words >> np.uint64(32 - bits)) / 2.0**bits).tolist()
    # Those of float32, rounded. Sine and cosine of CPU and GPU may differ by a float32 rounding.
    other = cpu_random.random_normal((size,), seed, offset, "float32")
    close(ops.random_normal((size,), seed, offset, dtype), other, np.abs(other) + 1, dtype=dtype)


@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_dropout_keeps_the_same_elements_as_in_float32(rng, backend, dtype, rate):
    for shape in ((5,), (7, 8), (2050,)):
        x = normal(rng, shape, dtype)
        y = file(backend, "random").dropout(with_gaps(x), rate, 7, 3)
        expected = cuda_random.dropout(x.astype(np.float32), rate, 7, 3)
        assert y.dtype == floating(dtype)
        assert y.tobytes() == expected.astype(floating(dtype)).tobytes()


def test_infinity_and_nan_are_kept(backend, dtype):
    x = np.array([[np.inf, 1, np.nan, -np.inf, -0.0]], floating(dtype))
    y = file(backend, "activation").bias_activation(x, None, "linear")
    np.testing.assert_array_equal(wide(y)[0], wide(x)[0])
    largest = file(backend, "reduction").reduce_max(x, (0, 1))
    assert np.isnan(wide(largest)[0])


@pytest.mark.parametrize("source", ["float16", "bfloat16", "float32", "float64"])
def test_cast_rounds_once_to_nearest_even(rng, backend, dtype, source):
    """The nearest number is found among the two neighbours of what a cast by way of float32 gives."""
    cast, target = file(backend, "cast").cast, floating(dtype)
    ties = 1 + np.arange(64) * ROUNDOFF[dtype]  # every other one lies between two numbers
    near = ties * (1 + 2.0**-40)  # no ties, but float32 would make them so
    values = np.concatenate([ties, near, -near, rng.standard_normal(1003) * 2.0 ** rng.integers(-30, 15, 1003)])
    x = values.astype(floating(source))
    y = cast(x, dtype)
    assert y.dtype == target
    bits = x.astype(np.float32).astype(target).view(np.int16)
    around = np.stack([bits, bits - 1, bits + 1]).astype(np.int16)
    distance = np.abs(around.view(target).astype(np.float64) - wide(x)[0])
    distance[~np.isfinite(distance)] = np.inf
    is_nearest = (distance == distance.min(axis=0)) & (
        (around % 2 == 0) | (np.sum(distance == distance.min(axis=0), axis=0) == 1)
    )
    chosen = around == y.view(np.int16)
    assert (is_nearest & chosen).any(axis=0).all()


@pytest.mark.parametrize("shape", [(), (1,), (7, 5), (4, 24), (2051,)])
def test_cast_back_is_exact(rng, backend, dtype, shape):
    cast, x = file(backend, "cast").cast, normal(rng, shape, dtype)
    for target in ("float32", "float64"):
        y = cast(x, target)
        assert y.dtype == np.dtype(target)
        np.testing.assert_array_equal(y, wide(x)[0])
        assert cast(y, dtype).tobytes() == x.tobytes()
    assert cast(x, dtype).tobytes() == x.tobytes()


def test_cast_of_what_is_not_a_number_or_beyond_the_range(backend, dtype):
    x = np.array([np.inf, -np.inf, np.nan, 1e300, -1e300, -0.0])
    for source in ("float64", "float32"):
        with np.errstate(over="ignore"):
            y = wide(file(backend, "cast").cast(x.astype(source), dtype))[0]
        np.testing.assert_array_equal(y, [np.inf, -np.inf, np.nan, np.inf, -np.inf, 0.0])
        assert np.signbit(y[-1])
    with pytest.raises(TypeError, match="got int32"):
        file(backend, "cast").cast(x, "int32")


def test_every_operation_of_the_cuda_backend_serves_16_bits_or_says_why(backend, dtype):
    """The optimizers alone do not: they keep parameters and moments in float32."""
    if backend == "numpy":
        return
    for name in ("activation", "cast", "norm", "reduction", "softmax"):
        file("cuda", name)
    for op in ("bias_activation", "softmax_fprop", "layer_norm_dgrad", "reduce_sum", "cast"):
        for record in implementations(op, "cuda"):
            if not record.available()[0]:
                continue
            assert record.supports(Call(op, dtype, RowsGeometry(7, 5)))[0], op
    file("cuda", "optimizer")
    for record in implementations("sgd_update", "cuda"):
        ok, reason = record.supports(Call("sgd_update", dtype, RowsGeometry(7, 5)))
        assert not ok
        assert dtype in reason
