"""Blocks of neighbouring outputs of a sliding window, and what each of them reads: for depthwise and for pooling.

Blocks at the borders have lines of their own, in which the taps that would read padding are missing.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """How neighbouring outputs read along one axis.

    Attributes:
        outputs: how many there are.
        taps, stride, dilation: output i reads, with tap t, input ``i * stride + t * dilation``.
        phase: on the way back output i reads, with tap t, that input for which ``input * stride + t * dilation`` is
            ``i + phase``; None on the way forth.
        before, after: how many of the first and last inputs do not exist.
    """

    outputs: int
    taps: int
    stride: int
    dilation: int
    phase: int | None = None
    before: int = 0
    after: int = 0

    def __str__(self) -> str:
        way = "" if self.phase is None else f" back {self.phase}"
        clip = f" without {self.before} {self.after}" if self.before or self.after else ""
        return f"{self.outputs} of {self.taps} by {self.stride} {self.dilation}{way}{clip}"

    @property
    def span(self) -> int:
        """How many inputs they reach over, with those that do not exist."""
        reach = (self.taps - 1) * self.dilation
        if self.phase is None:
            return (self.outputs - 1) * self.stride + reach + 1
        return (self.outputs - 1 + self.phase) // self.stride + 1

    @property
    def inputs(self) -> int:
        """How many of them exist."""
        return max(0, self.span - self.before - self.after)

    @property
    def step(self) -> int:
        """How many inputs further the next outputs begin, of as many whole strides."""
        return self.outputs * self.stride if self.phase is None else self.outputs // self.stride

    @functools.cached_property
    def reads(self) -> list[tuple[int, int, int]]:
        """(input, output, tap) of every product; inputs are counted from the first that exists."""
        found = []
        for output in range(self.outputs):
            for tap in range(self.taps):
                if self.phase is None:
                    place, rest = output * self.stride + tap * self.dilation, 0
                else:
                    place, rest = divmod(output + self.phase - tap * self.dilation, self.stride)
                if rest == 0 and 0 <= place - self.before < self.inputs:
                    found.append((place - self.before, output, tap))
        return sorted(found)

    def of(self, output: int) -> list[tuple[int, int]]:
        """(input, tap) of what one output reads, in the order of the taps."""
        return sorted(((i, tap) for i, out, tap in self.reads if out == output), key=lambda read: read[1])


@dataclass(frozen=True)
class Block:
    """Neighbouring outputs that are made together."""

    rows: Line
    columns: Line

    def __str__(self) -> str:
        return f"{self.rows} x {self.columns}"

    @property
    def taps(self) -> int:
        return self.rows.taps * self.columns.taps
