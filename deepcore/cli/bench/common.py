"""What the commands of ``deepcore bench`` share: options, files, the bar, and how a run ends."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepcore.cli.terminal import INTERRUPTED, sentences

if TYPE_CHECKING:
    from deepcore.benchmarks.peer import Peer
    from deepcore.benchmarks.row import Row

WRONG = 1

Against = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PEER",
        help="Measure other libraries in the same run: torch, jax or all that are installed; commas or repeatable.",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Threads, of deepcore and of every other library; every core by default."),
]
NetworkAgainst = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PEER",
        help="Measure other libraries in the same run: torch, keras or all that are installed; commas or repeatable.",
    ),
]
Clock = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="call: what a clock on the wall shows. cpu: processor time, steady on a busy machine, with --threads 1.",
    ),
]
Json = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Append rows to this file of JSON lines as they finish.")
]
OutputDir = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Keep rows and tables in new files in this folder, named by the time."),
]

# What is measured next, in a few words, and what measures it.
Work = tuple[str, Callable[[], "Sequence[Row]"]]


class Files:
    """Where a run is kept: ``--json``, and rows and tables named ``<command>-<time>`` in ``--output-dir``."""

    def __init__(self, command: str, json: Path | None, folder: Path | None) -> None:
        stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        kept = None if folder is None else folder / f"{command}-{stamp}"
        self.rows = [path for path in (json, kept and kept.with_suffix(".jsonl")) if path is not None]
        self.text = kept and kept.with_suffix(".txt")


def run(works: Sequence[Work], total: int, files: Files, report: Callable[[Any, list[Row], bool], None]) -> None:
    """Measures with a bar, keeps each row as soon as it is there, then writes ``report(stream, rows, interrupted)``.

    Ends the command with a status where it was interrupted, and where a row is wrong.
    """
    with sentences():
        rows, interrupted = _measure(works, total, files.rows)
    report(sys.stdout, rows, interrupted)
    if files.text is not None:
        with files.text.open("w", encoding="utf-8") as text:
            report(text, rows, interrupted)
    if interrupted:
        raise typer.Exit(INTERRUPTED)
    if not all(row.correct for row in rows):
        raise typer.Exit(WRONG)


def set_up(count: int | None, against: Sequence[str] | None, clock: str, *, networks: bool = False) -> list[Peer]:
    """The libraries ``against``, on as many threads as deepcore, which is set to ``count`` if that was asked for.

    Raises ``ValueError`` for libraries that are not there, and for a clock that has no meaning on so many threads.
    """
    from deepcore.benchmarks.device import known_clock
    from deepcore.benchmarks.machine import loop_threads, set_threads
    from deepcore.benchmarks.peer import NETWORK_PEERS, PEERS, open_peers

    known_clock(clock)
    if count is not None:
        set_threads(count)
    used = loop_threads()
    if clock == "cpu" and used != 1:
        raise ValueError(f"--clock cpu is the time of a call only on one thread, not on {used}; add --threads 1.")
    peers = open_peers(against or (), used, NETWORK_PEERS if networks else PEERS)
    if peers:
        set_threads(used)  # loops and products alike, and what their imports have loaded, such as SciPy's BLAS
    return peers


def _measure(works: Iterable[Work], total: int, files: list[Path]) -> tuple[list[Row], bool]:
    """Rows, and whether Ctrl-C ended the run; rows are in ``files`` as soon as their work is done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from deepcore.benchmarks.machine import machine
    from deepcore.benchmarks.row import Writer

    errors = Console(stderr=True, highlight=False)
    for warning in machine().warnings:
        errors.print(f"Warning: {warning}", style="yellow", markup=False)
    rows: list[Row] = []
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
        expand=True,
        disable=not errors.is_terminal,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with Writer(files) as writer, progress:
        task = progress.add_task("", total=total)
        try:
            for description, measure in works:
                progress.update(task, description=description)
                for row in measure():
                    rows.append(row)
                    writer.write(row)
                    progress.advance(task)
        except KeyboardInterrupt:
            return rows, True
    return rows, False
