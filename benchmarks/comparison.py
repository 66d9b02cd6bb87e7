"""Kept rows as Markdown: how deepcore compares with another library, beside what it aims at."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from deepcore.benchmarks.aims import FLOOR, KINDS, NETWORK_AIMS, Kind, kind_of
from deepcore.benchmarks.case import DIRECTIONS
from deepcore.benchmarks.machine import stolen_text
from deepcore.benchmarks.row import Row
from deepcore.benchmarks.suite import SUITES

NETWORKS = {"train": "training step", "predict": "inference", "memory": "peak memory of a training step"}


class Setting(NamedTuple):
    """What the rows of one column have in common: threads, and whether they were read off the processor's clock."""

    threads: int
    is_cpu: bool

    @classmethod
    def of(cls, row: Row) -> Setting:
        return cls(row.threads, row.clock == "cpu")

    def __str__(self) -> str:
        many = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"{many}, cpu clock" if self.is_cpu else many


class Place(NamedTuple):
    """A row of the tables."""

    suite: str
    layer: str
    batch: int
    shape: str


@dataclass
class Comparison:
    """The rows of one peer, each its fastest way, sorted into tables.

    Attributes:
        peer: the library.
        layers, networks: for each place, its rows by setting and direction, in the order in which they came.
        runs: how many of these rows are the median of how many runs.
    """

    peer: str
    layers: dict[Place, dict[tuple[Setting, str], Row]] = field(default_factory=dict)
    networks: dict[Place, dict[tuple[Setting, str], Row]] = field(default_factory=dict)
    runs: Counter[int] = field(default_factory=Counter)

    @classmethod
    def of(cls, rows: Iterable[Row], peer: str) -> Comparison:
        """Of what several runs measured of the newest commit, the run with the median ratio counts.

        Raises:
            ValueError: nothing was compared with ``peer``.
        """
        runs: dict[tuple[Place, Setting, str], list[Row]] = {}
        for row in rows:
            if row.peer == peer and row.chosen and row.correct and row.ratio_p50 is not None:
                place = Place(row.suite, row.layer, row.batch, row.shape)
                runs.setdefault((place, Setting.of(row), row.direction), []).append(row)
        if not runs:
            raise ValueError(f"No row compares deepcore with {peer}; measure some with --against {peer} --json FILE.")
        found = cls(peer)
        for (place, setting, direction), mine in runs.items():
            newest = max(mine, key=lambda row: row.time).commit
            mine = sorted((row for row in mine if row.commit == newest), key=lambda row: row.ratio_p50 or 0)
            table = found.networks if place.suite in NETWORKS else found.layers
            # Of an even number the lower of the two in the middle: a row that was measured, and no flattery.
            table.setdefault(place, {})[setting, direction] = mine[(len(mine) - 1) // 2]
            found.runs[len(mine)] += 1
        return found

    def markdown(self) -> str:
        """Kinds of layers, whole networks, and every layer; what is below its aim is marked ▾."""
        parts = []
        if self.layers:
            parts += [self._kinds(), self._floor()]
        if self.networks:
            parts.append(self._networks())
        if self.layers:
            parts.append(self._every_layer())
        return "\n\n".join([*parts, self._measured()]) + "\n"

    def _kinds(self) -> str:
        settings, batches = _settings(self.layers), list(dict.fromkeys(place.batch for place in self.layers))
        ways = [way for way in DIRECTIONS if any(way == each for cells in self.layers.values() for _, each in cells)]
        columns = [(setting, way) for setting in settings for way in ways]
        lines = _header(["geometric mean (worst)", "batch", "aim"], [f"{way}, {setting}" for setting, way in columns])
        for kind, batch in itertools.product(KINDS, batches):
            mine = [cells for place, cells in self.layers.items() if place.batch == batch and kind_at(place) is kind]
            ratios = [[cells[column].ratio_p50 or 0 for cells in mine if column in cells] for column in columns]
            if any(ratios):
                lines.append(
                    _line([kind.title, str(batch), f"{kind.aim:g}", *(_mean(each, kind.aim) for each in ratios)])
                )
        return "\n".join(lines)

    def _floor(self) -> str:
        lines = []
        for setting in _settings(self.layers):
            rows = [row for cells in self.layers.values() for (at, _), row in cells.items() if at == setting]
            low = sum((row.ratio_p50 or 0) < FLOOR for row in rows)
            lines.append(f"Below {FLOOR:g} on {setting}: {low} of {len(rows)} rows.")
        return "\n".join(lines)

    def _networks(self) -> str:
        settings = _settings(self.networks)
        lines = _header(["median (20th to 80th percentile)", "batch", "aim"], [str(setting) for setting in settings])
        for place, cells in self.networks.items():
            aim = NETWORK_AIMS.get(place[:2])
            values = []
            for setting in settings:
                row = next((row for (at, _), row in cells.items() if at == setting), None)
                values.append(_ratio(row, aim, spreads=True))
            title = f"{NETWORKS[place.suite]}, {place.layer}"
            lines.append(_line([title, str(place.batch), f"{aim:g}" if aim else "", *values]))
        return "\n".join(lines)

    def _every_layer(self) -> str:
        settings = _settings(self.layers)
        lines = _header(["layer", "shape", "aim"], [f"{way}: {' / '.join(map(str, settings))}" for way in DIRECTIONS])
        for place, cells in self.layers.items():
            kind = kind_at(place)
            values = [
                " / ".join(filter(None, (_ratio(cells.get((at, way)), kind.aim if kind else None) for at in settings)))
                for way in DIRECTIONS
            ]
            shape = place.shape.replace("*", "·")
            lines.append(_line([f"{place.suite} {place.layer}", shape, f"{kind.aim:g}" if kind else "", *values]))
        return "\n".join(lines)

    def _measured(self) -> str:
        """How often, on what, and with which settings: each combination that occurs, once."""
        rows = [row for table in (self.layers, self.networks) for cells in table.values() for row in cells.values()]
        said = dict.fromkeys(
            f"{row.cpu}; {' '.join(f'{name} {version}' for name, version in row.versions.items())}; "
            f"{' '.join(f'{name}={value}' for name, value in row.settings.items() if name != 'threads')}; "
            f"commit {row.commit}."
            for row in rows
        )
        often = ", ".join(f"{rows} in {runs}" for runs, rows in sorted(self.runs.items(), reverse=True))
        medians = f"Rows by how many runs measured them: {often}; the run with the median ratio counts."
        stolen = stolen_text(row.stolen for row in rows)
        return "\n".join(filter(None, [medians if max(self.runs) > 1 else "", *said, stolen]))


def _settings(table: dict[Place, dict[tuple[Setting, str], Row]]) -> list[Setting]:
    return sorted({setting for cells in table.values() for setting, _ in cells})


def kind_at(place: Place) -> Kind | None:
    """The kind of the layer; None if nothing is aimed at."""
    layers = SUITES[place.suite].layers if place.suite in SUITES else ()
    return next((kind_of(place.suite, layer) for layer in layers if layer.name == place.layer), None)


def _mean(ratios: Sequence[float], aim: float) -> str:
    if not ratios:
        return ""
    mean = statistics.geometric_mean(ratios)
    return f"{mean:.2f}{'' if mean >= aim else ' ▾'} ({min(ratios):.2f})"


def _ratio(row: Row | None, aim: float | None, spreads: bool = False) -> str:
    if row is None or row.ratio_p50 is None:
        return ""
    text = f"{row.ratio_p50:.2f}{' ▾' if aim and row.ratio_p50 < aim else ''}"
    if spreads and row.ratio_p20 is not None and row.ratio_p80 is not None:
        text += f" ({row.ratio_p20:.2f}–{row.ratio_p80:.2f})"
    return text


def _header(first: Sequence[str], rest: Sequence[str]) -> list[str]:
    cells = [*first, *rest]
    return [_line(cells), "|" + "---|" * len(cells)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
