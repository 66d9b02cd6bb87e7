"""Register tiles, row tiles and the products of places against NumPy, for every vector unit that this machine has."""

from __future__ import annotations

import numpy as np
import pytest
from microkernels import compiled

from deepcore.backend.numpy.memory import aligned
from deepcore.kernels.cpu.host import hosts
from deepcore.kernels.cpu.place import Strides, emit_place
from deepcore.kernels.cpu.record import TILE, address
from deepcore.kernels.cpu.row import CACHED, FAR, STREAMED, Row, emit_row
from deepcore.kernels.cpu.tile import emit_tile, most_rows, most_vectors
from deepcore.kernels.cpu.window import Line

GUARD = 123.5  # what lies around the result and must stay there


def cases():
    for host in hosts():
        for vectors in range(1, most_vectors(host) + 1):
            for rows in {1, 2, most_rows(vectors, host)}:
                for end in ("whole", "tail"):
                    yield pytest.param(host, rows, vectors, end, id=f"{host.vector} {rows}x{vectors} {end}")


@pytest.mark.parametrize("down", [False, True], ids=["steps in order", "rows in order"])
@pytest.mark.parametrize(("host", "rows", "vectors", "end"), list(cases()))
@pytest.mark.parametrize("asks", [True, False], ids=["asking", "silent"])
def test_sums_of_runs(host, rows, vectors, end, down, asks, rng):
    tail = end == "tail"
    tile = compiled(emit_tile(rows, vectors, tail, down, host, asks), "tile", host)
    lanes = max(1, host.lanes - 1) if tail else host.lanes
    width = (vectors - 1) * host.lanes + lanes
    runs, steps = 3, 4 * rows + 7  # rounds that ask for every row of c, another one, and three steps more
    a = rng.standard_normal((runs, steps + 2, rows + 2) if down else (runs, rows, steps + 2)).astype(np.float32)
    if down:
        a = a.swapaxes(1, 2)
    b = rng.standard_normal((runs, steps + 1, vectors * host.lanes)).astype(np.float32)
    init = rng.standard_normal((rows, vectors * host.lanes)).astype(np.float32)
    columns = vectors * host.lanes + 1
    c = aligned((rows, columns), np.float32)
    c[...] = GUARD
    offsets = np.array([2 * a.strides[0], 0, a.strides[0]], np.int64)  # in another order than they lie
    told = np.zeros((), TILE)
    for name, value in {
        "a_row": a.strides[1],
        "a_step": a.strides[2],
        "offsets": address(offsets),
        "b_step": b.strides[1],
        "b_skip": b.strides[1],
        "steps": steps,
        "runs": runs,
        "next_a": a.nbytes,  # beyond the array, which may be asked for
        "next_step": a.strides[1],
        "init_row": init.strides[0],
        "c_row": c.strides[0],
        "lanes": lanes,
        "floor": -1.5,
        "ceiling": 2.0,
    }.items():
        told[name] = value
    tile(address(told), address(a), address(b), address(init), address(c))
    left, right = a[[2, 0, 1], :rows, :steps].astype(np.float64), b[:, :steps].astype(np.float64)
    exact = init + np.einsum("rik,rkn->in", left, right)
    expected = np.clip(exact, -1.5, 2.0)[:, :width]
    np.testing.assert_allclose(c[:, :width], expected, atol=4 * runs * steps * np.finfo(np.float32).eps)
    assert (c[:, width:] == GUARD).all()


@pytest.mark.parametrize("host", [pytest.param(host, id=host.vector) for host in hosts()])
@pytest.mark.parametrize("down", [False, True], ids=["steps in order", "rows in order"])
def test_a_silent_tile_asks_for_rows_of_c_alone(host, down):
    def asked(asks):
        return emit_tile(2, 2, False, down, host, asks).count('call void @"llvm.prefetch')

    rows_of_c = 2  # a vector of c each
    assert asked(False) == rows_of_c < asked(True)


LINES = {
    "outputs of 3 taps": Line(5, 3, 1, 1),
    "outputs of stride 2": Line(4, 3, 2, 1),
    "outputs of dilation 2": Line(3, 3, 1, 2),
    "taps over 7 pixels": Line(3, 7, 1, 1),
}


SHAPES = ((1, 1), (1, 3), (2, 1), (2, 2))  # vectors, and elements that share what is loaded
WAYS = (
    ("whole", {"target": CACHED, "ahead": 2}),
    ("whole", {"target": FAR}),
    ("whole", {"target": STREAMED, "depth": 3, "clamps": False}),
    ("tail", {"target": CACHED, "clamps": False}),
    ("tail", {"target": FAR, "depth": 3, "ahead": 1}),
    ("tail", {"target": FAR, "known": True, "depth": 3}),
    ("tail", {"target": CACHED, "known": True, "chains": 2}),
    ("whole", {"target": CACHED, "chains": 4, "clamps": False}),
)


def row_cases():
    """Every line in every way, every shape in every way, and every line in every shape; all three are slow."""
    for i, line in enumerate(LINES):
        for j, (vectors, elements) in enumerate(SHAPES):
            for k, (end, how) in enumerate(WAYS):
                marks = () if (i + j + k) % len(LINES) == 0 else pytest.mark.slow
                label = f"{line}, {vectors}x{elements} {end} {how}"
                yield pytest.param(line, vectors, elements, end, how, marks=marks, id=label)


@pytest.mark.parametrize(("line", "vectors", "elements", "end", "how"), list(row_cases()))
@pytest.mark.parametrize("host", hosts(), ids=lambda host: host.vector)
def test_sums_of_rows(host, line, vectors, elements, end, how, rng):
    line, tail = LINES[line], end == "tail"
    lanes = max(1, host.lanes - 1) if tail else host.lanes
    width = (vectors - 1) * host.lanes + lanes
    runs, steps = 2, 3
    a = rng.standard_normal((runs, steps, line.span, elements + 1)).astype(np.float32)
    b = rng.standard_normal((runs, steps, line.taps, vectors * host.lanes)).astype(np.float32)
    if "depth" in how:  # the steps of a are neighbours, those of b fill a tap
        a = rng.standard_normal((runs, line.span, steps + elements - 1)).astype(np.float32)
        a = np.lib.stride_tricks.sliding_window_view(a, elements, axis=2).swapaxes(1, 2)
        b = np.ascontiguousarray(b.swapaxes(1, 2)).swapaxes(1, 2)
    init = rng.standard_normal((line.outputs, elements, vectors * host.lanes)).astype(np.float32)
    c = aligned((line.outputs, elements, (vectors + 1) * host.lanes), np.float32)
    c[...] = GUARD
    known = lanes if how.get("known") else 0
    how = {name: value for name, value in how.items() if name != "known"}
    what = Row(line, a.strides[2], b.strides[2], vectors, tail, elements, lanes=known, **how)
    row = compiled(emit_row(what, host), "row", host)
    offsets = np.array([a.strides[0], 0], np.int64)
    told = np.zeros((), TILE)
    for name, value in {
        "a_step": a.strides[1],
        "offsets": address(offsets),
        "b_step": b.strides[1],
        "b_run": b.strides[0],
        "steps": steps,
        "runs": runs,
        "next_b": b.nbytes,  # beyond the array, which may be asked for
        "init_row": c.strides[0],
        "c_row": c.strides[0],
        "c_element": c.strides[1],
        "lanes": lanes,
        "floor": -1.5,
        "ceiling": 2.0,
    }.items():
        told[name] = value
    start = np.zeros_like(c)
    start[..., :width] = init[..., :width]
    row(address(told), address(a), address(b), address(start), address(c))
    exact = init.astype(np.float64)
    for i in range(line.outputs):
        for tap in range(line.taps):
            read = a[::-1, :, i * line.stride + tap * line.dilation, :elements]
            exact[i] += np.einsum("rkg,rkn->gn", read.astype(np.float64), b[:, :, tap].astype(np.float64))
    expected = (np.clip(exact, -1.5, 2.0) if what.clamps else exact)[..., :width]
    np.testing.assert_allclose(c[..., :width], expected, atol=4 * b.shape[2] * runs * steps * np.finfo(np.float32).eps)
    assert (c[..., width:] == GUARD).all()


def test_nan_passes_the_clamp():
    host = hosts()[-1]
    tile = compiled(emit_tile(1, 1, False, False, host), "tile", host)
    a, b = np.full(1, np.nan, np.float32), np.ones(host.lanes, np.float32)
    c, offsets = np.zeros(host.lanes, np.float32), np.zeros(1, np.int64)
    told = np.zeros((), TILE)
    told["offsets"], told["steps"], told["runs"], told["floor"], told["ceiling"] = address(offsets), 1, 1, 0, 6
    tile(address(told), address(a), address(b), address(np.zeros(host.lanes, np.float32)), address(c))
    assert np.isnan(c).all()


# the products of Winograd's places


def place_cases():
    for host in hosts():
        for vectors in range(1, most_vectors(host) + 1):
            for rows in {1, most_rows(vectors, host)}:
                yield pytest.param(host, rows, vectors, id=f"{host.vector} {rows}x{vectors}")


@pytest.mark.parametrize("adds", [False, True])
@pytest.mark.parametrize("steps", [1, 4, 11])
@pytest.mark.parametrize(("host", "rows", "vectors"), list(place_cases()))
def test_products_of_a_place(host, rows, vectors, steps, adds, rng):
    tiles, width = 3, vectors * host.lanes
    a = rng.standard_normal((tiles * rows, steps + 2)).astype(np.float32)
    b = rng.standard_normal((steps, width + 3)).astype(np.float32)
    c = aligned((tiles * rows + 1, width + 1), np.float32)
    c[...] = GUARD
    strides = Strides(a.strides[0], a.strides[1], b.strides[0], c.strides[0])
    product = compiled(emit_place(rows, vectors, strides, adds, host), "place", host)
    product(address(a), address(b), address(c), steps, tiles)
    expected = a[:, :steps].astype(np.float64) @ b[:, :width].astype(np.float64) + (GUARD if adds else 0)
    np.testing.assert_allclose(c[:-1, :-1], expected, atol=(steps + GUARD * adds) * 4 * np.finfo(np.float32).eps)
    assert (c[-1] == GUARD).all()
    assert (c[:, -1] == GUARD).all()


def test_rows_of_a_place_may_be_neighbours(rng):
    """As for the gradient at the weights, whose rows are channels and whose steps are tiles."""
    host = hosts()[0]
    a = rng.standard_normal((5, 8)).astype(np.float32)
    b = rng.standard_normal((5, host.lanes)).astype(np.float32)
    c = aligned((8, host.lanes), np.float32)
    strides = Strides(a.strides[1], a.strides[0], b.strides[0], c.strides[0])
    product = compiled(emit_place(4, 1, strides, False, host), "place", host)
    product(address(a), address(b), address(c), 5, 2)
    np.testing.assert_allclose(c, a.T @ b, atol=1e-5)
