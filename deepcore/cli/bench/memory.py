"""``deepcore bench memory``: the most memory that a training step needs."""

from __future__ import annotations

import functools
from typing import Annotated

import typer

from deepcore.cli.bench.common import Files, Json, NetworkAgainst, OutputDir, Threads, run
from deepcore.cli.terminal import sentences


def memory(
    network: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="vgg16 (the default), resnet50, mobilenet, mnist_cnn, …; repeatable."),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, metavar="N", help="Samples a step; 8 of VGG16 need less than 8 GB.")] = 8,
    against: NetworkAgainst = None,
    threads: Threads = None,
    json: Json = None,
    output_dir: OutputDir = None,
) -> None:
    """Measure the peak memory of a whole training step, of each library in a process of its own.

    What counts is what the system says was resident at most while two steps were taken, the library itself, weights,
    gradients and what the optimizer keeps included. A library with several memory formats counts with the one that
    needs the least.

    [bold]Examples[/bold]

    deepcore bench memory --against torch

    deepcore bench memory --network resnet50 --batch 16
    """
    from deepcore.benchmarks.machine import loop_threads
    from deepcore.benchmarks.memory import measure
    from deepcore.benchmarks.network import NETWORKS, find_networks
    from deepcore.benchmarks.network_table import print_report
    from deepcore.benchmarks.peer import NETWORK_PEERS, asked_for

    with sentences():
        networks = find_networks(network or (), {"vgg16": NETWORKS["vgg16"]})
        peers = asked_for(against or (), NETWORK_PEERS)
    count = threads or loop_threads()
    works = [(one.name, functools.partial(measure, one, batch, peers, count)) for one in networks]
    total = len(networks) * (1 + len(peers))
    run(works, total, Files("memory", json, output_dir), functools.partial(print_report, planned=total))
