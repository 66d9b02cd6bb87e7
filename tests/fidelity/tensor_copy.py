"""mbarriers and tensor copies (TMA): boxes, and the pixels under a filter, inside and outside of the array."""

from __future__ import annotations

import numpy as np
from fidelity.case import KERNELS, Case, unwritten

from deepcore.kernels.emulator import im2col_map, tensor_map

FILE = KERNELS / "tensor_copy.cu"
SPANS = {"none": 16, "32B": 32, "64B": 64, "128B": 128}  # bytes of a row of a swizzled tile


def swizzled(data, swizzle):
    """Rows of bytes as their 16-byte pieces lie in shared memory (PTX ISA, "Swizzling modes")."""
    pieces = np.ascontiguousarray(data).reshape(-1).view(np.uint8).reshape(-1, 16)
    place = np.arange(len(pieces))
    out = np.empty_like(pieces)
    out[place ^ (place // 8 & (SPANS[swizzle] // 16 - 1))] = pieces
    return out.reshape(-1)


def box_at(x, corner, shape):
    """The elements of a box whose first element is at ``corner``; zeros outside of ``x``."""
    out = np.zeros(shape, x.dtype)
    for index in np.ndindex(*shape):
        at = tuple(start + step for start, step in zip(corner, index, strict=True))
        if all(0 <= place < size for place, size in zip(at, x.shape, strict=True)):
            out[index] = x[at]
    return out


def tile(shape, box, corner, swizzle="none", dtype=np.float32):
    """A copy of ``box`` elements from ``corner``, both as NumPy counts them."""
    size = int(np.prod(box)) * np.dtype(dtype).itemsize

    def arguments(rng):
        given = {"map": tensor_map(rng.standard_normal(shape).astype(dtype), box, swizzle)}
        given["y"] = unwritten(size // 4, np.uint32)
        return given | {f"c{i}": start for i, start in enumerate(reversed(corner))} | {"bytes": size}

    def expected(given):
        return {"y": swizzled(box_at(given["map"].array, corner, box), swizzle).view(np.uint32)}

    name = f"tile {box} at {corner} of {shape}, {np.dtype(dtype).name}, swizzle {swizzle}"
    return Case(name, FILE, f"tile_{len(box)}d", arguments, expected, shared=size, needs=90)


def filter_pixels(x, start, offset, low, high, stride, pixels, channels):
    """Pixel by pixel: the filter's first element moves over the bounding box, width fastest, images slowest."""
    channel, w, h, n = start
    images, height, width, _ = x.shape
    rows = []
    for _ in range(pixels):
        where = (n, h + offset[1], w + offset[0], channel)
        rows.append(box_at(x, where, (1, 1, 1, channels)).reshape(-1))
        w += stride
        if w >= width + high[0]:
            w, h = low[0], h + stride
        if h >= height + high[1]:
            h, n = low[1], n + 1
    assert n <= images
    return np.stack(rows)


def im2col(stride, offset, start, pixels, swizzle="none", channels=8):
    """Pixels of a 3 by 3 convolution with padding 1 for one element of the filter, from ``start`` on (c, w, h, n)."""
    low, high, size = (-1, -1), (-1, -1), pixels * channels * 4

    def arguments(rng):
        x = rng.standard_normal((2, 5, 7, 40)).astype(np.float32)
        which = im2col_map(x, low, high, channels, pixels, stride, swizzle)
        where = dict(zip(("channel", "w", "h", "n", "offset_w", "offset_h"), (*start, *offset), strict=True))
        return {"map": which, "y": unwritten(size // 4, np.uint32), **where, "bytes": size}

    def expected(given):
        rows = filter_pixels(given["map"].array, start, offset, low, high, stride, pixels, channels)
        return {"y": swizzled(rows, swizzle).view(np.uint32)}

    name = f"im2col from {start}, offset {offset}, stride {stride}, {channels} channels, swizzle {swizzle}"
    return Case(name, FILE, "im2col", arguments, expected, 64, shared=size, needs=90)


ROUNDS = 5


def phases(given):
    value = given["x"]
    for number in range(ROUNDS):
        value = np.roll(value, -7) + number
    return {"y": value.astype(np.int32)}


CASES = [
    Case(
        "phases of an mbarrier",
        FILE,
        "phases",
        lambda rng: {"x": np.arange(64, dtype=np.int32), "y": unwritten(64, np.int32), "rounds": ROUNDS},
        phases,
        64,
        needs=90,
    ),
    *(
        tile((20, 40), (16, columns), corner, swizzle)
        for swizzle, columns in (("none", 12), ("32B", 8), ("64B", 16), ("128B", 32))
        for corner in ((0, 0), (3, 4), (-2, -4), (17, 36), (-30, 0))
    ),
    tile((20, 64), (16, 64), (5, 3), "128B", np.float16),
    tile((20, 64), (8, 16), (-1, 60), "none", np.uint8),
    *(tile((4, 5, 12), (2, 3, 8), corner, "32B") for corner in ((1, 1, 2), (-1, 3, -3))),
    *(tile((3, 4, 5, 12), (2, 3, 2, 8), corner, "32B") for corner in ((1, 1, 2, 4), (2, -1, 4, 7))),
    *(
        im2col(stride, offset, (8, -1, -1, 0), 35 if stride == 1 else 12)
        for stride in (1, 2)
        for offset in ((0, 0), (2, 1))
    ),
    im2col(1, (1, 2), (0, 3, 2, 0), 35),
    im2col(1, (2, 2), (36, -1, 3, 1), 14),
    *(im2col(1, (0, 1), (0, -1, -1, 0), 32, swizzle, SPANS[swizzle] // 4) for swizzle in ("32B", "64B", "128B")),
]
