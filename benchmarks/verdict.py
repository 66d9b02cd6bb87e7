"""Whether dispatch's estimates of cost choose what the clock finds fastest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from deepcore.backend.explain import duration
from deepcore.benchmarks.row import Row
from deepcore.benchmarks.table import Cell, Column, render

TIE = 1.05  # a choice that takes up to 5 % longer than the fastest is as good: runs differ by as much

_COLUMNS = (
    Column("layer", style="cyan", repeats=False),
    Column("direction"),
    Column("dispatch took"),
    Column("p50", right=True),
    Column("fastest"),
    Column("its p50", right=True),
    Column("lost", right=True),
)


@dataclass(frozen=True)
class Verdict:
    """Dispatch's choice in one case, and the implementation that was fastest there."""

    chosen: Row
    fastest: Row

    @property
    def factor(self) -> float:
        """How many times as long as the fastest the choice takes."""
        return _seconds(self.chosen) / _seconds(self.fastest)

    @property
    def good(self) -> bool:
        return self.factor <= TIE


def verdicts(rows: Sequence[Row]) -> list[Verdict]:
    """Of every case that was measured with dispatch's choice and another implementation; right rows only."""
    cases: dict[tuple[str, str, str, int, str], list[Row]] = {}
    for row in rows:
        if row.correct and not row.peer and row.clock == rows[0].clock:
            cases.setdefault((row.suite, row.layer, row.direction, row.batch, row.dtype), []).append(row)
    found = []
    for members in cases.values():
        chosen = next((row for row in members if row.chosen), None)
        if len(members) > 1 and chosen is not None:
            found.append(Verdict(chosen, min(members, key=_seconds)))
    return found


def print_verdicts(out: Console, rows: Sequence[Row]) -> None:
    """A line for each of the ``verdicts``, and what they say together; nothing where there are none."""
    found = verdicts(rows)
    if not found:
        return
    render(out, _COLUMNS, [_cells(one) for one in found], "Did dispatch choose the fastest?")
    together = math.fsum(_seconds(one.chosen) for one in found) / math.fsum(_seconds(one.fastest) for one in found)
    text = (
        f"Dispatch chose the fastest, or one within {TIE - 1:.0%} of it, in {sum(one.good for one in found)} of "
        f"{len(found)} cases; together its choices take {together:.2f} times as long as the fastest."
    )
    worst = max(found, key=lambda one: one.factor)
    if not worst.good:
        row, best = worst.chosen, worst.fastest
        text += (
            f" Worst: {row.suite} {row.layer} {row.direction}, where {row.implementation} takes "
            f"{duration(_seconds(row))} and {best.implementation} {duration(_seconds(best))}."
        )
    out.print(Text(text))
    out.print()


def _cells(one: Verdict) -> list[Cell]:
    row, best = one.chosen, one.fastest
    head: list[Cell] = [f"{row.suite} {row.layer}", row.direction, row.implementation, duration(_seconds(row))]
    if best is row:
        return [*head, "the same", "", ""]
    lost = Text(f"{one.factor - 1:.0%}", style="" if one.good else "red")
    return [*head, best.implementation, duration(_seconds(best)), lost]


def _seconds(row: Row) -> float:
    assert row.p50 is not None
    return row.p50
