"""The register tile: ``rows`` x ``vectors`` sums that stay in registers while products are added to them.

    c[i, :] = clamp(init[i, :] + sum over runs r and steps k of a[offset[r] + i, k] * b[r, k, :])

Every convolution and every matrix product here is this loop over other strides. ``a`` is read one element at a
time and multiplied with whole vectors of ``b``, which lies in the order in which it is read. An element of ``a`` costs
a load for ``vectors`` multiplications, a vector of ``b`` one for ``rows``: a tile should be near square in registers
(Goto and van de Geijn 2008, Anatomy of High-Performance Matrix Multiplication).

While it computes, a tile asks for what the next one will read of ``a``, a little at every step: by then it has come
from memory. What it writes goes through the caches: where one of them holds it until it is read, that is faster than
writing past them.
"""

from __future__ import annotations

from llvmlite import ir

from deepcore.kernels.cpu import library
from deepcore.kernels.cpu.emit import Emitter, integer
from deepcore.kernels.cpu.host import Host, host
from deepcore.kernels.cpu.record import TILE, offset

PREFETCH = 4  # steps ahead in b: what the second-level cache takes to answer


def most_rows(vectors: int, host: Host) -> int:
    """The rows of the tallest tile of so many ``vectors`` whose sums and operands fit in the registers."""
    operands = vectors + 1
    return min((host.registers - operands) // vectors, 14)


def most_vectors(host: Host) -> int:
    """The widest tile: the one nearest to square."""
    return 4 if host.registers >= 32 else 2


def tile_cycles(rows: int, vectors: int) -> float:
    """Cycles of one step of a tile, as an estimate: two multiplications, or one load, a cycle, and four for a sum."""
    return max(rows * vectors / 2, rows + vectors, 4) if rows and vectors else 0.0


def tile(rows: int, vectors: int, tail: bool = False) -> int:
    """The address of a tile for this host."""
    name = f"tile {rows}x{vectors}{' tail' if tail else ''}"
    return library.function(name, lambda: emit_tile(rows, vectors, tail, host()))


def emit_tile(rows: int, vectors: int, tail: bool, host: Host) -> str:
    """``tile(told, a, b, init, c)``: the sum above, ``told`` being the address of a ``TILE``; LLVM IR.

    ``tail``: the last vector has only ``lanes`` elements, in ``b``, ``init`` and ``c``.
    """
    e = Emitter("tile", ("told", "a", "b", "init", "c"), host)
    told, a, b, init, c = e.arguments.values()

    def field(name: str) -> ir.Value:
        return e.load_integer(e.add(told, integer(offset(TILE, name))))

    a_row, a_step, offsets, b_step = (field(name) for name in ("a_row", "a_step", "offsets", "b_step"))
    steps, runs, init_row, c_row = (field(name) for name in ("steps", "runs", "init_row", "c_row"))
    last = e.first_lanes(field("lanes")) if tail else None
    width = host.vector_bytes
    masks = [None] * (vectors - 1) + [last]
    places = [(i, v) for i in range(rows) for v in range(vectors)]

    for i, v in places:
        e.prefetch(e.add(c, e.times(c_row, i), integer(v * width)), write=True)
    sums = [e.load(e.add(init, e.times(init_row, i), integer(v * width)), masks[v]) for i, v in places]
    row_offsets = [e.times(a_row, i) for i in range(rows)]
    ahead = e.times(b_step, PREFETCH)
    next_a, next_step = field("next_a"), field("next_step")
    with e.loop(runs, [offsets, b, *sums]) as run:
        at, b_run, *run_sums = run.carried
        start = e.add(a, e.load_integer(at))
        with e.loop(steps, [e.add(start, next_a), start, b_run, *run_sums]) as step:
            asked, from_a, from_b, *sums = step.carried
            from_a = e.opaque(from_a)
            e.prefetch(asked, 2)
            right = [e.load(e.add(from_b, integer(v * width)), masks[v]) for v in range(vectors)]
            for v in range(vectors):
                e.prefetch(e.add(from_b, ahead, integer(v * width)))
            for i in range(rows):
                left = e.broadcast(e.load_scalar(e.add(from_a, row_offsets[i])))
                for v in range(vectors):
                    sums[i * vectors + v] = e.multiply_add(left, right[v], sums[i * vectors + v])
            step.carried = [e.add(asked, next_step), e.add(from_a, a_step), e.add(from_b, b_step), *sums]
        run.carried = [e.add(at, integer(8)), *step.carried[2:]]
    floor, ceiling = (
        e.broadcast(e.load_scalar(e.add(told, integer(offset(TILE, name))))) for name in ("floor", "ceiling")
    )
    for (i, v), total in zip(places, run.carried[2:], strict=True):
        clamped = e.at_most(e.at_least(total, floor), ceiling)
        e.store(clamped, e.add(c, e.times(c_row, i), integer(v * width)), masks[v])
    return e.finish()
