"""Kept rows as a picture: every ratio to another library as a dot, beside what deepcore aims at."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from deepcore.benchmarks.aims import KINDS, NETWORK_AIMS
from deepcore.benchmarks.case import DIRECTIONS
from deepcore.benchmarks.comparison import NETWORKS, Comparison, Setting, kind_at

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HELD, MISSED = "#1b6ca8", "#e07b39"
LINE_INCHES = 0.19
WIDTH_INCHES = 9.5
TICKS = (0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20)


class Line(NamedTuple):
    """One line of the picture: its title, what it aims at, and its ratios by setting, each with its spread."""

    title: str
    aim: float | None
    ratios: dict[Setting, list[tuple[float, float, float]]]


def draw(comparison: Comparison, file: Path) -> None:
    """Saves the picture; the name's ending says in which format: ``.svg``, ``.png``, ``.pdf``.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: the ending is of no picture that matplotlib can save.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(f"A picture needs matplotlib ({error}): pip install 'deepcore[plot]'.") from error

    groups = [group for group in (_layers(comparison), _networks(comparison)) if group]
    settings = sorted({setting for lines in groups for line in lines for setting in line.ratios})
    # Text stays text, and ids come from a fixed salt: the same rows give the same file.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "deepcore", "font.size": 8}):
        height = LINE_INCHES * sum(map(len, groups)) + 0.55 * len(groups) + 0.6
        figure = Figure(figsize=(WIDTH_INCHES, height), layout="constrained")
        panels = figure.subplots(
            len(groups),
            len(settings),
            squeeze=False,
            sharex="row",
            sharey="row",
            height_ratios=[len(group) + 1 for group in groups],
        )
        for lines, row in zip(groups, panels, strict=True):
            for setting, axes in zip(settings, row, strict=True):
                _panel(axes, lines, setting)
            _scale(row[0])
        for setting, axes in zip(settings, panels[0], strict=True):
            axes.set_title(f"{setting}", fontsize=9)
        figure.supxlabel(
            f"{comparison.peer}'s time or memory divided by deepcore's: right of 1, deepcore is better. Bars are aims; "
            "filled dots hold them, rings do not; numbers are geometric means.",
            fontsize=8,
        )
        figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None, dpi=150)


def _layers(comparison: Comparison) -> list[Line]:
    """A line for each kind of layers and direction, with a dot for each layer and batch."""
    lines = []
    for kind in KINDS:
        for way in DIRECTIONS:
            ratios: dict[Setting, list[tuple[float, float, float]]] = {}
            for place, cells in comparison.layers.items():
                if kind_at(place) is kind:
                    for (setting, direction), row in cells.items():
                        if direction == way:
                            ratios.setdefault(setting, []).append(_spread(row))
            if ratios:
                lines.append(Line(f"{kind.title}, {way}", kind.aim, ratios))
    return lines


def _networks(comparison: Comparison) -> list[Line]:
    """A line for each network and what was measured of it."""
    return [
        Line(
            f"{NETWORKS[place.suite]}, {place.layer}, batch {place.batch}",
            NETWORK_AIMS.get(place[:2]),
            {setting: [_spread(row)] for (setting, _), row in cells.items()},
        )
        for place, cells in comparison.networks.items()
    ]


def _spread(row: Any) -> tuple[float, float, float]:
    middle = row.ratio_p50
    return row.ratio_p20 or middle, middle, row.ratio_p80 or middle


def _panel(axes: Axes, lines: Iterable[Line], setting: Setting) -> None:
    """The lines from top to bottom, for one setting."""
    titles = []
    axes.axvline(1, color="0.6", linewidth=0.8, zorder=0)
    for place, line in enumerate(lines):
        titles.append(line.title)
        spreads = line.ratios.get(setting, [])
        if place % 2 == 0:
            axes.axhspan(place - 0.5, place + 0.5, color="0.965", zorder=-1)
        if line.aim is not None:
            axes.plot([line.aim] * 2, [place - 0.42, place + 0.42], color="0.25", linewidth=2, solid_capstyle="butt")
        if spreads:
            middles = [middle for _, middle, _ in spreads]
            held = [line.aim is None or middle >= line.aim for middle in middles]
            edges = [HELD if each else MISSED for each in held]
            insides = [HELD if each else "white" for each in held]
            axes.scatter(middles, [place] * len(middles), s=16, color=insides, edgecolors=edges, alpha=0.85, zorder=3)
        if len(spreads) == 1:
            axes.plot([spreads[0][0], spreads[0][2]], [place] * 2, color=edges[0], linewidth=1.2)
        if len(spreads) > 1:
            mean = statistics.geometric_mean(middles)
            axes.annotate(
                f"{mean:.2f}", (1, place), (-3, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
                ha="right", va="center", fontsize=7, color="0.3",
            )  # fmt: skip
    axes.set_yticks(range(len(titles)), titles)
    axes.set_ylim(len(titles) - 0.5, -0.5)
    axes.tick_params(length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _scale(axes: Axes) -> None:
    """The scale that all panels of a row share: logarithmic, with 1 and some room at the right for the means."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    low, high = min(low, 0.5), max(high * 1.35, 3)
    axes.set_xlim(low, high)
    ticks = [tick for tick in TICKS if low <= tick <= high]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
