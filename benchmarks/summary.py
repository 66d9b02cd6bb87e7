"""What rows say together: networks' times, ratios to other libraries, and what was measured on what."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.text import Text

from deepcore.backend.dispatch import family
from deepcore.backend.explain import duration
from deepcore.benchmarks.machine import machine, stolen_text, threads_text
from deepcore.benchmarks.row import Row
from deepcore.benchmarks.suite import SUITES
from deepcore.benchmarks.table import CHOSEN


def summary(rows: Sequence[Row], interrupted: bool, planned: int) -> list[Text]:
    """Closing lines: the networks' times, what was measured where, and how to read the tables."""
    lines = compared(rows)
    for name, batch, forward, backward in network_times(rows):
        rate = batch / (forward + backward)
        lines.append(
            Text(f"{name}, batch {batch}: ", style="bold").append(
                f"forward {duration(forward)} + backward {duration(backward)} = {duration(forward + backward)}, "
                f"{rate:,.0f} images/s, for these layers alone (no activations, no optimizer).",
                style="not bold",
            )
        )
    lines += [*endings(rows, interrupted, planned), *measured_on(rows), *settings_of_peers(rows)]
    if rows:
        lines.append(
            Text(
                f"{CHOSEN} is what dispatch chooses. Times are of single calls: median, 20th and 80th percentile. "
                "Errors are relative to the sum of |products|; a bound that is not held shows WRONG.",
                style="dim",
            )
        )
    return [*lines, *ratio_legend(rows)]


def endings(rows: Sequence[Row], interrupted: bool, planned: int) -> list[Text]:
    """What was wrong, and whether the run came to its end."""
    lines = []
    wrong = sum(not row.correct for row in rows)
    if wrong:
        lines.append(Text(f"{wrong} of {len(rows)} rows are WRONG; a wrong result has no speed.", style="bold red"))
        lines += [
            Text(f"  {row.suite} {row.layer} {row.direction}, {row.implementation}: {row.message}", style="red")
            for row in rows
            if not row.correct
        ]
    if interrupted:
        lines.append(Text(f"Interrupted: {len(rows)} of {planned} rows were measured and kept.", style="yellow"))
    return lines


def measured_on(rows: Sequence[Row]) -> list[Text]:
    """Machine, threads and versions, and whether the machine had its cores."""
    last = next((row for row in reversed(rows) if not row.peer), None)
    if last is None:
        return []
    threads = f"{last.blas} on {threads_text(last.blas_threads)}, loops on {threads_text(last.threads)}"
    versions = ", ".join(f"{name} {last.versions[name]}" for name in ("numpy", "numba") if name in last.versions)
    lines = [Text(f"Measured on {machine()}; {threads}; {versions}; commit {last.commit}.")]
    stolen = stolen_text(row.stolen for row in rows)
    return [*lines, Text(stolen, style="yellow")] if stolen else lines


def ratio_legend(rows: Sequence[Row]) -> list[Text]:
    """How to read ratios, where there are any."""
    if not any(row.peer for row in rows):
        return []
    text = (
        "A ratio is a library's time divided by deepcore's in the same round: above 1, deepcore is faster. Of a "
        "library's layouts the fastest counts."
    )
    if rows[0].peak_bytes is not None:
        text = "A ratio is a library's peak divided by deepcore's: above 1, deepcore needs less."
    return [Text(text, style="dim")]


def compared(rows: Sequence[Row]) -> list[Text]:
    """For every suite, kind of operation and peer: the geometric mean of the ratios, and the worst."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        if row.peer and row.chosen and row.ratio_p50:
            groups.setdefault((row.suite, kind(row), row.peer), []).append(row)
    lines = []
    for (suite, what, _), members in groups.items():
        ratios = [row.ratio_p50 or 1.0 for row in members]
        mean = math.exp(math.fsum(map(math.log, ratios)) / len(ratios))
        worst = min(members, key=lambda row: row.ratio_p50 or 1.0)
        peer = f"{worst.peer} {worst.versions[worst.peer]}"
        count = "1 row" if len(members) == 1 else f"{len(members)} rows"
        lines.append(
            Text(f"{suite} {what} against {peer}: ", style="bold").append(
                f"{mean:.2f} (geometric mean of {count}, {sum(ratio >= 1 for ratio in ratios)} at least 1); "
                f"worst {worst.ratio_p50:.2f}, {worst.layer} {worst.direction}.",
                style="not bold",
            )
        )
    return lines


def kind(row: Row) -> str:
    """What the summary counts together: the operation, and depthwise convolutions by themselves."""
    return "depthwise" if row.shape.endswith(" depthwise") else family(row.op)


def settings_of_peers(rows: Sequence[Row]) -> list[Text]:
    """A line for each peer that was measured: its version, threads and settings."""
    found = {row.peer: row for row in rows if row.peer}
    lines = []
    for name, row in found.items():
        settings = ", ".join(f"{key}={value}" for key, value in row.settings.items() if key != "threads")
        text = f"{name} {row.versions[name]} on {threads_text(row.threads)}"
        lines.append(Text(f"{text}; {settings}." if settings else f"{text}."))
    return lines


def network_times(rows: Sequence[Row]) -> list[tuple[str, int, float, float]]:
    """(suite, batch, forward seconds, backward seconds) of every network all of whose layers were measured and right.

    Each direction of each layer counts with its chosen implementation's median, as often as the network has the layer.
    The first layer needs no gradient of its input, so its dgrad is left out. Layers between these (activations,
    normalisation) are not in the suites and not in the sum.
    """
    totals = []
    for name, suite in SUITES.items():
        mine = [
            row
            for row in rows
            if row.suite == name and not row.peer and row.chosen and row.correct and row.clock == rows[0].clock
        ]
        chosen = {(row.layer, row.direction): row for row in mine}
        needed = [
            (layer.name, direction)
            for i, layer in enumerate(suite.layers)
            for direction in layer.directions
            if (i, direction) != (0, "dgrad")
        ]
        if not suite.is_network or not all(key in chosen for key in needed):
            continue
        forward, backward = 0.0, 0.0
        for key in needed:
            seconds = chosen[key].count * (chosen[key].p50 or 0.0)
            if key[1] == "fprop":
                forward += seconds
            else:
                backward += seconds
        totals.append((name, chosen[needed[0]].batch, forward, backward))
    return totals
