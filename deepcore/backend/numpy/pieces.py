"""The outputs of sliding windows, cut into pieces that kernels make at once; those at the borders read less."""

from __future__ import annotations

from deepcore.backend.numpy.columns import Columns
from deepcore.backend.numpy.window import Axis
from deepcore.kernels.cpu.window import Line

Piece = tuple[Line, int, int]  # how it reads, and its first input that exists and its first output


def cut(axis: Axis, most: int, back: bool = False) -> list[Piece]:
    """Cuts the outputs of an axis, or on the way back its inputs, into pieces of about ``most``."""
    size, outputs = (axis.outputs, axis.size) if back else (axis.size, axis.outputs)
    unit = axis.stride if back else 1  # all pieces start at the same phase of the stride
    reach = (axis.taps - 1) * axis.dilation
    parts = Columns.of(-(-outputs // unit), max(1, most // unit))
    found, output = [], 0
    for number in range(parts.tall + parts.low):
        count = min((parts.rows if number < parts.tall else parts.rows - 1) * unit, outputs - output)
        if back:
            start = -((reach - output - axis.before) // axis.stride)
            phase = output + axis.before - start * axis.stride
        else:
            start, phase = output * axis.stride - axis.before, None
        whole = Line(count, axis.taps, axis.stride, axis.dilation, phase)
        before, after = (min(max(0, beyond), whole.span) for beyond in (-start, start + whole.span - size))
        line = Line(count, axis.taps, axis.stride, axis.dilation, phase, before, after)
        found.append((line, min(max(0, start), size - 1), output))
        output += count
    return found
