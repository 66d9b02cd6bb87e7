"""How neighbouring pixels are cut into the tiles that make them: register tiles, or row tiles, whichever is faster."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

from deepcore.kernels.cpu import row
from deepcore.kernels.cpu.host import host
from deepcore.kernels.cpu.tile import most_rows, tile_cycles
from deepcore.kernels.cpu.window import Line

MOST_PRODUCTS = 256  # of one step of a row tile, which are written out in its code
MOST_PIXELS = 16  # that a row tile makes, or that it sums, in one step


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
    """

    cut: Columns
    taps: int
    stride: int
    dilation: int
    pixels: int = 0

    def line(self, height: int) -> tuple[Line, int]:
        """What a tile of so many columns, or channels, reads, and the neighbouring elements of each place."""
        if self.pixels:
            return Line(self.taps, self.pixels, self.dilation, self.stride), height
        return Line(height, self.taps, self.stride, self.dilation), 1

    def cycles(self, vectors: int) -> float:
        """Of one step of each tile."""
        return sum(count * row.cycles(*self.line(height), vectors) for count, height in self.cut.heights)

    def fits(self, vectors: int) -> bool:
        line, elements = self.line(self.cut.rows)
        products = line.outputs * line.taps * elements * vectors
        return products <= MOST_PRODUCTS and row.registers(line, elements, vectors) < host().registers

    def tile(self, height: int, pixel: int, tap: int, vectors: int, tail: bool) -> int:
        """Its address; ``pixel`` and ``tap`` are distances of places and of what they are multiplied with, in bytes."""
        line, elements = self.line(height)
        return row.row(line, pixel, tap, vectors, tail, elements)


def _register_cycles(elements: int, vectors: int) -> float:
    """Of one step of all register tiles that so many neighbouring pixels or taps are cut into."""
    cut = Columns.of(elements, most_rows(vectors, host()))
    return sum(count * tile_cycles(height, vectors) for count, height in cut.heights)


@functools.cache
def of_outputs(outputs: int, taps: int, stride: int, dilation: int, vectors: int) -> tuple[RowTiles | None, float]:
    """The row tiles for ``outputs`` columns, None where register tiles are faster; and the cycles for each channel."""
    found, least = None, taps * _register_cycles(outputs, vectors)
    for most in range(2, min(outputs, MOST_PIXELS) + 1 if taps > 1 else 0):
        tiles = RowTiles(Columns.of(outputs, most), taps, stride, dilation)
        if tiles.fits(vectors) and tiles.cycles(vectors) < least:
            found, least = tiles, tiles.cycles(vectors)
    return found, least


@functools.cache
def of_taps(
    taps: int, depth: int, outputs: int, stride: int, dilation: int, vectors: int
) -> tuple[RowTiles | None, float]:
    """The same for a gradient at the weights: the cycles for each row of ``outputs`` columns."""
    found, least = None, outputs * _register_cycles(taps * depth, vectors)
    for pixels in range(2, min(outputs, MOST_PIXELS) + 1 if taps > 1 else 0):
        if outputs % pixels:
            continue
        for most in range(1, depth + 1):
            tiles = RowTiles(Columns.of(depth, most), taps, stride, dilation, pixels)
            if not tiles.fits(vectors):
                break
            cycles = outputs // pixels * tiles.cycles(vectors)
            if cycles < least:
                found, least = tiles, cycles
    return found, least
