"""Overlap-add: pixels that each reach over several neighbours of the result, summed where they overlap."""

from __future__ import annotations

from dataclasses import dataclass

from deepcore.kernels.cpu import library
from deepcore.kernels.cpu.emit import Emitter, integer
from deepcore.kernels.cpu.host import ITEM, Host, has_slow_masks, host


@dataclass(frozen=True)
class Fold:
    """How the elements of a result, ``size`` of them, come from pixels.

    Attributes:
        pixels: how many; pixel q reaches over the elements ``q * step - before`` and following.
        reach: the elements that each has, side by side.
        step: elements from where one pixel begins to where the next does.
        before: elements of the first that lie in front of the result.
        size: elements of the result.
        runs: of so many elements that a pixel has side by side, for as many results.
        adds: whether the result is added to.
    """

    pixels: int
    reach: int
    step: int
    before: int
    size: int
    runs: int = 1
    adds: bool = False

    def __str__(self) -> str:
        more = f"{f' of {self.runs}' * (self.runs > 1)}{' added' * self.adds}"
        return f"{self.pixels}x{self.reach} by {self.step} from {self.before} to {self.size}{more}"

    def of(self, first: int, count: int) -> list[tuple[int, int]]:
        """(pixel, its element) that the result's element ``first`` is read from, where ``count`` from there have any.

        That element may lie up to ``count`` - 1 in front of those that the pixel has.
        """
        places = ((q, first + self.before - q * self.step) for q in range(self.pixels))
        return [(q, place) for q, place in places if -count < place < self.reach]


def row_vectors(fold: Fold, host: Host) -> int:
    """Vectors from one pixel to the next: its elements, and one of zeros."""
    return -(-fold.reach * fold.runs // host.lanes) + 1


def fold(one: Fold) -> int:
    """The address of a function for this host."""
    return library.function(f"fold {one}", lambda: emit_fold(one, host()))


def emit_fold(one: Fold, host: Host) -> str:
    """``fold(pixels, y)``: y[j] = sum over q of pixels[q, j + before - q * step]; LLVM IR.

    A pixel begins ``row_vectors`` after the one before it; what lies between its elements and the next one's, and one
    vector in front of the first, must be zero; or, where masks are slow, be there at all.
    """
    e = Emitter("fold", ("pixels", "y"), host)
    pixels, y = e.arguments.values()
    row, lanes = row_vectors(one, host) * host.vector_bytes, range(host.lanes)
    for first in range(0, one.size, host.lanes):
        count = min(host.lanes, one.size - first)
        total = e.constant(0.0)
        for q, place in one.of(first, count):
            run = e.load(e.add(pixels, integer(q * row + ITEM * place)))
            if has_slow_masks(host):  # who writes pixels writes whole vectors
                run = e.shuffle(run, e.constant(0.0), [k if 0 <= place + k < one.reach else host.lanes for k in lanes])
            total = e.builder.fadd(total, run)
        mask = None
        if count < host.lanes:
            mask = count if has_slow_masks(host) else e.first_lanes(integer(count))
        target = e.add(y, integer(ITEM * first))
        if one.adds:
            total = e.builder.fadd(total, e.load(target, mask))
        e.store(total, target, mask)
    return e.finish()
