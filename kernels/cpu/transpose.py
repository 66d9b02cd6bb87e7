"""Rows to columns in registers: what lies side by side in memory comes to lie one below the other."""

from __future__ import annotations

from llvmlite import ir

from deepcore.kernels.cpu import library
from deepcore.kernels.cpu.emit import Emitter, integer
from deepcore.kernels.cpu.host import Host, host


def transpose(tail: bool = False) -> int:
    """The address of the function for this host."""
    return library.function(f"transpose{' tail' if tail else ''}", lambda: emit_transpose(tail, host()))


def emit_transpose(tail: bool, host: Host) -> str:
    """``transpose(source, source_row, rows, target, target_row, squares)``: target[k, i] = source[i, k]; LLVM IR.

    A square has as many rows i and columns k as a vector has elements; the next square follows to the right in the
    source, below in the target. Where the source has only so many ``rows``, one at least, its last row stands for those
    that are missing: the target's columns are always a whole vector.

    ``tail``: one square alone, of which the source has only so many columns as ``squares`` says. What the others
    become is not said.
    """
    e = Emitter("transpose", ("source", "source_row", "rows", "target", "target_row", "squares"), host)
    source, source_row, rows, target, target_row, squares = e.arguments.values()
    last = e.builder.sub(rows, integer(1))
    places = [
        e.builder.mul(e.builder.select(e.below(last, integer(i)), last, integer(i)), source_row)
        for i in range(host.lanes)
    ]
    if tail:
        mask = e.first_lanes(squares)
        _store(e, [e.load(e.add(source, place), mask) for place in places], target, target_row)
        return e.finish()
    below, beside = e.times(source_row, host.lanes), integer(host.vector_bytes)  # where a next square may lie
    with e.loop(squares, [source, target]) as loop:
        from_source, to_target = loop.carried
        for place in places:
            e.prefetch(e.add(from_source, place, below))
            e.prefetch(e.add(from_source, place, beside))
        _store(e, [e.load(e.add(from_source, place)) for place in places], to_target, target_row)
        loop.carried = [
            e.add(from_source, integer(host.vector_bytes)),
            e.add(to_target, e.times(target_row, host.lanes)),
        ]
    return e.finish()


def _store(e: Emitter, square: list[ir.Value], target: ir.Value, target_row: ir.Value) -> None:
    """The columns of a square of vectors: halves change places across the diagonal, then halves of halves."""
    lanes = e.host.lanes
    distance = lanes // 2
    while distance:
        upper = [k if not k & distance else lanes + k - distance for k in range(lanes)]
        lower = [k + distance if not k & distance else lanes + k for k in range(lanes)]
        for i in range(lanes):
            if not i & distance:
                pair = square[i], square[i + distance]
                square[i], square[i + distance] = (e.shuffle(*pair, order) for order in (upper, lower))
        distance //= 2
    for k, vector in enumerate(square):
        e.store(vector, e.add(target, e.times(target_row, k)))
