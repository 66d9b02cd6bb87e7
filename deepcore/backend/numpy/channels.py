"""How channels are cut into blocks of a few vectors, each of which is one tile wide."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from deepcore.backend.numpy.columns import MULTIPLICATIONS, Columns, RowTiles
from deepcore.kernels.cpu.host import ITEM, has_slow_masks, host
from deepcore.kernels.cpu.row import LATENCY
from deepcore.kernels.cpu.tile import most_rows, most_vectors, tile, tile_cycles

_LOADS = {1: 2.0, 2: 1.2}  # how much longer a vector takes in a tile of one or two, which loads more than it multiplies


@dataclass(frozen=True)
class Channels:
    """How channels are cut: ``wide`` blocks of ``vectors`` vectors, then one of ``last_vectors``, if that is not 0.

    ``lanes`` of the very last vector exist.
    """

    wide: int
    vectors: int
    last_vectors: int
    lanes: int

    @staticmethod
    @functools.cache
    def of(channels: int, columns: int = 0) -> Channels:
        """The cut that takes the least time, in tiles of a row of so many ``columns`` if that is given."""
        vectors = _vectors(channels)[0]

        def cost(cut: Channels) -> float:
            if columns:
                return cut.cycles(Columns.of(columns, most_rows(cut.widest, host())))
            blocks = ((cut.wide, cut.vectors), (1, cut.last_vectors))
            return sum(count * width * _LOADS.get(width, 1.0) for count, width in blocks)

        return min((Channels.cut(channels, width) for width in range(min(_widest(columns), vectors), 0, -1)), key=cost)

    @staticmethod
    def cut(channels: int, width: int) -> Channels:
        """Into blocks of ``width`` vectors."""
        vectors, lanes = _vectors(channels)
        wide, rest = divmod(vectors, width)
        if lanes < host().lanes and not rest:  # only the block that comes last may end in a part of a vector
            wide, rest = wide - 1, width
        return Channels(wide, width, rest, lanes)

    @staticmethod
    def together(channels: int) -> Channels:
        """All channels in one block, for layouts that only end on whole vectors."""
        return Channels(0, 0, *_vectors(channels))

    @property
    def tail(self) -> bool:
        """Whether the last vector is a part of one."""
        return bool(self.last_vectors) and self.lanes < host().lanes

    @property
    def blocks(self) -> int:
        return self.wide + bool(self.last_vectors)

    @property
    def widest(self) -> int:
        """Vectors of the widest block."""
        return self.vectors if self.wide else self.last_vectors

    @property
    def wide_bytes(self) -> int:
        return self.vectors * host().vector_bytes

    @property
    def last_bytes(self) -> int:
        return self.last_vectors * host().vector_bytes

    @functools.cached_property
    def padded(self) -> int:
        """Channels, with those that the last vector has beyond."""
        return (self.wide * self.wide_bytes + self.last_bytes) // ITEM

    def cycles(self, rows: Columns) -> float:
        """Of one step of all blocks' tiles."""
        return sum(
            count * blocks * tile_cycles(height, vectors)
            for count, height in rows.heights
            for blocks, vectors in ((self.wide, self.vectors), (1, self.last_vectors))
        )

    def tiles(self, rows: int, low: bool, down: bool = False, asks: bool = True) -> dict[str, Any]:
        """Addresses of tiles of ``rows`` rows and, if there are such, of one less: of a wide block and of the last.

        ``down``, ``asks``: as for ``tile``.
        """
        found: dict[str, Any] = {}
        for name, vectors, tail in (
            ("wide", self.vectors * bool(self.wide), False),
            ("last", self.last_vectors, self.tail),
        ):
            found[f"{name}_tall"] = tile(rows, vectors, tail, down, asks) if vectors else 0
            found[f"{name}_low"] = tile(rows - 1, vectors, tail, down, asks) if vectors and low else 0
        return found

    def tile(self, rows: int) -> tuple[int, int]:
        """Addresses of the tiles of so many rows: of a wide block and of the last; 0 where there is none."""
        wide = tile(rows, self.vectors) if self.wide else 0
        return wide, tile(rows, self.last_vectors, self.tail) if self.last_vectors else 0

    def row_tile(self, tiles: RowTiles, rows: int, **how: Any) -> tuple[int, int]:
        """The same of row tiles, for the only block of channels or for blocks of one width; ``how``: as it says."""
        lanes = self.lanes if self.tail and has_slow_masks(host()) else 0
        found = tiles.tile(rows, self.widest, tail=self.tail, lanes=lanes, **how)
        return (found, 0) if self.wide else (0, found)

    def row_tiles(self, tiles: RowTiles, **how: Any) -> dict[str, Any]:
        """The same of all rows, as ``tiles`` gives them."""
        tall = self.row_tile(tiles, tiles.cut.rows, **how)
        low = self.row_tile(tiles, tiles.cut.rows - 1, **how) if tiles.cut.low else (0, 0)
        return {"wide_tall": tall[0], "wide_low": low[0], "last_tall": tall[1], "last_low": low[1]}

    def split(self, tasks: int) -> tuple[int, int]:
        """(tasks, blocks of each) when blocks are handed out to as many as ``tasks`` tasks."""
        share = -(-self.blocks // max(1, min(tasks, self.blocks)))
        return -(-self.blocks // share), share


def _widest(columns: int) -> int:
    """Vectors of the widest block in tiles of a row of so many ``columns``; 0 where pixels lie in rows at will.

    With 16 registers tiles of fewer than 4 rows wait for their sums, of which a wider one has enough: 7 columns are
    tiles of 4 and 3 rows.
    """
    widest = most_vectors(host())
    if not columns or host().registers >= 32:
        return widest
    low = min(height for _, height in Columns.of(columns, most_rows(widest, host())).heights)
    return widest + 1 if low * widest < MULTIPLICATIONS * LATENCY else widest


def _vectors(channels: int) -> tuple[int, int]:
    """Vectors that hold so many channels, and how many of the last one's lanes they fill."""
    vectors = -(-channels // host().lanes)
    return vectors, channels - (vectors - 1) * host().lanes
