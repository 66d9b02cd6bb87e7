"""Which calls of tiles make a row of a convolution's outputs.

A tile that reads no padding is one call, with all taps of the window. Padding need not be there to be read: where
windows reach beyond the input, the rows of taps that lie outside are left out for the whole row of outputs, and at its
ends each column of taps is summed for those outputs of a tile alone that have it inside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from deepcore.backend.numpy.columns import Columns
from deepcore.backend.numpy.window import Axis
from deepcore.kernels.cpu.record import CALL, LINE, TILE, address


class Piece(NamedTuple):
    """``height`` neighbouring outputs from ``first`` on, and the columns of ``taps`` that are summed for them."""

    first: int
    height: int
    taps: range


Tile = tuple[Piece, ...]  # its pieces, the last of which are of all its outputs


def with_padding(cols: Axis, cut: Columns) -> tuple[Tile, ...]:
    """The tiles of a row, where all that windows read lies in memory."""
    return tuple((Piece(first, height, range(cols.taps)),) for first, height in cut.tiles)


def without_padding(cols: Axis, cut: Columns, apart: bool) -> tuple[Tile, ...]:
    """The tiles of a row, where padding does not; () where some outputs of a tile have no tap in common.

    ``apart``: columns of taps that are not all of them are no run of neighbouring elements, but each its own.
    """
    return tuple(filter(None, (_at_border(cols, first, height, apart) for first, height in cut.tiles)))


def _at_border(cols: Axis, first: int, height: int, apart: bool) -> Tile:
    inside = [cols.taps_inside(output) for output in range(first, first + height)]
    common = range(max(taps.start for taps in inside), min(taps.stop for taps in inside))
    pieces = []
    for tap in range(cols.taps):
        having = [first + i for i, taps in enumerate(inside) if tap in taps]
        if having and tap not in common:
            pieces.append(Piece(having[0], len(having), range(tap, tap + 1)))
    if apart and len(common) < cols.taps:
        pieces += [Piece(first, height, range(tap, tap + 1)) for tap in common]
    elif common:
        pieces.append(Piece(first, height, common))
    return tuple(pieces) if common else ()


@dataclass(frozen=True)
class Sum:
    """What is summed for an output, as runs of neighbouring elements of the input.

    Attributes:
        runs: where they begin, from where the window does; bytes.
        steps: of each.
        part: how many runs are summed before the next tile is made.
        row_starts: where the window's rows begin.
        tap: from one column of taps to the next in the input; bytes.
        depth: steps of one tap.
        beside: where the weights and the channels begin, in bytes, of the blocks that are made of each tile before the
            next tile.
    """

    runs: np.ndarray
    steps: int
    part: int
    row_starts: np.ndarray
    tap: int
    depth: int
    beside: tuple[tuple[int, int], ...] = ((0, 0),)

    @property
    def parts(self) -> int:
        return -(-len(self.runs) // self.part)


class Lines(NamedTuple):
    """``lines``: a ``LINE`` for each row of outputs and each part. ``calls``: two ``CALL`` of each number; ``told`` is
    what these are told."""

    lines: np.ndarray
    calls: np.ndarray
    told: np.ndarray


def lines(
    rows: Axis, cols: Axis, tiles: tuple[Tile, ...], padded: bool, sums: Sum, told: np.ndarray, kernels: Callable
) -> Lines:
    """The calls of every row of outputs.

    Args:
        rows, cols: how windows lie on the input.
        tiles: of a row.
        padded: whether rows of the window that lie outside are read, too.
        sums: of an output.
        told: two ``TILE``, what all tiles of wide blocks and of the last one are told.
        kernels: the addresses of these for a height.
    """
    every: dict[bytes, int] = {}
    calls: list[np.ndarray] = []

    def add(piece: Piece, begin: int, stop: int, first: bool, last: bool) -> None:
        """A call that sums the runs ``begin`` to ``stop``, or what the piece has of them."""
        one, call = told.copy(), np.zeros(2, CALL)
        call["a"] = piece.first * one["a_row"]
        call["c"] = piece.first * one["c_row"]
        one["offsets"], one["runs"] = address(sums.runs) + begin * sums.runs.itemsize, stop - begin
        call["b"] = begin * sums.steps * one["b_step"]
        if len(piece.taps) < cols.taps:
            of_row = len(sums.runs) // rows.taps
            row = begin // of_row
            one["offsets"] = address(sums.row_starts) + row * sums.row_starts.itemsize
            one["runs"], one["steps"] = (stop - begin) // of_row, len(piece.taps) * sums.depth
            one["b_skip"] = (cols.taps - len(piece.taps)) * sums.depth * one["b_step"]
            call["a"] += piece.taps.start * sums.tap
            call["b"] = (row * cols.taps + piece.taps.start) * sums.depth * one["b_step"]
        one["next_step"] = one["next_a"] // one["steps"]
        call["begins"] = first
        if first:
            one["init_row"] = 0
        if not last:
            one["floor"], one["ceiling"] = -np.inf, np.inf
        call["tile"] = kernels(piece.height)
        call["told"] = every.setdefault(one.tobytes(), len(every))
        for weights, channels in sums.beside:
            of_block = call.copy()
            of_block["b"] += weights
            of_block["c"] += channels
            of_block["init"] = channels
            calls.append(of_block)

    def made(taps: range) -> np.ndarray:
        """The lines of a row of outputs that sums these rows of the window."""
        of_row = len(sums.runs) // rows.taps
        found = np.zeros(sums.parts, LINE)
        begin, stop = taps.start * of_row, taps.stop * of_row
        for part in range(begin // sums.part, -(-stop // sums.part)):
            low, high = max(begin, part * sums.part), min(stop, (part + 1) * sums.part)
            found["first"][part] = len(calls)
            for tile in tiles:
                whole = tile[-1]
                if len(tile) > 1 and low == begin:
                    call = np.zeros(2, CALL)
                    call["c"], call["biased"] = whole.first * told["c_row"], whole.height
                    calls.append(call)
                for piece in tile:
                    add(piece, low, high, low == begin and len(tile) == 1, high == stop and piece is whole)
            found["calls"][part] = len(calls) - found["first"][part]
        return found

    by_taps: dict[range, np.ndarray] = {}
    result = np.zeros((rows.outputs, sums.parts), LINE)
    for output in range(rows.outputs):
        taps = range(rows.taps) if padded else rows.taps_inside(output)
        if taps not in by_taps:
            by_taps[taps] = made(taps)
        result[output] = by_taps[taps]
    all_told = np.frombuffer(b"".join(every), TILE).reshape(-1, 2)
    numbered = np.stack(calls)
    numbered["told"] = address(all_told) + (2 * numbered["told"] + (0, 1)) * TILE.itemsize
    return Lines(result, numbered, all_told)
