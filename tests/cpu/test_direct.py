"""Direct convolution: the order of packed weights, and that where results are written changes none of them."""

from __future__ import annotations

import numpy as np
import pytest

from deepcore.backend.numpy import direct
from deepcore.backend.numpy.direct import Channels, pack
from deepcore.backend.numpy.memory import aligned
from deepcore.backend.numpy.window import Axis

LAYOUTS = {  # of the axes group, row, column, depth, width: in which order they lie in memory
    "in order": (0, 1, 2, 3, 4),
    "transposed": (0, 1, 2, 4, 3),
    "neither": (3, 4, 0, 1, 2),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("depth", [1, 16, 37])
@pytest.mark.parametrize("width", [3, 64, 83, 150])
def test_weights_in_the_order_of_the_tiles(layout, depth, width, rng):
    shape = (2, 2, 3, depth, width)
    order = LAYOUTS[layout]
    lying = rng.standard_normal([shape[axis] for axis in order]).astype(np.float32)
    w = lying.transpose(np.argsort(order))[:, ::-1, ::-1]
    channels = Channels.of(width)
    packed = pack(w, channels)
    assert packed.ctypes.data % 64 == 0
    padded = np.zeros((*shape[:4], channels.padded), np.float32)
    padded[..., :width] = w
    edges = [channels.wide_bytes // 4 * block for block in range(1, channels.blocks)]
    parts = [part.reshape(2, -1) for part in np.split(padded, edges, axis=4)]
    np.testing.assert_array_equal(packed, np.concatenate(parts, axis=1))


@pytest.mark.parametrize("most", [48, 240])
@pytest.mark.parametrize("length", [1, 5, 31, 49, 97, 196, 784, 1000, 3137])
def test_pixels_in_rows_that_fill_their_tiles(length, most):
    grids = direct._grids(length, 6, most)
    assert [grid.first for grid in grids] == [0, *(grid.stop for grid in grids[:-1])]
    assert grids[-1].stop == length
    for grid in grids:
        rows, columns = grid.shape
        assert rows * columns == grid.stop - grid.first
        assert columns <= max(most, grid.stop - grid.first)
    rows, columns = grids[0].shape
    assert columns == length or columns / (6 * -(-columns // 6)) >= direct.WELL_FILLED


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("together", [2, 4])
def test_weights_of_pixels_that_are_made_together(together, stride, rng):
    w = rng.standard_normal((1, 2, 3, 4, 3)).astype(np.float32)[:, ::-1].transpose(0, 1, 2, 4, 3)
    channels = Channels.of(together * 4)
    every = np.zeros((1, 2, 3 + (together - 1) * stride, 3, channels.padded), np.float32)
    for i in range(together):
        every[:, :, i * stride : i * stride + 3, :, 4 * i : 4 * i + 4] = w
    np.testing.assert_array_equal(pack(w, channels, together, stride), every.reshape(1, -1))


@pytest.mark.parametrize(("width", "groups"), [(64, 1), (128, 2), (24, 1), (48, 3)])
def test_where_a_result_is_written_changes_none_of_it(width, groups, rng, monkeypatch):
    x = rng.standard_normal((2, 6, 25, 3 * groups)).astype(np.float32)
    w = rng.standard_normal((groups, 3, 3, 3, width // groups)).astype(np.float32)
    rows, cols = (Axis(size, size, 3, before=1) for size in x.shape[1:3])
    results = []
    for most in (direct.STREAMED_BYTES, 0):
        monkeypatch.setattr(direct, "STREAMED_BYTES", most)
        room = aligned((4, 6, 25, width), np.float32)
        room[...] = -7.0
        direct.correlate(x, w, rows, cols, room[1:3])
        assert (room[[0, 3]] == -7.0).all()
        results.append(room[1:3])
    np.testing.assert_array_equal(*results)
    exact = sum(
        np.einsum(
            "nhwgc,gck->nhwgk",
            np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))[:, r : r + 6, s : s + 25].reshape(2, 6, 25, groups, 3),
            w[:, r, s],
        )
        for r in range(3)
        for s in range(3)
    )
    np.testing.assert_allclose(results[1], exact.reshape(results[1].shape), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("width", [32, 64, 96])
@pytest.mark.parametrize(("stride", "taps", "columns"), [(1, 3, 28), (2, 3, 15), (1, 5, 21)])
def test_gradient_at_the_weights_of_few_channels(width, stride, taps, columns, rng):
    rows, cols = (Axis(size, -(-size // stride), taps, stride, before=taps // 2) for size in (9, columns))
    x = rng.standard_normal((3, 9, columns, 3)).astype(np.float32)
    dy = rng.standard_normal((3, rows.outputs, cols.outputs, width)).astype(np.float32)
    padded = np.pad(x.astype(np.float64), ((0, 0), (taps // 2, taps), (taps // 2, taps), (0, 0)))
    exact = np.zeros((taps, taps, 3, width))
    for r in range(taps):
        for s in range(taps):
            read = padded[:, r : r + rows.outputs * stride : stride, s : s + cols.outputs * stride : stride]
            exact[r, s] = np.einsum("nhwc,nhwk->ck", read, dy)
    np.testing.assert_allclose(direct.weight_gradient(x, dy, rows, cols, 1), exact, rtol=1e-4, atol=1e-4)
