"""Pieces of sliding windows against their definition: every product once, no padding, nothing beyond the array."""

from __future__ import annotations

import itertools

import pytest

from deepcore.backend.numpy.pieces import cut
from deepcore.backend.numpy.window import Axis


def axes():
    for taps, stride, dilation, before, size in itertools.product(
        (1, 2, 3, 5), (1, 2, 3), (1, 2), (-1, 0, 2), (1, 6, 13)
    ):
        reach = (taps - 1) * dilation
        for after in (0, 1):
            outputs = (size + before + after - reach - 1) // stride + 1
            if outputs > 0:
                yield Axis(size, outputs, taps, stride, dilation, before)


def products(axis):
    """(output, tap, input) of everything that the windows of an axis read."""
    for output, tap in itertools.product(range(axis.outputs), range(axis.taps)):
        place = output * axis.stride + tap * axis.dilation - axis.before
        if 0 <= place < axis.size:
            yield output, tap, place


@pytest.mark.parametrize("most", [1, 2, 4, 7])
@pytest.mark.parametrize("back", [False, True])
def test_pieces_read_what_windows_do(most, back):
    for axis in axes():
        found, made = [], []
        for line, first_input, first_output in cut(axis, most, back):
            made += range(first_output, first_output + line.outputs)
            for place, output, tap in line.reads:
                assert 0 <= place < line.inputs, (axis, line)
                pair = (first_output + output, first_input + place)
                found.append((pair[1], tap, pair[0]) if back else (pair[0], tap, pair[1]))
        assert made == list(range(axis.size if back else axis.outputs)), axis
        assert sorted(found) == sorted(products(axis)), axis


@pytest.mark.parametrize("most", [1, 4, 6])
def test_most_pieces_are_alike(most):
    """Each different line costs a kernel: those of a long axis are its two ends and two lengths between them."""
    for stride, back in itertools.product((1, 2, 3), (False, True)):
        axis = Axis(200, -(-200 // stride), 3, stride, 1, 1)
        assert len({line for line, _, _ in cut(axis, most, back)}) <= 5, (stride, back)
