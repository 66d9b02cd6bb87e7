"""TerminateOnNaN: training ends when the loss is no longer a number."""

from __future__ import annotations

import math
from collections.abc import Mapping

from deepcore.callbacks.callback import Callback


class TerminateOnNaN(Callback):
    """Ends training after a batch with a loss that is NaN or infinite. The loss of every batch is read for that.

    Args:
        raise_error: raise ``RuntimeError`` instead, so that training does not end as if it were done.
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(f"The loss of batch {batch} is {loss}, so training was ended.")
        print(f"Batch {batch}: invalid loss {loss}, terminating training")
        self.model.stop_training = True
