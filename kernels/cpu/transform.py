"""The transforms of Winograd's minimal filtering, F(m x m, 3 x 3), on vectors of channels.

    y = A^T [(G w G^T) * (B^T x B)] A        (Lavin and Gray 2016, Fast Algorithms for Convolutional Neural Networks)

A tile of m x m outputs takes (m + 2)^2 multiplications instead of 9 m^2: 2.25 times fewer for m = 2, 4 times for
m = 4, whose larger constants cost one to two decimal digits of the result.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from llvmlite import ir

from deepcore.kernels.cpu import library
from deepcore.kernels.cpu.emit import Emitter, integer
from deepcore.kernels.cpu.host import Host, host

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
    as ``vectors`` says; of weights, the target has all, and zeros in those.

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

    with e.loop(count, [source, target, extra if finishes else e.add(source, extra)]) as loop:
        source, target, third = loop.carried
        middle = [[None] * inputs for _ in range(outputs)]
        for j in range(inputs):
            places = [e.add(e.times(source_column, j), e.times(source_row, i)) for i in range(inputs)]
            addresses = [e.add(source, place) for place in places]
            if not finishes:
                addresses = [pixel(address, i * inputs + j) for i, address in enumerate(addresses)]
            loaded = [e.load(address, mask) for address in addresses]
            if not finishes:
                for place in places:
                    e.prefetch(e.add(third, place))
            for i, value in enumerate(combinations(e, matrix, loaded)):
                middle[i][j] = value
        for i in range(outputs):
            row = e.add(target, e.times(target_row, i))
            for j, value in enumerate(combinations(e, matrix, middle[i])):
                if finishes:
                    value = e.clamp(e.builder.fadd(value, e.load(third, mask)), bounds)
                place = e.add(row, e.times(target_column, j))
                if finishes:
                    place = pixel(place, i * outputs + j)
                if streams:
                    e.stream(value, place)
                else:
                    e.store(value, place, stored)
        step = integer(host.vector_bytes)
        loop.carried = [e.add(value, step) for value in (source, target, third)]
    return e.finish()


def combinations(e: Emitter, matrix: Matrix, values: Sequence[ir.Value]) -> list[ir.Value]:
    """``matrix`` times ``values``; rows that differ in the sign of every other entry share two half sums."""
    rows = np.asarray(matrix, np.float64)
    results: list[ir.Value | None] = [None] * len(rows)
    for i in range(len(rows)):
        if results[i] is not None:
            continue
        for k in range(i + 1, len(rows)):
            even, odd = (rows[i] + rows[k]) / 2, (rows[i] - rows[k]) / 2
            if results[k] is None and even.any() and odd.any() and not (even * odd).any():
                left, right = _combination(e, even, values), _combination(e, odd, values)
                results[i], results[k] = e.builder.fadd(left, right), e.builder.fsub(left, right)
                break
        else:
            results[i] = _combination(e, rows[i], values)
    return results


def _combination(e: Emitter, factors: np.ndarray, values: Sequence[ir.Value]) -> ir.Value:
    """The sum of factors times values, beginning with a factor of 1 where there is one."""
    terms = [i for i in range(len(factors)) if factors[i]]
    terms.sort(key=lambda i: (factors[i] != 1, factors[i] != -1))
    total = None
    for i in terms:
        factor, value = float(factors[i]), values[i]
        if total is None:
            total = value if factor == 1 else e.builder.fmul(e.constant(factor), value)
        elif factor == 1:
            total = e.builder.fadd(total, value)
        elif factor == -1:
            total = e.builder.fsub(total, value)
        else:
            total = e.multiply_add(e.constant(factor), value, total)
    return total
