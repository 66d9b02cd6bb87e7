"""How neighbouring pixels are cut into the tiles that make them: register tiles, or row tiles, whichever is faster."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from deepcore.kernels.cpu import row
from deepcore.kernels.cpu.host import host
from deepcore.kernels.cpu.tile import most_rows, most_vectors, tile_cycles
from deepcore.kernels.cpu.window import Line

MOST_PRODUCTS = 256  # of a row tile, which are written out in its code
MOST_PIXELS = 16  # that a row tile makes, or that it sums, in one step
STEP = 5  # instructions of a step beside products and loads
FEW_STEPS = 4  # of a tap, for which a row tile is faster than a register tile as wide
MULTIPLICATIONS = 2  # of vectors that begin in a cycle
STARTED = 4  # instructions in a cycle, beside which addresses and branches find room
CHAINS = (1, 2, 4)  # sums of each output that there may be
GAIN_IN_BLOCKS = 0.9  # of the instructions, at most, to be worth blocks of few channels


@dataclass(frozen=True)
class Columns:
    """How a row is cut into tiles: ``tall`` of ``rows`` elements, then ``low`` of one less."""

    rows: int
    tall: int
    low: int

    @staticmethod
    def of(elements: int, most: int) -> Columns:
        tiles = -(-elements // most)
        rows = -(-elements // tiles)
        tall = elements - (rows - 1) * tiles
        return Columns(rows, tall, tiles - tall)

    @property
    def tiles(self) -> tuple[tuple[int, int], ...]:
        """(first element, rows) of each."""
        heights = [self.rows] * self.tall + [self.rows - 1] * self.low
        return tuple(
            (stop - height, height) for stop, height in zip(itertools.accumulate(heights), heights, strict=True)
        )

    @property
    def heights(self) -> tuple[tuple[int, int], ...]:
        """(tiles, their rows)."""
        return tuple((count, height) for count, height in ((self.tall, self.rows), (self.low, self.rows - 1)) if count)


@dataclass(frozen=True)
class RowTiles:
    """Row tiles (``kernels/cpu/row.py``) along one axis of a convolution.

    Attributes:
        cut: of the outputs' columns, or for a gradient at the weights of the input's channels.
        taps, stride, dilation: of the window along the axis.
        pixels: that are summed in one step of a gradient at the weights; 0 for a convolution.
        chains: sums of each output, to be added at last.
    """

    cut: Columns
    taps: int
    stride: int
    dilation: int
    pixels: int = 0
    chains: int = 1

    def line(self, height: int) -> tuple[Line, int]:
        """What a tile of so many columns, or channels, reads, and the neighbouring elements of each place."""
        if self.pixels:
            return Line(self.taps, self.pixels, self.dilation, self.stride), height
        return Line(height, self.taps, self.stride, self.dilation), 1

    def cycles(self, vectors: int) -> float:
        """Of one step of each tile."""
        every = [(count, *self.line(height)) for count, height in self.cut.heights]
        cycles = sum(
            count * row.cycles(line, elements, vectors, host(), self.chains) for count, line, elements in every
        )
        return max(cycles, self.instructions(vectors) / STARTED) if _has_few_registers() else cycles

    def instructions(self, vectors: int) -> int:
        """Of one step of each tile."""
        return sum(count * (row.instructions(*self.line(height), vectors) + STEP) for count, height in self.cut.heights)

    def fits(self, vectors: int) -> bool:
        line, elements = self.line(self.cut.rows)
        products = line.outputs * line.taps * elements * vectors
        used = row.registers(line, elements, vectors, self.chains)
        return products <= MOST_PRODUCTS and used < host().registers + _has_few_registers()

    def tile(self, height: int, vectors: int, depth: int = 0, **how: Any) -> int:
        """Its address. ``depth``: the steps of a run, to be written out where they are few; ``how``: what else a
        ``row.Row`` is told."""
        line, elements = self.line(height)
        few = depth * line.outputs * line.taps * elements * vectors <= MOST_PRODUCTS
        depth = depth if few else 0
        return row.row(row.Row(line, vectors=vectors, elements=elements, depth=depth, chains=self.chains, **how))


def _has_few_registers() -> bool:
    """Whether sums alone nearly fill the registers, as on AVX2, where a multiplication may read b from memory."""
    return host().fused and host().registers < 32


def _register_cycles(elements: int, vectors: int) -> float:
    """Of one step of all register tiles that so many neighbouring pixels or taps are cut into."""
    cut = Columns.of(elements, most_rows(vectors, host()))
    return sum(count * tile_cycles(height, vectors) for count, height in cut.heights)


def _register_instructions(elements: int, vectors: int) -> int:
    """Of one step of all register tiles that so many neighbouring pixels or taps are cut into."""
    cut = Columns.of(elements, most_rows(vectors, host()))
    return sum(count * (height * vectors + height + vectors + STEP) for count, height in cut.heights)


def _along_outputs(outputs: int, taps: int, stride: int, dilation: int, vectors: int) -> Iterator[RowTiles]:
    """The row tiles that there can be for ``outputs`` columns."""
    for most in range(2, min(outputs, MOST_PIXELS) + 1 if taps > 1 else 0):
        tiles = RowTiles(Columns.of(outputs, most), taps, stride, dilation)
        if tiles.fits(vectors):
            yield tiles


def _along_taps(
    taps: int, depth: int, outputs: int, stride: int, dilation: int, vectors: int
) -> Iterator[tuple[RowTiles, int]]:
    """The same for a gradient at the weights, with the steps that a row of ``outputs`` columns takes."""
    for pixels in range(2, min(outputs, MOST_PIXELS) + 1 if taps > 1 else 0):
        if outputs % pixels:
            continue
        for chains in CHAINS if _has_few_registers() else CHAINS[:1]:
            for most in range(1, depth + 1):
                tiles = RowTiles(Columns.of(depth, most), taps, stride, dilation, pixels, chains)
                if not tiles.fits(vectors):
                    break
                yield tiles, outputs // pixels


@functools.cache
def of_outputs(outputs: int, taps: int, stride: int, dilation: int, vectors: int) -> tuple[RowTiles | None, float]:
    """The row tiles for ``outputs`` columns, None where register tiles are faster; and the cycles for each channel."""
    found, least = None, taps * _register_cycles(outputs, vectors)
    for tiles in _along_outputs(outputs, taps, stride, dilation, vectors):
        if tiles.cycles(vectors) < least:
            found, least = tiles, tiles.cycles(vectors)
    return found, least


@functools.cache
def of_taps(
    taps: int, depth: int, outputs: int, stride: int, dilation: int, vectors: int
) -> tuple[RowTiles | None, float]:
    """The same for a gradient at the weights: the cycles for each row of ``outputs`` columns."""
    found, least = None, outputs * _register_cycles(taps * depth, vectors)
    for tiles, steps in _along_taps(taps, depth, outputs, stride, dilation, vectors):
        if steps * tiles.cycles(vectors) < least:
            found, least = tiles, steps * tiles.cycles(vectors)
    return found, least


# Of wide blocks of channels both kinds of tiles multiply without a pause. On a core whose units are shared what counts
# is how many instructions there are, of which a row tile of narrower blocks has fewer: it loads less, and adds to no
# address.


@functools.cache
def of_outputs_in_blocks(
    outputs: int, taps: int, depth: int, stride: int, dilation: int, vectors: int
) -> RowTiles | None:
    """The row tiles for blocks of so many ``vectors``, None where register tiles of wide blocks are better."""
    widest = most_vectors(host())
    narrower = vectors < widest
    if not narrower and depth > FEW_STEPS:
        return None
    found, least = None, GAIN_IN_BLOCKS * taps * vectors / widest * _register_instructions(outputs, widest)
    for tiles in _along_outputs(outputs, taps, stride, dilation, vectors):
        waits = tiles.cut.rows * vectors < MULTIPLICATIONS * row.LATENCY
        if tiles.instructions(vectors) < least and (narrower or not waits):
            found, least = tiles, tiles.instructions(vectors)
    return found


@functools.cache
def of_taps_in_blocks(taps: int, depth: int, outputs: int, stride: int, dilation: int, vectors: int) -> RowTiles | None:
    """The same for a gradient at the weights, of all channels of a pixel at once: more are taps of many tiles."""
    widest = most_vectors(host())
    found, least = None, GAIN_IN_BLOCKS * outputs * vectors / widest * _register_instructions(taps * depth, widest)
    for tiles, steps in _along_taps(taps, depth, outputs, stride, dilation, vectors):
        if tiles.cut.rows == depth and steps * tiles.instructions(vectors) < least:
            found, least = tiles, steps * tiles.instructions(vectors)
    return found


@functools.cache
def of_taps_in_lines(
    taps: int, depth: int, outputs: int, width: int, stride: int, dilation: int
) -> tuple[RowTiles | None, int]:
    """The same where several vectors make a line of the cache, and how many of them a block of ``width`` channels has.

    Such blocks read a line again while it is in the first-level cache, and are as narrow as leaves registers for all
    channels of a pixel.
    """
    widest = most_vectors(host())
    found, block, least = None, 0, (outputs * _register_cycles(taps * depth, widest) / widest, 0.0)
    for vectors in range(1, widest + 1):
        if width % (vectors * host().lanes):
            continue
        for tiles, steps in _along_taps(taps, depth, outputs, stride, dilation, vectors):
            cost = steps * tiles.cycles(vectors) / vectors, steps * tiles.instructions(vectors) / vectors
            if tiles.cut.rows == depth and cost < least:
                found, block, least = tiles, vectors, cost
    return found, block
