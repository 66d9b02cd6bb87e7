"""Philox 4x32-10 (Salmon et al. 2011): a block of four words from its counter and key, and what is made of them.

A block is the unit of a core's loop and of a GPU's thread, so the bodies serve both as they are.
"""

from __future__ import annotations

import numpy as np

from deepcore.kernels.numba.jit import inline, parallel, prange

MULTIPLIER_0, MULTIPLIER_1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
WEYL_0, WEYL_1 = np.uint32(0x9E3779B9), np.uint32(0xBB67AE85)
TWO_WEYL_0, TWO_WEYL_1 = np.uint32(2 * 0x9E3779B9 & 0xFFFFFFFF), np.uint32(2 * 0xBB67AE85 & 0xFFFFFFFF)


@inline
def two_rounds(c0, c1, c2, c3, k0, k1):
    product_0 = np.uint64(c0) * MULTIPLIER_0
    product_1 = np.uint64(c2) * MULTIPLIER_1
    d0 = np.uint32(product_1 >> np.uint64(32)) ^ c1 ^ k0
    d2 = np.uint32(product_0 >> np.uint64(32)) ^ c3 ^ k1
    next_0 = np.uint64(d0) * MULTIPLIER_0
    next_1 = np.uint64(d2) * MULTIPLIER_1
    return (
        np.uint32(next_1 >> np.uint64(32)) ^ np.uint32(product_1) ^ np.uint32(k0 + WEYL_0),
        np.uint32(next_1),
        np.uint32(next_0 >> np.uint64(32)) ^ np.uint32(product_0) ^ np.uint32(k1 + WEYL_1),
        np.uint32(next_0),
    )


@inline
def philox(counter, key_0, key_1):
    """The words of the block whose 128-bit counter has ``counter`` as its low 64 bits and zeros above."""
    # Ten rounds written out: as a loop they would stay one, at twice the time.
    zero = np.uint32(0)
    words = two_rounds(np.uint32(counter), np.uint32(counter >> np.uint64(32)), zero, zero, key_0, key_1)
    k0, k1 = np.uint32(key_0 + TWO_WEYL_0), np.uint32(key_1 + TWO_WEYL_1)
    words = two_rounds(words[0], words[1], words[2], words[3], k0, k1)
    k0, k1 = np.uint32(k0 + TWO_WEYL_0), np.uint32(k1 + TWO_WEYL_1)
    words = two_rounds(words[0], words[1], words[2], words[3], k0, k1)
    k0, k1 = np.uint32(k0 + TWO_WEYL_0), np.uint32(k1 + TWO_WEYL_1)
    words = two_rounds(words[0], words[1], words[2], words[3], k0, k1)
    k0, k1 = np.uint32(k0 + TWO_WEYL_0), np.uint32(k1 + TWO_WEYL_1)
    return two_rounds(words[0], words[1], words[2], words[3], k0, k1)


@inline
def write_bits(block, bits, key_0, key_1, offset):
    words = philox(offset + np.uint64(block), key_0, key_1)
    bits[block, 0] = words[0]
    bits[block, 1] = words[1]
    bits[block, 2] = words[2]
    bits[block, 3] = words[3]


@parallel
def random_bits(bits, key_0, key_1, offset):
    """bits [blocks, 4] of uint32: row i is the block of counter ``offset + i``."""
    for block in prange(bits.shape[0]):
        write_bits(block, bits, key_0, key_1, offset)


@inline
def write_uniform(block, y, key_0, key_1, offset):
    scale = np.float32(2**-24)
    words = philox(offset + np.uint64(block), key_0, key_1)
    y[block, 0] = np.float32(words[0] >> np.uint32(8)) * scale
    y[block, 1] = np.float32(words[1] >> np.uint32(8)) * scale
    y[block, 2] = np.float32(words[2] >> np.uint32(8)) * scale
    y[block, 3] = np.float32(words[3] >> np.uint32(8)) * scale


@parallel
def uniform(y, key_0, key_1, offset):
    """y [blocks, 4] of float32, in [0, 1), from the top 24 bits of a word each."""
    for block in prange(y.shape[0]):
        write_uniform(block, y, key_0, key_1, offset)


@inline
def write_double_uniform(block, y, key_0, key_1, offset):
    high, scale = np.float64(2**26), np.float64(2**-53)
    words = philox(offset + np.uint64(block), key_0, key_1)
    y[block, 0] = (np.float64(words[0] >> np.uint32(5)) * high + np.float64(words[1] >> np.uint32(6))) * scale
    y[block, 1] = (np.float64(words[2] >> np.uint32(5)) * high + np.float64(words[3] >> np.uint32(6))) * scale


@parallel
def double_uniform(y, key_0, key_1, offset):
    """y [blocks, 2] of float64, in [0, 1), from 27 + 26 bits of two words each."""
    for block in prange(y.shape[0]):
        write_double_uniform(block, y, key_0, key_1, offset)


@inline
def keep(product, word, threshold):
    # Takes the product, not its factors: computed first, it leaves a select here and not a branch to mispredict.
    return product if word >= threshold else type(product)(0)


@inline
def dropout_block(block, x, y, threshold, scale, key_0, key_1, offset):
    words = philox(offset + np.uint64(block), key_0, key_1)
    first = 4 * block
    y[first] = keep(x[first] * scale, words[0], threshold)
    if first + 1 < x.shape[0]:
        y[first + 1] = keep(x[first + 1] * scale, words[1], threshold)
    if first + 2 < x.shape[0]:
        y[first + 2] = keep(x[first + 2] * scale, words[2], threshold)
    if first + 3 < x.shape[0]:
        y[first + 3] = keep(x[first + 3] * scale, words[3], threshold)


@inline
def dropout_whole_block(x, y, block, threshold, scale, key_0, key_1, offset):
    words = philox(offset + np.uint64(block), key_0, key_1)
    y[block, 0] = keep(x[block, 0] * scale, words[0], threshold)
    y[block, 1] = keep(x[block, 1] * scale, words[1], threshold)
    y[block, 2] = keep(x[block, 2] * scale, words[2], threshold)
    y[block, 3] = keep(x[block, 3] * scale, words[3], threshold)


@parallel
def dropout(x, y, threshold, scale, key_0, key_1, offset):
    """y[i] = x[i] * scale where word i of the stream is at least ``threshold``, else 0; x, y [size]."""
    whole = x.shape[0] // 4
    x_blocks = x[: 4 * whole].reshape(whole, 4)
    y_blocks = y[: 4 * whole].reshape(whole, 4)
    for block in prange(whole):
        dropout_whole_block(x_blocks, y_blocks, block, threshold, scale, key_0, key_1, offset)
    if 4 * whole < x.shape[0]:
        dropout_block(whole, x, y, threshold, scale, key_0, key_1, offset)
