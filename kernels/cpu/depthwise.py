"""Depthwise convolution on vectors of channels: each channel has a window of its own, so that lanes never meet.

A block of neighbouring outputs is made at a time: what their windows share is loaded once. Blocks at the borders are
kernels of their own, in which the taps that would read padding are missing.
"""

from __future__ import annotations

from llvmlite import ir

from deepcore.kernels.cpu import library
from deepcore.kernels.cpu.emit import Emitter, integer
from deepcore.kernels.cpu.host import host
from deepcore.kernels.cpu.window import Block


def convolve(block: Block, tail: bool = False) -> int:
    """The address of ``depthwise(x, x_row, x_pixel, w, y, y_row, y_pixel, vectors, bias, clamp)``.

    Makes a block for each of ``vectors`` vectors of channels. ``x`` is the first input of the block that exists, ``w``
    has the taps of one vector of channels after those of the other. ``bias`` is added and the sum held between the two
    floats at ``clamp``. ``tail``: one vector, of which so many lanes exist as ``vectors`` says.
    """
    return library.function(f"depthwise {block}{' tail' if tail else ''}", lambda: _emit_convolve(block, tail))


def accumulate(block: Block, tail: bool = False) -> int:
    """The address of ``depthwise_weights(x, x_row, x_pixel, dw, dy, dy_row, dy_pixel, vectors)``.

    Adds to the gradient at the weights what a block contributes; ``dw`` is as ``w`` of ``convolve``.
    """
    return library.function(
        f"depthwise_weights {block}{' tail' if tail else ''}", lambda: _emit_accumulate(block, tail)
    )


class _Patch:
    """The vectors of x that a block reads at one place in the channels, each loaded once."""

    def __init__(self, e: Emitter, x: ir.Value, x_row: ir.Value, x_pixel: ir.Value, mask: ir.Value | None) -> None:
        self._e, self._x, self._row, self._pixel, self._mask = e, x, x_row, x_pixel, mask
        self._loaded: dict[tuple[int, int], ir.Value] = {}

    def __getitem__(self, place: tuple[int, int]) -> ir.Value:
        if place not in self._loaded:
            e, (i, j) = self._e, place
            address = e.add(self._x, e.times(self._row, i), e.times(self._pixel, j))
            self._loaded[place] = e.load(address, self._mask)
        return self._loaded[place]


def _emit_convolve(block: Block, tail: bool) -> str:
    names = ["x", "x_row", "x_pixel", "w", "y", "y_row", "y_pixel", "vectors", "bias", "clamp"]
    e = Emitter("depthwise", names, host())
    x, x_row, x_pixel, w, y, y_row, y_pixel, vectors, bias, clamp = e.arguments.values()
    rows, columns = block.rows, block.columns
    mask = e.first_lanes(vectors) if tail else None
    bounds = e.bounds(clamp)
    size = e.host.vector_bytes
    with e.loop(integer(1) if tail else vectors, [integer(0), w]) as loop:
        at, taps = loop.carried
        start = e.load(e.add(bias, at), mask)
        sums = {(a, b): start for a in range(rows.outputs) for b in range(columns.outputs)}
        patch = _Patch(e, e.add(x, at), x_row, x_pixel, mask)
        weights: dict[int, ir.Value] = {}
        for i, a, r in rows.reads:
            for j, b, s in columns.reads:
                tap = r * columns.taps + s
                if tap not in weights:
                    weights[tap] = e.load(e.add(taps, integer(size * tap)))
                sums[a, b] = e.multiply_add(patch[i, j], weights[tap], sums[a, b])
        for (a, b), total in sums.items():
            e.store(e.clamp(total, bounds), e.add(y, at, e.times(y_row, a), e.times(y_pixel, b)), mask)
        loop.carried = [e.add(at, integer(size)), e.add(taps, integer(size * block.taps))]
    return e.finish()


def _emit_accumulate(block: Block, tail: bool) -> str:
    names = ["x", "x_row", "x_pixel", "dw", "dy", "dy_row", "dy_pixel", "vectors"]
    e = Emitter("depthwise_weights", names, host())
    x, x_row, x_pixel, dw, dy, dy_row, dy_pixel, vectors = e.arguments.values()
    mask = e.first_lanes(vectors) if tail else None
    size = e.host.vector_bytes
    with e.loop(integer(1) if tail else vectors, [integer(0), dw]) as loop:
        at, taps = loop.carried
        patch = _Patch(e, e.add(x, at), x_row, x_pixel, mask)
        gradients = _Patch(e, e.add(dy, at), dy_row, dy_pixel, mask)
        sums: dict[int, ir.Value] = {}
        for i, a, r in block.rows.reads:
            for j, b, s in block.columns.reads:
                tap = r * block.columns.taps + s
                if tap not in sums:
                    sums[tap] = e.load(e.add(taps, integer(size * tap)))
                sums[tap] = e.multiply_add(patch[i, j], gradients[a, b], sums[tap])
        for tap, total in sums.items():
            e.store(total, e.add(taps, integer(size * tap)))
        loop.carried = [e.add(at, integer(size)), e.add(taps, integer(size * block.taps))]
    return e.finish()
