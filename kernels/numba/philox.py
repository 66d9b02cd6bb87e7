"""Philox 4x32-10 (Salmon et al. 2011): a block of four words from its counter and key, and what is made of them.

A GPU's thread takes a block. A core takes sixteen at once, a vector for each of the four words: the compiler does not
find that by itself, so it is written in the compiler's own language.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from deepcore.kernels.numba.jit import inline, parallel, part_of

MULTIPLIER_0, MULTIPLIER_1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
WEYL_0, WEYL_1 = np.uint32(0x9E3779B9), np.uint32(0xBB67AE85)
ROUNDS = 10
BLOCKS = 16  # in a vector
CHUNK = 1024  # words made at a time: they and what they are for stay in the first-level cache
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


@inline
def write_uniform(block, y, key_0, key_1, offset):
    scale = np.float32(2**-24)
    words = philox(offset + np.uint64(block), key_0, key_1)
    y[block, 0] = np.float32(words[0] >> np.uint32(8)) * scale
    y[block, 1] = np.float32(words[1] >> np.uint32(8)) * scale
    y[block, 2] = np.float32(words[2] >> np.uint32(8)) * scale
    y[block, 3] = np.float32(words[3] >> np.uint32(8)) * scale


@inline
def write_double_uniform(block, y, key_0, key_1, offset):
    high, scale = np.float64(2**26), np.float64(2**-53)
    words = philox(offset + np.uint64(block), key_0, key_1)
    y[block, 0] = (np.float64(words[0] >> np.uint32(5)) * high + np.float64(words[1] >> np.uint32(6))) * scale
    y[block, 1] = (np.float64(words[2] >> np.uint32(5)) * high + np.float64(words[3] >> np.uint32(6))) * scale


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


# For the CPU


@intrinsic
def sixteen_blocks(typing, words, first, counter, key_0, key_1):  # type: ignore[no-untyped-def]
    """Writes the words of the blocks ``counter`` to ``counter + 15`` to words[first : first + 64]."""
    signature = types.void(words, types.intp, types.uint64, types.uint32, types.uint32)

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        b = builder
        narrow, wide = ir.VectorType(ir.IntType(32), BLOCKS), ir.VectorType(ir.IntType(64), BLOCKS)

        def spread(scalar: Any) -> Any:
            undefined = ir.Constant(wide, ir.Undefined)
            scalar = scalar if scalar.type.width == 64 else b.zext(scalar, ir.IntType(64))
            only = b.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
            return b.shuffle_vector(only, undefined, ir.Constant(narrow, [0] * BLOCKS))

        def constant(value: Any) -> Any:
            return ir.Constant(wide, [int(value)] * BLOCKS)

        def low(vector: Any) -> Any:
            return b.and_(vector, constant(0xFFFFFFFF))

        # Words stay in lanes of 64 bits over all rounds: a product there is one instruction that reads the lower half.
        array, first, counter, key_0, key_1 = args
        counters = b.add(spread(counter), ir.Constant(wide, list(range(BLOCKS))))
        c0, c1 = low(counters), b.lshr(counters, constant(32))
        c2 = c3 = ir.Constant(wide, None)
        k0, k1 = spread(key_0), spread(key_1)
        for _ in range(ROUNDS):
            product_0, product_1 = b.mul(c0, constant(MULTIPLIER_0)), b.mul(c2, constant(MULTIPLIER_1))
            c0 = low(b.xor(b.xor(b.lshr(product_1, constant(32)), c1), k0))
            c2 = low(b.xor(b.xor(b.lshr(product_0, constant(32)), c3), k1))
            c1, c3 = product_1, product_0  # of which only the lower halves count
            k0, k1 = b.add(k0, constant(WEYL_0)), b.add(k1, constant(WEYL_1))
        c0, c1, c2, c3 = (b.trunc(word, narrow) for word in (c0, c1, c2, c3))

        def interleave(left: Any, right: Any, width: int) -> Any:
            """``width`` elements of the one, then as many of the other, and so on."""
            count = left.type.count
            places = [
                side * count + start + place
                for start in range(0, count, width)
                for side in (0, 1)
                for place in range(width)
            ]
            return b.shuffle_vector(left, right, ir.Constant(ir.VectorType(ir.IntType(32), 2 * count), places))

        result = interleave(interleave(c0, c1, 1), interleave(c2, c3, 1), 2)
        address = b.gep(context.make_array(signature.args[0])(context, b, array).data, [first])
        b.store(result, b.bitcast(address, result.type.as_pointer()), align=4)
        return context.get_dummy_value()

    return signature, generate


@inline
def words_of(words, chunk, key_0, key_1, offset):
    """Fills ``words`` [CHUNK] with those of the stream from word chunk * CHUNK on."""
    counter = offset + np.uint64(chunk * (CHUNK // 4))
    for part in range(CHUNK // (4 * BLOCKS)):
        sixteen_blocks(words, part * 4 * BLOCKS, counter + np.uint64(part * BLOCKS), key_0, key_1)


@parallel
def random_bits(piece, bits, key_0, key_1, offset):
    """bits [size] of uint32: word i of the stream whose first block has counter ``offset``."""
    for chunk in part_of(piece, (bits.size + CHUNK - 1) // CHUNK):
        words = np.empty(CHUNK, np.uint32)
        words_of(words, chunk, key_0, key_1, offset)
        part = bits[chunk * CHUNK : (chunk + 1) * CHUNK]
        for i in range(part.size):
            part[i] = words[i]


@parallel
def uniform(piece, y, key_0, key_1, offset):
    """y [size] of float32, in [0, 1), from the top 24 bits of a word each."""
    for chunk in part_of(piece, (y.size + CHUNK - 1) // CHUNK):
        words = np.empty(CHUNK, np.uint32)
        words_of(words, chunk, key_0, key_1, offset)
        part = y[chunk * CHUNK : (chunk + 1) * CHUNK]
        for i in range(part.size):
            part[i] = np.float32(words[i] >> np.uint32(8)) * np.float32(2**-24)


@parallel
def double_uniform(piece, y, key_0, key_1, offset):
    """y [size] of float64, in [0, 1), from 27 + 26 bits of two words each."""
    high, scale = np.float64(2**26), np.float64(2**-53)
    for chunk in part_of(piece, (2 * y.size + CHUNK - 1) // CHUNK):
        words = np.empty(CHUNK, np.uint32)
        words_of(words, chunk, key_0, key_1, offset)
        part = y[chunk * CHUNK // 2 : (chunk + 1) * CHUNK // 2]
        for i in range(part.size):
            top, rest = np.float64(words[2 * i] >> np.uint32(5)), np.float64(words[2 * i + 1] >> np.uint32(6))
            part[i] = (top * high + rest) * scale


@inline
def dropout_part(x, y, words, threshold, scale):
    for i in range(x.size):
        y[i] = keep(x[i] * scale, words[i], threshold)


@parallel
def dropout(piece, x, y, threshold, scale, key_0, key_1, offset):
    """y[i] = x[i] * scale where word i of the stream is at least ``threshold``, else 0; x, y [size]."""
    for chunk in part_of(piece, (x.size + CHUNK - 1) // CHUNK):
        words = np.empty(CHUNK, np.uint32)
        words_of(words, chunk, key_0, key_1, offset)
        first, last = chunk * CHUNK, (chunk + 1) * CHUNK
        dropout_part(x[first:last], y[first:last], words, threshold, scale)
