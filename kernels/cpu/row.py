"""The row tile: neighbouring outputs of a sliding window, which share what they read.

    c[i, g, :] = clamp(init[i, g, :] + sum over runs r, steps k, taps t of a[r, k, place(i, t), g] * b[r, k, t, :])

A register tile (``tile.py``) loads an element of ``a`` for every ``vectors`` multiplications, which for outputs of one
or two vectors of channels keeps it to half of its speed. But neighbouring outputs of a window read the same elements:
here each is loaded once, for all outputs and taps that it serves. ``a`` is read at distances that are known when the
code is made, so that a place costs no arithmetic.

The gradient at the weights is the same sum with taps and pixels in each other's place: its outputs are the taps, summed
over neighbouring pixels. What it multiplies comes from memory for one tile, and from the cache for those that follow:
each asks for a share of what comes next, so that memory is read all the time.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

from llvmlite import ir

from deepcore.kernels.cpu import library
from deepcore.kernels.cpu.emit import Emitter, integer
from deepcore.kernels.cpu.host import ITEM, Host, host
from deepcore.kernels.cpu.record import TILE, offset
from deepcore.kernels.cpu.window import Line

LATENCY = 4  # cycles until a sum can be added to again
CACHED, FAR, STREAMED = "cached", "far", "streamed"


def registers(line: Line, elements: int, vectors: int, chains: int = 1) -> int:
    """What a row tile keeps: its sums, the vectors of b that places near each other read, and elements of a."""
    taps = min(line.taps, -(-line.outputs * line.stride // line.dilation))
    return vectors * (line.outputs * elements * chains + taps) + elements


def cycles(line: Line, elements: int, vectors: int, host: Host, chains: int = 1) -> float:
    """Cycles of one step, as an estimate: two multiplications a cycle; each sum waits for itself; and loads.

    Of these there is one a cycle where a vector is as long as a line of the cache, so that most are of two lines; of
    shorter ones, two.
    """
    loads = (line.span * elements + line.taps * vectors) / (2 if host.is_narrow else 1)
    return max(line.outputs * line.taps * elements * vectors / 2, loads, line.taps * LATENCY / chains)


def instructions(line: Line, elements: int, vectors: int) -> int:
    """Multiplications and loads of one step."""
    loads = line.span * elements + line.taps * vectors
    return line.outputs * line.taps * elements * vectors + loads


@dataclass(frozen=True)
class Row:
    """What a kernel makes.

    Attributes:
        line: which places its outputs read.
        pixel: bytes from one place of a to the next.
        tap: bytes from one tap of b to the next.
        vectors: of b, and of each output.
        tail: whether the last vector has only ``lanes`` elements.
        elements: neighbouring elements of a, g above, each with sums of its own, ``c_element`` bytes apart.
        depth: the steps of a run, if they are written out: then those of a are neighbours, and those of b fill a tap.
        clamps: whether there is a floor and a ceiling.
        target: where c is: ``CACHED``; ``FAR``, from where it is asked for, some of it in each step; or ``STREAMED``,
            whole vectors at multiples of their size, which are written past the caches.
        ahead: how many taps each step asks for, of those that lie ``next_b`` bytes from b, and are read later.
        lanes: of the last vector, where the code knows how many exist; else 0, and it is told.
        chains: sums of each output, which take its taps in turn and are added at last: few sums would wait for each
            other's additions.
    """

    line: Line
    pixel: int
    tap: int
    vectors: int
    tail: bool = False
    elements: int = 1
    depth: int = 0
    clamps: bool = True
    target: str = CACHED
    ahead: int = 0
    lanes: int = 0
    chains: int = 1

    def __str__(self) -> str:
        tail = f" tail{f' of {self.lanes}' * (self.lanes > 0)}" * self.tail
        chains = f" in {self.chains}" * (self.chains > 1)
        shape = f"{self.vectors}x{self.elements}{tail}{chains}{f' of {self.depth}' * (self.depth > 0)}"
        how = f"{self.target}{' clamped' if self.clamps else ''}{f' {self.ahead} ahead' * (self.ahead > 0)}"
        return f"{self.line} at {self.pixel} {self.tap} {shape} {how}"


def row(what: Row) -> int:
    """The address of a row tile for this host."""
    return library.function(f"row {what}", lambda: emit_row(what, host()))


def emit_row(what: Row, host: Host) -> str:
    """``row(told, a, b, init, c)``: the sum above, ``told`` being the address of a ``TILE``; LLVM IR."""
    line, vectors, elements = what.line, what.vectors, what.elements
    e = Emitter("row", ("told", "a", "b", "init", "c"), host)
    told, a, b, init, c = e.arguments.values()
    field = functools.partial(e.field, TILE)
    a_step, offsets, b_step, b_run = (field(name) for name in ("a_step", "offsets", "b_step", "b_run"))
    steps, runs, init_row, c_row, c_element = (
        field(name) for name in ("steps", "runs", "init_row", "c_row", "c_element")
    )
    masks = [None] * (vectors - 1) + [(what.lanes or e.first_lanes(field("lanes"))) if what.tail else None]
    places = [(i, g, v) for i in range(line.outputs) for g in range(elements) for v in range(vectors)]

    # What is read of b ends with the lanes of its last tap. Whole vectors may be read of what lies so far in front of
    # that end: a mask would take a register.
    last_step = (line.taps - 1) * what.tap + (max(1, what.depth) - 1) * what.tap // max(1, what.depth)
    whole_to = last_step + ITEM * (what.lanes - host.lanes) + (vectors - 1) * host.vector_bytes if what.lanes else -1

    def at(base: ir.Value, row: ir.Value, i: int, g: int, v: int) -> ir.Value:
        return e.add(base, e.times(row, i), e.times(c_element, g), integer(v * host.vector_bytes))

    sums = [e.load(at(init, init_row, i, g, v), masks[v]) for i, g, v in places]
    sums += [e.constant(0.0)] * ((what.chains - 1) * len(places))
    last_row = e.add(c, e.times(c_row, line.outputs - 1))

    def add_products(carried: list[ir.Value], k: int) -> list[ir.Value]:
        """What is carried on after step k of a round: where a and b are, where to ask for c and b, and the sums."""
        from_a, from_b, asked, next_b, *step_sums = carried
        if what.target == FAR:
            for v in range(vectors):
                e.prefetch(e.add(asked, integer(v * host.vector_bytes)), write=True)
            asked = e.builder.select(e.below(asked, last_row), e.add(asked, c_row), asked)
        total = dict(zip(itertools.product(range(what.chains), places), step_sums, strict=True))
        left: dict[tuple[int, int], ir.Value] = {}
        right: dict[int, list[ir.Value]] = {}
        for place, i, t in line.reads:
            if t not in right:
                starts = [t * what.tap + v * host.vector_bytes for v in range(vectors)]
                if t < what.ahead:
                    for start in starts:
                        e.prefetch(e.add(next_b, integer(start)), 2)
                first = k * what.tap // max(1, what.depth)
                right[t] = [
                    e.load(e.add(from_b, integer(first + start)), mask if first + start > whole_to else None)
                    for start, mask in zip(starts, masks, strict=True)
                ]
            for g in range(elements):
                if (place, g) not in left:
                    element = e.add(from_a, integer(place * what.pixel + ITEM * (g + k)))
                    left[place, g] = e.broadcast(e.load_scalar(element))
                for v in range(vectors):
                    one = t % what.chains, (i, g, v)
                    total[one] = e.multiply_add(left[place, g], right[t][v], total[one])
        return [from_a, from_b, asked, e.add(next_b, integer(what.ahead * what.tap)), *total.values()]

    rounds = integer(1) if what.depth else steps
    with e.loop(runs, [offsets, b, c, e.add(b, field("next_b")), *sums]) as run:
        run_at, b_start, *run_carried = run.carried
        with e.loop(rounds, [e.add(a, e.load_integer(run_at)), b_start, *run_carried]) as step:
            carried = step.carried
            for k in range(max(1, what.depth)):
                carried = add_products(carried, k)
            step.carried = [e.add(carried[0], a_step), e.add(carried[1], b_step), *carried[2:]]
        run.carried = [e.add(run_at, integer(8)), e.add(b_start, b_run), *step.carried[2:]]
    bounds = e.bounds(e.add(told, integer(offset(TILE, "floor"))))  # the ceiling lies behind the floor
    totals = run.carried[4:]
    for number, (i, g, v) in enumerate(places):
        total = functools.reduce(e.builder.fadd, totals[number :: len(places)])
        result = e.clamp(total, bounds) if what.clamps else total
        if what.target == STREAMED:
            e.stream(result, at(c, c_row, i, g, v))
        else:
            e.store(result, at(c, c_row, i, g, v), masks[v])
    return e.finish()
