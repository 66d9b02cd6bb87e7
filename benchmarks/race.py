"""Whole networks side by side: judged, the fastest way of each library found, then timed in turn."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import deepcore
from deepcore.backend.explain import times
from deepcore.benchmarks import machine as facts
from deepcore.benchmarks.case import Judgement
from deepcore.benchmarks.clock import FEWEST_ROUNDS, interleave, quantiles, ratios, settle
from deepcore.benchmarks.network import Network
from deepcore.benchmarks.peer import Peer
from deepcore.benchmarks.row import Row
from deepcore.benchmarks.run import Setting, now

# The largest difference of losses or logits, relative to the largest of them: the rounding of float32 through sixteen
# layers stays two decades below it, and a wrong formula, layer or order of weights is two decades above.
BOUND = 1e-3
LONG = 1.0  # seconds beside which warming up is nothing, so that the first turn tells which way is the fastest


@dataclass(frozen=True)
class Entry:
    """One library's way to do the same.

    Attributes:
        name: what sets it apart from the library's other ways; empty if it has only one.
        peer: the library; None for deepcore.
        judge: whether it is right; called once, before any clock.
        turn: does it once, and returns the seconds of one step or call.
        heat: a turn that may be shorter, by which the ways of one library are compared.
    """

    name: str
    peer: Peer | None
    judge: Callable[[], Judgement]
    turn: Callable[[], float]
    heat: Callable[[], float]

    @property
    def title(self) -> str:
        return f"{self.peer.title if self.peer else f'deepcore {deepcore.__version__}'} {self.name}".rstrip()


@dataclass(frozen=True)
class Race:
    """What rows say of the contest.

    Attributes:
        suite: "train", "predict" or "memory".
        op: what is called once a turn.
        network, batch: of what.
        clock: "call" or "cpu".
    """

    suite: str
    op: str
    network: Network
    batch: int
    clock: str


def judgement(error: float) -> Judgement:
    """Of the largest relative difference from the exact losses or logits."""
    if error <= BOUND:
        return Judgement(True, error, BOUND, "")
    return Judgement(False, error, BOUND, f"differs by {error:.2g}, which exceeds the bound {BOUND:.2g}")


def judged(judge: Callable[[], Judgement]) -> Judgement:
    """What ``judge`` says; an error in it is as wrong as a wrong number."""
    try:
        return judge()
    except Exception as problem:
        return Judgement(False, math.inf, BOUND, f"raised {type(problem).__name__}: {problem}")


def run(race: Race, entries: Sequence[Entry], setting: Setting) -> list[Row]:
    """A row for each library: of its right entries the fastest in two heats, then all libraries in turn.

    A library none of whose entries is right has a row for each of them, without times. The first entry is deepcore's.
    """
    verdicts = [judged(entry.judge) for entry in entries]
    libraries = list(dict.fromkeys(entry.peer.name if entry.peer else "" for entry in entries))
    starters: list[tuple[int, str]] = []
    wrong: list[int] = []
    for library in libraries:
        mine = [i for i, entry in enumerate(entries) if (entry.peer.name if entry.peer else "") == library]
        right = [i for i in mine if verdicts[i].correct]
        wrong += [i for i in mine if i not in right]
        if right:
            starters.append(_fastest(entries, right))
    stolen = facts.Stolen()
    samples = interleave([_Turn(entries[i].turn) for i, _ in starters], setting.repeats, setting.seconds)
    share = stolen.share()
    base = next((taken for (i, _), taken in zip(starters, samples, strict=True) if entries[i].peer is None), None)
    rows = [
        replace(_row(race, entries[i], verdicts[i], why, taken, base), stolen=share)
        for (i, why), taken in zip(starters, samples, strict=True)
    ]
    return rows + [_row(race, entries[i], verdicts[i], "", [], None) for i in wrong]


class _Turn:
    def __init__(self, turn: Callable[[], float]) -> None:
        self._turn = turn

    def __call__(self) -> float:
        settle()
        return self._turn()


def _fastest(entries: Sequence[Entry], rivals: Sequence[int]) -> tuple[int, str]:
    """The fastest of a library's entries after one turn to warm up, and why it runs."""
    seconds = {i: entries[i].turn() for i in rivals}
    if len(rivals) == 1:
        return rivals[0], ""
    if min(seconds.values()) < LONG:
        heats = interleave([_Turn(entries[i].heat) for i in rivals], FEWEST_ROUNDS, 0.0)
        seconds = dict(zip(rivals, map(min, heats), strict=True))
    best = min(rivals, key=lambda i: seconds[i])
    return best, f"fastest of {', '.join(entries[i].name or 'plain' for i in rivals)}"


def _row(
    race: Race, entry: Entry, verdict: Judgement, why: str, samples: Sequence[float], base: Sequence[float] | None
) -> Row:
    p20, p50, p80 = quantiles(samples) if samples else (None, None, None)
    low = middle = high = None
    if entry.peer and base and samples:
        low, middle, high = ratios(samples, base)
    return network_row(
        race,
        implementation=entry.title,
        why=why,
        correct=verdict.correct,
        error=verdict.error if math.isfinite(verdict.error) else None,
        bound=verdict.bound,
        message=verdict.message,
        p20=p20,
        p50=p50,
        p80=p80,
        repeats=len(samples),
        ratio_p20=low,
        ratio_p50=middle,
        ratio_p80=high,
        **({} if entry.peer is None else of_peer(entry.peer.name, entry.peer.version, entry.peer.threads)),
        **({} if entry.peer is None else {"settings": entry.peer.settings}),
    )


def of_peer(name: str, version: str, threads: int) -> dict[str, Any]:
    """What a row of a library says in place of what one of deepcore's says."""
    versions = facts.machine().versions | {name: version}
    return {"peer": name, "versions": versions, "threads": threads, "blas": "", "blas_threads": threads}


def network_row(race: Race, **fields: Any) -> Row:
    """A row of a whole network: ``fields`` over what all such rows have in common."""
    here, libraries = facts.machine(), facts.blas()
    common: dict[str, Any] = {
        "suite": race.suite,
        "layer": race.network.name,
        "count": 1,
        "batch": race.batch,
        "op": race.op,
        "direction": "fprop" if race.op == "predict" else "step",
        "shape": times((race.batch, *race.network.input_shape)),
        "dtype": "float32",
        "layout": "",
        "device": "cpu",
        "clock": race.clock,
        "chosen": True,
        "why": "",
        "p20": None,
        "p50": None,
        "p80": None,
        "cache": "warm",
        "transfer_bytes": 0,
        "flops": 0,
        "bytes": 0,
        "threads": facts.loop_threads(),
        "blas": "; ".join(f"{library.name} {library.version} {library.architecture}" for library in libraries),
        "blas_threads": max((library.threads for library in libraries), default=0),
        "driver": "",
        "gpu": "",
        "precision": "float32",
        "cpu": here.cpu,
        "load": here.load,
        "versions": here.versions,
        "commit": here.commit,
        "time": now(),
    }
    return Row(**(common | fields))
