import numpy as np
import oracles.philox as oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix import DTYPES, available, every_implementation, held_to, poisoned, with_gaps  # noqa: F401

from deepcore.backend import numpy_backend
from deepcore.backend.contract import blocks_used
from deepcore.backend.dispatch import use_implementation
from deepcore.backend.numpy.loops import numba_available
from deepcore.backend.numpy.random import philox, random_bits

BITS = every_implementation("random", "random_bits")
UNIFORM = every_implementation("random", "random_uniform")
NORMAL = every_implementation("random", "random_normal")
DROPOUT = every_implementation("random", "dropout")
ONES = 2**32 - 1
PI = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)

# The vectors that Random123 publishes for philox4x32-10: counter, key, words.
KNOWN_ANSWERS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (PI, (0xA4093822, 0x299F31D0), (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
]


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN_ANSWERS)
def test_known_answers(counter, key, words):
    assert tuple(oracle.philox(counter, key)) == words
    arrays = philox(tuple(np.array([c], np.uint64) for c in counter), key)
    assert tuple(int(word[0]) for word in arrays) == words


@pytest.mark.parametrize(("op", "name"), BITS)
def test_bits(backend, poisoned, op, name):  # noqa: F811
    with held_to(op, name):
        for size in (1, 3, 4, 5, 127, 20_011):
            for seed, offset in ((0, 0), (2**64 - 1, 2**32 - 2), (0x299F31D0A4093822, 2**64 - 2)):
                bits = backend.random_bits(size, seed, offset)
                assert bits.dtype == np.uint32
                assert bits[:130].tolist() == oracle.random_bits(min(size, 130), seed, offset)
                last = (size - 1) // 4
                assert bits[4 * last :].tolist() == oracle.random_bits(size - 4 * last, seed, offset + last)


@settings(max_examples=25, deadline=None)
@given(
    first=st.integers(1, 50),
    second=st.integers(1, 50),
    seed=st.integers(0, 2**64 - 1),
    offset=st.integers(0, 2**64 - 1),
)
def test_two_calls_give_what_one_gives(first, second, seed, offset):
    for op, name in available(BITS):
        with held_to(op, name):
            whole = random_bits(4 * first + second, seed, offset)
            parts = random_bits(4 * first, seed, offset), random_bits(second, seed, offset + first)
        assert np.array_equal(whole, np.concatenate(parts))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("draw", ["random_uniform", "random_normal"])
def test_blocks_used_tells_where_the_next_call_begins(backend, draw, dtype):
    function = getattr(backend, draw)
    whole = function((24,), 7, 100, dtype)
    used = blocks_used(8, dtype)
    assert np.array_equal(whole[8:], function((16,), 7, 100 + used, dtype))
    assert used == {"float32": 2, "float64": 4}[dtype]


@pytest.mark.parametrize(("op", "name"), UNIFORM)
def test_uniform(backend, op, name):
    words = oracle.random_bits(14, 5, 9)
    with held_to(op, name):
        single = backend.random_uniform((7, 2), 5, 9, "float32")
        double = backend.random_uniform((7,), 5, 9, np.float64)
        many = backend.random_uniform((200_000,), 1, 0, "float32")
    assert single.dtype == np.float32
    assert single.shape == (7, 2)
    assert single.ravel().tolist() == [(word >> 8) / 2**24 for word in words]
    assert double.dtype == np.float64
    pairs = zip(words[::2], words[1::2], strict=True)
    assert double.tolist() == [((high >> 5) * 2**26 + (low >> 6)) / 2**53 for high, low in pairs]
    assert many.min() >= 0
    assert many.max() < 1
    assert abs(many.mean(dtype=np.float64) - 0.5) < 5 * (1 / 12 / many.size) ** 0.5
    assert np.all(np.abs(np.histogram(many, 10, (0, 1))[0] / many.size - 0.1) < 5 * (0.09 / many.size) ** 0.5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "name"), NORMAL)
def test_normal(backend, op, name, dtype):
    with held_to(op, name):
        few = backend.random_normal((3, 3), 5, 9, dtype)
        many = backend.random_normal((200_001,), 3, 0, dtype).astype(np.float64)
    if dtype == "float32":
        u = (np.array(oracle.random_bits(10, 5, 9)) + 0.5) / 2**32
    else:
        words = np.array(oracle.random_bits(20, 5, 9))
        u = ((words[::2] >> 5) * 2.0**26 + (words[1::2] >> 6) + 0.5) / 2**53
    radius, angle = np.sqrt(-2 * np.log(u[::2])), 2 * np.pi * u[1::2]
    expected = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).ravel()[:9].reshape(3, 3)
    assert few.dtype == dtype
    assert few.flags.c_contiguous
    np.testing.assert_allclose(few, expected, rtol=64 * np.finfo(dtype).eps, atol=16 * np.finfo(dtype).eps)
    n = many.size
    assert np.isfinite(many).all()
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((many**power).mean() - moment) < 5 * (variance / n) ** 0.5


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.5, 0.999])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "name"), DROPOUT)
def test_dropout(backend, rng, poisoned, op, name, dtype, rate):  # noqa: F811
    with held_to(op, name):
        for shape in ((1,), (5,), (7, 3), (2, 3, 5, 7)):
            x = rng.standard_normal(shape).astype(dtype)
            bits = np.array(oracle.random_bits(x.size, 11, 2**32 - 3)).reshape(shape)
            expected = np.where(bits >= round(rate * 2**32), x * x.dtype.type(1 / (1 - rate)), 0)
            for given_x in (x, with_gaps(x)):
                y = backend.dropout(given_x, rate, 11, 2**32 - 3)
                assert y.dtype == dtype
                assert y.flags.c_contiguous
                assert np.array_equal(y, expected)


@pytest.mark.parametrize(("op", "name"), DROPOUT)
def test_dropout_keeps_its_fraction(backend, op, name):
    x = np.ones(300_001, np.float32)
    with held_to(op, name):
        for rate in (0.1, 0.5, 0.9):
            kept = np.count_nonzero(backend.dropout(x, rate, 1, 0))
            assert abs(kept - x.size * (1 - rate)) < 5 * (x.size * rate * (1 - rate)) ** 0.5


@pytest.mark.parametrize("dtype", DTYPES)
def test_dropout_is_bit_identical_in_every_implementation(backend, rng, dtype):
    x = rng.standard_normal(70_001).astype(dtype)
    x[::7] = np.nan
    results = []
    for op, name in available(DROPOUT):
        with held_to(op, name):
            results.append(backend.dropout(x, 0.4, 2**63 + 1, 2**64 - 5))
    assert all(np.array_equal(results[0], result, equal_nan=True) for result in results)
    kept = np.array(oracle.random_bits(70, 2**63 + 1, 2**64 - 5)) >= round(0.4 * 2**32)
    assert np.array_equal(np.isnan(results[0][:70]), kept & np.isnan(x[:70]))


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_a_rate_out_of_range_is_named(backend, rate):
    with pytest.raises(ValueError, match=r"rate must be in \[0, 1\), the fraction to drop; got"):
        backend.dropout(np.ones(3, np.float32), rate, 0, 0)


@pytest.mark.parametrize("draw", ["random_uniform", "random_normal"])
def test_only_floating_dtypes(backend, draw):
    with pytest.raises(TypeError, match="float32, float64; got int32"):
        getattr(backend, draw)((3,), 0, 0, "int32")


@pytest.mark.skipif(not numba_available()[0], reason="loops are not compiled here")
@pytest.mark.parametrize("offset", [0, 2**32 - 3, 2**64 - 2])
@pytest.mark.parametrize("size", [1, 63, 64, 65, 1023, 1024, 1025, 4097])
def test_numbers_made_in_vectors_are_the_same_bits(size, offset):
    seed, backend = 0x8234_5678_9ABC_DEF0, numpy_backend()
    x = np.arange(1, size + 1, dtype="float32")
    calls = {
        "random_bits": lambda: backend.random_bits(size, seed, offset),
        "random_uniform": lambda: backend.random_uniform((size,), seed, offset, "float32"),
        "dropout": lambda: backend.dropout(x, 0.4, seed, offset),
    }
    for op, call in calls.items():
        results = []
        for name in ("numpy", "numba"):
            with use_implementation(op, name):
                results.append(call())
        np.testing.assert_array_equal(*results, err_msg=op)
    doubles = []
    for name in ("numpy", "numba"):
        with use_implementation("random_uniform", name):
            doubles.append(backend.random_uniform((size,), seed, offset, "float64"))
    np.testing.assert_array_equal(*doubles)
