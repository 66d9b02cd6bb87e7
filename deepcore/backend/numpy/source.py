"""Where the windows of a convolution's input lie in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from deepcore.backend.numpy.window import Axis
from deepcore.kernels.cpu.host import ITEM


@dataclass(frozen=True)
class Source:
    """Where the windows of an input lie, in bytes: in the array, or in a copy that a task makes of what it reads.

    The copy has zeros where windows reach beyond the input, and ``gap`` bytes behind every pixel. ``in_place``: there
    is none even so, since who reads leaves out what lies beyond.
    """

    rows: Axis
    cols: Axis
    channels: int
    gap: int = 0
    in_place: bool = False

    @property
    def x_pixel(self) -> int:
        return self.channels * ITEM

    @property
    def copied(self) -> bool:
        return bool(self.gap) or not (self.in_place or (self.rows.stays_inside and self.cols.stays_inside))

    @property
    def pixel(self) -> int:
        """From one pixel that the tiles read to the next."""
        return self.x_pixel + self.gap

    @property
    def row(self) -> int:
        """From one row that the tiles read to the next."""
        reach = (self.cols.outputs - 1) * self.cols.stride + (self.cols.taps - 1) * self.cols.dilation + 1
        return (reach if self.copied else self.cols.size) * self.pixel

    def row_starts(self) -> np.ndarray:
        """Where the rows begin that a window reads."""
        return np.arange(self.rows.taps, dtype=np.int64) * (self.rows.dilation * self.row)

    def starts(self, groups: int) -> tuple[np.ndarray, int]:
        """Where the runs of neighbouring elements begin that a window reads, and the elements of each."""
        starts = self.row_starts()
        depth = self.channels // groups
        if groups == 1 and self.cols.dilation == 1 and not self.gap:
            return starts, self.cols.taps * depth
        taps = np.arange(self.cols.taps) * (self.cols.dilation * self.pixel)
        return np.add.outer(starts, taps).reshape(-1).astype(np.int64), depth

    def fields(self) -> dict[str, Any]:
        """What a task is told."""
        reach = (self.rows.taps - 1) * self.rows.dilation + 1
        return {
            "x_image": self.rows.size * self.cols.size * self.x_pixel,
            "x_row": self.cols.size * self.x_pixel,
            "x_pixel": self.x_pixel,
            "in_rows": self.rows.size,
            "in_columns": self.cols.size,
            "row_stride": self.rows.stride,
            "before_rows": self.rows.before,
            "before_columns": self.cols.before,
            "reach_rows": reach,
            "padded": self.copied,
            "buffer_row": self.row,
        }

    def buffer_bytes(self, output_rows: int) -> int:
        """Of the copy of what so many rows of windows read."""
        reach = (self.rows.taps - 1) * self.rows.dilation + 1
        return self.row * ((output_rows - 1) * self.rows.stride + reach) if self.copied else 0
