"""What threads tell each other: shuffles, votes, atomics, barriers."""

from __future__ import annotations

import numpy as np
from fidelity.case import KERNELS, Case, unwritten

FILE = KERNELS / "warp.cu"


def mask(flags):
    """Lane i's flag as bit i, as a signed number."""
    return int(np.uint32(sum(1 << int(i) for i in np.flatnonzero(flags))).astype(np.int32))


def warp_functions(given):
    x, lane = given["x"], np.arange(32)
    rows = [
        x[5],
        x[lane // 8 * 8 + 3],
        np.where(lane % 16 >= 2, x[lane - 2], x),
        np.where(lane % 8 + 3 < 8, x[np.minimum(lane + 3, 31)], x),
        x[lane ^ 9],
        mask(x & 1),
        1,
        (x == x[7]).all(),
        [mask(x % 3 == v % 3) for v in x],
        x.sum(),
        x.max(),
        x.min(),
        np.bitwise_xor.reduce(x),
        -1 if (x == x[0]).all() else 0,
        np.where(lane < 10, 0x3FF, mask((lane >= 10) & (lane % 2 == 1))),
        x[np.minimum(lane + 1, 31)],
    ]
    return {"y": np.stack([np.broadcast_to(np.asarray(row, np.int32), 32) for row in rows])}


def block_votes(given):
    odd = given["x"] & 1
    return {"y": np.full(70, odd.sum() * 4 + odd.any() * 2 + odd.all(), np.int32)}


def votes(name, x):
    arguments = {"x": np.asarray(x, np.int32)}
    return Case(
        f"votes of a block, {name}",
        FILE,
        "block_votes",
        lambda rng: arguments | {"y": unwritten(70, np.int32)},
        block_votes,
        70,
    )


def atomics_arguments(rng):
    y = np.array([0, 0, 0, 0, 0xFF, 0, 0, 0, 3], np.int32)
    return {"y": y, "f": np.array([0, -1], np.float32), "wide": np.zeros(1, np.uint64)}


def atomics(given):
    sums = [2 * np.arange(64).sum(), -128, 63, -63, 0, 2**31 - 1, 0, 5, (3 + 128) % 10]
    return {
        "y": np.array(sums, np.int32),
        "f": np.array([64, 63], np.float32),
        "wide": np.array([128 << 40], np.uint64),
    }


def named_barriers(given):
    halves = given["x"].reshape(2, 64).copy()
    for half, rounds in enumerate((2, 3)):
        for _ in range(rounds):
            halves[half] = np.roll(halves[half], -33) + 1
    return {"y": halves.reshape(-1)}


def numbers(count, shape):
    """Arguments x, ``count`` random numbers, and y."""
    return lambda rng: {"x": rng.integers(0, 1000, count).astype(np.int32), "y": unwritten(shape, np.int32)}


CASES = [
    Case("functions of a warp", FILE, "warp_functions", numbers(32, (16, 32)), warp_functions, needs=80),
    votes("some", np.arange(70)),
    votes("none", np.zeros(70)),
    votes("all", np.ones(70)),
    Case("atomics", FILE, "atomics", atomics_arguments, atomics, block=64, grid=2),
    Case("named barriers", FILE, "named_barriers", numbers(128, 128), named_barriers, 128),
]
