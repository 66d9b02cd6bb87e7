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


def transpose(tail: bool) -> int:
    """The address of a function that transposes one vector of a panel."""
    name = f"transpose_panel{' tail' if tail else ''}"
    return library.function(name, lambda: emit_transpose(tail, host()))


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


def emit_transpose(tail: bool, host: Host) -> str:
    """``transpose_panel(b, b_width, columns, panel, panel_step, count)``: panel[k, j] = b[j, k]; LLVM IR.

    ``b_width`` is the distance of the rows j of b, of which there are ``columns``; where these are fewer than a
    vector's elements, the last stands for those that are missing. There are ``count`` squares, of as many steps k as a
    vector has elements; with ``tail`` there is one of only ``count`` steps, behind which come zeros.
    """
    e = Emitter("transpose_panel", ("b", "b_width", "columns", "panel", "panel_step", "count"), host)
    b, b_width, columns, panel, panel_step, count = e.arguments.values()
    mask = e.first_lanes(count) if tail else None
    last = e.builder.sub(columns, integer(1))
    rows = []
    for j in range(host.lanes):
        there = e.builder.select(e.below(last, integer(j)), last, integer(j))
        rows.append(e.builder.mul(there, b_width))
    ahead = e.times(b_width, host.lanes)
    with e.loop(integer(1) if tail else count, [b, panel]) as loop:
        source, target = loop.carried
        for row in rows:
            e.prefetch(e.add(source, row, ahead))
        square = [e.load(e.add(source, row), mask) for row in rows]
        for k, vector in enumerate(_transposed(e, square)):
            e.store(vector, e.add(target, e.times(panel_step, k)))
        loop.carried = [e.add(source, integer(host.vector_bytes)), e.add(target, e.times(panel_step, host.lanes))]
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
