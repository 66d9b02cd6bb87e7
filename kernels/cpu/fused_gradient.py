"""Winograd's gradient at the weights of few input channels: dy's transform and the products in one kernel.

Of so few channels a place has only some products for each transformed element of dy: written to the second-level cache
and read again, as ``winograd_pieces`` does with blocks of many tiles, these cost more than the products. Here they are
those of some neighbouring tiles and of a narrow block of dy's channels, and never leave the first-level cache.
"""

from __future__ import annotations

from dataclasses import dataclass

from llvmlite import ir

from deepcore.kernels.cpu import library
from deepcore.kernels.cpu.emit import Emitter, integer
from deepcore.kernels.cpu.host import ITEM, Host, host
from deepcore.kernels.cpu.pages import LINE
from deepcore.kernels.cpu.transform import KINDS, combinations

TILE = 4  # outputs of a row of a tile
SIDE = TILE + 2
PLACES = SIDE * SIDE
# The rows of places that are made of the same rows of dy together. What all six share does not fit into 16 registers:
# it is read again.
ROWS = (0,), (1, 2), (3, 4), (5,)


@dataclass(frozen=True)
class FusedGradient:
    """What a kernel makes: the sums over so many neighbouring tiles at every place.

    Attributes:
        tiles: of one call.
        depth: channels of x.
        vectors: of a block of dy's channels.
        v_tile, v_place: bytes from one transformed tile of x to the next, and from one of its places.
        dy_row, dy_pixel: the same of dy, from a row to the next, and from a pixel.
    """

    tiles: int
    depth: int
    vectors: int
    v_tile: int
    v_place: int
    dy_row: int
    dy_pixel: int

    def __str__(self) -> str:
        strides = f"{self.v_tile} {self.v_place} {self.dy_row} {self.dy_pixel}"
        return f"{self.tiles} of {self.depth} for {self.vectors} at {strides}"


def room_bytes(what: FusedGradient, host: Host) -> int:
    """Of the memory in which the transformed tiles of dy lie."""
    return PLACES * what.tiles * what.vectors * host.vector_bytes


def sums_bytes(what: FusedGradient, host: Host) -> int:
    """Of the sums [places, depth, block]."""
    return PLACES * what.depth * what.vectors * host.vector_bytes


def ahead_bytes(what: FusedGradient, host: Host) -> int:
    """Of each row of the next tiles of dy, what one call asks for: as much as it reads of them, but one run."""
    return TILE * what.tiles * what.vectors * host.vector_bytes


def fused_gradient(what: FusedGradient) -> int:
    """The address of a kernel for this host."""
    return library.function(f"fused_gradient {what}", lambda: emit_fused_gradient(what, host()))


def emit_fused_gradient(what: FusedGradient, host: Host) -> str:
    """``fused_gradient(v, dy, ahead, room, sums)``; LLVM IR.

    Adds to the sums [places, depth, block] the products of the transformed tiles v [tiles, places, depth] with those of
    dy [4, 4 tiles, block], which are made in ``room_bytes`` of memory. In four rows of dy that begin at ``ahead``,
    ``ahead_bytes`` are asked for: what calls for all blocks read of the next tiles, each of them asks for a share.
    """
    e = Emitter("fused_gradient", ("v", "dy", "ahead", "room", "sums"), host)
    v, dy, ahead, room, sums = e.arguments.values()
    matrix, width = KINDS["output_gradient"][TILE], host.vector_bytes
    block = what.vectors * width

    def transform_rows(rows: tuple[int, ...], source: ir.Value, target: ir.Value) -> None:
        """Those rows of the places of one vector of a tile."""
        columns = []
        for j in range(TILE):
            pixels = [e.load(e.add(source, integer(i * what.dy_row + j * what.dy_pixel))) for i in range(TILE)]
            columns.append(combinations(e, matrix, pixels))
        for i in rows:
            for j, value in enumerate(combinations(e, matrix, [column[i] for column in columns])):
                e.store(value, e.add(target, integer((i * SIDE + j) * what.tiles * block)))

    def add_products(place: int, v: ir.Value, d: ir.Value, sums: ir.Value) -> None:
        """Those of all tiles at one place; the addresses are those of place 0."""
        sums = e.add(sums, integer(place * what.depth * block))
        targets = [e.add(sums, integer(number * width)) for number in range(what.depth * what.vectors)]
        totals = [e.load(target) for target in targets]
        for tile in range(what.tiles):
            at = integer((place * what.tiles + tile) * block)
            right = [e.load(e.add(d, at, integer(vector * width))) for vector in range(what.vectors)]
            for channel in range(what.depth):
                at = integer(tile * what.v_tile + place * what.v_place + channel * ITEM)
                left = e.broadcast(e.load_scalar(e.add(v, at)))
                for vector in range(what.vectors):
                    number = channel * what.vectors + vector
                    totals[number] = e.multiply_add(left, right[vector], totals[number])
        for target, total in zip(targets, totals, strict=True):
            e.store(total, target)

    with e.loop(integer(what.tiles), [dy, room]) as loop:
        source, target = loop.carried
        for vector in range(what.vectors):
            for rows in ROWS:
                at = integer(vector * width)
                transform_rows(rows, e.add(source, at), e.add(target, at))
        loop.carried = [e.add(source, integer(TILE * what.dy_pixel)), e.add(target, integer(block))]
    # A run of a row of the next tiles is asked for during a fourth of the places, evenly: so memory is never idle.
    together, lines = PLACES // TILE, ahead_bytes(what, host) // LINE
    with e.loop(integer(TILE), [v, room, sums, ahead]) as loop:
        v, d, sums, asked = loop.carried
        for place in range(together):
            for line in range(lines * place // together, lines * (place + 1) // together):
                e.prefetch(e.add(asked, integer(line * LINE)), level=2)
            add_products(place, v, d, sums)
        steps = what.v_place, what.tiles * block, what.depth * block
        following = [e.add(at, integer(together * step)) for at, step in zip((v, d, sums), steps, strict=True)]
        loop.carried = [*following, e.add(asked, integer(what.dy_row))]
    return e.finish()
