"""What a launch found: faults by source line, and how well each line of the kernel used memory."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

Frame = tuple[str, int]
Index = tuple[int, int, int]


@dataclass(frozen=True)
class Finding:
    """One fault of a kernel.

    Attributes:
        kind: such as ``"race"``; :class:`Module` lists them all.
        kernel: its name.
        file, line: where in the source, ``None`` if it has no place (an output that nobody wrote).
        block, thread: the indices ``(x, y, z)``, ``None`` where there is no one thread.
        message: the whole story in a sentence or two.
        frames: the chain of inlined calls that led there, innermost first.
    """

    kind: str
    kernel: str
    file: str | None
    line: int | None
    block: Index | None
    thread: Index | None
    message: str
    frames: tuple[Frame, ...] = ()

    def __str__(self) -> str:
        where = "" if self.file is None else f" at {Path(self.file).name}:{self.line}"
        who = ""
        if self.block is not None:
            who = f", block {_tuple(self.block)}"
            if self.thread is not None:
                who += f" thread {_tuple(self.thread)}"
        callers = "".join(f", called at {Path(file).name}:{line}" for file, line in self.frames[1:])
        return f"{self.kind} in {self.kernel}{where}{callers}{who}: {self.message}"


def _tuple(index: Index) -> str:
    return f"({','.join(map(str, index))})"


class EmulatorError(RuntimeError):
    """A launch found faults; ``findings`` has them, ``report`` all that is known of the launch."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.findings = report.findings
        lines = [str(finding) for finding in report.findings]
        super().__init__(lines[0] if len(lines) == 1 else "\n".join([f"{len(lines)} findings:", *lines]))


@dataclass(frozen=True)
class Counter:
    """How one source line used memory, over the whole launch.

    A request is one access by the threads of one warp. Global memory moves sectors of 32 bytes; shared memory serves
    one wavefront a clock, of at most one word from each of 32 banks of 4 bytes. ``ideal`` is the least that the same
    bytes could cost.

    Attributes:
        file, line: where in the source.
        space: ``"global"`` or ``"shared"``.
        operation: ``"load"``, ``"store"`` or ``"atomic"``.
        size: bytes a thread.
        requests: warp-wide accesses.
        threads: accesses of single threads.
        cost: sectors or wavefronts.
        ideal: the least sectors or wavefronts.
    """

    file: str
    line: int
    space: str
    operation: str
    size: int
    requests: int
    threads: int
    cost: int
    ideal: int

    @property
    def unit(self) -> str:
        return "sectors" if self.space == "global" else "wavefronts"

    @property
    def ratio(self) -> float:
        """``cost / ideal``: 1 is perfect."""
        return self.cost / self.ideal if self.ideal else 1.0

    def __str__(self) -> str:
        place = f"{Path(self.file).name}:{self.line}"
        return (
            f"{place} {self.space} {self.operation} of {self.size} bytes: {self.cost} {self.unit} in {self.requests} "
            f"requests, {self.ratio:.2f} times the ideal {self.ideal}"
        )


@dataclass(frozen=True)
class Report:
    """All that is known of one launch."""

    kernel: str
    findings: tuple[Finding, ...] = ()
    counters: tuple[Counter, ...] = ()

    def lint(self, sectors: float = 1.15, wavefronts: float = 1.05) -> list[Counter]:
        """The lines that cost more than these multiples of the ideal, the worst first; a test can demand none."""
        limit = {"global": sectors, "shared": wavefronts}
        worse = [counter for counter in self.counters if counter.ratio > limit[counter.space]]
        return sorted(worse, key=lambda counter: -counter.ratio)

    def line(self, number: int, space: str | None = None, operation: str | None = None) -> Counter:
        """The one counter of a line, narrowed by ``space`` and ``operation`` where it has several.

        Raises:
            LookupError: there is none, or more than one.
        """
        found = [
            counter
            for counter in self.counters
            if counter.line == number and space in (None, counter.space) and operation in (None, counter.operation)
        ]
        if len(found) != 1:
            listed = "\n".join(map(str, found)) or "\n".join(map(str, self.counters)) or "none"
            raise LookupError(f"Line {number} has {len(found)} counters, not one. There are:\n{listed}")
        return found[0]


class Places:
    """Source lines of addresses in one library, asked for once."""

    def __init__(self, library: Path, hidden: Sequence[Path], rename: Callable[[str], str]) -> None:
        self._library = library
        self._hidden = [str(folder) for folder in hidden]
        self._rename = rename
        self._known: dict[int, tuple[Frame, ...]] = {}

    def look_up(self, offsets: Iterable[int]) -> dict[int, tuple[Frame, ...]]:
        """For each return address, the inlined calls that lead there, innermost first, without the emulator's own."""
        asked = set(offsets)
        new = sorted(asked - self._known.keys())
        if new:
            # One less: a return address belongs to the instruction after the call, maybe on the next line.
            words = ["addr2line", "-a", "-i", "-e", str(self._library), *(hex(offset - 1) for offset in new)]
            try:
                text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
            except (OSError, subprocess.CalledProcessError):
                text = ""
            blocks = re.split(r"^0x[0-9a-f]+\n", text, flags=re.MULTILINE)[1:] or [""] * len(new)
            for offset, block in zip(new, blocks, strict=True):
                self._known[offset] = self._frames(block)
        return {offset: self._known[offset] for offset in asked}

    def _frames(self, text: str) -> tuple[Frame, ...]:
        frames = []
        for file, line in re.findall(r"^(.+?):(\d+)", text, flags=re.MULTILINE):
            if not any(file.startswith(folder) for folder in self._hidden) and not file.endswith("entries"):
                frames.append((self._rename(file), int(line)))
        return tuple(frames)


FENCE = 128
"""Bytes behind an array that ``DC_SHARED`` declares, as in ``include/entry.h``."""


def shared_variables(library: Path) -> list[tuple[int, int, int, str]]:
    """Offset, bytes, bytes of fence at the end, and name, of each variable in shared memory of a library."""
    words = ["readelf", "--syms", "--wide", "--demangle", str(library)]
    try:
        text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    found = {}
    for value, size, name in re.findall(
        r"^\s*\d+: ([0-9a-f]+)\s+(\d+) TLS\s+\S+\s+\S+\s+\S+ (.+)$", text, re.MULTILINE
    ):
        if int(size) and not name.startswith("guard variable"):
            fenced = name.endswith("_fenced")
            short = re.sub(r"\(.*\)", "", name).removesuffix("_fenced").rsplit("::", 1)[-1]
            found[int(value, 16)] = (int(value, 16), int(size), FENCE if fenced else 0, short)
    return [found[offset] for offset in sorted(found)]
