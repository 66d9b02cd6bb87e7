"""One library's way to train a network and to predict with it, behind one interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from deepcore.benchmarks.network import Network, Weights, build, set_weights

LOSS = "sparse categorical cross-entropy of logits"


class Learner(ABC):
    """A network of one library, with its optimizer.

    Attributes:
        name: what sets it apart from the library's other ways to do the same, such as ``"channels_last fused"``.
    """

    name: str

    @abstractmethod
    def set_weights(self, weights: Weights) -> None:
        """Takes weights in Keras's layout."""

    @abstractmethod
    def step(self, x: np.ndarray, y: np.ndarray) -> float:
        """One training step, and the loss before it."""

    @abstractmethod
    def prepare(self, x: np.ndarray, y: np.ndarray) -> Any:
        """A data set as the library wants it in memory, for ``epoch``."""

    @abstractmethod
    def epoch(self, data: Any, batch: int) -> Any:
        """Trains once over a data set, shuffled; what is returned is not looked at."""

    @abstractmethod
    def load(self, x: np.ndarray) -> Any:
        """A batch as the library wants it in memory, for ``predict``."""

    @abstractmethod
    def predict(self, x: Any) -> Any:
        """Logits of a batch that was loaded."""

    @abstractmethod
    def fetch(self, logits: Any) -> np.ndarray:
        """What ``predict`` returned as an array."""


class KerasLearner(Learner):
    """A library with Keras's names: deepcore, or Keras itself. Trains by ``fit``, predicts by ``predict_on_batch``."""

    def __init__(self, network: Network, library: Any, name: str, dtype: str = "float32") -> None:
        self.name = name
        self.model = build(network, library, dtype)
        optimizer = network.optimizer
        options: dict[str, float] = {"learning_rate": optimizer.learning_rate}
        if optimizer.momentum:
            options["momentum"] = optimizer.momentum
        if optimizer.name != "sgd":
            options["epsilon"] = optimizer.epsilon
        kind = {"sgd": "SGD", "rmsprop": "RMSprop", "adam": "Adam"}[optimizer.name]
        self.model.compile(
            optimizer=getattr(library.optimizers, kind)(**options),
            loss=library.losses.SparseCategoricalCrossentropy(from_logits=True),
        )

    def set_weights(self, weights: Weights) -> None:
        set_weights(self.model, weights)

    def step(self, x: np.ndarray, y: np.ndarray) -> float:
        self.model.reset_metrics()
        return float(self.model.train_on_batch(x, y))

    def prepare(self, x: np.ndarray, y: np.ndarray) -> Any:
        return x, y

    def epoch(self, data: Any, batch: int) -> Any:
        return self.model.fit(*data, batch_size=batch, epochs=1, verbose=0)

    def load(self, x: np.ndarray) -> Any:
        return x

    def predict(self, x: Any) -> Any:
        return self.model.predict_on_batch(x)

    def fetch(self, logits: Any) -> np.ndarray:
        return np.asarray(logits)
