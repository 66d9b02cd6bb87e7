"""The progress of fit, evaluate and predict: a live bar in a terminal, a line an epoch elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

from deepcore.callbacks.callback import Callback

INTERVAL = 0.25  # seconds between two drawings; each fetches loss and metrics from the device
_SHORTEST_BAR, _LONGEST_BAR = 16, 40


class ProgbarLogger(Callback):
    """Shows epoch, steps, speed, the time left, loss and metrics.

    Args:
        console: a rich console to draw on, whatever it is; by default the bar is drawn where standard output is a
            terminal or a notebook, and elsewhere one line is printed at the end of each epoch.

    ``verbose`` in ``params`` is 0 for nothing, 1 for the bar, 2 for a line an epoch.
    """

    def __init__(self, console: Any = None) -> None:
        super().__init__()
        self._console = console
        self._live: Any = None
        self._stage = ""  # "fit", "evaluate" or "predict" while one is in progress
        self._title = ""
        self._note = ""
        self._metrics: dict[str, float] = {}
        self._steps_done = self._samples_done = 0
        self._began = self._drawn = self._ended = 0.0

    # What happens

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self._stage = "fit"

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._begin(f"Epoch {epoch + 1}/{self.params['epochs']}")

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._advance(batch, logs)

    def on_test_begin(self, logs: Mapping[str, float] | None = None) -> None:
        if self._stage == "fit":
            self._ended = time.perf_counter()
            self._note = "validating"
            self._draw()
        else:
            self._stage = "evaluate"
            self._begin("Evaluate")

    def on_test_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        if self._stage == "evaluate":
            self._advance(batch, logs)

    def on_test_end(self, logs: Mapping[str, float] | None = None) -> None:
        if self._stage == "evaluate":
            self._end(logs)

    def on_predict_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self._stage = "predict"
        self._begin("Predict")

    def on_predict_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._advance(batch, None)

    def on_predict_end(self, logs: Mapping[str, float] | None = None) -> None:
        self._end(None)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._end(logs)

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        self.release()

    def release(self) -> None:
        self._stage = ""
        self._close()

    # What is shown

    @property
    def _verbose(self) -> int:
        return int(self.params.get("verbose", 0))

    def _begin(self, title: str) -> None:
        self._title, self._note, self._metrics = title, "", {}
        self._steps_done = self._samples_done = 0
        self._began = self._drawn = time.perf_counter()
        self._ended = 0.0
        if self._verbose == 1 and (self._console is not None or _is_interactive()):
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=self._console or Console(), auto_refresh=False)
            self._live.start()

    def _advance(self, batch: int, logs: Mapping[str, float] | None) -> None:
        self._steps_done = batch + 1
        self._samples_done = min(
            self._steps_done * (self.params.get("batch_size") or 0), self.params.get("samples") or sys.maxsize
        )
        if self._live is not None and time.perf_counter() - self._drawn >= INTERVAL:
            self._metrics = dict(logs or {})
            self._draw()

    def _end(self, logs: Mapping[str, float] | None) -> None:
        self._metrics = dict(logs or {})
        self._note = ""
        self._ended = self._ended or time.perf_counter()
        if self._stage != "fit":
            self._stage = ""
        if self._live is not None:
            self._draw(final=True)
            self._close()
        elif self._verbose:
            print(" - ".join([self._title, *self._figures(final=True), *self._values(": ")]), flush=True)

    def _close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _draw(self, final: bool = False) -> None:
        if self._live is not None:
            self._drawn = time.perf_counter()
            self._live.update(self._picture(final), refresh=True)

    def _picture(self, final: bool) -> Any:
        """One line where the terminal is wide enough, else loss and metrics on a second one."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        steps = self.params.get("steps")
        count = f"{self._steps_done:>{len(str(steps))}}/{steps}" if steps else f"{self._steps_done}"
        figures = "  ".join([self._note] if self._note else self._figures(final)[1:])
        values = "  ".join(self._values(" "))
        width = self._live.console.width
        room = width - len(self._title) - len(count) - len(figures) - 4 * 2
        one_line = room - len(values) - 2 >= _SHORTEST_BAR
        bar = max(min(room - (len(values) + 2 if one_line else 0), _LONGEST_BAR), 4)
        line = Table.grid(padding=(0, 2, 0, 0))
        cells: list[Any] = [
            Text(self._title, "bold"),
            ProgressBar(total=steps or None, completed=self._steps_done, width=bar, pulse=not steps and not final),
            Text(count),
            Text(figures, "cyan"),
        ]
        for _ in range(len(cells) + one_line):
            line.add_column(no_wrap=True)
        line.add_row(*cells, *([Text(values)] if one_line else []))
        return line if one_line or not values else Group(line, Text("  " + values))

    def _figures(self, final: bool) -> list[str]:
        """Steps, and speed and time, of what was done."""
        steps = self.params.get("steps")
        seconds = (self._ended or time.perf_counter()) - self._began
        texts = [f"{self._steps_done}{f'/{steps}' if steps else ''} steps"]
        if self._samples_done:
            texts.append(f"{self._samples_done / max(seconds, 1e-9):,.0f} samples/s")
        if final:
            texts.append(_duration(seconds))
        elif steps and self._steps_done:
            texts.append(f"{_duration(seconds / self._steps_done * (steps - self._steps_done))} left")
        return texts

    def _values(self, separator: str) -> list[str]:
        return [f"{name}{separator}{_number(value)}" for name, value in self._metrics.items()]


def _is_interactive() -> bool:
    return sys.stdout.isatty() or "ipykernel" in sys.modules


def _number(value: float) -> str:
    """Four places, or an exponent where they would not tell anything.

    >>> _number(0.12345), _number(0.00001234), _number(0.0)
    ('0.1235', '1.2340e-05', '0.0000')
    """
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e6 or value != value else f"{value:.4e}"


def _duration(seconds: float) -> str:
    """Seconds as a reader wants them.

    >>> _duration(0.52), _duration(42.0), _duration(3723)
    ('0.5 s', '42 s', '1:02:03')
    """
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
