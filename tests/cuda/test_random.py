import types

import numpy as np
import oracles.philox as oracle
import pytest
from matrix import DTYPES, every_implementation, held_to, with_gaps

from deepcore.backend.cuda import array, random
from deepcore.backend.cuda.array import allocating_in
from deepcore.backend.dispatch import use_implementation
from deepcore.backend.numpy import random as cpu

BITS = every_implementation("random", "random_bits", backend="cuda")
UNIFORM = every_implementation("random", "random_uniform", backend="cuda")
NORMAL = every_implementation("random", "random_normal", backend="cuda")
DROPOUT = every_implementation("random", "dropout", backend="cuda")
STREAMS = ((0, 0), (2**64 - 1, 2**32 - 2), (0x299F31D0A4093822, 2**64 - 2))


@pytest.mark.parametrize(("op", "name"), BITS)
def test_bits(op, name):
    with held_to(op, name):
        for size in (1, 3, 4, 5, 127, 1030):
            for seed, offset in STREAMS:
                bits = random.random_bits(size, seed, offset)
                assert bits.dtype == np.uint32
                assert bits.tolist() == oracle.random_bits(size, seed, offset)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "name"), UNIFORM)
def test_uniform_is_bit_identical_to_the_cpu(op, name, dtype):
    with held_to(op, name):
        for shape in ((), (1,), (7, 3), (2053,)):
            for seed, offset in STREAMS:
                actual = random.random_uniform(shape, seed, offset, dtype)
                with use_implementation(op, "numpy"):
                    expected = cpu.random_uniform(shape, seed, offset, dtype)
                assert actual.dtype == dtype
                assert actual.shape == shape
                assert actual.tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "name"), NORMAL)
def test_normal(op, name, dtype):
    words = np.array(oracle.random_bits(4000, 5, 9))
    if dtype == "float32":
        u = (words[:2000].astype(dtype).astype(np.float64) + 0.5) / 2**32
    else:
        u = ((words[::2] >> 5) * 2.0**26 + (words[1::2] >> 6) + 0.5) / 2**53
    radius, angle = np.sqrt(-2 * np.log(u[::2])), 2 * np.pi * u[1::2]
    expected = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)
    eps = np.finfo(dtype).eps
    with held_to(op, name):
        for size in (1, 2, 3, 1999):
            actual = random.random_normal((size,), 5, 9, dtype)
            assert actual.dtype == dtype
            # A number near 1 loses half of eps to rounding, which the logarithm next to its zero shows in full.
            np.testing.assert_allclose(actual, expected[:size], rtol=64 * eps, atol=16 * eps)
        many = random.random_normal((100_001,), 3, 0, dtype).astype(np.float64)
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((many**power).mean() - moment) < 5 * (variance / many.size) ** 0.5


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.999])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "name"), DROPOUT)
def test_dropout_is_bit_identical_to_the_cpu(rng, op, name, dtype, rate):
    with held_to(op, name):
        for shape in ((1,), (5,), (7, 3), (2, 3, 5, 7), (2050,)):
            x = rng.standard_normal(shape).astype(dtype)
            x.reshape(-1)[::7] = np.nan
            for seed, offset in STREAMS:
                bits = np.array(oracle.random_bits(x.size, seed, offset)).reshape(shape)
                expected = np.where(bits >= round(rate * 2**32), x * x.dtype.type(1 / (1 - rate)), 0)
                y = random.dropout(with_gaps(x), rate, seed, offset)
                assert y.dtype == dtype
                assert y.flags.c_contiguous
                assert np.array_equal(y, expected, equal_nan=True)
                with use_implementation(op, "numpy"):
                    assert y.tobytes() == cpu.dropout(x, rate, seed, offset).tobytes()


def test_watched(rng, watched):
    x = rng.standard_normal(2051).astype(np.float32)
    for given in (x, x[1:]):  # the second is not aligned
        assert np.array_equal(random.dropout(given, 0.5, 7, 3), cpu.dropout(given, 0.5, 7, 3))
    assert np.array_equal(random.random_bits(1027, 7, 3), cpu.random_bits(1027, 7, 3))
    for dtype in DTYPES:
        for size in (1027, 1028):
            assert np.array_equal(*(where.random_uniform((size,), 7, 3, dtype) for where in (random, cpu)))
            assert np.isfinite(random.random_normal((size,), 7, 3, dtype)).all()


def test_arrays_come_from_the_gpu_that_the_context_names(monkeypatch):
    made = []

    def empty_on_gpu(shape, dtype, index):
        made.append(index)
        return np.empty(shape, dtype)

    monkeypatch.setattr(array, "_empty_on_gpu", empty_on_gpu)
    with allocating_in(types.SimpleNamespace(index=3)):
        bits = random.random_bits(9, 1, 2)
    assert made == [3]
    assert bits.tolist() == oracle.random_bits(9, 1, 2)


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_a_rate_out_of_range_is_named(rate):
    with pytest.raises(ValueError, match=r"rate must be in \[0, 1\), the fraction to drop; got"):
        random.dropout(np.ones(3, np.float32), rate, 0, 0)


@pytest.mark.parametrize("draw", [random.random_uniform, random.random_normal])
def test_only_floating_dtypes(draw):
    with pytest.raises(TypeError, match="float32, float64; got int32"):
        draw((3,), 0, 0, "int32")
