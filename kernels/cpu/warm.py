"""Everything that may be needed, by name: for compiling ahead."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

from deepcore.kernels.cpu import depthwise, library
from deepcore.kernels.cpu.depthwise import ACCUMULATED, OUTPUTS, Window
from deepcore.kernels.cpu.host import host
from deepcore.kernels.cpu.tile import most_rows, most_vectors, tile
from deepcore.kernels.cpu.transform import KINDS, transform, transpose

TASKS = {
    "pool": ("worker", "run", "numba_part"),
    "convolution": ("pack", "correlate", "weights"),
    "winograd": ("transform_weights", "convolve", "transform_tiles", "gradient_of_block", "multiply", "result"),
    "depthwise": ("convolve", "weights"),
}

# Depthwise windows of published networks, and of the phases of their stride on the way back.
WINDOWS = (Window(3, 3, 1, 1), Window(3, 3, 2, 1), *(Window(r, s, 1, 1) for r in (1, 2) for s in (1, 2)))


def kernels() -> Iterator[Callable[[], int]]:
    """Functions that compile one piece each, or find it kept."""
    for file, names in TASKS.items():
        yield from (functools.partial(library.task, file, name) for name in names)
    for vectors in range(1, most_vectors(host()) + 1):
        for rows in range(1, most_rows(vectors, host()) + 1):
            yield from (functools.partial(tile, rows, vectors, tail) for tail in (False, True))
    for kind, sizes in KINDS.items():
        for m in sizes:
            yield from (functools.partial(transform, kind, m, tail) for tail in (False, True))
    yield from (functools.partial(transform, "output", m, streams=True) for m in KINDS["output"])
    yield from (functools.partial(transpose, tail) for tail in (False, True))
    for window in WINDOWS:
        for make, most in ((depthwise.convolve, OUTPUTS), (depthwise.accumulate, ACCUMULATED)):
            for outputs in range(1, most + 1):
                yield from (functools.partial(make, window, outputs, tail) for tail in (False, True))
