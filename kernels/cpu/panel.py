"""Panels: columns of a matrix put side by side, in the order in which a register tile reads them.

A matrix that has its columns in order is transposed instead, by ``transpose.py``.
"""

from __future__ import annotations

from deepcore.kernels.cpu import library
from deepcore.kernels.cpu.emit import Emitter, integer
from deepcore.kernels.cpu.host import Host, host

PREFETCH = 12  # steps ahead in the matrix, which comes from memory
GROUP_PREFETCH = 4  # the same for a group of panels, of which each step is several lines of the cache
LINE = 64  # bytes of a line of the cache


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


def copy_group(vectors: int, panels: int) -> int:
    """The address of a function that copies a group of ``panels``, each of so many ``vectors``."""
    return library.function(f"copy_group {panels}x{vectors}", lambda: emit_copy_group(vectors, panels, host()))


def emit_copy_group(vectors: int, panels: int, host: Host) -> str:
    """``copy_group(b, b_step, panel, panel_step, steps, apart)``: panels of columns beside each other in b; LLVM IR.

    The panels lie ``apart`` from each other. Copied one by one, panels of a line of the cache each would read b in
    lines that are as far apart as its rows: these come from memory one by one, and meet in few sets of the cache.
    """
    e = Emitter("copy_group", ("b", "b_step", "panel", "panel_step", "steps", "apart"), host)
    b, b_step, panel, panel_step, steps, apart = e.arguments.values()
    width = vectors * host.vector_bytes
    ahead = e.times(b_step, GROUP_PREFETCH)
    with e.loop(steps, [b, panel]) as loop:
        source, target = loop.carried
        for at in range(0, panels * width, host.vector_bytes):
            if at % LINE == 0:
                e.prefetch(e.add(source, ahead, integer(at)))
            copied = e.load(e.add(source, integer(at)))
            e.store(copied, e.add(target, e.times(apart, at // width), integer(at % width)))
        loop.carried = [e.add(source, b_step), e.add(target, panel_step)]
    return e.finish()
