"""Keras by its own ``fit`` and ``predict_on_batch``, on JAX, which compiles, or else on PyTorch."""

from __future__ import annotations

import importlib
import importlib.util
import os

from deepcore.benchmarks.learner import KerasLearner, Learner
from deepcore.benchmarks.network import Network
from deepcore.benchmarks.peer import Peer, version_of

BACKENDS = ("jax", "torch")


def open_peer(threads: int) -> Peer:
    """Keras on the backend that KERAS_BACKEND names, or on the first of ``BACKENDS`` that is installed."""
    backend = os.environ.get("KERAS_BACKEND") or next(
        (name for name in BACKENDS if importlib.util.find_spec(name) is not None), ""
    )
    if backend not in BACKENDS:
        raise ValueError(
            f"Keras is measured on {' or '.join(BACKENDS)}; "
            + (f"KERAS_BACKEND is {backend!r}." if backend else "neither is installed. Install with: pip install jax.")
        )
    os.environ["KERAS_BACKEND"] = backend
    below = importlib.import_module(f"deepcore.benchmarks.peer.{backend}").open_peer(threads)
    import keras

    def learners(network: Network, training: bool) -> list[Learner]:
        return [KerasLearner(network, keras, f"on {below.title}")]

    return Peer("keras", version_of("keras"), threads, None, learners, {"backend": below.title} | below.settings)
