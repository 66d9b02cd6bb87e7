"""Seconds of a whole training step: ``Model.fit`` over an epoch in memory, and the loops of other libraries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import deepcore
from deepcore.benchmarks.case import Judgement
from deepcore.benchmarks.device import NOW
from deepcore.benchmarks.learner import KerasLearner, Learner
from deepcore.benchmarks.network import Network, Weights, weights_of
from deepcore.benchmarks.peer import Peer
from deepcore.benchmarks.race import Entry, Race, judgement, run
from deepcore.benchmarks.row import Row
from deepcore.benchmarks.run import Setting

GATE_STEPS = 3
HEAT_STEPS = 4


def measure(
    network: Network, batch: int, steps: int, peers: Sequence[Peer], setting: Setting, clock: str = "call"
) -> list[Row]:
    """A row for deepcore and for each peer: seconds of one step, from epochs of ``steps`` steps that take turns.

    First the losses of three steps without dropout are held to those of deepcore in float64 from the same weights.
    """
    plain = network.for_the_gate()
    reference = KerasLearner(plain, deepcore, "", "float64")
    weights = weights_of(reference.model, setting.seed)
    exact = _losses(reference, weights, plain, batch, setting.seed)
    data = network.data(batch * steps, setting.seed)

    def entry(learner: Learner, judge: Callable[[], Judgement], peer: Peer | None) -> Entry:
        learner.set_weights(weights)
        few = min(steps, HEAT_STEPS)
        whole, part = (learner.prepare(*(array[: batch * count] for array in data)) for count in (steps, few))
        now = NOW[clock]

        def epoch(own: Any, count: int) -> float:
            begin = now()
            learner.epoch(own, batch)
            return (now() - begin) / count

        return Entry(learner.name, peer, judge, lambda: epoch(whole, steps), lambda: epoch(part, few))

    def gate(learner: Learner) -> Callable[[], Judgement]:
        def judge() -> Judgement:
            found = _losses(learner, weights, plain, batch, setting.seed)
            return judgement(float(np.max(np.abs(found - exact)) / np.max(np.abs(exact))))

        return judge

    entries = [entry(KerasLearner(network, deepcore, "fit"), gate(KerasLearner(plain, deepcore, "fit")), None)]
    for peer in peers:
        assert peer.learners is not None
        pairs = zip(peer.learners(network, True), peer.learners(plain, True), strict=True)
        entries += [entry(learner, gate(twin), peer) for learner, twin in pairs]
    return run(Race("train", "fit", network, batch, clock), entries, setting)


def _losses(learner: Learner, weights: Weights, network: Network, batch: int, seed: int) -> np.ndarray:
    learner.set_weights(weights)
    x, y = network.data(batch * GATE_STEPS, seed + 1)
    parts = zip(np.split(x, GATE_STEPS), np.split(y, GATE_STEPS), strict=True)
    return np.array([learner.step(*part) for part in parts])
