"""Philox 4x32-10 (Salmon et al. 2011): a block of four words from its counter and key, and what is made of them."""

from __future__ import annotations

import numpy as np

from deepcore.kernels.numba.jit import inline, parallel, prange

MULTIPLIER_0, MULTIPLIER_1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
WEYL_0, WEYL_1 = np.uint32(0x9E3779B9), np.uint32(0xBB67AE85)


@inline
def philox(counter, key_0, key_1):
    """The words of the block whose 128-bit counter has ``counter`` as its low 64 bits and zeros above."""
    c0 = np.uint32(counter)
    c1 = np.uint32(counter >> np.uint64(32))
    c2 = np.uint32(0)
    c3 = np.uint32(0)
    k0 = key_0
    k1 = key_1
    for _ in range(10):
        product_0 = np.uint64(c0) * MULTIPLIER_0
        product_1 = np.uint64(c2) * MULTIPLIER_1
        c0 = np.uint32(product_1 >> np.uint64(32)) ^ c1 ^ k0
        c2 = np.uint32(product_0 >> np.uint64(32)) ^ c3 ^ k1
        c1 = np.uint32(product_1)
        c3 = np.uint32(product_0)
        k0 = np.uint32(k0 + WEYL_0)
        k1 = np.uint32(k1 + WEYL_1)
    return c0, c1, c2, c3


@inline
def write_bits(bits, block, key_0, key_1, offset):
    words = philox(offset + np.uint64(block), key_0, key_1)
    bits[block, 0] = words[0]
    bits[block, 1] = words[1]
    bits[block, 2] = words[2]
    bits[block, 3] = words[3]


@parallel
def random_bits(bits, key_0, key_1, offset):
    """bits [blocks, 4] of uint32: row i is the block of counter ``offset + i``."""
    for block in prange(bits.shape[0]):
        write_bits(bits, block, key_0, key_1, offset)


@inline
def keep(x, word, threshold, scale):
    return x * scale if word >= threshold else type(scale)(0)


@inline
def dropout_block(x, y, block, threshold, scale, key_0, key_1, offset):
    words = philox(offset + np.uint64(block), key_0, key_1)
    first = 4 * block
    y[first] = keep(x[first], words[0], threshold, scale)
    if first + 1 < x.shape[0]:
        y[first + 1] = keep(x[first + 1], words[1], threshold, scale)
    if first + 2 < x.shape[0]:
        y[first + 2] = keep(x[first + 2], words[2], threshold, scale)
    if first + 3 < x.shape[0]:
        y[first + 3] = keep(x[first + 3], words[3], threshold, scale)


@inline
def dropout_whole_block(x, y, block, threshold, scale, key_0, key_1, offset):
    words = philox(offset + np.uint64(block), key_0, key_1)
    y[block, 0] = keep(x[block, 0], words[0], threshold, scale)
    y[block, 1] = keep(x[block, 1], words[1], threshold, scale)
    y[block, 2] = keep(x[block, 2], words[2], threshold, scale)
    y[block, 3] = keep(x[block, 3], words[3], threshold, scale)


@parallel
def dropout(x, y, threshold, scale, key_0, key_1, offset):
    """y[i] = x[i] * scale where word i of the stream is at least ``threshold``, else 0; x, y [size]."""
    whole = x.shape[0] // 4
    x_blocks = x[: 4 * whole].reshape(whole, 4)
    y_blocks = y[: 4 * whole].reshape(whole, 4)
    for block in prange(whole):
        dropout_whole_block(x_blocks, y_blocks, block, threshold, scale, key_0, key_1, offset)
    if 4 * whole < x.shape[0]:
        dropout_block(x, y, whole, threshold, scale, key_0, key_1, offset)
