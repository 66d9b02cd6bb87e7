"""Counter-based random numbers, the same as on the CPU; the contract is that of ``backend/numpy/random.py``.

Bits, uniform numbers and dropout agree to the last bit, normal numbers to the rounding of sine, cosine and logarithm.
Functions without an array argument allocate in the namespace of ``array.allocating_in``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from deepcore.backend.cuda.array import c_type, contiguous, empty
from deepcore.backend.cuda.cost import (
    PACKED_THREADS,
    THREADS,
    gpu_or_emulator,
    grid_for,
    memory_cost,
    supports_floating,
)
from deepcore.backend.cuda.launcher import kernel
from deepcore.backend.cuda.sibling import numba_cost, numba_launch, numba_on_gpu, numba_supports
from deepcore.backend.dispatch import Answer, Call, choose, implementation
from deepcore.backend.dtype import accumulator, floating
from deepcore.backend.geometry import FlatGeometry

__all__ = ["dropout", "random_bits", "random_normal", "random_uniform"]

_WORD = 2**32 - 1


def random_bits(size: int, seed: int, offset: int) -> Any:
    """uint32 [size]: element i is word i % 4 of the block with counter ``offset + i // 4``; see the NumPy backend."""
    return choose("random_bits", "uint32", FlatGeometry(size), "cuda").function(size, seed, offset)


def random_uniform(shape: tuple[int, ...], seed: int, offset: int, dtype: np.dtype | str) -> Any:
    """Uniform in [0, 1); see the NumPy backend. Raises ``TypeError`` for dtypes that are not floating."""
    dtype = floating(dtype)
    run = choose("random_uniform", dtype, FlatGeometry(math.prod(shape)), "cuda").function
    return run(shape, seed, offset, dtype)


def random_normal(shape: tuple[int, ...], seed: int, offset: int, dtype: np.dtype | str) -> Any:
    """Standard normal; see the NumPy backend. Raises ``TypeError`` for dtypes that are not floating."""
    dtype = floating(dtype)
    run = choose("random_normal", dtype, FlatGeometry(math.prod(shape)), "cuda").function
    return run(shape, seed, offset, dtype)


def dropout(x: Any, rate: float, seed: int, offset: int) -> Any:
    """Zeroes elements at random and scales the others by ``1 / (1 - rate)``; see the NumPy backend.

    Raises ``ValueError`` if ``rate`` is outside of [0, 1).
    """
    if not 0 <= rate < 1:
        raise ValueError(f"dropout: rate must be in [0, 1), the fraction to drop; got {rate!r}.")
    threshold = min(round(rate * 2**32), _WORD)  # a rate within 2**-33 of one would not fit a word
    run = choose("dropout", x.dtype, FlatGeometry(x.size), "cuda").function
    return run(contiguous(x), rate, threshold, seed, offset)


def _stream(seed: int, offset: int) -> tuple[int, int, int]:
    """The two words of the key, and the counter."""
    return seed & _WORD, seed >> 32 & _WORD, offset & (2**64 - 1)


def _supports_bits(call: Call) -> Answer:
    if call.dtype == "uint32":
        return True, "uint32, any size"
    return False, f"random bits are uint32, not {call.dtype}"


@implementation(
    "random_bits",
    "cuda",
    device="cuda",
    supports=_supports_bits,
    cost=memory_cost(passes=1),
    available=gpu_or_emulator,
)
def _bits(size: int, seed: int, offset: int) -> Any:
    bits = empty((size,), np.uint32)
    # T plays no part; one build serves this kernel and the float32 ones.
    code = kernel("philox", "random_bits", T="float")
    code.launch(grid_for(size, PACKED_THREADS), THREADS, bits, *_stream(seed, offset), size)
    return bits


def _draw(name: str, shape: tuple[int, ...], seed: int, offset: int, dtype: np.dtype) -> Any:
    y = empty(shape, dtype)
    code = kernel("philox", name, T=c_type(dtype))
    code.launch(grid_for(y.size, PACKED_THREADS), THREADS, y, *_stream(seed, offset), y.size)
    return y


@implementation(
    "random_uniform",
    "cuda",
    device="cuda",
    supports=supports_floating,
    cost=memory_cost(passes=1),
    available=gpu_or_emulator,
)
def _uniform(shape: tuple[int, ...], seed: int, offset: int, dtype: np.dtype) -> Any:
    return _draw("random_uniform", shape, seed, offset, dtype)


@implementation(
    "random_normal",
    "cuda",
    device="cuda",
    supports=supports_floating,
    cost=memory_cost(passes=1),
    available=gpu_or_emulator,
)
def _normal(shape: tuple[int, ...], seed: int, offset: int, dtype: np.dtype) -> Any:
    return _draw("random_normal", shape, seed, offset, dtype)


@implementation(
    "dropout",
    "cuda",
    device="cuda",
    supports=supports_floating,
    cost=memory_cost(passes=2),
    available=gpu_or_emulator,
)
def _dropout(x: Any, rate: float, threshold: int, seed: int, offset: int) -> Any:
    y = empty(x.shape, x.dtype, x)
    code = kernel("philox", "dropout", T=c_type(x.dtype))
    scale = float(accumulator(x.dtype).type(1 / (1 - rate)))
    code.launch(grid_for(x.size, PACKED_THREADS), THREADS, x, y, threshold, scale, *_stream(seed, offset), x.size)
    return y


# Numba: the bodies of kernels/numba/philox.py, a block of four words to a thread


def _words(seed: int, offset: int) -> tuple[Any, ...]:
    low, high, counter = _stream(seed, offset)
    return np.uint32(low), np.uint32(high), np.uint64(counter)


@implementation(
    "random_bits",
    "cuda-numba",
    device="cuda",
    supports=_supports_bits,
    cost=numba_cost(memory_cost(passes=1)),
    available=numba_on_gpu,
)
def _bits_numba(size: int, seed: int, offset: int) -> Any:
    bits = empty((-(-size // 4), 4), np.uint32)
    numba_launch("philox", "write_bits", len(bits), bits, *_words(seed, offset))
    return bits.reshape(-1)[:size]


@implementation(
    "random_uniform",
    "cuda-numba",
    device="cuda",
    supports=numba_supports,
    cost=numba_cost(memory_cost(passes=1)),
    available=numba_on_gpu,
)
def _uniform_numba(shape: tuple[int, ...], seed: int, offset: int, dtype: np.dtype) -> Any:
    size, numbers = math.prod(shape), 16 // dtype.itemsize  # in a block
    y = empty((-(-size // numbers), numbers), dtype)
    thread = "write_uniform" if dtype == np.float32 else "write_double_uniform"
    numba_launch("philox", thread, len(y), y, *_words(seed, offset))
    return y.reshape(-1)[:size].reshape(shape)


@implementation(
    "dropout",
    "cuda-numba",
    device="cuda",
    supports=numba_supports,
    cost=numba_cost(memory_cost(passes=2)),
    available=numba_on_gpu,
)
def _dropout_numba(x: Any, rate: float, threshold: int, seed: int, offset: int) -> Any:
    y = empty(x.shape, x.dtype, x)
    numbers = np.uint32(threshold), x.dtype.type(1 / (1 - rate)), *_words(seed, offset)
    numba_launch("philox", "dropout_block", -(-x.size // 4), x.reshape(-1), y.reshape(-1), *numbers)
    return y
