"""Everything that may be needed, by name: for compiling ahead."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator

from deepcore.kernels.cpu import depthwise, library, panel
from deepcore.kernels.cpu.dots import ROWS, dots
from deepcore.kernels.cpu.host import host
from deepcore.kernels.cpu.tile import most_rows, most_vectors, tile
from deepcore.kernels.cpu.transform import KINDS, transform
from deepcore.kernels.cpu.transpose import transpose
from deepcore.kernels.cpu.window import Block, Line

TASKS = {
    "pool": ("worker", "run", "part"),
    "product": ("product", "dots"),
    "convolution": ("pack", "correlate", "weights"),
    "overlap": ("overlap",),
    "winograd": (
        "transform_weights",
        "transform_inputs",
        "convolve",
        "transform_tiles",
        "gradient_of_block",
        "multiply",
        "result",
    ),
    "winograd_pieces": ("gradient_of_piece",),
    "depthwise": ("convolve", "weights"),
    "pooling": ("pool",),
}

# Depthwise windows of 3 x 3 with one pixel of padding, on images from 7 x 7 to 112 x 112: the ends of their columns and
# rows, where the first or the last tap is missing, and the pieces between. Other kernels are made when first needed.
ENDS = ((0, 0), (1, 0), (0, 1))


def _blocks() -> Iterator[Block]:
    for stride in (1, 2):
        columns = [Line(1, 3, stride, 1, None, *ends) for ends in ENDS[: 4 - stride]]
        for outputs, ends in itertools.product((3, 4, 5, 6), ENDS[: 4 - stride]):
            yield from (Block(Line(outputs, 3, stride, 1, None, *ends), column) for column in columns)


def kernels() -> Iterator[Callable[[], int]]:
    """Functions that compile one piece each, or find it kept."""
    for file, names in TASKS.items():
        yield from (functools.partial(library.task, file, name) for name in names)
    for vectors in range(1, most_vectors(host()) + 1):
        for rows in range(1, most_rows(vectors, host()) + 1):
            yield from (functools.partial(tile, rows, vectors, tail) for tail in (False, True))
        yield from (functools.partial(panel.copy, vectors, tail) for tail in (False, True))
    yield from (functools.partial(transpose, tail) for tail in (False, True))
    yield from (functools.partial(dots, rows) for rows in range(1, ROWS + 1))
    for kind, sizes in KINDS.items():
        for m in sizes:
            yield from (functools.partial(transform, kind, m, tail) for tail in (False, True))
            if kind in ("input", "output", "output_gradient"):
                yield from (functools.partial(transform, kind, m, tail, edge=True) for tail in (False, True))
    yield from (functools.partial(transform, "output", m, streams=True) for m in KINDS["output"])
    for block, make in itertools.product(_blocks(), (depthwise.convolve, depthwise.accumulate)):
        yield functools.partial(make, block)
