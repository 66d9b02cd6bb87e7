"""Rows of whole networks as a table."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from rich.text import Text

from deepcore.backend.explain import duration
from deepcore.benchmarks.row import Row
from deepcore.benchmarks.summary import endings, measured_on, ratio_legend, settings_of_peers
from deepcore.benchmarks.table import RATIO, RATIO_SPREAD, Cell, Column, console, rate, ratio_cells, render, spread

_COLUMNS = (
    Column("network", style="cyan", repeats=False),
    Column("batch", right=True, repeats=False),
    Column("implementation"),
    Column("p50", right=True),
    Column("p20–p80", right=True, rank=2),
    RATIO,
    RATIO_SPREAD,
    Column("samples/s", right=True, rank=1),
    Column("max error", right=True, rank=4),
    Column("bound", right=True, rank=5),
    Column("why", rank=6, style="dim", flexible=True, wraps=False, least=30),
)
_MEMORY_COLUMNS = (
    _COLUMNS[0],
    _COLUMNS[1],
    _COLUMNS[2],
    Column("peak", right=True),
    RATIO,
    Column("before", right=True, rank=1),
    _COLUMNS[-1],
)
_TITLES = {
    "train": "Training: a whole step (forward, loss, backward, optimizer)",
    "predict": "Inference: a whole network",
    "memory": "Peak memory of a training step",
}
_LEGENDS = {
    "train": "Times are an epoch's, divided by its steps: median, 20th and 80th percentile of epochs that took turns. "
    "Errors are of the losses of three steps without dropout, against float64.",
    "predict": "Times are of single calls that took turns: median, 20th and 80th percentile. Errors are of the logits, "
    "relative to the largest, against float64.",
    "memory": "The most that was resident in the process of each library while it took two steps, and what was before: "
    "the library itself, weights and data.",
}


def print_report(stream: Any, rows: Sequence[Row], interrupted: bool, planned: int) -> None:
    """The table of ``deepcore bench train`` or ``predict``, what it was measured on, and how to read it."""
    out = console(stream)
    compared = any(row.peer for row in rows)
    for (suite, clock), group in groupby(rows, key=lambda row: (row.suite, row.clock)):
        columns, cells = (_MEMORY_COLUMNS, _memory_cells) if suite == "memory" else (_COLUMNS, _cells)
        kept = [i for i, column in enumerate(columns) if compared or column not in (RATIO, RATIO_SPREAD)]
        lines = [[line[i] for i in kept] for line in map(cells, group)]
        render(out, [columns[i] for i in kept], lines, _TITLES[suite] + (", processor time" if clock == "cpu" else ""))
    for line in [*endings(rows, interrupted, planned), *measured_on(rows), *settings_of_peers(rows)]:
        out.print(line)
    if rows:
        out.print(Text(_LEGENDS[rows[0].suite], style="dim"))
    for line in ratio_legend(rows):
        out.print(line)


def _cells(row: Row) -> list[Cell]:
    error = "∞" if row.error is None else f"{row.error:.1e}"
    if row.p20 is None or row.p50 is None or row.p80 is None:
        wrong = Text("WRONG", style="bold red")
        return [*_head(row), wrong, "", "", "", "", Text(error, style="red"), f"{row.bound:.1e}", row.message]
    samples = row.batch / row.p50
    times = [duration(row.p50), spread(row.p20, row.p80)]
    return [
        *_head(row),
        *times,
        *ratio_cells(row),
        f"{samples:,.0f}" if samples >= 100 else rate(samples),
        error,
        f"{row.bound:.1e}",
        row.why,
    ]


def _memory_cells(row: Row) -> list[Cell]:
    peak: Cell = _size(row.peak_bytes or 0) if row.correct else Text("WRONG", style="bold red")
    return [*_head(row), peak, ratio_cells(row)[0], _size(row.bytes), row.why if row.correct else row.message]


def _head(row: Row) -> list[Cell]:
    return [row.layer, str(row.batch), Text(row.implementation, style="" if row.peer else "bold green")]


def _size(count: int) -> str:
    """Bytes in words.

    >>> _size(2_287_390_720), _size(524_288)
    ('2.13 GiB', '0.5 MiB')
    """
    return f"{count / 2**30:.2f} GiB" if count >= 2**30 else f"{count / 2**20:,.1f} MiB"
