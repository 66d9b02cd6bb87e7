"""``deepcore bench report``: kept rows as Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deepcore.cli.terminal import fail, sentences


def report(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", exists=True, dir_okay=False, help="Rows that --json or --output-dir kept."),
    ],
    against: Annotated[str, typer.Option(metavar="PEER", help="The library that deepcore is compared with.")] = "torch",
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Save a picture, too: every ratio a dot; .svg, .png or .pdf.")
    ] = None,
) -> None:
    """Print kept rows as Markdown: how deepcore compares with another library, beside what it aims at.

    Rows of any of the other commands may be mixed; each number of threads has a column of its own. Where a row was
    measured in several runs of the newest commit, the run with the median ratio counts. What is below its aim is
    marked ▾.

    [bold]Example[/bold]

    deepcore bench ops --suite cpu --against torch --json rows.jsonl && deepcore bench report rows.jsonl
    """
    from deepcore.benchmarks.comparison import Comparison
    from deepcore.benchmarks.row import read

    with sentences():
        rows = [row for file in files for row in read(file)]
        comparison = Comparison.of(rows, against)
        if plot is not None:
            from deepcore.benchmarks.picture import draw

            try:
                draw(comparison, plot)
            except ImportError as problem:
                fail(problem)
    typer.echo(comparison.markdown(), nl=False)
