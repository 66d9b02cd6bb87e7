"""Ctrl-C between two steps, never within one."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any


class InterruptBetweenSteps:
    """Within the block Ctrl-C waits until ``check``, so that no step is left half done; a second one does not wait.

    Where Ctrl-C is handled by somebody else, or the block does not run in the main thread, nothing is changed.
    """

    def __init__(self) -> None:
        self.pending = False
        self._at_once = False
        self._previous: Any = None

    def __enter__(self) -> InterruptBetweenSteps:
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._previous = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            self._previous = None

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.pending or self._at_once:
            signal.default_int_handler(number, frame)
        self.pending = True

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Within the block Ctrl-C does not wait: it may be a long wait for data, and there is no step to finish."""
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def check(self) -> None:
        """Raises ``KeyboardInterrupt`` if Ctrl-C was pressed."""
        if self.pending:
            self.pending = False
            raise KeyboardInterrupt
