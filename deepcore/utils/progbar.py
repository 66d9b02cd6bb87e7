"""Progbar: the progress of a loop of one's own."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Any

from deepcore.config import show


class Progbar:
    """Shows steps, time and values: a bar in a terminal or notebook, one line at the end elsewhere.

    Args:
        target: how many steps there will be; None if nobody knows.
        width: of the bar, in characters.
        verbose: 0 for nothing, 1 for the bar, 2 for a line at the end.
        interval: the fewest seconds between two drawings.
        stateful_metrics: names of values that are shown as they are; all others are averaged over the steps.
        stateless_metrics: names of values that are averaged; all others are shown as they are.
        unit_name: what a step is called.

    Raises ``ValueError`` if both kinds of names are given.
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
        stateless_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
    ) -> None:
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ValueError("Give stateful_metrics or stateless_metrics, not both: all others are of the other kind.")
        self.target, self.width, self.verbose, self.interval = target, width, verbose, interval
        self.unit_name = unit_name
        self.stateful_metrics = None if stateless_metrics is not None else set(stateful_metrics or ())
        self.stateless_metrics = None if stateless_metrics is None else set(stateless_metrics)
        self._sums: dict[str, tuple[float, int]] = {}  # of each value: its sum, and of how many steps
        self._seen = 0
        self._started = time.time()
        self._first_step_ended: float | None = None
        self._drawn = 0.0
        self._length = 0  # of the line on the screen

    def update(self, current: int, values: Any = None, finalize: bool | None = None) -> None:
        """Says that ``current`` steps are done.

        Args:
            current: so many.
            values: pairs of a name and a value, of the steps since the last call.
            finalize: whether it is over; by default once ``current`` is ``target``.
        """
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        for name, value in values or ():
            total, count = self._sums.get(name, (0.0, 0))
            steps = max(current - self._seen, 1)
            averaged = self._is_averaged(name) and not finalize
            self._sums[name] = (total + value * steps, count + steps) if averaged else (value, 1)
        self._seen = current
        now = time.time()
        if current == 1:
            self._first_step_ended = now
        live = self.verbose == 1 and (sys.stdout.isatty() or "ipykernel" in sys.modules)
        if finalize and self.verbose:
            self._draw(now, current, final=True, live=live)
        elif live and now - self._drawn >= self.interval:
            self._draw(now, current, final=False, live=True)

    def add(self, n: int, values: Any = None) -> None:
        """Says that ``n`` more steps are done."""
        self.update(self._seen + n, values)

    def _is_averaged(self, name: str) -> bool:
        return (
            name in self.stateless_metrics
            if self.stateless_metrics is not None
            else (name not in (self.stateful_metrics or ()))
        )

    def _draw(self, now: float, current: int, final: bool, live: bool) -> None:
        count = f"{current}/{'Unknown' if self.target is None else self.target}"
        bar = ""
        if self.verbose == 1 and self.target:
            done = min(int(self.width * current / self.target), self.width)
            bar = f" [{'=' * done}{'.' * (self.width - done)}]"
        step = self._seconds_a_step(now, current)
        seconds = step * (self.target - current) if self.target and not final else now - self._started
        texts = [f"{count}{bar}", f"{seconds:.0f}s", f"{_readable(step)}/{self.unit_name}"]
        for name, (total, number) in self._sums.items():
            mean = float(total) / max(number, 1)
            texts.append(f"{name}: {mean:.4f}" if abs(mean) > 1e-3 else f"{name}: {mean:.4e}")
        line = " - ".join(texts)
        show(("\r" if live else "") + line.ljust(self._length), end="\n" if final else "")
        self._length = 0 if final else len(line)
        self._drawn = now

    def _seconds_a_step(self, now: float, current: int) -> float:
        """The mean of the steps after the first one, which often takes longer."""
        if not current:
            return 0.0
        if self._first_step_ended is not None and current > 1:
            return (now - self._first_step_ended) / (current - 1)
        return (now - self._started) / current


def _readable(seconds: float) -> str:
    """Seconds in a unit that fits.

    >>> _readable(2.0), _readable(0.0123), _readable(2e-5)
    ('2s', '12ms', '20us')
    """
    if seconds >= 1 or seconds == 0:
        return f"{seconds:.0f}s"
    return f"{seconds * 1e3:.0f}ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us"
