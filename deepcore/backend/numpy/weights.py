"""Weights in the order in which tiles read them: block of channels by block, step by step."""

from __future__ import annotations

import functools
from collections.abc import Hashable
from typing import Any

import numpy as np

from deepcore.backend.numpy.channels import Channels
from deepcore.backend.numpy.memory import aligned
from deepcore.backend.numpy.packed import packed
from deepcore.backend.numpy.plans import PLANS
from deepcore.kernels.cpu.host import ITEM, host
from deepcore.kernels.cpu.launch import Launch
from deepcore.kernels.cpu.panel import copy
from deepcore.kernels.cpu.record import PACK, addresses
from deepcore.kernels.cpu.transpose import transpose

PACKED_BYTES = 1 << 15  # of weights at least that are worth a share of a launch


def pack(w: np.ndarray, channels: Channels, together: int = 1, stride: int = 1) -> np.ndarray:
    """w [groups, R, S, depth, channels], of any strides, as [groups, (block, R, S, depth, channel of the block)].

    What the last vector has beyond the channels is zero. For ``together`` neighbouring pixels, of which each begins
    ``stride`` columns after the one before, S and the channels are those of all: ``channels`` cuts these.
    """
    columns = w.shape[2] + (together - 1) * stride
    result = aligned((w.shape[0], w.shape[1] * columns * w.shape[3] * channels.padded), np.float32)
    packing(w.shape, w.strides, channels, together, stride)(*addresses(w, result))
    return result


@functools.lru_cache(PLANS)
def packing(
    shape: tuple[int, ...], strides: tuple[int, ...], channels: Channels, together: int = 1, stride: int = 1
) -> Launch:
    """The launch of ``pack``; takes the addresses of w, and of the result."""
    groups, rows, taps, depth, width = shape
    columns = taps + (together - 1) * stride
    steps = rows * columns * depth
    places = groups * rows * columns * channels.blocks
    share = max(1, PACKED_BYTES // (depth * channels.widest * host().vector_bytes))
    names = ("w_group", "w_row", "w_column", "w_depth", "w_width")
    by_name: dict[str, Any] = dict(zip(names, strides, strict=True))
    return Launch(
        PACK,
        ("convolution", "pack"),
        ("w", "packed"),
        -(-places // share),
        **by_name,
        places=places,
        share=share,
        group_bytes=steps * channels.padded * ITEM,
        rows=rows,
        columns=columns,
        depth=depth,
        wide=channels.wide,
        blocks=channels.blocks,
        wide_bytes=channels.wide_bytes,
        wide_block=steps * channels.wide_bytes,
        last_bytes=channels.last_bytes,
        last_filled=together * width * ITEM - channels.wide * channels.wide_bytes,
        wide_copy=copy(channels.vectors, False) if channels.wide else 0,
        last_copy=copy(channels.last_vectors, channels.tail) if channels.last_vectors else 0,
        last_lanes=channels.lanes,
        transpose=transpose(),
        lanes=host().lanes,
        together=together,
        stride=stride,
        taps=taps,
        width=width,
    )


def kept_or_packed(
    owner: np.ndarray | None, w: np.ndarray, channels: Channels, together: int, stride: int
) -> np.ndarray:
    """What ``pack`` gives; kept, if w is all of the array ``owner``, until somebody writes to that."""
    if owner is None:
        return pack(w, channels, together, stride)
    return packed(owner, key(w.shape, channels, together, stride), lambda _: pack(w, channels, together, stride))


def key(shape: tuple[int, ...], channels: Channels, together: int = 1, stride: int = 1) -> Hashable:
    """Of packed weights [groups, R, S, C / groups, K / groups]."""
    return "tiles", shape, channels, together, stride if together > 1 else 1


def in_order(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether one step of the weights of a group follows the other, and channels are neighbours."""
    _, _, columns, depth, _ = shape
    return strides[4] == ITEM and strides[2] == depth * strides[3] and strides[1] == columns * strides[2]
