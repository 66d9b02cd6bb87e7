"""Counter-based random numbers: Philox 4x32-10 (Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3").

A stream is a 64-bit seed, which is the key; a place in it is an offset, which is the 128-bit counter of the next
block of four 32-bit words. The same seed and offset give the same words on every device and for every number of
threads.
"""

from __future__ import annotations

import math

import numpy as np

from deepcore.backend.dispatch import Call, choose, implementation
from deepcore.backend.dtype import floating, is_half
from deepcore.backend.geometry import FlatGeometry
from deepcore.backend.numpy.cost import NUMPY_CALL, loop_cost
from deepcore.backend.numpy.half import computed_in_float32
from deepcore.backend.numpy.loops import loop, numba_available, numba_supports
from deepcore.backend.numpy.memory import empty
from deepcore.backend.numpy.rows import contiguous

__all__ = ["dropout", "random_bits", "random_normal", "random_uniform"]

ROUNDS = 10
MULTIPLIER_0, MULTIPLIER_1 = 0xD2511F53, 0xCD9E8D57
WEYL_0, WEYL_1 = 0x9E3779B9, 0xBB67AE85  # added to the key between rounds
_WORD = 0xFFFFFFFF
_TOP_BITS = {"bfloat16": 8, "float16": 11, "float32": 24}  # of a word, for a uniform number
_WORK = 8  # elements that a loop could have moved instead of making one number
_BLOCKS_AT_ONCE = 4096  # four arrays of 32 KiB stay in cache over the rounds


def random_bits(size: int, seed: int, offset: int) -> np.ndarray:
    """uint32 [size]: element i is word i % 4 of the block with counter ``offset + i // 4`` (modulo 2**64)."""
    return choose("random_bits", "uint32", FlatGeometry(size)).function(size, seed, offset)


def random_uniform(shape: tuple[int, ...], seed: int, offset: int, dtype: np.dtype | str) -> np.ndarray:
    """Uniform in [0, 1): from as many top bits of a word as the dtype holds, 24 for float32, 11 for float16, 8 for
    bfloat16; float64 from 27 + 26 bits of two words.

    Raises ``TypeError`` for a dtype that is not floating.
    """
    dtype = floating(dtype)
    record = choose("random_uniform", dtype, FlatGeometry(math.prod(shape)))
    return record.function(shape, seed, offset, dtype)


def random_normal(shape: tuple[int, ...], seed: int, offset: int, dtype: np.dtype | str) -> np.ndarray:
    """Standard normal by Box and Muller 1958: the elements 2j and 2j + 1 are the cosine and sine of one pair.

    float16 and bfloat16 are the rounded numbers of float32. Raises ``TypeError`` for a dtype that is not floating.
    """
    dtype = floating(dtype)
    record = choose("random_normal", dtype, FlatGeometry(math.prod(shape)))
    return record.function(shape, seed, offset, dtype)


@computed_in_float32()
def dropout(x: np.ndarray, rate: float, seed: int, offset: int) -> np.ndarray:
    """Zeroes elements at random and scales the others by ``1 / (1 - rate)`` (Srivastava et al. 2014).

    Element i (in C order) is kept if ``random_bits(...)[i] >= round(rate * 2**32)``. Linear in ``x``: with the same
    seed and offset it is its own gradient.

    Args:
        x: any shape, floating; the same elements are kept whatever its dtype.
        rate: fraction to drop, in [0, 1).
        seed, offset: of the stream.

    Raises:
        ValueError: ``rate`` is outside of [0, 1).
    """
    if not 0 <= rate < 1:
        raise ValueError(f"dropout: rate must be in [0, 1), the fraction to drop; got {rate!r}.")
    threshold = min(round(rate * 2**32), _WORD)  # a rate within 2**-33 of one would not fit a word
    return choose("dropout", x.dtype, FlatGeometry(x.size)).function(x, rate, threshold, seed, offset)


def _key(seed: int) -> tuple[int, int]:
    return seed & _WORD, seed >> 32 & _WORD


def philox(
    counter: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray], key: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The four words of every block. Words are held in uint64 arrays, so that a product of two is exact.

    >>> zero = np.zeros(1, np.uint64)
    >>> [hex(word[0]) for word in philox((zero, zero, zero, zero), (0, 0))]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    word, shift = np.uint64(_WORD), np.uint64(32)
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        product_0, product_1 = c0 * np.uint64(MULTIPLIER_0), c2 * np.uint64(MULTIPLIER_1)
        c0 = (product_1 >> shift) ^ c1 ^ np.uint64(k0)
        c2 = (product_0 >> shift) ^ c3 ^ np.uint64(k1)
        c1, c3 = product_1 & word, product_0 & word
        k0, k1 = (k0 + WEYL_0) & _WORD, (k1 + WEYL_1) & _WORD
    return c0, c1, c2, c3


def _numpy_cost(call: Call) -> float:
    return 120 * NUMPY_CALL + 15e-9 * call.geometry.size  # some 100 operations on quarter-length uint64 arrays


def _loop_cost(call: Call) -> float:
    return loop_cost(call, passes=2) + 1.5e-9 * call.geometry.size


@implementation("random_bits", "numpy", cost=_numpy_cost)
def _bits_numpy(size: int, seed: int, offset: int) -> np.ndarray:
    count = -(-size // 4)
    bits = np.empty((count, 4), np.uint32)
    zero = np.zeros(1, np.uint64)
    for start in range(0, count, _BLOCKS_AT_ONCE):
        stop = min(start + _BLOCKS_AT_ONCE, count)
        counter = np.arange(start, stop, dtype=np.uint64)
        counter += np.uint64(offset & (2**64 - 1))
        words = philox((counter & np.uint64(_WORD), counter >> np.uint64(32), zero, zero), _key(seed))
        for column, word in enumerate(words):
            bits[start:stop, column] = word
    return bits.reshape(-1)[:size]


@implementation("random_bits", "numba", cost=_loop_cost, available=numba_available)
def _bits_numba(size: int, seed: int, offset: int) -> np.ndarray:
    bits = np.empty(size, np.uint32)
    loop("philox", "random_bits", _WORK * size)(bits, *_uint32s(*_key(seed)), np.uint64(offset & (2**64 - 1)))
    return bits


def _uint32s(*words: int) -> tuple[np.uint32, ...]:
    return tuple(map(np.uint32, words))


def _twice_the_bits(call: Call) -> float:
    return 2 * _loop_cost(call)


@implementation("random_uniform", "numpy", cost=_twice_the_bits)
def _uniform_numpy(shape: tuple[int, ...], seed: int, offset: int, dtype: np.dtype) -> np.ndarray:
    size = math.prod(shape)
    if dtype.name in _TOP_BITS:
        count = _TOP_BITS[dtype.name]
        bits = random_bits(size, seed, offset)
        bits >>= np.uint32(32 - count)
        return (bits.astype(np.float32) * np.float32(2.0**-count)).astype(dtype, copy=False).reshape(shape)
    return (_53_bits(size, seed, offset) * 2.0**-53).reshape(shape)


@implementation("random_uniform", "numba", supports=numba_supports, cost=_loop_cost, available=numba_available)
def _uniform_numba(shape: tuple[int, ...], seed: int, offset: int, dtype: np.dtype) -> np.ndarray:
    y = np.empty(shape, dtype)
    fill = loop("philox", "uniform" if dtype == np.float32 else "double_uniform", _WORK * y.size)
    fill(y.reshape(-1), *_uint32s(*_key(seed)), np.uint64(offset & (2**64 - 1)))
    return y


def _53_bits(size: int, seed: int, offset: int) -> np.ndarray:
    """float64 [size], whole numbers below 2**53: 27 bits of an even word above 26 bits of the next."""
    words = random_bits(2 * size, seed, offset).reshape(-1, 2)
    whole = (words[:, 0] >> np.uint32(5)).astype(np.float64)
    whole *= 2.0**26
    whole += words[:, 1] >> np.uint32(6)
    return whole


@implementation("random_normal", "numpy", cost=lambda call: 4 * _loop_cost(call))
def _normal_numpy(shape: tuple[int, ...], seed: int, offset: int, dtype: np.dtype) -> np.ndarray:
    if is_half(dtype):
        return _normal_numpy(shape, seed, offset, np.dtype(np.float32)).astype(dtype)
    size = math.prod(shape)
    even = size + size % 2
    if dtype == np.float32:
        pairs = random_bits(even, seed, offset).astype(dtype).reshape(-1, 2)
        pairs += dtype.type(0.5)
        pairs *= dtype.type(2**-32)
    else:
        pairs = _53_bits(even, seed, offset).reshape(-1, 2)
        pairs += 0.5
        pairs *= 2.0**-53
    radius = np.sqrt(dtype.type(-2) * np.log(pairs[:, 0]))  # pairs are above zero
    angle = pairs[:, 1] * dtype.type(2 * math.pi)
    np.multiply(radius, np.cos(angle), out=pairs[:, 0])
    np.multiply(radius, np.sin(angle), out=pairs[:, 1])
    return contiguous(pairs.reshape(-1)[:size].reshape(shape))


@implementation("dropout", "numpy", cost=lambda call: _numpy_cost(call) + 4e-9 * call.geometry.size)
def _dropout_numpy(x: np.ndarray, rate: float, threshold: int, seed: int, offset: int) -> np.ndarray:
    y = np.array(x, order="C")
    flat, scale, step = y.reshape(-1), x.dtype.type(1 / (1 - rate)), 4 * _BLOCKS_AT_ONCE
    for start in range(0, y.size, step):
        part = flat[start : start + step]
        kept = _bits_numpy(part.size, seed, offset + start // 4) >= np.uint32(threshold)
        part *= scale
        part[~kept] = 0
    return y


@implementation("dropout", "numba", cost=_loop_cost, available=numba_available)
def _dropout_numba(x: np.ndarray, rate: float, threshold: int, seed: int, offset: int) -> np.ndarray:
    y = empty(x.shape, x.dtype)
    loop("philox", "dropout", _WORK * x.size)(
        contiguous(x).reshape(-1),
        y.reshape(-1),
        np.uint32(threshold),
        x.dtype.type(1 / (1 - rate)),
        *_uint32s(*_key(seed)),
        np.uint64(offset & (2**64 - 1)),
    )
    return y
