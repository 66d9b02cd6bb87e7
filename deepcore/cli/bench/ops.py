"""``deepcore bench ops``: what layers of well-known networks cost here, once they are right."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepcore.cli.bench.common import Against, Clock, Files, Json, OutputDir, Threads, run, set_up
from deepcore.cli.terminal import sentences

if TYPE_CHECKING:
    from deepcore.benchmarks.case import Case
    from deepcore.benchmarks.row import Row
    from deepcore.benchmarks.run import Job


def ops(
    suite: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="lenet, alexnet, vgg16, resnet50, mobilenet, deepbench, pooling or all; cpu for every kind of "
            "convolution and pooling out of these; repeatable. A small selection by default.",
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
    against: Against = None,
    threads: Threads = None,
    clock: Clock = "call",
    json: Json = None,
    output_dir: OutputDir = None,
) -> None:
    """Measure convolution, pooling and matrix products on layers of well-known networks.

    Each implementation is first held to exact float64 values; a wrong one is shown as WRONG, without a time, and the
    command ends with status 1. Ctrl-C keeps and shows what was measured so far.

    --against measures other libraries on the same arrays, call by call in turn with deepcore, each in its fastest
    layout and settings, and shows their time divided by deepcore's.

    --all-implementations also tells whether dispatch chose the fastest, and what its choices cost where it did not.

    [bold]Examples[/bold]

    deepcore bench ops

    deepcore bench ops --suite resnet50 --layer "conv4*" --direction fprop -a

    deepcore bench ops --suite all --batch 16 --output-dir results

    deepcore bench ops --suite cpu --against torch --threads 1
    """
    from deepcore.benchmarks.device import open_device
    from deepcore.benchmarks.run import Setting, measure, plan

    with sentences():
        if implementation and all_implementations:
            raise ValueError("--implementation and --all-implementations exclude each other.")
        cases = select(suite or (), layer or (), op or (), direction or (), batch, dtype)
        place = open_device(device, clock)
        peers = set_up(threads, against, clock)
        jobs = plan(cases, place, implementation or (), all_implementations, peers)
        if not any(job.candidates for job in jobs):
            reasons = {f"{c.implementation.name}: {c.why}" for job in jobs for c in job.left_out}
            raise ValueError(f"Nothing to measure; {'; '.join(sorted(reasons)) or 'no implementation'}.")
    setting = Setting(repeats, seconds, cold)
    works = [
        (f"{job.case.suite} {job.case.layer} {job.case.direction}", functools.partial(measure, job, place, setting))
        for job in jobs
    ]

    def report(stream: Any, rows: list[Row], interrupted: bool) -> None:
        _report(stream, rows, jobs, interrupted, all_implementations)

    run(works, sum(job.count for job in jobs) * len(place.clocks), Files("ops", json, output_dir), report)


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
    from deepcore.benchmarks.suite import default_selection, suites_of
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
    names = list(dict.fromkeys(suites))
    pairs = list({(found.name, layer): (found, layer) for name in names for found, layer in suites_of(name)}.values())
    if not names:
        pairs = suites_of("all") if layers else default_selection()
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


def _report(stream: Any, rows: Sequence[Row], jobs: Sequence[Job], interrupted: bool, every: bool) -> None:
    """The tables, what was left out and why, and how to read it all."""
    from rich.text import Text

    from deepcore.backend.dispatch import family
    from deepcore.benchmarks.summary import summary
    from deepcore.benchmarks.table import console, print_rows
    from deepcore.benchmarks.verdict import print_verdicts

    out = console(stream)
    print_rows(out, rows, every)
    if every:
        print_verdicts(out, rows)
    left_out: dict[str, tuple[str, list[str]]] = {}
    for job in jobs:
        for candidate in job.left_out:
            name = f"{family(job.case.op)} {candidate.implementation.name}"
            left_out.setdefault(name, (candidate.why, []))[1].append(f"{job.case.suite} {job.case.layer}")
        for peer, why in job.refused:
            left_out.setdefault(peer.title, (why, []))[1].append(f"{job.case.suite} {job.case.layer}")
    if left_out:
        out.print(Text("Not measured", style="bold"))
        for name, (why, where) in left_out.items():
            first, *others = dict.fromkeys(where)
            more = f" and {len(others)} more" if others else ""
            out.print(Text(f"{name}, on {first}{more}: {why}", style="dim"))
        out.print()
    for line in summary(rows, interrupted, sum(job.count for job in jobs)):
        out.print(line)
