"""Winograd's products and the transform back in one kernel, for few input channels.

A place of so few channels has only some products to sum: written to memory and read again, as ``place.py`` and
``transform.py`` would do, its sums cost more than they are. Here a column of places is summed in registers and
transformed at once. What is left of a tile waits in the first-level cache, and its rows are transformed between the
columns of the next one: so they are written at the pace at which memory takes them.
"""

from __future__ import annotations

from dataclasses import dataclass

from llvmlite import ir

from deepcore.kernels.cpu import library
from deepcore.kernels.cpu.emit import Emitter, integer
from deepcore.kernels.cpu.host import ITEM, Host, host
from deepcore.kernels.cpu.transform import OUTPUT, combinations, spaced

ONE = 1  # the row and column of the places where the interpolation is at 1: a sum there is added to every output


@dataclass(frozen=True)
class Fused:
    """What a kernel makes: tiles of m x m outputs, whose places lie one behind the other.

    Attributes:
        m: outputs of a row of a tile.
        depth: steps of each sum.
        vectors: of a block of output channels.
        v_place: bytes from one place of a tile to the next.
        u_place: the same of the weights, whose steps are neighbours.
        streams: whether whole lines of the cache are written past the caches; else they are asked for.
    """

    m: int
    depth: int
    vectors: int
    v_place: int
    u_place: int
    streams: bool

    def __str__(self) -> str:
        streams = " streams" if self.streams else ""
        return f"{self.m} of {self.depth} for {self.vectors} at {self.v_place} {self.u_place}{streams}"

    @property
    def places(self) -> int:
        return (self.m + 2) ** 2


def rest_bytes(what: Fused, host: Host) -> int:
    """Of the memory in which a tile's columns wait, and those of the next one, until its rows are transformed."""
    return 2 * what.m * (what.m + 2) * what.vectors * host.vector_bytes


def fused(what: Fused) -> int:
    """The address of a kernel for this host."""
    return library.function(f"fused {what}", lambda: emit_fused(what, host()))


def emit_fused(what: Fused, host: Host) -> str:
    """``fused(v, u, bias, clamp, rest, target, target_row, target_column, tiles)``; LLVM IR.

    The outputs [tiles, m, m, block] of neighbouring tiles of a row of tiles, held between the two floats at ``clamp``:
    of the transformed tiles v [tiles, places, channels] and weights u [places, depth, block], and the ``bias``. The
    strides of the ``target`` are bytes; ``rest`` are ``rest_bytes`` of memory.
    """
    matrix, m, side, width = OUTPUT[what.m], what.m, what.m + 2, host.vector_bytes
    arguments = "v u bias clamp rest target target_row target_column tiles"
    e = Emitter("fused", arguments.split(), host)
    v, u, bias, clamp, rest, target, target_row, target_column, tiles = e.arguments.values()
    bounds = e.bounds(clamp)

    def at(base: ir.Value, number: int, vector: int) -> ir.Value:
        return e.add(base, integer((number * what.vectors + vector) * width))

    def sums_of(tile: ir.Value, place: int) -> list[ir.Value]:
        sums = [e.load(at(bias, 0, vector)) for vector in range(what.vectors)] if place == ONE * side + ONE else None
        for step in range(what.depth):
            left = e.broadcast(e.load_scalar(e.add(tile, integer(place * what.v_place + step * ITEM))))
            weights = e.add(u, integer(place * what.u_place))
            right = [e.load(at(weights, step, vector)) for vector in range(what.vectors)]
            if sums is None:
                sums = [e.builder.fmul(left, one) for one in right]
            else:
                sums = [e.multiply_add(left, one, total) for one, total in zip(right, sums, strict=True)]
        assert sums is not None  # a sum has a step at least
        return sums

    def keep_column(j: int, tile: ir.Value, kept: ir.Value) -> None:
        """Transforms the column j of a tile's places."""
        sums = [sums_of(tile, i * side + j) for i in range(side)]
        for vector in range(what.vectors):
            for i, value in enumerate(combinations(e, matrix, [of_place[vector] for of_place in sums])):
                e.store(value, at(kept, i * side + j, vector))

    def finish_row(i: int, kept: ir.Value, row: ir.Value) -> ir.Value:
        """Transforms the row i of what is left of a tile; where the next row of outputs is."""
        left = [[e.load(at(kept, i * side + j, vector)) for j in range(side)] for vector in range(what.vectors)]
        made = [combinations(e, matrix, of_vector) for of_vector in left]
        for place, outputs in zip(spaced(e, row, target_column, m), zip(*made, strict=True), strict=True):
            for vector, value in enumerate(outputs):
                store = e.stream if what.streams else e.store
                store(e.clamp(value, bounds), at(place, 0, vector))
        return e.opaque(e.add(row, target_row))

    # Before the first tile there is none: what is written for it lies where the first one's outputs will.
    half = integer(rest_bytes(what, host) // 2)
    with e.loop(tiles, [v, target, target, rest, e.add(rest, half)]) as loop:
        tile, outputs, row, kept, before = loop.carried
        asked = outputs
        for j in range(side):
            keep_column(j, tile, kept)
            if j < m:
                row = finish_row(j, before, row)
                if not what.streams:
                    for place in spaced(e, asked, target_column, m):
                        e.prefetch(place, write=True)
                    asked = e.opaque(e.add(asked, target_row))
        following = e.add(tile, integer(what.places * what.v_place)), e.add(outputs, e.times(target_column, m))
        loop.carried = [*following, outputs, before, kept]
    _, _, row, _, last = loop.carried
    for i in range(m):
        row = finish_row(i, last, row)
    return e.finish()
