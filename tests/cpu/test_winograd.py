"""Winograd's convolution: its small kernels by themselves, and its blocks made so small that there are several."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from microkernels import compiled
from oracles import conv as oracle

from deepcore.backend.geometry import Conv2DGeometry
from deepcore.backend.numpy import channels, winograd, winograd_fused, winograd_fused_gradient, winograd_tiles
from deepcore.backend.numpy.memory import aligned
from deepcore.backend.numpy.window import conv_axes
from deepcore.kernels.cpu.fused import Fused, emit_fused, rest_bytes
from deepcore.kernels.cpu.fused_gradient import FusedGradient, emit_fused_gradient, room_bytes, sums_bytes
from deepcore.kernels.cpu.host import Host, hosts
from deepcore.kernels.cpu.record import address
from deepcore.kernels.cpu.transform import FEW, INPUT, KINDS, OUTPUT, emit_input_row, emit_transform

GUARD = 123.5  # what lies around the result and must stay there


def each_host():
    return [pytest.param(host, id=host.vector) for host in hosts()]


@pytest.mark.parametrize("host", each_host())
@pytest.mark.parametrize("tail", [False, True])
@pytest.mark.parametrize("m", [2, 4])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_transforms_are_their_matrices(kind, m, tail, host, rng):
    finishes = kind == "output"
    transform = compiled(emit_transform(kind, m, tail, host), "transform", host)
    matrix = np.array(KINDS[kind][m])
    outputs, inputs = matrix.shape
    vectors = 1 if tail else 2
    room, channels = vectors * host.lanes, 1 if tail else 2 * host.lanes
    source = rng.standard_normal((inputs, inputs, channels)).astype(np.float32)
    target = np.full((outputs, outputs, room), GUARD, np.float32)
    bias, clamp = rng.standard_normal(room).astype(np.float32), np.array([-1.0, 2.0], np.float32)
    last = (address(bias), address(clamp)) if finishes else (64,)
    transform(
        address(source), *source.strides[:2], address(target), *target.strides[:2], channels if tail else vectors, *last
    )
    exact = np.einsum("ai,ijc,bj->abc", matrix, source.astype(np.float64), matrix)
    if finishes:
        exact = np.clip(exact + bias[:channels], *clamp)
    np.testing.assert_allclose(target[..., :channels], exact, atol=2e-5)
    # What is multiplied with transformed weights has no say in the channels that are not there.
    assert (target[..., channels:] == (0 if kind == "weights" else GUARD)).all()


BLOCKS = """
import numpy as np
from oracles import conv as oracle
from deepcore.backend import numpy_backend
from deepcore.backend.dispatch import use_implementation
from deepcore.backend.geometry import Conv2DGeometry
from deepcore.backend.numpy import winograd, winograd_gradient, winograd_pieces
from deepcore.kernels.cpu import threads

rng = np.random.default_rng(6)
backend = numpy_backend()
for count, few, places, part, chunk in (
    (1, 1 << 30, 1 << 30, 20000, (1 << 30, 1 << 30)),  # weights transformed in parts; all tiles at once
    (2, 1 << 30, 1 << 30, 20000, (1 << 30, 1 << 30)),  # the same, and tiles that several tasks use
    (2, 0, 300, 20000, (1, 1)),  # weights made once, for several blocks of tiles; the tiles by chunks
    (2, 0, 300, 1 << 30, None),  # blocks of whole register tiles; the gradient at the weights by pieces and blocks
):
    threads.set_threads(count)
    if chunk is None:
        chunk = (1, 1)
        winograd_pieces.PIECE_TILES, winograd_pieces.BLOCK_TILES = 4, 1
        winograd_pieces.block_tiles = lambda depth, width: 3 if depth != 48 and width != 64 else 0
    winograd.FEW_PLACES, winograd.BLOCK_PLACES, winograd.PART_BYTES = few, places, part
    winograd_gradient.FEW_TILES, winograd_gradient.CHUNK_BYTES = 200 if few else 3, chunk
    by_blocks, by_chunks = winograd_gradient._gradient_by_blocks, winograd_gradient._gradient_by_chunks
    for plan in (winograd._convolution, by_blocks, by_chunks):
        plan.cache_clear()
    for x, w, padding in (
        ((3, 13, 17, 40), (3, 3, 40, 33), "same"),
        ((1, 8, 9, 150), (3, 3, 150, 70), "valid"),
        ((2, 5, 30, 3), (3, 3, 3, 200), ((2, 0), (0, 2))),
        ((2, 9, 14, 48), (3, 3, 48, 64), "same"),
    ):
        g = Conv2DGeometry.of(x, w, 1, padding)
        x, w, dy = (rng.standard_normal(shape).astype(np.float32) for shape in (g.x_shape, g.w_shape, g.y_shape))
        how = (g.strides, g.padding, g.dilation, g.groups)
        for op, names, arguments, right in (
            ("conv2d_fprop", ("winograd-2", "winograd-4"), (x, w), oracle.fprop(x, w, *how)),
            ("conv2d_dgrad", ("winograd-2", "winograd-4"), (dy, w), oracle.dgrad(dy, w, g.x_shape, *how)),
            ("conv2d_wgrad", ("winograd-4",), (x, dy), oracle.wgrad(x, dy, g.w_shape, *how)),
        ):
            for name in names:
                with use_implementation(op, name):
                    got = getattr(backend, op)(*arguments, g)
                error = abs(got - right).max() / abs(right).max()
                assert error < (2e-6 if name == "winograd-2" else 2e-5), (op, name, g, error)
"""


@pytest.mark.parametrize("vector", [host.vector for host in hosts()])
def test_several_blocks_parts_and_runs(vector):
    environment = {**os.environ, "PYTHONPATH": "tests", "DEEPCORE_VECTOR": vector}
    done = subprocess.run([sys.executable, "-c", BLOCKS], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("host", each_host())
@pytest.mark.parametrize("tail", [False, True])
@pytest.mark.parametrize("kind", ["input", "output", "output_gradient"])
def test_edges_leave_alone_what_the_image_has_not(kind, tail, host, rng):
    finishes = kind == "output"
    transform = compiled(emit_transform(kind, 4, tail, host, edge=True), "transform", host)
    matrix = np.array(KINDS[kind][4])
    outputs, inputs = matrix.shape
    vectors = 1 if tail else 2
    room, channels = vectors * host.lanes, 1 if tail else 2 * host.lanes
    source = rng.standard_normal((inputs, inputs, channels)).astype(np.float32)
    target = np.full((outputs, outputs, room), GUARD, np.float32)
    bias, clamp = np.zeros(room, np.float32), np.array([-100.0, 100.0], np.float32)
    exist = np.zeros((outputs, outputs) if finishes else (inputs, inputs), bool)
    exist[1:3, :2] = True
    bits = sum(1 << int(number) for number in np.flatnonzero(exist))
    elsewhere = np.zeros(host.lanes, np.float32)
    last = (address(bias), address(clamp)) if finishes else (64,)
    size = channels if tail else vectors
    read = source if finishes else np.where(exist[..., np.newaxis], source, np.nan).astype(np.float32)
    where = address(read), *read.strides[:2], address(target), *target.strides[:2]
    transform(*where, size, *last, bits, address(elsewhere))
    there = source if finishes else source * exist[..., np.newaxis]
    exact = np.einsum("ai,ijc,bj->abc", matrix, there.astype(np.float64), matrix)
    if finishes:
        np.testing.assert_allclose(target[exist][:, :channels], exact[exist], atol=2e-5)
        assert (target[~exist] == GUARD).all()
    else:
        np.testing.assert_allclose(target[..., :channels], exact, atol=2e-5)
        assert not elsewhere.any()
    assert (target[..., channels:] == GUARD).all()


def test_outputs_that_pass_the_caches_by_are_the_same(rng):
    host = hosts()[-1]
    sums, bias = (rng.standard_normal(shape).astype(np.float32) for shape in ((6, 6, 2 * host.lanes), 2 * host.lanes))
    clamp = np.array([-1.0, 2.0], np.float32)
    memory = np.zeros((2, 4 * 4 * 2 * host.lanes + host.lanes), np.float32)
    results = []
    for streams, row in zip((False, True), memory, strict=True):
        transform = compiled(emit_transform("output", 4, False, host, streams), "transform", host)
        skipped = -address(row) % host.vector_bytes // 4
        target = row[skipped : skipped + 4 * 4 * 2 * host.lanes].reshape(4, 4, -1)
        where = (*target.strides[:2], 2, address(bias), address(clamp))
        transform(address(sums), *sums.strides[:2], address(target), *where)
        results.append(target)
    assert results[0].any()
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("host", each_host())
@pytest.mark.parametrize(("m", "channels", "tiles"), [(4, 3, 5), (4, 2, 1), (4, 4, 2), (2, 3, 4)])
def test_tiles_of_a_row_of_few_channels_are_transformed_together(m, channels, tiles, host, rng):
    transform, side = compiled(emit_input_row(m, channels, host), "input_row", host), m + 2
    elements = (tiles * m + 2) * channels
    vectors = -(-elements // host.lanes)
    source = rng.standard_normal((side, vectors * host.lanes)).astype(np.float32)
    middle = np.full(source.size + host.lanes, np.nan, np.float32)
    target = np.full(tiles * side * side * FEW + host.lanes, GUARD, np.float32)
    transform(address(source), address(middle), source.strides[0], vectors, address(target), tiles)
    pixels, matrix = source[:, :elements].reshape(side, -1, channels), np.array(INPUT[m])
    every = np.stack([pixels[:, m * tile : m * tile + side] for tile in range(tiles)])
    exact = np.einsum("ai,tijc,bj->tabc", matrix, every, matrix).reshape(-1, channels)
    places = target[: -host.lanes].reshape(-1, FEW)
    np.testing.assert_allclose(places[:, :channels], exact, atol=2e-5)
    assert (target[-FEW:] == GUARD).all()


@pytest.mark.parametrize("host", each_host())
@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("tiles", [1, 3])
@pytest.mark.parametrize("m", [2, 4])
def test_fused_kernels_are_products_and_the_way_back(m, tiles, streams, host, rng):
    depth, vectors, places = 3, 2, (m + 2) ** 2
    width, block = vectors * host.lanes, slice(host.lanes, (1 + vectors) * host.lanes)
    v, u = (rng.standard_normal(shape).astype(np.float32) for shape in ((tiles, places, 5), (places, depth, width)))
    bias, clamp = rng.standard_normal(width).astype(np.float32), np.array([-1.0, 2.0], np.float32)
    what = Fused(m, depth, vectors, v.strides[1], u.strides[0], streams)
    rest = np.full(rest_bytes(what, host) // 4, np.nan, np.float32)
    target = aligned((m, tiles * m, 4 * host.lanes), np.float32)
    target[...] = GUARD
    where = address(rest), address(target[..., block]), *target.strides[:2], tiles
    compiled(emit_fused(what, host), "fused", host)(address(v), address(u), address(bias), address(clamp), *where)
    sums = np.einsum("tpc,pck->tpk", v[..., :depth], u).reshape(tiles, m + 2, m + 2, width)
    matrix = np.array(OUTPUT[m])
    exact = np.einsum("ai,tijk,bj->atbk", matrix, sums, matrix).reshape(m, tiles * m, width)
    np.testing.assert_allclose(target[..., block], np.clip(exact + bias, *clamp), atol=1e-4)
    target[..., block] = GUARD
    assert (target == GUARD).all()


@pytest.mark.parametrize("host", each_host())
@pytest.mark.parametrize(("tiles", "depth"), [(4, 3), (1, 2), (3, 4)])
def test_fused_kernels_of_gradients_add_products_of_transformed_tiles(tiles, depth, host, rng):
    vectors = 2
    block = slice(host.lanes, (1 + vectors) * host.lanes)
    v = rng.standard_normal((tiles, 36, 5)).astype(np.float32)
    dy = rng.standard_normal((4, 4 * tiles, 4 * host.lanes)).astype(np.float32)
    sums = rng.standard_normal((36, depth, vectors * host.lanes)).astype(np.float32)
    matrix = np.array(OUTPUT[4]).T
    transformed = np.einsum("ai,itjk,bj->tabk", matrix, dy[..., block].reshape(4, tiles, 4, -1), matrix)
    exact = sums + np.einsum("tpc,tpk->pck", v[..., :depth], transformed.reshape(tiles, 36, -1))
    what = FusedGradient(tiles, depth, vectors, *v.strides[:2], *dy.strides[:2])
    assert sums_bytes(what, host) == sums.nbytes
    room = np.full(room_bytes(what, host) // 4 + 1, GUARD, np.float32)
    kernel = compiled(emit_fused_gradient(what, host), "fused_gradient", host)
    kernel(address(v), address(dy[..., block]), address(dy), address(room), address(sums))
    np.testing.assert_allclose(sums, exact, atol=1e-4 * abs(exact).max())
    assert room[-1] == GUARD


@pytest.mark.parametrize(
    ("x", "padding"),
    [((2, 12, 20, 3), "same"), ((1, 6, 10, 2), "valid"), ((3, 5, 9, 3), ((2, 3), (0, 1))), ((9, 8, 16, 3), "same")],
)
def test_gradients_of_few_channels_without_transformed_tiles_in_memory(x, padding, rng):
    width = 3 * winograd_fused.VECTORS * winograd_fused.host().lanes
    g = Conv2DGeometry.of(x, (3, 3, x[3], width), 1, padding)
    x, dy = (rng.standard_normal(shape).astype(np.float32) for shape in (g.x_shape, g.y_shape))
    got = winograd_fused_gradient.weight_gradient(x, dy, *conv_axes(g))
    right = oracle.wgrad(x, dy, g.w_shape, g.strides, g.padding, g.dilation, g.groups)
    assert abs(got - right).max() < 2e-5 * abs(right).max()


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("x", "padding", "activation"),
    [((2, 12, 20, 3), "same", "relu"), ((1, 6, 10, 2), "valid", "linear"), ((3, 5, 9, 3), ((2, 3), (0, 1)), "tanh")],
)
def test_few_channels_without_sums_in_memory(x, padding, activation, streamed, rng, monkeypatch):
    if streamed:
        monkeypatch.setattr(winograd_fused, "STREAMED_BYTES", 0)
    width = 3 * winograd_fused.VECTORS * winograd_fused.host().lanes
    g = Conv2DGeometry.of(x, (3, 3, x[3], width), 1, padding)
    x, w, bias = (rng.standard_normal(shape).astype(np.float32) for shape in (g.x_shape, g.w_shape, width))
    y = aligned(g.y_shape, np.float32)
    winograd_fused.convolve(x, w, *conv_axes(g), 4, y, bias, activation)
    sums = oracle.fprop(x, w, g.strides, g.padding, g.dilation, g.groups) + bias
    right = {"relu": lambda z: np.maximum(z, 0), "linear": lambda z: z, "tanh": np.tanh}[activation](sums)
    assert abs(y - right).max() < 2e-5 * abs(sums).max()


@pytest.fixture
def cut_for(monkeypatch):
    """How a convolution is cut into blocks for any vector unit, whether or not this machine has it."""

    def cut(host, *sizes):
        for module in (channels, winograd, winograd_tiles):
            monkeypatch.setattr(module, "host", lambda: host)
        channels.Channels.of.cache_clear()
        return winograd._Cut.of(*sizes)

    yield cut
    channels.Channels.of.cache_clear()


@pytest.mark.parametrize("host", [Host("avx512", 16, 32, True, None), Host("avx2", 8, 16, True, None)])
@pytest.mark.parametrize("depth", [16, 64, 128, 192, 256, 512])
@pytest.mark.parametrize("width", [64, 256])
def test_blocks_have_enough_tiles_for_the_weights_that_they_read(host, depth, width, cut_for):
    """Of 4 x 28 x 28: with few tiles each of many blocks reads, or makes, all weights."""
    assert cut_for(host, depth, width, 196, 4, 1).block >= 18


def test_few_tiles_are_one_block(cut_for):
    """Of 4 x 14 x 14, where each block would transform all weights for itself."""
    for host in (Host("avx512", 16, 32, True, None), Host("avx2", 8, 16, True, None)):
        cut = cut_for(host, 256, 256, 64, 4, 1)
        assert (cut.once, cut.blocks) == (False, 1)


def test_blocks_with_all_weights_stay_in_the_second_level_cache(cut_for):
    cut = cut_for(Host("avx2", 8, 16, True, None), 256, 16, 784, 4, 1)
    assert cut.layout.bytes + cut.places * cut.sums_place < 500_000
