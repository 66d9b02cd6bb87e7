"""``deepcore bench train``: what a whole training step costs, through ``Model.fit``."""

from __future__ import annotations

import functools
from typing import Annotated

import typer

from deepcore.cli.bench.common import Clock, Files, Json, NetworkAgainst, OutputDir, Threads, run, set_up
from deepcore.cli.terminal import sentences


def train(
    network: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="mlp, lenet5 or mnist_cnn (all three by default); repeatable."),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, metavar="N", help="Samples a step.")] = 128,
    steps: Annotated[int, typer.Option(min=1, metavar="N", help="Steps an epoch.")] = 24,
    repeats: Annotated[int, typer.Option(min=1, metavar="N", help="The most epochs a row.")] = 30,
    seconds: Annotated[
        float, typer.Option(min=0.0, metavar="S", help="Seconds a row may take, but at least three epochs.")
    ] = 5.0,
    against: NetworkAgainst = None,
    threads: Threads = None,
    clock: Clock = "call",
    json: Json = None,
    output_dir: OutputDir = None,
) -> None:
    """Measure whole training steps: forward, loss, backward, optimizer, by Model.fit on random data in memory.

    First the losses of three steps without dropout are held to those in float64 from the same weights; what differs is
    shown as WRONG, without a time. Then epochs take turns, after one to warm up. A library with several ways to do the
    same (memory formats, ways to run an optimizer) tries each in a few epochs, and goes on with the fastest.

    [bold]Examples[/bold]

    deepcore bench train

    deepcore bench train --against torch,keras --threads 1

    deepcore bench train --network lenet5 --batch 32 --against torch --json rows.jsonl
    """
    from deepcore.benchmarks.network import TRAINED, find_networks
    from deepcore.benchmarks.network_table import print_report
    from deepcore.benchmarks.run import Setting
    from deepcore.benchmarks.train import measure

    with sentences():
        networks = find_networks(network or (), TRAINED)
        peers = set_up(threads, against, clock, networks=True)
    setting = Setting(repeats, seconds, cold=False)
    works = [(one.name, functools.partial(measure, one, batch, steps, peers, setting, clock)) for one in networks]
    total = len(networks) * (1 + len(peers))
    run(works, total, Files("train", json, output_dir), functools.partial(print_report, planned=total))
