"""The register tile: ``rows`` x ``vectors`` sums that stay in registers while products are added to them.

    c[i, :] = clamp(init[i, :] + sum over runs r and steps k of a[offset[r] + i, k] * b[r, k, :])

Every convolution and every matrix product here is this loop over other strides. ``a`` is read one element at a
time and multiplied with whole vectors of ``b``, which lies in the order in which it is read. An element of ``a`` costs
a load for ``vectors`` multiplications, a vector of ``b`` one for ``rows``: a tile should be near square in registers
(Goto and van de Geijn 2008, Anatomy of High-Performance Matrix Multiplication).

A core that shares its units with another thread of the machine is bound by how many instructions it can start: beside
the multiplications, a step does as little as possible. Either the steps or the rows of ``a`` are neighbours, which the
code knows; four steps are made at a time, and one addition moves an address over all of them. ``b``, which lies in
order, comes without being asked for.

While it computes, a tile asks for what the next one will read of ``a``, a little at every step: by then it has come
from memory. Its first rounds of steps each ask for a row of ``c``: all at once, they would keep the core from what it
needs next. What it writes goes through the caches: where one of them holds it until it is read, that is faster than
writing past them. A silent tile does not ask for ``a``: it is for rows that are in the caches already.
"""

from __future__ import annotations

import functools

from llvmlite import ir

from deepcore.kernels.cpu import library
from deepcore.kernels.cpu.emit import Emitter, integer
from deepcore.kernels.cpu.host import ITEM, Host, host
from deepcore.kernels.cpu.record import TILE, offset

LINE = 64  # bytes of a line of the cache
STEPS = 4  # of a round
# Rows that are found from one pointer, by adding the distance of rows once or twice, which costs no instruction. With
# one pointer for all, the compiler makes an addition of each.
ROWS_OF_A_POINTER = 3


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


def steps_of_an_ask(rows: int, down: bool) -> int:
    """Steps of a tile for each line of memory that it asks for: in so many, its rows move by a line between them."""
    return 1 if down else max(1, LINE // ITEM // rows)


def tile(rows: int, vectors: int, tail: bool = False, down: bool = False, asks: bool = True) -> int:
    """The address of a tile for this host."""
    name = f"tile {rows}x{vectors}{' tail' if tail else ''}{' down' if down else ''}{'' if asks else ' silent'}"
    return library.function(name, lambda: emit_tile(rows, vectors, tail, down, host(), asks))


def emit_tile(rows: int, vectors: int, tail: bool, down: bool, host: Host, asks: bool = True) -> str:
    """``tile(told, a, b, init, c)``: the sum above, ``told`` being the address of a ``TILE``; LLVM IR.

    ``tail``: the last vector has only ``lanes`` elements, in ``b``, ``init`` and ``c``.
    ``down``: the rows of ``a`` are neighbours, rather than its steps.
    ``asks``: for what the next tile will read of ``a``.
    """
    e = Emitter("tile", ("told", "a", "b", "init", "c"), host)
    told, a, b, init, c = e.arguments.values()
    field = functools.partial(e.field, TILE)
    offsets, b_step, b_skip = (field(name) for name in ("offsets", "b_step", "b_skip"))
    next_a, next_step = (field(name) for name in ("next_a", "next_step"))
    steps, runs, init_row, c_row = (field(name) for name in ("steps", "runs", "init_row", "c_row"))
    last = e.first_lanes(field("lanes")) if tail else None
    width = host.vector_bytes
    masks = [None] * (vectors - 1) + [last]
    places = [(i, v) for i in range(rows) for v in range(vectors)]
    a_row, a_step = (integer(ITEM), field("a_step")) if down else (field("a_row"), integer(ITEM))
    shared = rows if down else ROWS_OF_A_POINTER
    asking = steps_of_an_ask(rows, down)
    starts = [e.times(a_row, i) for i in range(0, rows, shared)]
    strides = [*[next_step] * asks, b_step, *[a_step] * len(starts)]  # of what is carried on from step to step
    rounds, over = e.builder.udiv(steps, integer(STEPS)), e.builder.urem(steps, integer(STEPS))

    def add_products(carried: list[ir.Value], count: int) -> list[ir.Value]:
        """What is carried on after so many steps: where to ask, where b and rows of a are, and the sums."""
        pointers, sums = carried[: len(strides)], carried[len(strides) :]
        from_b, *from_a = pointers[asks:]
        for k in range(count):
            if asks and k % asking == 0:
                e.prefetch(e.add(pointers[0], e.times(next_step, k)), 2)
            at_b = e.add(from_b, e.times(b_step, k))
            right = [e.load(e.add(at_b, integer(v * width)), masks[v]) for v in range(vectors)]
            for i in range(rows):
                pointer, row = divmod(i, shared)
                at_a = e.add(from_a[pointer], e.times(a_row, row), e.times(a_step, k))
                left = e.broadcast(e.load_scalar(at_a))
                for v in range(vectors):
                    sums[i * vectors + v] = e.multiply_add(left, right[v], sums[i * vectors + v])
        following = zip(pointers, strides, strict=True)
        return [*(e.opaque(e.add(pointer, e.times(step, count))) for pointer, step in following), *sums]

    rows_asked = e.builder.select(e.below(rounds, integer(rows)), rounds, integer(rows))
    with e.loop(runs, [offsets, rows_asked, b, *[e.constant(0.0)] * len(places)]) as run:
        at, first_rounds, b_run, *run_sums = run.carried
        start = e.add(a, e.load_integer(at))
        asked = [e.add(start, next_a)] if asks else []
        carried = [*asked, b_run, *(e.add(start, first) for first in starts), *run_sums]
        with e.loop(first_rounds, [c, *carried], least=0) as first:
            row, *carried = first.carried
            for v in range(vectors):
                e.prefetch(e.add(row, integer(v * width)), write=True)
            first.carried = [e.opaque(e.add(row, c_row)), *add_products(carried, STEPS)]
        with e.loop(e.builder.sub(rounds, first_rounds), first.carried[1:], least=0) as rest:
            rest.carried = add_products(rest.carried, STEPS)
        with e.loop(over, rest.carried, least=0) as one:
            one.carried = add_products(one.carried, 1)
        b_next = e.add(one.carried[asks], b_skip)
        run.carried = [e.add(at, integer(8)), integer(0), b_next, *one.carried[len(strides) :]]
    bounds = e.bounds(e.add(told, integer(offset(TILE, "floor"))))  # the ceiling lies behind the floor
    for (i, v), total in zip(places, run.carried[3:], strict=True):
        begun = e.load(e.add(init, e.times(init_row, i), integer(v * width)), masks[v])
        clamped = e.clamp(e.builder.fadd(begun, total), bounds)
        e.store(clamped, e.add(c, e.times(c_row, i), integer(v * width)), masks[v])
    return e.finish()
