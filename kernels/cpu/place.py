"""The products of Winograd's convolution: one place of a block of tiles, whose operands are in the caches.

    c[i, :] = sum over steps k of a[i, k] * b[k, :]        or c[i, :] += ...

The sums are short: as many steps as there are channels, or tiles of a block. A register tile (``tile.py``) would spend
much of its time before and after them, on strides, limits and calls. Here tiles follow each other in one call, all
strides are known when the code is made, and nothing is clamped.

Vectors narrower than a line make narrow blocks of b, for each of which all of a is read again: more often than with
wide ones, and from farther away. There a tile asks for what the next one reads of a, where that lies in order.
"""

from __future__ import annotations

from dataclasses import dataclass

from llvmlite import ir

from deepcore.kernels.cpu import library
from deepcore.kernels.cpu.emit import Emitter, integer
from deepcore.kernels.cpu.host import ITEM, Host, host
from deepcore.kernels.cpu.pages import LINE

TOGETHER = 4  # steps of one round, whose places are found from one address


@dataclass(frozen=True)
class Strides:
    """In bytes: from a row of a, or of c, to the next, and from one step to the next of a and of b."""

    a_row: int
    a_step: int
    b_step: int
    c_row: int


def place(rows: int, vectors: int, strides: Strides, adds: bool = False) -> int:
    """The address of the product for this host; what it is made of is said at ``emit_place``."""
    name = f"place {rows}x{vectors} {strides.a_row} {strides.a_step} {strides.b_step} {strides.c_row} {adds}"
    return library.function(name, lambda: emit_place(rows, vectors, strides, adds, host()))


def emit_place(rows: int, vectors: int, strides: Strides, adds: bool, host: Host) -> str:
    """``place(a, b, c, steps, tiles)``: the sums above for ``tiles`` times ``rows`` rows; LLVM IR.

    ``adds``: to what c holds.
    """
    e = Emitter("place", ("a", "b", "c", "steps", "tiles"), host)
    a, b, c, steps, tiles = e.arguments.values()
    width = host.vector_bytes
    places = [(i, v) for i in range(rows) for v in range(vectors)]
    rounds = e.builder.udiv(steps, integer(TOGETHER))
    rest = e.builder.sub(steps, e.times(rounds, TOGETHER))
    asks = host.is_narrow and strides.a_step == ITEM
    asked = rows * TOGETHER * ITEM  # bytes of the next tile in a round, which reads as much of this one

    def ask(from_next: ir.Value) -> ir.Value:
        """Asks for what a round reads; the address of the following."""
        for line in range(0, asked, LINE):
            e.prefetch(e.add(from_next, integer(line)))
        return e.opaque(e.add(from_next, integer(asked)))

    def add_products(carried: list[ir.Value], count: int) -> list[ir.Value]:
        """What the next round carries: where a and b are, and the sums."""
        from_a, from_b, *sums = carried
        for step in range(count):
            at = step * strides.b_step
            right = [e.load(e.add(from_b, integer(at + v * width))) for v in range(vectors)]
            for i in range(rows):
                at = step * strides.a_step + i * strides.a_row
                left = e.broadcast(e.load_scalar(e.add(from_a, integer(at))))
                for v in range(vectors):
                    sums[i * vectors + v] = e.multiply_add(left, right[v], sums[i * vectors + v])
        return [
            e.add(from_a, integer(count * strides.a_step)),
            e.add(from_b, integer(count * strides.b_step)),
            *sums,
        ]

    with e.loop(tiles, [a, c]) as tile:
        from_a, to_c = tile.carried
        targets = [e.add(to_c, integer(i * strides.c_row + v * width)) for i, v in places]
        begun = [e.load(target) for target in targets] if adds else [e.constant(0.0)] * len(places)
        following = [e.add(from_a, integer(rows * strides.a_row))] if asks else []
        with e.loop(rounds, [*following, from_a, b, *begun], least=0) as several:
            asking, carried = several.carried[: len(following)], several.carried[len(following) :]
            several.carried = [*map(ask, asking), *add_products(carried, TOGETHER)]
        with e.loop(rest, several.carried[len(following) :], least=0) as one:
            one.carried = add_products(one.carried, 1)
        for target, total in zip(targets, one.carried[2:], strict=True):
            e.store(total, target)
        tile.carried = [e.add(from_a, integer(rows * strides.a_row)), e.add(to_c, integer(rows * strides.c_row))]
    return e.finish()
