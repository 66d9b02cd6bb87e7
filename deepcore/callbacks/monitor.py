"""What callbacks share that watch one number for getting better."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import Any

from deepcore.callbacks.callback import Callback
from deepcore.naming import snake_case

_GROWS = re.compile(r"accuracy|auc|precision|recall|true_|sensitivity|specificity|iou|score|similarity|correlation")
_FALLS = re.compile(r"error|loss|crossentropy|hinge|divergence|poisson|cosh|false_")


class MonitorCallback(Callback):
    """The base of callbacks that watch a number of the logs.

    Args:
        monitor: its name, such as ``"val_loss"``.
        mode: ``"min"`` or ``"max"`` for what is better; ``"auto"`` to go by what the metric of that name measures.
        baseline: what the first value is compared with; None to take any.
        min_delta: the least change that counts.

    With ``"auto"``, ``ValueError`` is raised at the end of the first epoch if the name does not tell which is better.
    """

    def __init__(
        self, monitor: str = "val_loss", mode: str = "auto", baseline: float | None = None, min_delta: float = 0.0
    ) -> None:
        super().__init__()
        if mode not in ("auto", "min", "max"):
            warnings.warn(
                f"{type(self).__name__}: mode is 'auto', 'min' or 'max'; {mode!r} is taken as 'auto'.", stacklevel=3
            )
            mode = "auto"
        self.monitor, self.mode = monitor, mode
        self.best = baseline
        self.min_delta = abs(min_delta)

    def value_of(self, logs: Mapping[str, Any] | None) -> Any:
        """The number watched; None, with a warning, if the logs do not have it."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            warnings.warn(
                f"{type(self).__name__} watches {self.monitor!r}, which the logs do not have; they have "
                f"{', '.join(logs or ()) or 'nothing'}.",
                stacklevel=3,
            )
        return value

    def is_better(self, value: Any, than: Any) -> bool:
        """Whether ``value`` is better than ``than`` by more than ``min_delta``; any value is better than None."""
        if self.mode == "auto":
            self.mode = self._found_mode()
        if than is None:
            return True
        return bool(value + self.min_delta < than if self.mode == "min" else value - self.min_delta > than)

    def check_mode(self) -> None:
        """Raises ``ValueError`` if it cannot be told which is better."""
        if self.mode == "auto":
            self.mode = self._found_mode()

    def _found_mode(self) -> str:
        name = self.monitor.removeprefix("val_")
        if name == "loss" or name.endswith("_loss"):
            return "min"
        for metric in getattr(self.model, "metrics", ()):
            named = metric.named() if hasattr(metric, "named") else {metric.name: metric}
            found = next((one for key, one in named.items() if name in (key, one.name)), None)
            if found is not None and (direction := _direction(found)) is not None:
                return "max" if direction == "up" else "min"
        raise ValueError(
            f"{type(self).__name__} cannot tell whether {self.monitor!r} is better large or small; pass mode='max' or "
            "mode='min'."
        )


def _direction(metric: Any) -> str | None:
    """Whether a better metric goes ``"up"`` or ``"down"``; None for one of a kind that nobody knows."""
    if getattr(metric, "_direction", None) is not None:
        return metric._direction
    kind = type(metric) if not hasattr(metric, "fn") or type(metric).__name__ != "MeanMetricWrapper" else metric.fn
    if not kind.__module__.startswith("deepcore."):
        return None
    name = snake_case(kind.__name__)
    return "up" if _GROWS.search(name) else "down" if _FALLS.search(name) else None
