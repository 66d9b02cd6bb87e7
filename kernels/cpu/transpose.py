"""Rows to columns in registers: what lies side by side in memory comes to lie one below the other.

    b[k, i] = a[i, k]    for as many i as a vector has lanes, and some such blocks of k

As many vectors as a vector has lanes are woven together, the first of each half with the first of the other and so on;
after as many rounds as the number of lanes has bits they are columns (Stone 1971, Parallel Processing with the Perfect
Shuffle).
"""

from __future__ import annotations

from llvmlite import ir

from deepcore.kernels.cpu import library
from deepcore.kernels.cpu.emit import Emitter, integer
from deepcore.kernels.cpu.host import Host, host


def transpose() -> int:
    """The address of the function for this host."""
    return library.function("transpose", lambda: emit_transpose(host()))


def emit_transpose(host: Host) -> str:
    """``transpose(a, a_row, b, b_row, blocks)``: strides in bytes; one block at least, each square."""
    e = Emitter("transpose", ("a", "a_row", "b", "b_row", "blocks"), host)
    a, a_row, b, b_row, blocks = e.arguments.values()
    lanes = host.lanes
    row_of_a = [e.times(a_row, i) for i in range(lanes)]
    row_of_b = [e.times(b_row, i) for i in range(lanes)]
    with e.loop(blocks, [a, b]) as block:
        from_a, to_b = block.carried
        vectors = [e.load(e.add(from_a, row)) for row in row_of_a]
        for _ in range(lanes.bit_length() - 1):
            halves = zip(vectors[: lanes // 2], vectors[lanes // 2 :], strict=True)
            vectors = [woven for low, high in halves for woven in _woven(e, low, high)]
        for vector, row in zip(vectors, row_of_b, strict=True):
            e.store(vector, e.add(to_b, row))
        block.carried = [e.add(from_a, integer(host.vector_bytes)), e.add(to_b, e.times(b_row, lanes))]
    return e.finish()


def _woven(e: Emitter, low: ir.Value, high: ir.Value) -> tuple[ir.Value, ir.Value]:
    """low[0], high[0], low[1], high[1] and so on, as two vectors."""
    lanes = e.host.lanes
    order = [place + lanes * part for place in range(lanes) for part in range(2)]
    return e.shuffle(low, high, order[:lanes]), e.shuffle(low, high, order[lanes:])
