"""Peak memory of a training step: each library in a process of its own, by what Linux counts as resident.

``python -m deepcore.benchmarks.memory LIBRARY WAY NETWORK BATCH THREADS`` is such a process: it takes two steps, so
that what an optimizer keeps is there in the second, and prints what it found as a line of JSON.
"""

from __future__ import annotations

import gc
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import deepcore
from deepcore.benchmarks.learner import KerasLearner, Learner
from deepcore.benchmarks.machine import set_threads
from deepcore.benchmarks.network import NETWORKS, Network
from deepcore.benchmarks.peer import NETWORK_PEERS, version_of
from deepcore.benchmarks.race import Race, network_row, of_peer
from deepcore.benchmarks.row import Row

STEPS = 2
OWN = "deepcore"
_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Peak:
    """What one library needed; sizes in bytes.

    Attributes:
        library: with its version and the way in which it was run.
        resident: before the first step: the library itself, the weights and the data.
        peak: the most that was resident in a step.
        ways: how many ways the library has; those after the first are measured by themselves.
        loss: after the last step, so that a step that computes nothing cannot win.
        settings: that it ran under.
    """

    library: str
    resident: int
    peak: int
    ways: int
    loss: float
    settings: dict[str, str]


def measure(network: Network, batch: int, peers: Sequence[str], threads: int) -> list[Row]:
    """A row for deepcore, and one for each of the ``peers`` in the way of its own that needs the least.

    Raises ``ChildProcessError`` if a process fails, ``ValueError`` where there is no /proc.
    """
    if not _STATUS.exists():
        raise ValueError("Peak memory is read from /proc, which only Linux has.")
    race = Race("memory", "train_on_batch", network, batch, "peak")
    rows: list[Row] = []
    for library in (OWN, *peers):
        first = _in_a_process(library, 0, network, batch, threads)
        others = [_in_a_process(library, way, network, batch, threads) for way in range(1, first.ways)]
        least = min((first, *others), key=lambda one: one.peak)
        finite = math.isfinite(least.loss)
        ratio = least.peak / (rows[0].peak_bytes or math.inf) if rows else None
        rows.append(
            network_row(
                race,
                implementation=least.library,
                why=f"least of {', '.join(one.library for one in (first, *others))}" if others else "",
                correct=finite,
                error=None,
                bound=0.0,
                message="" if finite else "the loss is not finite",
                repeats=1,
                bytes=least.resident,
                peak_bytes=least.peak,
                ratio_p20=ratio,
                ratio_p50=ratio,
                ratio_p80=ratio,
                settings=least.settings,
                **({} if library == OWN else of_peer(library, version_of(library), threads)),
            )
        )
    return rows


def _in_a_process(library: str, way: int, network: Network, batch: int, threads: int) -> Peak:
    words = (library, way, network.name, batch, threads)
    command = [sys.executable, "-m", "deepcore.benchmarks.memory", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or [f"ended with {done.returncode}; the memory may not suffice"]
        raise ChildProcessError(f"{library} on {network.name}, batch {batch}: {reason[0]}")
    return Peak(**json.loads(done.stdout.splitlines()[-1]))


def _measure_here(library: str, way: int, network: Network, batch: int, threads: int) -> Peak:
    learners, title, settings = _learners(library, network, threads)
    learner = learners[way]
    ways = len(learners)
    del learners
    x, y = network.data(batch)
    gc.collect()
    resident = _bytes("VmRSS")
    _CLEAR.write_text("5", encoding="ascii")  # the highest resident size starts anew
    losses = [learner.step(x, y) for _ in range(STEPS)]
    return Peak(f"{title} {learner.name}".rstrip(), resident, _bytes("VmHWM"), ways, losses[-1], settings)


def _learners(library: str, network: Network, threads: int) -> tuple[list[Learner], str, dict[str, str]]:
    set_threads(threads)
    if library == OWN:
        return [KerasLearner(network, deepcore, "train_on_batch")], f"deepcore {deepcore.__version__}", {}
    peer = NETWORK_PEERS[library].open(threads)
    assert peer.learners is not None
    return peer.learners(network, False), peer.title, peer.settings


def _bytes(key: str) -> int:
    """A size that Linux keeps of this process."""
    for line in _STATUS.read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return int(value.split()[0]) * 1024
    raise ValueError(f"{_STATUS} has no {key}.")


def main(arguments: Sequence[str]) -> None:
    library, way, network, batch, threads = arguments
    print(json.dumps(vars(_measure_here(library, int(way), NETWORKS[network], int(batch), int(threads)))))


if __name__ == "__main__":
    main(sys.argv[1:])
