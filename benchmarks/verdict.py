"""Whether dispatch's estimates of cost choose what the clock finds fastest."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from deepcore.backend.explain import duration
from deepcore.benchmarks.row import Row
from deepcore.benchmarks.table import Cell, Column, render

_TIE = 1.05
_VERDICT_COLUMNS = (
    Column("layer", style="cyan", repeats=False),
    Column("direction"),
    Column("dispatch took"),
    Column("p50", right=True),
    Column("fastest"),
    Column("p50 ", right=True),
    Column("lost", right=True),
)


def print_verdicts(out: Console, rows: Sequence[Row]) -> None:
    """Whether dispatch's estimates chose well: its choice and the fastest of each case, and what the choices cost.

    A choice within 5 % of the fastest counts as the fastest. Prints nothing where no case has two implementations.
    """
    cases = [
        (chosen, min(members, key=lambda row: row.p50 or math.inf))
        for members in _cases(rows)
        if len(members) > 1 and (chosen := next((row for row in members if row.chosen), None)) is not None
    ]
    if not cases:
        return
    lines: list[list[Cell]] = []
    lost = [(chosen.p50 or 0.0) / (best.p50 or 1.0) for chosen, best in cases]
    for (chosen, best), factor in zip(cases, lost, strict=True):
        head = [f"{chosen.suite} {chosen.layer}", chosen.direction, chosen.implementation, duration(chosen.p50 or 0.0)]
        right = factor <= _TIE
        cost = "" if right else Text(f"{factor - 1:.0%}", style="red")
        lines.append([*head, *(("", "") if right else (best.implementation, duration(best.p50 or 0.0))), cost])
    render(out, _VERDICT_COLUMNS, lines, "Did dispatch choose the fastest?")
    total = sum(chosen.p50 or 0.0 for chosen, _ in cases) / sum(best.p50 or 0.0 for _, best in cases)
    good = sum(factor <= _TIE for factor in lost)
    text = (
        f"Dispatch chose the fastest, or one within {_TIE - 1:.0%} of it, in {good} of {len(cases)} cases; all its choices "
        f"together take {total:.2f} times as long as the fastest."
    )
    if good < len(cases):
        chosen, best = cases[lost.index(max(lost))]
        text += (
            f" Worst: {chosen.suite} {chosen.layer} {chosen.direction}, {chosen.implementation} {duration(chosen.p50 or 0)} "
            f"where {best.implementation} takes {duration(best.p50 or 0)}."
        )
    out.print(Text(text))
    out.print()


def _cases(rows: Sequence[Row]) -> list[list[Row]]:
    """deepcore's right rows of each case, by its first clock."""
    found: dict[tuple[str, str, str, int, str], list[Row]] = {}
    for row in rows:
        if row.correct and not row.peer and row.clock == rows[0].clock:
            found.setdefault((row.suite, row.layer, row.direction, row.batch, row.dtype), []).append(row)
    return list(found.values())
