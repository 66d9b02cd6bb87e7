"""How depthwise convolution cuts rows into blocks."""

from __future__ import annotations

import pytest

from deepcore.backend.numpy import depthwise
from deepcore.backend.numpy.window import Axis
from deepcore.kernels.cpu.host import Host

AVX512 = Host("avx512", 16, 32, True, None)
AVX2 = Host("avx2", 8, 16, True, "x86-64-v3")
FAR = depthwise.WAY_BYTES  # rows that lie so far apart begin at the same place of the first-level cache


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize(
    ("host", "distance", "most"), [(AVX512, FAR, 100), (AVX2, FAR, 1), (AVX2, FAR // 2, 2), (AVX2, 4, 100)]
)
def test_rows_that_share_a_place_in_the_cache_are_few(host, distance, most, stride, back, monkeypatch):
    monkeypatch.setattr(depthwise, "host", lambda: host)
    axis = Axis(size=56, outputs=56 // stride, taps=3, stride=stride, before=1)
    pieces = depthwise._row_pieces(axis, distance, distance, back)
    assert sum(line.outputs for line, _, _ in pieces) == (axis.size if back else axis.outputs)
    assert max(line.inputs for line, _, _ in pieces) <= depthwise.READ_TOGETHER * most
    assert max(line.outputs for line, _, _ in pieces) <= depthwise.WRITTEN_TOGETHER * most
    if most > 1:
        assert max(line.outputs for line, _, _ in pieces) >= 5
