"""Dot products of several rows with one vector, or a few: a matrix is read once, a run of its rows side by side."""

from __future__ import annotations

from llvmlite import ir

from deepcore.kernels.cpu import library
from deepcore.kernels.cpu.emit import Emitter, integer
from deepcore.kernels.cpu.host import ITEM, Host, host

ROWS = 8  # sums under way at a time: two additions a cycle that take four
SUMS = 12  # that stay in registers, of several vectors


def most_rows(columns: int) -> int:
    """Rows side by side, times so many vectors."""
    return max(1, min(ROWS, SUMS // columns))


def dots(rows: int, columns: int = 1) -> int:
    """The address of the function for so many rows, times so many vectors, on this host."""
    return library.function(f"dots {rows}x{columns}", lambda: emit_dots(rows, columns, host()))


def emit_dots(rows: int, columns: int, host: Host) -> str:
    """``dots(a, a_row, x, x_row, vectors, y, y_row)``: y[j, i] = sum over k of a[i, k] * x[j, k], for so many whole
    vectors of k; LLVM IR."""
    e = Emitter("dots", ("a", "a_row", "x", "x_row", "vectors", "y", "y_row"), host)
    a, a_row, x, x_row, vectors, y, y_row = e.arguments.values()
    width = integer(host.vector_bytes)
    places = [(j, i) for j in range(columns) for i in range(rows)]
    with e.loop(vectors, [a, x, *[e.constant(0.0)] * len(places)]) as loop:
        from_a, from_x, *sums = loop.carried
        left = [e.load(e.add(from_a, e.times(a_row, i))) for i in range(rows)]
        right = [e.load(e.add(from_x, e.times(x_row, j))) for j in range(columns)]
        if columns > 1:  # rows pass so slowly that memory, which knows where one ends, would wait for the next to begin
            for i in range(rows):
                e.prefetch(e.add(from_a, e.times(a_row, rows + i)))
        sums = [e.multiply_add(left[i], right[j], total) for (j, i), total in zip(places, sums, strict=True)]
        loop.carried = [e.add(from_a, width), e.add(from_x, width), *sums]
    for (j, i), total in zip(places, loop.carried[2:], strict=True):
        e.store_scalar(_sum(e, total), e.add(y, e.times(y_row, j), integer(ITEM * i)))
    return e.finish()


def _sum(e: Emitter, vector: ir.Value) -> ir.Value:
    """The sum of a vector's elements: of its halves, of their halves, and so on."""
    distance = e.host.lanes // 2
    while distance:
        halves = [(lane + distance) % e.host.lanes for lane in range(e.host.lanes)]
        vector = e.builder.fadd(vector, e.shuffle(vector, vector, halves))
        distance //= 2
    return e.first_of(vector)
