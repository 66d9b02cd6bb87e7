"""Philox 4x32-10 in Python integers, one block at a time."""

WORD = 2**32 - 1


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        first, second = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [second >> 32 ^ c[1] ^ k[0], second & WORD, first >> 32 ^ c[3] ^ k[1], first & WORD]
        k = [(k[0] + 0x9E3779B9) & WORD, (k[1] + 0xBB67AE85) & WORD]
    return c


def random_bits(size, seed, offset):
    words = []
    for block in range(-(-size // 4)):
        counter = (offset + block) % 2**64
        words += philox((counter & WORD, counter >> 32, 0, 0), (seed & WORD, seed >> 32))
    return words[:size]
