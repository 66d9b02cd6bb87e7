"""A result: everything that a reader needs to believe a number, and to measure it again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import TextIO


@dataclass(frozen=True)
class Row:
    """One implementation of one direction of one layer, by one clock.

    Times are seconds; p20, p50 and p80 are quantiles over ``repeats`` single calls. A row that is not ``correct``
    has no times: ``message`` says what was wrong. ``error`` and ``bound`` are relative to the magnitude of what an
    output element sums (see ``oracle``).

    A row of another library has its name in ``peer``, and in ``settings`` what it ran under. Of its layouts the fastest
    is ``chosen``. The ratios are its seconds over those of deepcore's choice, one ratio a round of the interleaved run:
    above 1, deepcore was faster. Where memory was measured and not time, ``peak_bytes`` has the most that was resident,
    and the ratio is of these.

    ``stolen`` is the share of the machine's processor time that its host gave to others while the row was measured;
    None where the system does not tell.
    """

    suite: str
    layer: str
    count: int
    batch: int
    op: str
    direction: str
    shape: str
    dtype: str
    layout: str
    device: str
    clock: str
    implementation: str
    chosen: bool
    why: str
    correct: bool
    error: float | None
    bound: float
    message: str
    p20: float | None
    p50: float | None
    p80: float | None
    repeats: int
    cache: str
    transfer_bytes: int
    flops: int
    bytes: int
    threads: int
    blas: str
    blas_threads: int
    driver: str
    gpu: str
    precision: str
    cpu: str
    load: float
    versions: dict[str, str]
    commit: str
    time: str
    peer: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    ratio_p20: float | None = None
    ratio_p50: float | None = None
    ratio_p80: float | None = None
    peak_bytes: int | None = None
    stolen: float | None = None

    @property
    def gflops(self) -> float | None:
        """10^9 floating-point operations a second at the median; None where the operation is bound by memory."""
        return self.flops / self.p50 / 1e9 if self.p50 and self.flops else None

    @property
    def gbytes(self) -> float | None:
        """10^9 bytes a second at the median, every input counted as read once and every output as written once."""
        return self.bytes / self.p50 / 1e9 if self.p50 else None

    def to_json(self) -> str:
        """One line of JSON, with the rates spelled out for readers that do not know this class."""
        record = asdict(self) | {"gflops_per_s": self.gflops, "gbytes_per_s": self.gbytes}
        return json.dumps(record, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, line: str) -> Row:
        """The row that ``to_json`` wrote, now or earlier. Raises ``ValueError`` if it is none, or lacks a field."""
        record = json.loads(line)
        if not isinstance(record, dict):
            raise ValueError("Not a benchmark row: no JSON object.")
        missing = [
            one.name
            for one in fields(cls)
            if one.name not in record and one.default is MISSING and one.default_factory is MISSING
        ]
        if missing:
            raise ValueError(f"Not a benchmark row: {', '.join(missing)} missing.")
        return cls(**{one.name: record[one.name] for one in fields(cls) if one.name in record})


class Writer:
    """Appends rows to files of JSON lines, each row whole on disk before the next is measured."""

    def __init__(self, paths: list[Path]) -> None:
        self._files: list[TextIO] = []
        try:
            for path in paths:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._files.append(path.open("a", encoding="utf-8"))
        except OSError:
            self.close()
            raise

    def write(self, row: Row) -> None:
        line = row.to_json() + "\n"
        for file in self._files:
            file.write(line)
            file.flush()

    def close(self) -> None:
        for file in self._files:
            file.close()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def read(path: Path) -> Iterator[Row]:
    """The rows of a file of JSON lines. Raises ``ValueError`` that names the line if one holds no row."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip():
            try:
                row = Row.from_json(line)
            except ValueError as problem:
                raise ValueError(f"{path}, line {number}: {problem}") from None
            yield row
