"""What crosses between host and device, and what makes the host wait: counted, each with the line that caused it.

A move to the emulator, and a look at what is there, count as they would on a GPU, although both are host memory; so a
test on a machine with no GPU can hold a program to what it may transfer.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import NamedTuple

import deepcore
from deepcore import kernels

TO_DEVICE, TO_HOST, WAIT = "host to device", "device to host", "synchronisation"

_OWN = tuple(os.path.dirname(os.path.abspath(str(m.__file__))) + os.sep for m in (deepcore, kernels))
_LIBRARY = (contextlib.__file__, functools.__file__)
_PASSED_THROUGH = ("audit.py", "backend/__init__.py", "device.py", "operand.py", "tensor.py", "transfer.py")


class Event(NamedTuple):
    """One copy, or one wait.

    Attributes:
        kind: ``"host to device"``, ``"device to host"`` or ``"synchronisation"``.
        bytes: copied; 0 for a wait.
        place: file and line of the program that caused it, the nearest that is not deepcore's own.
        inside: file and line within deepcore that asked for it; empty where the program itself did.
    """

    kind: str
    bytes: int
    place: str
    inside: str


class Total(NamedTuple):
    """A number of copies, and their bytes together."""

    number: int
    bytes: int


class TransferError(AssertionError):
    """Something was transferred, or waited for, where a program promised that nothing would be."""


@dataclass
class AuditLog:
    """What happened within a block of ``audit``, in order. ``print`` shows it as a table by place.

    Attributes:
        events: all copies and waits.
    """

    events: list[Event]

    def _total(self, kind: str) -> Total:
        sizes = [event.bytes for event in self.events if event.kind == kind]
        return Total(len(sizes), sum(sizes))

    @property
    def host_to_device(self) -> Total:
        """Copies to the device."""
        return self._total(TO_DEVICE)

    @property
    def device_to_host(self) -> Total:
        """Copies to the host, each of which waits for the device as well."""
        return self._total(TO_HOST)

    @property
    def synchronisations(self) -> int:
        """How often the host waited for the device."""
        return self._total(WAIT).number

    def assert_none(self) -> None:
        """Raises ``TransferError`` with the table unless nothing was copied and nothing waited."""
        if self.events:
            raise TransferError(f"Nothing was to be transferred or waited for, but there were\n{self}")

    def __str__(self) -> str:
        if not self.events:
            return "no transfers, no synchronisation"
        groups = Counter((event.kind, event.place, event.inside) for event in self.events)
        sizes: Counter[tuple[str, str, str]] = Counter()
        for event in self.events:
            sizes[event[0], event[2], event[3]] += event.bytes
        rows = [("what", "count", "bytes", "where", "by")]
        rows += [
            (kind, str(count), str(sizes[kind, place, inside] or ""), place, inside)
            for (kind, place, inside), count in groups.items()
        ]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        return "\n".join(
            "  ".join(
                text.rjust(width) if i in (1, 2) else text.ljust(width)
                for i, (text, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        )


_logs: ContextVar[tuple[AuditLog, ...]] = ContextVar("deepcore_audit", default=())


@contextlib.contextmanager
def audit() -> Iterator[AuditLog]:
    """Within the block, copies between host and device and waits for the device are counted.

    Counted are deepcore's own: tensors made of host data, ``to``, ``numpy``, ``item``, ``float`` and what is built on
    them. Numbers travel in the arguments of a kernel, and are no copy. Blocks nest, each with its own log. Per thread
    and per asynchronous task.

    >>> import deepcore
    >>> with deepcore.audit() as log:
    ...     y = deepcore.Tensor([1.0, 2.0], device="cpu") * 2
    ...     y.numpy()
    array([2., 4.], dtype=float32)
    >>> print(log)
    no transfers, no synchronisation
    """
    log = AuditLog([])
    token = _logs.set((*_logs.get(), log))
    try:
        yield log
    finally:
        _logs.reset(token)


def copied_to_device(count: int) -> None:
    """Notes a copy of ``count`` bytes to the device."""
    if _logs.get():
        _note((TO_DEVICE, count))


def copied_to_host(count: int) -> None:
    """Notes a copy of ``count`` bytes to the host, which waits until they are there."""
    if _logs.get():
        _note((TO_HOST, count), (WAIT, 0))


def waited() -> None:
    """Notes that the host waited for the device."""
    if _logs.get():
        _note((WAIT, 0))


def _note(*what: tuple[str, int]) -> None:
    place, inside = _places()
    for log in _logs.get():
        log.events.extend(Event(kind, count, place, inside) for kind, count in what)


def _places() -> tuple[str, str]:
    """The line of the program, and the line of deepcore, that this was called from."""
    frame = sys._getframe(1)
    inside = ""
    while frame is not None:
        file = frame.f_code.co_filename
        own = next((folder for folder in _OWN if file.startswith(folder)), None)
        if own is None:
            if file not in _LIBRARY:
                return f"{_shown(file)}:{frame.f_lineno}", inside
        elif not inside and not file.endswith(_PASSED_THROUGH):
            inside = f"{file.removeprefix(own)}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return "?", inside


def _shown(file: str) -> str:
    """``file`` as one would type it here."""
    here = os.getcwd() + os.sep
    return file.removeprefix(here)
