"""Few rows times a wide matrix, or a few steps of it: a few rows of the matrix, all columns one after the other.

    c[i, j] = clamp(init[i, j] + sum over a few steps k of a[i, k] * b[k, j])

A product of few rows is bound by memory, which gives the more the longer it is read in order: each row of ``b`` is a
stream. A register tile would take some columns of it at a time, and a call for each of them. The sums come back to
``c`` every few steps; it is small, and stays in the caches. A product of few steps, as the gradient at the weights of a
dense layer is for a small batch, is bound by writing its result, which is done in order, too.
"""

from __future__ import annotations

from deepcore.kernels.cpu import library
from deepcore.kernels.cpu.emit import Emitter, integer
from deepcore.kernels.cpu.host import ITEM, Host, host
from deepcore.kernels.cpu.record import TILE, offset

STEPS = 8  # rows of b side by side: more of them, equally far apart, would drive each other out of a set of the cache
SETS_BYTES = 2048  # rows of b a multiple of so many bytes apart share one or two sets of the first-level cache


def sweep(rows: int, vectors: int, steps: int = STEPS, down: bool = False, asks: bool = False) -> int:
    """The address of a sweep for this host."""
    name = f"sweep {rows}x{vectors} of {steps}{' down' if down else ''}{' asks' if asks else ''}"
    return library.function(name, lambda: emit_sweep(rows, vectors, steps, down, asks, host()))


def emit_sweep(rows: int, vectors: int, steps: int, down: bool, asks: bool, host: Host) -> str:
    """``sweep(told, a, b, init, c, blocks)``: the sum above for so many blocks of ``vectors`` vectors; LLVM IR.

    ``told`` is the address of a ``TILE``, of which it takes the strides and the bounds.

    ``down``: the rows of ``a`` are neighbours, rather than its steps.
    ``asks``: for the rows of ``b`` that the next sweep reads.
    """
    e = Emitter("sweep", ("told", "a", "b", "init", "c", "blocks"), host)
    told, a, b, init, c, blocks = e.arguments.values()
    b_step, init_row, c_row = (e.field(TILE, name) for name in ("b_step", "init_row", "c_row"))
    a_row, a_step = (integer(ITEM), e.field(TILE, "a_step")) if down else (e.field(TILE, "a_row"), integer(ITEM))
    bounds = e.bounds(e.add(told, integer(offset(TILE, "floor"))))  # the ceiling lies behind the floor
    places = [(i, v) for i in range(rows) for v in range(vectors)]
    width = host.vector_bytes
    with e.loop(blocks, [b, init, c]) as loop:
        from_b, from_init, to_c = loop.carried
        # First what the sums begin with: read last, where rows share a set, it took 1.6 times as long.
        sums = {(i, v): e.load(e.add(from_init, e.times(init_row, i), integer(v * width))) for i, v in places}
        for k in range(steps):
            row = e.add(from_b, e.times(b_step, k))
            right = [e.load(e.add(row, integer(v * width))) for v in range(vectors)]
            if asks:
                e.prefetch(e.add(row, e.times(b_step, steps)))
            for i in range(rows):
                left = e.broadcast(e.load_scalar(e.add(a, e.times(a_row, i), e.times(a_step, k))))
                for v in range(vectors):
                    sums[i, v] = e.multiply_add(left, right[v], sums[i, v])
        for i, v in places:
            e.store(e.clamp(sums[i, v], bounds), e.add(to_c, e.times(c_row, i), integer(v * width)))
        block = integer(vectors * width)
        loop.carried = [e.add(from_b, block), e.add(from_init, block), e.add(to_c, block)]
    return e.finish()
