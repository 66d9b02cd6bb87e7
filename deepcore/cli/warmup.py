"""``deepcore warmup``: compiles ahead, and tells what had to be compiled and what was there."""

from __future__ import annotations

import sys
import warnings
from collections import defaultdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepcore.cli.terminal import INTERRUPTED, sentences

if TYPE_CHECKING:
    from deepcore.benchmarks.warmup import Compiled, Warmed


def warmup(
    device: Annotated[
        str, typer.Option(metavar="NAME", help="cuda, cuda:1, emulator, cpu, or auto: a GPU where there is one.")
    ] = "auto",
    suite: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Layers of lenet, alexnet, vgg16, …; repeatable. All suites by default."),
    ] = None,
    dtype: Annotated[str, typer.Option(metavar="NAME", help="float32 or float64.")] = "float32",
) -> None:
    """Compile kernels and loops ahead, so that the first training step need not wait for the compiler.

    What is compiled: what the layers of the suites need, and every other operation and optimizer; for the CPU, also
    what a training step and a prediction of whole networks need. A hit was there already, a miss had to be compiled.
    Builds are kept in $DEEPCORE_HOME/kernels (~/.deepcore/kernels by default), Numba's loops beside their source or in
    $NUMBA_CACHE_DIR.

    [bold]Examples[/bold]

    deepcore warmup

    deepcore warmup --device cuda --suite resnet50

    deepcore warmup --device cpu --suite lenet
    """
    from deepcore.benchmarks.warmup import warmup as run
    from deepcore.device import as_device

    with sentences():
        if dtype not in ("float32", "float64"):
            raise ValueError(f"Kernels are compiled for float32 or float64; got {dtype!r}.")
        with warnings.catch_warnings():
            if device == "auto":  # which nobody need have asked for; the last line says what was compiled for
                warnings.filterwarnings("ignore", "device 'auto' runs on the CPU")
            place = as_device(device)
        try:
            with _progress() as report:
                done = run(place, suite or (), dtype, report)
        except KeyboardInterrupt:
            typer.echo("Interrupted: what was compiled so far is kept; the same command compiles the rest.", err=True)
            raise typer.Exit(INTERRUPTED) from None
    _print(done)


class _progress:  # noqa: N801
    """A bar on a terminal, nothing elsewhere."""

    def __enter__(self) -> Any:
        from rich.console import Console
        from rich.progress import Progress

        out = Console(stderr=True)
        self._bar = Progress(console=out, transient=True, disable=not out.is_terminal)
        self._bar.start()
        self._task = self._bar.add_task("compiling", total=None)
        return self._report

    def __exit__(self, *_: object) -> None:
        if not self._bar.disable:  # older versions of rich end a bar that was never shown with an empty line
            self._bar.stop()

    def _report(self, number: int, count: int, compiled: Compiled) -> None:
        self._bar.update(self._task, total=count, completed=number, description=f"{compiled.name} {compiled.what}"[:60])


def _print(done: Warmed) -> None:
    from deepcore.benchmarks.table import Column, console, render

    files: dict[str, list[Compiled]] = defaultdict(list)
    for each in done.compiled:
        files[each.name].append(each)
    rows = []
    for name, parts in sorted(files.items()):
        missed = [part for part in parts if not part.cached]
        seconds = f"{sum(part.seconds for part in missed):.1f}" if missed else ""
        rows.append([name, str(len(parts) - len(missed)), str(len(missed)), seconds])
    if rows:
        render(
            console(sys.stdout),
            (
                Column("file", style="cyan", flexible=True),
                Column("hits", right=True),
                Column("misses", right=True),
                Column("seconds", right=True),
            ),
            rows,
            f"Compiled ahead for {done.device}",
        )
    typer.echo(str(done))
