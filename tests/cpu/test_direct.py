"""Direct convolution: the order of packed weights, and that where results are written changes none of them."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import conv as oracle

from deepcore.backend.geometry import Conv2DGeometry
from deepcore.backend.numpy import channels, columns, direct, direct_wgrad, packed, plans
from deepcore.backend.numpy.channels import Channels
from deepcore.backend.numpy.columns import Columns, of_outputs_in_blocks
from deepcore.backend.numpy.direct import ROW_VECTORS
from deepcore.backend.numpy.lines import without_padding
from deepcore.backend.numpy.memory import aligned, empty
from deepcore.backend.numpy.weights import pack
from deepcore.backend.numpy.window import Axis, by_outputs, conv_axes
from deepcore.kernels.cpu.host import Host, host
from deepcore.kernels.cpu.pages import LINE
from deepcore.kernels.cpu.record import CORRELATE, REQUEST, WEIGHTS
from deepcore.kernels.cpu.row import LATENCY

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


@pytest.mark.parametrize("host", [Host("avx512", 16, 32, True, None), Host("avx2", 8, 16, True, None)], ids=str)
def test_row_tiles_for_blocks_of_channels(host, monkeypatch):
    monkeypatch.setattr(columns, "host", lambda: host)

    def found(taps, depth):
        return of_outputs_in_blocks.__wrapped__(28, taps, depth, 1, 1, ROW_VECTORS)

    many_registers = host.registers == 32
    assert bool(found(3, 128)) == bool(found(5, 3)) == many_registers
    assert found(3, 3)
    for tiles in filter(None, (found(taps, depth) for taps in (3, 5) for depth in (3, 128))):
        sums = tiles.cut.rows * ROW_VECTORS
        assert sums >= columns.MULTIPLICATIONS * LATENCY


def test_low_tiles_are_wider_where_registers_are_few(monkeypatch):
    monkeypatch.setattr(channels, "host", lambda: Host("avx2", 8, 16, True, None))
    assert [Channels.of.__wrapped__(512, columns).vectors for columns in (0, 7, 14, 28)] == [2, 3, 2, 2]
    monkeypatch.setattr(channels, "host", lambda: Host("avx512", 16, 32, True, None))
    assert [Channels.of.__wrapped__(512, columns).vectors for columns in (0, 7, 14, 28)] == [4, 3, 4, 4]


def test_tiles_of_gradients_at_weights_ask_for_nothing_where_vectors_are_narrow(monkeypatch):
    asked, tiles = [], Channels.tiles
    monkeypatch.setattr(Channels, "tiles", lambda *given, **how: asked.append(how["asks"]) or tiles(*given, **how))
    axis = Axis(8, 8, 3, before=1)
    direct_wgrad._weight_gradient.__wrapped__((1, 8, 8, 64), (1, 8, 8, 128), axis, axis, 1, 1)
    assert asked == [not host().is_narrow]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("together", [2, 4])
def test_weights_of_pixels_that_are_made_together(together, stride, rng):
    w = rng.standard_normal((1, 2, 3, 4, 3)).astype(np.float32)[:, ::-1].transpose(0, 1, 2, 4, 3)
    channels = Channels.of(together * 4)
    every = np.zeros((1, 2, 3 + (together - 1) * stride, 3, channels.padded), np.float32)
    for i in range(together):
        every[:, :, i * stride : i * stride + 3, :, 4 * i : 4 * i + 4] = w
    np.testing.assert_array_equal(pack(w, channels, together, stride), every.reshape(1, -1))


@pytest.mark.parametrize(("blocks", "tasks", "by_tasks"), [(8, 8, True), (3, 1, True), (3, 8, False)])
def test_not_many_tasks_put_the_same_weights_in_order(blocks, tasks, by_tasks):
    width = blocks * host().lanes * channels.most_vectors(host())
    x, w, y = (4, 9, 9, 40), (1, 5, 5, 40, width), (4, 9, 9, width)
    strides = [np.empty(shape, np.float32).strides for shape in (w, y)]
    rows = cols = Axis(9, 9, 5, before=2)
    layout = x, w, strides[0], rows, cols, y, strides[1]
    arrangement = direct._arrangement.__wrapped__(*layout, "linear", False, tasks)
    assert bool(arrangement.packing) == (by_tasks or not host().is_narrow)


@pytest.mark.parametrize(("width", "groups"), [(64, 1), (128, 2), (24, 1), (48, 3)])
def test_where_a_result_is_written_changes_none_of_it(width, groups, rng, monkeypatch):
    x = rng.standard_normal((2, 6, 25, 3 * groups)).astype(np.float32)
    w = rng.standard_normal((groups, 3, 3, 3, width // groups)).astype(np.float32)
    rows, cols = (Axis(size, size, 3, before=1) for size in x.shape[1:3])
    results = []
    for most in (plans.STREAMED_BYTES, 0):
        monkeypatch.setattr(plans, "STREAMED_BYTES", most)
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


@pytest.mark.parametrize("order", ["weights in order", "weights transposed"])
def test_blocks_whose_weights_are_in_the_cache_are_made_beside_each_other(order, rng):
    x = rng.standard_normal((2, 7, 28, 3)).astype(np.float32)
    w = rng.standard_normal((1, 3, 3, 3, 64)).astype(np.float32)
    if order == "weights transposed":
        w = w.swapaxes(3, 4).copy().swapaxes(3, 4)
    bias = rng.standard_normal(64).astype(np.float32)
    rows, cols = (Axis(size, size, 3, before=1) for size in x.shape[1:3])
    y = empty((2, 7, 28, 64), np.float32)
    how = direct._arrangement(x.shape, w.shape, w.strides, rows, cols, y.shape, y.strides, "relu", False, 4)
    blocks = int(how.launch.fixed[len(REQUEST.names) + CORRELATE.names.index("wide")])
    if host().vector_bytes < LINE:
        assert (how.channels.wide > 1, blocks) == (True, 1)
        assert how.in_place == (order == "weights in order")
    else:
        assert blocks == how.channels.wide
    direct.correlate(x, w, rows, cols, y, bias, "relu")
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    taps = ((r, s) for r in range(3) for s in range(3))
    exact = sum(padded[:, r : r + 7, s : s + 28] @ w[0, r, s] for r, s in taps)
    np.testing.assert_allclose(y, np.maximum(exact + bias, 0), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("strips", ["long strips", "strips of one row", "parts of rows"])
@pytest.mark.parametrize("width", [6, 32, 64, 96, 200])
@pytest.mark.parametrize(("stride", "taps", "columns"), [(1, 3, 28), (2, 3, 15), (1, 5, 21)])
def test_gradient_at_the_weights_of_few_channels(width, stride, taps, columns, strips, rng, monkeypatch):
    if strips == "parts of rows":
        monkeypatch.setattr(direct_wgrad, "CHUNK_BYTES", 14 * width * 4)
        monkeypatch.setattr(direct_wgrad, "FEW_COLUMNS", 2)
    if strips == "strips of one row":
        monkeypatch.setattr(direct_wgrad, "STRIP_PIXELS", 0)
        monkeypatch.setattr(direct_wgrad, "LONG_STRIP_BYTES", 0)
    direct_wgrad._weight_gradient.cache_clear()
    rows, cols = (Axis(size, -(-size // stride), taps, stride, before=taps // 2) for size in (9, columns))
    x = rng.standard_normal((3, 9, columns, 3)).astype(np.float32)
    dy = rng.standard_normal((3, rows.outputs, cols.outputs, width)).astype(np.float32)
    padded = np.pad(x.astype(np.float64), ((0, 0), (taps // 2, taps), (taps // 2, taps), (0, 0)))
    exact = np.zeros((taps, taps, 3, width))
    for r in range(taps):
        for s in range(taps):
            read = padded[:, r : r + rows.outputs * stride : stride, s : s + cols.outputs * stride : stride]
            exact[r, s] = np.einsum("nhwc,nhwk->ck", read, dy)
    np.testing.assert_allclose(direct_wgrad.weight_gradient(x, dy, rows, cols, 1), exact, rtol=1e-4, atol=1e-4)


def test_a_part_of_a_row_stays_in_the_cache_where_blocks_share_its_lines():
    axis = Axis(224, 224, 3, before=1)
    launch, _ = direct_wgrad._weight_gradient((1, 224, 224, 3), (1, 224, 224, 64), axis, axis, 1, 1)
    names = WEIGHTS.names
    chunks, chunk_bytes = (int(launch.fixed[len(REQUEST.names) + names.index(name)]) for name in ("chunks", "chunk_dy"))
    assert chunks * chunk_bytes == 224 * 64 * 4
    assert host().vector_bytes >= LINE or chunk_bytes <= direct_wgrad.CHUNK_BYTES


@pytest.mark.parametrize(("depth", "before"), [(5, 1), (256, 1), (5, 0)], ids=["padded", "with a gap", "in place"])
def test_gradient_at_the_weights_of_several_images_at_a_time(depth, before, rng, monkeypatch):
    monkeypatch.setattr(direct_wgrad, "_images_together", lambda *sizes: 2)
    direct_wgrad._weight_gradient.cache_clear()
    axis = Axis(7, 4 if before else 3, 3, 2, before=before)
    x = rng.standard_normal((3, 7, 7, depth)).astype(np.float32)
    dy = rng.standard_normal((3, axis.outputs, axis.outputs, 96)).astype(np.float32)
    got = direct_wgrad.weight_gradient(x, dy, axis, axis, 1)
    direct_wgrad._weight_gradient.cache_clear()
    exact = oracle.wgrad(x, dy, got.shape, (2, 2), ((before, before),) * 2, (1, 1), 1)
    np.testing.assert_allclose(got, exact, atol=1e-4)


@pytest.mark.parametrize("apart", [False, True], ids=["runs of taps", "taps apart"])
@pytest.mark.parametrize(
    "axis",
    [
        Axis(14, 14, 3, before=1),
        Axis(27, 27, 5, before=2),
        Axis(28, 14, 3, stride=2, before=1),
        Axis(28, 14, 3, stride=2),
        Axis(13, 13, 3, dilation=2, before=2),
        Axis(38, 13, 4, stride=3, dilation=2, before=3),
    ],
    ids=str,
)
def test_every_tap_that_is_inside_is_summed_once(axis, apart):
    cut = Columns.of(axis.outputs, 6)
    tiles = without_padding(axis, cut, apart)
    assert [(tile[-1].first, tile[-1].height) for tile in tiles] == list(cut.tiles)
    summed = sorted(
        (output, tap)
        for tile in tiles
        for piece in tile
        for output in range(piece.first, piece.first + piece.height)
        for tap in piece.taps
    )
    reads = [
        (q, t, q * axis.stride + t * axis.dilation - axis.before) for q in range(axis.outputs) for t in range(axis.taps)
    ]
    assert summed == [(output, tap) for output, tap, column in reads if 0 <= column < axis.size]


def test_a_tile_whose_outputs_have_no_tap_in_common():
    assert without_padding(Axis(3, 3, 7, before=3), Columns.of(3, 3), False) != ()
    assert without_padding(Axis(3, 6, 3, before=3), Columns.of(6, 6), False) == ()


IN_PLACE = {  # x, w, strides, padding, dilation, groups
    "3x3": ((2, 16, 15, 48), (3, 3, 48, 70), 1, 1, 1, 1),
    "3x3 of stride 2": ((3, 17, 28, 64), (3, 3, 64, 130), 2, 1, 1, 1),
    "padding behind alone": ((2, 16, 28, 64), (3, 3, 64, 64), 2, ((0, 1), (0, 1)), 1, 1),
    "5x5 in two groups": ((2, 9, 27, 96), (5, 5, 48, 150), 1, 2, 1, 2),
    "dilated": ((2, 14, 15, 160), (3, 3, 160, 33), 1, 2, 2, 1),
    "a sum in parts, with rows of taps that are no part": ((2, 5, 14, 400), (5, 5, 400, 80), 1, 2, 1, 1),
}


def in_nan(array):
    """A copy, between elements that nobody may read."""
    around = np.full(array.size + 20000, np.nan, np.float32)
    copied = around[10000:-10000].reshape(array.shape)
    copied[...] = array
    return copied


@pytest.mark.parametrize("case", IN_PLACE)
def test_padding_is_left_out(case, rng, monkeypatch):
    x_shape, w_shape, stride, padding, dilation, groups = IN_PLACE[case]
    padding = ((padding,) * 2,) * 2 if isinstance(padding, int) else padding
    g = Conv2DGeometry.of(x_shape, w_shape, stride, padding, dilation, groups)
    x = in_nan(rng.standard_normal(g.x_shape))
    w = rng.standard_normal(g.w_shape).astype(np.float32)
    bias = rng.standard_normal(g.out_channels).astype(np.float32)
    exact = np.maximum(oracle.fprop(x, w, g.strides, g.padding, g.dilation, g.groups) + bias, 0)
    by_groups = by_outputs(w, g.groups)[:, ::-1, ::-1].swapaxes(3, 4)
    packed.own(w)
    results = []
    for tasks in (1, 2, 8, 100):
        monkeypatch.setattr(direct, "tasks_wanted", lambda tasks=tasks: tasks)
        y = empty(g.y_shape, np.float32)
        how = direct._arrangement(
            x.shape, by_groups.shape, by_groups.strides, *conv_axes(g), y.shape, y.strides, "relu", False, tasks
        )
        for launch in filter(None, (how.launch, how.packing)):
            assert not launch.fixed[len(REQUEST.names) + CORRELATE.names.index("padded")]
        for owner in (None, w, w):  # packed by each task where that is allowed; then once, and kept
            y[...] = np.nan
            direct.correlate(x, by_groups, *conv_axes(g), y, bias, "relu", owner)
            results.append(y.copy())
    np.testing.assert_allclose(results[0], exact, atol=1e-5 * np.abs(exact).max())
    for result in results:
        np.testing.assert_array_equal(result, results[0])
