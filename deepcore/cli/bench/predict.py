"""``deepcore bench predict``: what inference of a whole network costs."""

from __future__ import annotations

import functools
from typing import Annotated

import typer

from deepcore.cli.bench.common import Clock, Files, Json, NetworkAgainst, OutputDir, Threads, run, set_up
from deepcore.cli.terminal import sentences

BATCHES = (1, 32)


def predict(
    network: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="vgg16, resnet50 or mobilenet (all three by default); repeatable."),
    ] = None,
    batch: Annotated[
        list[int] | None, typer.Option(min=1, metavar="N", help="Images a call, 1 and 32 by default; repeatable.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, metavar="N", help="The most calls a row.")] = 30,
    seconds: Annotated[
        float, typer.Option(min=0.0, metavar="S", help="Seconds a row may take, but at least three calls.")
    ] = 5.0,
    against: NetworkAgainst = None,
    threads: Threads = None,
    clock: Clock = "call",
    json: Json = None,
    output_dir: OutputDir = None,
) -> None:
    """Measure inference of whole networks with random weights, by Model.predict_on_batch.

    First the logits of the first and the last image are held to those in float64; what differs is shown as WRONG,
    without a time. Then calls take turns. A library with several memory formats tries each, and goes on with the
    fastest.

    [bold]Examples[/bold]

    deepcore bench predict --network mobilenet

    deepcore bench predict --against torch --threads 1
    """
    from deepcore.benchmarks.network import PREDICTED, find_networks
    from deepcore.benchmarks.network_table import print_report
    from deepcore.benchmarks.predict import measure
    from deepcore.benchmarks.run import Setting

    with sentences():
        networks = find_networks(network or (), PREDICTED)
        peers = set_up(threads, against, clock, networks=True)
    setting = Setting(repeats, seconds, cold=False)
    works = [
        (f"{one.name} batch {size}", functools.partial(measure, one, size, peers, setting, clock))
        for one in networks
        for size in dict.fromkeys(batch or BATCHES)
    ]
    total = len(works) * (1 + len(peers))
    run(works, total, Files("predict", json, output_dir), functools.partial(print_report, planned=total))
