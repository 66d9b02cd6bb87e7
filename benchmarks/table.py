"""Rows as tables that fit where they are read: a terminal of any width, or a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deepcore.backend.explain import duration
from deepcore.benchmarks.row import Row
from deepcore.benchmarks.suite import SUITES

CHOSEN = "▸"
_PIPE_WIDTH = 10_000
_GAP = 3


def console(stream: Any) -> Console:
    """A console for tables: as the terminal is, or plain and as wide as the text where ``stream`` is no terminal."""
    if stream.isatty():
        return Console(file=stream, highlight=False)
    return Console(
        file=stream,
        width=_PIPE_WIDTH,
        color_system=None,
        force_terminal=False,
        highlight=False,
        soft_wrap=True,
    )


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: its heading.
        right: whether numbers line up on the right.
        rank: columns of the highest rank go first when the width does not hold all; rank 0 stays.
        style: of its cells.
        flexible: whether its cells may be narrower than their text.
        least: characters that a flexible column needs to be worth showing.
        wraps: whether a narrow cell goes on in the next line, or is cut short.
        repeats: whether a cell equal to the one above it is shown again.
    """

    title: str
    right: bool = False
    rank: int = 0
    style: str = ""
    flexible: bool = False
    wraps: bool = True
    least: int = 24
    repeats: bool = True


Cell = str | Text


def render(
    out: Console, columns: Sequence[Column], rows: Sequence[Sequence[Cell]], title: str = "", caption: str = ""
) -> None:
    """Prints a table that fits the console, leaving out the columns of highest rank, and says which.

    Where the output is no terminal, every column is there and every line complete, so that it can be searched.
    """
    plain = not out.is_terminal
    kept = list(range(len(columns)))
    widths = [_width(column, [row[i] for row in rows]) for i, column in enumerate(columns)]
    while not plain and _needed([columns[i] for i in kept], [widths[i] for i in kept]) > out.width:
        worst = max(kept, key=lambda i: (columns[i].rank, i))
        if columns[worst].rank == 0:
            break
        kept.remove(worst)
    taken = sum(widths[i] + _GAP for i in kept if not columns[i].flexible)
    table = Table(box=None if plain else box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
    table.show_header = any(column.title for column in columns)
    for i in kept:
        column = columns[i]
        table.add_column(
            column.title,
            justify="right" if column.right else "left",
            style=column.style,
            no_wrap=plain or not (column.flexible and column.wraps),
            overflow="fold" if column.wraps else "ellipsis",
            header_style="bold",
            width=widths[i] if plain or not column.flexible else max(1, min(widths[i], out.width - taken - _GAP)),
        )
    above: list[Cell] = []
    for row in rows:
        cells = [row[i] for i in kept]
        shown = [Text(cell) if isinstance(cell, str) else cell for cell in cells]  # a str would be read as markup
        for position, i in enumerate(kept):
            if plain or columns[i].repeats or not above or cells[: position + 1] != above[: position + 1]:
                continue
            shown[position] = Text()
        table.add_row(*shown)
        above = cells
    if title:
        out.print(Text(title, style="bold"))
    out.print(table)
    hidden = [columns[i].title for i in range(len(columns)) if i not in kept]
    if hidden:
        caption = f"{caption}{' ' if caption else ''}Hidden at this width: {', '.join(hidden)}."
    if caption:
        out.print(Text(caption, style="dim"))
    out.print()


def _width(column: Column, cells: Sequence[Cell]) -> int:
    """Characters of the widest cell."""
    return max(Text(cell).cell_len if isinstance(cell, str) else cell.cell_len for cell in (column.title, *cells))


def _needed(columns: Sequence[Column], widths: Sequence[int]) -> int:
    """The least width at which the columns stand side by side, a flexible one ``least`` wide."""
    least = [
        min(width, column.least) if column.flexible else width for column, width in zip(columns, widths, strict=True)
    ]
    return sum(least) + _GAP * len(least)  # with the gap after the last, which older versions of rich count


# A peer's time over that of deepcore's choice; these columns are there only where there is a peer.
RATIO = Column("ratio", right=True)
RATIO_SPREAD = Column("ratio p20–p80", right=True, rank=3)

_COLUMNS = (
    Column("layer", style="cyan", repeats=False),
    Column("shape", rank=2, repeats=False),
    Column("direction", repeats=False),
    Column("implementation"),
    Column("p50", right=True),
    Column("p20–p80", right=True, rank=4),
    RATIO,
    RATIO_SPREAD,
    Column("GFLOP/s", right=True, rank=1),
    Column("GB/s", right=True, rank=3),
    Column("max error", right=True, rank=5),
    Column("bound", right=True, rank=7),
    Column("why", rank=6, style="dim", flexible=True, wraps=False, least=44),
)


def print_rows(out: Console, rows: Sequence[Row], every: bool = False) -> None:
    """One table a suite and clock, layers in the order in which they were measured.

    Of a peer's layouts the fastest is shown, or ``every`` one; a wrong one is always shown.
    """
    shown = [row for row in rows if every or not row.peer or row.chosen or not row.correct]
    for (suite, clock), group in groupby(shown, key=lambda row: (row.suite, row.clock)):
        members = list(group)
        first = members[0]
        sizes = sorted({row.batch for row in members})
        batch = f"batch {', '.join(map(str, sizes))}"
        measured = {"call": "whole call", "cpu": "processor time of a call"}.get(clock, clock)
        title = f"{SUITES[suite].title if suite in SUITES else suite}: {batch}, {first.dtype}, {first.cache} cache"
        compared = any(row.peer for row in members)
        kept = [i for i, column in enumerate(_COLUMNS) if compared or column not in (RATIO, RATIO_SPREAD)]
        cells = [_cells(row) for row in members]
        render(
            out,
            [_COLUMNS[i] for i in kept],
            [[line[i] for i in kept] for line in cells],
            f"{title}, {first.device}, {measured}",
        )


def _cells(row: Row) -> list[Cell]:
    style = "" if not row.chosen else "green" if row.peer else "bold green"
    name = Text(f"{CHOSEN if row.chosen and not row.peer else ' '} {row.implementation}", style=style)
    head: list[Cell] = [row.layer, row.shape, row.direction, name]
    error = "" if row.error is None else f"{row.error:.1e}"
    if not row.correct:
        wrong = Text("WRONG", style="bold red")
        return [*head, wrong, "", "", "", "", "", Text(error or "∞", style="red"), f"{row.bound:.1e}", row.message]
    assert row.p20 is not None
    assert row.p50 is not None
    assert row.p80 is not None
    return [
        *head,
        duration(row.p50),
        spread(row.p20, row.p80),
        *ratio_cells(row),
        rate(row.gflops),
        rate(row.gbytes),
        "exact" if row.error == 0 else error,
        f"{row.bound:.1e}",
        row.why,
    ]


def ratio_cells(row: Row) -> tuple[Cell, Cell]:
    """A peer's ratio, red where deepcore was slower, and its spread; empty for a row that has none."""
    if row.ratio_p50 is None or row.ratio_p20 is None or row.ratio_p80 is None:
        return "", ""
    style = "red" if row.ratio_p50 < 1 else "green"
    return Text(f"{row.ratio_p50:.2f}", style=style), f"{row.ratio_p20:.2f}–{row.ratio_p80:.2f}"


def rate(value: float | None) -> str:
    """Enough digits to compare, and decimals that line up.

    >>> rate(None), rate(0.0312), rate(3.14159), rate(314.159)
    ('', '0.03', '3.14', '314')
    """
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def spread(low: float, high: float) -> str:
    """A range whose unit is said once where both ends have the same.

    >>> spread(0.0011, 0.0013), spread(0.0009, 0.0013)
    ('1.1–1.3 ms', '900 us–1.3 ms')
    """
    first, last = duration(low), duration(high)
    number, _, unit = first.partition(" ")
    return f"{number}–{last}" if last.endswith(f" {unit}") else f"{first}–{last}"
