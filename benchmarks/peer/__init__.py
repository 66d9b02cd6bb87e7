"""Other libraries that deepcore is measured against: what each must be told, and the same arrays in its own layouts.

A peer is imported when it is asked for, never before, and gets the settings in which it is fastest. What it returns
goes through the same gate as what deepcore returns; changing layouts is never inside of the clock.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from deepcore.benchmarks.case import Case
from deepcore.benchmarks.learner import Learner
from deepcore.benchmarks.network import Network
from deepcore.errors import unknown_name

EVERY = "all"


@dataclass(frozen=True)
class Variant:
    """One way in which a peer can run a case.

    Attributes:
        name: what sets it apart from the peer's other ways, such as ``"channels_last"``.
        layout: how its images lie in memory.
        prepare: host arrays of the case as what ``run`` takes, in memory of their own.
        run: the call that is timed; returns when the result is there.
        restore: the result as arrays that the case can judge.
    """

    name: str
    layout: str
    prepare: Callable[[Sequence[np.ndarray]], list[Any]]
    run: Callable[[Sequence[Any]], Any]
    restore: Callable[[Any], Any]


@dataclass
class Peer:
    """A library that is here and set up.

    Attributes:
        name: what the command line calls it.
        version: with the name, what rows call it.
        threads: on how many it runs.
        variants: the ways in which it can run a case; raises ``UnsupportedCallError`` for a case that it has no call
            for. None for a library of whole networks alone.
        learners: the ways in which it can train a network, or predict with it; None for a library that has none here.
        settings: what it was told, and what of the system decides its speed.
    """

    name: str
    version: str
    threads: int
    variants: Callable[[Case], list[Variant]] | None = None
    learners: Callable[[Network, bool], list[Learner]] | None = None
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True)
class Known:
    """A peer that may be installed or not.

    Attributes:
        package: what must be importable.
        install: the line that installs it.
        open: sets it up for a number of threads.
    """

    package: str
    install: str
    open: Callable[[int], Peer]

    @property
    def installed(self) -> bool:
        return importlib.util.find_spec(self.package) is not None


def _opener(name: str) -> Callable[[int], Peer]:
    def open_peer(threads: int) -> Peer:
        return importlib.import_module(f"deepcore.benchmarks.peer.{name}").open_peer(threads)

    return open_peer


# Of single operations, and of whole networks.
PEERS: dict[str, Known] = {
    "torch": Known("torch", "pip install torch", _opener("torch")),
    "jax": Known("jax", "pip install jax", _opener("jax")),
}
NETWORK_PEERS: dict[str, Known] = {
    "torch": PEERS["torch"],
    "keras": Known("keras", "pip install keras jax", _opener("keras")),
}


def asked_for(against: Iterable[str], known: Mapping[str, Known]) -> list[str]:
    """The names in ``against``, each of which may hold several with commas between; ``"all"`` is what is installed.

    Raises ``ValueError`` for a name that nobody knows, and for a library that is not installed, with the line that
    installs it.
    """
    names = [name.strip() for text in against for name in text.split(",") if name.strip()]
    for name in names:
        if name not in {*known, EVERY}:
            raise unknown_name("peer", name, {*known, EVERY})
    if EVERY in names:
        found = [name for name in known if known[name].installed]
        if not found:
            raise ValueError(f"None of {', '.join(known)} is installed. {_install_lines(known, known)}")
        names = [*found, *(name for name in names if name != EVERY)]
    missing = [name for name in dict.fromkeys(names) if not known[name].installed]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise ValueError(f"{' and '.join(missing)} {verb} not installed. {_install_lines(missing, known)}")
    return list(dict.fromkeys(names))


def open_peers(against: Iterable[str], threads: int, known: Mapping[str, Known]) -> list[Peer]:
    """The peers that ``against`` names, imported and set to ``threads``. Raises what ``asked_for`` raises."""
    return [known[name].open(threads) for name in asked_for(against, known)]


def set_environment(values: Mapping[str, str]) -> dict[str, str]:
    """Environment variables that a library reads when it is imported; one that the user has set stays. What holds."""
    return {name: os.environ.setdefault(name, value) for name, value in values.items()}


def version_of(package: str) -> str:
    """The version of an installed package, without what a build adds to it after a plus sign.

    >>> version_of("numpy").count("+")
    0
    """
    return metadata.version(package).partition("+")[0]


def huge_pages() -> str:
    """Whether Linux gives programs huge pages: ``"always"``, ``"madvise"`` or ``"never"``; ``"unknown"`` elsewhere."""
    try:
        text = Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text(encoding="ascii")
    except OSError:
        return "unknown"
    return text.partition("[")[2].partition("]")[0] or "unknown"


def _install_lines(names: Iterable[str], known: Mapping[str, Known]) -> str:
    return f"Install with: {'; '.join(known[name].install for name in names)}."
