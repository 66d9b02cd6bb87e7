"""How a matrix is cut into the blocks of a grid: by rows (``row.cuh``), or by tiles of columns (``column.cuh``).

A plan depends on the sizes alone, so that a sum has the same bits on every GPU and on the emulator.
"""

from __future__ import annotations

from dataclasses import dataclass

from deepcore.backend.cuda.cost import MOST_BLOCKS

_BLOCK = 256  # threads
_ENOUGH = 264  # blocks that keep a large GPU busy: two for each of 132 multiprocessors
_SHORT_STRIP = 64  # additions of one thread that cost less than a second launch
_LONGEST_STRIP = 128  # additions of one thread, one after the other: bounds the rounding error of a float32 sum


def row_threads(columns: int) -> int:
    """Threads for a row, the macro ``ROW_THREADS``: a quarter of a warp, a warp, or a block.

    >>> row_threads(10), row_threads(768), row_threads(50_000)
    (8, 32, 256)
    """
    return 8 if columns <= 16 else 32 if columns <= 1024 else 256


def row_grid(rows: int, threads: int) -> int:
    """Blocks for ``rows`` rows of ``threads`` threads each; a loop takes the rows that are left."""
    return max(1, min(-(-rows // (_BLOCK // threads)), 4 * MOST_BLOCKS))


def chunk_columns(rows: int, columns: int) -> int:
    """How many elements of a row one block reduces, a multiple of 16: all of it, unless rows are few and long.

    >>> chunk_columns(1000, 100), chunk_columns(1, 10_000_000), chunk_columns(1, 5000)
    (112, 16384, 2048)
    """
    if columns <= 1024:
        return -(-columns // 16) * 16
    wanted = -(-rows * columns // _ENOUGH)
    return -(-min(max(wanted, 8 * _BLOCK), 64 * _BLOCK) // 16) * 16


@dataclass(frozen=True)
class ColumnPlan:
    """A launch over ``outer`` matrices [rows, columns], a block for each tile of columns and chunk of rows.

    Attributes:
        block: its threads: across columns, along rows.
        grid: blocks; a loop takes the tasks that are left.
        chunk_rows: rows of a chunk.
        chunks: chunks of one matrix.
    """

    block: tuple[int, int]
    grid: int
    chunk_rows: int
    chunks: int

    @classmethod
    def of(cls, rows: int, columns: int, outer: int = 1) -> ColumnPlan:
        """Rows that are few enough for one block are one chunk; others are cut until there are enough blocks.

        >>> ColumnPlan.of(rows=128, columns=10)
        ColumnPlan(block=(8, 32), grid=2, chunk_rows=128, chunks=1)
        >>> ColumnPlan.of(rows=100_000, columns=64)
        ColumnPlan(block=(32, 8), grid=264, chunk_rows=760, chunks=132)
        """
        width = _power_of_two(columns)
        if outer * -(-columns // width) < _ENOUGH // 2 and rows <= _SHORT_STRIP * _BLOCK // 8:
            width = min(width, 8)  # few results: more threads along the rows
        strips, tiles = _BLOCK // width, outer * -(-columns // width)
        strip = min(max(-(-rows * tiles // (strips * _ENOUGH)), 16), _LONGEST_STRIP)
        chunk_rows = max(rows, 1) if rows <= strips * _SHORT_STRIP else strips * strip
        chunks = -(-max(rows, 1) // chunk_rows)
        return cls((width, strips), max(1, min(tiles * chunks, 4 * MOST_BLOCKS)), chunk_rows, chunks)


def _power_of_two(columns: int) -> int:
    """The smallest power of two that is not below ``columns``, at most a warp."""
    return min(32, 1 << max(columns - 1, 0).bit_length())
