"""What all plans of Winograd's minimal filtering share: tiles in an image, where their transforms lie, products."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from deepcore.backend.numpy.channels import Channels
from deepcore.backend.numpy.window import Axis
from deepcore.kernels.cpu.host import ITEM, host
from deepcore.kernels.cpu.place import Strides, place
from deepcore.kernels.cpu.record import WINOGRAD_TILES, address
from deepcore.kernels.cpu.transform import FEW, input_row, transform

TAPS = 3 * 3  # of the window
GRADIENT_TILE = 4  # outputs of a row of the tiles of which the gradient at the weights is made
STEP = 4  # tiles that one index of a launch transforms
PAD = 64  # bytes between rows that would meet in one set of the cache, their distance being a power of two


def places_of(m: int) -> int:
    """Places of a tile of m x m outputs, which reads one pixel more on every side."""
    return (m + 2) ** 2


def tiles_of(images: int, rows: Axis, cols: Axis, m: int) -> int:
    """Tiles of all images."""
    return images * -(-rows.outputs // m) * -(-cols.outputs // m)


@dataclass(frozen=True)
class Layout:
    """Where transformed tiles lie: [part of the channels][place][tile][channel], the parts but the last of ``vectors``.

    Or [place][part of the channels][tile][channel].

    Attributes:
        parts, vectors: of channels.
        last_vectors, last_tail: whole vectors of the last part, and the lanes of one that is not.
        part, place, tile: bytes from one to the next.
        bytes: of everything.
    """

    parts: int
    vectors: int
    last_vectors: int
    last_tail: int
    part: int
    place: int
    tile: int
    bytes: int

    @staticmethod
    def of(channels: int, tiles: int, places: int, vectors: int | None = None, by_place: bool = False) -> Layout:
        """In one part where ``vectors`` are not given."""
        every = Channels.together(channels).last_vectors
        vectors = every if vectors is None else min(vectors, every)
        parts = -(-channels // (vectors * host().lanes))
        last = Channels.together(channels - (parts - 1) * vectors * host().lanes)
        tile = vectors * host().vector_bytes
        inner = tiles * tile + PAD
        part, place = (inner, parts * inner) if by_place else (places * inner, inner)
        rest = last.last_vectors - last.tail, last.lanes * last.tail
        return Layout(parts, vectors, *rest, part, place, tile, places * parts * inner)


@functools.cache  # for good: plans have its address
def _zeros() -> np.ndarray:
    """What is read instead of pixels that an image has not."""
    return np.zeros(host().lanes, np.float32)


def image(kind: str, m: int, channels: int, rows: Axis, cols: Axis, layout: Layout) -> np.ndarray:
    """What a task is told of the tiles of an image with so many ``channels``: a ``WINOGRAD_TILES``.

    The ``layout`` may be of fewer, from wherever the task begins. The image is x for the ``kind`` "input", and for
    "output_gradient" it is dy, whose tiles have neither neighbours' pixels nor padding.
    """
    reads = kind == "input"
    height, width = (rows.size, cols.size) if reads else (rows.outputs, cols.outputs)
    told = np.zeros((), WINOGRAD_TILES)
    told["image"], told["row"], told["pixel"] = (n * channels * ITEM for n in (height * width, width, 1))
    told["rows"], told["columns"] = height, width
    told["before_rows"], told["before_columns"] = (rows.before, cols.before) if reads else (0, 0)
    told["tile_rows"], told["tile_columns"] = -(-rows.outputs // m), -(-cols.outputs // m)
    told["m"], told["side"] = m, m + 2 if reads else m
    told["parts"], told["part_vectors"] = layout.parts, layout.vectors
    told["last_vectors"], told["last_tail"] = layout.last_vectors, layout.last_tail
    told["part"], told["place_row"], told["place"] = layout.part, (m + 2) * layout.place, layout.place
    told["whole"], told["edge"] = transform(kind, m), transform(kind, m, edge=True)
    if layout.last_tail:
        told["whole_tail"], told["edge_tail"] = (transform(kind, m, True, edge=e) for e in (False, True))
    told["vector_bytes"], told["zeros"] = host().vector_bytes, address(_zeros())
    return told


@dataclass(frozen=True)
class TileRow:
    """A row of tiles of x: m + 2 rows of pixels, with zeros where windows reach beyond x.

    Attributes:
        x_shape: [N, H, W, C].
        before_rows, before_columns: zeros before x.
        m: outputs of a row of a tile.
        tile_rows: of an image.
        row_bytes: of the copy of a row of pixels, whole vectors.
    """

    x_shape: tuple[int, ...]
    before_rows: int
    before_columns: int
    m: int
    tile_rows: int
    row_bytes: int

    @staticmethod
    def of(x_shape: tuple[int, ...], rows: Axis, cols: Axis, m: int) -> TileRow:
        """The outputs are whole tiles."""
        row_bytes = -(-(cols.outputs + 2) * x_shape[3] // host().lanes) * host().vector_bytes
        return TileRow(x_shape, rows.before, cols.before, m, rows.outputs // m, row_bytes)

    @property
    def place(self) -> int:
        """Bytes of a place of a transformed tile."""
        return FEW * ITEM

    @property
    def tile(self) -> int:
        """Bytes of a transformed tile; a vector's excess may be written behind the last one."""
        return places_of(self.m) * self.place

    @property
    def copy_bytes(self) -> int:
        """Of the copy, and a vector that is read behind it."""
        return (self.m + 2) * self.row_bytes + host().vector_bytes

    @property
    def bytes(self) -> int:
        """Of a worker's memory: the copy, and what it is on the way to its tiles."""
        return 2 * self.copy_bytes

    def fields(self, begin: int) -> dict[str, int]:
        """What a task is told, whose memory has them at ``begin``."""
        _, height, width, depth = self.x_shape
        pixel = depth * ITEM
        return {
            "x_rows": height,
            "x_row": width * pixel,
            "before_rows": self.before_rows,
            "before_bytes": self.before_columns * pixel,
            "m": self.m,
            "pixel_bytes": pixel,
            "vector_bytes": host().vector_bytes,
            "tile_rows": self.tile_rows,
            "copy_row": self.row_bytes,
            "copy_at": begin,
            "middle_at": begin + self.copy_bytes,
            "input_row": input_row(self.m, depth),
        }


def products(
    channels: Channels, heights: tuple[int, int], strides: Callable[[int], Strides], most_adds: int = 1
) -> np.ndarray:
    """Addresses of products (``place.py``): [adds, of a wide block or of the last, of a high tile or of a low one].

    They are 0 where there are none.

    Args:
        channels: that are columns.
        heights: rows of tiles.
        strides: for a block of so many vectors.
        most_adds: 0 where no product adds to what is there.
    """
    found = np.zeros((2, 2, 2), np.int64)
    for last, vectors in enumerate((channels.vectors * bool(channels.wide), channels.last_vectors)):
        for adds, (low, height) in itertools.product(range(most_adds + 1), enumerate(heights)):
            if vectors and height:
                found[adds, last, low] = place(height, vectors, strides(vectors), bool(adds))
    return found
