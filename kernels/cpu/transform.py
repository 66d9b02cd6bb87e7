"""The transforms of Winograd's minimal filtering, F(m x m, 3 x 3), on vectors of channels.

    y = A^T [(G w G^T) * (B^T x B)] A        (Lavin and Gray 2016, Fast Algorithms for Convolutional Neural Networks)

A tile of m x m outputs takes (m + 2)^2 multiplications instead of 9 m^2: 2.25 times fewer for m = 2, 4 times for
m = 4, whose larger constants cost one to two decimal digits of the result.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from llvmlite import ir

from deepcore.kernels.cpu import library
from deepcore.kernels.cpu.emit import Emitter, integer
from deepcore.kernels.cpu.host import ITEM, Host, host

Matrix = tuple[tuple[float, ...], ...]

# Interpolation at 0, 1, -1 and, for m = 4, at 2 and -2, and at infinity.
INPUT: dict[int, Matrix] = {
    2: ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
    4: (
        (4, 0, -5, 0, 1, 0),
        (0, -4, -4, 1, 1, 0),
        (0, 4, -4, -1, 1, 0),
        (0, -2, -1, 2, 1, 0),
        (0, 2, -1, -2, 1, 0),
        (0, 4, 0, -5, 0, 1),
    ),
}
WEIGHTS: dict[int, Matrix] = {
    2: ((1, 0, 0), (1 / 2, 1 / 2, 1 / 2), (1 / 2, -1 / 2, 1 / 2), (0, 0, 1)),
    4: (
        (1 / 4, 0, 0),
        (-1 / 6, -1 / 6, -1 / 6),
        (-1 / 6, 1 / 6, -1 / 6),
        (1 / 24, 1 / 12, 1 / 6),
        (1 / 24, -1 / 12, 1 / 6),
        (0, 0, 1),
    ),
}
OUTPUT: dict[int, Matrix] = {
    2: ((1, 1, 1, 0), (0, 1, -1, -1)),
    4: ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1)),
}


FEW = 4  # channels at most, of which a place is so many floats


def transposed(matrix: Matrix) -> Matrix:
    return tuple(zip(*matrix, strict=True))


# What each kind of transform multiplies with, from the left, and transposed from the right.
KINDS: dict[str, dict[int, Matrix]] = {
    "input": INPUT,
    "weights": WEIGHTS,
    "output": OUTPUT,
    "output_gradient": {m: transposed(matrix) for m, matrix in OUTPUT.items()},
    "weights_gradient": {m: transposed(matrix) for m, matrix in WEIGHTS.items()},
}


def transform(kind: str, m: int, tail: bool = False, streams: bool = False, edge: bool = False) -> int:
    """The address of a transform for this host."""
    name = f"transform {kind} {m}{' tail' if tail else ''}{' streams' if streams else ''}{' edge' if edge else ''}"
    return library.function(name, lambda: emit_transform(kind, m, tail, host(), streams, edge))


def emit_transform(kind: str, m: int, tail: bool, host: Host, streams: bool = False, edge: bool = False) -> str:
    """``transform(source, source_row, source_column, target, target_row, target_column, vectors, ...)``; LLVM IR.

    L d L^T for each of ``vectors`` neighbouring vectors of channels: d [q, q] with the strides of the source, the
    result [p, p] with those of the target, in bytes. ``tail``: of one vector alone, of which only so many lanes exist
    as ``vectors`` says; of weights, the target has all, and zeros in the others.

    The last arguments of ``"output"``, which finishes a convolution, are ``bias``, which is added, and ``clamp``, the
    address of two floats between which the sum is held; of the others, ``ahead``: so many bytes behind the source lies
    what will be read soon. ``streams``: the target is whole vectors in memory, and does not pass through the caches.

    ``edge``: the image has not all pixels of the tile, which is what ``"output"`` writes and the others read. Two more
    arguments are ``exist``, a bit for each pixel, row by row, and ``elsewhere``, the address of a vector that stands
    for every other: of zeros, or of what nobody reads.
    """
    matrix, finishes = KINDS[kind][m], kind == "output"
    names = "source source_row source_column target target_row target_column vectors"
    more = f"{'bias clamp' if finishes else 'ahead'}{' exist elsewhere' if edge else ''}"
    e = Emitter("transform", f"{names} {more}".split(), host)
    source, source_row, source_column, target, target_row, target_column, vectors, extra, *_ = e.arguments.values()
    outputs, inputs = len(matrix), len(matrix[0])
    mask = e.first_lanes(vectors) if tail else None
    stored = None if kind == "weights" else mask
    count = integer(1) if tail else vectors
    if finishes:
        bounds = e.bounds(e.arguments["clamp"])

    def pixel(address: ir.Value, number: int) -> ir.Value:
        """The address of a pixel of the image, or what stands for it."""
        if not edge:
            return address
        exists = e.builder.trunc(e.builder.lshr(e.arguments["exist"], integer(number)), ir.IntType(1))
        return e.builder.select(exists, address, e.arguments["elsewhere"])

    known = 2 if kind == "input" else 0  # rows and columns of a tile that the one before it has read already
    asked = e.add(source, extra, e.times(source_row, known), e.times(source_column, known))
    with e.loop(count, [source, target, extra if finishes else asked]) as loop:
        source, target, third = column, row, ahead = loop.carried
        middle = [[None] * inputs for _ in range(outputs)]
        for j in range(inputs):
            addresses = spaced(e, column, source_row, inputs)
            if not finishes:
                addresses = [pixel(address, i * inputs + j) for i, address in enumerate(addresses)]
            loaded = [e.load(address, mask) for address in addresses]
            if not finishes and j >= known:
                for place in spaced(e, ahead, source_row, inputs - known):
                    e.prefetch(place)
                ahead = e.opaque(e.add(ahead, source_column))
            for i, value in enumerate(combinations(e, matrix, loaded)):
                middle[i][j] = value
            column = e.opaque(e.add(column, source_column))
        for i in range(outputs):
            values = combinations(e, matrix, middle[i])
            for j, (value, place) in enumerate(zip(values, spaced(e, row, target_column, outputs), strict=True)):
                if finishes:
                    value = e.clamp(e.builder.fadd(value, e.load(third, mask)), bounds)
                    place = pixel(place, i * outputs + j)
                if streams:
                    e.stream(value, place)
                else:
                    e.store(value, place, stored)
            row = e.opaque(e.add(row, target_row))
        step = integer(host.vector_bytes)
        loop.carried = [e.add(value, step) for value in (source, target, third)]
    return e.finish()


def input_row(m: int, channels: int) -> int:
    """The address of ``emit_input_row``'s kernel for this host."""
    return library.function(f"input_row {m} of {channels}", lambda: emit_input_row(m, channels, host()))


def emit_input_row(m: int, channels: int, host: Host) -> str:
    """``input_row(source, middle, row, vectors, target, tiles)``; LLVM IR.

    The transform "input" of neighbouring tiles, of ``FEW`` channels at most: target [tiles, (m + 2)^2, FEW], where what
    follows the channels has no meaning. Source and ``middle`` are m + 2 rows, so many bytes apart as ``row`` says. Of
    those of the source are read as many ``vectors`` as the tiles' pixels fill or begin to fill, and as many are written
    to the middle, of which one more is read. Each place is written as a vector, whose excess the next one overwrites.
    """
    side, width = m + 2, host.vector_bytes
    e = Emitter("input_row", ("source", "middle", "row", "vectors", "target", "tiles"), host)
    source, middle, row, vectors, target, tiles = e.arguments.values()
    # All pixels of a row are added alike to those of other rows: a vector holds several of them. ...
    with e.loop(vectors, [source, middle]) as loop:
        columns = [e.load(place) for place in spaced(e, loop.carried[0], row, side)]
        for value, place in zip(combinations(e, INPUT[m], columns), spaced(e, loop.carried[1], row, side), strict=True):
            e.store(value, place)
        loop.carried = [e.add(place, integer(width)) for place in loop.carried]
    # ... To those of other columns they are not: it holds one.
    with e.loop(tiles, [middle, target]) as loop:
        pixels, place = loop.carried
        for i in range(side):
            values = [e.load(e.add(pixels, integer(j * channels * ITEM))) for j in range(side)]
            for j, value in enumerate(combinations(e, INPUT[m], values)):
                e.store(value, e.add(place, integer((i * side + j) * FEW * ITEM)))
            pixels = e.opaque(e.add(pixels, row))
        first, place = loop.carried
        loop.carried = [e.add(first, integer(m * channels * ITEM)), e.add(place, integer(side * side * FEW * ITEM))]
    return e.finish()


def spaced(e: Emitter, start: ir.Value, distance: ir.Value, count: int) -> list[ir.Value]:
    """Up to six addresses. An instruction finds each by itself: it is 0, 1, 2 or 4 distances from one of two pointers.

    The compiler would compute each once, run out of registers and load them from memory again.
    """
    second = e.opaque(e.add(start, distance)) if count > 3 else start
    return [
        e.add(second, e.times(distance, i - 1)) if i in (3, 5) else e.add(start, e.times(distance, i))
        for i in range(count)
    ]


def combinations(e: Emitter, matrix: Matrix, values: Sequence[ir.Value]) -> list[ir.Value]:
    """``matrix`` times ``values``, with few instructions.

    Values whose factors differ at most in their signs are taken together as their sum and their difference; rows that
    differ in the sign of every other entry share two half sums.
    """
    rows, values = np.asarray(matrix, np.float64), list(values)
    for j, k in itertools.combinations(range(len(values)), 2):
        if rows[:, j].any() and (abs(rows[:, j]) == abs(rows[:, k])).all():
            alike = rows[:, j] == rows[:, k]
            values[j], values[k] = e.builder.fadd(values[j], values[k]), e.builder.fsub(values[j], values[k])
            rows[:, k] = np.where(alike, 0, rows[:, j])
            rows[:, j] = np.where(alike, rows[:, j], 0)
    results: list[ir.Value | None] = [None] * len(rows)
    for i in range(len(rows)):
        if results[i] is not None:
            continue
        for k in range(i + 1, len(rows)):
            even, odd = (rows[i] + rows[k]) / 2, (rows[i] - rows[k]) / 2
            if results[k] is None and even.any() and odd.any() and not (even * odd).any():
                factor = 1.0 if (abs(odd) == 1).any() else abs(odd).max()
                left, right = _combination(e, even, values), _combination(e, odd / factor, values)
                results[i] = _sum(e, left, factor, right)
                results[k] = _sum(e, left, -factor, right)
                break
        else:
            results[i] = _combination(e, rows[i], values)
    return results


def _sum(e: Emitter, total: ir.Value, factor: float, value: ir.Value) -> ir.Value:
    """total + factor * value."""
    if factor == 1:
        return e.builder.fadd(total, value)
    if factor == -1:
        return e.builder.fsub(total, value)
    return e.multiply_add(e.constant(factor), value, total)


def _combination(e: Emitter, factors: np.ndarray, values: Sequence[ir.Value]) -> ir.Value:
    """The sum of factors times values, beginning with a factor of 1 where there is one."""
    terms = [i for i in range(len(factors)) if factors[i]]
    terms.sort(key=lambda i: (factors[i] != 1, factors[i] != -1))
    total = None
    for i in terms:
        factor, value = float(factors[i]), values[i]
        if total is None:
            total = value if factor == 1 else e.builder.fmul(e.constant(factor), value)
        else:
            total = _sum(e, total, factor, value)
    return total
