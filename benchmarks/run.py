"""Gate, then clock: which implementations of which cases are measured, and how a case becomes rows."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from deepcore.backend.dispatch import Implementation, implementations, judge, use_implementation
from deepcore.benchmarks import machine as facts
from deepcore.benchmarks.case import Case, Judgement
from deepcore.benchmarks.clock import Copies, Rotation, copies_for, interleave, quantiles, ratios, settle
from deepcore.benchmarks.device import Device
from deepcore.benchmarks.peer import Peer, Variant
from deepcore.benchmarks.row import Row
from deepcore.errors import UnsupportedCallError, unknown_name

LONG = 20e-3  # seconds beside which waking threads and filling instruction caches is nothing
WAKING = 6e-3  # seconds of calls that are enough for both, even if the first of them found one core only


@dataclass(frozen=True)
class Setting:
    """How long and how carefully to measure.

    Attributes:
        repeats: the most calls of one implementation.
        seconds: the time that one row may take, once it is compiled and right.
        cold: every call finds its inputs in memory, not in a cache.
        seed: of the random arrays.
    """

    repeats: int = 50
    seconds: float = 0.3
    cold: bool = True
    seed: int = 0

    @property
    def cache(self) -> str:
        return "cold" if self.cold else "warm"


@dataclass(frozen=True)
class Candidate:
    """An implementation of a case, and what dispatch thinks of it."""

    implementation: Implementation
    chosen: bool
    why: str


@dataclass(frozen=True)
class Job:
    """One case, the implementations to measure on it side by side, and those that cannot run it, with the reason.

    ``peers`` are other libraries with the ways in which they can run it, ``refused`` those that cannot, and why.
    """

    case: Case
    candidates: tuple[Candidate, ...]
    left_out: tuple[Candidate, ...]
    peers: tuple[tuple[Peer, tuple[Variant, ...]], ...] = ()
    refused: tuple[tuple[Peer, str], ...] = ()

    @property
    def count(self) -> int:
        """How many rows it becomes on one clock."""
        return len(self.candidates) + sum(len(variants) for _, variants in self.peers)


def plan(
    cases: Sequence[Case],
    device: Device,
    names: Sequence[str] = (),
    every: bool = False,
    peers: Sequence[Peer] = (),
) -> list[Job]:
    """What to measure: dispatch's choice for each case, or the implementations ``names``, or ``every`` one that can.

    Beside them the ``peers``, on a CPU. Raises ``ValueError`` if no case has an implementation of one of the ``names``,
    and for peers on another device.
    """
    if peers and device.kind != "cpu":
        raise ValueError(
            f"Other libraries are measured on the CPU alone; leave out --against, or --device {device.name}."
        )
    known = {record.name for case in cases for record in implementations(case.op, device.kind)}
    for name in names:
        if name not in known:
            raise unknown_name("implementation", name, known)
    jobs = []
    for case in cases:
        lines = [line for line in judge(case.call, device.kind) if line.implementation.device == device.kind]
        wanted = [line for line in lines if every or (line.implementation.name in names if names else line.chosen)]
        pairs = [(line.ok, Candidate(line.implementation, line.chosen, line.reason)) for line in wanted]
        if not wanted:  # nothing was chosen: every reason is worth telling
            pairs = [(False, Candidate(line.implementation, False, line.reason)) for line in lines]
        runs = tuple(candidate for ok, candidate in pairs if ok)
        able, refused = [], []
        for peer in peers:
            assert peer.variants is not None
            try:
                able.append((peer, tuple(peer.variants(case))))
            except UnsupportedCallError as reason:
                refused.append((peer, str(reason)))
        left_out = tuple(candidate for ok, candidate in pairs if not ok)
        jobs.append(Job(case, runs, left_out, tuple(able), tuple(refused)))
    return jobs


@dataclass
class _Entry:
    """One competitor in a case, judged.

    Attributes:
        judgement: of its first result.
        trial: for a clock, what runs it once and returns seconds.
        fields: what its rows say that those of others do not.
        outputs: what it returned.
    """

    judgement: Judgement
    trial: Callable[[str], Callable[[], float]]
    fields: dict[str, Any]
    outputs: Sequence[np.ndarray] = ()


def measure(job: Job, device: Device, setting: Setting) -> list[Row]:
    """The rows of one case: every candidate is judged first, and only those that are right are timed, interleaved.

    An implementation that raises is as wrong as one that returns a wrong number; the row says which.
    """
    case = job.case
    if not job.candidates:
        return []
    host = case.arrays(setting.seed)
    expected = case.expect(host, setting.seed)
    spread = 2 * device.cache_bytes if setting.cold else 0
    rotation = Rotation(host, spread, device.to_device)
    own = [_entry(case, candidate, device, host, expected, rotation) for candidate in job.candidates]
    others = [
        _peer_entry(case, peer, variant, device, host, expected, spread)
        for peer, variants in job.peers
        for variant in variants
    ]
    samples: dict[tuple[int, str], list[float]] = {}
    right = [i for i, entry in enumerate((*own, *others)) if entry.judgement.correct]
    stolen = facts.Stolen()
    for clock in device.clocks:
        trials = [(*own, *others)[i].trial(clock) for i in right]
        if job.peers or (len(trials) > 1 and device.kind == "cpu"):
            trials = [_Turn(trial) for trial in trials]
        for trial in trials:
            trial()  # the first call after the gate meets cold branch predictors, new threads and a new rotation
        for i, taken in zip(right, interleave(trials, setting.repeats, setting.seconds), strict=True):
            samples[i, clock] = taken
    share = stolen.share()
    rows = [
        replace(_row(case, entry, samples.get((i, clock), []), device, clock, setting, host), stolen=share)
        for i, entry in enumerate((*own, *others))
        for clock in (device.clocks if entry.judgement.correct else device.clocks[:1])
    ]
    if not job.peers:
        return rows
    return compare(rows, [samples.get((i, device.clocks[0]), []) for i in range(len(rows))])


def compare(rows: Sequence[Row], samples: Sequence[Sequence[float]]) -> list[Row]:
    """The rows of one case with each peer's fastest chosen, and every peer's ratios to deepcore's choice.

    ``samples`` are the seconds of each row, round by round.
    """
    own = [i for i, row in enumerate(rows) if not row.peer and row.correct]
    base = next((i for i in own if rows[i].chosen), min(own, key=lambda i: rows[i].p50 or math.inf, default=None))
    found = []
    for row, taken in zip(rows, samples, strict=True):
        if row.peer and row.correct:
            rivals = [one for one in rows if one.peer == row.peer and one.correct]
            row = replace(row, chosen=row is min(rivals, key=lambda one: one.p50 or math.inf))
            if base is not None:
                low, middle, high = ratios(taken, samples[base])
                row = replace(row, ratio_p20=low, ratio_p50=middle, ratio_p80=high)
        found.append(row)
    return found


class _Turn:
    """A trial among others, after some for nothing, so that it finds its own threads and code awake, and no other's.

    So it is in a network, where one call follows the other. The threads of a BLAS look for work for a tenth of a second
    after a call, on the cores of whatever comes next, which took up to 1.7 times as long. A thread that sleeps may be
    given a core only after a millisecond or two; a long call does not notice, and is not made twice.
    """

    def __init__(self, trial: Callable[[], float]) -> None:
        self._trial = trial
        self._last = 0.0

    def __call__(self) -> float:
        settle()
        waking = 0.0
        while waking < WAKING and self._last < LONG:
            waking += self._trial()
        self._last = self._trial()
        return self._last


def _entry(
    case: Case, candidate: Candidate, device: Device, host: Sequence[np.ndarray], expected: Any, rotation: Rotation
) -> _Entry:
    record = candidate.implementation

    def run(arrays: Sequence[Any]) -> Any:
        return case.run(device.backend, arrays)

    def trial(clock: str) -> Callable[[], float]:
        def held() -> float:
            with use_implementation(case.op, record.name):
                return device.seconds(clock, run, rotation)

        # What dispatch chooses is called as a layer calls it: to hold dispatch to a name takes as long as a small call,
        # and leaves little of what it needs in the caches.
        return (lambda: device.seconds(clock, run, rotation)) if candidate.chosen else held

    judgement, outputs = _gate(case, candidate, device, host, expected)
    libraries = facts.blas()
    fields = {
        "layout": "row-major" if case.op == "matmul" else "NHWC",
        "implementation": record.name,
        "chosen": candidate.chosen,
        "why": candidate.why,
        "threads": facts.loop_threads(),
        "blas": "; ".join(f"{library.name} {library.version} {library.architecture}" for library in libraries),
        "blas_threads": max((library.threads for library in libraries), default=0),
        "precision": record.precision or device.precision(case.dtype),
        "versions": facts.machine().versions,
    }
    return _Entry(judgement, trial, fields, outputs)


def _peer_entry(
    case: Case,
    peer: Peer,
    variant: Variant,
    device: Device,
    host: Sequence[np.ndarray],
    expected: Any,
    spread: int,
) -> _Entry:
    prepared: list[Copies] = []

    def trial(clock: str) -> Callable[[], float]:
        if not prepared:
            size = sum(array.nbytes for array in host)
            prepared.append(Copies(lambda: variant.prepare(host), copies_for(size, spread)))
        return lambda: device.seconds(clock, variant.run, prepared[0])

    try:
        judgement = case.judge(variant.restore(variant.run(variant.prepare(host))), expected)
    except Exception as problem:
        judgement = Judgement(False, math.inf, 0.0, f"raised {type(problem).__name__}: {problem}")
    fields = {
        "layout": variant.layout,
        "implementation": f"{peer.title} {variant.name}",
        "chosen": False,
        "why": "",
        "threads": peer.threads,
        "blas": "",
        "blas_threads": peer.threads,
        "precision": case.dtype,
        "versions": facts.machine().versions | {peer.name: peer.version},
        "peer": peer.name,
        "settings": peer.settings,
    }
    return _Entry(judgement, trial, fields)


def _gate(
    case: Case, candidate: Candidate, device: Device, host: Sequence[np.ndarray], expected: Any
) -> tuple[Judgement, list[np.ndarray]]:
    """Runs a candidate once and judges what it returned, on inputs that it cannot spoil for the next."""
    arrays = [device.to_device(array.copy()) for array in host]
    try:
        with use_implementation(case.op, candidate.implementation.name):
            result = case.run(device.backend, arrays)
        device.synchronize()
    except Exception as problem:
        return Judgement(False, math.inf, 0.0, f"raised {type(problem).__name__}: {problem}"), []
    parts = result if isinstance(result, tuple) else (result,)
    outputs = [device.to_host(part) for part in parts]
    for array, given in zip(host, arrays, strict=True):
        if not np.array_equal(device.to_host(given), array):
            return Judgement(False, math.inf, 0.0, "changed its input"), outputs
    returned = tuple(outputs) if isinstance(result, tuple) else outputs[0]
    return case.judge(returned, expected, candidate.implementation.precision), outputs


def _row(
    case: Case,
    entry: _Entry,
    samples: Sequence[float],
    device: Device,
    clock: str,
    setting: Setting,
    host: Sequence[np.ndarray],
) -> Row:
    p20, p50, p80 = quantiles(samples) if samples else (None, None, None)
    judgement = entry.judgement
    here = facts.machine()
    return Row(
        suite=case.suite,
        layer=case.layer,
        count=case.count,
        batch=case.batch,
        op=case.op,
        direction=case.direction,
        shape=case.shape,
        dtype=case.dtype,
        device=device.name,
        clock=clock,
        correct=judgement.correct,
        error=judgement.error if math.isfinite(judgement.error) else None,
        bound=judgement.bound,
        message=judgement.message,
        p20=p20,
        p50=p50,
        p80=p80,
        repeats=len(samples),
        cache=setting.cache,
        transfer_bytes=device.transfer_bytes(clock, host, entry.outputs),
        flops=case.flops,
        bytes=case.bytes,
        driver=device.driver,
        gpu=device.gpu,
        cpu=here.cpu,
        load=here.load,
        commit=here.commit,
        time=now(),
        **entry.fields,
    )


def now() -> str:
    """The time for a row: UTC, to the second."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
