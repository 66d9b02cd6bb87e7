"""A warning for a loss that is no longer a number."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Mapping
from typing import Any

from deepcore.callbacks.callback import Callback
from deepcore.ops.recurrent import joined_steps
from deepcore.tensor import Tensor

INTERVAL = 0.5  # seconds between two looks; each fetches from the device
MOST_KEPT = 4096  # losses that wait for a look


class LossWatch(Callback):
    """Warns once, with epoch and step, when the loss is NaN or infinite.

    The losses of the steps stay on the device and are looked at together, now and then, so that no step waits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.unseen: list[Tensor] = []
        self.first_step = 0
        self.epoch = 0
        self.warned = False
        self.looked = time.perf_counter()

    def step(self, loss: Tensor) -> None:
        """Takes the loss of the next step, and now and then looks at those taken."""
        if self.warned:
            return
        self.unseen.append(loss)
        if len(self.unseen) >= MOST_KEPT or time.perf_counter() - self.looked > INTERVAL:
            self.look()

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self.unseen, self.first_step, self.epoch = [], 0, epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.look()

    def look(self) -> None:
        """Warns if a loss taken since the last look is not finite."""
        values = joined_steps(self.unseen).tolist() if self.unseen else []  # one transfer for all
        for step, value in enumerate(values, self.first_step + 1):
            if not math.isfinite(value):
                self.warned = True
                warnings.warn(
                    f"The loss is {value} in epoch {self.epoch + 1}, step {step}, and will hardly recover. Look for "
                    "NaN or very large numbers in x, use a smaller learning rate, or clip gradients (clipnorm=1.0).",
                    RuntimeWarning,
                    stacklevel=2,
                )
                break
        self.first_step += len(self.unseen)
        self.unseen = []
        self.looked = time.perf_counter()
