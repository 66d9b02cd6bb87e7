"""``deepcore bench``: what layers of well-known networks cost here, once they are right."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepcore.cli.terminal import INTERRUPTED, sentences

if TYPE_CHECKING:
    from deepcore.benchmarks.case import Case
    from deepcore.benchmarks.row import Row
    from deepcore.benchmarks.run import Job

bench = typer.Typer(
    help="Measure what is here. Every result is checked against exact values before its time is shown.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

WRONG = 1


@bench.callback()
def _bench() -> None:
    pass


@bench.command()
def ops(
    suite: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="lenet, alexnet, vgg16, resnet50, mobilenet, deepbench or all; repeatable. A selection by default.",
        ),
    ] = None,
    layer: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Layers by name or pattern: conv1*; repeatable.")
    ] = None,
    op: Annotated[
        list[str] | None,
        typer.Option(metavar="OP", help="conv2d, max_pool2d, avg_pool2d, matmul or one direction; repeatable."),
    ] = None,
    direction: Annotated[
        list[str] | None, typer.Option(metavar="WAY", help="fprop, dgrad, wgrad or all (the default); repeatable.")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Images a call; each suite has its own otherwise.")
    ] = None,
    dtype: Annotated[str, typer.Option(metavar="NAME", help="float32 or float64.")] = "float32",
    device: Annotated[str, typer.Option(metavar="NAME", help="Where to run: cpu or cuda.")] = "cpu",
    implementation: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Measure this one instead of what dispatch chooses; repeatable."),
    ] = None,
    all_implementations: Annotated[
        bool, typer.Option("--all-implementations", "-a", help="Measure every implementation that serves the call.")
    ] = False,
    repeats: Annotated[int, typer.Option(min=1, metavar="N", help="The most calls a row.")] = 50,
    seconds: Annotated[
        float, typer.Option(min=0.0, metavar="S", help="Seconds a row may take, but at least three calls.")
    ] = 0.3,
    cold: Annotated[
        bool, typer.Option("--cold/--warm", help="Inputs come from memory (cold) or may be in a cache (warm).")
    ] = True,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Append rows to this file of JSON lines as they finish.")
    ] = None,
    output_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep rows and tables in new files in this folder, named by the time."),
    ] = None,
) -> None:
    """Measure convolution, pooling and matrix products on layers of well-known networks.

    Each implementation is first held to exact float64 values; a wrong one is shown as WRONG, without a time, and the
    command ends with status 1. Ctrl-C keeps and shows what was measured so far.

    [bold]Examples[/bold]

    deepcore bench ops

    deepcore bench ops --suite resnet50 --layer "conv4*" --direction fprop -a

    deepcore bench ops --suite all --batch 16 --output-dir results
    """
    from deepcore.benchmarks.device import open_device
    from deepcore.benchmarks.run import Setting, plan

    with sentences():
        if implementation and all_implementations:
            raise ValueError("--implementation and --all-implementations exclude each other.")
        cases = select(suite or (), layer or (), op or (), direction or (), batch, dtype)
        place = open_device(device)
        jobs = plan(cases, place, implementation or (), all_implementations)
        stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        kept = None if output_dir is None else output_dir / f"ops-{stamp}"
        files = [path for path in (json, kept and kept.with_suffix(".jsonl")) if path is not None]
        if not any(job.candidates for job in jobs):
            reasons = {f"{c.implementation.name}: {c.why}" for job in jobs for c in job.left_out}
            raise ValueError(f"Nothing to measure; {'; '.join(sorted(reasons)) or 'no implementation'}.")
    setting = Setting(repeats, seconds, cold)

    with sentences():
        rows, interrupted = _measure(jobs, place, setting, files)
    _report(sys.stdout, rows, jobs, interrupted)
    if kept is not None:
        with kept.with_suffix(".txt").open("w", encoding="utf-8") as text:
            _report(text, rows, jobs, interrupted)
    if interrupted:
        raise typer.Exit(INTERRUPTED)
    if not all(row.correct for row in rows):
        raise typer.Exit(WRONG)


def select(
    suites: Sequence[str],
    layers: Sequence[str],
    ops: Sequence[str],
    directions: Sequence[str],
    batch: int | None = None,
    dtype: str = "float32",
) -> list[Case]:
    """The cases that the options name. Raises ``ValueError`` for an unknown name, or if nothing is left."""
    from deepcore.backend.dispatch import family
    from deepcore.benchmarks.case import DIRECTIONS, OPERATIONS, cases_of
    from deepcore.benchmarks.suite import SUITES, default_selection, find_suite
    from deepcore.errors import unknown_name

    if dtype not in ("float32", "float64"):
        raise unknown_name("dtype", dtype, ("float32", "float64"))
    known_ops = {*OPERATIONS, *map(family, OPERATIONS)}
    for name in ops:
        if name not in known_ops:
            raise unknown_name("operation", name, known_ops)
    for name in directions:
        if name not in (*DIRECTIONS, "all"):
            raise unknown_name("direction", name, (*DIRECTIONS, "all"))
    wanted = DIRECTIONS if not directions or "all" in directions else directions
    names = list(SUITES) if "all" in suites else list(dict.fromkeys(suites))
    pairs = [(found, layer) for found in map(find_suite, names) for layer in found.layers]
    if not names:
        pairs = (
            [(found, layer) for found in SUITES.values() for layer in found.layers] if layers else default_selection()
        )
    for pattern in layers:
        if not any(fnmatchcase(layer.name, pattern) for _, layer in pairs):
            raise unknown_name("layer", pattern, {layer.name for _, layer in pairs})
    cases = [
        case
        for found, layer in pairs
        if not layers or any(fnmatchcase(layer.name, pattern) for pattern in layers)
        for case in cases_of(found, layer, wanted, batch, dtype)
        if not ops or case.op in ops or family(case.op) in ops
    ]
    if not cases:
        raise ValueError(
            f"Nothing to measure: suite {', '.join(names) or 'default'} has no layer {', '.join(layers) or 'at all'} "
            f"of operation {', '.join(ops) or 'any'} in direction {', '.join(wanted)}."
        )
    return cases


def _measure(jobs: Sequence[Job], place: Any, setting: Any, files: list[Path]) -> tuple[list[Row], bool]:
    """Rows, and whether Ctrl-C ended the run; rows are in ``files`` as soon as their case is done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from deepcore.benchmarks.machine import machine
    from deepcore.benchmarks.row import Writer
    from deepcore.benchmarks.run import measure

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
        task = progress.add_task("", total=sum(len(job.candidates) for job in jobs))
        try:
            for job in jobs:
                case = job.case
                progress.update(task, description=f"{case.suite} {case.layer} {case.direction}")
                for row in measure(job, place, setting):
                    rows.append(row)
                    writer.write(row)
                    progress.advance(task)
        except KeyboardInterrupt:
            return rows, True
    return rows, False


def _report(stream: Any, rows: Sequence[Row], jobs: Sequence[Job], interrupted: bool) -> None:
    """The tables, what was left out and why, and how to read it all."""
    from rich.text import Text

    from deepcore.backend.dispatch import family
    from deepcore.benchmarks.table import console, print_rows, summary

    out = console(stream)
    print_rows(out, rows)
    left_out: dict[str, tuple[str, list[str]]] = {}
    for job in jobs:
        for candidate in job.left_out:
            name = f"{family(job.case.op)} {candidate.implementation.name}"
            left_out.setdefault(name, (candidate.why, []))[1].append(f"{job.case.suite} {job.case.layer}")
    if left_out:
        out.print(Text("Not measured", style="bold"))
        for name, (why, where) in left_out.items():
            first, *others = dict.fromkeys(where)
            more = f" and {len(others)} more" if others else ""
            out.print(Text(f"{name}, on {first}{more}: {why}", style="dim"))
        out.print()
    for line in summary(rows, interrupted, sum(len(job.candidates) for job in jobs)):
        out.print(line)
