"""``deepcore bench``: what layers and networks cost here, once they are right."""

from __future__ import annotations

import typer

from deepcore.cli.bench.memory import memory
from deepcore.cli.bench.ops import ops
from deepcore.cli.bench.predict import predict
from deepcore.cli.bench.report import report
from deepcore.cli.bench.train import train

bench = typer.Typer(
    help="Measure what is here. Every result is checked before its time is shown.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
bench.command()(ops)
bench.command()(train)
bench.command()(predict)
bench.command()(memory)
bench.command()(report)
