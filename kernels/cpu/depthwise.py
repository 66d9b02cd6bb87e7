"""Depthwise convolution on vectors of channels: each channel has a window of its own, so that lanes never meet.

A few neighbouring outputs are made at a time: what their windows share is loaded once.
"""

from __future__ import annotations

from dataclasses import dataclass

from llvmlite import ir

from deepcore.kernels.cpu import library
from deepcore.kernels.cpu.emit import Emitter, integer
from deepcore.kernels.cpu.host import host

OUTPUTS = 4  # neighbours made together: with the weights of a 3 x 3 window, what 32 registers hold
ACCUMULATED = 8  # neighbours whose products are added to the gradient at the weights together


@dataclass(frozen=True)
class Window:
    """``rows`` x ``columns`` taps; columns of the input from one tap, and from one output, to the next."""

    rows: int
    columns: int
    stride: int
    dilation: int

    def __str__(self) -> str:
        return f"{self.rows}x{self.columns} stride {self.stride} dilation {self.dilation}"


def convolve(window: Window, outputs: int, tail: bool = False) -> int:
    """The address of ``depthwise(rows, x_pixel, w, w_tap, y, y_pixel, vectors, bias, clamp)``.

    ``outputs`` neighbours of one row of y for each of ``vectors`` vectors of channels. ``rows`` is the address of the
    addresses at which the first of their windows begins in each row of x. ``bias`` is added and the sum held between
    the two floats at ``clamp``. ``tail``: one vector, of which so many lanes exist as ``vectors`` says.
    """
    name = f"depthwise {window} outputs {outputs}{' tail' if tail else ''}"
    return library.function(name, lambda: _emit_convolve(window, outputs, tail))


def accumulate(window: Window, outputs: int, tail: bool = False) -> int:
    """The address of ``depthwise_weights(rows, x_pixel, dw, w_tap, dy, y_pixel, vectors)``.

    Adds to the gradient at the weights what ``outputs`` neighbours of one row of dy contribute.
    """
    name = f"depthwise_weights {window} outputs {outputs}{' tail' if tail else ''}"
    return library.function(name, lambda: _emit_accumulate(window, outputs, tail))


def _columns(e: Emitter, window: Window, outputs: int, row: ir.Value, pixel: ir.Value, mask: ir.Value | None) -> dict:
    """The vectors of one row of x that the windows of so many neighbours read, by column."""
    columns = sorted({q * window.stride + s * window.dilation for q in range(outputs) for s in range(window.columns)})
    return {column: e.load(e.add(row, e.times(pixel, column)), mask) for column in columns}


def _emit_convolve(window: Window, outputs: int, tail: bool) -> str:
    e = Emitter("depthwise", ["rows", "x_pixel", "w", "w_tap", "y", "y_pixel", "vectors", "bias", "clamp"], host())
    rows, x_pixel, w, w_tap, y, y_pixel, vectors, bias, clamp = e.arguments.values()
    mask = e.first_lanes(vectors) if tail else None
    floor, ceiling = (e.broadcast(e.load_scalar(e.add(clamp, integer(4 * i)))) for i in range(2))
    starts = [e.load_integer(e.add(rows, integer(8 * r))) for r in range(window.rows)]
    with e.loop(integer(1) if tail else vectors, [integer(0)]) as loop:
        (at,) = loop.carried
        sums = [e.load(e.add(bias, at), mask)] * outputs
        for r, start in enumerate(starts):
            weights = [
                e.load(e.add(w, at, e.times(w_tap, r * window.columns + s)), mask) for s in range(window.columns)
            ]
            x = _columns(e, window, outputs, e.add(start, at), x_pixel, mask)
            for s, weight in enumerate(weights):
                for q in range(outputs):
                    sums[q] = e.multiply_add(x[q * window.stride + s * window.dilation], weight, sums[q])
        for q, total in enumerate(sums):
            clamped = e.at_most(e.at_least(total, floor), ceiling)
            e.store(clamped, e.add(y, at, e.times(y_pixel, q)), mask)
        loop.carried = [e.add(at, integer(e.host.vector_bytes))]
    return e.finish()


def _emit_accumulate(window: Window, outputs: int, tail: bool) -> str:
    e = Emitter("depthwise_weights", ["rows", "x_pixel", "dw", "w_tap", "dy", "y_pixel", "vectors"], host())
    rows, x_pixel, dw, w_tap, dy, y_pixel, vectors = e.arguments.values()
    mask = e.first_lanes(vectors) if tail else None
    starts = [e.load_integer(e.add(rows, integer(8 * r))) for r in range(window.rows)]
    with e.loop(integer(1) if tail else vectors, [integer(0)]) as loop:
        (at,) = loop.carried
        gradients = [e.load(e.add(dy, at, e.times(y_pixel, q)), mask) for q in range(outputs)]
        for r, start in enumerate(starts):
            x = _columns(e, window, outputs, e.add(start, at), x_pixel, mask)
            for s in range(window.columns):
                place = e.add(dw, at, e.times(w_tap, r * window.columns + s))
                total = e.load(place, mask)
                for q, gradient in enumerate(gradients):
                    total = e.multiply_add(x[q * window.stride + s * window.dilation], gradient, total)
                e.store(total, place, mask)
        loop.carried = [e.add(at, integer(e.host.vector_bytes))]
    return e.finish()
