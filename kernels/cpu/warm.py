"""What is the same for all networks, by name: for compiling ahead.

Kernels that depend on a layer's geometry (row tiles, overlap-add, depthwise windows, pooling) are not among these: they
are compiled by running the layer.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

from deepcore.kernels.cpu import library, panel
from deepcore.kernels.cpu.dots import ROWS, dots
from deepcore.kernels.cpu.host import host
from deepcore.kernels.cpu.sweep import sweep
from deepcore.kernels.cpu.tile import most_rows, most_vectors, tile
from deepcore.kernels.cpu.transform import KINDS, transform
from deepcore.kernels.cpu.transpose import transpose


def tasks() -> Iterator[tuple[str, str]]:
    """(file, name) of every task: the functions of ``tasks/`` that are not written into others."""
    for path in sorted(Path(__file__).with_name("tasks").glob("[!_]*.py")):
        module = importlib.import_module(f"deepcore.kernels.cpu.tasks.{path.stem}")
        for name, value in vars(module).items():
            if inspect.isfunction(value) and value.__module__ == module.__name__:
                yield path.stem, name


def kernels() -> Iterator[Callable[[], int]]:
    """Functions that compile one piece each, or find it kept."""
    yield from (functools.partial(library.task, *task) for task in tasks())
    for vectors in range(1, most_vectors(host()) + 1):
        for rows in range(1, most_rows(vectors, host()) + 1):
            for tail, down in itertools.product((False, True), repeat=2):
                yield functools.partial(tile, rows, vectors, tail, down)
                if host().is_narrow:
                    yield functools.partial(tile, rows, vectors, tail, down, asks=False)
    if host().is_narrow:
        for rows, asks in itertools.product(range(1, most_rows(most_vectors(host()), host()) + 1), (False, True)):
            yield functools.partial(sweep, rows, most_vectors(host()), asks=asks)
    # Panels hold the columns of the widest tile, or the rows of the tallest.
    for vectors in range(1, max(most_vectors(host()), -(-most_rows(1, host()) // host().lanes)) + 1):
        yield from (functools.partial(panel.copy, vectors, tail) for tail in (False, True))
    yield from (functools.partial(transpose, tail) for tail in (False, True))
    yield from (functools.partial(dots, rows) for rows in range(1, ROWS + 1))
    for kind, sizes in KINDS.items():
        for m in sizes:
            yield from (functools.partial(transform, kind, m, tail) for tail in (False, True))
            if kind in ("input", "output", "output_gradient"):
                yield from (functools.partial(transform, kind, m, tail, edge=True) for tail in (False, True))
    yield from (functools.partial(transform, "output", m, streams=True) for m in KINDS["output"])
