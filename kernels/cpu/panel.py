"""Panels: columns of a matrix put side by side, in the order in which a register tile reads them.

A matrix that has its rows in order is copied; one that has its columns in order is transposed on the way, a square of
vectors at a time.
"""

from __future__ import annotations

from llvmlite import ir

from deepcore.kernels.cpu import library
from deepcore.kernels.cpu.emit import Emitter, integer
from deepcore.kernels.cpu.host import Host, host

PREFETCH = 12  # steps ahead in the matrix, which comes from memory


def copy(vectors: int, tail: bool) -> int:
    """The address of a function that copies a panel of so many ``vectors``."""
    name = f"copy_panel {vectors}{' tail' if tail else ''}"
    return library.function(name, lambda: emit_copy(vectors, tail, host()))


def transpose() -> int:
    """The address of a function that transposes one vector of a panel."""
    return library.function("transpose_panel", lambda: emit_transpose(host()))


def emit_copy(vectors: int, tail: bool, host: Host) -> str:
    """``copy_panel(b, b_step, panel, panel_step, steps, lanes)``: panel[k, :] = b[k, :]; LLVM IR.

    ``tail``: the last vector has only ``lanes`` elements in ``b``; behind them come zeros, which the next step may
    overwrite.
    """
    e = Emitter("copy_panel", ("b", "b_step", "panel", "panel_step", "steps", "lanes"), host)
    b, b_step, panel, panel_step, steps, lanes = e.arguments.values()
    masks = [None] * (vectors - 1) + [e.first_lanes(lanes) if tail else None]
    ahead = e.times(b_step, PREFETCH)
    with e.loop(steps, [b, panel]) as loop:
        source, target = loop.carried
        for v, mask in enumerate(masks):
            at = integer(v * host.vector_bytes)
            e.prefetch(e.add(source, ahead, at))
            e.store(e.load(e.add(source, at), mask), e.add(target, at))
        loop.carried = [e.add(source, b_step), e.add(target, panel_step)]
    return e.finish()


def emit_transpose(host: Host) -> str:
    """``transpose_panel(b, b_width, columns, panel, panel_step, squares)``: panel[k, j] = b[j, k]; LLVM IR.

    A square has as many steps k as a vector has elements; ``b_width`` is the distance of the rows j of b, of which
    there are ``columns``. Where these are fewer than a vector's, the last stands for those that are missing.
    """
    e = Emitter("transpose_panel", ("b", "b_width", "columns", "panel", "panel_step", "squares"), host)
    b, b_width, columns, panel, panel_step, squares = e.arguments.values()
    last = e.builder.sub(columns, integer(1))
    rows = []
    for j in range(host.lanes):
        there = e.builder.select(e.below(last, integer(j)), last, integer(j))
        rows.append(e.builder.mul(there, b_width))
    ahead = e.times(b_width, host.lanes)
    with e.loop(squares, [b, panel]) as loop:
        source, target = loop.carried
        for row in rows:
            e.prefetch(e.add(source, row, ahead))
        square = [e.load(e.add(source, row)) for row in rows]
        for k, vector in enumerate(_transposed(e, square)):
            e.store(vector, e.add(target, e.times(panel_step, k)))
        loop.carried = [
            e.add(source, integer(host.vector_bytes)),
            e.add(target, e.times(panel_step, host.lanes)),
        ]
    return e.finish()


def _transposed(e: Emitter, square: list[ir.Value]) -> list[ir.Value]:
    """The columns of a square of vectors: halves change places across the diagonal, then halves of halves."""
    lanes = len(square)
    distance = lanes // 2
    while distance:
        upper = [k if not k & distance else lanes + k - distance for k in range(lanes)]
        lower = [k + distance if not k & distance else lanes + k for k in range(lanes)]
        for i in range(lanes):
            if not i & distance:
                pair = square[i], square[i + distance]
                square[i], square[i + distance] = (e.shuffle(*pair, order) for order in (upper, lower))
        distance //= 2
    return square
