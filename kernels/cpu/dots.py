"""Dot products of several rows with one vector: a matrix is read once, a run of its rows side by side."""

from __future__ import annotations

from llvmlite import ir

from deepcore.kernels.cpu import library
from deepcore.kernels.cpu.emit import Emitter, integer
from deepcore.kernels.cpu.host import ITEM, Host, host

ROWS = 8  # sums under way at a time: two additions a cycle that take four


def dots(rows: int) -> int:
    """The address of the function for so many rows on this host."""
    return library.function(f"dots {rows}", lambda: emit_dots(rows, host()))


def emit_dots(rows: int, host: Host) -> str:
    """``dots(a, a_row, x, vectors, y)``: y[i] = sum over k of a[i, k] * x[k], for so many whole vectors; LLVM IR."""
    e = Emitter("dots", ("a", "a_row", "x", "vectors", "y"), host)
    a, a_row, x, vectors, y = e.arguments.values()
    starts = [e.times(a_row, i) for i in range(rows)]
    with e.loop(vectors, [a, x, *[e.constant(0.0)] * rows]) as loop:
        from_a, from_x, *sums = loop.carried
        right = e.load(from_x)
        sums = [
            e.multiply_add(e.load(e.add(from_a, start)), right, total)
            for start, total in zip(starts, sums, strict=True)
        ]
        width = integer(host.vector_bytes)
        loop.carried = [e.add(from_a, width), e.add(from_x, width), *sums]
    for i, total in enumerate(loop.carried[2:]):
        e.store_scalar(_sum(e, total), e.add(y, integer(ITEM * i)))
    return e.finish()


def _sum(e: Emitter, vector: ir.Value) -> ir.Value:
    """The sum of a vector's elements: of its halves, of their halves, and so on."""
    distance = e.host.lanes // 2
    while distance:
        halves = [(lane + distance) % e.host.lanes for lane in range(e.host.lanes)]
        vector = e.builder.fadd(vector, e.shuffle(vector, vector, halves))
        distance //= 2
    return e.first_of(vector)
