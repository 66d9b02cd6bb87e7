"""Panels: columns of a matrix put side by side, in the order in which a register tile reads them.

A matrix that has its columns in order is transposed instead, by ``transpose.py``.
"""

from __future__ import annotations

from deepcore.kernels.cpu import library
from deepcore.kernels.cpu.emit import Emitter, integer
from deepcore.kernels.cpu.host import Host, host

PREFETCH = 12  # steps ahead in the matrix, which comes from memory


def copy(vectors: int, tail: bool) -> int:
    """The address of a function that copies a panel of so many ``vectors``."""
    name = f"copy_panel {vectors}{' tail' if tail else ''}"
    return library.function(name, lambda: emit_copy(vectors, tail, host()))


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
