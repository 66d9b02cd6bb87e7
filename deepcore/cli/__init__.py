"""The command ``deepcore``: what is here, what runs and why, and what it costs.

Commands import what they need when they run, so that help is instant.
"""

from __future__ import annotations

from typing import Annotated

import typer

import deepcore
from deepcore.cli.bench import bench
from deepcore.cli.emulate import emulate
from deepcore.cli.explain import explain
from deepcore.cli.info import info
from deepcore.cli.warmup import warmup

app = typer.Typer(
    name="deepcore",
    help="Deep-learning layers on NumPy or hand-written CUDA kernels: what runs here, why, and what it costs.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""
[bold]Examples[/bold]

deepcore info

deepcore explain conv2d 32x224x224x3 3x3x3x64 --padding same

deepcore warmup --device cuda --suite resnet50

deepcore bench ops --suite lenet --all-implementations

deepcore bench ops --suite vgg16 --batch 8 --json rows.jsonl

deepcore emulate kernel.cu saxpy --block 256 --arg x=float32:1000:random --arg y=float32:1000:zeros --arg n=1000 --check
""",
)
app.command()(info)
app.command()(explain)
app.command()(emulate)
app.command()(warmup)
app.add_typer(bench, name="bench")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"deepcore {deepcore.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """The entry point of the command ``deepcore``."""
    app(prog_name="deepcore")
