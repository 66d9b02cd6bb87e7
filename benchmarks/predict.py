"""Seconds of inference: one batch through a whole network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import deepcore
from deepcore.benchmarks.case import Judgement
from deepcore.benchmarks.device import NOW
from deepcore.benchmarks.learner import KerasLearner, Learner
from deepcore.benchmarks.network import Network, weights_of
from deepcore.benchmarks.peer import Peer
from deepcore.benchmarks.race import Entry, Race, judgement, run
from deepcore.benchmarks.row import Row
from deepcore.benchmarks.run import Setting


def measure(network: Network, batch: int, peers: Sequence[Peer], setting: Setting, clock: str = "call") -> list[Row]:
    """A row for deepcore and for each peer, whose logits are first held to those of deepcore in float64."""
    x, _ = network.data(batch, setting.seed)
    reference = KerasLearner(network, deepcore, "", "float64")
    weights = weights_of(reference.model, setting.seed)
    reference.set_weights(weights)
    ends = sorted({0, batch - 1})  # the first and the last image; float64 is slow
    exact = reference.fetch(reference.predict(x[ends].astype(np.float64)))
    del reference

    def entry(learner: Learner, peer: Peer | None) -> Entry:
        learner.set_weights(weights)
        loaded = learner.load(x)
        now = NOW[clock]

        def judge() -> Judgement:
            found = learner.fetch(learner.predict(loaded))[ends]
            return judgement(float(np.max(np.abs(found - exact)) / np.max(np.abs(exact))))

        def turn() -> float:
            begin = now()
            learner.predict(loaded)
            return now() - begin

        return Entry(learner.name, peer, judge, turn, turn)

    entries = [entry(KerasLearner(network, deepcore, "predict_on_batch"), None)]
    for peer in peers:
        assert peer.learners is not None
        entries += [entry(learner, peer) for learner in peer.learners(network, False)]
    return run(Race("predict", "predict", network, batch, clock), entries, setting)
