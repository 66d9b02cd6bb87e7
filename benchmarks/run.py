"""Gate, then clock: which implementations of which cases are measured, and how a case becomes rows."""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepcore.backend.dispatch import Implementation, implementations, judge, use_implementation
from deepcore.benchmarks import machine as facts
from deepcore.benchmarks.case import Case, Judgement
from deepcore.benchmarks.clock import Rotation, interleave, quantiles
from deepcore.benchmarks.device import Device
from deepcore.benchmarks.row import Row
from deepcore.errors import unknown_name


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
    """One case, the implementations to measure on it side by side, and those that cannot run it, with the reason."""

    case: Case
    candidates: tuple[Candidate, ...]
    left_out: tuple[Candidate, ...]


def plan(cases: Sequence[Case], device: Device, names: Sequence[str] = (), every: bool = False) -> list[Job]:
    """What to measure: dispatch's choice for each case, or the implementations ``names``, or ``every`` one that can.

    Raises ``ValueError`` if no case has an implementation of one of the ``names``.
    """
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
        jobs.append(Job(case, runs, tuple(candidate for ok, candidate in pairs if not ok)))
    return jobs


def measure(job: Job, device: Device, setting: Setting) -> list[Row]:
    """The rows of one case: every candidate is judged first, and only those that are right are timed, interleaved.

    An implementation that raises is as wrong as one that returns a wrong number; the row says which.
    """
    case = job.case
    if not job.candidates:
        return []
    host = case.arrays(setting.seed)
    expected = case.expect(host, setting.seed)
    judgements, outputs = [], []
    for candidate in job.candidates:
        judgement, output = _gate(case, candidate, device, host, expected)
        judgements.append(judgement)
        outputs.append(output)

    right = [i for i, judgement in enumerate(judgements) if judgement.correct]
    rotation = Rotation(host, 2 * device.cache_bytes if setting.cold else 0, device.to_device)
    samples: dict[tuple[int, str], list[float]] = {}
    for clock in device.clocks:
        trials = [_Trial(case, job.candidates[i], device, clock, rotation) for i in right]
        for trial in trials:
            trial()  # the first call after the gate meets cold branch predictors, new threads and a new rotation
        for i, taken in zip(right, interleave(trials, setting.repeats, setting.seconds), strict=True):
            samples[i, clock] = taken
    return [
        _row(
            case,
            candidate,
            judgement,
            samples.get((i, clock), []),
            device,
            clock,
            setting,
            device.transfer_bytes(clock, host, output),
        )
        for i, (candidate, judgement, output) in enumerate(zip(job.candidates, judgements, outputs, strict=True))
        for clock in (device.clocks if judgement.correct else device.clocks[:1])
    ]


class _Trial:
    """One implementation on one clock; calling it runs it once and returns seconds."""

    def __init__(self, case: Case, candidate: Candidate, device: Device, clock: str, rotation: Rotation) -> None:
        self._case, self._name = case, candidate.implementation.name
        self._device, self._clock, self._rotation = device, clock, rotation

    def __call__(self) -> float:
        with use_implementation(self._case.op, self._name):
            return self._device.seconds(self._clock, self._run, self._rotation)

    def _run(self, arrays: Sequence[Any]) -> Any:
        return self._case.run(self._device.backend, arrays)


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
    candidate: Candidate,
    judgement: Judgement,
    samples: Sequence[float],
    device: Device,
    clock: str,
    setting: Setting,
    transfer_bytes: int,
) -> Row:
    p20, p50, p80 = quantiles(samples) if samples else (None, None, None)
    libraries = facts.blas()
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
        layout="row-major" if case.op == "matmul" else "NHWC",
        device=device.name,
        clock=clock,
        implementation=candidate.implementation.name,
        chosen=candidate.chosen,
        why=candidate.why,
        correct=judgement.correct,
        error=judgement.error if math.isfinite(judgement.error) else None,
        bound=judgement.bound,
        message=judgement.message,
        p20=p20,
        p50=p50,
        p80=p80,
        repeats=len(samples),
        cache=setting.cache,
        transfer_bytes=transfer_bytes,
        flops=case.flops,
        bytes=case.bytes,
        threads=facts.loop_threads(),
        blas="; ".join(f"{library.name} {library.version} {library.architecture}" for library in libraries),
        blas_threads=max((library.threads for library in libraries), default=0),
        driver=device.driver,
        gpu=device.gpu,
        precision=candidate.implementation.precision or device.precision(case.dtype),
        cpu=here.cpu,
        load=here.load,
        versions=here.versions,
        commit=here.commit,
        time=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    )
