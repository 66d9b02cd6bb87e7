"""SwapEMAWeights: evaluation with the averaged weights of an optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deepcore.callbacks.callback import Callback


class SwapEMAWeights(Callback):
    """Puts the averages that an optimizer with ``use_ema=True`` keeps in the place of the weights, for as long as
    ``evaluate``, ``predict`` or a validation runs.

    Args:
        swap_on_epoch: whether the averages are in place at the end of each epoch, too, for callbacks such as
            ``ModelCheckpoint`` that come after this one; training goes on from the weights.

    Raises ``ValueError`` where it is first told of something if the model's optimizer keeps no averages.
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._swapped = False

    def _pairs(self) -> list[tuple[Any, Any]]:
        optimizer = self.model.optimizer
        if not getattr(optimizer, "use_ema", False):
            raise ValueError(
                f"SwapEMAWeights needs an optimizer that keeps averages; got {optimizer!r}. Make it with use_ema=True."
            )
        return optimizer.averaged()

    def _set(self, swapped: bool) -> None:
        pairs = self._pairs()
        if swapped == self._swapped:
            return
        for variable, average in pairs:
            weights = variable.numpy().copy()
            variable.assign(average)
            average.assign(weights)
        self._swapped = swapped

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._set(False)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if not self.swap_on_epoch:
            return
        self._set(True)
        if epoch == self.params["epochs"] - 1:  # then the optimizer writes the averages into the weights itself
            for variable, average in self._pairs():
                average.assign(variable)
            self._swapped = False

    def on_test_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self._set(True)

    def on_test_end(self, logs: Mapping[str, float] | None = None) -> None:
        self._set(False)

    def on_predict_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self._set(True)

    def on_predict_end(self, logs: Mapping[str, float] | None = None) -> None:
        self._set(False)
